// SPDX-License-Identifier: Apache-2.0

/** Fewer bytes than the format promises. Parsers of outside input turn it into a Result at their mouth. */
export class TruncatedError extends Error {
  override readonly name = 'TruncatedError'
}

/** Takes numbers and byte runs from the front of a buffer. Every read past the end throws TruncatedError. */
export interface Reader {
  readonly bytes: Uint8Array
  offset: number
  readonly remaining: number
  u8(): number
  u16(): number
  u32(): number
  u64(): bigint
  i32(): number
  /** A view into the buffer, not a copy. */
  take(length: number): Uint8Array
  skip(length: number): void
  /** Moves on to the next multiple of `size` from the start of the buffer. */
  align(size: number): void
  /** Text of `length` bytes, up to the first zero byte. */
  text(length: number): string
}

export function openReader(bytes: Uint8Array, littleEndian: boolean, offset = 0): Reader {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const advance = (length: number): number => {
    const at = reader.offset
    if (length < 0 || at + length > bytes.length) {
      throw new TruncatedError(`${length} bytes wanted at ${at}, ${bytes.length - at} there`)
    }
    reader.offset = at + length
    return at
  }
  const reader: Reader = {
    bytes,
    offset,
    get remaining() {
      return bytes.length - reader.offset
    },
    u8: () => view.getUint8(advance(1)),
    u16: () => view.getUint16(advance(2), littleEndian),
    u32: () => view.getUint32(advance(4), littleEndian),
    u64: () => view.getBigUint64(advance(8), littleEndian),
    i32: () => view.getInt32(advance(4), littleEndian),
    take: (length) => {
      const at = advance(length)
      return bytes.subarray(at, at + length)
    },
    skip: (length) => {
      advance(length)
    },
    align: (size) => {
      advance(padding(reader.offset, size))
    },
    text: (length) => {
      const run = reader.take(length)
      const end = run.indexOf(0)
      return fromUtf8(end < 0 ? run : run.subarray(0, end))
    },
  }
  return reader
}

/** Builds a buffer from the front; it grows as needed. */
export interface Writer {
  readonly length: number
  u8(value: number): Writer
  u16(value: number): Writer
  u32(value: number): Writer
  u64(value: bigint): Writer
  i32(value: number): Writer
  put(bytes: Uint8Array): Writer
  zeros(length: number): Writer
  align(size: number): Writer
  /** Overwrites a length field that was not known before. */
  u16At(offset: number, value: number): Writer
  u32At(offset: number, value: number): Writer
  /** What was written; the writer must not be used afterwards. */
  finish(): Uint8Array
}

export function openWriter(littleEndian: boolean, capacity = 256): Writer {
  let bytes = new Uint8Array(capacity)
  let view = new DataView(bytes.buffer)
  let length = 0
  const grow = (by: number): number => {
    const at = length
    length += by
    if (length > bytes.length) {
      const larger = new Uint8Array(Math.max(length, bytes.length * 2))
      larger.set(bytes)
      bytes = larger
      view = new DataView(bytes.buffer)
    }
    return at
  }
  // `grow` may replace the view, so it runs first.
  const writer: Writer = {
    get length() {
      return length
    },
    u8(value) {
      const at = grow(1)
      view.setUint8(at, value)
      return writer
    },
    u16(value) {
      const at = grow(2)
      view.setUint16(at, value, littleEndian)
      return writer
    },
    u32(value) {
      const at = grow(4)
      view.setUint32(at, value, littleEndian)
      return writer
    },
    u64(value) {
      const at = grow(8)
      view.setBigUint64(at, value, littleEndian)
      return writer
    },
    i32(value) {
      const at = grow(4)
      view.setInt32(at, value, littleEndian)
      return writer
    },
    put(run) {
      const at = grow(run.length)
      bytes.set(run, at)
      return writer
    },
    zeros(count) {
      grow(count)
      return writer
    },
    align(size) {
      grow(padding(length, size))
      return writer
    },
    u16At(offset, value) {
      view.setUint16(offset, value, littleEndian)
      return writer
    },
    u32At(offset, value) {
      view.setUint32(offset, value, littleEndian)
      return writer
    },
    finish: () => bytes.subarray(0, length),
  }
  return writer
}

const padding = (offset: number, size: number): number => (size - (offset % size)) % size

/** `0a ff` as `0aff`, with `separator` between bytes if wanted. */
export function hex(bytes: Uint8Array, separator = ''): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(separator)
}

/** Bytes of hexadecimal text; colons and blanks between bytes are allowed; undefined when it is none. */
export function fromHex(text: string): Uint8Array | undefined {
  const digits = text.replace(/[\s:]/g, '')
  if (!/^([0-9a-fA-F]{2})*$/.test(digits)) return undefined
  return Uint8Array.from(digits.match(/../g) ?? [], (pair) => Number.parseInt(pair, 16))
}

export function concatBytes(parts: readonly Uint8Array[]): Uint8Array {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

const alphabet64 = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

/** Bytes of text in base 64 (RFC 4648 section 4), with or without padding; undefined when it is none. */
export function fromBase64(text: string): Uint8Array | undefined {
  const digits = text.replace(/[\r\n]/g, '').replace(/={1,2}$/, '')
  if (digits.length % 4 === 1) return undefined
  const out = new Uint8Array((digits.length * 3) >> 2)
  let bits = 0
  let count = 0
  let at = 0
  for (const digit of digits) {
    const value = alphabet64.indexOf(digit)
    if (value < 0) return undefined
    bits = ((bits << 6) | value) & 0xffff
    count += 6
    if (count < 8) continue
    count -= 8
    out[at++] = (bits >> count) & 0xff
  }
  return out
}

/** UTF-8 of the text; a lone surrogate becomes U+FFFD. */
export function toUtf8(text: string): Uint8Array {
  const out: number[] = []
  for (const character of text.toWellFormed()) {
    const point = character.codePointAt(0) as number
    if (point < 0x80) out.push(point)
    else if (point < 0x800) out.push(0xc0 | (point >> 6), tail(point))
    else if (point < 0x10000) out.push(0xe0 | (point >> 12), tail(point >> 6), tail(point))
    else out.push(0xf0 | (point >> 18), tail(point >> 12), tail(point >> 6), tail(point))
  }
  return Uint8Array.from(out)
}

const tail = (point: number): number => 0x80 | (point & 0x3f)

/** Text of UTF-8 bytes; what is not UTF-8 becomes U+FFFD, one for each byte that can not stand there. */
export function fromUtf8(bytes: Uint8Array): string {
  let text = ''
  for (let i = 0; i < bytes.length; ) {
    const { point, length } = codePointAt(bytes, i)
    text += String.fromCodePoint(point)
    i += length
  }
  return text
}

const UNREADABLE = { point: 0xfffd, length: 1 } as const

function codePointAt(bytes: Uint8Array, at: number): { readonly point: number; readonly length: number } {
  const first = bytes[at] as number
  if (first < 0x80) return { point: first, length: 1 }
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2
  if (first < 0xc2 || first > 0xf4 || at + length > bytes.length) return UNREADABLE
  let point = first & (0x7f >> length)
  for (let i = 1; i < length; i++) {
    const next = bytes[at + i] as number
    if ((next & 0xc0) !== 0x80) return UNREADABLE
    point = (point << 6) | (next & 0x3f)
  }
  const least = length === 2 ? 0x80 : length === 3 ? 0x800 : 0x10000
  const readable = point >= least && point <= 0x10ffff && (point < 0xd800 || point > 0xdfff)
  return readable ? { point, length } : UNREADABLE
}
