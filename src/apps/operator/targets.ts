// SPDX-License-Identifier: Apache-2.0
import type { Kube } from '../../edge/kube/client.ts'
import { JSON_PATCH, STRATEGIC_PATCH } from '../../edge/kube/client.ts'
import { CILIUM_NODES, NODES } from '../../edge/kube/resource.ts'
import { isNotFound } from '../../edge/kube/status.ts'
import type { Outcome, Target } from '../../table/target.ts'
import type { CidrGrant, NodeRepair } from './tables.ts'

/** A target whose rows are deeds: nothing is loaded, and a row that is gone needs no undoing. */
function deeds<Row>(name: string, key: (row: Row) => string, act: (row: Row) => Promise<unknown>): Target<Row> {
  return {
    name,
    key,
    load: () => [],
    equal: () => false,
    write: (rows) => Promise.all(rows.map((row) => outcome(act(row)))),
    remove: (rows) => rows.map(() => ({ ok: true })),
  }
}

async function outcome(work: Promise<unknown>): Promise<Outcome> {
  try {
    await work
    return { ok: true }
  } catch (e) {
    return isNotFound(e) ? { ok: true } : { ok: false, error: e instanceof Error ? e.message : String(e) }
  }
}

export const cidrTarget = (kube: Kube): Target<CidrGrant> =>
  deeds(
    'CiliumNode podCIDRs',
    (g) => g.node,
    async (g) => {
      await kube.patch(CILIUM_NODES, undefined, g.node, { spec: { ipam: { podCIDRs: g.podCIDRs } } })
      const error = g.problem === '' ? null : g.problem
      if (error !== null)
        await kube.patch(
          CILIUM_NODES,
          undefined,
          g.node,
          { status: { ipam: { 'operator-status': { error } } } },
          { subresource: 'status' },
        )
    },
  )

export const nodeTarget = (kube: Kube, taintKey: string, now: () => string): Target<NodeRepair> =>
  deeds(
    'Node taint and condition',
    (r) => r.node,
    async (r) => {
      if (r.condition) {
        const condition = {
          type: 'NetworkUnavailable',
          status: 'False',
          reason: 'CiliumIsUp',
          message: 'Cilium is running on this node',
          lastHeartbeatTime: now(),
          lastTransitionTime: now(),
        }
        await kube.patch(
          NODES,
          undefined,
          r.node,
          { status: { conditions: [condition] } },
          { subresource: 'status', type: STRATEGIC_PATCH },
        )
      }
      if (r.taints) {
        const left = r.taints.filter((t) => t.key !== taintKey)
        // The test makes a patch fail that would undo a taint set meanwhile; the watch brings it, and a new row.
        const patch = [
          { op: 'test', path: '/spec/taints', value: r.taints },
          left.length === 0
            ? { op: 'remove', path: '/spec/taints' }
            : { op: 'replace', path: '/spec/taints', value: left },
        ]
        await kube.patch(NODES, undefined, r.node, patch, { type: JSON_PATCH })
      }
    },
  )
