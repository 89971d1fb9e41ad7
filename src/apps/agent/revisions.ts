// SPDX-License-Identifier: Apache-2.0

import type { Reconciliation } from '../../edge/runtime/reconcile.ts'
import type { Database } from '../../table/database.ts'
import { policyObjects } from './policies.ts'
import { policyTables } from './wire.ts'

/** Policy revisions as clients count them: one for each change of a policy object, and up to which the kernel enforces. */
export interface Revisions {
  current(): number
  realised(): number
}

export function countRevisions(db: Database, targets: Reconciliation): Revisions {
  const cursors = policyObjects.map((t) => db.cursor(t))
  let current = 1
  let realised = 1
  /** Revisions under way, with the database's own revision that must be outside for them. */
  let waiting: { readonly at: number; readonly revision: number }[] = []
  const look = () => {
    const changes = cursors.reduce((sum, cursor) => sum + cursor.next().length, 0)
    if (changes > 0) {
      current += changes
      waiting.push({ at: db.revision, revision: current })
    }
    if (waiting.length === 0) return
    const outside = targets.realised(policyTables)
    const done = waiting.filter((w) => w.at <= outside)
    if (done.length === 0) return
    realised = done.at(-1)!.revision
    waiting = waiting.filter((w) => w.at > outside)
  }
  db.listen(look)
  return {
    current: () => {
      look()
      return current
    },
    realised: () => {
      look()
      return realised
    },
  }
}
