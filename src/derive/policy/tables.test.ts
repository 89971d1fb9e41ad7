// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { KernelTable } from '../../model/datapath.ts'
import { partedClasses, reclassed } from './classes.ts'
import { columnsOf } from './columns.ts'
import type { Decision } from './decision.ts'
import { limits, limitsOf, type PlacedTable, placeTables, type TableRow } from './tables.ts'

const decision = (key: string, content: string, cells = 4, classes = 1): Decision => ({
  key,
  direction: 'ingress',
  columns: columnsOf([]),
  cells: Array.from({ length: cells }, () => ({ rule: 0, shadowRule: 0, verdict: 1, shadowVerdict: 0, proxyPort: 0 })),
  classes: partedClasses(Array.from({ length: classes }, (_, i) => [0x01000001 + i, 1] as const)),
  content,
  redirects: new Map(),
})
const placed = (rows: readonly TableRow[]): readonly PlacedTable[] => rows.filter((r) => r.kind === 'table')
const inKernel = (t: PlacedTable): KernelTable => ({
  table: t.table,
  cells: t.cells,
  count: t.decision.cells.length,
  pages: Object.values(t.pages),
})

test('who joins a class changes nothing but members; other content is another table', () => {
  const first = placeTables([decision('p', 'a')], [], [])
  const joined = placeTables([decision('p', 'a', 4, 2)], first, [])
  assert.equal(placed(joined)[0]?.table, placed(first)[0]?.table)
  assert.equal(placed(joined)[0]?.decision.classes.size, 2)
  const other = placeTables([decision('p', 'b')], joined, [])
  assert.notEqual(placed(other)[0]?.table, placed(first)[0]?.table)
})

test('a table that the kernel still uses stays, and gives up nothing of its place', () => {
  const first = placeTables([decision('p', 'a')], [], [])
  const [old] = placed(first) as [PlacedTable]
  const rows = placed(placeTables([decision('p', 'b')], first, [inKernel(old)]))
  const kept = rows.find((t) => t.table === old.table)
  const fresh = rows.find((t) => t.table !== old.table) as PlacedTable
  assert.equal(kept?.retired, true)
  assert.ok(fresh.cells >= old.cells + 4 || fresh.cells + 4 <= old.cells)
  assert.deepEqual(
    placed(placeTables([decision('p', 'b')], rows, [inKernel(fresh)])).map((t) => t.table),
    [fresh.table],
  )
})

test('what was retired is used again as it was when its content is wanted again', () => {
  const first = placeTables([decision('p', 'a')], [], [])
  const [old] = placed(first) as [PlacedTable]
  const second = placeTables([decision('p', 'b')], first, [inKernel(old)])
  const third = placed(placeTables([decision('p', 'a')], second, [inKernel(old)]))
  assert.deepEqual(
    third.filter((t) => !t.retired).map((t) => t.table),
    [old.table],
  )
})

test('after a restart without memory nothing the kernel uses is given away', () => {
  const kernel: KernelTable[] = [{ table: 1, cells: 0, count: 100, pages: [0, 1] }]
  const [table] = placed(placeTables([decision('p', 'a')], [], kernel)) as [PlacedTable]
  assert.notEqual(table.table, 1)
  assert.ok(table.cells >= 100)
  assert.ok(Object.values(table.pages).every((p) => p > 1))
})

test('what does not fit has no place and says why; the rest is placed', () => {
  const rows = placeTables([decision('big', 'a', limits.cells + 1), decision('small', 'b')], [], [])
  assert.deepEqual(
    rows.filter((r) => r.kind === 'unplaced').map((r) => r.kind === 'unplaced' && /cells/.test(r.problem)),
    [true],
  )
  assert.equal(placed(rows).length, 1)
})

test('a table that grows beyond the map of classes is told so before it is written; one that the kernel has stays as it was', () => {
  const half = limits.classes / 2
  const first = placeTables([decision('p', 'a', 4, half), decision('q', 'b', 4, half)], [], [])
  const [p, q] = placed(first) as [PlacedTable, PlacedTable]
  const grown = decision('q', 'b', 4, half + 1)
  const rows = placeTables([p.decision, grown], first, [inKernel(p), inKernel(q)])
  assert.deepEqual(
    rows.flatMap((r) => (r.kind === 'unplaced' ? [r.decision.key] : [])),
    ['q'],
  )
  const left = placed(rows).find((t) => t.table === q.table)
  assert.deepEqual([left?.retired, left?.decision.classes.size], [true, half])
})

test('pages of classes are counted: each 256 numbers of the cluster that a table names are one, and one is never given', () => {
  const named = (key: string, places: number) => ({
    ...decision(key, key, 4, 0),
    classes: partedClasses(Array.from({ length: places }, (_, i) => [256 * (i + 1) + 7, 1] as const)),
  })
  const room = limitsOf([{ name: 'cilium_class_pages', entries: 10 }])
  const problems = (rows: readonly TableRow[]) =>
    rows.flatMap((r) => (r.kind === 'unplaced' ? [`${r.decision.key}: ${r.problem}`] : []))
  const rows = placeTables([named('p', 5), named('q', 4)], [], [], room)
  assert.deepEqual(problems(rows), [])
  assert.deepEqual(problems(placeTables([named('p', 5), named('q', 5)], [], [], room)), [
    'q: needs 5 pages of classes, 4 are left of 9',
  ])
  const more = named('q', 4)
  const joined = { ...more, classes: reclassed(more.classes, [[1024 + 8, 1]]) }
  assert.deepEqual(problems(placeTables([named('p', 5), joined], rows, [], room)), [])
  assert.deepEqual(problems(placeTables([named('p', 5), named('q', 5)], rows, [], room)), [
    'q: needs 5 pages of classes, 4 are left of 9',
  ])
})

test('the sizes of the maps there are count, and who is first keeps its place longest', () => {
  const room = limitsOf([
    { name: 'cilium_policy_cells', entries: 10 },
    { name: 'cilium_policy_classes', entries: 8 },
  ])
  const wanted = [decision('pods', 'a', 6, 4), decision('host', 'b', 6, 4)]
  const without = (first: readonly string[], held: readonly TableRow[] = []) =>
    placeTables(wanted, held, [], room, new Set(first)).flatMap((r) =>
      r.kind === 'unplaced' ? [`${r.decision.key}: ${r.problem}`] : [],
    )
  assert.deepEqual(without([]), ['host: needs 6 cells, which are not free in one piece'])
  assert.deepEqual(without(['host']), ['pods: needs 6 cells, which are not free in one piece'])
  const both = placeTables(wanted, [], [], limits)
  const grown = [decision('pods', 'a', 6, 5), decision('host', 'b', 6, 4)]
  const closed = placeTables(
    grown,
    both,
    [],
    limitsOf([{ name: 'cilium_policy_classes', entries: 8 }]),
    new Set(['host']),
  )
  assert.deepEqual(
    closed.flatMap((r) => (r.kind === 'unplaced' ? [r.decision.key] : [])),
    ['pods'],
  )
})
