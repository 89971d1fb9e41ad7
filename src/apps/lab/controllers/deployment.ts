// SPDX-License-Identifier: Apache-2.0
import { sameJson } from '../../../protocol/kubeapi/object.ts'
import type { Store } from '../api/store.ts'
import { recorder, timestamp } from './events.ts'
import { contentHash } from './hash.ts'
import type { Condition, Deployment, Pod, PodTemplate, ReplicaSet } from './objects.ts'
import { claim, controlledBy, controllerKey, controllerOf, remove } from './ownership.ts'
import { conditionOf, withCondition } from './pods.ts'
import { type Controller, keyOf, splitKey } from './queue.ts'
import { withoutVersion } from './replicaset.ts'
import { rollingStep, scaledNumber } from './rollout.ts'

const HASH = 'pod-template-hash'
const REVISION = 'deployment.kubernetes.io/revision'

/** Rolls a Deployment's template out over ReplicaSets. */
export const deploymentController = (store: Store, now: () => number = Date.now): Controller => {
  const record = recorder(store, 'deployment-controller', now)

  const scale = (deployment: Deployment, set: ReplicaSet, to: number): ReplicaSet => {
    const from = set.spec.replicas ?? 0
    if (from === to) return set
    const verb = to > from ? 'up' : 'down'
    record(
      deployment,
      'Normal',
      'ScalingReplicaSet',
      `Scaled ${verb} replica set ${set.metadata.name} from ${from} to ${to}`,
    )
    return store.modify<ReplicaSet>('replicasets.apps', set.metadata.namespace ?? '', set.metadata.name, (s) => ({
      ...s,
      metadata: {
        ...s.metadata,
        annotations: {
          ...s.metadata.annotations,
          'deployment.kubernetes.io/desired-replicas': String(deployment.spec.replicas ?? 1),
        },
      },
      spec: { ...s.spec, replicas: to },
    }))
  }

  const createSet = (deployment: Deployment, revision: number): ReplicaSet => {
    const template = deployment.spec.template
    for (let salt = deployment.status?.collisionCount ?? 0; ; salt++) {
      const hash = contentHash(template, salt)
      const name = `${deployment.metadata.name}-${hash}`
      if (store.find('replicasets.apps', deployment.metadata.namespace ?? '', name)) continue
      const labels = { ...template.metadata?.labels, [HASH]: hash }
      return store.create<ReplicaSet>('replicasets.apps', {
        apiVersion: 'apps/v1',
        kind: 'ReplicaSet',
        metadata: {
          name,
          namespace: deployment.metadata.namespace ?? '',
          labels,
          annotations: {
            ...inherited(deployment),
            [REVISION]: String(revision),
            'deployment.kubernetes.io/desired-replicas': String(deployment.spec.replicas ?? 1),
          },
          ownerReferences: [controlledBy(deployment)],
        },
        spec: {
          replicas: 0,
          ...(deployment.spec.minReadySeconds ? { minReadySeconds: deployment.spec.minReadySeconds } : {}),
          selector: {
            ...deployment.spec.selector,
            matchLabels: { ...deployment.spec.selector.matchLabels, [HASH]: hash },
          },
          template: { ...template, metadata: { ...template.metadata, labels } },
        },
      })
    }
  }

  /** The set of the present template (made when missing), and its revision on it and on the deployment. */
  const currentSet = (deployment: Deployment, sets: readonly ReplicaSet[]): ReplicaSet => {
    const others = sets.filter((s) => !isOf(deployment, s))
    const highest = Math.max(0, ...others.map(revisionOf))
    const found = sets.find((s) => isOf(deployment, s))
    const set = found ?? createSet(deployment, highest + 1)
    const revision = Math.max(revisionOf(set), highest + (found && revisionOf(set) > highest ? 0 : 1))
    annotate(store, 'replicasets.apps', set, String(revision))
    annotate(store, 'deployments.apps', deployment, String(revision))
    return store.get<ReplicaSet>('replicasets.apps', set.metadata.namespace ?? '', set.metadata.name)
  }

  const rollOut = (deployment: Deployment, current: ReplicaSet, old: readonly ReplicaSet[]) => {
    const desired = deployment.spec.replicas ?? 1
    if (deployment.spec.strategy?.type === 'Recreate') {
      for (const set of old) scale(deployment, set, 0)
      if (old.every((s) => (s.spec.replicas ?? 0) === 0 && podsOf(store, s) === 0)) scale(deployment, current, desired)
      return
    }
    const rolling = deployment.spec.strategy?.rollingUpdate
    const surge = scaledNumber(rolling?.maxSurge ?? '25%', desired, Math.ceil)
    const unavailable = scaledNumber(rolling?.maxUnavailable ?? '25%', desired, Math.floor)
    const step = rollingStep({
      desired,
      maxSurge: surge,
      maxUnavailable: surge === 0 && unavailable === 0 ? 1 : unavailable,
      current: counts(current),
      old: old.map(counts),
    })
    scale(deployment, current, step.current)
    old.forEach((set, i) => {
      scale(deployment, set, step.old[i] ?? 0)
    })
  }

  return {
    name: 'deployment',
    watches: [
      { resource: 'deployments.apps', keys: (o) => [keyOf(o)] },
      { resource: 'replicasets.apps', keys: controllerKey('Deployment') },
      {
        // Recreate waits for the last pod of the old sets.
        resource: 'pods',
        keys: (pod) => {
          const owner = controllerOf(pod)
          const set =
            owner?.kind === 'ReplicaSet'
              ? store.find('replicasets.apps', pod.metadata.namespace ?? '', owner.name)
              : undefined
          return set && pod.metadata.deletionTimestamp ? controllerKey('Deployment')(set) : []
        },
      },
    ],
    sync: (key) => {
      const [namespace, name] = splitKey(key)
      const deployment = store.find<Deployment>('deployments.apps', namespace, name)
      if (!deployment || deployment.metadata.deletionTimestamp) return undefined
      const sets = claim<ReplicaSet>(store, 'replicasets.apps', deployment, deployment.spec.selector)
      if (deployment.spec.paused) {
        const active = sets.filter((s) => (s.spec.replicas ?? 0) > 0)
        const only = active.length === 1 ? active[0] : undefined
        if (only) scale(deployment, only, deployment.spec.replicas ?? 1)
      } else {
        const current = currentSet(deployment, sets)
        const old = sets.filter((s) => s.metadata.uid !== current.metadata.uid).sort(byAge)
        rollOut(deployment, current, old)
        prune(store, deployment, old)
      }
      return writeStatus(store, key, now())
    },
  }
}

const isOf = (deployment: Deployment, set: ReplicaSet) =>
  sameJson(withoutHash(set.spec.template), deployment.spec.template)

const withoutHash = (template: PodTemplate): PodTemplate => {
  const { [HASH]: _, ...labels } = template.metadata?.labels ?? {}
  return { ...template, metadata: { ...template.metadata, labels } }
}

const byAge = (a: ReplicaSet, b: ReplicaSet) =>
  (a.metadata.creationTimestamp ?? '').localeCompare(b.metadata.creationTimestamp ?? '') ||
  revisionOf(a) - revisionOf(b)

const revisionOf = (set: ReplicaSet) => Number(set.metadata.annotations?.[REVISION] ?? 0)

const counts = (set: ReplicaSet) => ({
  replicas: set.spec.replicas ?? 0,
  available: set.status?.availableReplicas ?? 0,
})

const podsOf = (store: Store, set: ReplicaSet) =>
  store
    .list<Pod>('pods', { namespace: set.metadata.namespace ?? '' })
    .filter((p) => controllerOf(p)?.uid === set.metadata.uid).length

const inherited = (deployment: Deployment): Readonly<Record<string, string>> => {
  const {
    'kubectl.kubernetes.io/last-applied-configuration': _,
    [REVISION]: __,
    ...rest
  } = deployment.metadata.annotations ?? {}
  return rest
}

const annotate = (store: Store, resource: string, object: ReplicaSet | Deployment, revision: string) => {
  if (object.metadata.annotations?.[REVISION] === revision) return
  store.modify(resource, object.metadata.namespace ?? '', object.metadata.name, (o) => ({
    ...o,
    metadata: { ...o.metadata, annotations: { ...o.metadata.annotations, [REVISION]: revision } },
  }))
}

const prune = (store: Store, deployment: Deployment, old: readonly ReplicaSet[]) => {
  const idle = old.filter(
    (s) => (s.spec.replicas ?? 0) === 0 && (s.status?.replicas ?? 0) === 0 && !s.metadata.deletionTimestamp,
  )
  const limit = deployment.spec.revisionHistoryLimit ?? 10
  const surplus = [...idle].sort((a, b) => revisionOf(a) - revisionOf(b)).slice(0, Math.max(0, idle.length - limit))
  for (const set of surplus) remove(store, 'replicasets.apps', set)
}

/** Writes counts and conditions; answers when the progress deadline has to be looked at. */
const writeStatus = (store: Store, key: string, now: number): number | undefined => {
  const [namespace, name] = splitKey(key)
  const deployment = store.get<Deployment>('deployments.apps', namespace, name)
  const sets = claim<ReplicaSet>(store, 'replicasets.apps', deployment)
  const current = sets.find((s) => isOf(deployment, s))
  const sum = (of: (set: ReplicaSet) => number | undefined) => sets.reduce((n, s) => n + (of(s) ?? 0), 0)
  const desired = deployment.spec.replicas ?? 1
  const available = sum((s) => s.status?.availableReplicas)
  const total = sum((s) => s.status?.replicas)
  const updated = current?.status?.replicas ?? 0
  const rolling = deployment.spec.strategy?.rollingUpdate
  const surge = scaledNumber(rolling?.maxSurge ?? '25%', desired, Math.ceil)
  const allowed = scaledNumber(rolling?.maxUnavailable ?? '25%', desired, Math.floor)
  const bearable = deployment.spec.strategy?.type === 'Recreate' ? 0 : allowed === 0 && surge === 0 ? 1 : allowed
  const enough = available >= desired - bearable
  const time = timestamp(now)
  let conditions = withCondition(
    deployment.status?.conditions,
    {
      type: 'Available',
      status: enough ? 'True' : 'False',
      reason: enough ? 'MinimumReplicasAvailable' : 'MinimumReplicasUnavailable',
      message: enough ? 'Deployment has minimum availability.' : 'Deployment does not have minimum availability.',
      lastUpdateTime: time,
    },
    time,
  )
  const complete = updated === desired && total === desired && available === desired
  const moved =
    updated !== (deployment.status?.updatedReplicas ?? 0) ||
    available !== (deployment.status?.availableReplicas ?? 0) ||
    total !== (deployment.status?.replicas ?? 0)
  const before = conditionOf(conditions, 'Progressing')
  const deadline = (deployment.spec.progressDeadlineSeconds ?? 600) * 1000
  const since = Date.parse(before?.lastUpdateTime ?? time)
  const what = `ReplicaSet "${current?.metadata.name ?? ''}"`
  let progress: Condition | undefined
  if (complete) progress = progressing('True', 'NewReplicaSetAvailable', `${what} has successfully progressed.`, time)
  else if (!before || moved || before.reason === 'NewReplicaSetAvailable')
    progress = progressing(
      'True',
      before ? 'ReplicaSetUpdated' : 'NewReplicaSetCreated',
      before ? `${what} is progressing.` : `Created new replica set "${current?.metadata.name ?? ''}"`,
      time,
    )
  else if (now - since >= deadline && before.reason !== 'ProgressDeadlineExceeded')
    progress = progressing('False', 'ProgressDeadlineExceeded', `${what} has timed out progressing.`, time)
  if (progress && !deployment.spec.paused) {
    conditions = withCondition(conditions, progress, time)
    if (moved && !complete)
      conditions = conditions.map((c) => (c.type === 'Progressing' ? { ...c, lastUpdateTime: time } : c))
  }
  const status = {
    ...(deployment.status?.collisionCount === undefined ? {} : { collisionCount: deployment.status.collisionCount }),
    observedGeneration: deployment.metadata.generation ?? 1,
    replicas: total,
    updatedReplicas: updated,
    readyReplicas: sum((s) => s.status?.readyReplicas),
    availableReplicas: available,
    unavailableReplicas: Math.max(0, Math.max(total, desired) - available),
    terminatingReplicas: sum((s) => s.status?.terminatingReplicas),
    conditions,
  }
  if (!sameJson(status, deployment.status))
    store.updateStatus('deployments.apps', { ...deployment, metadata: withoutVersion(deployment), status })
  return complete || conditionOf(conditions, 'Progressing')?.status === 'False'
    ? undefined
    : Math.max(1000, since + deadline - now)
}

const progressing = (status: 'True' | 'False', reason: string, message: string, lastUpdateTime: string): Condition => ({
  type: 'Progressing',
  status,
  reason,
  message,
  lastUpdateTime,
})
