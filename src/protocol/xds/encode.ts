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
  const out: number[] = []
  writeMessage(out, type, value)
  return Uint8Array.from(out)
}

function writeMessage(out: number[], type: string, value: Json): void {
  const message = messageOf(type)
  assert(message, `no message ${type} is known`)
  for (const [name, given] of Object.entries(value)) {
    if (name === '@type' || given === undefined) continue
    const field = message.byName.get(name)
    assert(field, `${type} has no field ${name}`)
    if (field.shape === 'list') writeList(out, field, given)
    else if (field.shape === 'map')
      for (const [key, entry] of Object.entries(given as Json)) {
        const inner: number[] = []
        writeField(inner, 1, 's', key)
        writeField(inner, 2, field.type, entry)
        writeBytes(out, field.number, inner)
      }
    else writeField(out, field.number, field.type, given)
  }
}

function writeList(out: number[], field: Field, given: unknown): void {
  assert(Array.isArray(given), `${field.name} is a list`)
  if (isPacked(field.type)) {
    const inner: number[] = []
    for (const v of given) writeScalar(inner, field.type, v)
    writeBytes(out, field.number, inner)
  } else for (const v of given) writeField(out, field.number, field.type, v)
}

const isPacked = (type: string): boolean => 'bidfx'.includes(type) || enumerationOf(type) !== undefined

function writeField(out: number[], number: number, type: string, value: unknown): void {
  if (type === 's' || type === 'y') {
    writeBytes(out, number, type === 's' ? utf8Bytes(String(value)) : (value as Uint8Array))
    return
  }
  if (isPacked(type)) {
    writeVarint(out, (number << 3) | (type === 'd' ? 1 : type === 'f' || type === 'x' ? 5 : 0))
    writeScalar(out, type, value)
    return
  }
  const inner: number[] = []
  const wrapped = wrappers[type]
  if (wrapped !== undefined) writeField(inner, 1, wrapped, value)
  else if (type === 'google.protobuf.Duration') writeDuration(inner, String(value))
  else if (type === 'google.protobuf.Any') writeAny(inner, value as Json)
  else if (type === 'google.protobuf.Struct') writeStruct(inner, value as Json)
  else if (type !== 'google.protobuf.Empty') writeMessage(inner, type, value as Json)
  writeBytes(out, number, inner)
}

function writeScalar(out: number[], type: string, value: unknown): void {
  if (type === 'b') writeVarint(out, value === true ? 1 : 0)
  else if (type === 'i') writeVarint(out, Number(value))
  else if (type === 'x' || type === 'f' || type === 'd') {
    const view = new DataView(new ArrayBuffer(type === 'd' ? 8 : 4))
    if (type === 'x') view.setUint32(0, Number(value), true)
    else if (type === 'f') view.setFloat32(0, Number(value), true)
    else view.setFloat64(0, Number(value), true)
    out.push(...new Uint8Array(view.buffer))
  } else {
    const number = typeof value === 'number' ? value : enumerationOf(type)?.byName.get(String(value))
    assert(number !== undefined, `${type} has no value ${String(value)}`)
    writeVarint(out, number)
  }
}

function writeAny(out: number[], value: Json): void {
  const type = String(value['@type']).replace(/^.*\//, '')
  const inner: number[] = []
  writeMessage(inner, type, value)
  writeField(out, 1, 's', typePrefix + type)
  writeBytes(out, 2, inner)
}

function writeDuration(out: number[], text: string): void {
  const match = /^(-?[0-9]+)(?:\.([0-9]{1,9}))?s$/.exec(text)
  assert(match, `'${text}' is no duration`)
  writeField(out, 1, 'i', Number(match[1]))
  if (match[2]) writeField(out, 2, 'i', Number(match[2].padEnd(9, '0')))
}

function writeStruct(out: number[], value: Json): void {
  for (const [key, v] of Object.entries(value)) {
    const entry: number[] = []
    writeField(entry, 1, 's', key)
    const inner: number[] = []
    writeValue(inner, v)
    writeBytes(entry, 2, inner)
    writeBytes(out, 1, entry)
  }
}

function writeValue(out: number[], value: unknown): void {
  if (value === null) writeField(out, 1, 'i', 0)
  else if (typeof value === 'number') writeField(out, 2, 'd', value)
  else if (typeof value === 'string') writeField(out, 3, 's', value)
  else if (typeof value === 'boolean') writeField(out, 4, 'b', value)
  else {
    const inner: number[] = []
    if (Array.isArray(value))
      for (const v of value) {
        const element: number[] = []
        writeValue(element, v)
        writeBytes(inner, 1, element)
      }
    else writeStruct(inner, value as Json)
    writeBytes(out, Array.isArray(value) ? 6 : 5, inner)
  }
}

function writeBytes(out: number[], number: number, bytes: ArrayLike<number>): void {
  writeVarint(out, (number << 3) | 2)
  writeVarint(out, bytes.length)
  for (let i = 0; i < bytes.length; i++) out.push(bytes[i] as number)
}

/** Whole numbers up to 2^53; negative ones as ten bytes of two's complement. */
function writeVarint(out: number[], value: number): void {
  if (value < 0) {
    let rest = BigInt.asUintN(64, BigInt(value))
    for (; rest > 0x7fn; rest >>= 7n) out.push(Number(rest & 0x7fn) | 0x80)
    out.push(Number(rest))
    return
  }
  let rest = value
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) out.push((rest % 128) | 0x80)
  out.push(rest)
}

/** The bytes of a resource that carries its `@type`, by which its version is told. */
export function resourceBytes(body: Json): Uint8Array {
  const out: number[] = []
  writeAny(out, body)
  return Uint8Array.from(out)
}
