// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isDeepStrictEqual } from 'node:util'
import fc from 'fast-check'
import { equal } from './equal.ts'

const leaf = fc.oneof(
  fc.constantFrom(0, 1, '', 'a', null, true, 1n, Number.NaN),
  fc.uint8Array({ maxLength: 2, max: 1 }),
  fc.array(fc.constantFrom('a', 'b')).map((members) => new Set(members)),
)
const { value } = fc.letrec((tie) => ({
  value: fc.oneof(
    { depthSize: 'small' },
    leaf,
    fc.array(tie('value'), { maxLength: 2 }),
    fc.dictionary(fc.constantFrom('x', 'y'), tie('value'), { noNullPrototype: true }),
    fc
      .dictionary(fc.constantFrom('x', 'y'), leaf, { noNullPrototype: true })
      .map((entries) => new Map(Object.entries(entries))),
  ),
}))

test('data is equal when the platform says so', () => {
  fc.assert(
    fc.property(value, value, (a, b) => {
      assert.equal(equal(a, b), isDeepStrictEqual(a, b))
      assert.equal(equal(a, a), true)
    }),
    { numRuns: 3000 },
  )
})

test('a field that is undefined counts as absent', () => {
  assert.equal(equal({ a: 1, b: undefined }, { a: 1 }), true)
  assert.equal(equal({ a: 1 }, { a: 1, b: undefined }), true)
  assert.equal(equal({ a: undefined }, { b: 1 }), false)
})
