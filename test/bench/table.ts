// SPDX-License-Identifier: Apache-2.0
/** What the state database costs, in microseconds: `node test/bench/table.ts`. Medians of rounds. */
import { columnText } from '../../src/base/text.ts'
import { manualRuntime } from '../../src/edge/runtime/manual.ts'
import { reconciliation } from '../../src/edge/runtime/reconcile.ts'
import { deriveAll, deriveEach, type Table, table } from '../../src/table/definition.ts'
import { openDatabase } from '../../src/table/open.ts'
import type { Outcome } from '../../src/table/target.ts'

interface Pod {
  readonly name: string
  readonly node: string
  readonly app: string
  readonly generation: number
}
interface Node {
  readonly name: string
  readonly zone: number
}
const count = 10_000
const pods = table<Pod>('pods', {
  key: (row) => row.name,
  indexes: { node: (row) => [row.node], app: (row) => [row.app] },
})
const nodes = table<Node>('nodes', { key: (row) => row.name })
const placed: Table<Pod & Node> = deriveEach('placed', pods, { key: (row: Pod & Node) => row.name }, (pod, read) => [
  { ...pod, zone: read.get(nodes, pod.node)?.zone ?? 0 },
])
const labelled: Table<Pod & Node> = deriveEach('labelled', placed, { key: (row: Pod & Node) => row.name }, (row) => [
  { ...row, app: `app=${row.app}` },
])
const owners: Table<Pod & Node> = deriveEach('owners', labelled, { key: (row: Pod & Node) => row.name }, (row) => [row])
const zones = deriveAll('zones', [nodes], { key: (row: { zone: number }) => String(row.zone) }, (read) =>
  [...new Set(read.all(nodes).map(({ zone }) => zone))].map((zone) => ({ zone })),
)

const pod = (n: number, generation = 0): Pod => ({
  name: `pod-${n}`,
  node: `node-${n % 100}`,
  app: `app-${n % 50}`,
  generation,
})
const load = (tables: Parameters<typeof openDatabase>[0]) => {
  const db = openDatabase(tables)
  db.commit((tx) => {
    for (let n = 0; n < 100; n++) if (tables.includes(nodes)) tx.put(nodes, { name: `node-${n}`, zone: n % 3 })
    for (let n = 0; n < count; n++) tx.put(pods, pod(n))
  })
  return db
}

function measure(rounds: number, run: (round: number) => void): number {
  for (let round = 0; round < rounds / 10; round++) run(-round - 1)
  const times: number[] = []
  for (let round = 0; round < rounds; round++) {
    const start = performance.now()
    run(round)
    times.push(performance.now() - start)
  }
  return (times.sort((a, b) => a - b)[times.length >> 1] as number) * 1000
}

const results: [string, number][] = []
const bench = (name: string, rounds: number, run: (round: number) => void) => results.push([name, measure(rounds, run)])
let generation = 1
/** A row somewhere in the table that differs from the one there. */
const changed = (round: number): Pod => pod(Math.abs(round * 7919) % count, ++generation)

const plain = load([pods])
bench('one row of 10k, two indexes', 5000, (n) => plain.commit((tx) => tx.put(pods, changed(n))))
bench('the same row again', 5000, () => plain.commit((tx) => tx.put(pods, plain.get(pods, 'pod-1') as Pod)))
bench('one row, then all in order', 300, (n) => {
  plain.commit((tx) => tx.put(pods, changed(n)))
  plain.all(pods)
})
bench('snapshot, then one row', 100, (n) => {
  plain.snapshot()
  plain.commit((tx) => tx.put(pods, changed(n)))
})
const tables = [pods, nodes, placed, labelled, owners, zones]
const chain = load(tables)
bench('one row through three derivations', 5000, (n) => chain.commit((tx) => tx.put(pods, changed(n))))
bench('one node that 100 rows look up', 300, (n) =>
  chain.commit((tx) => tx.put(nodes, { name: `node-${Math.abs(n) % 100}`, zone: ++generation })),
)
bench('10k rows and three derivations from nothing', 5, () => load(tables))
bench('list of 10k rows, one changed', 20, () =>
  chain.commit((tx) =>
    tx.replace(
      pods,
      Array.from({ length: count }, (_, i) => pod(i, i === 0 ? ++generation : 0)),
    ),
  ),
)

const { clock, scope } = manualRuntime()
const run = reconciliation(chain, scope, clock)
const there = new Map<string, Pod & Node>()
const done: Outcome = { ok: true }
run.add(owners, {
  name: 'memory',
  key: (row) => row.name,
  equal: (a, b) => a === b,
  load: () => [...there.values()],
  write: (rows) =>
    rows.map((row) => {
      there.set(row.name, row)
      return done
    }),
  remove: (rows) => rows.map(() => done),
})
run.start()
bench('one row, three derivations, reconciled', 5000, (n) => chain.commit((tx) => tx.put(pods, changed(n))))

process.stdout.write(columnText([['WHAT', 'µs'], ...results.map(([name, us]) => [name, us.toFixed(us < 100 ? 1 : 0)])]))
