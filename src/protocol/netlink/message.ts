// SPDX-License-Identifier: Apache-2.0
// Netlink framing (RFC 3549 section 2, <linux/netlink.h>): messages, attributes, acknowledgements with the kernel's words.

export const FLAG = {
  REQUEST: 0x1,
  MULTI: 0x2,
  ACK: 0x4,
  DUMP_INTERRUPTED: 0x10,
  ROOT: 0x100,
  DUMP: 0x300,
  REPLACE: 0x100,
  EXCLUSIVE: 0x200,
  CREATE: 0x400,
  APPEND: 0x800,
} as const

export const TYPE = { ERROR: 2, DONE: 3, OVERRUN: 4 } as const

const CAPPED = 0x100
const ACK_TLVS = 0x200
const HEADER = 16
const align4 = (size: number): number => (size + 3) & ~3

export interface Message {
  readonly type: number
  readonly flags: number
  readonly sequence: number
  readonly body: Uint8Array
}

/** What the kernel answers to a request: 0 and no words, or an errno (positive) and, from newer kernels, a sentence. */
export interface Answer {
  readonly errno: number
  readonly words: string
}

/** Builds the body of a message: a fixed part, then attributes. Numbers are little endian unless named otherwise. */
export class Writer {
  private bytesSoFar = new Uint8Array(256)
  private view = new DataView(this.bytesSoFar.buffer)
  private length = 0

  u8(value: number): this {
    this.view.setUint8(this.grow(1), value)
    return this
  }
  u16(value: number): this {
    this.view.setUint16(this.grow(2), value, true)
    return this
  }
  u32(value: number): this {
    this.view.setUint32(this.grow(4), value, true)
    return this
  }
  raw(bytes: Uint8Array): this {
    const at = this.grow(bytes.length)
    this.bytesSoFar.set(bytes, at)
    return this
  }

  attribute(type: number, bytes: Uint8Array): this {
    this.u16(4 + bytes.length).u16(type)
    this.raw(bytes)
    this.grow(align4(this.length) - this.length)
    return this
  }
  attributeU8(type: number, value: number): this {
    return this.attribute(type, Uint8Array.of(value))
  }
  attributeU16be(type: number, value: number): this {
    return this.attribute(type, Uint8Array.of(value >> 8, value & 0xff))
  }
  attributeU32(type: number, value: number): this {
    return this.attribute(type, Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24))
  }
  attributeText(type: number, value: string): this {
    return this.attribute(type, textBytes(value))
  }
  /** An attribute that holds attributes. */
  nest(type: number, inside: (writer: Writer) => void): this {
    const start = this.grow(4)
    inside(this)
    this.view.setUint16(start, this.length - start, true)
    this.view.setUint16(start + 2, type, true)
    this.grow(align4(this.length) - this.length)
    return this
  }

  done(): Uint8Array {
    return this.bytesSoFar.slice(0, this.length)
  }

  private grow(by: number): number {
    const at = this.length
    this.length += by
    if (this.length > this.bytesSoFar.length) {
      const larger = new Uint8Array(2 * this.length)
      larger.set(this.bytesSoFar)
      this.bytesSoFar = larger
      this.view = new DataView(larger.buffer)
    }
    return at
  }
}

export function encodeMessage(type: number, flags: number, sequence: number, body: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(HEADER + align4(body.length))
  const view = new DataView(bytes.buffer)
  view.setUint32(0, HEADER + body.length, true)
  view.setUint16(4, type, true)
  view.setUint16(6, flags, true)
  view.setUint32(8, sequence, true)
  bytes.set(body, HEADER)
  return bytes
}

/** The messages of one datagram. Throws when a length does not fit. */
export function decodeMessages(bytes: Uint8Array): Message[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  const messages: Message[] = []
  for (let at = 0; at + HEADER <= bytes.length; ) {
    const length = view.getUint32(at, true)
    if (length < HEADER || at + length > bytes.length) throw new Error(`netlink message of ${length} bytes at ${at}`)
    messages.push({
      type: view.getUint16(at + 4, true),
      flags: view.getUint16(at + 6, true),
      sequence: view.getUint32(at + 8, true),
      body: bytes.subarray(at + HEADER, at + length),
    })
    at += align4(length)
  }
  return messages
}

/** Reads an acknowledgement (type ERROR) or the end of a dump (type DONE). */
export function decodeAnswer(message: Message): Answer {
  const { body, flags } = message
  if (body.length < 4) return { errno: 0, words: '' }
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
  const errno = 0 - view.getInt32(0, true)
  if ((flags & ACK_TLVS) === 0) return { errno, words: '' }
  let at = 4
  if (message.type === TYPE.ERROR)
    at += (flags & CAPPED) !== 0 || body.length < 8 ? HEADER : align4(view.getUint32(4, true))
  const words = attributesOf(body, at).get(1)
  return { errno, words: words ? textOf(words) : '' }
}

export type Attributes = ReadonlyMap<number, Uint8Array>

/** Attributes from `offset` on, by type without its flag bits; of equal ones the last. Stops where one does not fit. */
export function attributesOf(bytes: Uint8Array, offset = 0): Attributes {
  const found = new Map<number, Uint8Array>()
  for (let at = offset; at + 4 <= bytes.length; ) {
    const length = bytes[at]! | (bytes[at + 1]! << 8)
    if (length < 4 || at + length > bytes.length) break
    found.set((bytes[at + 2]! | (bytes[at + 3]! << 8)) & 0x3fff, bytes.subarray(at + 4, at + length))
    at += align4(length)
  }
  return found
}

export const u32Of = (bytes: Uint8Array | undefined): number | undefined =>
  bytes && bytes.length >= 4 ? (bytes[0]! | (bytes[1]! << 8) | (bytes[2]! << 16) | (bytes[3]! << 24)) >>> 0 : undefined

/** Text up to its NUL. Names of devices and the kernel's sentences are ASCII; other bytes stand for themselves. */
export function textOf(bytes: Uint8Array): string {
  let text = ''
  for (const byte of bytes) {
    if (byte === 0) break
    text += String.fromCharCode(byte)
  }
  return text
}

/** `aa:bb:cc:dd:ee:ff`, of any length. */
export const macText = (bytes: Uint8Array): string =>
  Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join(':')

export function macBytes(text: string): Uint8Array {
  const parts = text.split(':')
  if (parts.length !== 6 || !parts.every((part) => /^[0-9a-f]{2}$/i.test(part)))
    throw new Error(`no MAC address: '${text}'`)
  return Uint8Array.from(parts, (part) => Number.parseInt(part, 16))
}

function textBytes(text: string): Uint8Array {
  const bytes = new Uint8Array(text.length + 1)
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code === 0 || code > 0xff) throw new Error(`a name of the kernel cannot hold '${text[i]}'`)
    bytes[i] = code
  }
  return bytes
}
