// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { InvariantError } from '../base/assert.ts'
import { type AnyTable, allocate, deriveAll, deriveEach, type Table, table } from './definition.ts'
import { openDatabase } from './open.ts'

interface Pod {
  readonly name: string
  readonly node: string
  readonly app?: string
}
interface Node {
  readonly name: string
  readonly zone: string
}
interface Placed {
  readonly pod: string
  readonly zone: string
}

const byName = { key: (row: { readonly name: string }) => row.name }
const pods = table<Pod>('pods', { ...byName, indexes: { node: (pod) => [pod.node] } })
const nodes = table<Node>('nodes', byName)
let derived: string[] = []
const placed: Table<Placed> = deriveEach('placed', pods, { key: (row: Placed) => row.pod }, (pod, read) => {
  derived.push(pod.name)
  const node = read.get(nodes, pod.node)
  return node ? [{ pod: pod.name, zone: node.zone }] : []
})
interface Load {
  readonly node: string
  readonly pods: number
}
const load: Table<Load> = deriveEach('load', nodes, { key: (row: Load) => row.node }, (node, read) => [
  { node: node.name, pods: read.by(pods, 'node', node.name).length },
])

const open = () => {
  const db = openDatabase([load, placed, pods, nodes])
  db.commit((tx) => {
    tx.put(nodes, { name: 'n1', zone: 'a' })
    tx.put(nodes, { name: 'n2', zone: 'b' })
    for (const name of ['p3', 'p1', 'p2']) tx.put(pods, { name, node: name === 'p2' ? 'n2' : 'n1' })
  })
  derived = []
  return db
}
const names = (rows: readonly { readonly name: string }[]) => rows.map(({ name }) => name)

test('rows are listed in key order and found by key and by index', () => {
  const db = open()
  assert.deepEqual(names(db.all(pods)), ['p1', 'p2', 'p3'])
  assert.deepEqual(names(db.by(pods, 'node', 'n1')), ['p1', 'p3'])
  assert.deepEqual(db.get(placed, 'p2'), { pod: 'p2', zone: 'b' })
  assert.equal(db.get(pods, 'p9'), undefined)
  assert.equal(db.count(pods), 3)
})

test('only inputs whose look-ups changed are derived again', () => {
  const db = open()
  db.commit((tx) => tx.put(nodes, { name: 'n2', zone: 'c' }))
  assert.deepEqual(derived, ['p2'])
  assert.deepEqual(db.get(placed, 'p2'), { pod: 'p2', zone: 'c' })
  db.commit((tx) => tx.put(pods, { name: 'p1', node: 'n2' }))
  assert.deepEqual(derived, ['p2', 'p1'])
  db.commit((tx) => tx.put(nodes, { name: 'n1', zone: 'z' }))
  assert.deepEqual(derived, ['p2', 'p1', 'p3'], 'p1 no longer depends on n1')
})

test('a look-up that found nothing is remembered too', () => {
  const db = open()
  db.commit((tx) => tx.put(pods, { name: 'p4', node: 'n3' }))
  assert.equal(db.get(placed, 'p4'), undefined)
  db.commit((tx) => tx.put(nodes, { name: 'n3', zone: 'd' }))
  assert.deepEqual(db.get(placed, 'p4'), { pod: 'p4', zone: 'd' })
})

test('a look-up by index is answered anew when a row enters, leaves or changes under the value', () => {
  const db = open()
  assert.deepEqual(db.get(load, 'n1'), { node: 'n1', pods: 2 })
  db.commit((tx) => tx.put(pods, { name: 'p1', node: 'n2' }))
  assert.deepEqual(db.all(load), [
    { node: 'n1', pods: 1 },
    { node: 'n2', pods: 2 },
  ])
  db.commit((tx) => tx.remove(pods, 'p3'))
  assert.deepEqual(db.get(load, 'n1'), { node: 'n1', pods: 0 })
})

test('a row equal to the one there is no change and keeps the revision', () => {
  const db = open()
  let told = 0
  db.listen(() => told++)
  const revision = db.revision
  assert.equal(
    db.commit((tx) => tx.put(pods, { name: 'p1', node: 'n1' })),
    revision,
  )
  db.commit((tx) => {
    tx.put(pods, { name: 'p1', node: 'n2' })
    tx.put(pods, { name: 'p1', node: 'n1' })
  })
  assert.equal(db.revision, revision)
  assert.equal(told, 0)
  assert.deepEqual(derived, [])
})

test('listeners hear once a commit which tables changed, derived ones too', () => {
  const db = open()
  const heard: [string[], number][] = []
  const stop = db.listen((changed, revision) => heard.push([[...changed].sort(), revision]))
  db.commit((tx) => tx.put(pods, { name: 'p1', node: 'n1', app: 'x' }))
  db.commit((tx) => tx.put(nodes, { name: 'n1', zone: 'q' }))
  stop()
  db.commit((tx) => tx.remove(nodes, 'n1'))
  assert.deepEqual(heard, [
    [['pods'], 2],
    [['nodes', 'placed'], 3],
  ])
})

test('a commit made by a listener is told after the one under way', () => {
  const db = open()
  const heard: number[] = []
  db.listen((changed) => {
    if (changed.has('nodes')) db.commit((tx) => tx.put(pods, { name: 'late', node: 'n1' }))
  })
  db.listen((_, revision) => heard.push(revision))
  assert.equal(
    db.commit((tx) => tx.remove(nodes, 'n2')),
    2,
  )
  assert.deepEqual(heard, [2, 3])
})

test('a cursor gives one change a key, first everything, and nothing when a row is back where it was', () => {
  const db = open()
  const cursor = db.cursor(pods)
  assert.deepEqual(
    cursor.next().map((change) => change.key),
    ['p1', 'p2', 'p3'],
  )
  db.commit((tx) => tx.put(pods, { name: 'p1', node: 'n2' }))
  db.commit((tx) => tx.put(pods, { name: 'p1', node: 'n3' }))
  db.commit((tx) => tx.remove(pods, 'p2'))
  db.commit((tx) => tx.put(pods, { name: 'p3', node: 'n9' }))
  db.commit((tx) => tx.put(pods, { name: 'p3', node: 'n1' }))
  assert.deepEqual(cursor.next(), [
    { key: 'p1', before: { name: 'p1', node: 'n1' }, after: { name: 'p1', node: 'n3' } },
    { key: 'p2', before: { name: 'p2', node: 'n2' } },
  ])
  assert.equal(cursor.revision, db.revision)
  assert.deepEqual(cursor.next(), [])
})

test('a snapshot does not move, by key, by index or as a whole', () => {
  const db = open()
  const before = db.snapshot()
  db.commit((tx) => tx.replace(pods, [{ name: 'p7', node: 'n1' }]))
  assert.deepEqual(names(before.all(pods)), ['p1', 'p2', 'p3'])
  assert.deepEqual(names(before.by(pods, 'node', 'n1')), ['p1', 'p3'])
  assert.deepEqual(before.get(placed, 'p2'), { pod: 'p2', zone: 'b' })
  assert.deepEqual(names(db.all(pods)), ['p7'])
  assert.deepEqual(names(db.by(pods, 'node', 'n1')), ['p7'])
  assert.equal(before.revision, 1)
})

test('a fork answers what-if and leaves its origin alone, and the other way round', () => {
  const db = open()
  const fork = db.fork()
  fork.commit((tx) => tx.put(nodes, { name: 'n1', zone: 'fork' }))
  db.commit((tx) => tx.put(nodes, { name: 'n2', zone: 'origin' }))
  assert.deepEqual(
    fork.all(placed).map(({ zone }) => zone),
    ['fork', 'b', 'fork'],
  )
  assert.deepEqual(
    db.all(placed).map(({ zone }) => zone),
    ['a', 'origin', 'a'],
  )
  fork.commit((tx) => tx.remove(pods, 'p1'))
  assert.deepEqual(fork.get(load, 'n1'), { node: 'n1', pods: 1 })
})

test('replace removes what a fresh list does not name', () => {
  const db = open()
  db.commit((tx) => tx.replace(pods, [{ name: 'p2', node: 'n1' }]))
  assert.deepEqual(db.all(pods), [{ name: 'p2', node: 'n1' }])
  assert.deepEqual(db.all(placed), [{ pod: 'p2', zone: 'a' }])
})

test('rows are frozen, so that nobody changes a fact behind the table', () => {
  const db = open()
  assert.throws(() => Object.assign(db.get(pods, 'p1') as Pod, { node: 'n2' }), TypeError)
})

test('a transaction that throws half-way applies nothing', () => {
  const db = open()
  assert.throws(() =>
    db.commit((tx) => {
      tx.remove(pods, 'p1')
      throw new Error('bad list')
    }),
  )
  assert.equal(db.count(pods), 3)
})

test('two inputs that give the same key are named', () => {
  const zones = deriveEach('zones', nodes, { key: (row: { zone: string }) => row.zone }, (node) => [
    { zone: node.zone },
  ])
  const db = openDatabase([nodes, zones])
  db.commit((tx) => tx.put(nodes, { name: 'n1', zone: 'a' }))
  db.commit((tx) => {
    tx.put(nodes, { name: 'n1', zone: 'b' })
    tx.put(nodes, { name: 'n2', zone: 'a' })
  })
  assert.throws(
    () => db.commit((tx) => tx.put(nodes, { name: 'n3', zone: 'a' })),
    /zones: 'a' comes from both 'n2' and 'n3' of nodes/,
  )
})

test('deriveAll runs again only when an input changed, and gives only the difference', () => {
  let runs = 0
  const zones = deriveAll('zones', [nodes], { key: (row: { zone: string }) => row.zone }, (read) => {
    runs++
    return [...new Set(read.all(nodes).map(({ zone }) => zone))].map((zone) => ({ zone }))
  })
  const db = openDatabase([zones, nodes, pods])
  runs = 0
  const cursor = db.cursor(zones)
  db.commit((tx) => tx.replace(nodes, [{ name: 'n1', zone: 'a' }]))
  cursor.next()
  db.commit((tx) => tx.put(pods, { name: 'p1', node: 'n1' }))
  db.commit((tx) => tx.put(nodes, { name: 'n2', zone: 'b' }))
  assert.equal(runs, 2)
  assert.deepEqual(cursor.next(), [{ key: 'b', after: { zone: 'b' } }])
})

test('deriveAll may read only the inputs it names', () => {
  const sneaky = deriveAll('sneaky', [nodes], byName, (read) => [...read.all(pods)])
  assert.throws(() => openDatabase([pods, nodes, sneaky]), /sneaky reads pods, which is not among its inputs/)
})

test('rows from nothing are there as soon as the database opens', () => {
  const reserved = deriveAll('reserved', [nodes], byName, () => [{ name: 'world' }])
  assert.deepEqual(openDatabase([nodes, reserved]).all(reserved), [{ name: 'world' }])
})

interface Numbered {
  readonly pod: string
  readonly number: number
}
const numbers = allocate(
  'numbers',
  pods,
  { key: (row: Numbered) => row.pod },
  (wanted, held: readonly Numbered[]): readonly Numbered[] => {
    const taken = new Map(held.map((row) => [row.pod, row.number]))
    const used = new Set(taken.values())
    return wanted.map(({ name }) => {
      let number = taken.get(name)
      if (number === undefined) for (number = 1; used.has(number); ) number++
      used.add(number)
      return { pod: name, number }
    })
  },
)

test('an allocation keeps what it decided, whatever comes and goes beside it', () => {
  const db = openDatabase([pods, numbers])
  db.commit((tx) => tx.initialised(pods))
  db.commit((tx) => tx.put(pods, { name: 'b', node: '' }))
  db.commit((tx) => tx.put(pods, { name: 'a', node: '' }))
  db.commit((tx) => tx.remove(pods, 'b'))
  db.commit((tx) => tx.put(pods, { name: 'c', node: '' }))
  assert.deepEqual(db.all(numbers), [
    { pod: 'a', number: 2 },
    { pod: 'c', number: 1 },
  ])
})

test('what an allocation held in an earlier life is released only once its input has said all', () => {
  const db = openDatabase([pods, numbers])
  db.seed(numbers, [
    { pod: 'a', number: 7 },
    { pod: 'gone', number: 1 },
  ])
  db.commit((tx) => tx.put(pods, { name: 'b', node: '' }))
  assert.deepEqual(db.all(numbers), [
    { pod: 'a', number: 7 },
    { pod: 'b', number: 2 },
    { pod: 'gone', number: 1 },
  ])
  db.commit((tx) => tx.put(pods, { name: 'a', node: '' }))
  db.commit((tx) => tx.initialised(pods))
  assert.deepEqual(db.all(numbers), [
    { pod: 'a', number: 7 },
    { pod: 'b', number: 2 },
  ])
  assert.throws(() => db.seed(numbers, []), /seeded after the first commit/)
})

test('a derived table is initialised when all it looks at is', () => {
  const db = open()
  const heard: string[][] = []
  db.listen((changed) => heard.push([...changed].sort()))
  db.commit((tx) => tx.initialised(pods))
  assert.equal(db.isInitialised(placed), false, 'placed looks nodes up')
  db.commit((tx) => tx.initialised(nodes))
  assert.equal(db.isInitialised(placed), true)
  assert.deepEqual(heard, [['pods'], ['load', 'nodes', 'placed']])
})

test('tables that derive from each other are rejected by name', () => {
  const a: AnyTable = { ...byName, name: 'a', rule: { kind: 'source' } }
  const b = deriveAll('b', [a], byName, () => [])
  const c = deriveAll('c', [b], byName, () => [])
  Object.assign(a, { rule: { kind: 'all', inputs: [c], derive: () => [] } })
  assert.throws(() => openDatabase([a, b, c]), /a <- c <- b <- a/)
  const left: Table<Pod> = deriveEach('left', pods, byName, (_, read): readonly Pod[] => [...read.all(right)])
  const right: Table<Pod> = deriveEach('right', pods, byName, (_, read): readonly Pod[] => [...read.all(left)])
  const db = openDatabase([pods, left, right])
  assert.throws(() => db.commit((tx) => tx.put(pods, { name: 'p', node: '' })), /left <- right/)
})

test('a table that is missing, named twice or written though derived is refused by name', () => {
  assert.throws(() => openDatabase([placed]), /placed needs pods, which is not in this database/)
  assert.throws(() => openDatabase([pods, table<Node>('pods', byName)]), /two tables are named pods/)
  assert.throws(() => open().commit((tx) => tx.remove(placed, 'p1')), /placed is derived/)
  assert.throws(() => openDatabase([nodes]).all(pods), /pods is not in this database/)
  assert.throws(() => open().by(pods, 'colour', 'red'), /pods has no index 'colour'/)
})

test('a derivation that throws is a broken invariant, and the database takes nothing more', () => {
  const strict = deriveEach('strict', pods, byName, (pod): readonly Pod[] => {
    if (pod.app === 'bad') throw new TypeError('no such app')
    return [pod]
  })
  const db = openDatabase([pods, strict])
  assert.throws(
    () => db.commit((tx) => tx.put(pods, { name: 'p1', node: '', app: 'bad' })),
    (error) => error instanceof InvariantError && /revision 1 broke: no such app/.test(error.message),
  )
  assert.throws(() => db.commit((tx) => tx.remove(pods, 'p1')), /nothing is committed after one that broke/)
})
