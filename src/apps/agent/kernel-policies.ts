// SPDX-License-Identifier: Apache-2.0
import type { Scope } from '../../base/scope.ts'
import { policyPlaces } from '../../derive/policy/decisions.ts'
import type { KernelPolicy, KernelTable, PolicyRow } from '../../model/datapath.ts'
import { kernelPolicies, kernelTables } from '../../model/rows.ts'
import type { Database } from '../../table/database.ts'
import type { Outcome, Target } from '../../table/target.ts'

/** A packet that is being judged may still look into a table that was exchanged a moment ago. */
const GRACE_MS = 100

/**
 * The target of policy numbers, which also keeps the tables that say what the kernel holds: a decision table stays in
 * its place while a policy number points at it, and a moment longer.
 */
export function trackedPolicies(target: Target<PolicyRow>, db: Database, scope: Scope): Target<PolicyRow> {
  let held = new Map(db.all(kernelPolicies).map((p) => [p.policy, p]))

  const done = (rows: readonly PolicyRow[], outcomes: readonly Outcome[], removed: boolean) => {
    const before = tablesOf(held)
    const next = new Map(held)
    const good = rows.filter((_, i) => outcomes[i]?.ok)
    for (const { policy, ingress, egress } of good)
      if (removed) next.delete(policy)
      else next.set(policy, { policy, ingress, egress })
    held = next
    const after = tablesOf(held)
    db.commit((tx) => {
      for (const { policy } of good) {
        const there = held.get(policy)
        if (there) tx.put(kernelPolicies, there)
        else tx.remove(kernelPolicies, String(policy))
      }
      for (const table of after) {
        const place = before.has(table) ? undefined : placeOf(db, table)
        if (place) tx.put(kernelTables, place)
      }
    })
    const free = [...before].filter((table) => !after.has(table))
    if (free.length > 0)
      scope.after('release of decision tables', GRACE_MS, () => {
        const used = tablesOf(held)
        db.commit((tx) => {
          for (const table of free) if (!used.has(table)) tx.remove(kernelTables, String(table))
        })
      })
  }

  return {
    ...target,
    write(rows) {
      const outcomes = target.write(rows) as readonly Outcome[]
      done(rows, outcomes, false)
      return outcomes
    },
    remove(rows) {
      const outcomes = target.remove(rows) as readonly Outcome[]
      done(rows, outcomes, true)
      return outcomes
    },
  }
}

const tablesOf = (policies: ReadonlyMap<number, KernelPolicy>): Set<number> => {
  const used = new Set([...policies.values()].flatMap((p) => [p.ingress, p.egress]))
  used.delete(0)
  return used
}

function placeOf(db: Database, table: number): KernelTable | undefined {
  const place = db.get(policyPlaces, String(table))
  if (place?.kind !== 'table') return undefined
  return { table, cells: place.cells, count: place.decision.cells.length, pages: Object.values(place.pages) }
}
