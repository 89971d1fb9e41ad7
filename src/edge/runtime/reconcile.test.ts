// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { table } from '../../table/definition.ts'
import { openDatabase } from '../../table/open.ts'
import { statusTable } from '../../table/status.ts'
import type { Outcome, Target } from '../../table/target.ts'
import { manualRuntime } from './manual.ts'
import { type ReconcileOptions, reconciliation } from './reconcile.ts'

interface Route {
  readonly to: string
  readonly via: string
}
const routes = table<Route>('routes', { key: (row) => row.to })
const names = table<Route>('names', { key: (row) => row.to })

/** A target in memory that writes down what is asked of it. */
function fakeTarget(log: string[], name: string, asynchronous = false) {
  const rows = new Map<string, Route>()
  const failing = new Map<string, Outcome>()
  const state = { throws: '' }
  const answer = <T>(value: T): T | Promise<T> => (asynchronous ? Promise.resolve(value) : value)
  const each = (verb: string, wanted: readonly Route[], act: (row: Route) => void) => {
    if (state.throws) throw new Error(state.throws)
    log.push(`${name} ${verb} ${wanted.map(({ to, via }) => (verb === 'write' ? `${to}=${via}` : to)).join(' ')}`)
    const outcomes = wanted.map((row): Outcome => {
      const failure = failing.get(row.to)
      if (failure) return failure
      act(row)
      return { ok: true }
    })
    return answer(outcomes)
  }
  const target: Target<Route> = {
    name,
    key: (row) => row.to,
    load: () => answer([...rows.values()]),
    equal: (there, wanted) => there.via === wanted.via,
    write: (wanted) => each('write', wanted, (row) => rows.set(row.to, row)),
    remove: (gone) => each('remove', gone, (row) => rows.delete(row.to)),
  }
  return { target, rows, failing, state }
}

function setUp(options: ReconcileOptions<Route> = {}, asynchronous = false) {
  const log: string[] = []
  const statuses = statusTable('routeStatuses')
  const db = openDatabase([routes, names, statuses])
  const { clock, scope, advance } = manualRuntime()
  const fake = fakeTarget(log, 'routes', asynchronous)
  const run = reconciliation(db, scope, clock, { random: () => 0 })
  run.add(routes, fake.target, options)
  const put = (...rows: [string, string][]) =>
    db.commit((tx) => {
      for (const [to, via] of rows) tx.put(routes, { to, via })
    })
  const taken = () => log.splice(0)
  return { log, db, run, fake, put, taken, advance, scope, statuses, clock }
}

test('a target that answers at once is written within the commit', () => {
  const { run, put, taken } = setUp()
  run.start()
  const revision = put(['a', '1'], ['b', '1'])
  assert.deepEqual(taken(), ['routes write a=1 b=1'])
  assert.equal(run.realised(), revision)
  put(['a', '2'])
  assert.deepEqual(taken(), ['routes write a=2'])
})

test('what is there already is not written, what differs is', () => {
  const { run, put, taken, fake } = setUp()
  fake.rows.set('a', { to: 'a', via: '1' })
  fake.rows.set('b', { to: 'b', via: 'old' })
  put(['a', '1'], ['b', '1'])
  run.start()
  assert.deepEqual(taken(), ['routes write b=1'])
})

test('rows nobody asked for are removed only when the table is initialised, and last', () => {
  const { run, put, taken, fake, db } = setUp()
  fake.rows.set('stray', { to: 'stray', via: '1' })
  run.start()
  put(['a', '1'])
  assert.deepEqual(taken(), ['routes write a=1'])
  db.commit((tx) => {
    tx.put(routes, { to: 'b', via: '1' })
    tx.initialised(routes)
  })
  assert.deepEqual(taken(), ['routes write b=1', 'routes remove stray'])
})

test('a row that goes is removed at once, without waiting for the rest of the table', () => {
  const { run, put, taken, db } = setUp()
  run.start()
  put(['a', '1'])
  db.commit((tx) => tx.remove(routes, 'a'))
  assert.deepEqual(taken(), ['routes write a=1', 'routes remove a'])
})

test('with waitInitialised nothing is written before the table has said all', () => {
  const { run, put, taken, db } = setUp({ waitInitialised: true })
  run.start()
  put(['a', '1'])
  assert.deepEqual(taken(), [])
  assert.deepEqual(run.statuses()[0]?.waitsFor, ['initialised'])
  db.commit((tx) => tx.initialised(routes))
  assert.deepEqual(taken(), ['routes write a=1'])
})

test('a failed row is tried again later and later, the others are not touched', async () => {
  const { run, put, taken, fake, advance, db } = setUp({ backOff: { first: 100, most: 300 } })
  fake.failing.set('bad', { ok: false, error: 'no such device' })
  run.start()
  const revision = put(['bad', '1'], ['good', '1'])
  taken()
  assert.deepEqual(run.status(routes, 'good'), { kind: 'done', revision })
  const error = { kind: 'error', since: revision, error: 'no such device' }
  assert.deepEqual(run.status(routes, 'bad'), { ...error, attempts: 1, retryAt: 100 })
  await advance(99)
  assert.deepEqual(taken(), [])
  await advance(1)
  assert.deepEqual(run.status(routes, 'bad'), { ...error, attempts: 2, retryAt: 300 })
  await advance(1000)
  assert.deepEqual(taken(), ['routes write bad=1', 'routes write bad=1', 'routes write bad=1', 'routes write bad=1'])
  fake.failing.clear()
  await advance(300)
  assert.equal(run.status(routes, 'bad')?.kind, 'done')
  assert.equal(run.realised(), db.revision)
})

test('a change of a failed row is tried at once', () => {
  const { run, put, taken, fake } = setUp()
  fake.failing.set('a', { ok: false, error: 'refused' })
  run.start()
  put(['a', '1'])
  fake.failing.clear()
  put(['a', '2'])
  assert.deepEqual(taken(), ['routes write a=1', 'routes write a=2'])
})

test('a row refused for good waits for room, not for time', async () => {
  const { run, put, taken, fake, advance, db } = setUp()
  fake.failing.set('b', { ok: false, error: 'table full', permanent: true })
  run.start()
  put(['a', '1'], ['b', '1'])
  await advance(100_000)
  assert.deepEqual(taken(), ['routes write a=1 b=1'])
  fake.failing.clear()
  db.commit((tx) => tx.remove(routes, 'a'))
  assert.deepEqual(taken(), ['routes remove a', 'routes write b=1'])
})

test('a target that throws fails all rows of the operation and is asked again', async () => {
  const { run, put, taken, fake, advance } = setUp()
  fake.state.throws = 'connection lost'
  run.start()
  put(['a', '1'], ['b', '1'])
  assert.match(JSON.stringify(run.status(routes, 'b')), /connection lost/)
  fake.state.throws = ''
  await advance(50)
  assert.deepEqual(taken(), ['routes write a=1 b=1'])
})

test('changes that come while a write is under way are written after it', async () => {
  const { run, put, taken, advance, db } = setUp({}, true)
  run.start()
  await advance(0)
  put(['a', '1'])
  put(['a', '2'])
  const removed = db.commit((tx) => {
    tx.put(routes, { to: 'b', via: '1' })
    tx.remove(routes, 'a')
  })
  assert.equal(run.realised(), 0)
  await advance(0)
  assert.deepEqual(taken(), ['routes write a=1', 'routes write b=1', 'routes remove a'])
  assert.equal(run.realised(), removed)
})

test('caughtUp resolves when the revision is outside and not before', async () => {
  const { run, put, fake, advance } = setUp({ backOff: { first: 10, most: 10 } }, true)
  fake.failing.set('a', { ok: false, error: 'busy' })
  run.start()
  let done = false
  const revision = put(['a', '1'])
  const waited = run.caughtUp(revision).then(() => {
    done = true
  })
  await advance(5)
  assert.equal(done, false)
  fake.failing.clear()
  await advance(10)
  await waited
  assert.equal(done, true)
  await run.settled()
})

test('caughtUp rejects when the scope closes first', async () => {
  const { run, put, scope } = setUp({}, true)
  const waited = run.caughtUp(put(['a', '1']))
  await scope.close()
  await assert.rejects(waited, /test was closed/)
})

test('a target is loaded again when it may have lost its rows', () => {
  const { run, put, taken, fake } = setUp()
  run.start()
  put(['a', '1'], ['b', '1'])
  taken()
  fake.rows.delete('a')
  run.reload(routes)
  assert.deepEqual(taken(), ['routes write a=1'])
})

test('the status table tells what became of each row', () => {
  const log: string[] = []
  const statuses = statusTable('statuses')
  const db = openDatabase([routes, statuses])
  const { clock, scope } = manualRuntime()
  const { target, failing } = fakeTarget(log, 'routes')
  failing.set('b', { ok: false, error: 'refused', permanent: true })
  const run = reconciliation(db, scope, clock)
  run.add(routes, target, { status: statuses })
  run.start()
  const since = db.commit((tx) => {
    tx.put(routes, { to: 'a', via: '1' })
    tx.put(routes, { to: 'b', via: '1' })
  })
  assert.deepEqual(db.all(statuses), [
    { key: 'a', kind: 'done', revision: since },
    { key: 'b', kind: 'error', since, error: 'refused', attempts: 1 },
  ])
  db.commit((tx) => tx.remove(routes, 'a'))
  assert.equal(db.get(statuses, 'a'), undefined)
})

test('writes go in the given order, removals in the reverse, and a failing row holds up what comes after', async () => {
  const { db, run, fake, log, taken, advance } = setUp()
  const later = fakeTarget(log, 'names')
  run.add(names, later.target, { after: [routes] })
  run.start()
  db.commit((tx) => {
    tx.put(names, { to: 'n', via: 'a' })
    tx.put(routes, { to: 'a', via: '1' })
  })
  assert.deepEqual(taken(), ['routes write a=1', 'names write n=a'])
  db.commit((tx) => {
    tx.remove(routes, 'a')
    tx.put(routes, { to: 'b', via: '1' })
    tx.put(names, { to: 'n', via: 'b' })
  })
  assert.deepEqual(taken(), ['routes write b=1', 'names write n=b', 'routes remove a'])
  fake.failing.set('c', { ok: false, error: 'busy' })
  db.commit((tx) => {
    tx.remove(routes, 'b')
    tx.put(routes, { to: 'c', via: '1' })
    tx.put(names, { to: 'n', via: 'c' })
  })
  assert.deepEqual(taken(), ['routes write c=1'])
  assert.deepEqual(run.statuses()[1]?.waitsFor, ['routes'])
  fake.failing.clear()
  await advance(50)
  assert.deepEqual(taken(), ['routes write c=1', 'names write n=c', 'routes remove b'])
})

test('with needs, a row waits only for the rows it names', () => {
  const { db, run, fake, log, taken } = setUp()
  const later = fakeTarget(log, 'names')
  run.add(names, later.target, { after: [{ table: routes, needs: (row) => [row.via] }] })
  run.start()
  fake.failing.set('bad', { ok: false, error: 'busy' })
  db.commit((tx) => {
    tx.put(names, { to: 'n', via: 'good' })
    tx.put(names, { to: 'm', via: 'bad' })
    tx.put(routes, { to: 'good', via: '1' })
    tx.put(routes, { to: 'bad', via: '1' })
  })
  assert.deepEqual(taken(), ['routes write good=1 bad=1', 'names write n=good'])
})

test('with needs, a full table gets room although what comes after waits for it', () => {
  const { db, run, fake, log, taken } = setUp()
  const later = fakeTarget(log, 'names')
  run.add(names, later.target, { after: [{ table: routes, needs: (row) => [row.via] }] })
  run.start()
  const want = (...rows: [string, string][]) =>
    db.commit((tx) => {
      for (const [name, via] of rows) {
        tx.put(routes, { to: via, via: '1' })
        tx.put(names, { to: name, via })
      }
    })
  want(['n', 'a'])
  fake.failing.set('b', { ok: false, error: 'table full', permanent: true })
  want(['m', 'b'])
  assert.deepEqual(taken(), ['routes write a=1', 'names write n=a', 'routes write b=1'])
  fake.failing.clear()
  db.commit((tx) => {
    tx.remove(routes, 'a')
    tx.remove(names, 'n')
  })
  assert.deepEqual(taken(), ['names remove n', 'routes remove a', 'routes write b=1', 'names write m=b'])
})

test('with needs, a row stays while one outside, old or new, names it', () => {
  const { db, run, log, taken } = setUp()
  const later = fakeTarget(log, 'names')
  run.add(names, later.target, { after: [{ table: routes, needs: (row) => [row.via] }] })
  run.start()
  db.commit((tx) => {
    tx.put(routes, { to: 'a', via: '1' })
    tx.put(routes, { to: 'b', via: '1' })
    tx.put(names, { to: 'n', via: 'a' })
  })
  later.failing.set('n', { ok: false, error: 'no answer' })
  taken()
  db.commit((tx) => {
    tx.remove(routes, 'a')
    tx.put(names, { to: 'n', via: 'b' })
  })
  assert.deepEqual(taken(), ['names write n=b'], 'nobody knows whether n still leads to a')
  later.failing.clear()
  run.reload(names)
  assert.deepEqual(taken(), ['names write n=b', 'routes remove a'])
})

test('a table may only come after one that has been added', () => {
  const { run, log } = setUp()
  const other = table<Route>('other', { key: (row) => row.to })
  assert.throws(() => run.add(names, fakeTarget(log, 'x').target, { after: [other] }), /names comes after other/)
})
