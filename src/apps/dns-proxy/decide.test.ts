// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encode, type Packet } from 'dns-packet'
import type { DnsListenerRow } from '../../model/proxy.ts'
import { mutated, randomOf } from '../../protocol/dns/fuzz.ts'
import { rcode, readMessage } from '../../protocol/dns/message.ts'
import { answerTo } from './ask.ts'
import { decide } from './decide.ts'

const listener = (refuse: DnsListenerRow['refuse'] = 'refused'): DnsListenerRow => ({
  name: 'l',
  port: 10001,
  refuse,
  rules: [
    { rule: 'p#0', dns: [{ matchName: 'www.example.org' }] },
    { rule: 'p#1', dns: [{ matchPattern: '*.example.org' }] },
  ],
})
const query = (name: string, more: Partial<Packet> = {}, type = 'A'): Uint8Array =>
  encode({ type: 'query', id: 77, flags: 0x100, questions: [{ name, type }], ...more })
const codeOf = (bytes: Uint8Array, of = listener()): number => {
  const decision = decide(bytes, of)
  assert.equal(decision.kind, 'answer')
  return decision.kind === 'answer' ? (decision.bytes[3] as number) & 15 : -1
}

test('a name is asked for when a rule allows it, whatever its case, and all rules that do are named', () => {
  for (const [name, rules] of [
    ['WWW.example.ORG', ['p#0', 'p#1']],
    ['a.example.org', ['p#1']],
  ] as const) {
    const decision = decide(query(name), listener())
    assert.equal(decision.kind, 'ask')
    if (decision.kind === 'ask') assert.deepEqual([decision.name, decision.rules], [name.toLowerCase(), rules])
  }
})

test('others are refused as the options say, and so are transfers of zones', () => {
  assert.equal(codeOf(query('example.org')), rcode.REFUSED)
  assert.equal(codeOf(query('www.example.org.evil.net')), rcode.REFUSED)
  assert.equal(codeOf(query('a.b.example.org')), rcode.REFUSED)
  assert.equal(codeOf(query('example.org'), listener('nameError')), rcode.NXDOMAIN)
  assert.equal(codeOf(query('www.example.org', {}, 'AXFR')), rcode.REFUSED)
})

test('what is no question is told so, and answers are not answered', () => {
  assert.equal(codeOf(query('www.example.org', { flags: 0x2900 })), rcode.NOTIMP)
  const two = {
    questions: [
      { name: 'www.example.org', type: 'A' },
      { name: 'other.net', type: 'A' },
    ],
  }
  assert.equal(codeOf(query('', two)), rcode.FORMERR)
  const answer = { type: 'A' as const, name: 'www.example.org', ttl: 1, data: '10.0.0.1' }
  assert.equal(codeOf(query('www.example.org', { answers: [answer] })), rcode.FORMERR)
  assert.equal(
    decide(encode({ type: 'response', id: 1, questions: [{ name: 'a', type: 'A' }] }), listener()).kind,
    'ignore',
  )
  assert.equal(decide(new Uint8Array(5), listener()).kind, 'ignore')
})

test('no name passes that no rule allows, however the question is damaged', () => {
  const random = randomOf(99)
  const samples = [query('www.example.org'), query('a.example.org', {}, 'AAAA'), query('other.net')]
  let asked = 0
  for (let i = 0; i < 10_000; i++) {
    const bytes = mutated(samples, random)
    const decision = decide(bytes, listener())
    if (decision.kind !== 'ask') continue
    asked++
    const read = readMessage(bytes)
    assert.ok(read.ok && /^[-a-z0-9_]*\.example\.org$/.test(read.value.question.name.toLowerCase()), String(i))
  }
  assert.ok(asked > 100)
})

test('an answer is one with the id and the question that were sent', () => {
  const question = { name: 'www.example.org', type: 1, class: 1 }
  const reply = (more: Partial<Packet> = {}) =>
    encode({ type: 'response', id: 9, flags: 0x180, questions: [{ name: 'www.example.org', type: 'A' }], ...more })
  assert.ok(answerTo(reply(), 9, question)?.message)
  assert.equal(answerTo(reply(), 8, question), undefined)
  assert.equal(answerTo(reply({ type: 'query' }), 9, question), undefined)
  assert.equal(answerTo(reply({ questions: [{ name: 'bank.example', type: 'A' }] }), 9, question), undefined)
  assert.equal(answerTo(reply({ questions: [{ name: 'www.example.org', type: 'AAAA' }] }), 9, question), undefined)
  assert.deepEqual(answerTo(Uint8Array.of(0, 9, 0x81, 0x81, 0, 0, 0, 0, 0, 0, 0, 0), 9, question), {
    message: undefined,
  })
  assert.equal(answerTo(Uint8Array.of(0, 9, 0x81, 0x80, 0, 0, 0, 0, 0, 0, 0, 0), 9, question), undefined)
})
