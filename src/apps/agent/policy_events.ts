// SPDX-License-Identifier: Apache-2.0
import type { PolicyOverflow } from '../../derive/policy/overflow.ts'
import type { Kube } from '../../edge/kube/client.ts'
import { apiVersionOf, EVENTS, NETWORK_POLICIES } from '../../edge/kube/resource.ts'
import { isAlreadyExists } from '../../edge/kube/status.ts'
import { importedPrefix, type PolicyKind } from '../../model/policy.ts'
import type { Outcome, Target } from '../../table/target.ts'

const groups: { readonly [Kind in PolicyKind]: string } = {
  NetworkPolicy: apiVersionOf(NETWORK_POLICIES),
  CiliumNetworkPolicy: 'cilium.io/v2',
  CiliumClusterwideNetworkPolicy: 'cilium.io/v2',
  ClusterNetworkPolicy: 'policy.networking.k8s.io/v1alpha2',
}

/** Tells a policy that this node can not hold it. The object's condition is the operator's; each node has its event. */
export const overflowTarget = (kube: Kube, node: string): Target<PolicyOverflow> => ({
  name: 'policy overflows',
  key: (o) => o.policy,
  load: () => [],
  equal: () => false,
  write: (rows) => Promise.all(rows.map((o) => tell(kube, node, o))),
  remove: (rows) => rows.map(() => ({ ok: true })),
})

async function tell(kube: Kube, node: string, { policy, problem }: PolicyOverflow): Promise<Outcome> {
  const [kind = '', namespace = '', name = ''] = policy.split('/')
  // Who imported it has been told; there is no object to tell.
  if (name.startsWith(importedPrefix)) return { ok: true }
  const at = new Date().toISOString().replace(/\.[0-9]+Z$/, 'Z')
  const where = namespace === '' ? 'default' : namespace
  try {
    await kube.create(EVENTS, where, {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name: `${name}.${node}.not-enforced`.toLowerCase(), namespace: where },
      involvedObject: {
        apiVersion: groups[kind as PolicyKind],
        kind,
        name,
        ...(namespace === '' ? {} : { namespace }),
      },
      reason: 'PolicyNotEnforced',
      message: `${node}: ${problem}`.slice(0, 1024),
      type: 'Warning',
      source: { component: 'cilium-agent', host: node },
      firstTimestamp: at,
      lastTimestamp: at,
      count: 1,
    })
  } catch (e) {
    if (!isAlreadyExists(e)) return { ok: false, error: e instanceof Error ? e.message : String(e) }
  }
  return { ok: true }
}
