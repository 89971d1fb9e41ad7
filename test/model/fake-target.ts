// SPDX-License-Identifier: Apache-2.0
import { equal } from '../../src/base/equal.ts'
import type { Outcome, Target } from '../../src/table/target.ts'

/** What the next row of an operation shall meet. `crash`: this and every later call throws, nothing more is applied. */
export type Fate = 'ok' | 'refuse' | 'lose' | 'throw' | 'crash'

export interface FakeOptions<Row> {
  readonly name: string
  readonly key: (row: Row) => string
  /** What is there; outlives the target, as a kernel outlives an agent. */
  readonly store: Map<string, Row>
  /** Asked for each row. `refuse` and `lose` fail the row, the latter after applying it; `throw` fails the call. */
  readonly fate?: () => Fate
  readonly asynchronous?: () => boolean
  /** Told after each row that was applied. */
  readonly applied?: () => void
}

/** A target in memory that can fail in every way a real one can. */
export function fakeTarget<Row>(options: FakeOptions<Row>): Target<Row> {
  const { name, key, store, fate = () => 'ok', asynchronous = () => false, applied = () => {} } = options
  let dead = false
  const alive = (): void => {
    if (dead) throw new Error(`${name} is gone`)
  }
  const perform = (rows: readonly Row[], act: (row: Row) => void) => {
    const run = (): readonly Outcome[] =>
      rows.map((row): Outcome => {
        alive()
        const met = fate()
        if (met === 'crash') dead = true
        if (met === 'crash' || met === 'throw') throw new Error(`${name} broke at ${key(row)}`)
        if (met === 'refuse') return { ok: false, error: 'refused' }
        act(row)
        applied()
        return met === 'lose' ? { ok: false, error: 'no answer' } : { ok: true }
      })
    return asynchronous() ? Promise.resolve().then(run) : run()
  }
  return {
    name,
    key,
    equal,
    load() {
      alive()
      return asynchronous() ? Promise.resolve([...store.values()]) : [...store.values()]
    },
    write: (rows) => perform(rows, (row) => store.set(key(row), row)),
    remove: (rows) => perform(rows, (row) => store.delete(key(row))),
  }
}
