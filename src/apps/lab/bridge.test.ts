// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { addressesOf, freeIndex } from './bridge.ts'

test('each node has its own address of both families, written as the kernel writes them', () => {
  assert.deepEqual(addressesOf(0, 0, false), { ipv4: '172.30.0.1', ipv6: 'fd00:172:30::1' })
  assert.deepEqual(addressesOf(7, 20, false), { ipv4: '172.30.7.21', ipv6: 'fd00:172:30:7::15' })
  assert.deepEqual(addressesOf(12, 1, true), { ipv6: 'fd00:172:30:12::2' })
})

test('the first network that no address and no route names is taken', () => {
  assert.equal(freeIndex('inet 10.0.0.1/8'), 0)
  assert.equal(freeIndex('inet 172.30.0.1/24\ninet6 fd00:172:30:1::1/64\n172.30.3.0/24 dev x'), 2)
  assert.equal(freeIndex('inet6 fd00:172:30::1/64'), 1)
})
