// SPDX-License-Identifier: Apache-2.0
import { setTimeout as sleep } from 'node:timers/promises'
import { conditionOf, type PolicyCondition, readPolicy } from '../../derive/policy/policies.ts'
import type { Kube } from '../../edge/kube/client.ts'
import { putCondition } from '../../edge/kube/conditions.ts'
import { apiVersionOf, EVENTS, type KubeObject, policyResources } from '../../edge/kube/resource.ts'
import { isAlreadyExists, isNotFound } from '../../edge/kube/status.ts'
import { type PolicyKind, type PolicyObject, parsePolicyObject, policyKey } from '../../model/policy.ts'
import { settings } from '../../model/rows.ts'
import { deriveEach, type Table, table } from '../../table/definition.ts'
import type { Outcome, Target } from '../../table/target.ts'

/** A policy object with what its status says of it now. */
export interface JudgedPolicy {
  readonly policy: PolicyObject
  readonly apiVersion: string
  /** Empty for NetworkPolicy, which has no status. */
  readonly said: Partial<PolicyCondition> & { readonly lastTransitionTime?: string }
}

/** A condition to write, or for NetworkPolicy an event; gone when the object says so. */
export interface PolicyDeed {
  readonly policy: PolicyObject
  readonly apiVersion: string
  readonly condition: PolicyCondition
  /** Since when its status is what it is; '' when it changes now. */
  readonly since: string
}

export const policyKinds = Object.keys(policyResources) as readonly PolicyKind[]

/** One source table for each kind, because each is listed by itself. */
export const judgedPolicies: { readonly [Kind in PolicyKind]: Table<JudgedPolicy> } = {
  NetworkPolicy: judged('judgedNetworkPolicies'),
  CiliumNetworkPolicy: judged('judgedCiliumNetworkPolicies'),
  CiliumClusterwideNetworkPolicy: judged('judgedClusterwidePolicies'),
  ClusterNetworkPolicy: judged('judgedClusterNetworkPolicies'),
}

function judged(name: string): Table<JudgedPolicy> {
  return table<JudgedPolicy>(name, { key: (j) => policyKey(j.policy) })
}

export const policyDeeds: { readonly [Kind in PolicyKind]: Table<PolicyDeed> } = {
  NetworkPolicy: deeds('networkPolicyDeeds', judgedPolicies.NetworkPolicy),
  CiliumNetworkPolicy: deeds('ciliumNetworkPolicyDeeds', judgedPolicies.CiliumNetworkPolicy),
  CiliumClusterwideNetworkPolicy: deeds('clusterwidePolicyDeeds', judgedPolicies.CiliumClusterwideNetworkPolicy),
  ClusterNetworkPolicy: deeds('clusterNetworkPolicyDeeds', judgedPolicies.ClusterNetworkPolicy),
}

function deeds(name: string, from: Table<JudgedPolicy>): Table<PolicyDeed> {
  return deriveEach<JudgedPolicy, PolicyDeed>(name, from, { key: (d) => policyKey(d.policy) }, (j, read) => {
    const condition = conditionOf(readPolicy(j.policy, read.get(settings, 'settings')))
    const { said, policy, apiVersion } = j
    if (policy.kind === 'NetworkPolicy')
      return condition.reason === 'Valid' ? [] : [{ policy, apiVersion, condition, since: '' }]
    const same = said.status === condition.status && said.message === condition.message
    return same
      ? []
      : [
          {
            policy,
            apiVersion,
            condition,
            since: said.status === condition.status ? (said.lastTransitionTime ?? '') : '',
          },
        ]
  })
}

/** The row of an object; one that has no name is none. */
export function judge(kind: PolicyKind, object: KubeObject): JudgedPolicy | undefined {
  const parsed = parsePolicyObject(kind, object)
  if (!parsed.ok) return undefined
  const status = (object['status'] ?? {}) as {
    readonly conditions?: readonly (PolicyCondition & { readonly lastTransitionTime?: string })[]
  }
  const found = status.conditions?.find((c) => c.type === 'Valid')
  return {
    policy: parsed.value,
    apiVersion: object.apiVersion ?? apiVersionOf(policyResources[kind]),
    said: found ?? {},
  }
}

/** Agents enforce an object in these moments: what is said of it comes after them. */
const SETTLE_MS = 50

/** Writes the condition, and an event for what the writer should look at. */
export const policyTarget = (kube: Kube, now: () => string): Target<PolicyDeed> => ({
  name: 'policy conditions',
  key: (d) => policyKey(d.policy),
  load: () => [],
  equal: () => false,
  async write(rows) {
    await sleep(SETTLE_MS)
    return Promise.all(rows.map((d) => outcome(say(kube, d, now()))))
  },
  remove: (rows) => rows.map(() => ({ ok: true })),
})

async function say(kube: Kube, { policy, apiVersion, condition, since }: PolicyDeed, at: string): Promise<void> {
  const namespace = policy.namespace === '' ? undefined : policy.namespace
  if (policy.kind !== 'NetworkPolicy') {
    const entry = { ...condition, lastTransitionTime: since || at }
    await putCondition(kube, policyResources[policy.kind], namespace, policy.name, entry)
  }
  if (condition.reason === 'Valid') return
  const { kind, name, uid } = policy
  const event = {
    // One event for one version of the object, however often it is said.
    metadata: {
      name: `${name}.${uid.slice(0, 8)}-${policy.generation}`.toLowerCase(),
      namespace: namespace ?? 'default',
    },
    involvedObject: { apiVersion, kind, name, uid, ...(namespace ? { namespace } : {}) },
    reason: condition.status === 'False' ? 'InvalidPolicy' : 'PolicyWarning',
    message: condition.message.slice(0, 1024),
    type: 'Warning',
    source: { component: 'cilium-operator' },
    firstTimestamp: at,
    lastTimestamp: at,
    count: 1,
  }
  await kube.create(EVENTS, event.metadata.namespace, { apiVersion: 'v1', kind: 'Event', ...event }).catch((e) => {
    if (!isAlreadyExists(e)) throw e
  })
}

async function outcome(work: Promise<void>): Promise<Outcome> {
  try {
    await work
    return { ok: true }
  } catch (e) {
    return isNotFound(e) ? { ok: true } : { ok: false, error: e instanceof Error ? e.message : String(e) }
  }
}
