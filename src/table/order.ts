// SPDX-License-Identifier: Apache-2.0
import { assert } from '../base/assert.ts'
import type { AnyTable } from './definition.ts'
import type { References } from './outside.ts'
import type { Gate, Plan } from './plan.ts'

/**
 * Order as data. `after: [a]`: a row is written once all writes of `a` up to the same revision are outside, so a row that
 * fails there holds everything up; `a` removes rows once those after it have caught up.
 * With `needs`, the order is exact: a row waits for the rows of `a` it names, and `a` keeps a row while one outside, old
 * or new, names it. Nothing else waits.
 */
export type After<Row> = AnyTable | { readonly table: AnyTable; readonly needs: References<Row> }

/** One reconciler within the order. The sets are closed: order holds through tables that have nothing to do. */
export interface Place<Row> {
  readonly table: AnyTable
  readonly plan: Plan<Row>
  /** Whose writes come first, as a whole. */
  readonly earlier: ReadonlySet<Place<unknown>>
  /** Whose changes of every kind come before a removal here. */
  readonly later: Set<Place<unknown>>
  readonly needs: readonly { readonly place: Place<unknown>; readonly keys: References<Row> }[]
  /** Who needs rows of this one, and the number of that reference in their plan. */
  readonly neededBy: { readonly place: Place<unknown>; readonly reference: number }[]
}

/** What the plan of a table is to know of the order. */
export const referencesIn = <Row>(after: readonly After<Row>[]): readonly References<Row>[] =>
  after.flatMap((entry) => ('needs' in entry ? [entry.needs] : []))

/** Puts a plan behind the ones it names, which must be there already; so there can be no cycle. */
export function placeAfter<Row>(
  places: ReadonlyMap<AnyTable, Place<unknown>>,
  table: AnyTable,
  plan: Plan<Row>,
  after: readonly After<Row>[],
): Place<Row> {
  const earlier = new Set<Place<unknown>>()
  const needs: { place: Place<unknown>; keys: References<Row> }[] = []
  const place: Place<Row> = { table, plan, earlier, later: new Set(), needs, neededBy: [] }
  for (const entry of after) {
    const named = 'needs' in entry ? entry.table : entry
    const found = places.get(named)
    assert(found, () => `${table.name} comes after ${named.name}, which has no reconciler yet`)
    if ('needs' in entry) {
      found.neededBy.push({ place: place as Place<unknown>, reference: needs.length })
      needs.push({ place: found, keys: entry.needs })
      continue
    }
    for (const other of [found, ...found.earlier]) {
      earlier.add(other)
      other.later.add(place as Place<unknown>)
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
  return {
    writesUpTo,
    removalsUpTo,
    ready: (row) => place.needs.every(({ place, keys }) => !keys(row).some((key) => place.plan.owes(key))),
    unused: (key) => !place.neededBy.some(({ place: { plan }, reference }) => plan.refers(reference, key)),
  }
}

/** Names of the tables that are behind `revision` and hold this one up. */
export function heldUpBy<Row>(place: Place<Row>, revision: number): readonly string[] {
  const behind = [
    ...[...place.earlier, ...place.needs.map(({ place }) => place)].filter(
      ({ plan }) => plan.realisedWrites() < revision,
    ),
    ...[...place.later, ...place.neededBy.map(({ place }) => place)].filter(({ plan }) => plan.released() < revision),
  ]
  return [...new Set(behind.map(({ table }) => table.name))]
}
