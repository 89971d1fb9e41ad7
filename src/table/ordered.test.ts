// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { copyOrdered, emptyOrdered, listOrdered, setOrdered } from './ordered.ts'

const key = fc.integer({ min: 0, max: 80 }).map((n) => `k${n}`)
const step = fc.oneof(
  { weight: 8, arbitrary: fc.tuple(key, fc.option(fc.integer(), { nil: undefined })) },
  { weight: 2, arbitrary: fc.constant('list' as const) },
)

test('the list is all rows in key order, however few or many changed since it was last asked for', () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), (steps) => {
      const rows = emptyOrdered<{ n: number }>({})
      for (let n = 0; n < 60; n++) setOrdered(rows, `k${n}`, { n })
      const handedOut: [readonly unknown[], readonly unknown[]][] = []
      for (const taken of [...steps, 'list' as const]) {
        if (taken === 'list') {
          const list = listOrdered(rows)
          const plain = [...rows.byKey].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, row]) => row)
          assert.deepEqual(list, plain)
          handedOut.push([list, plain])
        } else {
          const [name, n] = taken
          setOrdered(rows, name, n === undefined ? undefined : { n })
        }
      }
      for (const [list, then] of handedOut) assert.deepEqual(list, then, 'a list handed out does not change')
    }),
  )
})

test('a copy and its origin go separate ways', () => {
  const rows = emptyOrdered<string>({})
  for (const name of ['b', 'a']) setOrdered(rows, name, name)
  const copy = copyOrdered(rows, {})
  setOrdered(copy, 'c', 'c')
  setOrdered(rows, 'a', undefined)
  assert.deepEqual(listOrdered(copy), ['a', 'b', 'c'])
  assert.deepEqual(listOrdered(rows), ['b'])
})
