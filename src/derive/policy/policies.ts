// SPDX-License-Identifier: Apache-2.0
import { type PolicyObject, policyKey } from '../../model/policy.ts'
import {
  ciliumClusterwideNetworkPolicies,
  ciliumNetworkPolicies,
  clusterNetworkPolicies,
  importedRules,
  networkPolicies,
  settings,
} from '../../model/rows.ts'
import { defaultSettings, type Settings } from '../../model/settings.ts'
import { allocate, deriveEach, type Table } from '../../table/definition.ts'
import { parseCiliumPolicy } from './cilium-policy.ts'
import { parseClusterNetworkPolicy } from './cluster-network-policy.ts'
import { parseNetworkPolicy } from './network-policy.ts'
import { child, type Field, type Findings, field } from './read.ts'
import type { Policy, PolicyMode, PolicySpec, Requirement } from './rule.ts'
import { anchors } from './selector.ts'

/** What an object means depends on these. */
export type ReadSettings = Pick<Settings, 'clusterName' | 'enableHostFirewall'>

/** Reads one object; what is wrong with it is in `problems`, and then it says nothing. */
export function readPolicy(object: PolicyObject, config: ReadSettings = defaultSettings): Policy {
  const findings: Findings = { problems: [], warnings: [] }
  const root = field(object.object, '', findings)
  const key = policyKey(object)
  const mode = modeOf(object, findings)
  const specs = specsOf(object, key, root, config)
  return {
    key,
    kind: object.kind,
    namespace: object.namespace,
    name: object.name,
    uid: object.uid,
    generation: object.generation,
    mode,
    specs: findings.problems.length > 0 ? [] : specs,
    ...findings,
  }
}

function specsOf(object: PolicyObject, key: string, root: Field, config: ReadSettings): readonly PolicySpec[] {
  switch (object.kind) {
    case 'NetworkPolicy':
      return parseNetworkPolicy(key, object.namespace, child(root, 'spec'))
    case 'ClusterNetworkPolicy':
      return parseClusterNetworkPolicy(key, child(root, 'spec'))
    case 'CiliumNetworkPolicy':
    case 'CiliumClusterwideNetworkPolicy':
      return parseCiliumPolicy(
        {
          policy: key,
          namespace: object.namespace,
          clusterName: config.clusterName,
          hostFirewall: config.enableHostFirewall,
        },
        root,
      )
  }
}

/** Annotation of a policy that is tried out: `audit`, `staged`, or `enforce` as without it. */
export const modeAnnotation = 'cilium-ts.io/policy-mode'

function modeOf(object: PolicyObject, findings: Findings): PolicyMode {
  const written = object.annotations[modeAnnotation] ?? 'enforce'
  const mode = (['enforce', 'audit', 'staged'] as const).find((m) => m === written)
  if (mode === undefined)
    findings.problems.push({
      field: `metadata.annotations['${modeAnnotation}']`,
      message: `'${written}' is not a mode`,
      fix: 'one of: enforce, audit, staged',
    })
  return mode ?? 'enforce'
}

const readAs = (name: string, source: Table<PolicyObject>): Table<Policy> =>
  deriveEach<PolicyObject, Policy>(
    name,
    source,
    {
      key: (p) => p.key,
      columns: [
        ['POLICY', (p) => p.key],
        ['PROBLEMS', (p) => String(p.problems.length)],
        ['WARNINGS', (p) => String(p.warnings.length)],
      ],
    },
    (object, read) => [readPolicy(object, read.get(settings, 'settings') ?? defaultSettings)],
  )

/** Objects as read, the invalid ones too: their findings become conditions and events. */
export const readNetworkPolicies = readAs('readNetworkPolicies', networkPolicies)
export const readCiliumNetworkPolicies = readAs('readCiliumNetworkPolicies', ciliumNetworkPolicies)
export const readClusterwidePolicies = readAs('readClusterwidePolicies', ciliumClusterwideNetworkPolicies)
export const readClusterNetworkPolicies = readAs('readClusterNetworkPolicies', clusterNetworkPolicies)
export const readImportedRules = readAs('readImportedRules', importedRules)
const alsoRead = [
  readCiliumNetworkPolicies,
  readClusterwidePolicies,
  readClusterNetworkPolicies,
  readImportedRules,
] as const

/**
 * The policies in effect: the last valid version of each object. A change that makes one invalid leaves what it said
 * before in place; one that never was valid is not there.
 */
export const policies = allocate<Policy, Policy>(
  'policies',
  readNetworkPolicies,
  {
    key: (p) => p.key,
    indexes: {
      subject: (p) => [...new Set(p.specs.flatMap((s) => (s.ofNodes ? [] : subjectAnchors(s.subject))))],
      nodes: (p) => (p.specs.some((s) => s.ofNodes) ? [''] : []),
    },
    columns: [
      ['POLICY', (p) => p.key],
      ['RULES', (p) => String(p.specs.reduce((n, s) => n + s.rules.length, 0))],
    ],
  },
  (wanted, held, read) => {
    const out: Policy[] = []
    for (const list of [wanted, ...alsoRead.map((t) => read.all(t))])
      for (const p of list) {
        const valid = p.problems.length === 0 ? p : held.find((h) => h.key === p.key)
        if (valid && valid.uid === p.uid) out.push(valid)
      }
    return out
  },
  alsoRead,
)

/** Under which of its subjects' labels a policy is found; '' when any endpoint might be meant. */
export const subjectAnchors = (subject: readonly Requirement[]): readonly string[] => anchors(subject) ?? ['']

export interface PolicyCondition {
  readonly type: 'Valid'
  readonly status: 'True' | 'False'
  readonly reason: string
  readonly message: string
}

/** What the object's status says of it. */
export function conditionOf(policy: Policy): PolicyCondition {
  const say = (list: Policy['problems']) =>
    list.map((p) => `${p.field === '' ? '' : `${p.field}: `}${p.message}${p.fix ? ` (${p.fix})` : ''}`).join('; ')
  if (policy.problems.length > 0)
    return { type: 'Valid', status: 'False', reason: 'Invalid', message: say(policy.problems) }
  return policy.warnings.length > 0
    ? { type: 'Valid', status: 'True', reason: 'Warnings', message: say(policy.warnings) }
    : { type: 'Valid', status: 'True', reason: 'Valid', message: 'Policy validation succeeded' }
}

/** What is to be said of one version of an object: the `Valid` condition of its status, or, for NetworkPolicy, an event. */
export interface PolicyVerdict {
  readonly key: string
  readonly kind: Policy['kind']
  readonly namespace: string
  readonly name: string
  readonly uid: string
  readonly generation: number
  readonly condition: PolicyCondition
}

const conditionsFrom = (name: string, source: Table<Policy>): Table<PolicyVerdict> =>
  deriveEach<Policy, PolicyVerdict>(
    name,
    source,
    {
      key: (c) => c.key,
      columns: [
        ['POLICY', (c) => c.key],
        ['VALID', (c) => c.condition.status],
        ['MESSAGE', (c) => c.condition.message],
      ],
    },
    (p) => [
      {
        key: p.key,
        kind: p.kind,
        namespace: p.namespace,
        name: p.name,
        uid: p.uid,
        generation: p.generation,
        condition: conditionOf(p),
      },
    ],
  )

export const networkPolicyConditions = conditionsFrom('networkPolicyConditions', readNetworkPolicies)
export const ciliumNetworkPolicyConditions = conditionsFrom('ciliumNetworkPolicyConditions', readCiliumNetworkPolicies)
export const clusterwidePolicyConditions = conditionsFrom('clusterwidePolicyConditions', readClusterwidePolicies)
export const clusterNetworkPolicyConditions = conditionsFrom(
  'clusterNetworkPolicyConditions',
  readClusterNetworkPolicies,
)
