// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { concatBytes, fromHex, fromUtf8, hex, openReader, openWriter, TruncatedError, toUtf8 } from './bytes.ts'

test('what a writer writes a reader reads, in both byte orders', () => {
  for (const littleEndian of [true, false]) {
    const bytes = openWriter(littleEndian, 1)
      .u8(0xfe)
      .align(4)
      .u16(0x1234)
      .zeros(2)
      .u32(0xdeadbeef)
      .i32(-5)
      .u64(0x1122334455667788n)
      .put(toUtf8('eth0\0\0'))
      .u16At(2, 0xabcd)
      .finish()
    const reader = openReader(bytes, littleEndian)
    assert.equal(reader.u8(), 0xfe)
    reader.skip(1)
    assert.equal(reader.u16(), 0xabcd)
    assert.equal(reader.u16(), 0x1234)
    reader.align(8)
    assert.equal(reader.u32(), 0xdeadbeef)
    assert.equal(reader.i32(), -5)
    assert.equal(reader.u64(), 0x1122334455667788n)
    assert.equal(reader.text(6), 'eth0')
    assert.equal(reader.remaining, 0)
  }
})

test('a read past the end says how much was there', () => {
  const reader = openReader(Uint8Array.of(1, 2, 3), true)
  reader.u16()
  assert.throws(() => reader.u16(), TruncatedError)
  assert.throws(() => reader.take(-1), TruncatedError)
  assert.equal(reader.u8(), 3, 'a failed read takes nothing')
})

test('a reader of a part of a buffer sees that part only', () => {
  const whole = Uint8Array.of(9, 9, 1, 0, 9)
  const reader = openReader(whole.subarray(2, 4), true)
  assert.equal(reader.u16(), 1)
  assert.throws(() => reader.u8(), TruncatedError)
})

test('hexadecimal text goes both ways and refuses what is none', () => {
  assert.equal(hex(Uint8Array.of(0, 10, 255), ':'), '00:0a:ff')
  assert.deepEqual(fromHex('00:0A ff'), Uint8Array.of(0, 10, 255))
  assert.equal(fromHex('0'), undefined)
  assert.equal(fromHex('zz'), undefined)
})

test('UTF-8 agrees with the platform for every text and for any bytes that are valid', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'binary' }), (text) => {
      assert.deepEqual(toUtf8(text), new TextEncoder().encode(text))
      assert.equal(fromUtf8(toUtf8(text)), text.toWellFormed())
    }),
  )
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 8 }), (bytes) => {
      let expected: string | undefined
      try {
        expected = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
      } catch {
        assert.match(fromUtf8(bytes), /\ufffd/)
        return
      }
      assert.equal(fromUtf8(bytes), expected)
    }),
    { numRuns: 2000 },
  )
})

test('parts are joined in order', () => {
  assert.deepEqual(concatBytes([Uint8Array.of(1), new Uint8Array(0), Uint8Array.of(2, 3)]), Uint8Array.of(1, 2, 3))
})
