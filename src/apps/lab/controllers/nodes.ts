// SPDX-License-Identifier: Apache-2.0
import { sameJson } from '../../../protocol/kubeapi/object.ts'
import { isReason } from '../../../protocol/kubeapi/status.ts'
import type { Store } from '../api/store.ts'
import { tolerates } from '../scheduler/fit.ts'
import { recorder, timestamp } from './events.ts'
import type { Node, Pod, Taint } from './objects.ts'
import { conditionOf } from './pods.ts'
import type { Controller } from './queue.ts'

const NOT_READY = 'node.kubernetes.io/not-ready'
const UNREACHABLE = 'node.kubernetes.io/unreachable'
const UNSCHEDULABLE = 'node.kubernetes.io/unschedulable'
const ours = new Set([NOT_READY, UNREACHABLE, UNSCHEDULABLE])
const LEASES = 'leases.coordination.k8s.io'
const LEASE_NAMESPACE = 'kube-node-lease'
/** A kubelet that has not renewed its lease for so long is taken for dead. */
const grace = 40_000

/** Taints nodes by their condition, evicts pods that do not tolerate it, and clears away the pods of nodes that are gone. */
export const nodeController = (store: Store, now: () => number = Date.now): Controller => {
  const record = recorder(store, 'node-controller', now)

  const silence = (node: Node): number => {
    const lease = store.find(LEASES, LEASE_NAMESPACE, node.metadata.name)
    const renewed = Date.parse(String((lease?.['spec'] as { renewTime?: string } | undefined)?.renewTime ?? ''))
    return Number.isNaN(renewed) ? 0 : now() - renewed
  }

  const markUnknown = (node: Node) => {
    const time = timestamp(now())
    const conditions = (node.status?.conditions ?? []).map((c) =>
      c.status === 'Unknown'
        ? c
        : {
            ...c,
            status: 'Unknown' as const,
            reason: 'NodeStatusUnknown',
            message: 'Kubelet stopped posting node status.',
            lastTransitionTime: time,
          },
    )
    store.modify<Node>('nodes', '', node.metadata.name, (n) => ({ ...n, status: { ...n.status, conditions } }), {
      subresource: 'status',
    })
    record(node, 'Normal', 'NodeNotReady', `Node ${node.metadata.name} status is now: NodeNotReady`)
  }

  const evict = (node: Node, taints: readonly Taint[]): number | undefined => {
    let next: number | undefined
    for (const pod of store.list<Pod>('pods', { fields: `spec.nodeName=${node.metadata.name}` })) {
      const due = evictionTime(pod, taints)
      if (due === undefined || pod.metadata.deletionTimestamp) continue
      const wait = due - now()
      if (wait > 0) {
        next = Math.min(next ?? wait, wait)
        continue
      }
      record(
        pod,
        'Normal',
        'TaintManagerEviction',
        `Marking for deletion Pod ${pod.metadata.namespace}/${pod.metadata.name}`,
      )
      end(store, pod, undefined)
    }
    return next
  }

  return {
    name: 'node',
    watches: [
      { resource: 'nodes', keys: (o) => [o.metadata.name ?? ''] },
      { resource: LEASES, keys: (o) => (o.metadata.namespace === LEASE_NAMESPACE ? [o.metadata.name ?? ''] : []) },
      { resource: 'pods', keys: (o) => [(o as Pod).spec.nodeName ?? ''] },
    ],
    sync: (name) => {
      if (name === '') return undefined
      const node = store.find<Node>('nodes', '', name)
      if (!node) {
        for (const pod of store.list<Pod>('pods', { fields: `spec.nodeName=${name}` })) end(store, pod, 0)
        return undefined
      }
      const quiet = silence(node)
      const ready = conditionOf(node.status?.conditions, 'Ready')
      if (quiet > grace && ready && ready.status !== 'Unknown') markUnknown(node)
      const taints = taintsOf(node, quiet > grace ? 'Unknown' : ready?.status, timestamp(now()))
      if (!sameJson(taints, node.spec?.taints ?? []))
        store.modify<Node>('nodes', '', name, (n) => ({ ...n, spec: { ...n.spec, taints } }))
      const eviction = evict(
        node,
        taints.filter((t) => t.effect === 'NoExecute'),
      )
      const leaseEnd = quiet > grace ? undefined : grace - quiet + 1
      return Math.min(eviction ?? Number.POSITIVE_INFINITY, leaseEnd ?? Number.POSITIVE_INFINITY, 60_000)
    },
  }
}

const taintsOf = (node: Node, ready: string | undefined, timeAdded: string): readonly Taint[] => {
  const held = node.spec?.taints ?? []
  const wanted: Taint[] = []
  if (node.spec?.unschedulable) wanted.push({ key: UNSCHEDULABLE, effect: 'NoSchedule' })
  if (ready === 'Unknown')
    wanted.push({ key: UNREACHABLE, effect: 'NoSchedule' }, { key: UNREACHABLE, effect: 'NoExecute' })
  else if (ready !== 'True')
    wanted.push({ key: NOT_READY, effect: 'NoSchedule' }, { key: NOT_READY, effect: 'NoExecute' })
  return [
    ...held.filter((t) => !ours.has(t.key)),
    ...wanted.map((w) => held.find((h) => h.key === w.key && h.effect === w.effect) ?? { ...w, timeAdded }),
  ]
}

/** When a pod has to leave because of these taints; undefined: never. */
const evictionTime = (pod: Pod, taints: readonly Taint[]): number | undefined => {
  let due: number | undefined
  for (const taint of taints) {
    const since = Date.parse(taint.timeAdded ?? '') || 0
    const covering = (pod.spec.tolerations ?? []).filter((t) => tolerates([t], taint))
    const seconds = covering.map((t) => t.tolerationSeconds ?? Number.POSITIVE_INFINITY)
    const at = since + (seconds.length === 0 ? 0 : Math.min(...seconds) * 1000)
    if (at !== Number.POSITIVE_INFINITY) due = Math.min(due ?? at, at)
  }
  return due
}

const end = (store: Store, pod: Pod, gracePeriodSeconds: number | undefined) => {
  const { namespace = '', name, uid } = pod.metadata
  try {
    store.delete('pods', namespace, name, { uid, ...(gracePeriodSeconds === undefined ? {} : { gracePeriodSeconds }) })
  } catch (error) {
    if (!isReason(error, 'NotFound') && !isReason(error, 'Conflict')) throw error
  }
}
