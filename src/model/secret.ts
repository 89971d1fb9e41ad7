// SPDX-License-Identifier: Apache-2.0
import { ok, type Result } from '../base/result.ts'
import { object, text } from './json.ts'
import { parseMeta } from './meta.ts'

/** A Secret that policies may name. What it holds must not be printed: tables of it are not shown. */
export interface PolicySecret {
  readonly namespace: string
  readonly name: string
  /** By key, in base 64. */
  readonly data: { readonly [key: string]: string }
}

export function parseSecret(object_: unknown): Result<PolicySecret> {
  const meta = parseMeta(object_)
  if (!meta.ok) return meta
  const { namespace, name } = meta.value
  const data = Object.entries(object(object(object_)['data'])).map(([key, value]) => [key, text(value)] as const)
  return ok({ namespace, name, data: Object.fromEntries(data) })
}
