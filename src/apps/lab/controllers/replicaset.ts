// SPDX-License-Identifier: Apache-2.0
import { sameJson } from '../../../protocol/kubeapi/object.ts'
import { matchesLabels } from '../../../protocol/kubeapi/selector.ts'
import type { Store } from '../api/store.ts'
import { recorder } from './events.ts'
import type { Pod, ReplicaSet } from './objects.ts'
import { claim, controllerKey, controllerOf, remove } from './ownership.ts'
import { isActive, isReady, lessUseful, podFrom, tally } from './pods.ts'
import { type Controller, keyOf, splitKey } from './queue.ts'

/** Keeps the number of pods of a ReplicaSet. */
export const replicaSetController = (store: Store, now: () => number = Date.now): Controller => {
  const record = recorder(store, 'replicaset-controller', now)

  const scale = (set: ReplicaSet, pods: readonly Pod[]) => {
    const missing = (set.spec.replicas ?? 1) - pods.length
    for (let i = 0; i < missing; i++) {
      try {
        const pod = store.create<Pod>('pods', podFrom(set, set.spec.template))
        record(set, 'Normal', 'SuccessfulCreate', `Created pod: ${pod.metadata.name}`)
      } catch (error) {
        record(
          set,
          'Warning',
          'FailedCreate',
          `Error creating: ${error instanceof Error ? error.message : String(error)}`,
        )
        throw error
      }
    }
    if (missing >= 0) return
    const perNode = new Map<string, number>()
    for (const pod of pods)
      perNode.set(pod.spec.nodeName ?? '', (perNode.get(pod.spec.nodeName ?? '') ?? 0) + (isReady(pod) ? 1 : 0))
    const surplus = [...pods].sort(lessUseful((p) => perNode.get(p.spec.nodeName ?? '') ?? 0)).slice(0, -missing)
    for (const pod of surplus) {
      remove(store, 'pods', pod)
      record(set, 'Normal', 'SuccessfulDelete', `Deleted pod: ${pod.metadata.name}`)
    }
  }

  return {
    name: 'replicaset',
    watches: [
      { resource: 'replicasets.apps', keys: (o) => [keyOf(o)] },
      { resource: 'pods', keys: (o) => [...controllerKey('ReplicaSet')(o), ...orphanKeys(store, o)] },
    ],
    sync: (key) => {
      const [namespace, name] = splitKey(key)
      const set = store.find<ReplicaSet>('replicasets.apps', namespace, name)
      if (!set) return undefined
      const pods = claim<Pod>(store, 'pods', set, set.spec.selector)
      const active = pods.filter(isActive)
      if (!set.metadata.deletionTimestamp) scale(set, active)
      const counts = tally(active, set.spec.minReadySeconds ?? 0, now())
      const status = {
        ...(set.status?.conditions ? { conditions: set.status.conditions } : {}),
        replicas: active.length,
        fullyLabeledReplicas: active.filter((p) => carriesTemplateLabels(set, p)).length,
        readyReplicas: counts.ready,
        availableReplicas: counts.available,
        terminatingReplicas: pods.filter((p) => p.metadata.deletionTimestamp).length,
        observedGeneration: set.metadata.generation ?? 1,
      }
      if (!sameJson(status, set.status))
        store.updateStatus('replicasets.apps', { ...set, metadata: withoutVersion(set), status })
      return counts.again
    },
  }
}

const carriesTemplateLabels = (set: ReplicaSet, pod: Pod): boolean =>
  Object.entries(set.spec.template.metadata?.labels ?? {}).every(([k, v]) => pod.metadata.labels?.[k] === v)

/** Metadata to write with no matter which version is stored; reads and writes happen in one turn. */
export const withoutVersion = (object: {
  readonly metadata: Pod['metadata']
}): Omit<Pod['metadata'], 'resourceVersion'> => {
  const { resourceVersion: _, ...rest } = object.metadata
  return rest
}

const orphanKeys = (store: Store, object: Parameters<typeof controllerOf>[0]): readonly string[] => {
  if (controllerOf(object) || !object.metadata.labels) return []
  return store
    .list<ReplicaSet>('replicasets.apps', { namespace: object.metadata.namespace ?? '' })
    .filter((s) => matchesLabels(s.spec.selector, object.metadata.labels))
    .map(keyOf)
}
