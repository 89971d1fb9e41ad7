// SPDX-License-Identifier: Apache-2.0
import type { Json } from './encode.ts'
import { enumerationOf, messageOf } from './messages.ts'
import { utf8Text } from './utf8.ts'

/** What is no message: it ends early, or uses groups. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError'
}

const nothing = new Uint8Array()

/** Goes from field to field of a message; what it says is of the last one. */
interface Cursor {
  readonly bytes: Uint8Array
  at: number
  number: number
  wire: number
  value: number
  /** Where the bytes of a field are that has some. */
  start: number
}

const cursorOf = (bytes: Uint8Array): Cursor => ({ bytes, at: 0, number: 0, wire: 0, value: 0, start: 0 })

/** False at the end. */
function next(c: Cursor): boolean {
  if (c.at >= c.bytes.length) return false
  const tag = varint(c)
  c.number = Math.floor(tag / 8)
  c.wire = tag % 8
  if (c.wire === 0) {
    c.value = varint(c)
    c.start = c.at
    return true
  }
  const length = c.wire === 2 ? varint(c) : c.wire === 1 ? 8 : c.wire === 5 ? 4 : -1
  if (length < 0) throw new DecodeError(`wire type ${c.wire} is not known`)
  if (c.at + length > c.bytes.length) throw new DecodeError('the message ends too early')
  c.value = c.wire === 2 ? 0 : fixed(c.bytes, c.at, length)
  c.start = c.at
  c.at += length
  return true
}

function fixed(bytes: Uint8Array, at: number, length: number): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset + at, length)
  return length === 8 ? view.getFloat64(0, true) : view.getUint32(0, true)
}

function varint(c: Cursor): number {
  let value = 0
  let scale = 1
  for (let count = 0; ; count++) {
    const byte = c.bytes[c.at++]
    if (byte === undefined || count > 9) throw new DecodeError('a number does not end')
    value += (byte & 0x7f) * scale
    scale *= 128
    if (byte < 0x80) return value
  }
}

const bytesOf = (c: Cursor): Uint8Array => c.bytes.subarray(c.start, c.at)

/**
 * A message by its full name. Unknown fields are left out, absent ones are absent; a packed message of a known type has
 * its `@type`, of another only that. Numbers beyond 2^53 lose digits; negative ones are not expected here. `only`: names of
 * fields, of whatever message, that are wanted; the others cost next to nothing.
 */
export function decode(type: string, bytes: Uint8Array, only?: ReadonlySet<string>): Json {
  const message = messageOf(type)
  const out: Record<string, unknown> = {}
  if (!message) return out
  for (const c = cursorOf(bytes); next(c); ) {
    const field = message.byNumber.get(c.number)
    if (!field || (only && !only.has(field.name))) continue
    if (field.shape === 'map') {
      const entry = cursorOf(bytesOf(c))
      let key = ''
      let value: unknown
      while (next(entry))
        if (entry.number === 1) key = utf8Text(bytesOf(entry))
        else if (entry.number === 2) value = fieldValue(field.type, entry, only)
      ;((out[field.name] ??= {}) as Record<string, unknown>)[key] = value
    } else if (field.shape === 'list') {
      const list = (out[field.name] ??= []) as unknown[]
      if (c.wire === 2 && isNumber(field.type)) list.push(...packed(bytesOf(c)))
      else list.push(fieldValue(field.type, c, only))
    } else out[field.name] = fieldValue(field.type, c, only)
  }
  return out
}

const isNumber = (type: string): boolean => type === 'i' || type === 'b' || enumerationOf(type) !== undefined

function packed(bytes: Uint8Array): readonly number[] {
  const out: number[] = []
  let value = 0
  let scale = 1
  for (const byte of bytes) {
    value += (byte & 0x7f) * scale
    scale *= 128
    if (byte < 0x80) {
      out.push(value)
      value = 0
      scale = 1
    }
  }
  return out
}

function fieldValue(type: string, c: Cursor, only?: ReadonlySet<string>): unknown {
  switch (type) {
    case 's':
      return utf8Text(bytesOf(c))
    case 'y':
      return bytesOf(c).slice()
    case 'b':
      return c.value !== 0
    case 'i':
    case 'd':
    case 'x':
      return c.value
    case 'google.protobuf.Any':
      return any(bytesOf(c))
    case 'google.protobuf.Struct':
      return struct(bytesOf(c))
    case 'google.protobuf.BoolValue':
      return numbersIn(c)[0] !== 0
    case 'google.protobuf.UInt32Value':
    case 'google.protobuf.UInt64Value':
    case 'google.protobuf.Int32Value':
      return numbersIn(c)[0]
    // Milliseconds, for both a span and a moment.
    case 'google.protobuf.Duration':
    case 'google.protobuf.Timestamp': {
      const [seconds, nanoseconds] = numbersIn(c)
      return seconds * 1000 + nanoseconds / 1e6
    }
  }
  const names = enumerationOf(type)
  return names ? (names.byNumber.get(c.value) ?? c.value) : decode(type, bytesOf(c), only)
}

/** The first two fields of a message of numbers. */
function numbersIn(c: Cursor): readonly [number, number] {
  let one = 0
  let two = 0
  for (const inner = cursorOf(bytesOf(c)); next(inner); )
    if (inner.number === 1) one = inner.value
    else if (inner.number === 2) two = inner.value
  return [one, two]
}

function any(bytes: Uint8Array): Json {
  let name = ''
  let body: Uint8Array = nothing
  for (const c = cursorOf(bytes); next(c); )
    if (c.number === 1) name = utf8Text(bytesOf(c)).replace(/^.*\//, '')
    else if (c.number === 2) body = bytesOf(c)
  return { '@type': name, ...decode(name, body) }
}

function struct(bytes: Uint8Array): Json {
  const out: Record<string, unknown> = {}
  for (const entries = cursorOf(bytes); next(entries); ) {
    let key = ''
    let value: unknown = null
    for (const c = cursorOf(bytesOf(entries)); next(c); )
      if (c.number === 1) key = utf8Text(bytesOf(c))
      else value = structValue(bytesOf(c))
    out[key] = value
  }
  return out
}

function structValue(bytes: Uint8Array): unknown {
  for (const c = cursorOf(bytes); next(c); ) {
    if (c.number === 2) return c.value
    if (c.number === 3) return utf8Text(bytesOf(c))
    if (c.number === 4) return c.value !== 0
    if (c.number === 5) return struct(bytesOf(c))
    if (c.number === 6) {
      const out: unknown[] = []
      for (const element = cursorOf(bytesOf(c)); next(element); ) out.push(structValue(bytesOf(element)))
      return out
    }
  }
  return null
}
