// SPDX-License-Identifier: Apache-2.0
import { isMap, type Json } from './object.ts'
import { type Field, findMessage, formOf, type Message } from './schema.ts'
import type { Schema } from './structural.ts'

/**
 * A set of fields, in the form of managedFields' FieldsV1: `f:name` a field, `k:{"name":"x"}` an item of a keyed list,
 * `v:"x"` a member of a set, `.` the thing itself. A leaf is an empty map.
 */
export interface FieldSet {
  readonly [key: string]: FieldSet
}

/** How values are merged when several managers apply: the part of a schema that matters for it. */
export interface Shape {
  /** Atomic values are owned whole. */
  readonly atomic: boolean
  /** Lists: how items are told apart. */
  readonly list?: { readonly kind: 'set' } | { readonly kind: 'map'; readonly keys: readonly string[] }
  /** Values of keys that an item may leave out. */
  readonly keyDefaults?: Readonly<Record<string, unknown>>
  field(name: string): Shape
  item(): Shape
}

const atomic: Shape = { atomic: true, field: () => atomic, item: () => atomic }

/** Of a value without a schema: maps are merged, lists are owned whole. */
const loose: Shape = { atomic: false, field: () => loose, item: () => atomic }

/** Lists whose items need more than the patch merge key to be told apart, or that are keyed without being patch-merged. */
const listKeys: Readonly<Record<string, readonly string[]>> = {
  'core.v1.ContainerPort': ['containerPort', 'protocol'],
  'core.v1.ServicePort': ['port', 'protocol'],
  'core.v1.TopologySpreadConstraint': ['topologyKey', 'whenUnsatisfiable'],
  'core.v1.PodIP': ['ip'],
  'core.v1.HostIP': ['ip'],
  'meta.v1.Condition': ['type'],
}

/** Types whose fields are owned together. */
const atomicTypes = new Set([
  'meta.v1.LabelSelector',
  'core.v1.LocalObjectReference',
  'core.v1.ObjectReference',
  'core.v1.SecretKeySelector',
  'core.v1.ConfigMapKeySelector',
  'core.v1.ObjectFieldSelector',
  'core.v1.ResourceFieldSelector',
  'core.v1.NodeSelector',
  'core.v1.NodeSelectorTerm',
  'core.v1.TypedLocalObjectReference',
  'rbac.v1.RoleRef',
])

/** The shape of a built-in type. */
export function messageShape(message: Message): Shape {
  return {
    atomic: false,
    field(name) {
      const field = message.byName.get(name)
      return field ? fieldShape(field) : loose
    },
    item: () => atomic,
  }
}

function typeShape(type: string): Shape {
  if (formOf(type) || atomicTypes.has(type)) return atomic
  const message = findMessage(type)
  return message ? messageShape(message) : atomic
}

function fieldShape(field: Field): Shape {
  if (field.shape === 'map') {
    // Selectors and node selectors of plain maps are owned whole; labels, annotations and data key by key.
    const whole = field.json === 'selector' || field.json === 'nodeSelector'
    return whole ? atomic : { atomic: false, field: () => typeShape(field.type), item: () => atomic }
  }
  if (field.shape === 'one') return typeShape(field.type)
  const keys = listKeys[field.type] ?? (field.patch?.key ? [field.patch.key] : undefined)
  if (keys)
    return {
      atomic: false,
      list: { kind: 'map', keys },
      keyDefaults: { protocol: 'TCP' },
      field: () => loose,
      item: () => typeShape(field.type),
    }
  if (field.patch && field.type === 's')
    return { atomic: false, list: { kind: 'set' }, field: () => loose, item: () => atomic }
  return atomic
}

const metadataShape = (): Shape => messageShape(findMessage('meta.v1.ObjectMeta')!)

/** The shape of a custom resource, by its structural schema. */
export function schemaShape(schema: Schema | undefined, root = true): Shape {
  if (!schema) return root ? { ...loose, field: (name) => (name === 'metadata' ? metadataShape() : loose) } : loose
  const listType = schema['x-kubernetes-list-type']
  if (schema.type === 'array') {
    const item = () => schemaShape(schema.items, false)
    if (listType === 'set') return { atomic: false, list: { kind: 'set' }, field: () => loose, item }
    if (listType !== 'map') return atomic
    const keys = schema['x-kubernetes-list-map-keys'] ?? []
    const keyDefaults = Object.fromEntries(keys.map((k) => [k, schema.items?.properties?.[k]?.default]))
    return { atomic: false, list: { kind: 'map', keys }, keyDefaults, field: () => loose, item }
  }
  if (schema['x-kubernetes-map-type'] === 'atomic') return atomic
  const { properties = {}, additionalProperties } = schema
  return {
    atomic: false,
    field(name) {
      if (root && name === 'metadata') return metadataShape()
      const part = Object.hasOwn(properties, name)
        ? properties[name]
        : isMap(additionalProperties)
          ? (additionalProperties as Schema)
          : undefined
      return schemaShape(part, false)
    },
    item: () => atomic,
  }
}

/** The name an item of a list has in a field set; undefined when it lacks a key. */
export function itemKey(shape: Shape, item: unknown): string | undefined {
  if (shape.list?.kind === 'set') return `v:${JSON.stringify(item)}`
  if (shape.list?.kind !== 'map' || !isMap(item)) return undefined
  const keys = [...shape.list.keys].sort().map((k) => [k, item[k] ?? shape.keyDefaults?.[k]] as const)
  return keys.every(([, v]) => v === undefined) ? undefined : `k:${JSON.stringify(Object.fromEntries(keys))}`
}

/** All fields of a value, down to its leaves. */
export function fieldsOf(shape: Shape, value: unknown): FieldSet {
  const out: Record<string, FieldSet> = {}
  if (shape.atomic) return out
  if (isMap(value)) {
    for (const [key, held] of Object.entries(value))
      if (held !== undefined) out[`f:${key}`] = fieldsOf(shape.field(key), held)
  } else if (Array.isArray(value) && shape.list) {
    for (const item of value) {
      const key = itemKey(shape, item)
      if (key !== undefined) out[key] = { '.': {}, ...fieldsOf(shape.item(), item) }
    }
  }
  return out
}

const isLeaf = (set: FieldSet): boolean => Object.keys(set).length === 0

/** Leaves of `a` that are not in `b`. */
export function minus(a: FieldSet, b: FieldSet): FieldSet {
  const out: Record<string, FieldSet> = {}
  for (const [key, below] of Object.entries(a)) {
    const other = b[key]
    if (!other) out[key] = below
    else if (!isLeaf(below)) {
      const rest = minus(below, other)
      if (!isLeaf(rest)) out[key] = rest
    }
  }
  return out
}

export function union(a: FieldSet, b: FieldSet): FieldSet {
  const out: Record<string, FieldSet> = { ...a }
  for (const [key, below] of Object.entries(b)) out[key] = out[key] ? union(out[key], below) : below
  return out
}

/** Leaves in both. */
export function both(a: FieldSet, b: FieldSet): FieldSet {
  const out: Record<string, FieldSet> = {}
  for (const [key, below] of Object.entries(a)) {
    const other = b[key]
    if (!other) continue
    if (isLeaf(below) || isLeaf(other)) out[key] = {}
    else {
      const rest = both(below, other)
      if (!isLeaf(rest)) out[key] = rest
    }
  }
  return out
}

/** Each leaf's path as conflict messages print it: `.spec.containers[name="a"].image`. */
export function leafPaths(set: FieldSet, path = ''): readonly string[] {
  return Object.entries(set).flatMap(([key, below]) => {
    if (key === '.') return []
    const at = path + step(key)
    const deeper = leafPaths(below, at)
    return deeper.length === 0 ? [at] : deeper
  })
}

function step(key: string): string {
  if (key.startsWith('f:')) return `.${key.slice(2)}`
  if (key.startsWith('v:')) return `[=${key.slice(2)}]`
  const keys = JSON.parse(key.slice(2)) as Record<string, Json>
  return `[${Object.entries(keys)
    .map(([k, v]) => `${k}=${JSON.stringify(v)}`)
    .join(',')}]`
}
