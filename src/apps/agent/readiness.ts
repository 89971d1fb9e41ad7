// SPDX-License-Identifier: Apache-2.0
import type { Reconciliation } from '../../edge/runtime/reconcile.ts'
import type { Database } from '../../table/database.ts'
import { loadedPrograms } from './datapath.ts'
import { nodeFacts } from './node-facts.ts'
import { policyTables } from './wire.ts'

/** Why pods can not be started at present; '' if they can. `withKube` false: leaving out what Kubernetes has yet to say. */
export type NotReady = (withKube?: boolean) => string

export function readiness(db: Database, targets: Reconciliation): NotReady {
  return (withKube = true) => {
    if (!db.get(nodeFacts, 'node')) return withKube ? 'this node has no address or no pod prefix yet' : ''
    if (!db.get(loadedPrograms, 'programs')) {
      const config = targets.statuses().find((s) => s.table === 'datapathConfig')
      return config?.waitsFor.join() || 'the programs are not loaded'
    }
    const complete = policyTables.every((t) => db.isInitialised(t))
    return complete || !withKube ? '' : 'not all objects have been read from Kubernetes yet'
  }
}

/** Acts once, at the first moment at which pods can be started. */
export function whenReady(db: Database, notReady: NotReady, act: () => void): void {
  let done = false
  const look = (): void => {
    if (done || notReady() !== '') return
    done = true
    stop()
    act()
  }
  const stop = db.listen(look)
  look()
}
