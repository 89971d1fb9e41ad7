// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { deflateSync } from 'node:zlib'
import fc from 'fast-check'
import { decodeProtobuf } from './protobuf.ts'
import { dataFrame, openSpdyReader, readHeaders, replyFrame, type SpdyEvent, spdyDictionary } from './spdy.ts'
import { isReason } from './status.ts'
import { base64, utf8, utf8Bytes } from './text.ts'
import { encodeFrame, opcodes, openFrameReader } from './websocket.ts'

/** A client's frame: masked. */
function masked(opcode: number, payload: Uint8Array, final = true): Uint8Array {
  const plain = encodeFrame(opcode, payload)
  const head = plain.length - payload.length
  const mask = [1, 2, 3, 4]
  const out = new Uint8Array(plain.length + 4)
  out.set(plain.subarray(0, head))
  out[0] = (final ? 0x80 : 0) | opcode
  out[1]! |= 0x80
  out.set(mask, head)
  payload.forEach((byte, i) => {
    out[head + 4 + i] = byte ^ mask[i & 3]!
  })
  return out
}

test('websocket messages come whole, however the bytes are cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 300 }), { maxLength: 5 }),
      fc.integer({ min: 1, max: 50 }),
      (messages, size) => {
        const bytes = Buffer.concat(messages.map((m) => masked(opcodes.binary, m)))
        const read = openFrameReader()
        const got: Uint8Array[] = []
        for (let at = 0; at < bytes.length; at += size)
          got.push(...read(bytes.subarray(at, at + size)).map((f) => f.payload))
        assert.deepEqual(
          got.map((g) => [...g]),
          messages.map((m) => [...m]),
        )
      },
    ),
  )
})

test('websocket fragments are joined around a ping; 64 KiB lengths are read', () => {
  const big = new Uint8Array(70_000).fill(7)
  const read = openFrameReader()
  const frames = read(
    Buffer.concat([
      masked(opcodes.binary, Uint8Array.of(1), false),
      masked(opcodes.ping, Uint8Array.of(9)),
      masked(0, Uint8Array.of(2)),
      masked(opcodes.binary, big),
    ]),
  )
  assert.deepEqual(
    frames.map((f) => [f.opcode, f.payload.length]),
    [
      [opcodes.ping, 1],
      [opcodes.binary, 2],
      [opcodes.binary, 70_000],
    ],
  )
})

test('websocket frames that are unmasked, reserved or far too long are refused', () => {
  assert.throws(() => openFrameReader()(encodeFrame(2, Uint8Array.of(1))), /masked/)
  assert.throws(() => openFrameReader()(Uint8Array.of(0xf2, 0x80, 0, 0, 0, 0)), /reserved/)
  assert.throws(() => openFrameReader()(Uint8Array.of(0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0)), /too long/)
})

const openFrame = (id: number, block: Uint8Array): Buffer => {
  const head = Buffer.alloc(18)
  head.writeUInt16BE(0x8003, 0)
  head.writeUInt16BE(1, 2)
  head.writeUInt32BE(10 + block.length, 4)
  head.writeUInt32BE(id, 8)
  return Buffer.concat([head, block])
}

test('spdy streams, data and ends are read however the bytes are cut', () => {
  const bytes = Buffer.concat([
    openFrame(1, Uint8Array.of(5, 6)),
    dataFrame(1, Uint8Array.of(1, 2, 3)),
    dataFrame(1, new Uint8Array(), true),
  ])
  for (const size of [1, 3, bytes.length]) {
    const read = openSpdyReader()
    const events: SpdyEvent[] = []
    for (let at = 0; at < bytes.length; at += size) events.push(...read(bytes.subarray(at, at + size)))
    assert.deepEqual(
      events.map((e) => [
        e.kind,
        'stream' in e ? e.stream : 0,
        'bytes' in e ? [...e.bytes] : 'block' in e ? [...e.block] : [],
      ]),
      [
        ['open', 1, [5, 6]],
        ['data', 1, [1, 2, 3]],
        ['data', 1, []],
      ],
    )
  }
})

test('spdy header blocks are pairs of counted texts, and a short one throws', () => {
  const block = Uint8Array.of(0, 0, 0, 1, 0, 0, 0, 3, 0x41, 0x42, 0x43, 0, 0, 0, 1, 0x78)
  assert.deepEqual(readHeaders(block), { abc: 'x' })
  assert.throws(() => readHeaders(block.subarray(0, 9)))
})

test('the spdy dictionary is the protocol text, by its checksum', () => {
  // zlib writes the dictionary's Adler-32 behind its two first bytes.
  assert.equal(
    deflateSync(Buffer.alloc(1), { dictionary: spdyDictionary() }).subarray(2, 6).toString('hex'),
    'e3c6a7c2',
  )
  assert.equal(replyFrame(3, false).length, 8 + 4 + 14)
})

test('texts survive UTF-8, and malformed bytes become replacement letters', () => {
  fc.assert(
    fc.property(
      fc.string({ unit: 'grapheme' }),
      (text) => text.isWellFormed() === false || utf8(utf8Bytes(text)) === text,
    ),
  )
  fc.assert(fc.property(fc.uint8Array(), (bytes) => base64(bytes) === Buffer.from(bytes).toString('base64')))
  assert.equal(utf8(Uint8Array.of(0x61, 0xff, 0xe2, 0x82, 0x62)), 'a\ufffd\ufffd\ufffdb')
})

const field = (number: number, bytes: Uint8Array): Uint8Array =>
  Uint8Array.of((number << 3) | 2, bytes.length, ...bytes)
const envelope = (apiVersion: string, kind: string, raw: Uint8Array): Uint8Array =>
  Uint8Array.of(
    0x6b,
    0x38,
    0x73,
    0,
    ...field(1, Uint8Array.of(...field(1, utf8Bytes(apiVersion)), ...field(2, utf8Bytes(kind)))),
    ...field(2, raw),
  )

test('a protobuf object becomes its JSON: maps, bytes, times and inline fields', () => {
  const entry = Uint8Array.of(...field(1, utf8Bytes('key')), ...field(2, utf8Bytes('v')))
  const time = Uint8Array.of(0x08, 0x80, 0xe2, 0xcf, 0xaa, 0x06)
  const metadata = Uint8Array.of(
    ...field(1, utf8Bytes('x')),
    ...field(2, new Uint8Array()),
    ...field(8, time),
    ...field(11, entry),
  )
  const raw = Uint8Array.of(...field(1, metadata), ...field(2, entry))
  assert.deepEqual(decodeProtobuf(envelope('v1', 'Secret', raw)), {
    apiVersion: 'v1',
    kind: 'Secret',
    metadata: { name: 'x', creationTimestamp: '2023-11-14T22:13:20Z', labels: { key: 'v' } },
    data: { key: 'dg==' },
  })
})

test('garbage in protobuf is a bad request and never another error', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
      for (const body of [
        bytes,
        Uint8Array.of(0x6b, 0x38, 0x73, 0, ...bytes),
        bytes.length < 128 ? envelope('v1', 'Pod', bytes) : bytes,
      ]) {
        try {
          decodeProtobuf(body)
        } catch (error) {
          assert.ok(isReason(error, 'BadRequest'), String(error))
        }
      }
    }),
    { numRuns: 2000 },
  )
})
