// SPDX-License-Identifier: Apache-2.0
import { ok, type Result } from '../base/result.ts'
import { type JsonObject, object } from './json.ts'
import { type Meta, objectKey, parseMeta } from './meta.ts'

export type PolicyKind = 'NetworkPolicy' | 'CiliumNetworkPolicy' | 'CiliumClusterwideNetworkPolicy'

/** A policy object as it came; what it says is read in derive/policy, where a bad one becomes a condition on itself. */
export interface PolicyObject extends Meta {
  readonly kind: PolicyKind
  /** The object without `status` and `metadata`, so that writing a status changes no row. */
  readonly object: JsonObject
}

/** `kind/namespace/name`; the namespace is empty for kinds of the cluster. */
export const policyKey = (p: {
  readonly kind: PolicyKind
  readonly namespace: string
  readonly name: string
}): string => `${p.kind}/${p.namespace}/${p.name}`

/** `namespace/name` as users write it. */
export const policyName = objectKey

export function parsePolicyObject(kind: PolicyKind, object_: unknown): Result<PolicyObject> {
  const meta = parseMeta(object_)
  if (!meta.ok) return meta
  const { status: _status, metadata: _metadata, ...rest } = object(object_)
  return ok({ ...meta.value, resourceVersion: '', kind, object: rest })
}
