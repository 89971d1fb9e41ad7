// SPDX-License-Identifier: Apache-2.0
import type { IntOrString } from './objects.ts'

/** How many pods a set is told to have, and how many of them are available. */
export interface SetCounts {
  readonly replicas: number
  readonly available: number
}

export interface Rollout {
  readonly desired: number
  readonly maxSurge: number
  readonly maxUnavailable: number
  readonly current: SetCounts
  /** Oldest first. */
  readonly old: readonly SetCounts[]
}

/** An absolute number, or a percentage of `total` rounded as told. */
export const scaledNumber = (value: IntOrString, total: number, round: (n: number) => number): number => {
  if (typeof value === 'number') return value
  const percent = /^(\d+)%$/.exec(value)?.[1]
  return percent === undefined ? Number(value) || 0 : round((Number(percent) * total) / 100)
}

/**
 * The next sizes of the sets on the way to `desired` pods in the current one: never more than desired + maxSurge pods,
 * never fewer than desired - maxUnavailable available ones by our doing. Pods that are not available go first.
 */
export const rollingStep = (r: Rollout): { readonly current: number; readonly old: readonly number[] } => {
  const total = r.old.reduce((n, s) => n + s.replicas, r.current.replicas)
  const room = Math.max(0, r.desired + r.maxSurge - total)
  const current =
    r.current.replicas > r.desired ? r.desired : r.current.replicas + Math.min(room, r.desired - r.current.replicas)
  const old = r.old.map((s) => s.replicas)
  const least = r.desired - r.maxUnavailable
  const unavailableCurrent = Math.max(0, r.current.replicas - r.current.available)
  let removable = Math.max(0, total - least - unavailableCurrent)
  r.old.forEach((s, i) => {
    const take = Math.min(removable, Math.max(0, s.replicas - s.available), old[i] ?? 0)
    old[i] = (old[i] ?? 0) - take
    removable -= take
  })
  const available = r.old.reduce((n, s) => n + s.available, r.current.available)
  let spare = Math.max(0, available - least)
  r.old.forEach((s, i) => {
    const take = Math.min(spare, removable, old[i] ?? 0, s.available)
    old[i] = (old[i] ?? 0) - take
    spare -= take
    removable -= take
  })
  return { current, old }
}
