// SPDX-License-Identifier: Apache-2.0
import { sameJson } from '../../../protocol/kubeapi/object.ts'
import type { Store } from '../api/store.ts'
import { recorder, timestamp } from '../controllers/events.ts'
import type { Node, Pod } from '../controllers/objects.ts'
import { controllerOf } from '../controllers/ownership.ts'
import { withCondition } from '../controllers/pods.ts'
import type { Controller } from '../controllers/queue.ts'
import { type Candidate, misfit, type Surroundings } from './fit.ts'

const ALL = 'pending'

/**
 * Binds pending pods, oldest first: the nodes a pod fits on, of those the one with the fewest pods of the same owner,
 * then the fewest pods. One unit of work: all that are pending, whenever a pod, node or namespace changes.
 */
export const scheduler = (store: Store, now: () => number = Date.now): Controller => {
  const record = recorder(store, 'default-scheduler', now)

  const bind = (pod: Pod, node: Node) => {
    const { namespace = '', name } = pod.metadata
    store.modify<Pod>('pods', namespace, name, (p) => ({ ...p, spec: { ...p.spec, nodeName: node.metadata.name } }))
    const time = timestamp(now())
    store.modify<Pod>(
      'pods',
      namespace,
      name,
      (p) => ({ ...p, status: withScheduled(p, { type: 'PodScheduled', status: 'True' }, time) }),
      {
        subresource: 'status',
      },
    )
    record(pod, 'Normal', 'Scheduled', `Successfully assigned ${namespace}/${name} to ${node.metadata.name}`)
  }

  const refuse = (pod: Pod, message: string) => {
    const { namespace = '', name } = pod.metadata
    const status = withScheduled(
      pod,
      { type: 'PodScheduled', status: 'False', reason: 'Unschedulable', message },
      timestamp(now()),
    )
    if (sameJson(status, pod.status)) return
    store.modify<Pod>('pods', namespace, name, (p) => ({ ...p, status }), { subresource: 'status' })
    record(pod, 'Warning', 'FailedScheduling', message)
  }

  const placeAll = (): undefined => {
    const pods = store.list<Pod>('pods')
    const pending = pods.filter(isPending)
    if (pending.length === 0) return undefined
    const bound = new Map<string, Pod[]>()
    for (const pod of pods) {
      if (!pod.spec.nodeName || pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') continue
      const list = bound.get(pod.spec.nodeName)
      if (list) list.push(pod)
      else bound.set(pod.spec.nodeName, [pod])
    }
    const candidates: readonly Candidate[] = store
      .list<Node>('nodes')
      .filter((n) => !n.metadata.deletionTimestamp)
      .map((node) => {
        const on = bound.get(node.metadata.name) ?? []
        bound.set(node.metadata.name, on)
        return { node, pods: on }
      })
    const around: Surroundings = {
      candidates,
      namespaceLabels: (name) => store.find('namespaces', '', name)?.metadata.labels ?? {},
    }
    for (const pod of pending.sort(byAge)) {
      const reasons = new Map<string, number>()
      const fitting: Candidate[] = []
      for (const candidate of candidates) {
        const reason = misfit(pod, candidate, around)
        if (reason === undefined) fitting.push(candidate)
        else reasons.set(reason, (reasons.get(reason) ?? 0) + 1)
      }
      const chosen = best(pod, fitting)
      if (!chosen) {
        refuse(pod, unschedulableText(candidates.length, reasons))
        continue
      }
      bind(pod, chosen.node)
      bound.get(chosen.node.metadata.name)?.push({ ...pod, spec: { ...pod.spec, nodeName: chosen.node.metadata.name } })
    }
    return undefined
  }

  return {
    name: 'scheduler',
    watches: [
      // Only a pod that waits, or one that leaves room behind, is news.
      { resource: 'pods', keys: (o) => (isPending(o as Pod) || o.metadata.deletionTimestamp ? [ALL] : []) },
      { resource: 'nodes', keys: () => [ALL] },
    ],
    sync: placeAll,
  }
}

const isPending = (pod: Pod): boolean =>
  !pod.spec.nodeName &&
  !pod.metadata.deletionTimestamp &&
  (pod.spec.schedulerName ?? 'default-scheduler') === 'default-scheduler' &&
  !pod.spec.schedulingGates?.length

const byAge = (a: Pod, b: Pod) => Number(a.metadata.resourceVersion ?? 0) - Number(b.metadata.resourceVersion ?? 0)

const withScheduled = (pod: Pod, condition: Parameters<typeof withCondition>[1], time: string) => ({
  ...pod.status,
  conditions: withCondition(pod.status?.conditions, condition, time),
})

const best = (pod: Pod, fitting: readonly Candidate[]): Candidate | undefined => {
  const owner = controllerOf(pod)?.uid
  const same = (c: Candidate) => (owner === undefined ? 0 : c.pods.filter((p) => controllerOf(p)?.uid === owner).length)
  return [...fitting].sort(
    (a, b) =>
      same(a) - same(b) || a.pods.length - b.pods.length || a.node.metadata.name.localeCompare(b.node.metadata.name),
  )[0]
}

/** `0/3 nodes are available: 1 Insufficient cpu, 2 node(s) had untolerated taint {a: b}. …` */
const unschedulableText = (nodes: number, reasons: ReadonlyMap<string, number>): string => {
  if (nodes === 0) return 'no nodes available to schedule pods'
  const parts = [...reasons].map(([reason, count]) => `${count} ${reason}`).sort()
  return `0/${nodes} nodes are available: ${parts.join(', ')}. preemption: 0/${nodes} nodes are available: ${nodes} Preemption is not helpful for scheduling.`
}
