// SPDX-License-Identifier: Apache-2.0
import { assert } from '../../base/assert.ts'
import type { Scope } from '../../base/scope.ts'
import type { Clock } from '../../base/time.ts'
import type { Cursor, Database } from '../../table/database.ts'
import type { AnyTable, Table } from '../../table/definition.ts'
import { type After, gateOf, heldUpBy, type Place, placeAfter, referencesIn } from '../../table/order.ts'
import { type BackOff, type Operation, openPlan, type Transfer } from '../../table/plan.ts'
import type { RowStatus, StatusRow, TableStatus } from '../../table/status.ts'
import type { Outcome, Target } from '../../table/target.ts'
import { errorText } from './scope.ts'

export interface ReconcileOptions<Row> {
  /** Tables that are to be outside first; they have been added before. */
  readonly after?: readonly After<Row>[]
  /** Write nothing before the desired table is initialised: for rows that are more open while facts are missing. */
  readonly waitInitialised?: boolean
  readonly backOff?: BackOff
  /** Most rows handed to the target at once. */
  readonly batch?: number
  /** A source table (`statusTable`) that shall hold what became of each row. */
  readonly status?: Table<StatusRow>
}

/** All reconcilers of one database. */
export interface Reconciliation {
  add<Row>(table: Table<Row>, target: Target<Row>, options?: ReconcileOptions<Row>): void
  /** Loads the targets and begins; nothing is added afterwards. */
  start(): void
  /** Resolves once everything up to `revision` is outside, for all tables or the named ones; rejects on close. */
  caughtUp(revision: number, tables?: readonly AnyTable[]): Promise<void>
  /** `caughtUp` with what the database holds now. */
  settled(): Promise<void>
  /** The revision up to which everything is outside. */
  realised(tables?: readonly AnyTable[]): number
  /** The target may have lost what it held (a restarted peer, a flushed table): it is read anew. */
  reload(table: AnyTable): void
  status<Row>(table: Table<Row>, key: string): RowStatus | undefined
  statuses(): readonly TableStatus[]
}

/** One table with its target. */
interface Line {
  readonly place: Place<unknown>
  readonly target: Target<unknown>
  readonly cursor: Cursor<unknown>
  readonly status: Table<StatusRow> | undefined
}

export interface ReconciliationOptions {
  /** A number in [0, 1), for the jitter of retries. */
  readonly random?: () => number
}

/**
 * The driver: hands changes to the plans, their operations to the targets, the outcomes back. A target that answers at
 * once is written within the commit that changed the row; one that returns a promise is awaited, others go on.
 */
export function reconciliation(
  db: Database,
  scope: Scope,
  clock: Clock,
  options: ReconciliationOptions = {},
): Reconciliation {
  const { random = Math.random } = options
  const lines = new Map<AnyTable, Line>()
  const places = new Map<AnyTable, Place<unknown>>()
  const waiters = new Set<{
    revision: number
    tables: readonly AnyTable[] | undefined
    done: (error?: Error) => void
  }>()
  let started = false
  let pumping = false
  let again = false
  let timer: { at: number; cancel: () => void } | undefined

  const lineOf = (table: AnyTable): Line => {
    const line = lines.get(table)
    assert(line, () => `table ${table.name} has no reconciler`)
    return line
  }

  function take(): void {
    for (const { place, cursor } of lines.values()) {
      const initialised = db.isInitialised(place.table)
      place.plan.take(cursor.next(), db.revision, initialised)
    }
  }

  /** Runs whatever may run, in the order of adding, until nothing more is possible without waiting. */
  function pump(): void {
    if (!started || scope.signal.aborted) return
    again = true
    if (pumping) return
    pumping = true
    try {
      while (again) {
        again = false
        for (const line of lines.values()) while (step(line)) again = true
      }
    } finally {
      pumping = false
    }
    wakeLater()
    tellWaiters()
  }

  /** One operation of one table. True when it is finished already and there may be more. */
  function step(line: Line): boolean {
    const { plan } = line.place
    const operation = plan.next(clock.monotonic(), gateOf(line.place))
    if (!operation) return false
    const answered = (answer: Answer): void => {
      if (operation.kind !== 'load') plan.finish(operation, outcomesOf(operation, answer), clock.monotonic())
      else if ('error' in answer) plan.loadFailed(answer.error, clock.monotonic())
      else if ('rows' in answer) plan.loaded(answer.rows)
      if (operation.kind !== 'load') publish(line, operation)
    }
    const answer = perform(line.target, operation)
    if (!(answer instanceof Promise)) {
      answered(answer)
      return true
    }
    void answer.then((answer) => {
      if (scope.signal.aborted) return
      answered(answer)
      pump()
    })
    return false
  }

  function publish(line: Line, operation: Transfer<unknown>): void {
    const { status } = line
    if (!status) return
    db.commit((tx) => {
      for (const key of operation.keys) {
        const row = line.place.plan.status(key)
        if (row) tx.put(status, { key, ...row })
        else tx.remove(status, key)
      }
    })
  }

  function wakeLater(): void {
    const now = clock.monotonic()
    let at = Number.POSITIVE_INFINITY
    for (const { place } of lines.values()) at = Math.min(at, place.plan.wakeAt(now))
    if (timer?.at === at) return
    timer?.cancel()
    timer = undefined
    if (!Number.isFinite(at)) return
    const cancel = scope.after('retry', Math.ceil(at - now), () => {
      timer = undefined
      pump()
    })
    timer = { at, cancel }
  }

  function realised(tables?: readonly AnyTable[]): number {
    const wanted = tables ? tables.map(lineOf) : [...lines.values()]
    return wanted.reduce((least, { place }) => Math.min(least, place.plan.realised()), db.revision)
  }

  const caughtUp = (revision: number, tables?: readonly AnyTable[]): Promise<void> =>
    new Promise((resolve, reject) => {
      const done = (error?: Error) => (error ? reject(error) : resolve())
      if (scope.signal.aborted) done(new Error(`${scope.name} was closed`))
      else if (started && realised(tables) >= revision) done()
      else waiters.add({ revision, tables, done })
    })

  function tellWaiters(): void {
    for (const waiter of waiters) {
      if (realised(waiter.tables) < waiter.revision) continue
      waiters.delete(waiter)
      waiter.done()
    }
  }

  scope.onClose(() => {
    stop()
    for (const { cursor } of lines.values()) cursor.close()
    for (const { done } of waiters) done(new Error(`${scope.name} was closed`))
    waiters.clear()
  })
  const stop = db.listen(() => {
    if (!started) return
    take()
    pump()
  })

  return {
    add(table, target, { after = [], status, ...planOptions } = {}) {
      assert(!started, () => `${table.name} is added after the start`)
      assert(!lines.has(table), () => `${table.name} has a reconciler already`)
      const plan = openPlan({
        ...planOptions,
        desired: { get: (key) => db.get(table, key), all: () => db.all(table) },
        key: (row) => target.key(row),
        equal: (there, wanted) => target.equal(there, wanted),
        random,
        references: referencesIn(after),
      })
      const place = placeAfter(places, table, plan, after) as Place<unknown>
      places.set(table, place)
      lines.set(table, { place, target: target as Target<unknown>, cursor: db.cursor(table), status })
    },
    start() {
      assert(!started, 'the reconcilers run already')
      started = true
      take()
      pump()
    },
    caughtUp,
    settled: () => caughtUp(db.revision),
    realised,
    reload(table) {
      lineOf(table).place.plan.reload()
      pump()
    },
    status: (table, key) => lineOf(table).place.plan.status(key),
    statuses: () =>
      [...lines.values()].map(({ place }) => {
        const { table, plan } = place
        const counts = plan.counts()
        const held = counts.pending > counts.failed ? heldUpBy(place, db.revision) : []
        const error = plan.error()
        const why = error === undefined ? {} : { error }
        return { table: table.name, ...counts, ...why, realised: plan.realised(), waitsFor: [...plan.waits(), ...held] }
      }),
  }
}

type Answer = { readonly rows: readonly unknown[] } | { readonly outcomes: readonly Outcome[] } | Failure
interface Failure {
  readonly error: string
}

/** The answer of the target, a throw being one too. A promise only where the target gave one. */
function perform(target: Target<unknown>, operation: Operation<unknown>): Answer | Promise<Answer> {
  const failure = (error: unknown): Failure => ({ error: errorText(error) })
  try {
    if (operation.kind === 'load') {
      const rows = target.load()
      return rows instanceof Promise ? rows.then((rows) => ({ rows }), failure) : { rows: rows as readonly unknown[] }
    }
    const outcomes = operation.kind === 'write' ? target.write(operation.rows) : target.remove(operation.rows)
    return outcomes instanceof Promise
      ? outcomes.then((outcomes) => ({ outcomes }), failure)
      : { outcomes: outcomes as readonly Outcome[] }
  } catch (error) {
    return failure(error)
  }
}

/** A target that throws says of each row that it failed. */
function outcomesOf(operation: Transfer<unknown>, answer: Answer): readonly Outcome[] {
  if ('outcomes' in answer) return answer.outcomes
  const error = 'error' in answer ? answer.error : 'no outcome'
  return operation.rows.map(() => ({ ok: false, error }))
}
