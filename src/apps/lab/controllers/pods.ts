// SPDX-License-Identifier: Apache-2.0
import type { KubeObject } from '../../../protocol/kubeapi/object.ts'
import type { Draft } from '../api/store.ts'
import type { Condition, Pod, PodTemplate } from './objects.ts'
import { controlledBy } from './ownership.ts'

/** A pod made from a template, owned by `owner`; `name` is exact, else one is generated from the owner's name. */
export const podFrom = (
  owner: KubeObject,
  template: PodTemplate,
  extra: {
    readonly name?: string
    readonly labels?: Readonly<Record<string, string>>
    readonly annotations?: Readonly<Record<string, string>>
  } = {},
): Draft => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: {
    ...(extra.name === undefined ? { generateName: `${owner.metadata.name}-` } : { name: extra.name }),
    namespace: owner.metadata.namespace ?? '',
    labels: { ...template.metadata?.labels, ...extra.labels },
    ...(template.metadata?.annotations || extra.annotations
      ? { annotations: { ...template.metadata?.annotations, ...extra.annotations } }
      : {}),
    ...(template.metadata?.finalizers ? { finalizers: template.metadata.finalizers } : {}),
    ownerReferences: [controlledBy(owner)],
  },
  spec: template.spec,
})

/** Neither finished nor on its way out. */
export const isActive = (pod: Pod): boolean =>
  pod.status?.phase !== 'Succeeded' && pod.status?.phase !== 'Failed' && !pod.metadata.deletionTimestamp

export const conditionOf = (conditions: readonly Condition[] | undefined, type: string): Condition | undefined =>
  conditions?.find((c) => c.type === type)

export const isReady = (pod: Pod): boolean => conditionOf(pod.status?.conditions, 'Ready')?.status === 'True'

/** Milliseconds until the pod has been ready for `minReadySeconds`: 0 when available, undefined when not ready. */
export const untilAvailable = (pod: Pod, minReadySeconds: number, now: number): number | undefined => {
  const ready = conditionOf(pod.status?.conditions, 'Ready')
  if (ready?.status !== 'True') return undefined
  const since = Date.parse(ready.lastTransitionTime ?? '')
  return Number.isNaN(since) ? 0 : Math.max(0, since + minReadySeconds * 1000 - now)
}

/** Ready and available pods, and when the next one becomes available (undefined: none is on its way). */
export const tally = (
  pods: readonly Pod[],
  minReadySeconds: number,
  now: number,
): { readonly ready: number; readonly available: number; readonly again: number | undefined } => {
  const waits = pods.map((p) => untilAvailable(p, minReadySeconds, now)).filter((w) => w !== undefined)
  const ahead = waits.filter((w) => w > 0)
  return {
    ready: waits.length,
    available: waits.length - ahead.length,
    again: ahead.length > 0 ? Math.min(...ahead) : undefined,
  }
}

/** The order in which surplus pods go: the least useful first. `crowd` counts the replicas on a pod's node. */
export const lessUseful =
  (crowd: (pod: Pod) => number) =>
  (a: Pod, b: Pod): number =>
    rank(a) - rank(b) ||
    crowd(b) - crowd(a) ||
    restarts(b) - restarts(a) ||
    (b.metadata.creationTimestamp ?? '').localeCompare(a.metadata.creationTimestamp ?? '') ||
    b.metadata.name.localeCompare(a.metadata.name)

const rank = (pod: Pod): number => {
  if (!pod.spec.nodeName) return 0
  if (pod.status?.phase === 'Pending' || pod.status?.phase === undefined) return 1
  return isReady(pod) ? 3 : 2
}

const restarts = (pod: Pod): number =>
  Math.max(0, ...(pod.status?.containerStatuses ?? []).map((c) => c.restartCount ?? 0))

/** Replaces the condition of its type; the transition time moves only when the status does. */
export const withCondition = (
  conditions: readonly Condition[] | undefined,
  next: Condition,
  now: string,
): readonly Condition[] => {
  const before = conditionOf(conditions, next.type)
  const same = before?.status === next.status
  if (same && before?.reason === next.reason && before?.message === next.message) return conditions ?? []
  const lastTransitionTime = same ? (before?.lastTransitionTime ?? now) : now
  const made: Condition = { ...next, ...('lastUpdateTime' in next ? { lastUpdateTime: now } : {}), lastTransitionTime }
  return before ? (conditions ?? []).map((c) => (c.type === next.type ? made : c)) : [...(conditions ?? []), made]
}
