// SPDX-License-Identifier: Apache-2.0

/** One row that is not yet outside as it is wanted. */
export interface Pending {
  readonly kind: 'write' | 'remove'
  /** Revision of the oldest change that is not outside. */
  readonly first: number
  /** Revision of the newest change. */
  readonly last: number
  /** Handed to the target, no answer yet. */
  flying: boolean
  /** Revision of the first change that came while it was flying. */
  readonly since: number | undefined
  attempts: number
  retryAt: number
  error: string | undefined
}

/** Rows still to be written or removed, in the order in which they were first asked for. */
export interface Backlog {
  get(key: string): Pending | undefined
  /** Adds the row or, when it is there, notes a newer change: it is due at once. */
  put(key: string, kind: Pending['kind'], first: number, last: number): void
  /** Notes a change of a row that is flying. It counts as a write from then on: it may well be one. */
  touch(key: string, revision: number): void
  drop(key: string): void
  entries(): Iterable<readonly [string, Pending]>
  size(): number
  failed(): number
  /** Why the oldest of those that failed did; undefined when none has. */
  error(): string | undefined
  /** The last revision before the oldest pending row of a kind; Infinity when there is none. */
  floor(kind: Pending['kind']): number
  /** The earliest time after `now` at which a failed row is due again; Infinity when there is none. */
  wakeAt(now: number): number
  /** Forgets all; gives the keys there were. */
  clear(): ReadonlySet<string>
}

export function openBacklog(): Backlog {
  const rows = new Map<string, Pending>()
  /** How many pending rows began at each revision: few entries, for the floor in no time. */
  const begun = { write: new Map<number, number>(), remove: new Map<number, number>() }

  const countAt = (kind: Pending['kind'], revision: number, by: 1 | -1): void => {
    const sum = (begun[kind].get(revision) ?? 0) + by
    if (sum === 0) begun[kind].delete(revision)
    else begun[kind].set(revision, sum)
  }
  const count = ({ kind, first, since }: Pending, by: 1 | -1): void => {
    countAt(kind, first, by)
    if (since !== undefined) countAt('write', since, by)
  }
  const drop = (key: string): void => {
    const pending = rows.get(key)
    if (!pending) return
    count(pending, -1)
    rows.delete(key)
  }

  return {
    get: (key) => rows.get(key),
    put(key, kind, first, last) {
      const old = rows.get(key)
      if (old) count(old, -1)
      const pending: Pending = {
        kind,
        first: Math.min(first, old?.first ?? first),
        last,
        flying: false,
        since: undefined,
        attempts: 0,
        retryAt: 0,
        error: undefined,
      }
      rows.set(key, pending)
      count(pending, 1)
    },
    touch(key, revision) {
      const pending = rows.get(key)
      if (!pending) return
      const changed = { ...pending, since: pending.since ?? revision, last: revision }
      count(pending, -1)
      count(changed, 1)
      rows.set(key, changed)
    },
    drop,
    entries: () => rows,
    size: () => rows.size,
    failed() {
      let failed = 0
      for (const { error } of rows.values()) if (error !== undefined) failed++
      return failed
    },
    error: () => {
      for (const { error } of rows.values()) if (error !== undefined) return error
      return undefined
    },
    floor(kind) {
      let floor = Number.POSITIVE_INFINITY
      for (const first of begun[kind].keys()) floor = Math.min(floor, first - 1)
      return floor
    },
    wakeAt(now) {
      let at = Number.POSITIVE_INFINITY
      for (const { retryAt } of rows.values()) if (retryAt > now && retryAt < at) at = retryAt
      return at
    },
    clear() {
      const keys = new Set(rows.keys())
      rows.clear()
      begun.write.clear()
      begun.remove.clear()
      return keys
    },
  }
}
