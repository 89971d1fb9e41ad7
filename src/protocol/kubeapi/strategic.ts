// SPDX-License-Identifier: Apache-2.0
import { copyJson, isMap, sameJson } from './object.ts'
import { type Field, findMessage, formOf, type Message } from './schema.ts'
import { badRequest } from './status.ts'

type Fields = Record<string, unknown>

/**
 * Strategic merge patch: lists with a merge key are merged by it, sets of strings are united, all else is as in a JSON
 * merge patch. Understands `$patch`, `$retainKeys`, `$setElementOrder/` and `$deleteFromPrimitiveList/`. Throws BadRequest.
 */
export function strategicPatch(message: Message | undefined, current: Fields, patch: Fields): Fields {
  return mergeMap(message, current, patch)
}

function mergeMap(message: Message | undefined, current: Fields, patch: Fields): Fields {
  const directive = patch['$patch']
  if (directive === 'replace') return stripped(patch)
  if (directive === 'delete') return {}
  const out: Fields = { ...current }
  const retain = patch['$retainKeys']
  if (Array.isArray(retain)) for (const key of Object.keys(out)) if (!retain.includes(key)) delete out[key]
  for (const [key, value] of Object.entries(patch)) {
    if (key.startsWith('$')) continue
    if (value === null) {
      delete out[key]
      continue
    }
    const field = message?.byName.get(key)
    out[key] = mergeField(field, out[key], value, key)
  }
  for (const [key, value] of Object.entries(patch)) {
    const [kind, name] = key.split('/', 2)
    if (name === undefined || !Array.isArray(value)) continue
    const list = Array.isArray(out[name]) ? (out[name] as unknown[]) : []
    if (kind === '$deleteFromPrimitiveList') out[name] = list.filter((item) => !value.some((v) => sameJson(v, item)))
    else if (kind === '$setElementOrder' && Array.isArray(out[name]))
      out[name] = ordered(list, value, message?.byName.get(name)?.patch?.key)
  }
  return out
}

/** The patch's value without its directives. */
function stripped(value: Fields): Fields {
  return Object.fromEntries(Object.entries(value).filter(([key]) => !key.startsWith('$')))
}

function clean(value: unknown): unknown {
  if (Array.isArray(value)) return value.filter((v) => !(isMap(v) && v['$patch'] === 'delete')).map(clean)
  if (!isMap(value)) return value
  const out: Fields = {}
  for (const [key, held] of Object.entries(value)) if (!key.startsWith('$') && held !== null) out[key] = clean(held)
  return out
}

const below = (field: Field | undefined): Message | undefined =>
  field && !formOf(field.type) ? findMessage(field.type) : undefined

function mergeField(field: Field | undefined, current: unknown, patch: unknown, name: string): unknown {
  if (field?.shape === 'list' && field.patch && Array.isArray(patch))
    return mergeList(field, Array.isArray(current) ? current : [], patch, name)
  if (isMap(patch)) {
    const message = field?.shape === 'one' ? below(field) : undefined
    if (!isMap(current)) return clean(mergeMap(message, {}, patch))
    return field?.patch?.replace ? clean(patch) : mergeMap(message, current, patch)
  }
  return copyJson(patch)
}

function mergeList(field: Field, current: readonly unknown[], patch: readonly unknown[], name: string): unknown[] {
  const key = field.patch!.key
  if (key === '') return [...current, ...patch.filter((p) => !current.some((c) => sameJson(c, p)))]
  if (patch.some((p) => isMap(p) && p['$patch'] === 'replace'))
    return patch.filter((p) => !(isMap(p) && p['$patch'] === 'replace')).map(clean)
  let out = [...current]
  for (const item of patch) {
    if (!isMap(item) || item[key] === undefined)
      throw badRequest(`map: ${JSON.stringify(item)} does not contain declared merge key: ${key} (in ${name})`)
    const same = (other: unknown) => isMap(other) && other[key] === item[key]
    if (item['$patch'] === 'delete') {
      out = out.filter((other) => !same(other))
      continue
    }
    const at = out.findIndex(same)
    if (at >= 0) out[at] = mergeMap(below(field), out[at] as Fields, item)
    else out.push(clean(item))
  }
  return out
}

/** Items named in `order` in that order; others keep their place behind the item they followed. */
function ordered(list: readonly unknown[], order: readonly unknown[], key: string | undefined): unknown[] {
  const keyOf = (item: unknown): unknown => (key && isMap(item) ? item[key] : item)
  const ranks = new Map(order.map((item, i) => [keyOf(item), i]))
  let last = -1
  const placed = list.map((item, i) => ({
    item,
    i,
    rank: (last = ranks.get(keyOf(item)) ?? last),
    named: ranks.has(keyOf(item)),
  }))
  return placed.sort((a, b) => a.rank - b.rank || Number(b.named) - Number(a.named) || a.i - b.i).map((p) => p.item)
}
