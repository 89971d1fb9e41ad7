// SPDX-License-Identifier: Apache-2.0
import { sameJson } from '../../../protocol/kubeapi/object.ts'
import type { Store } from '../api/store.ts'
import { matchesNode, tolerates } from '../scheduler/fit.ts'
import { recorder } from './events.ts'
import type { DaemonSet, Node, Pod, PodSpec, Toleration } from './objects.ts'
import { claim, controllerKey, remove } from './ownership.ts'
import { isActive, isReady, podFrom, untilAvailable } from './pods.ts'
import { type Controller, keyOf, splitKey } from './queue.ts'
import { withoutVersion } from './replicaset.ts'
import { currentRevision, hashOf, pruneRevisions, REVISION_HASH } from './revisions.ts'
import { scaledNumber } from './rollout.ts'

const added: readonly Toleration[] = [
  { key: 'node.kubernetes.io/not-ready', operator: 'Exists', effect: 'NoExecute' },
  { key: 'node.kubernetes.io/unreachable', operator: 'Exists', effect: 'NoExecute' },
  { key: 'node.kubernetes.io/disk-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/memory-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/pid-pressure', operator: 'Exists', effect: 'NoSchedule' },
  { key: 'node.kubernetes.io/unschedulable', operator: 'Exists', effect: 'NoSchedule' },
]
const forHostNetwork: Toleration = {
  key: 'node.kubernetes.io/network-unavailable',
  operator: 'Exists',
  effect: 'NoSchedule',
}

/** Runs one pod of a DaemonSet on each node that fits, and replaces them node by node when the template changes. */
export const daemonSetController = (store: Store, now: () => number = Date.now): Controller => {
  const record = recorder(store, 'daemonset-controller', now)

  const createOn = (set: DaemonSet, node: Node, hash: string) => {
    const generation = String(set.metadata.generation ?? 1)
    const spec = boundTo(withTolerations(set.spec.template.spec), node.metadata.name)
    const draft = podFrom(
      set,
      { ...set.spec.template, spec },
      { labels: { [REVISION_HASH]: hash, 'pod-template-generation': generation } },
    )
    try {
      const pod = store.create<Pod>('pods', draft)
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

  const destroy = (set: DaemonSet, pod: Pod) => {
    remove(store, 'pods', pod)
    record(set, 'Normal', 'SuccessfulDelete', `Deleted pod: ${pod.metadata.name}`)
  }

  return {
    name: 'daemonset',
    watches: [
      { resource: 'daemonsets.apps', keys: (o) => [keyOf(o)] },
      { resource: 'pods', keys: controllerKey('DaemonSet') },
      { resource: 'nodes', keys: () => store.list('daemonsets.apps').map(keyOf) },
    ],
    sync: (key) => {
      const [namespace, name] = splitKey(key)
      const set = store.find<DaemonSet>('daemonsets.apps', namespace, name)
      if (!set || set.metadata.deletionTimestamp) return undefined
      const { current, all } = currentRevision(store, set)
      const hash = hashOf(current)
      const pods = claim<Pod>(store, 'pods', set, set.spec.selector)
      const onNode = new Map<string, Pod[]>()
      for (const pod of pods) {
        const node = targetNode(pod)
        onNode.set(node, [...(onNode.get(node) ?? []), pod])
      }
      const nodes = store.list<Node>('nodes')
      const wanted = nodes.filter((n) => !n.metadata.deletionTimestamp && runsOn(set, n))
      const names = new Set(wanted.map((n) => n.metadata.name))
      for (const [node, held] of onNode)
        if (!names.has(node)) for (const pod of held.filter((p) => !p.metadata.deletionTimestamp)) destroy(set, pod)
      const mostSurging = scaledNumber(set.spec.updateStrategy?.rollingUpdate?.maxSurge ?? 0, wanted.length, Math.ceil)
      const surges = mostSurging > 0 && set.spec.updateStrategy?.type !== 'OnDelete'
      let surging = [...onNode.values()].filter((held) => held.filter(isActive).length > 1).length
      let replaceable = set.spec.updateStrategy?.type === 'OnDelete' ? 0 : budget(set, wanted, onNode, now())
      for (const node of wanted) {
        const held = onNode.get(node.metadata.name) ?? []
        for (const pod of held.filter((p) => p.status?.phase === 'Failed' && !p.metadata.deletionTimestamp)) {
          record(
            set,
            'Warning',
            'FailedDaemonPod',
            `Found failed daemon pod ${namespace}/${pod.metadata.name} on node ${node.metadata.name}, will try to kill it`,
          )
          destroy(set, pod)
        }
        const active = held.filter(isActive)
        // Surging, the new pod comes beside the old one, which goes once the new one is available.
        const isNew = (p: Pod) => p.metadata.labels?.[REVISION_HASH] === hash
        const [first, ...surplus] = surges ? [...active].sort((a, b) => Number(isNew(b)) - Number(isNew(a))) : active
        if (!first) {
          // The leaving pod still holds the node's host ports and mounts.
          if (held.length === 0) createOn(set, node, hash)
        } else if (surges && isNew(first) && surplus.length > 0) {
          const ready = untilAvailable(first, set.spec.minReadySeconds ?? 0, now()) === 0
          for (const pod of surplus) if (ready || isNew(pod)) destroy(set, pod)
        } else {
          for (const pod of surplus) destroy(set, pod)
          if (isNew(first) || set.spec.updateStrategy?.type === 'OnDelete') continue
          const unavailable = untilAvailable(first, set.spec.minReadySeconds ?? 0, now()) !== 0
          if (surges && !unavailable) {
            if (surging++ < mostSurging) createOn(set, node, hash)
          } else if (unavailable || replaceable > 0) {
            if (!unavailable) replaceable--
            destroy(set, first)
          }
        }
      }
      pruneRevisions(store, set, all, new Set(pods.map((p) => p.metadata.labels?.[REVISION_HASH] ?? '')))
      return writeStatus(store, set, hash, names, now())
    },
  }
}

const runsOn = (set: DaemonSet, node: Node): boolean => {
  const spec = withTolerations(set.spec.template.spec)
  if (spec.nodeName && spec.nodeName !== node.metadata.name) return false
  return (
    matchesNode(spec, node) &&
    (node.spec?.taints ?? []).every((t) => t.effect === 'PreferNoSchedule' || tolerates(spec.tolerations, t))
  )
}

const withTolerations = (spec: PodSpec): PodSpec => ({
  ...spec,
  tolerations: [...(spec.tolerations ?? []), ...added, ...(spec.hostNetwork ? [forHostNetwork] : [])],
})

/** The pod's template with the node as its only choice; the scheduler still judges resources and ports. */
const boundTo = (spec: PodSpec, node: string): PodSpec => {
  const field = { key: 'metadata.name', operator: 'In' as const, values: [node] }
  const terms = spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms ?? [{}]
  const nodeSelectorTerms = terms.map((t) => ({ ...t, matchFields: [field] }))
  const nodeAffinity = {
    ...spec.affinity?.nodeAffinity,
    requiredDuringSchedulingIgnoredDuringExecution: { nodeSelectorTerms },
  }
  return { ...spec, affinity: { ...spec.affinity, nodeAffinity } }
}

const targetNode = (pod: Pod): string =>
  pod.spec.nodeName ??
  pod.spec.affinity?.nodeAffinity?.requiredDuringSchedulingIgnoredDuringExecution?.nodeSelectorTerms[0]
    ?.matchFields?.[0]?.values?.[0] ??
  ''

/** How many available pods may be taken down now. */
const budget = (
  set: DaemonSet,
  wanted: readonly Node[],
  onNode: ReadonlyMap<string, readonly Pod[]>,
  now: number,
): number => {
  const most = Math.max(
    1,
    scaledNumber(set.spec.updateStrategy?.rollingUpdate?.maxUnavailable ?? 1, wanted.length, Math.ceil),
  )
  const available = (p: Pod) => isActive(p) && untilAvailable(p, set.spec.minReadySeconds ?? 0, now) === 0
  return most - wanted.filter((n) => !(onNode.get(n.metadata.name) ?? []).some(available)).length
}

const writeStatus = (
  store: Store,
  set: DaemonSet,
  hash: string,
  names: ReadonlySet<string>,
  now: number,
): number | undefined => {
  const pods = claim<Pod>(store, 'pods', set).filter(isActive)
  const chosen = pods.filter((p) => names.has(targetNode(p)))
  const waits = chosen.map((p) => untilAvailable(p, set.spec.minReadySeconds ?? 0, now))
  const available = waits.filter((w) => w === 0).length
  const status = {
    currentNumberScheduled: new Set(chosen.map(targetNode)).size,
    numberMisscheduled: pods.filter((p) => p.spec.nodeName && !names.has(p.spec.nodeName)).length,
    desiredNumberScheduled: names.size,
    numberReady: chosen.filter(isReady).length,
    observedGeneration: set.metadata.generation ?? 1,
    updatedNumberScheduled: chosen.filter((p) => p.metadata.labels?.[REVISION_HASH] === hash).length,
    numberAvailable: available,
    ...(names.size - available > 0 ? { numberUnavailable: names.size - available } : {}),
  }
  if (!sameJson(status, set.status))
    store.updateStatus('daemonsets.apps', { ...set, metadata: withoutVersion(set), status })
  const ahead = waits.filter((w) => w !== undefined && w > 0) as number[]
  return ahead.length > 0 ? Math.min(...ahead) : undefined
}
