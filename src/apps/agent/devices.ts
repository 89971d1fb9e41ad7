// SPDX-License-Identifier: Apache-2.0
import { watchDevices } from '../../edge/kernel/watch.ts'
import { errorText } from '../../edge/runtime/scope.ts'
import { devices } from '../../model/rows.ts'
import type { Database } from '../../table/database.ts'
import type { Log } from './log.ts'

/** Keeps the table of devices as the kernel has them. Returns what ends it. */
export function followDevices(db: Database, log: Log): () => void {
  const watch = watchDevices(
    ({ put, removed }) =>
      db.commit((tx) => {
        for (const row of put) tx.put(devices, row)
        for (const index of removed) tx.remove(devices, String(index))
      }),
    { failed: (e) => log('warning', `devices: ${errorText(e)}`) },
  )
  db.commit((tx) => {
    tx.replace(devices, watch.rows)
    tx.initialised(devices)
  })
  return () => watch.close()
}
