// SPDX-License-Identifier: Apache-2.0
import { assert } from '../../base/assert.ts'
import { enumerationOf, type Field, messageOf } from './messages.ts'
import { utf8Bytes } from './utf8.ts'

/** A resource as Envoy's documentation writes it: names of fields in snake case, `@type` where a message is packed. */
export type Json = { readonly [name: string]: unknown }

const typePrefix = 'type.googleapis.com/'

const wrappers: Readonly<Record<string, string>> = {
  'google.protobuf.BoolValue': 'b',
  'google.protobuf.UInt32Value': 'i',
  'google.protobuf.UInt64Value': 'i',
  'google.protobuf.Int32Value': 'i',
  'google.protobuf.DoubleValue': 'd',
  'google.protobuf.StringValue': 's',
  'google.protobuf.BytesValue': 'y',
}

/** The bytes of a message by its full name. Throws on a field or a value that the message does not have. */
export function encode(type: string, value: Json): Uint8Array {
  const out = sink()
  writeMessage(out, type, value)
  return taken(out)
}

/** The bytes of a resource that carries its `@type`, by which its version is told. */
export function resourceBytes(body: Json): Uint8Array {
  const out = sink()
  writeAny(out, body)
  return taken(out)
}

/** Bytes as they are written, with room for more. */
interface Sink {
  bytes: Uint8Array
  length: number
}
const sink = (): Sink => ({ bytes: new Uint8Array(256), length: 0 })
const taken = ({ bytes, length }: Sink): Uint8Array => bytes.slice(0, length)

function reserve(out: Sink, more: number): void {
  if (out.length + more <= out.bytes.length) return
  const bytes = new Uint8Array(2 * (out.length + more))
  bytes.set(out.bytes.subarray(0, out.length))
  out.bytes = bytes
}

function writeMessage(out: Sink, type: string, value: Json): void {
  const message = messageOf(type)
  assert(message, `no message ${type} is known`)
  for (const [name, given] of Object.entries(value)) {
    if (name === '@type' || given === undefined) continue
    const field = message.byName.get(name)
    assert(field, `${type} has no field ${name}`)
    if (field.shape === 'list') writeList(out, field, given)
    else if (field.shape === 'map')
      for (const [key, entry] of Object.entries(given as Json))
        within(out, field.number, () => {
          writeField(out, 1, 's', key)
          writeField(out, 2, field.type, entry)
        })
    else writeField(out, field.number, field.type, given)
  }
}

function writeList(out: Sink, field: Field, given: unknown): void {
  assert(Array.isArray(given), `${field.name} is a list`)
  if (isPacked(field.type))
    within(out, field.number, () => {
      for (const v of given) writeScalar(out, field.type, v)
    })
  else for (const v of given) writeField(out, field.number, field.type, v)
}

const isPacked = (type: string): boolean => 'bidfx'.includes(type) || enumerationOf(type) !== undefined

function writeField(out: Sink, number: number, type: string, value: unknown): void {
  if (type === 's' || type === 'y') {
    writeBytes(out, number, type === 's' ? utf8Bytes(String(value)) : (value as Uint8Array))
    return
  }
  if (isPacked(type)) {
    writeVarint(out, (number << 3) | (type === 'd' ? 1 : type === 'f' || type === 'x' ? 5 : 0))
    writeScalar(out, type, value)
    return
  }
  within(out, number, () => {
    const wrapped = wrappers[type]
    if (wrapped !== undefined) writeField(out, 1, wrapped, value)
    else if (type === 'google.protobuf.Duration') writeDuration(out, String(value))
    else if (type === 'google.protobuf.Any') writeAny(out, value as Json)
    else if (type === 'google.protobuf.Struct') writeStruct(out, value as Json)
    else if (type !== 'google.protobuf.Empty') writeMessage(out, type, value as Json)
  })
}

function writeScalar(out: Sink, type: string, value: unknown): void {
  if (type === 'b') writeVarint(out, value === true ? 1 : 0)
  else if (type === 'i') writeVarint(out, Number(value))
  else if (type === 'x' || type === 'f' || type === 'd') {
    const size = type === 'd' ? 8 : 4
    reserve(out, size)
    const view = new DataView(out.bytes.buffer, out.length, size)
    if (type === 'x') view.setUint32(0, Number(value), true)
    else if (type === 'f') view.setFloat32(0, Number(value), true)
    else view.setFloat64(0, Number(value), true)
    out.length += size
  } else {
    const number = typeof value === 'number' ? value : enumerationOf(type)?.byName.get(String(value))
    assert(number !== undefined, `${type} has no value ${String(value)}`)
    writeVarint(out, number)
  }
}

function writeAny(out: Sink, value: Json): void {
  const type = String(value['@type']).replace(/^.*\//, '')
  writeField(out, 1, 's', typePrefix + type)
  within(out, 2, () => writeMessage(out, type, value))
}

function writeDuration(out: Sink, text: string): void {
  const match = /^(-?[0-9]+)(?:\.([0-9]{1,9}))?s$/.exec(text)
  assert(match, `'${text}' is no duration`)
  writeField(out, 1, 'i', Number(match[1]))
  if (match[2]) writeField(out, 2, 'i', Number(match[2].padEnd(9, '0')))
}

function writeStruct(out: Sink, value: Json): void {
  for (const [key, v] of Object.entries(value))
    within(out, 1, () => {
      writeField(out, 1, 's', key)
      within(out, 2, () => writeValue(out, v))
    })
}

function writeValue(out: Sink, value: unknown): void {
  if (value === null) writeField(out, 1, 'i', 0)
  else if (typeof value === 'number') writeField(out, 2, 'd', value)
  else if (typeof value === 'string') writeField(out, 3, 's', value)
  else if (typeof value === 'boolean') writeField(out, 4, 'b', value)
  else if (Array.isArray(value))
    within(out, 6, () => {
      for (const v of value) within(out, 1, () => writeValue(out, v))
    })
  else within(out, 5, () => writeStruct(out, value as Json))
}

/** A message in a message: how long it is, which comes before it, is known when it is written. */
function within(out: Sink, number: number, write: () => void): void {
  writeVarint(out, (number << 3) | 2)
  const start = out.length
  write()
  const length = out.length - start
  writeVarint(out, length)
  const size = out.length - start - length
  const prefix = out.bytes.slice(start + length, out.length)
  out.bytes.copyWithin(start + size, start, start + length)
  out.bytes.set(prefix, start)
}

function writeBytes(out: Sink, number: number, bytes: Uint8Array): void {
  writeVarint(out, (number << 3) | 2)
  writeVarint(out, bytes.length)
  reserve(out, bytes.length)
  out.bytes.set(bytes, out.length)
  out.length += bytes.length
}

/** Whole numbers up to 2^53; negative ones as ten bytes of two's complement. */
function writeVarint(out: Sink, value: number): void {
  reserve(out, 10)
  if (value < 0) {
    let rest = BigInt.asUintN(64, BigInt(value))
    for (; rest > 0x7fn; rest >>= 7n) out.bytes[out.length++] = Number(rest & 0x7fn) | 0x80
    out.bytes[out.length++] = Number(rest)
    return
  }
  let rest = value
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) out.bytes[out.length++] = (rest % 128) | 0x80
  out.bytes[out.length++] = rest
}
