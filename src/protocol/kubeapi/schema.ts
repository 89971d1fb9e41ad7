// SPDX-License-Identifier: Apache-2.0
import { messages as text } from '../../../gen/kubeapi/messages.ts'
import { isMap } from './object.ts'
import { badRequest } from './status.ts'

/** A field of a built-in type, as protobuf numbers it and JSON names it. */
export interface Field {
  readonly json: string
  readonly number: number
  /** s string, b bool, i integer, d double, y bytes, else a message's name. */
  readonly type: string
  readonly shape: 'one' | 'list' | 'map'
  /** Its fields stand in the parent's JSON object. */
  readonly inline: boolean
  /** How a strategic merge patch treats it; a list without this is replaced. */
  readonly patch?: { readonly key: string; readonly retainKeys: boolean; readonly replace: boolean }
}

export interface Message {
  readonly name: string
  readonly byNumber: ReadonlyMap<number, Field>
  /** By JSON name, the fields of inline messages included. */
  readonly byName: ReadonlyMap<string, Field>
}

const lines = new Map<string, string>()
const parsed = new Map<string, Message>()

/** The message of that name, e.g. `core.v1.Pod`; undefined when it is none that we serve. */
export function findMessage(name: string): Message | undefined {
  const held = parsed.get(name)
  if (held) return held
  if (lines.size === 0) for (const line of text.split('\n')) lines.set(line.split(' ', 1)[0]!, line)
  const line = name === '' ? undefined : lines.get(name)
  if (line === undefined) return undefined
  const byNumber = new Map<number, Field>()
  const byName = new Map<string, Field>()
  const message = { name, byNumber, byName }
  parsed.set(name, message)
  for (const part of line.split(' ').slice(1)) {
    const field = parseField(part)
    byNumber.set(field.number, field)
    if (field.inline) for (const [json, inner] of findMessage(field.type)?.byName ?? []) byName.set(json, inner)
    else byName.set(field.json, field)
  }
  return message
}

function parseField(part: string): Field {
  const [json = '', number = '', coded = ''] = part.split(',')
  const [, mark = '', type = '', inline, patched] = /^([[{]?)([\w.]+)(~)?(?:@(.*))?$/.exec(coded)!
  return {
    json,
    number: Number(number),
    type,
    shape: mark === '[' ? 'list' : mark === '{' ? 'map' : 'one',
    inline: inline !== undefined,
    ...(patched === undefined
      ? {}
      : {
          patch: { key: patched.replace(/^[=!]/, ''), retainKeys: patched.startsWith('='), replace: patched === '!' },
        }),
  }
}

const packages: Readonly<Record<string, string>> = { '': 'core' }

/** The message of a built-in kind: `apps/v1`, `Deployment` is `apps.v1.Deployment`. */
export function messageOf(apiVersion: string, kind: string): Message | undefined {
  const at = apiVersion.indexOf('/')
  const group = at < 0 ? '' : apiVersion.slice(0, at)
  return (
    findMessage(`${packages[group] ?? group.split('.')[0]}.${apiVersion.slice(at + 1)}.${kind}`) ??
    (kind === 'DeleteOptions' ? findMessage('meta.v1.DeleteOptions') : undefined)
  )
}

/** What JSON looks like where it does not follow the message. */
export type JsonForm = 'text' | 'numberOrText' | 'any' | 'schema' | 'texts'

const forms: Readonly<Record<string, JsonForm>> = {
  'meta.v1.Time': 'text',
  'meta.v1.MicroTime': 'text',
  'meta.v1.Duration': 'text',
  'resource.Quantity': 'numberOrText',
  'intstr.IntOrString': 'numberOrText',
  'meta.v1.FieldsV1': 'any',
  'runtime.RawExtension': 'any',
  'apiextensions.v1.JSON': 'any',
  'apiextensions.v1.JSONSchemaPropsOrArray': 'schema',
  'apiextensions.v1.JSONSchemaPropsOrBool': 'schema',
  'apiextensions.v1.JSONSchemaPropsOrStringArray': 'any',
  'authentication.v1.ExtraValue': 'texts',
  'authorization.v1.ExtraValue': 'texts',
}

export const formOf = (type: string): JsonForm | undefined => forms[type]

/**
 * The value with only the fields its type has. Each other field's path goes to `unknown`; null means absent. Throws
 * BadRequest where a value has the wrong JSON type.
 */
export function conform(
  message: Message,
  value: Record<string, unknown>,
  unknown: (path: string) => void,
  path = '',
): Record<string, unknown> {
  const out: Record<string, unknown> = {}
  for (const [key, held] of Object.entries(value)) {
    if (path === '' && (key === 'apiVersion' || key === 'kind')) {
      out[key] = held
      continue
    }
    const field = message.byName.get(key)
    const at = path === '' ? key : `${path}.${key}`
    if (!field) unknown(at)
    else if (held !== null && held !== undefined) out[key] = fieldValue(field, held, unknown, at)
  }
  return out
}

function fieldValue(field: Field, value: unknown, unknown: (path: string) => void, path: string): unknown {
  if (field.shape === 'list') {
    if (!Array.isArray(value)) throw wrongType(path, value, 'array')
    return value.map((item, i) => single(field.type, item, unknown, `${path}[${i}]`))
  }
  if (field.shape === 'map') {
    if (!isMap(value)) throw wrongType(path, value, 'object')
    const entries = Object.entries(value).filter(([, item]) => item !== null)
    return Object.fromEntries(entries.map(([key, item]) => [key, single(field.type, item, unknown, `${path}.${key}`)]))
  }
  return single(field.type, value, unknown, path)
}

const wants: Readonly<Record<string, readonly [jsType: string, goType: string]>> = {
  s: ['string', 'string'],
  y: ['string', '[]uint8'],
  b: ['boolean', 'bool'],
  i: ['number', 'int64'],
  d: ['number', 'float64'],
}

function single(type: string, value: unknown, unknown: (path: string) => void, path: string): unknown {
  const want = wants[type]
  if (want) {
    if (typeof value !== want[0]) throw wrongType(path, value, want[1])
    if (type === 'i' && !Number.isInteger(value)) throw wrongType(path, value, 'int64')
    return value
  }
  const form = formOf(type)
  if (form === 'text' && typeof value !== 'string') throw wrongType(path, value, type)
  if (form === 'numberOrText') {
    if (typeof value !== 'string' && typeof value !== 'number') throw wrongType(path, value, type)
    return type === 'resource.Quantity' ? String(value) : value
  }
  if (form === 'schema' && typeof value === 'object' && value !== null) {
    const schema = findMessage('apiextensions.v1.JSONSchemaProps')!
    if (Array.isArray(value)) return value.map((item, i) => single(schema.name, item, unknown, `${path}[${i}]`))
    return conform(schema, value as Record<string, unknown>, unknown, path)
  }
  if (form !== undefined) return value
  const message = findMessage(type)
  if (!isMap(value)) throw wrongType(path, value, type)
  return message ? conform(message, value, unknown, path) : value
}

const jsonTypeOf = (value: unknown): string =>
  Array.isArray(value) ? 'array' : typeof value === 'boolean' ? 'bool' : typeof value

const wrongType = (path: string, value: unknown, goType: string) =>
  badRequest(`json: cannot unmarshal ${jsonTypeOf(value)} into Go struct field ${path} of type ${goType}`)
