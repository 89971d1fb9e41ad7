// SPDX-License-Identifier: Apache-2.0
import type { Json } from './encode.ts'
import { enumerationOf, messageOf } from './messages.ts'
import { utf8Text } from './utf8.ts'

/** What is no message: it ends early, or uses groups. */
export class DecodeError extends Error {
  override readonly name = 'DecodeError'
}

interface Part {
  readonly number: number
  readonly wire: number
  readonly value: number
  readonly bytes: Uint8Array
}

const nothing = new Uint8Array()

function* parts(bytes: Uint8Array): Generator<Part> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0
  const varint = (): number => {
    let value = 0
    let scale = 1
    for (let count = 0; ; count++) {
      const byte = bytes[at++]
      if (byte === undefined || count > 9) throw new DecodeError('a number does not end')
      value += (byte & 0x7f) * scale
      scale *= 128
      if (byte < 0x80) return value
    }
  }
  while (at < bytes.length) {
    const tag = varint()
    const number = Math.floor(tag / 8)
    const wire = tag % 8
    if (wire === 0) yield { number, wire, value: varint(), bytes: nothing }
    else {
      const length = wire === 2 ? varint() : wire === 1 ? 8 : wire === 5 ? 4 : -1
      if (length < 0) throw new DecodeError(`wire type ${wire} is not known`)
      if (at + length > bytes.length) throw new DecodeError('the message ends too early')
      const value = wire === 1 ? view.getFloat64(at, true) : wire === 5 ? view.getUint32(at, true) : 0
      yield { number, wire, value, bytes: bytes.subarray(at, at + length) }
      at += length
    }
  }
}

/**
 * A message by its full name. Unknown fields are left out, absent ones are absent; a packed message of a known type has
 * its `@type`, of another only that. Numbers beyond 2^53 lose digits; negative ones are not expected here.
 */
export function decode(type: string, bytes: Uint8Array): Json {
  const message = messageOf(type)
  const out: Record<string, unknown> = {}
  if (!message) return out
  for (const part of parts(bytes)) {
    const field = message.byNumber.get(part.number)
    if (!field) continue
    if (field.shape === 'map') {
      const entries = [...parts(part.bytes)]
      const key = utf8Text(entries.find((e) => e.number === 1)?.bytes ?? nothing)
      const value = entries.find((e) => e.number === 2)
      ;((out[field.name] ??= {}) as Record<string, unknown>)[key] = value ? fieldValue(field.type, value) : undefined
    } else if (field.shape === 'list') {
      const list = (out[field.name] ??= []) as unknown[]
      if (part.wire === 2 && isNumber(field.type)) list.push(...packed(part.bytes))
      else list.push(fieldValue(field.type, part))
    } else out[field.name] = fieldValue(field.type, part)
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

function fieldValue(type: string, part: Part): unknown {
  switch (type) {
    case 's':
      return utf8Text(part.bytes)
    case 'y':
      return part.bytes.slice()
    case 'b':
      return part.value !== 0
    case 'i':
    case 'd':
    case 'x':
      return part.value
    case 'google.protobuf.Any':
      return any(part.bytes)
    case 'google.protobuf.Struct':
      return struct(part.bytes)
    case 'google.protobuf.BoolValue':
      return inner(part) !== 0
    case 'google.protobuf.UInt32Value':
    case 'google.protobuf.UInt64Value':
    case 'google.protobuf.Int32Value':
      return inner(part)
    // Milliseconds, for both a span and a moment.
    case 'google.protobuf.Duration':
    case 'google.protobuf.Timestamp':
      return inner(part) * 1000 + inner(part, 2) / 1e6
  }
  const names = enumerationOf(type)
  return names ? (names.byNumber.get(part.value) ?? part.value) : decode(type, part.bytes)
}

const inner = (part: Part, number = 1): number => {
  for (const p of parts(part.bytes)) if (p.number === number) return p.value
  return 0
}

function any(bytes: Uint8Array): Json {
  let name = ''
  let body: Uint8Array = nothing
  for (const p of parts(bytes))
    if (p.number === 1) name = utf8Text(p.bytes).replace(/^.*\//, '')
    else if (p.number === 2) body = p.bytes
  return { '@type': name, ...decode(name, body) }
}

function struct(bytes: Uint8Array): Json {
  const out: Record<string, unknown> = {}
  for (const entry of parts(bytes)) {
    let key = ''
    let value: unknown = null
    for (const p of parts(entry.bytes))
      if (p.number === 1) key = utf8Text(p.bytes)
      else value = structValue(p.bytes)
    out[key] = value
  }
  return out
}

function structValue(bytes: Uint8Array): unknown {
  for (const p of parts(bytes)) {
    if (p.number === 2) return p.value
    if (p.number === 3) return utf8Text(p.bytes)
    if (p.number === 4) return p.value !== 0
    if (p.number === 5) return struct(p.bytes)
    if (p.number === 6) return [...parts(p.bytes)].map((e) => structValue(e.bytes))
  }
  return null
}
