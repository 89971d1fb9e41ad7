// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { isIP } from 'node:net'
import { test } from 'node:test'
import fc from 'fast-check'
import {
  address,
  addressAt,
  addressFrom,
  canonicalAddress,
  canonicalPrefix,
  compareAddresses,
  contains,
  nextAddress,
  parseAddress,
  parseAddressInPrefix,
  parsePrefix,
  prefix,
  prefixOf,
  prefixSize,
  printAddress,
  printPrefix,
} from './ip.ts'

const anyAddress = fc.uint8Array({ minLength: 16, maxLength: 16 })
const sparseAddress = fc
  .array(fc.constantFrom(0, 0, 1, 0xff), { minLength: 16, maxLength: 16 })
  .map((b) => Uint8Array.from(b))

test('what is printed parses back to the same bytes', () => {
  fc.assert(
    fc.property(fc.oneof(anyAddress, sparseAddress), (bytes) => {
      assert.deepEqual(parseAddress(printAddress(bytes)), bytes)
    }),
  )
  fc.assert(
    fc.property(fc.ipV4(), (text) => {
      assert.equal(printAddress(address(text)), text)
    }),
  )
})

test('what parses is what Node takes for an address, zones aside', () => {
  const piece = fc.constantFrom('0', '1', 'ff', 'FFFF', '12345', '256', '01', ':', '::', '.', '1.2.3.4', 'g', '', ' ')
  const text = fc.oneof(
    fc.array(piece, { maxLength: 12 }).map((parts) => parts.join('')),
    fc.ipV6(),
    fc.ipV4(),
  )
  fc.assert(
    fc.property(text, (text) => {
      assert.equal(parseAddress(text) !== undefined, isIP(text) !== 0, text)
    }),
    { numRuns: 2000 },
  )
})

test('IPv6 is printed as RFC 5952 asks', () => {
  const cases: [string, string][] = [
    ['2001:0DB8:0000:0000:0001:0000:0000:0001', '2001:db8::1:0:0:1'],
    ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'],
    ['0:0:0:0:0:0:0:0', '::'],
    ['1:0:0:0:0:0:0:0', '1::'],
    ['::ffff:10.1.2.3', '10.1.2.3'],
    ['::10.1.2.3', '::a01:203'],
  ]
  for (const [text, expected] of cases) assert.equal(canonicalAddress(text), expected)
})

test('malformed prefixes are refused', () => {
  for (const text of [
    '10.0.0.0',
    '10.0.0.0/33',
    '10.0.0.0/',
    '10.0.0.0/08',
    '10.0.0/8',
    '::/129',
    '::/-1',
    '/8',
    '1::/64/3',
  ])
    assert.equal(parsePrefix(text), undefined, text)
})

test('a prefix clears host bits, an address in a prefix keeps them', () => {
  assert.equal(canonicalPrefix('10.1.2.3/12'), '10.0.0.0/12')
  assert.equal(canonicalPrefix('fd00:1:2::5/33'), 'fd00:1::/33')
  assert.equal(canonicalPrefix('10.1.2.3/32'), '10.1.2.3/32')
  assert.equal(canonicalPrefix('0.0.0.0/0'), '0.0.0.0/0')
  assert.equal(canonicalPrefix('::/0'), '::/0')
  const kept = parseAddressInPrefix('10.1.2.3/12')
  assert.equal(kept && printAddress(kept.address), '10.1.2.3')
  assert.equal(kept?.length, 108)
})

test('containment agrees with masking', () => {
  fc.assert(
    fc.property(sparseAddress, sparseAddress, fc.integer({ min: 97, max: 128 }), (a, b, length) => {
      const same = compareAddresses(prefixOf(a, length).address, prefixOf(b, length).address) === 0
      assert.equal(contains(prefixOf(a, length), b), same)
    }),
  )
  assert.equal(contains(prefix('10.0.0.0/8'), prefix('10.2.0.0/16')), true)
  assert.equal(contains(prefix('10.2.0.0/16'), prefix('10.0.0.0/8')), false)
  assert.equal(contains(prefix('0.0.0.0/0'), address('fd00::1')), false)
  assert.equal(contains(prefix('::/0'), address('10.0.0.1')), false)
  assert.equal(contains(prefix('::/0'), address('fd00::1')), true)
})

test('counting through a prefix crosses bytes and stops at its end', () => {
  const network = prefix('10.0.0.0/23')
  assert.equal(prefixSize(network), 512n)
  assert.equal(printAddress(addressAt(network, 256) as Uint8Array), '10.0.1.0')
  assert.equal(addressAt(network, 512), undefined)
  assert.equal(addressAt(network, -1), undefined)
  assert.equal(printAddress(nextAddress(address('255.255.255.255'))), '0.0.0.0')
  assert.equal(printAddress(nextAddress(address('fd00::ffff'))), 'fd00::1:0')
  assert.equal(printPrefix(prefixOf(address('fd00::1'), 64)), 'fd00::/64')
})

test('addresses come from 4 or 16 bytes', () => {
  assert.equal(printAddress(addressFrom(Uint8Array.of(10, 0, 0, 1))), '10.0.0.1')
  assert.throws(() => addressFrom(new Uint8Array(5)), /4 or 16 bytes/)
})
