// SPDX-License-Identifier: Apache-2.0
import { copyJson, isMap, type Json, type JsonMap, sameJson } from './object.ts'
import { badRequest, StatusError } from './status.ts'

/** A change as a client sends it. */
export type Patch =
  | { readonly type: 'json'; readonly operations: readonly JsonOperation[] }
  | { readonly type: 'merge'; readonly body: JsonMap }
  | { readonly type: 'strategic'; readonly body: JsonMap }
  | { readonly type: 'apply'; readonly body: JsonMap; readonly manager: string; readonly force: boolean }

export interface JsonOperation {
  readonly op: string
  readonly path: string
  readonly from?: string
  readonly value?: Json
}

/** JSON merge patch, RFC 7386: null removes, maps merge, all else replaces. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (!isMap(patch)) return copyJson(patch)
  const out: Record<string, unknown> = isMap(target) ? { ...target } : {}
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) delete out[key]
    else out[key] = mergePatch(out[key], value)
  }
  return out
}

type Container = Record<string, unknown> | unknown[]

/** JSON patch, RFC 6902. Throws Invalid (422) when an operation can not be done or a test fails. */
export function jsonPatch(target: unknown, operations: readonly JsonOperation[]): unknown {
  let root = copyJson(target)
  for (const operation of operations) root = step(root, operation)
  return root
}

function step(root: unknown, operation: JsonOperation): unknown {
  const path = pointer(operation.path)
  switch (operation.op) {
    case 'add':
      return put(root, path, copyJson(operation.value), true)
    case 'replace':
      find(root, path)
      return put(root, path, copyJson(operation.value), false)
    case 'remove':
      return remove(root, path)
    case 'move': {
      const from = pointer(operation.from ?? '')
      const value = find(root, from)
      return put(remove(root, from), path, value, true)
    }
    case 'copy':
      return put(root, path, copyJson(find(root, pointer(operation.from ?? ''))), true)
    case 'test':
      if (!sameJson(find(root, path), operation.value)) throw failed(`testing value ${operation.path} failed`)
      return root
    default:
      throw badRequest(`json patch: unexpected kind: ${operation.op}`)
  }
}

const failed = (why: string): StatusError =>
  new StatusError(422, 'Invalid', `the server rejected our request due to an error in our request: ${why}`)

function pointer(text: unknown): readonly string[] {
  if (typeof text !== 'string') throw badRequest('json patch: an operation lacks its path')
  if (text === '') return []
  if (!text.startsWith('/')) throw badRequest(`json patch: the path ${JSON.stringify(text)} must start with /`)
  return text
    .slice(1)
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
}

function child(at: unknown, key: string, whole: readonly string[]): unknown {
  const missing = () => failed(`the path /${whole.join('/')} does not exist`)
  if (Array.isArray(at)) {
    const index = Number(key)
    if (!/^\d+$/.test(key) || index >= at.length) throw missing()
    return at[index]
  }
  if (!isMap(at) || !Object.hasOwn(at, key)) throw missing()
  return at[key]
}

const find = (root: unknown, path: readonly string[]): unknown => path.reduce((at, key) => child(at, key, path), root)

function put(root: unknown, path: readonly string[], value: unknown, insert: boolean): unknown {
  const key = path.at(-1)
  if (key === undefined) return value
  const at = find(root, path.slice(0, -1)) as Container
  if (Array.isArray(at)) {
    const index = key === '-' ? at.length : Number(key)
    if (!Number.isInteger(index) || index < 0 || index > at.length) throw failed(`index ${key} is out of bounds`)
    at.splice(index, insert ? 0 : 1, value)
  } else if (isMap(at)) {
    if (key === '__proto__') throw badRequest('json patch: __proto__ is no field')
    at[key] = value
  } else throw failed(`the path /${path.join('/')} does not exist`)
  return root
}

function remove(root: unknown, path: readonly string[]): unknown {
  const key = path.at(-1)
  if (key === undefined) return null
  find(root, path)
  const at = find(root, path.slice(0, -1)) as Container
  if (Array.isArray(at)) at.splice(Number(key), 1)
  else delete at[key]
  return root
}
