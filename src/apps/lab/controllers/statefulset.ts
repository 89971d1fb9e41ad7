// SPDX-License-Identifier: Apache-2.0
import { sameJson } from '../../../protocol/kubeapi/object.ts'
import type { Store } from '../api/store.ts'
import { recorder } from './events.ts'
import type { Pod, StatefulSet } from './objects.ts'
import { claim, controllerKey, remove } from './ownership.ts'
import { isReady, podFrom, tally, untilAvailable } from './pods.ts'
import { type Controller, keyOf, splitKey } from './queue.ts'
import { withoutVersion } from './replicaset.ts'
import { type ControllerRevision, currentRevision, hashOf, pruneRevisions, REVISION_HASH } from './revisions.ts'

/** Numbered pods with stable names: made in order, ended in reverse order, replaced from the highest down. No volume claims. */
export const statefulSetController = (store: Store, now: () => number = Date.now): Controller => {
  const record = recorder(store, 'statefulset-controller', now)

  const create = (set: StatefulSet, ordinal: number, revision: ControllerRevision) => {
    const name = `${set.metadata.name}-${ordinal}`
    const template = revision.data.spec.template
    const spec = {
      ...template.spec,
      hostname: name,
      ...(set.spec.serviceName ? { subdomain: set.spec.serviceName } : {}),
    }
    const labels = {
      [REVISION_HASH]: revision.metadata.name,
      'statefulset.kubernetes.io/pod-name': name,
      'apps.kubernetes.io/pod-index': String(ordinal),
    }
    store.create(
      'pods',
      podFrom(set, { ...(template.metadata ? { metadata: template.metadata } : {}), spec }, { name, labels }),
    )
    record(set, 'Normal', 'SuccessfulCreate', `create Pod ${name} in StatefulSet ${set.metadata.name} successful`)
  }

  const destroy = (set: StatefulSet, pod: Pod) => {
    if (pod.metadata.deletionTimestamp) return
    remove(store, 'pods', pod)
    record(
      set,
      'Normal',
      'SuccessfulDelete',
      `delete Pod ${pod.metadata.name} in StatefulSet ${set.metadata.name} successful`,
    )
  }

  /** One step; pods that are being made or ended bring the next one. */
  const step = (
    set: StatefulSet,
    pods: ReadonlyMap<number, Pod>,
    update: ControllerRevision,
    stable: ControllerRevision,
  ) => {
    const start = set.spec.ordinals?.start ?? 0
    const ordinals = Array.from({ length: set.spec.replicas ?? 1 }, (_, i) => start + i)
    const inOrder = set.spec.podManagementPolicy !== 'Parallel'
    const partition = set.spec.updateStrategy?.rollingUpdate?.partition ?? 0
    const settled = (pod: Pod | undefined) =>
      !!pod && !pod.metadata.deletionTimestamp && untilAvailable(pod, set.spec.minReadySeconds ?? 0, now()) === 0
    for (const ordinal of ordinals) {
      const pod = pods.get(ordinal)
      if (!pod) create(set, ordinal, ordinal < start + partition ? stable : update)
      else if (pod.status?.phase === 'Failed' || pod.status?.phase === 'Succeeded') destroy(set, pod)
      if (inOrder && !settled(pod)) return
    }
    const surplus = [...pods.keys()].filter((o) => !ordinals.includes(o)).sort((a, b) => b - a)
    for (const ordinal of surplus) {
      const pod = pods.get(ordinal)
      if (pod) destroy(set, pod)
      if (inOrder) return
    }
    if (set.spec.updateStrategy?.type === 'OnDelete') return
    for (const ordinal of [...ordinals].reverse()) {
      if (ordinal < start + partition) return
      const pod = pods.get(ordinal)
      if (pod && pod.metadata.labels?.[REVISION_HASH] !== update.metadata.name) {
        destroy(set, pod)
        return
      }
      if (!settled(pod)) return
    }
  }

  return {
    name: 'statefulset',
    watches: [
      { resource: 'statefulsets.apps', keys: (o) => [keyOf(o)] },
      { resource: 'pods', keys: controllerKey('StatefulSet') },
    ],
    sync: (key) => {
      const [namespace, name] = splitKey(key)
      const set = store.find<StatefulSet>('statefulsets.apps', namespace, name)
      if (!set || set.metadata.deletionTimestamp) return undefined
      const { current: update, all } = currentRevision(store, set)
      const stable = all.find((r) => r.metadata.name === set.status?.currentRevision) ?? update
      step(set, byOrdinal(set, claim<Pod>(store, 'pods', set, set.spec.selector)), update, stable)
      const pods = claim<Pod>(store, 'pods', set)
      pruneRevisions(
        store,
        set,
        all.filter((r) => r !== stable),
        new Set(pods.map((p) => hashOfPod(p, all))),
      )
      return writeStatus(store, set, pods, update, stable, now())
    },
  }
}

const hashOfPod = (pod: Pod, all: readonly ControllerRevision[]): string => {
  const revision = all.find((r) => r.metadata.name === pod.metadata.labels?.[REVISION_HASH])
  return revision ? hashOf(revision) : ''
}

const byOrdinal = (set: StatefulSet, pods: readonly Pod[]): ReadonlyMap<number, Pod> => {
  const prefix = `${set.metadata.name}-`
  return new Map(
    pods
      .filter((p) => p.metadata.name.startsWith(prefix))
      .map((p) => [Number(p.metadata.name.slice(prefix.length)), p]),
  )
}

const writeStatus = (
  store: Store,
  set: StatefulSet,
  pods: readonly Pod[],
  update: ControllerRevision,
  stable: ControllerRevision,
  now: number,
): number | undefined => {
  const alive = pods.filter((p) => !p.metadata.deletionTimestamp)
  const counts = tally(alive, set.spec.minReadySeconds ?? 0, now)
  const of = (r: ControllerRevision) =>
    alive.filter((p) => p.metadata.labels?.[REVISION_HASH] === r.metadata.name).length
  const done = of(update) === (set.spec.replicas ?? 1) && alive.every(isReady)
  const currentRevision = done ? update.metadata.name : stable.metadata.name
  const status = {
    observedGeneration: set.metadata.generation ?? 1,
    replicas: pods.length,
    readyReplicas: counts.ready,
    availableReplicas: counts.available,
    currentReplicas: of(done ? update : stable),
    updatedReplicas: of(update),
    currentRevision,
    updateRevision: update.metadata.name,
    collisionCount: 0,
  }
  if (!sameJson(status, set.status))
    store.updateStatus('statefulsets.apps', { ...set, metadata: withoutVersion(set), status })
  return counts.again
}
