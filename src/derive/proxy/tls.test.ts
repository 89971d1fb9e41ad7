// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { TlsContext } from '../../model/proxy.ts'
import { listenerRow } from './resources.ts'
import { chainsOf, type Layer7Entry, namesOf } from './tls.ts'

const context = (name: string): TlsContext => ({
  secret: { namespace: 'default', name },
  trustedCA: '',
  certificate: '',
  privateKey: '',
})
const http = [{ method: 'GET', path: '', host: '', headers: [] }]
const passing = (...serverNames: string[]): Layer7Entry => ({ rule: 'p', http: [], tls: { serverNames } })
const plain: Layer7Entry = { rule: 'h', http }
const ending = (name: string, ...serverNames: string[]): Layer7Entry => ({
  rule: name,
  http,
  tls: { serverNames, terminating: context(name) },
})
const row = (...lists: Layer7Entry[][]) =>
  listenerRow(
    { name: 'l', side: 'ingress', port: 10_001, decidedPort: 10_001, rules: lists },
    { ipv4: true, ipv6: true },
    ({ name }) =>
      name === 'absent' ? undefined : { namespace: 's', name, data: { 'tls.crt': 'Y2VydA==', 'tls.key': 'a2V5' } },
  )

test('a pattern with one star means one more label, with two stars one or more', () => {
  const means = (pattern: string, name: string) => new RegExp(`^(?:${namesOf(pattern)})$`).test(name)
  assert.deepEqual(
    ['a.x', 'b.a.x', 'x', 'axx'].map((n) => [means('*.x', n), means('**.x', n), means('a.x', n)]),
    [
      [true, true, true],
      [false, true, false],
      [false, false, false],
      [false, false, false],
    ],
  )
})

test('without TLS there is one chain for everything, and no look at what is said first', () => {
  const text = JSON.stringify(row([plain]))
  assert.ok(!text.includes('tls_inspector') && !text.includes('filter_chain_match'))
})

test('names of both ends pass that both mean; plain requests pass no chain unless both ends have rules for them', () => {
  const chains = chainsOf([[passing('a.x', 'b.x'), plain], [passing('*.x', 'c.y')]])
  assert.deepEqual(
    chains.map((c) => [c.kind, c.name]),
    [
      ['names', 'sni a.x'],
      ['names', 'sni b.x'],
      ['names', 'sni'],
    ],
  )
  assert.deepEqual(chains[2]?.lists, [
    ['a.x', 'b.x'],
    ['*.x', 'c.y'],
  ])
})

test('where TLS ends by two rules for one name, those that mean it and those that mean every name are asked', () => {
  const chains = chainsOf([[ending('s', 'a.x'), ending('s'), passing('a.x', 'z')]])
  assert.deepEqual(
    chains.map((c) => [c.kind, c.name, c.kind === 'http' ? c.lists[0]?.length : 0]),
    [
      ['http', 'tls a.x', 2],
      ['http', 'tls', 1],
      ['names', 'sni z', 0],
    ],
  )
})

test('what one end ends the other end asks: the server of plain requests, the client of names', () => {
  const shown = (...lists: Layer7Entry[][]) =>
    chainsOf(lists).map((c) => [c.name, c.lists.map((l) => l.length), c.kind === 'http' ? c.names : []])
  assert.deepEqual(shown([ending('s', 'a.x')], [plain, passing('z')]), [['tls a.x', [1, 1], []]])
  assert.deepEqual(shown([passing('*.x')], [ending('s', 'a.x')]), [['tls a.x', [1], [['*.x']]]])
  const anew: Layer7Entry = {
    rule: 'o',
    http,
    tls: { serverNames: [], terminating: context('s'), originating: context('t') },
  }
  assert.deepEqual(shown([anew], [plain]), [])
  assert.deepEqual(shown([ending('s', 'a.x')], [ending('s', 'a.x')]), [])
  assert.deepEqual(shown([plain], [anew, plain]), [['', [1, 1], []]])
})

test('a secret that is missing closes its chain and says so; what is there is a resource of its own', () => {
  const { missing, resources } = row([ending('absent', 'a.x'), ending('there', 'b.x')])
  assert.equal(missing, 'secret default/absent is missing')
  const text = JSON.stringify(resources.find((r) => r.name === 'l')?.body)
  assert.ok(text.includes('b.x') && !text.includes('a.x') && !text.includes('inline'))
  assert.deepEqual(
    resources.filter((r) => r.type.endsWith('Secret')).map((r) => r.name),
    ['l tls b.x default/there certificate'],
  )
})

test('whatever the rules are, no two chains take the same connections, which Envoy would refuse', () => {
  const name = fc.constantFrom('a.x', 'b.x', '*.x', '**.x', '*', '**', 'y')
  const names = fc.array(name, { maxLength: 3 })
  const entry = fc.oneof(
    fc.constant(plain),
    fc.array(name, { minLength: 1, maxLength: 3 }).map((n) => passing(...n)),
    fc.record({ secret: fc.constantFrom('s', 't'), names }).map(({ secret, names: n }) => ending(secret, ...n)),
  )
  fc.assert(
    fc.property(fc.array(entry, { minLength: 1, maxLength: 5 }), (list) => {
      const taken = chainsOf([list]).map((c) => JSON.stringify(c.match ?? null))
      assert.equal(new Set(taken).size, taken.length)
      assert.ok(list.every((e) => e !== plain) || taken.length > 0)
    }),
    { numRuns: 300 },
  )
})
