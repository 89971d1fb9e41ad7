// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Answer, encode, type Packet } from 'dns-packet'
import fc from 'fast-check'
import { concatBytes, fromHex } from '../../base/bytes.ts'
import { address, printAddress } from '../../base/ip.ts'
import { answers, resolved } from './answer.ts'
import { examine, examineStream, mutated, randomOf } from './fuzz.ts'
import { type Message, rcode, readHeader, readMessage, recordType } from './message.ts'
import { readName } from './name.ts'
import { answerWithout, formatError, withId } from './refusal.ts'
import { framed } from './stream.ts'

const read = (bytes: Uint8Array): Message => {
  const message = readMessage(bytes)
  if (!message.ok) assert.fail(message.error)
  return message.value
}
const problem = (bytes: Uint8Array): string => {
  const message = readMessage(bytes)
  return message.ok ? '' : message.error
}
const question = { name: 'www.example.org', type: recordType.A, class: 1 }
const response = (of: readonly Answer[], more: Partial<Packet> = {}): Uint8Array =>
  encode({
    type: 'response',
    id: 7,
    flags: 0x180,
    questions: [{ name: 'www.example.org', type: 'A' }],
    answers: of,
    ...more,
  })
const a = (name: string, data: string, ttl = 60): Answer => ({ type: 'A', name, ttl, data })
const cname = (name: string, data: string, ttl = 60): Answer => ({ type: 'CNAME', name, ttl, data })
const opt = (udpPayloadSize: number, flags = 0): Answer => ({ type: 'OPT', name: '.', udpPayloadSize, flags })
const found = (bytes: Uint8Array) => {
  const { addresses, aliases, ttl } = resolved(read(bytes), question)
  return { addresses: addresses.map(printAddress), aliases, ttl }
}

const label = fc.stringMatching(/^[A-Za-z0-9_-]{1,20}$/)
const name = fc.array(label, { minLength: 1, maxLength: 6 }).map((labels) => labels.join('.'))
const record: fc.Arbitrary<Answer> = fc.oneof(
  fc.record({
    type: fc.constant('A' as const),
    name,
    ttl: fc.nat(0x7fffffff),
    data: fc.ipV4(),
  }),
  fc.record({
    type: fc.constant('AAAA' as const),
    name,
    ttl: fc.nat(0x7fffffff),
    data: fc.ipV6().map((text) => printAddress(address(text))),
  }),
  fc.record({ type: fc.constant('CNAME' as const), name, ttl: fc.nat(0x7fffffff), data: name }),
  fc.record({ type: fc.constant('TXT' as const), name, ttl: fc.nat(0x7fffffff), data: fc.string({ maxLength: 50 }) }),
)

test('what another library writes is read as it was meant', () => {
  fc.assert(
    fc.property(
      fc.nat(65535),
      name,
      fc.array(record, { maxLength: 8 }),
      fc.option(fc.integer({ min: 512, max: 65535 })),
      (id, asked, records, size) => {
        const message = read(
          encode({
            type: 'response',
            id,
            flags: 0x180,
            questions: [{ name: asked, type: 'A' }],
            answers: records,
            additionals: size === null ? [] : [opt(size, 0x8000)],
          }),
        )
        assert.equal(message.header.id, id)
        assert.deepEqual(message.question, { name: asked, type: 1, class: 1 })
        assert.deepEqual(
          message.answers.map((r) => [r.name, r.ttl, r.address ? printAddress(r.address) : (r.target ?? '')]),
          records.map((r) => [r.name, 'ttl' in r ? r.ttl : 0, r.type === 'TXT' ? '' : 'data' in r ? r.data : '']),
        )
        assert.deepEqual(message.edns, size === null ? undefined : { udpBytes: size, version: 0, dnssecOk: true })
      },
    ),
    { numRuns: 500 },
  )
})

test('records of unknown types are passed over by their length', () => {
  const https = fromHex('c00c 0041 0001 0000003c 0005 0001000001') as Uint8Array
  const srv = fromHex('c00c 0021 0001 0000003c 0007 000a000a0050 00') as Uint8Array
  const head = response([])
  const bytes = concatBytes([head, https, srv])
  bytes[7] = 2
  assert.deepEqual(
    read(bytes).answers.map((r) => [r.name, r.type]),
    [
      ['www.example.org', 65],
      ['www.example.org', 33],
    ],
  )
})

test('names keep their case, and odd octets do not pass for dots', () => {
  const bytes = concatBytes([new Uint8Array(12), Uint8Array.of(3, 0x57, 0x77, 0x2e, 2, 0x5c, 0x07, 1, 0x20, 0)])
  assert.deepEqual(readName(bytes, 12), { ok: true, value: { text: 'Ww\\..\\\\\\007.\\032', end: 22 } })
  assert.deepEqual(readName(Uint8Array.of(0), 0), { ok: true, value: { text: '', end: 1 } })
})

test('hostile names, counts and lengths are refused', () => {
  const query = new Uint8Array(encode({ type: 'query', id: 1, questions: [{ name: 'a.b', type: 'A' }] }))
  const changed = (at: number, ...octets: readonly number[]) => {
    const out = query.slice()
    out.set(octets, at)
    return out
  }
  assert.equal(problem(changed(12, 0xc0, 12)), 'a name points forwards')
  assert.equal(problem(changed(12, 0xc0, 4)), 'a name points into the header')
  assert.equal(problem(changed(12, 0xff, 0xff)), 'a name points forwards')
  assert.equal(problem(changed(12, 0x40)), 'a label of an unknown kind')
  assert.equal(problem(changed(12, 63)), 'a name runs past the end')
  assert.equal(problem(changed(4, 0xff, 0xff)), '65535 questions, not one')
  assert.equal(problem(changed(4, 0, 0)), '0 questions, not one')
  assert.equal(problem(changed(6, 0xff, 0xff)), 'a name runs past the end')
  assert.equal(problem(query.subarray(0, 15)), 'a name runs past the end')
  assert.equal(problem(query.subarray(0, 19)), 'the question runs past the end')
  assert.equal(problem(query.subarray(0, 11)), 'shorter than a header')
  assert.equal(problem(concatBytes([query, Uint8Array.of(0)])), 'something follows the message')
  assert.equal(problem(new Uint8Array(65536)), 'longer than a message may be')
  const long = concatBytes([
    new Uint8Array(12),
    ...Array.from({ length: 5 }, () => Uint8Array.of(60, ...Array(60).fill(97))),
  ])
  assert.deepEqual(readName(long, 12), { ok: false, error: 'a name is too long' })
  const short = response([a('www.example.org', '10.0.0.1')])
  short[short.length - 5] = 3
  assert.equal(problem(short.subarray(0, short.length - 1)), 'an address of an odd length')
  assert.equal(problem(response([], { additionals: [opt(512), opt(512)] })), 'OPT where it may not be')
})

test('a chain of pointers backwards ends, however long it is', () => {
  // Each name is a pointer to the one before: valid, and 30000 steps deep.
  const bytes = new Uint8Array(65535)
  bytes.set(response([]).subarray(0, 12))
  for (let at = 14; at + 1 < 16000; at += 2) {
    bytes[at] = 0xc0 | ((at - 2) >> 8)
    bytes[at + 1] = (at - 2) & 0xff
  }
  bytes[12] = 0
  assert.deepEqual(readName(bytes, 15998), { ok: true, value: { text: '', end: 16000 } })
})

test('addresses are those of the name that was asked for, by its aliases', () => {
  assert.deepEqual(found(response([a('www.example.org', '10.0.0.1', 30), a('WWW.Example.org', '10.0.0.2', 20)])), {
    addresses: ['10.0.0.1', '10.0.0.2'],
    aliases: [],
    ttl: 20,
  })
  assert.deepEqual(
    found(
      response([cname('www.example.org', 'cdn.net', 5), cname('CDN.net', 'x.cdn.net'), a('x.cdn.net', '10.0.0.3')]),
    ),
    { addresses: ['10.0.0.3'], aliases: ['cdn.net', 'x.cdn.net'], ttl: 5 },
  )
  // In any order, and not for ever.
  assert.deepEqual(
    found(response([a('y.net', '10.0.0.4'), cname('x.net', 'y.net'), cname('www.example.org', 'x.net')])),
    {
      addresses: ['10.0.0.4'],
      aliases: ['x.net', 'y.net'],
      ttl: 60,
    },
  )
  assert.deepEqual(
    found(response([cname('www.example.org', 'x.net'), cname('x.net', 'www.example.org')])).addresses,
    [],
  )
})

test('nothing is taken from an answer that was not asked for', () => {
  const nothing = { addresses: [], aliases: [], ttl: 0 }
  const six: Answer = { type: 'AAAA', name: 'www.example.org', ttl: 60, data: 'fd00::1' }
  const mapped: Answer = { type: 'AAAA', name: 'www.example.org', ttl: 60, data: '::ffff:10.0.0.1' }
  assert.deepEqual(found(response([a('bank.example', '10.0.0.1')])), nothing)
  assert.deepEqual(found(response([a('example.org', '10.0.0.1')])), nothing)
  assert.deepEqual(found(response([six])), nothing)
  assert.deepEqual(found(response([], { additionals: [a('www.example.org', '10.0.0.1')] })), nothing)
  assert.deepEqual(found(response([], { authorities: [a('www.example.org', '10.0.0.1')] })), nothing)
  assert.deepEqual(found(response([a('www.example.org', '10.0.0.1')], { flags: 0x183 })), nothing)
  const aaaa = { ...question, type: recordType.AAAA }
  const asked = encode({
    type: 'response',
    id: 7,
    questions: [{ name: 'www.example.org', type: 'AAAA' }],
    answers: [mapped],
  })
  assert.deepEqual(resolved(read(asked), aaaa).addresses, [])
})

test('an answer is one to this question', () => {
  const message = read(response([a('www.example.org', '10.0.0.1')]))
  assert.ok(answers(message, question))
  assert.ok(answers(message, { ...question, name: 'WWW.eXample.ORG' }))
  assert.ok(!answers(message, { ...question, name: 'ww.example.org' }))
  assert.ok(!answers(message, { ...question, type: 28 }))
  assert.ok(!answers(message, { ...question, class: 3 }))
  assert.ok(
    !answers(read(encode({ type: 'query', id: 7, questions: [{ name: 'www.example.org', type: 'A' }] })), question),
  )
})

test('a refusal keeps id, spelling, opcode, recursion and EDNS', () => {
  const query = encode({
    type: 'query',
    id: 0xbeef,
    flags: 0x110,
    questions: [{ name: 'wWw.ExAmple.org', type: 'AAAA' }],
    additionals: [opt(4096, 0x8000)],
  })
  const refused = answerWithout(query, read(query), rcode.REFUSED)
  const message = read(refused)
  assert.deepEqual(message.question, { name: 'wWw.ExAmple.org', type: 28, class: 1 })
  assert.deepEqual(message.edns, { udpBytes: 1232, version: 0, dnssecOk: true })
  assert.equal(message.rcode, rcode.REFUSED)
  assert.deepEqual(
    { ...readHeader(refused) },
    {
      id: 0xbeef,
      response: true,
      opcode: 0,
      truncated: false,
      rcode: 5,
      questions: 1,
      answers: 0,
      authorities: 0,
      additionals: 1,
    },
  )
  assert.equal(refused[2], 0x81)
  assert.equal(refused[3], 0x95)
  const plain = encode({ type: 'query', id: 1, questions: [{ name: 'a', type: 'A' }] })
  assert.equal(answerWithout(plain, read(plain), rcode.NXDOMAIN).length, plain.length)
  assert.equal(read(answerWithout(plain, read(plain), rcode.NXDOMAIN)).rcode, rcode.NXDOMAIN)
})

test('what can not be read is answered by a header, an answer by nothing', () => {
  assert.deepEqual(
    formatError(fromHex('beef 0100 ffff ffff ffff ffff') as Uint8Array),
    fromHex('beef 8181 0000 0000 0000 0000'),
  )
  assert.equal(formatError(fromHex('beef 8100 0001 0000 0000 0000') as Uint8Array), undefined)
  assert.equal(formatError(new Uint8Array(11)), undefined)
})

const samples: readonly Uint8Array[] = [
  encode({
    type: 'query',
    id: 1,
    flags: 0x100,
    questions: [{ name: 'www.example.org', type: 'A' }],
    additionals: [opt(1232)],
  }),
  response([cname('www.example.org', 'x.net'), a('x.net', '10.0.0.1'), a('x.net', '10.0.0.2')], {
    additionals: [opt(4096)],
  }),
  response([{ type: 'TXT', name: 'www.example.org', ttl: 1, data: 'text' }], {
    authorities: [
      {
        type: 'SOA',
        name: 'example.org',
        ttl: 1,
        data: { mname: 'a.b', rname: 'c.d', serial: 1, refresh: 1, retry: 1, expire: 1, minimum: 1 },
      },
    ],
  }),
  response([
    { type: 'SRV', name: 'www.example.org', ttl: 1, data: { priority: 1, weight: 1, port: 1, target: 'x.net' } },
  ]),
  concatBytes([
    fromHex('0001 8180 0001 0002 0000 0000 01610000010001 c00c000500010000003c0004 0161c00c') as Uint8Array,
    fromHex('c00c000100010000003c0004 0a000001') as Uint8Array,
  ]),
]

/** `make fuzz` asks for more, and for others. */
const runs = Number(process.env['DNS_MESSAGES'] ?? 10_000)
const seed = Number(process.env['DNS_SEED'] ?? 20260101)

test(`${runs} mutated messages, seed ${seed}, do no harm`, () => {
  const random = randomOf(seed)
  let whole = 0
  for (let i = 0; i < runs; i++) if (examine(mutated(samples, random))) whole++
  assert.ok(whole > runs / 20, `${whole} were messages still`)
})

test('a stream gives its messages however it is cut', () => {
  const random = randomOf(7)
  for (let i = 0; i < 500; i++) {
    const messages = Array.from({ length: random(6) }, () => mutated(samples, random))
    examineStream(messages, concatBytes(messages.map(framed)), random)
  }
})

test('another id changes nothing else', () => {
  const changed = withId(samples[1] as Uint8Array, 0x1234)
  assert.equal(readHeader(changed)?.id, 0x1234)
  assert.deepEqual(changed.subarray(2), new Uint8Array(samples[1] ?? []).subarray(2))
  assert.equal(readHeader(samples[1] ?? new Uint8Array())?.id, 7)
})
