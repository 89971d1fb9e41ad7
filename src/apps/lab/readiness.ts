// SPDX-License-Identifier: Apache-2.0
import type { Store } from './api/store.ts'
import type { Node, Pod } from './controllers/objects.ts'
import { conditionOf, isReady } from './controllers/pods.ts'

/** What a lab still waits for, in a person's words; empty when it is ready. */
export const missing = (store: Store, nodes: number, bare: boolean): readonly string[] => {
  const ready = store
    .list<Node>('nodes')
    .filter((n) => conditionOf(n.status?.conditions, 'Ready')?.status === 'True').length
  if (bare) {
    const known = store.list('nodes').length
    return known < nodes ? [`${nodes - known} of ${nodes} nodes have not registered`] : []
  }
  const pods = store.list<Pod>('pods', { namespace: 'kube-system' }).filter((p) => !p.metadata.deletionTimestamp)
  const waiting = pods.filter((p) => p.status?.phase !== 'Running' || !isReady(p))
  return [
    ...(ready < nodes ? [`${nodes - ready} of ${nodes} nodes are not ready`] : []),
    ...(pods.length === 0 ? ['no system pod exists'] : []),
    ...waiting.map((p) => `pod ${p.metadata.name}: ${stateOf(p)}`),
  ]
}

const stateOf = (pod: Pod): string => {
  const statuses = (pod.status?.containerStatuses ?? []) as readonly {
    state?: { waiting?: { reason?: string; message?: string } }
  }[]
  const waiting = statuses.map((s) => s.state?.waiting).find((w) => w?.reason)
  if (waiting) return [waiting.reason, waiting.message].filter(Boolean).join(': ')
  const unplaced = conditionOf(pod.status?.conditions, 'PodScheduled')
  if (unplaced?.status === 'False') return unplaced.message ?? 'not scheduled'
  return pod.status?.phase === 'Running' ? 'not ready' : (pod.status?.phase ?? 'Pending')
}

/** Resolves when nothing is missing any more; looks again at each change of a node or system pod. */
export const untilReady = (
  store: Store,
  nodes: number,
  bare: boolean,
  onChange: (missing: readonly string[]) => void,
): Promise<void> =>
  new Promise((resolve) => {
    const stops: (() => void)[] = []
    let last = ''
    const look = () => {
      const now = missing(store, nodes, bare)
      if (now.join() !== last) onChange(now)
      last = now.join()
      if (now.length > 0) return
      for (const stop of stops.splice(0)) stop()
      resolve()
    }
    stops.push(store.watch('nodes', {}, look), store.watch('pods', { namespace: 'kube-system' }, look))
  })
