// SPDX-License-Identifier: Apache-2.0
import { ownerRows } from '../../derive/addresses/tables.ts'
import { cidrIdentities } from '../../derive/policy/cidrs.ts'
import { nameIdentities } from '../../derive/policy/names.ts'
import { wantedListeners } from '../../derive/proxy/tables.ts'
import { meansServer } from '../../derive/proxy/tls.ts'
import type { DnsRecord } from '../../edge/dns/messages.ts'
import type { AccessEntry, AccessSink, ConnectionEntry } from '../../edge/envoy/access.ts'
import { ownerFlag } from '../../model/datapath.ts'
import { reserved, reservedIdentities } from '../../model/identity.ts'
import { AUDITED } from '../../model/proxy.ts'
import { ciliumIdentities, settings } from '../../model/rows.ts'
import type { Database } from '../../table/database.ts'

/** Requests as Envoy and the DNS proxy tell of them, for whoever listens. */
export interface RequestLog extends AccessSink {
  takeNames(records: readonly DnsRecord[]): void
  listen(listener: (request: RequestEvent) => void): () => void
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

/** One connection that was asked for the name of the server it speaks TLS to. */
export interface TlsEvent {
  readonly kind: 'request'
  readonly verdict: 'forwarded' | 'denied'
  readonly side: 'ingress' | 'egress' | 'both'
  readonly source: Party
  readonly destination: Party
  readonly tls: {
    /** '' when there was none. */
    readonly serverName: string
  }
  /** The rules that mean the name; of a refused connection all that did not. */
  readonly rules: readonly string[]
  /** Milliseconds since the epoch. */
  readonly time: number
}

export type RequestEvent = HttpEvent | TlsEvent | DnsEvent

/** A question to a name server, or its answer, which goes the other way. */
export interface DnsEvent {
  readonly kind: 'request' | 'response'
  /** 'audit': it passes only because a policy is audited. */
  readonly verdict: 'forwarded' | 'audit' | 'denied' | 'error'
  readonly side: 'egress'
  readonly source: Party
  readonly destination: Party
  readonly dns: {
    readonly protocol: 'UDP' | 'TCP'
    /** As it was spelled. */
    readonly query: string
    readonly qtype: string
    /** Of a response, and of what the proxy answered itself. */
    readonly rcode: number
    readonly ips: readonly string[]
    readonly cnames: readonly string[]
    /** Seconds. */
    readonly ttl: number
    /** Milliseconds. */
    readonly latency: number
  }
  /** The rules that allow the name; of a refused or audited question all that do not. */
  readonly rules: readonly string[]
  /** Milliseconds since the epoch. */
  readonly time: number
}

const queryTypes: Readonly<Record<number, string>> = {
  ...{ 1: 'A', 2: 'NS', 5: 'CNAME', 6: 'SOA', 12: 'PTR', 15: 'MX', 16: 'TXT', 28: 'AAAA', 33: 'SRV', 35: 'NAPTR' },
  ...{ 43: 'DS', 48: 'DNSKEY', 64: 'SVCB', 65: 'HTTPS', 251: 'IXFR', 252: 'AXFR', 255: 'ANY', 257: 'CAA' },
}

/** Identity of an end of the connection between two, as policy judged it; 0 where nobody remembers it. */
export type JudgedAs = (end: Place, other: Place, protocol: 'TCP' | 'UDP') => number

interface Place {
  readonly address: string
  readonly port: number
}

export function requestLog(db: Database, judgedAs: JudgedAs = () => 0): RequestLog {
  const listeners = new Set<(request: RequestEvent) => void>()
  const watchers: ((wanted: boolean) => void)[] = []

  function worldOf(address: string): number {
    const config = db.get(settings, 'settings')
    if (!config?.enableIpv4 || !config.enableIpv6) return reserved.world
    return address.includes(':') ? reserved['world-ipv6'] : reserved['world-ipv4']
  }

  function party(of: Place, other: Place, protocol: 'TCP' | 'UDP' = 'TCP'): Party {
    const { address, port } = of
    const owner = db.get(ownerRows, address)
    // Prefixes have identities too, and a node may have asked for a client beyond it.
    const told = owner && (owner.flags & ownerFlag.node) === 0 ? 0 : judgedAs(of, other, protocol)
    const identity = told || (owner?.identity ?? worldOf(address))
    const known =
      db.get(ciliumIdentities, String(identity))?.labels ??
      reservedIdentities.find((i) => i.number === identity)?.labels ??
      db.by(cidrIdentities, 'number', String(identity))[0]?.labels ??
      db.by(nameIdentities, 'number', String(identity))[0]?.labels ??
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
      source: party(entry.source, entry.destination),
      destination: party(entry.destination, entry.source),
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

  function connectionEventOf({
    listener: name,
    refused,
    serverName,
    source,
    destination,
    time,
  }: ConnectionEntry): TlsEvent {
    const listener = db.by(wantedListeners, 'name', name)[0]
    const rules = (listener?.rules.flat() ?? []).filter(
      ({ layer7 }) =>
        refused || (layer7.kind === 'http' && layer7.tls?.serverNames.some((p) => meansServer(p, serverName))),
    )
    return {
      ...{ kind: 'request', verdict: refused ? 'denied' : 'forwarded', side: listener?.side ?? 'ingress' },
      ...{ source: party(source, destination), destination: party(destination, source) },
      ...{ tls: { serverName }, time },
      rules: [...new Set(rules.map((r) => r.rule))],
    }
  }

  function nameEventOf(record: DnsRecord): DnsEvent {
    const { kind, verdict, client, server, name, type, protocol, rcode, addresses, aliases, ttl, latency, time } =
      record
    const [asks, answers] = [party(client, server, protocol), party(server, client, protocol)]
    const ends = kind === 'request' ? [asks, answers] : [answers, asks]
    const all = db.by(wantedListeners, 'name', record.listener)[0]?.rules.flat() ?? []
    const isRule = (rule: string) => rule !== AUDITED
    const audited = verdict === 'forwarded' && record.rules.length > 0 && !record.rules.some(isRule)
    return {
      ...{
        kind,
        verdict: audited ? 'audit' : verdict,
        side: 'egress',
        source: ends[0] as Party,
        destination: ends[1] as Party,
        time,
      },
      dns: {
        ...{ protocol, query: `${name}.`, qtype: queryTypes[type] ?? `TYPE${type}`, rcode },
        ...{ ips: addresses, cnames: aliases, ttl, latency },
      },
      rules:
        verdict === 'denied' || audited
          ? [...new Set(all.map((r) => r.rule))].filter(isRule)
          : record.rules.filter(isRule),
    }
  }

  return {
    takeNames(records) {
      for (const record of records) {
        const event = nameEventOf(record)
        for (const tell of listeners) tell(event)
      }
    },
    takeConnections(entries) {
      for (const entry of entries) {
        const event = connectionEventOf(entry)
        for (const tell of listeners) tell(event)
      }
    },
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
