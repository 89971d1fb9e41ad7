// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { address, contains, type Prefix, prefix, prefixOf, printPrefix } from './ip.ts'
import { openLpm } from './lpm.ts'

/** The second, stupid implementation: all prefixes, the longest that holds the address. */
function naive(entries: ReadonlyMap<string, readonly [Prefix, number]>, of: Uint8Array): number | undefined {
  let best: readonly [Prefix, number] | undefined
  for (const entry of entries.values()) {
    if (contains(entry[0], of) && (!best || entry[0].length >= best[0].length)) best = entry
  }
  return best?.[1]
}

const bytes = fc
  .array(fc.constantFrom(0, 1, 0x80, 0xff), { minLength: 16, maxLength: 16 })
  .map((b) => Uint8Array.from(b))
const ipv4 = bytes.map((b) => {
  const mapped = b.slice().fill(0, 0, 10).fill(0xff, 10, 12)
  return mapped
})
const anyAddress = fc.oneof(ipv4, bytes)
const anyPrefix = fc.oneof(
  fc.tuple(ipv4, fc.integer({ min: 96, max: 128 })).map(([a, length]) => prefixOf(a, length)),
  fc.tuple(bytes, fc.integer({ min: 0, max: 128 })).map(([a, length]) => prefixOf(a, length)),
)
const operation = fc.record({ prefix: anyPrefix, remove: fc.boolean(), value: fc.integer() })

test('longest match agrees with looking at all prefixes, through insertions and removals', () => {
  fc.assert(
    fc.property(
      fc.array(operation, { maxLength: 60 }),
      fc.array(anyAddress, { maxLength: 20 }),
      (operations, asked) => {
        const lpm = openLpm<number>()
        const model = new Map<string, readonly [Prefix, number]>()
        for (const { prefix, remove, value } of operations) {
          const name = printPrefix(prefix)
          if (remove) assert.equal(lpm.remove(prefix), model.delete(name))
          else {
            lpm.set(prefix, value)
            model.set(name, [prefix, value])
          }
        }
        assert.equal(lpm.size, model.size)
        for (const [p, value] of model.values()) assert.equal(lpm.get(p), value)
        for (const a of [...asked, ...operations.map(({ prefix }) => prefix.address)]) {
          assert.equal(lpm.match(a), naive(model, a))
        }
      },
    ),
  )
})

test('nodes of removed prefixes are used again', () => {
  const lpm = openLpm<string>()
  lpm.set(prefix('10.0.0.0/8'), 'wide')
  for (let i = 0; i < 1000; i++) {
    lpm.set(prefix(`10.${i % 256}.0.0/16`), 'narrow')
    assert.equal(lpm.match(address(`10.${i % 256}.1.1`)), 'narrow')
    lpm.remove(prefix(`10.${i % 256}.0.0/16`))
  }
  assert.equal(lpm.match(address('10.1.2.3')), 'wide')
  assert.equal(lpm.match(address('fd00::1')), undefined)
  assert.equal(lpm.size, 1)
})
