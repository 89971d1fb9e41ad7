// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { listOrdered, Ordered, setOrdered } from './ordered.ts'

const key = fc.integer({ min: 0, max: 80 }).map((n) => `k${n}`)
const step = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(key, fc.option(fc.integer(), { nil: undefined })) },
  { weight: 2, arbitrary: fc.constant('list' as const) },
)

interface Row {
  readonly name: string
  readonly n: number
}
const keyOf = (row: Row): string => row.name

/** Rows with a plain map beside them. */
function rowsOf(names: Iterable<string>) {
  const rows = new Ordered<Row>({})
  const plain = new Map<string, Row>()
  const set = (name: string, n: number | undefined) => {
    const row = n === undefined ? undefined : { name, n }
    setOrdered(rows, name, row, plain.has(name), keyOf)
    if (row) plain.set(name, row)
    else plain.delete(name)
  }
  for (const name of names) set(name, 0)
  return { rows, plain, set }
}
const inOrder = (plain: ReadonlyMap<string, Row>) => [...plain.values()].sort((a, b) => (a.name < b.name ? -1 : 1))

test('the list is all rows in key order, however few or many changed since it was last asked for', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 200 }), fc.array(step, { maxLength: 300 }), (before, steps) => {
      const { rows, plain, set } = rowsOf(Array.from({ length: before }, (_, n) => `k${n}`))
      const handedOut: [readonly unknown[], readonly unknown[]][] = []
      for (const taken of [...steps, 'list' as const]) {
        if (taken === 'list') {
          const list = listOrdered(rows, keyOf)
          assert.deepEqual(list, inOrder(plain))
          handedOut.push([list, inOrder(plain)])
        } else set(...taken)
        assert.equal(rows.size, plain.size)
      }
      for (const [list, then] of handedOut) assert.deepEqual(list, then, 'a list handed out does not change')
    }),
  )
})

test('a copy and its origin go separate ways', () => {
  const { rows, set } = rowsOf(['b', 'a'])
  const copy = new Ordered({}, rows)
  setOrdered(copy, 'c', { name: 'c', n: 0 }, false, keyOf)
  set('a', undefined)
  const names = (of: Ordered<Row>) => listOrdered(of, keyOf).map(keyOf)
  assert.deepEqual(names(copy), ['a', 'b', 'c'])
  assert.deepEqual(names(rows), ['b'])
})
