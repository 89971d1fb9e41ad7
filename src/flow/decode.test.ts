// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Drop, type Event, EventFlags, EventKind, eventLayout, Observation } from '../../gen/contract.ts'
import { address } from '../base/ip.ts'
import { eventCounter } from './count.ts'
import { decodeEvent } from './decode.ts'
import { dropName, dropText } from './names.ts'

const event: Event = {
  time: 123456789012345,
  kind: EventKind.EVENT_DROP,
  reason: Drop.DROP_POLICY_DENIED,
  direction: 0,
  flags: 0,
  protocol: 6,
  tcpFlags: 0x12,
  sourcePort: 40000,
  destinationPort: 80,
  sourceEndpoint: 7,
  destinationEndpoint: 9,
  proxyPort: 0,
  length: 60,
  sourceIdentity: 1000,
  destinationIdentity: 2000,
  egressRule: 0,
  ingressRule: 3,
  egressStaged: 0,
  ingressStaged: 7,
  interface: 12,
  source: address('10.0.0.1'),
  destination: address('10.0.0.2'),
  packets: [0, 0],
  bytes: [0, 0],
}

function bytesOf(...events: Event[]): DataView {
  const view = new DataView(new ArrayBuffer(8 + events.length * eventLayout.size))
  for (const [i, e] of events.entries()) eventLayout.write(view, 8 + i * eventLayout.size, e)
  return view
}

test('a drop is told in words: reason, ends, protocol, flags, rule', () => {
  const e = decodeEvent(bytesOf(event), 8, eventLayout.size)
  assert.ok(e)
  assert.equal(e.kind, 'drop')
  assert.equal(e.text, 'Policy denied')
  assert.equal(e.dropReason, 'POLICY_DENIED')
  assert.equal(e.direction, 'ingress')
  assert.equal(e.protocol, 'TCP')
  assert.equal(e.tcpFlags, 'SYN, ACK')
  assert.deepEqual(e.source, { address: '10.0.0.1', port: 40000, identity: 1000, endpoint: 7 })
  assert.deepEqual(e.destination, { address: '10.0.0.2', port: 80, identity: 2000, endpoint: 9 })
  assert.equal(e.ingressRule, 3)
  assert.deepEqual([e.egressStaged, e.ingressStaged], [0, 7])
  assert.equal(e.time, 123456789012345)
})

test('a closed flow carries the counters of both directions, an IPv6 one its addresses', () => {
  const closed: Event = {
    ...event,
    kind: EventKind.EVENT_CLOSE,
    reason: Observation.AT_TO_ENDPOINT,
    direction: 1,
    flags: EventFlags.EVENT_IPV6 | EventFlags.EVENT_AUDIT,
    source: address('fd00::1'),
    destination: address('2001:db8::2'),
    packets: [10, 2 ** 40],
    bytes: [1000, 5],
  }
  const e = decodeEvent(bytesOf(closed), 8, eventLayout.size)
  assert.ok(e)
  assert.equal(`${e.kind} ${e.text} ${e.direction} ${e.family}`, 'close to-endpoint egress IPv6')
  assert.equal(e.source.address, 'fd00::1')
  assert.deepEqual(e.packets, [10, 2 ** 40])
  assert.ok(e.audit && !e.reply)
})

test('records that are too short or of an unknown kind give nothing and are counted', () => {
  const counter = eventCounter()
  const view = bytesOf(event)
  assert.equal(decodeEvent(view, 8, 40), undefined)
  assert.equal(decodeEvent(bytesOf({ ...event, kind: 77 }), 8, eventLayout.size), undefined)
  counter.count(view, 8, 40)
  assert.equal(counter.strange, 1)
})

test('counting in place agrees with decoding', () => {
  const one = fc.record({
    kind: fc.constantFrom(1, 2, 3, 4),
    reason: fc.integer({ min: 0, max: 255 }),
    direction: fc.integer({ min: 0, max: 1 }),
    length: fc.integer({ min: 0, max: 0xffffffff }),
  })
  fc.assert(
    fc.property(fc.array(one, { maxLength: 50 }), (fields) => {
      const events = fields.map((f) => ({ ...event, ...f }))
      const view = bytesOf(...events)
      const counter = eventCounter()
      for (let i = 0; i < events.length; i++) counter.count(view, 8 + i * eventLayout.size, eventLayout.size)
      const expected = new Map<string, [number, number]>()
      for (const e of events) {
        const key = `${e.kind} ${e.reason} ${e.direction}`
        const [n, bytes] = expected.get(key) ?? [0, 0]
        expected.set(key, [n + 1, bytes + e.length])
      }
      const got = new Map(counter.totals().map((t) => [`${t.kind} ${t.reason} ${t.direction}`, [t.events, t.bytes]]))
      assert.deepEqual(got, new Map([...expected].map(([k, v]) => [k, [...v]])))
    }),
  )
})

test('every drop code of the contract has a text and a name of its own', () => {
  const texts = Object.values(Drop).map(dropText)
  assert.equal(new Set(texts).size, texts.length)
  assert.ok(texts.every((text) => !text.startsWith('reason ')))
  assert.ok(Object.values(Drop).every((code) => dropName(code) !== 'DROP_REASON_UNKNOWN'))
  assert.equal(dropText(99), 'reason 99')
})
