// SPDX-License-Identifier: Apache-2.0
import { copyJson, isMap } from './object.ts'

/** A structural schema, as a CustomResourceDefinition carries it under `openAPIV3Schema`. */
export interface Schema {
  readonly type?: 'object' | 'array' | 'string' | 'integer' | 'number' | 'boolean'
  readonly description?: string
  readonly format?: string
  readonly nullable?: boolean
  readonly default?: unknown
  readonly properties?: Readonly<Record<string, Schema>>
  readonly additionalProperties?: Schema | boolean
  readonly items?: Schema
  readonly required?: readonly string[]
  readonly enum?: readonly unknown[]
  readonly pattern?: string
  readonly minimum?: number
  readonly maximum?: number
  readonly exclusiveMinimum?: boolean
  readonly exclusiveMaximum?: boolean
  readonly multipleOf?: number
  readonly minLength?: number
  readonly maxLength?: number
  readonly minItems?: number
  readonly maxItems?: number
  readonly uniqueItems?: boolean
  readonly minProperties?: number
  readonly maxProperties?: number
  readonly oneOf?: readonly Schema[]
  readonly anyOf?: readonly Schema[]
  readonly allOf?: readonly Schema[]
  readonly not?: Schema
  readonly 'x-kubernetes-preserve-unknown-fields'?: boolean
  readonly 'x-kubernetes-embedded-resource'?: boolean
  readonly 'x-kubernetes-int-or-string'?: boolean
  readonly 'x-kubernetes-list-type'?: 'atomic' | 'set' | 'map'
  readonly 'x-kubernetes-list-map-keys'?: readonly string[]
  readonly 'x-kubernetes-map-type'?: 'atomic' | 'granular'
  readonly 'x-kubernetes-validations'?: readonly CelRule[]
}

export interface CelRule {
  readonly rule: string
  readonly message?: string
  readonly messageExpression?: string
  readonly reason?: string
  readonly fieldPath?: string
  readonly optionalOldSelf?: boolean
}

const resourceFields = new Set(['apiVersion', 'kind', 'metadata'])

/** The value with only what the schema specifies; the path of each other field goes to `unknown`. */
export function prune(
  schema: Schema,
  value: unknown,
  unknown: (path: string) => void,
  path = '',
  resource = path === '',
): unknown {
  if (Array.isArray(value)) {
    const { items } = schema
    return items
      ? value.map((item, i) =>
          prune(items, item, unknown, `${path}[${i}]`, items['x-kubernetes-embedded-resource'] === true),
        )
      : value
  }
  if (!isMap(value)) return value
  const { properties = {}, additionalProperties } = schema
  const out: Record<string, unknown> = {}
  for (const [key, held] of Object.entries(value)) {
    const at = path === '' ? key : `${path}.${key}`
    const own = Object.hasOwn(properties, key) ? properties[key] : undefined
    const part = own ?? (isMap(additionalProperties) ? (additionalProperties as Schema) : undefined)
    if (resource && resourceFields.has(key)) out[key] = held
    else if (part) out[key] = prune(part, held, unknown, at, part['x-kubernetes-embedded-resource'] === true)
    else if (schema['x-kubernetes-preserve-unknown-fields'] || additionalProperties === true) out[key] = held
    else unknown(at)
  }
  return out
}

/** The value with the schema's defaults where a field is missing, or null without being nullable. */
export function withDefaults(schema: Schema, value: unknown): unknown {
  if (Array.isArray(value)) {
    const { items } = schema
    return items ? value.map((item) => withDefaults(items, item)) : value
  }
  if (!isMap(value)) return value
  const { properties = {}, additionalProperties } = schema
  const out: Record<string, unknown> = {}
  for (const [key, held] of Object.entries(value)) {
    const part =
      (Object.hasOwn(properties, key) ? properties[key] : undefined) ??
      (isMap(additionalProperties) ? (additionalProperties as Schema) : undefined)
    if (held === null && part && !part.nullable) continue
    out[key] = part ? withDefaults(part, held) : held
  }
  for (const [key, part] of Object.entries(properties)) {
    if (out[key] === undefined && part.default !== undefined) out[key] = withDefaults(part, copyJson(part.default))
  }
  return out
}
