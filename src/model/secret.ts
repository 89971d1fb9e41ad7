// SPDX-License-Identifier: Apache-2.0
import { ok, type Result } from '../base/result.ts'
import { object, text } from './json.ts'
import { parseMeta } from './meta.ts'
import type { SecretRef } from './proxy.ts'

/** A Secret that policies may name. What it holds must not be printed: tables of it are not shown. */
export interface PolicySecret {
  readonly namespace: string
  readonly name: string
  /** By key, in base 64. */
  readonly data: { readonly [key: string]: string }
  /** Of a copy: whose. */
  readonly owner?: SecretRef
}

/** Labels of a copy that the operator made. */
export const ownerLabels = {
  namespace: 'secretsync.cilium.io/owning-secret-namespace',
  name: 'secretsync.cilium.io/owning-secret-name',
} as const

export const ownerOf = (labels: Readonly<Record<string, string>>): SecretRef | undefined => {
  const [namespace, name] = [labels[ownerLabels.namespace], labels[ownerLabels.name]]
  return namespace === undefined || name === undefined ? undefined : { namespace, name }
}

/** What a secret is called in the namespace of copies. Two secrets can have one name there: see the owner. */
export const copyName = ({ namespace, name }: SecretRef): string => `${namespace}-${name}`

export function parseSecret(object_: unknown): Result<PolicySecret> {
  const meta = parseMeta(object_)
  if (!meta.ok) return meta
  const { namespace, name, labels } = meta.value
  const data = Object.entries(object(object(object_)['data'])).map(([key, value]) => [key, text(value)] as const)
  const owner = ownerOf(labels)
  return ok({ namespace, name, data: Object.fromEntries(data), ...(owner ? { owner } : {}) })
}
