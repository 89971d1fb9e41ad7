// SPDX-License-Identifier: Apache-2.0
import { assert } from '../base/assert.ts'
import type { AnyTable } from './definition.ts'
import type { Gate, Plan } from './plan.ts'

/**
 * Order as data. `after: [a]`: a row is written once all writes of `a` up to the same revision are outside; a row that
 * fails there holds everything up. With `needs`, a row waits only for the rows of `a` with those keys.
 * Removals run the other way: `a` removes when those after it have caught up.
 */
export type After<Row> = AnyTable | { readonly table: AnyTable; readonly needs: (row: Row) => readonly string[] }

/** One reconciler within the order. The sets are closed: order holds through tables that have nothing to do. */
export interface Place<Row> {
  readonly table: AnyTable
  readonly plan: Plan<Row>
  /** Whose writes come first, as a whole. */
  readonly earlier: ReadonlySet<Place<unknown>>
  /** Whose changes of every kind come before a removal here. */
  readonly later: Set<Place<unknown>>
  readonly needs: readonly { readonly place: Place<unknown>; readonly keys: (row: Row) => readonly string[] }[]
}

/** Puts a plan behind the ones it names, which must be there already; so there can be no cycle. */
export function placeAfter<Row>(
  places: ReadonlyMap<AnyTable, Place<unknown>>,
  table: AnyTable,
  plan: Plan<Row>,
  after: readonly After<Row>[],
): Place<Row> {
  const earlier = new Set<Place<unknown>>()
  const needs: { place: Place<unknown>; keys: (row: Row) => readonly string[] }[] = []
  const place: Place<Row> = { table, plan, earlier, later: new Set(), needs }
  for (const entry of after) {
    const named = 'needs' in entry ? entry.table : entry
    const found = places.get(named)
    assert(found, () => `${table.name} comes after ${named.name}, which has no reconciler yet`)
    if ('needs' in entry) needs.push({ place: found, keys: entry.needs })
    else for (const other of [found, ...found.earlier]) earlier.add(other)
    for (const other of places.values()) {
      if (other === found || other.later.has(found)) other.later.add(place as Place<unknown>)
    }
  }
  return place
}

/** What the other reconcilers allow this one at the moment. */
export function gateOf<Row>(place: Place<Row>): Gate<Row> {
  let writesUpTo = Number.POSITIVE_INFINITY
  let removalsUpTo = Number.POSITIVE_INFINITY
  for (const { plan } of place.earlier) writesUpTo = Math.min(writesUpTo, plan.realisedWrites())
  for (const { plan } of place.later) removalsUpTo = Math.min(removalsUpTo, plan.released())
  const ready = (row: Row) => place.needs.every(({ place, keys }) => !keys(row).some((key) => place.plan.owes(key)))
  return { writesUpTo, removalsUpTo, ready }
}

/** Names of the tables that are behind `revision` and hold this one up. */
export function heldUpBy<Row>(place: Place<Row>, revision: number): readonly string[] {
  const behind = [
    ...[...place.earlier].filter(({ plan }) => plan.realisedWrites() < revision),
    ...[...place.later].filter(({ plan }) => plan.released() < revision),
  ]
  return behind.map(({ table }) => table.name)
}
