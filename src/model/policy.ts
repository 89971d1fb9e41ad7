// SPDX-License-Identifier: Apache-2.0
import { canonicalPrefix } from '../base/ip.ts'
import { fail, ok, type Result } from '../base/result.ts'
import { type JsonObject, list, object, text } from './json.ts'
import { type Meta, objectKey, parseMeta } from './meta.ts'

export type PolicyKind =
  | 'NetworkPolicy'
  | 'CiliumNetworkPolicy'
  | 'CiliumClusterwideNetworkPolicy'
  | 'ClusterNetworkPolicy'

/** A policy object as it came; what it says is read in derive/policy, where a bad one becomes a condition on itself. */
export interface PolicyObject extends Meta {
  readonly kind: PolicyKind
  /** The object without `status` and `metadata`, so that writing a status changes no row. */
  readonly object: JsonObject
}

/** Begins the name of a rule that came by Cilium's own API; no name in Kubernetes has a colon. */
export const importedPrefix = 'imported:'

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

/** A CiliumCIDRGroup: prefixes that policies name together. */
export interface CidrGroup {
  readonly name: string
  readonly labels: { readonly [key: string]: string }
  /** Canonical, sorted. */
  readonly prefixes: readonly string[]
}

/** Prefixes that can not be read are a problem of the object as a whole: a group that is half there is not the group. */
export function parseCidrGroup(object_: unknown): Result<CidrGroup> {
  const meta = parseMeta(object_)
  if (!meta.ok) return meta
  const prefixes = new Set<string>()
  for (const [i, written] of list(object(object(object_)['spec'])['externalCIDRs']).entries()) {
    const canonical = canonicalPrefix(text(written))
    if (canonical === undefined)
      return fail({ field: `spec.externalCIDRs[${i}]`, message: `'${text(written)}' is not a prefix` })
    prefixes.add(canonical)
  }
  return ok({ name: meta.value.name, labels: meta.value.labels, prefixes: [...prefixes].sort() })
}
