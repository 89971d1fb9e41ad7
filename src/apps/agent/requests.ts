// SPDX-License-Identifier: Apache-2.0
import { ownerRows } from '../../derive/addresses/tables.ts'
import { wantedListeners } from '../../derive/proxy/tables.ts'
import type { AccessEntry, AccessSink } from '../../edge/envoy/access.ts'
import { reservedIdentities } from '../../model/identity.ts'
import { ciliumIdentities } from '../../model/rows.ts'
import type { Database } from '../../table/database.ts'

/** Requests as Envoy tells of them, for whoever listens. */
export interface RequestLog extends AccessSink {
  listen(listener: (request: HttpEvent) => void): () => void
  /** Calls with whether anybody listens, now and whenever that changes. */
  onWanted(told: (wanted: boolean) => void): void
}

interface Party {
  readonly address: string
  readonly port: number
  readonly identity: number
  readonly endpoint: number
  readonly labels: readonly string[]
}

/** One request with what decided it. */
export interface HttpEvent {
  readonly kind: 'request'
  readonly verdict: 'forwarded' | 'denied' | 'error'
  /** Whose rules were asked: of the receiving end, the sending one, or both. */
  readonly side: 'ingress' | 'egress' | 'both'
  readonly source: Party
  readonly destination: Party
  readonly http: {
    readonly method: string
    readonly url: string
    readonly protocol: string
    /** 0: there was no answer. */
    readonly code: number
    /** Milliseconds. */
    readonly latency: number
  }
  /** The rules that let it pass; of a refused one all that did not. */
  readonly rules: readonly string[]
  /** Milliseconds since the epoch. */
  readonly time: number
}

export function requestLog(db: Database): RequestLog {
  const listeners = new Set<(request: HttpEvent) => void>()
  const watchers: ((wanted: boolean) => void)[] = []

  function party({ address, port }: { readonly address: string; readonly port: number }): Party {
    const owner = db.get(ownerRows, address)
    const identity = owner?.identity ?? 2
    const known =
      db.get(ciliumIdentities, String(identity))?.labels ??
      reservedIdentities.find((i) => i.number === identity)?.labels ??
      []
    return { address, port, identity, endpoint: owner?.endpoint ?? 0, labels: known }
  }

  function eventOf(entry: AccessEntry, denied: boolean): HttpEvent {
    const listener = db.by(wantedListeners, 'name', entry.listener)[0]
    const all = [...new Set(listener?.rules.flat().map((r) => r.rule) ?? [])]
    return {
      kind: 'request',
      verdict: denied ? 'denied' : entry.status === 0 || entry.status === 503 ? 'error' : 'forwarded',
      side: listener?.side ?? 'ingress',
      source: party(entry.source),
      destination: party(entry.destination),
      http: {
        method: entry.method,
        url: `${entry.scheme}://${entry.authority}${entry.path}`,
        protocol: entry.protocol,
        code: entry.status,
        latency: Math.round(entry.duration * 1000) / 1000,
      },
      rules: denied ? all : entry.route.split(' & ').filter((r) => r !== ''),
      time: entry.time,
    }
  }

  return {
    take(entries) {
      for (const entry of entries) {
        const denied = entry.status === 403 && entry.details === 'direct_response'
        const event = eventOf(entry, denied)
        for (const tell of listeners) tell(event)
      }
    },
    listen(listener) {
      listeners.add(listener)
      if (listeners.size === 1) for (const told of watchers) told(true)
      return () => {
        if (listeners.delete(listener) && listeners.size === 0) for (const told of watchers) told(false)
      }
    },
    get wanted() {
      return listeners.size > 0
    },
    onWanted(told) {
      watchers.push(told)
      told(listeners.size > 0)
    },
  }
}
