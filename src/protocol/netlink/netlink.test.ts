// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeAddress, encodeAddress } from './address.ts'
import { decodeFilter, decodeQdisc, encodeClsact, encodeFilter } from './filter.ts'
import { decodeLink, encodeNewLink } from './link.ts'
import { attributesOf, decodeAnswer, decodeMessages, encodeMessage, macBytes, macText, Writer } from './message.ts'
import { decodeNeighbour, encodeNeighbour } from './neighbour.ts'
import { decodeRoute, decodeRule, encodeRoute, encodeRule } from './route.ts'

const message = (body: Uint8Array, type = 0, flags = 0) => decodeMessages(encodeMessage(type, flags, 1, body))[0]!

test('messages of one datagram come apart again, unaligned lengths included', () => {
  const bodies = [new Uint8Array([1, 2, 3]), new Uint8Array(), new Uint8Array([4, 5, 6, 7])]
  const parts = bodies.map((body, i) => encodeMessage(16 + i, i, 100 + i, body))
  const all = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    all.set(part, at)
    at += part.length
  }
  assert.deepEqual(
    decodeMessages(all).map((m) => [m.type, m.flags, m.sequence, [...m.body]]),
    [
      [16, 0, 100, [1, 2, 3]],
      [17, 1, 101, []],
      [18, 2, 102, [4, 5, 6, 7]],
    ],
  )
})

test('lengths that lie are refused or end the list, never read beyond', () => {
  const lying = encodeMessage(16, 0, 1, new Uint8Array(8))
  new DataView(lying.buffer).setUint32(0, 4000, true)
  assert.throws(() => decodeMessages(lying), /netlink message of 4000 bytes/)
  new DataView(lying.buffer).setUint32(0, 3, true)
  assert.throws(() => decodeMessages(lying), /netlink message of 3 bytes/)
  assert.equal(attributesOf(Uint8Array.of(200, 0, 1, 0, 9)).size, 0)
  assert.equal(attributesOf(Uint8Array.of(0, 0, 1, 0, 9, 9, 9, 9)).size, 0)
})

test('an error carries the words of the kernel, after the request it echoes or its header alone', () => {
  const words = new Writer().attributeText(1, 'Nexthop has invalid gateway').done()
  const header = new Writer().u32(24).u16(24).u16(5).u32(1).u32(0)
  const error = (capped: boolean): Uint8Array =>
    new Writer()
      .u32(-101 >>> 0)
      .raw(header.done())
      .raw(capped ? new Uint8Array() : new Uint8Array(8))
      .raw(words)
      .done()
  assert.deepEqual(decodeAnswer(message(error(true), 2, 0x300)), { errno: 101, words: 'Nexthop has invalid gateway' })
  assert.deepEqual(decodeAnswer(message(error(false), 2, 0x200)), { errno: 101, words: 'Nexthop has invalid gateway' })
  assert.deepEqual(decodeAnswer(message(new Writer().u32(0).raw(header.done()).done(), 2)), { errno: 0, words: '' })
})

test('what is encoded decodes to the same', () => {
  const route = {
    prefix: 'fd00:10::/64',
    via: 'fd00::9',
    device: 3,
    source: 'fd00::1',
    mtu: 1430,
    table: 1000,
    metric: 5,
    protocol: 201,
    scope: 0,
    type: 'unicast' as const,
    onlink: true,
  }
  assert.deepEqual(decodeRoute(message(encodeRoute(route))), route)
  const sixthHop = decodeRoute(message(encodeRoute({ prefix: '0.0.0.0/0', via: 'fe80::1', device: 2 })))
  assert.deepEqual([sixthHop.prefix, sixthHop.via], ['0.0.0.0/0', 'fe80::1'])
  assert.equal(decodeRoute(message(encodeRoute({ prefix: '10.0.0.0/8', type: 'blackhole' }))).type, 'blackhole')

  const rule = {
    family: 4 as const,
    priority: 9,
    table: 300,
    mark: 0x200,
    mask: 0xf00,
    from: '10.0.0.0/8',
    to: '',
    protocol: 201,
  }
  assert.deepEqual(decodeRule(message(encodeRule(rule))), rule)
  const neighbour = { device: 4, address: '10.0.0.9', mac: '02:00:00:00:00:09', state: 0x80 }
  assert.deepEqual(decodeNeighbour(message(encodeNeighbour(neighbour))), neighbour)
  const address = { device: 4, address: '10.0.0.9/24', scope: 253 }
  assert.deepEqual(decodeAddress(message(encodeAddress(address))), address)
  const link = decodeLink(
    message(
      encodeNewLink({
        kind: 'veth',
        name: 'lxc1',
        mac: '02:00:00:00:00:09',
        mtu: 1450,
        up: true,
        peer: { name: 'eth0' },
      }),
    ),
  )
  assert.deepEqual(
    [link.name, link.kind, link.mac, link.mtu, link.up],
    ['lxc1', 'veth', '02:00:00:00:00:09', 1450, true],
  )
})

test('MAC addresses are strict, names of devices plain', () => {
  assert.equal(macText(macBytes('0A:00:00:00:00:ff')), '0a:00:00:00:00:ff')
  for (const bad of ['', '00:00', '0:0:0:0:0:0', '00:00:00:00:00:gg', '00:00:00:00:00:00:00'])
    assert.throws(() => macBytes(bad), /no MAC address/)
  assert.throws(() => new Writer().attributeText(1, 'naïve\u2603'), /cannot hold/)
  assert.throws(() => encodeAddress({ device: 1, address: '10.0.0.1' }), /no address with a prefix length/)
})

test('a filter of a device says where it stands and whose it is; other entries of a list are none', () => {
  const place = { device: 7, direction: 'egress', priority: 1, handle: 0xc111 } as const
  const body = encodeFilter({ ...place, name: 'links/to_pod', program: 5 })
  assert.deepEqual(decodeFilter(message(body)), { ...place, kind: 'bpf', name: 'links/to_pod', program: 0 })
  body.fill(0, 8, 12) // a priority itself has no handle
  assert.equal(decodeFilter(message(body)), undefined)
  assert.equal(decodeFilter(message(encodeClsact(7))), undefined)
  assert.deepEqual(decodeQdisc(message(encodeClsact(7))), { device: 7, kind: 'clsact' })
})
