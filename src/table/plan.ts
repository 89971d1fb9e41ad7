// SPDX-License-Identifier: Apache-2.0
import { assert, present } from '../base/assert.ts'
import { openBacklog, type Pending } from './backlog.ts'
import type { Change } from './database.ts'
import { openOutside, type References } from './outside.ts'
import type { RowStatus } from './status.ts'
import type { Outcome } from './target.ts'

/** Delays between attempts, in milliseconds: `first`, doubled each time up to `most`, less a jitter of up to half. */
export interface BackOff {
  readonly first: number
  readonly most: number
}

export interface PlanOptions<Row> {
  /** The desired rows as they are now. */
  readonly desired: { get(key: string): Row | undefined; all(): readonly Row[] }
  readonly key: (row: Row) => string
  readonly equal: (there: Row, wanted: Row) => boolean
  /** A number in [0, 1). */
  readonly random: () => number
  /** Write nothing before the desired table is initialised: for rows that are more open while facts are missing. */
  readonly waitInitialised?: boolean
  readonly backOff?: BackOff
  /** Most rows of one operation. */
  readonly batch?: number
  /** Which rows of earlier tables a row refers to, one function for each such table. */
  readonly references?: readonly References<Row>[]
}

/** What the driver is to do next. Each operation is answered once: a load by `loaded` or `loadFailed`, the
 * others by `finish`. */
export type Operation<Row> = { readonly kind: 'load' } | Transfer<Row>

export interface Transfer<Row> {
  readonly kind: 'write' | 'remove'
  readonly keys: readonly string[]
  readonly rows: readonly Row[]
}

/** What other reconcilers allow at the moment. */
export interface Gate<Row> {
  /** Changes of later revisions are not written yet. */
  readonly writesUpTo: number
  readonly removalsUpTo: number
  ready(row: Row): boolean
  /** Whether nobody outside refers to the row any more. */
  unused(key: string): boolean
}

/** The state of one reconciler and its decisions; it awaits nothing and knows no clock. */
export interface Plan<Row> {
  /** What changed in the desired table up to `revision`. */
  take(changes: readonly Change<Row>[], revision: number, initialised: boolean): void
  /** The next operation at `now`, or undefined when there is nothing to do. One operation at a time. */
  next(now: number, gate: Gate<Row>): Operation<Row> | undefined
  loaded(rows: readonly Row[]): void
  loadFailed(error: string, now: number): void
  finish(operation: Transfer<Row>, outcomes: readonly Outcome[], now: number): void
  /** The target may have lost what it held: it is read again before anything else. */
  reload(): void
  /** When `next` may answer otherwise by time alone; Infinity if never. */
  wakeAt(now: number): number
  /** All writes (or all changes) up to this revision are outside; -1 before the target was read. */
  realisedWrites(): number
  realised(): number
  /** The same for those whose removals wait: -1 too while rows are there that nobody has asked for. */
  released(): number
  /** Whether a row that is or may be outside refers to the key, by the reference of that number. */
  refers(reference: number, key: string): boolean
  /** Whether a row with this key is still to be written. */
  owes(key: string): boolean
  status(key: string): RowStatus | undefined
  counts(): { readonly rows: number; readonly pending: number; readonly failed: number }
  /** Why a row failed, the oldest one if several did. */
  error(): string | undefined
  waits(): readonly string[]
}

const defaultBackOff: BackOff = { first: 50, most: 30_000 }

export function openPlan<Row>(options: PlanOptions<Row>): Plan<Row> {
  const { desired, random, batch = Number.POSITIVE_INFINITY, backOff = defaultBackOff } = options
  const outside = openOutside(options.references ?? [])
  const backlog = openBacklog()
  /** Rows found outside that nobody has asked for; they stay until everybody has spoken. */
  const strays = new Set<string>()
  let seen = -1
  let initialised = false
  let flying = false
  let load: { due: boolean; at: number; attempts: number; error: string | undefined } = {
    due: true,
    at: 0,
    attempts: 0,
    error: undefined,
  }

  const delay = (attempts: number, jitter: number): number =>
    Math.min(backOff.most, backOff.first * 2 ** (attempts - 1)) * (1 - jitter / 2)

  function evaluate(key: string, first: number, last: number): void {
    const pending = backlog.get(key)
    if (pending?.flying) {
      backlog.touch(key, last)
      return
    }
    const wanted = desired.get(key)
    const there = outside.get(key)
    if (wanted === undefined ? !there : there?.sure && (there.row === wanted || options.equal(there.row, wanted))) {
      backlog.drop(key)
      strays.delete(key)
    } else backlog.put(key, wanted === undefined ? 'remove' : 'write', first, last)
  }

  function prune(): void {
    for (const key of strays) evaluate(key, seen, seen)
  }

  function ripe(pending: Pending, now: number): boolean {
    return !pending.flying && pending.retryAt <= now
  }

  function writesAt(now: number, gate: Gate<Row>): Operation<Row> | undefined {
    if (options.waitInitialised && !initialised) return undefined
    const keys: string[] = []
    const rows: Row[] = []
    for (const [key, pending] of backlog.entries()) {
      if (keys.length >= batch) break
      if (pending.kind !== 'write' || !ripe(pending, now) || pending.last > gate.writesUpTo) continue
      const row = desired.get(key)
      assert(row !== undefined, () => `row '${key}' is to be written but not desired`)
      if (!gate.ready(row)) continue
      keys.push(key)
      rows.push(row)
    }
    if (keys.length === 0) return undefined
    for (const [i, key] of keys.entries()) outside.departed(key, rows[i] as Row)
    return depart('write', keys, rows)
  }

  function removalsAt(now: number, gate: Gate<Row>): Operation<Row> | undefined {
    const keys: string[] = []
    const rows: Row[] = []
    for (const [key, pending] of backlog.entries()) {
      if (keys.length >= batch) break
      if (pending.kind !== 'remove' || !ripe(pending, now) || pending.last > gate.removalsUpTo) continue
      if (!gate.unused(key)) continue
      keys.push(key)
      rows.push(present(outside.get(key), `row '${key}' to be removed`).row)
    }
    return keys.length > 0 ? depart('remove', keys, rows) : undefined
  }

  function depart(kind: 'write' | 'remove', keys: readonly string[], rows: readonly Row[]): Transfer<Row> {
    for (const key of keys) (backlog.get(key) as Pending).flying = true
    return { kind, keys, rows }
  }

  function settle(key: string, row: Row, written: boolean, outcome: Outcome, retryAt: (attempts: number) => number) {
    const pending = backlog.get(key) as Pending
    const { since, last, first } = pending
    pending.flying = false
    if (outcome.ok) {
      if (written) outside.written(key, row, since === undefined ? last : since - 1)
      else outside.removed(key)
      strays.delete(key)
      backlog.drop(key)
      evaluate(key, since ?? last, last)
      return
    }
    outside.doubted(key, row)
    if (since !== undefined) {
      // The row has changed meanwhile: what failed is not what is wanted now.
      evaluate(key, first, last)
      return
    }
    pending.error = outcome.error
    pending.attempts++
    pending.retryAt = outcome.permanent ? Number.POSITIVE_INFINITY : retryAt(pending.attempts)
  }

  const realised = (): number => (load.due ? -1 : Math.min(seen, backlog.floor('write'), backlog.floor('remove')))

  return {
    take(changes, revision, nowInitialised) {
      seen = revision
      if (!load.due) for (const { key } of changes) evaluate(key, revision, revision)
      if (nowInitialised && !initialised) {
        initialised = true
        if (!load.due) prune()
      }
      initialised = nowInitialised
    },
    next(now, gate) {
      if (flying) return undefined
      let operation: Operation<Row> | undefined
      if (load.due) operation = load.at <= now ? { kind: 'load' } : undefined
      else if (backlog.size() > 0) operation = writesAt(now, gate) ?? removalsAt(now, gate)
      flying = operation !== undefined
      return operation
    },
    loaded(rows) {
      flying = false
      load = { due: false, at: 0, attempts: 0, error: undefined }
      const owed = backlog.clear()
      strays.clear()
      outside.reset(
        rows.map((row) => [options.key(row), row] as const),
        seen,
      )
      // Nobody knows since when a row has been missing: what differs counts from the beginning.
      for (const row of desired.all()) evaluate(options.key(row), 0, seen)
      for (const key of outside.keys()) {
        if (desired.get(key) !== undefined) continue
        // A removal that was under way goes on; what nobody ever mentioned waits for everybody's word.
        if (owed.has(key)) evaluate(key, 0, seen)
        else strays.add(key)
      }
      if (initialised) prune()
    },
    finish({ kind, keys, rows }, outcomes, now) {
      flying = false
      assert(outcomes.length === keys.length, () => `${outcomes.length} outcomes for ${keys.length} rows`)
      // One jitter for all of an operation: rows that failed together are tried together.
      const jitter = random()
      const retryAt = (attempts: number) => now + delay(attempts, jitter)
      let made = false
      for (let i = 0; i < keys.length; i++) {
        const outcome = outcomes[i] as Outcome
        settle(keys[i] as string, rows[i] as Row, kind === 'write', outcome, retryAt)
        made ||= kind === 'remove' && outcome.ok
      }
      // A removal makes room: rows that were refused for good are tried once more.
      if (made) {
        for (const [, pending] of backlog.entries()) {
          if (pending.retryAt === Number.POSITIVE_INFINITY) pending.retryAt = now
        }
      }
    },
    loadFailed(error, now) {
      flying = false
      const attempts = load.attempts + 1
      load = { due: true, at: now + delay(attempts, random()), attempts, error }
    },
    reload() {
      load = { due: true, at: 0, attempts: 0, error: undefined }
    },
    wakeAt(now) {
      if (flying) return Number.POSITIVE_INFINITY
      // What is due already waits for others, not for time.
      if (load.due) return load.at > now ? load.at : Number.POSITIVE_INFINITY
      return backlog.wakeAt(now)
    },
    realisedWrites: () => (load.due ? -1 : Math.min(seen, backlog.floor('write'))),
    realised,
    released: () => (strays.size > 0 ? -1 : realised()),
    refers: (reference, key) => load.due || outside.refers(reference, key),
    owes(key) {
      const pending = backlog.get(key)
      return load.due || pending?.kind === 'write' || pending?.since !== undefined
    },
    status(key) {
      const pending = backlog.get(key)
      if (pending?.error !== undefined) {
        const { first, error, attempts, retryAt } = pending
        const status = { kind: 'error', since: first, error, attempts } as const
        return Number.isFinite(retryAt) ? { ...status, retryAt } : status
      }
      if (pending) return { kind: 'pending', since: pending.first }
      const there = outside.get(key)
      if (there) return { kind: 'done', revision: there.revision }
      return desired.get(key) === undefined ? undefined : { kind: 'pending', since: seen }
    },
    counts: () => ({ rows: outside.size(), pending: backlog.size(), failed: backlog.failed() }),
    error: backlog.error,
    waits: () => [
      ...(load.error === undefined ? [] : [`load: ${load.error}`]),
      ...(options.waitInitialised && !initialised ? ['initialised'] : []),
    ],
  }
}
