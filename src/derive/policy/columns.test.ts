// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { portSpaces } from '../../model/datapath.ts'
import { columnAt, columnsOf, pageColumns, pagesOf } from './columns.ts'
import type { PortRange } from './rule.ts'

const range = fc
  .record({ space: fc.constantFrom(...portSpaces), a: fc.nat(65535), b: fc.nat(65535) })
  .map(({ space, a, b }): PortRange => ({ space, first: Math.min(a, b), last: Math.max(a, b) }))
const ports = fc.oneof(fc.constant('all' as const), fc.array(range, { maxLength: 4 }))

test('the column of a port names exactly the entries that cover it', () => {
  fc.assert(
    fc.property(fc.array(ports, { maxLength: 8 }), fc.nat(65535), (entries, random) => {
      const columns = columnsOf(entries)
      const edges = entries.flatMap((e) =>
        e === 'all' ? [] : e.flatMap((r) => [r.first, r.last, r.last + 1, r.first - 1]),
      )
      for (const port of [0, 65535, random, ...edges.filter((p) => p >= 0 && p <= 65535)])
        for (const [s, space] of portSpaces.entries()) {
          const covering = entries.flatMap((e, i) =>
            e === 'all' || e.some((r) => r.space === space && r.first <= port && port <= r.last) ? [i] : [],
          )
          const runs = columns.runs[s] as (typeof columns.runs)[number]
          assert.deepEqual(columns.entries[columnAt(runs, port)], covering)
          const page = pagesOf(runs)[port >> 8] as string
          assert.equal(pageColumns(page)[port & 255], columnAt(runs, port))
        }
      assert.deepEqual(
        columns.entries[columns.other],
        entries.flatMap((e, i) => (e === 'all' ? [i] : [])),
      )
    }),
  )
})

test('ports that nobody tells apart share a column, and equal pages are equal texts', () => {
  const columns = columnsOf([[{ space: 'TCP', first: 80, last: 80 }], [{ space: 'TCP', first: 443, last: 443 }]])
  assert.equal(columns.entries.length, 3)
  assert.equal(new Set(pagesOf(columns.runs[0] as (typeof columns.runs)[number])).size, 3)
  assert.equal(new Set(pagesOf(columns.runs[1] as (typeof columns.runs)[number])).size, 1)
})
