// SPDX-License-Identifier: Apache-2.0
import { deriveAll, table } from '../../table/definition.ts'
import { allocatePodCidrs, type Pool } from './pools.ts'
import type { OperatorSettings } from './settings.ts'

/*
 *  nodes ───────────────┐
 *  agents ──────────────┴─► nodeRepairs   ─► Node (taint, condition)
 *  claims (CiliumNodes) ───► cidrGrants    ─► CiliumNode.spec.ipam.podCIDRs
 *
 * The two derived tables hold only what is still to be done: a row vanishes when the watch shows it done.
 */

export interface Claim {
  readonly name: string
  readonly podCIDRs: readonly string[]
  readonly created: string
}

export interface NodeState {
  readonly name: string
  readonly taints: readonly { readonly key?: string }[]
  /** Whether the condition NetworkUnavailable is False with reason CiliumIsUp. */
  readonly up: boolean
}

export interface AgentPod {
  readonly name: string
  readonly node: string
  readonly ready: boolean
}

export interface CidrGrant {
  readonly node: string
  readonly podCIDRs: readonly string[]
  /** Why there is none of some family, '' if all is well. */
  readonly problem: string
}

export interface NodeRepair {
  readonly node: string
  /** All taints as they are, when one must go. */
  readonly taints: readonly { readonly key?: string }[] | undefined
  readonly condition: boolean
}

export const claims = table<Claim>('claims', { key: (c) => c.name })
export const nodes = table<NodeState>('nodes', { key: (n) => n.name })
export const agents = table<AgentPod>('agents', { key: (a) => a.name, indexes: { node: (a) => [a.node] } })

export function derivedTables(
  settings: Pick<OperatorSettings, 'pools' | 'removeTaints' | 'setCondition' | 'taintKey'>,
) {
  const cidrGrants = deriveAll<CidrGrant>('cidrGrants', [claims], { key: (g) => g.node }, (read) =>
    grants(settings.pools, read.all(claims)),
  )
  const nodeRepairs = deriveAll<NodeRepair>('nodeRepairs', [nodes, agents], { key: (r) => r.node }, (read) =>
    read.all(nodes).flatMap((n) => {
      if (!read.by(agents, 'node', n.name).some((a) => a.ready)) return []
      const tainted = settings.removeTaints && n.taints.some((t) => t.key === settings.taintKey)
      const condition = settings.setCondition && !n.up
      return tainted || condition ? [{ node: n.name, taints: tainted ? n.taints : undefined, condition }] : []
    }),
  )
  return { cidrGrants, nodeRepairs }
}

function grants(pools: readonly (readonly Pool[])[], all: readonly Claim[]): readonly CidrGrant[] {
  if (pools.every((family) => family.length === 0)) return []
  const { podCIDRs, problems } = allocatePodCidrs(pools, all)
  return all.flatMap((c) => {
    const wanted = podCIDRs.get(c.name) ?? []
    const problem = problems.get(c.name) ?? ''
    const same = wanted.length === c.podCIDRs.length && wanted.every((cidr) => c.podCIDRs.includes(cidr))
    return same && problem === '' ? [] : [{ node: c.name, podCIDRs: wanted, problem }]
  })
}
