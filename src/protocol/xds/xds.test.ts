// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { openAdsStream, type Resource } from './ads.ts'
import { DecodeError, decode } from './decode.ts'
import { encode, type Json } from './encode.ts'

const LISTENER = 'envoy.config.listener.v3.Listener'
const ROUTES = 'envoy.config.route.v3.RouteConfiguration'
const REQUEST = 'envoy.service.discovery.v3.DeltaDiscoveryRequest'
const RESPONSE = 'envoy.service.discovery.v3.DeltaDiscoveryResponse'

test('messages come back as they went, with lists, maps, packed messages, durations and enumerations', () => {
  const value = {
    name: 'é€😀',
    address: { socket_address: { address: '::1', port_value: 65535, protocol: 'TCP' } },
    transparent: true,
    socket_options: [{ level: 1, name: 36, int_value: 2 ** 32 + 5, state: 'STATE_BOUND' }],
    filter_chains: [
      { filters: [{ name: 'r', typed_config: { '@type': ROUTES, name: 'x', request_headers_to_remove: ['a', 'b'] } }] },
    ],
  }
  assert.deepEqual(decode(LISTENER, encode(LISTENER, value)), value)
  const request = { initial_resource_versions: { a: '1', b: '2' }, resource_names_subscribe: ['*'] }
  assert.deepEqual(decode(REQUEST, encode(REQUEST, request)), request)
  const cluster = decode(
    'envoy.config.cluster.v3.Cluster',
    encode('envoy.config.cluster.v3.Cluster', { connect_timeout: '2.5s', type: 'ORIGINAL_DST' }),
  )
  assert.deepEqual(cluster, { connect_timeout: 2500, type: 'ORIGINAL_DST' })
})

test('bytes are those of the protocol', () => {
  const bytes = encode('envoy.type.matcher.v3.RegexMatcher', { regex: '/a' })
  assert.deepEqual([...bytes], [0x12, 2, 0x2f, 0x61])
  const options = encode('envoy.config.core.v3.SocketOption', { level: -1, name: 300 })
  assert.deepEqual([...options], [0x10, 255, 255, 255, 255, 255, 255, 255, 255, 255, 1, 0x18, 0xac, 2])
})

test('a field that the message does not have is an error of the program', () => {
  assert.throws(() => encode(LISTENER, { nmae: 'x' }), /has no field nmae/)
  assert.throws(() => encode('no.such.Message', {}), /no message no.such.Message/)
})

test('no bytes do more than fail to be a message', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 60 }), (bytes) => {
      try {
        decode(REQUEST, bytes)
      } catch (e) {
        assert.ok(e instanceof DecodeError, String(e))
      }
    }),
    { numRuns: 5000 },
  )
})

const listener = (name: string, version: string): Resource => ({
  type: LISTENER,
  name,
  version,
  body: { '@type': LISTENER, name },
})
const routes = (name: string, version: string): Resource => ({
  type: ROUTES,
  name,
  version,
  body: { '@type': ROUTES, name },
})
const ask = (type: string, more: Json = {}) => encode(REQUEST, { type_url: `type.googleapis.com/${type}`, ...more })
const answers = (messages: readonly Uint8Array[]) =>
  messages.map((m) => {
    const r = decode(RESPONSE, m)
    return {
      nonce: String(r['nonce']),
      names: ((r['resources'] ?? []) as Json[]).map((x) => `${x['name']}@${x['version']}`),
      removed: (r['removed_resources'] ?? []) as string[],
    }
  })

test('nothing is sent of a type that was not asked for, and all of it once it is', () => {
  const ads = openAdsStream()
  assert.deepEqual(ads.put([listener('a', '1')]).send, [])
  const [first] = answers(ads.receive(ask(LISTENER)).send)
  assert.deepEqual(first?.names, ['a@1'])
  assert.deepEqual(answers(ads.put([listener('b', '1')]).send)[0]?.names, ['b@1'])
  assert.deepEqual(ads.put([listener('b', '1')]).send, [])
})

test('the first question is answered even when there is nothing to say', () => {
  const [first] = answers(openAdsStream().receive(ask(LISTENER)).send)
  assert.deepEqual([first?.names, first?.removed], [[], []])
})

test('an acknowledgement settles what its answer carried, a refusal those it names', () => {
  const ads = openAdsStream()
  ads.receive(ask(LISTENER))
  const [sent] = answers(ads.put([listener('good', '1'), listener('bad', '1')]).send)
  const refusal = { response_nonce: sent?.nonce, error_detail: { message: 'Error adding listener(s) bad: no' } }
  assert.deepEqual(ads.receive(ask(LISTENER, refusal)).settled, [
    { type: LISTENER, name: 'good', version: '1' },
    { type: LISTENER, name: 'bad', version: '1', error: 'Error adding listener(s) bad: no' },
  ])
  assert.deepEqual([...ads.held(LISTENER)], [['good', '1']])
  const [again] = answers(ads.put([listener('bad', '2')]).send)
  assert.deepEqual(ads.receive(ask(LISTENER, { response_nonce: again?.nonce })).settled, [
    { type: LISTENER, name: 'bad', version: '2' },
  ])
  assert.deepEqual(ads.receive(ask(LISTENER, { response_nonce: again?.nonce })).settled, [])
})

test('an Envoy that comes back is sent only what differs, and loses what is not wanted', () => {
  const ads = openAdsStream()
  ads.put([listener('same', '1'), listener('other', '2')])
  const step = ads.receive(ask(LISTENER, { initial_resource_versions: { same: '1', other: '1', gone: '1' } }))
  const [sent] = answers(step.send)
  assert.deepEqual([sent?.names, sent?.removed], [['other@2'], ['gone']])
  assert.equal(ads.held(LISTENER).get('same'), '1')
})

test('routes are sent by name, one by one; a name that is nobody is answered', () => {
  const ads = openAdsStream()
  ads.put([routes('a', '1'), routes('b', '1'), routes('c', '1')])
  const sent = answers(ads.receive(ask(ROUTES, { resource_names_subscribe: ['a', 'b', 'x'] })).send)
  assert.deepEqual(
    sent.map((s) => s.names).filter((n) => n.length > 0),
    [['a@1'], ['b@1']],
  )
  assert.deepEqual(
    answers(ads.put([routes('a', '2'), routes('c', '2')]).send).map((s) => s.names),
    [['a@2']],
  )
  const more = answers(ads.receive(ask(ROUTES, { resource_names_subscribe: ['y'] })).send)
  assert.deepEqual(more.at(-1)?.removed, ['y'])
})

test('whatever comes and goes, Envoy ends with what is wanted', () => {
  const change = fc.record({ name: fc.constantFrom('a', 'b', 'c'), version: fc.option(fc.constantFrom('1', '2')) })
  fc.assert(
    fc.property(fc.array(change, { maxLength: 30 }), (changes) => {
      const ads = openAdsStream()
      const envoy = new Map<string, string>()
      const take = (messages: readonly Uint8Array[]) => {
        for (const m of messages) {
          const r = answers([m])[0]
          for (const n of r?.names ?? []) envoy.set(...(n.split('@') as [string, string]))
          for (const n of r?.removed ?? []) envoy.delete(n)
          take(ads.receive(ask(LISTENER, { response_nonce: r?.nonce })).send)
        }
      }
      take(ads.receive(ask(LISTENER)).send)
      const wanted = new Map<string, string>()
      for (const { name, version } of changes) {
        if (version === null) {
          wanted.delete(name)
          take(ads.remove(LISTENER, [name]).send)
        } else {
          wanted.set(name, version)
          take(ads.put([listener(name, version)]).send)
        }
      }
      assert.deepEqual([...envoy].sort(), [...wanted].sort())
      assert.deepEqual([...ads.held(LISTENER)].sort(), [...wanted].sort())
    }),
  )
})
