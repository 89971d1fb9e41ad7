// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { freeRange, nextFree, numbersByHash } from './numbers.ts'

test('numbers are distinct, within bounds, and kept by who holds one', () => {
  fc.assert(
    fc.property(
      fc.uniqueArray(fc.string(), { maxLength: 12 }),
      fc.uniqueArray(fc.string(), { maxLength: 12 }),
      (first, second) => {
        const held = numbersByHash(first, new Map(), 5, 16)
        const after = numbersByHash(second, held, 5, 16)
        assert.equal(after.size, second.length)
        assert.equal(new Set(after.values()).size, second.length)
        for (const [key, number] of after) {
          assert.ok(number >= 5 && number <= 16)
          if (held.has(key)) assert.equal(number, held.get(key))
        }
      },
    ),
  )
})

test('who finds no number is left out', () => {
  assert.equal(numbersByHash(['a', 'b', 'c'], new Map(), 1, 2).size, 2)
  assert.equal(
    nextFree(1, 3, 2, () => true),
    undefined,
  )
})

test('the search goes on from where it starts and round once', () => {
  assert.equal(
    nextFree(1, 5, 4, (n) => n === 4),
    5,
  )
  assert.equal(
    nextFree(1, 5, 5, (n) => n === 5),
    1,
  )
  assert.equal(
    nextFree(1, 5, 99, () => false),
    4,
  )
})

test('a free run overlaps none in use and lies within the array', () => {
  const range = fc.record({ first: fc.nat(40), count: fc.integer({ min: 1, max: 8 }) })
  fc.assert(
    fc.property(fc.array(range), fc.integer({ min: 1, max: 10 }), fc.nat(49), (used, count, start) => {
      const at = freeRange(used, count, 50, start)
      const fits = (from: number) =>
        from + count <= 50 && used.every((r) => r.first + r.count <= from || from + count <= r.first)
      if (at === undefined) assert.ok(!Array.from({ length: 50 }, (_, i) => i).some(fits))
      else assert.ok(fits(at))
    }),
  )
})
