// SPDX-License-Identifier: Apache-2.0
import { endpointStatus } from '../../derive/status/tables.ts'
import type { Database } from '../../table/database.ts'

export interface LogEntry {
  readonly timestamp: string
  readonly code: 'OK' | 'Warning' | 'Failure'
  readonly state: string
  readonly message: string
}

const KEPT = 32

/** The last states of each endpoint, newest first. */
export function endpointLog(db: Database): (attachment: string) => readonly LogEntry[] {
  const logs = new Map<string, LogEntry[]>()
  const cursor = db.cursor(endpointStatus)
  const take = () => {
    for (const { key, before, after } of cursor.next()) {
      if (!after) logs.delete(key)
      else if (before?.state !== after.state || before.reason !== after.reason) {
        const code = after.state === 'invalid' ? 'Failure' : 'OK'
        const entry = {
          timestamp: new Date().toISOString(),
          code,
          state: after.state,
          message: after.reason || 'all is in the kernel',
        } as const
        logs.set(key, [entry, ...(logs.get(key) ?? [])].slice(0, KEPT))
      }
    }
  }
  db.listen(take)
  take()
  return (attachment) => logs.get(attachment) ?? []
}
