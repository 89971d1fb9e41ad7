// SPDX-License-Identifier: Apache-2.0
import type { PolicyOverflow } from '../../derive/policy/overflow.ts'
import type { Kube } from '../../edge/kube/client.ts'
import { conditionOf, putCondition } from '../../edge/kube/conditions.ts'
import { apiVersionOf, EVENTS, type KubeObject, policyResources, type Resource } from '../../edge/kube/resource.ts'
import { isAlreadyExists } from '../../edge/kube/status.ts'
import { importedPrefix, type PolicyKind } from '../../model/policy.ts'
import { ciliumClusterwideNetworkPolicies, ciliumNetworkPolicies, clusterNetworkPolicies } from '../../model/rows.ts'
import type { Database } from '../../table/database.ts'
import type { Outcome, Target } from '../../table/target.ts'
import { initialised } from './kube-objects.ts'

/** The type under which a node says that it can not hold a policy; each node has its own. */
export const conditionType = (node: string): string => `${node}/Enforced`

/**
 * Tells a policy that this node can not hold it: by a condition `NODE/Enforced` that goes when there is room again, and by
 * an event. A NetworkPolicy has no status: there is only the event.
 */
export const overflowTarget = (kube: Kube, db: Database, node: string, told: Told): Target<PolicyOverflow> => ({
  name: 'policy overflows',
  key: (o) => o.policy,
  async load() {
    for (const table of [ciliumNetworkPolicies, ciliumClusterwideNetworkPolicies, clusterNetworkPolicies])
      await initialised(db, table)
    return told.rows()
  },
  equal: (a, b) => a.problem === b.problem,
  write: (rows) => Promise.all(rows.map((o) => outcome(tell(kube, node, o)))),
  remove: (rows) => Promise.all(rows.map((o) => outcome(condition(kube, node, o.policy, undefined)))),
})

/** What the agent before has told of this node, read off the lists that the watches begin with. */
export interface Told {
  /** Whether lists of this kind are of use here. */
  wants(resource: Resource): boolean
  /** All objects of such a kind, as a list has them. */
  listed(resource: Resource, objects: readonly KubeObject[]): void
  rows(): readonly PolicyOverflow[]
}

export function toldOf(node: string): Told {
  const byKind = new Map<string, readonly PolicyOverflow[]>()
  return {
    wants: ({ kind }) => kind in policyResources,
    listed({ kind }, objects) {
      const said = objects.flatMap((o) => {
        const condition = conditionOf(o, conditionType(node))
        const policy = `${kind}/${o.metadata.namespace ?? ''}/${o.metadata.name}`
        return condition ? [{ policy, problem: condition.message ?? '' }] : []
      })
      byKind.set(kind, said)
    },
    rows: () => [...byKind.values()].flat(),
  }
}

const now = (): string => new Date().toISOString().replace(/\.[0-9]+Z$/, 'Z')

async function condition(kube: Kube, node: string, policy: string, problem: string | undefined): Promise<void> {
  const [kind = '', namespace = '', name = ''] = policy.split('/')
  const resource = policyResources[kind as PolicyKind]
  if (kind === 'NetworkPolicy' || name.startsWith(importedPrefix)) return
  const type = conditionType(node)
  const wanted =
    problem === undefined
      ? { type }
      : ({ type, status: 'False', reason: 'NoRoom', message: problem, lastTransitionTime: now() } as const)
  await putCondition(kube, resource, namespace === '' ? undefined : namespace, name, wanted)
}

async function tell(kube: Kube, node: string, { policy, problem }: PolicyOverflow): Promise<void> {
  await condition(kube, node, policy, problem)
  const [kind = '', namespace = '', name = ''] = policy.split('/')
  if (name.startsWith(importedPrefix)) return
  const where = namespace === '' ? 'default' : namespace
  const event = {
    apiVersion: 'v1',
    kind: 'Event',
    metadata: { name: `${name}.${node}.not-enforced`.toLowerCase(), namespace: where },
    involvedObject: {
      apiVersion: apiVersionOf(policyResources[kind as PolicyKind]),
      kind,
      name,
      ...(namespace === '' ? {} : { namespace }),
    },
    reason: 'PolicyNotEnforced',
    message: `${node}: ${problem}`.slice(0, 1024),
    type: 'Warning',
    source: { component: 'cilium-agent', host: node },
    firstTimestamp: now(),
    lastTimestamp: now(),
    count: 1,
  }
  await kube.create(EVENTS, where, event).catch((e: unknown) => {
    if (!isAlreadyExists(e)) throw e
  })
}

const outcome = (work: Promise<void>): Promise<Outcome> =>
  work.then(
    () => ({ ok: true }),
    (e: unknown) => ({ ok: false, error: e instanceof Error ? e.message : String(e) }),
  )
