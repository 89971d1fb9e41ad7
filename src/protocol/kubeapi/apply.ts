// SPDX-License-Identifier: Apache-2.0
import { both, type FieldSet, fieldsOf, itemKey, leafPaths, minus, type Shape, union } from './fieldset.ts'
import { copyJson, isMap, type Json, type KubeObject, type ManagedFields, sameJson } from './object.ts'
import { StatusError } from './status.ts'

/** One manager's request to apply its fields. */
export interface Apply {
  readonly body: Readonly<Record<string, unknown>>
  readonly manager: string
  readonly force: boolean
  readonly apiVersion: string
  readonly subresource?: string
  /** RFC 3339. */
  readonly time: string
}

/** Metadata that the server makes and no manager owns. */
const serverMade = ['f:apiVersion', 'f:kind']
const serverMetadata = [
  'name',
  'namespace',
  'uid',
  'resourceVersion',
  'generation',
  'creationTimestamp',
  'deletionTimestamp',
  'deletionGracePeriodSeconds',
  'managedFields',
  'selfLink',
  'generateName',
]

/** The fields of an object that a manager can own. */
export function ownable(shape: Shape, object: Readonly<Record<string, unknown>>): FieldSet {
  const all: Record<string, FieldSet> = { ...fieldsOf(shape, object) }
  for (const key of serverMade) delete all[key]
  const metadata: Record<string, FieldSet> = { ...all['f:metadata'] }
  for (const key of serverMetadata) delete metadata[`f:${key}`]
  delete all['f:metadata']
  return Object.keys(metadata).length > 0 ? { 'f:metadata': metadata, ...all } : all
}

/**
 * Server-side apply: the live object with the manager's fields merged in, those it no longer applies and no one else owns
 * taken out, and managedFields kept. Throws Conflict when another manager owns a field at another value, unless forced.
 */
export function serverSideApply(shape: Shape, live: KubeObject | undefined, request: Apply): Record<string, unknown> {
  const { body, manager, force, apiVersion, subresource, time } = request
  const managed = live?.metadata.managedFields ?? []
  const isOwn = (m: ManagedFields) =>
    m.manager === manager && m.operation === 'Apply' && (m.subresource ?? '') === (subresource ?? '')
  const own = managed.find(isOwn)
  const applied = ownable(shape, body)
  const current: Record<string, unknown> = live ? { ...live } : {}
  const merged = merge(shape, current, body) as Record<string, unknown>

  let others = managed.filter((m) => !isOwn(m))
  const changed = live ? changedLeaves(shape, current, merged, applied) : {}
  const conflicts = others
    .map((m) => ({ m, fields: both(m.fieldsV1 as FieldSet, changed) }))
    .filter(({ fields }) => Object.keys(fields).length > 0)
  if (conflicts.length > 0 && !force) throw conflictOf(conflicts)
  for (const { m, fields } of conflicts) {
    others = others.map((o) => (o === m ? { ...o, fieldsV1: minus(o.fieldsV1 as FieldSet, fields) as Json } : o))
  }
  others = others.filter((o) => Object.keys(o.fieldsV1 as FieldSet).length > 0)

  const ownedByOthers = others.reduce<FieldSet>((sum, o) => union(sum, o.fieldsV1 as FieldSet), {})
  const dropped = own ? minus(minus(own.fieldsV1 as FieldSet, applied), ownedByOthers) : {}
  const pruned = remove(shape, merged, dropped) as Record<string, unknown>
  const unchanged = own && sameJson(own.fieldsV1, applied) && live && sameJson(pruned, current)
  const entry: ManagedFields = {
    manager,
    operation: 'Apply',
    apiVersion,
    time: unchanged ? own.time! : time,
    fieldsType: 'FieldsV1',
    fieldsV1: applied as Json,
    ...(subresource ? { subresource } : {}),
  }
  const metadata = (isMap(pruned['metadata']) ? pruned['metadata'] : {}) as Record<string, unknown>
  return { ...pruned, metadata: { ...metadata, managedFields: [...others, entry] } }
}

/** The leaves that `applied` names and that differ between the two values. */
function changedLeaves(shape: Shape, before: unknown, after: unknown, applied: FieldSet): FieldSet {
  const out: Record<string, FieldSet> = {}
  for (const [key, below] of Object.entries(applied)) {
    if (key === '.') continue
    const [a, b, inner] = part(shape, before, after, key)
    if (sameJson(a, b)) continue
    if (a === undefined && key.startsWith('k:')) continue
    if (Object.keys(below).length === 0) out[key] = {}
    else {
      const deeper = changedLeaves(inner, a, b, below)
      if (Object.keys(deeper).length > 0) out[key] = deeper
    }
  }
  return out
}

function part(shape: Shape, before: unknown, after: unknown, key: string): readonly [unknown, unknown, Shape] {
  if (key.startsWith('f:')) {
    const name = key.slice(2)
    const at = (v: unknown) => (isMap(v) ? v[name] : undefined)
    return [at(before), at(after), shape.field(name)]
  }
  const at = (v: unknown) => (Array.isArray(v) ? v.find((item) => itemKey(shape, item) === key) : undefined)
  return [at(before), at(after), shape.item()]
}

function merge(shape: Shape, live: unknown, applied: unknown): unknown {
  if (shape.atomic) return copyJson(applied)
  if (isMap(applied)) {
    const out: Record<string, unknown> = isMap(live) ? { ...live } : {}
    for (const [key, value] of Object.entries(applied)) {
      if (value === undefined || (value === null && out[key] === undefined)) continue
      out[key] = merge(shape.field(key), out[key], value)
    }
    return out
  }
  if (Array.isArray(applied) && shape.list) {
    const held = Array.isArray(live) ? [...live] : []
    for (const item of applied) {
      const key = itemKey(shape, item)
      const at = held.findIndex((other) => itemKey(shape, other) === key && key !== undefined)
      if (at >= 0) held[at] = merge(shape.item(), held[at], item)
      else held.push(copyJson(item))
    }
    return inOrder(shape, held, applied)
  }
  return copyJson(applied)
}

/** Items applied come in the order applied; others keep their order behind the ones they followed. */
function inOrder(shape: Shape, list: readonly unknown[], applied: readonly unknown[]): unknown[] {
  const ranks = new Map(applied.map((item, i) => [itemKey(shape, item), i]))
  let last = -1
  return list
    .map((item, i) => ({ item, i, rank: (last = ranks.get(itemKey(shape, item)) ?? last) }))
    .sort((a, b) => a.rank - b.rank || a.i - b.i)
    .map((p) => p.item)
}

/** The value without the leaves named. An item of a keyed list goes when its `.` is named and nothing else is left of it. */
function remove(shape: Shape, value: unknown, dropped: FieldSet): unknown {
  if (Object.keys(dropped).length === 0) return value
  if (isMap(value)) {
    const out: Record<string, unknown> = { ...value }
    for (const [key, below] of Object.entries(dropped)) {
      const name = key.slice(2)
      if (!key.startsWith('f:') || out[name] === undefined) continue
      const left = Object.keys(below).length === 0 ? undefined : remove(shape.field(name), out[name], below)
      const hollow = isMap(left) ? Object.keys(left).length === 0 : Array.isArray(left) && left.length === 0
      if (left === undefined || hollow) delete out[name]
      else out[name] = left
    }
    return out
  }
  if (!Array.isArray(value)) return value
  return value.flatMap((item) => {
    const key = itemKey(shape, item)
    const below = key === undefined ? undefined : dropped[key]
    if (!below) return [item]
    if ('.' in below || Object.keys(below).length === 0) return []
    return [remove(shape.item(), item, below)]
  })
}

function conflictOf(conflicts: readonly { readonly m: ManagedFields; readonly fields: FieldSet }[]): StatusError {
  const causes = conflicts.flatMap(({ m, fields }) => {
    const by = `conflict with ${JSON.stringify(m.manager)}${m.operation === 'Update' ? ` using ${m.apiVersion}` : ''}`
    return leafPaths(fields).map((field) => ({ reason: 'FieldManagerConflict', message: by, field }))
  })
  const lines = causes.map((c) => `${c.message}: ${c.field}`)
  const text =
    causes.length === 1
      ? `Apply failed with 1 conflict: ${lines[0]}`
      : `Apply failed with ${causes.length} conflicts: ${lines.join('\n')}`
  return new StatusError(409, 'Conflict', text, { causes })
}

/** managedFields after a plain write by `manager`: what it changed is its own now, and no longer another's. */
export function trackUpdate(
  shape: Shape,
  before: KubeObject | undefined,
  after: KubeObject,
  manager: string,
  time: string,
  subresource?: string,
): readonly ManagedFields[] {
  const had = before ? ownable(shape, before) : {}
  const has = ownable(shape, after)
  const altered = union(minus(has, had), changedLeaves(shape, before, after, both(has, had)))
  const managed = after.metadata.managedFields ?? before?.metadata.managedFields ?? []
  const isOwn = (m: ManagedFields) =>
    m.manager === manager && m.operation === 'Update' && (m.subresource ?? '') === (subresource ?? '')
  const own = managed.find(isOwn)
  const mine = both(union((own?.fieldsV1 as FieldSet | undefined) ?? {}, altered), has)
  const rest = managed
    .filter((m) => !isOwn(m))
    .map((m) => {
      const left = both(minus(m.fieldsV1 as FieldSet, altered), has)
      return sameJson(left, m.fieldsV1) ? m : { ...m, fieldsV1: left as Json }
    })
    .filter((m) => Object.keys(m.fieldsV1 as FieldSet).length > 0)
  if (Object.keys(mine).length === 0) return rest
  const same = own && Object.keys(altered).length === 0
  const entry: ManagedFields = {
    manager,
    operation: 'Update',
    apiVersion: after.apiVersion,
    ...(same ? { time: own.time! } : { time }),
    fieldsType: 'FieldsV1',
    fieldsV1: mine as Json,
    ...(subresource ? { subresource } : {}),
  }
  return [...rest, entry]
}
