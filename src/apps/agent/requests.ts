// SPDX-License-Identifier: Apache-2.0
import { wantedListeners } from '../../derive/proxy/tables.ts'
import type { AccessEntry } from '../../edge/envoy/access.ts'
import type { Database } from '../../table/database.ts'

/** Requests as Envoy tells of them, for whoever listens. */
export interface RequestLog {
  take(entries: readonly AccessEntry[]): void
  listen(listener: (request: Request) => void): () => void
  readonly passed: number
  readonly refused: number
}

/** One request with what decided it. */
export interface Request extends AccessEntry {
  readonly side: 'ingress' | 'egress' | 'both'
  readonly denied: boolean
  /** Rules that let it pass, or all that did not. */
  readonly rules: readonly string[]
}

export function requestLog(db: Database): RequestLog {
  const listeners = new Set<(request: Request) => void>()
  let passed = 0
  let refused = 0
  return {
    take(entries) {
      for (const entry of entries) {
        const denied = entry.status === 403 && entry.details === 'direct_response'
        if (denied) refused++
        else passed++
        if (listeners.size === 0) continue
        const listener = db.by(wantedListeners, 'name', entry.listener)[0]
        const rules = denied
          ? [...new Set(listener?.rules.flat().map((r) => r.rule) ?? [])]
          : entry.route.split(' & ').filter((r) => r !== '')
        for (const tell of listeners) tell({ ...entry, denied, rules, side: listener?.side ?? 'ingress' })
      }
    },
    listen(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
    get passed() {
      return passed
    },
    get refused() {
      return refused
    },
  }
}
