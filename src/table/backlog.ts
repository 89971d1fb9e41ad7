// SPDX-License-Identifier: Apache-2.0

/** One row that is not yet outside as it is wanted. */
export interface Pending {
  kind: 'write' | 'remove'
  /** Revision of the oldest change that is not outside. */
  readonly first: number
  /** Revision of the newest change. */
  last: number
  /** Handed to the target, no answer yet. */
  flying: boolean
  /** Revision of the first change that came while it was flying. */
  since: number | undefined
  attempts: number
  retryAt: number
  error: string | undefined
}

/** Rows still to be written or removed, in the order in which they were first asked for. */
export interface Backlog {
  get(key: string): Pending | undefined
  /** Adds the row or, when it is there, notes a newer change: it is due at once. */
  put(key: string, kind: Pending['kind'], first: number, last: number): void
  drop(key: string): void
  entries(): Iterable<readonly [string, Pending]>
  size(): number
  failed(): number
  /** The last revision before the oldest pending row of a kind; Infinity when there is none. */
  floor(kind: Pending['kind']): number
  /** The earliest time after `now` at which a failed row is due again; Infinity when there is none. */
  wakeAt(now: number): number
  /** Forgets all; gives the first revision of each row there was. */
  clear(): ReadonlyMap<string, number>
}

export function openBacklog(): Backlog {
  const rows = new Map<string, Pending>()
  /** How many pending rows began at each revision: few entries, for the floor in no time. */
  const begun = { write: new Map<number, number>(), remove: new Map<number, number>() }

  const count = ({ kind, first }: Pending, by: 1 | -1): void => {
    const sum = (begun[kind].get(first) ?? 0) + by
    if (sum === 0) begun[kind].delete(first)
    else begun[kind].set(first, sum)
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
    drop,
    entries: () => rows,
    size: () => rows.size,
    failed() {
      let failed = 0
      for (const { error } of rows.values()) if (error !== undefined) failed++
      return failed
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
      const firsts = new Map([...rows].map(([key, { first }]) => [key, first]))
      rows.clear()
      begun.write.clear()
      begun.remove.clear()
      return firsts
    },
  }
}
