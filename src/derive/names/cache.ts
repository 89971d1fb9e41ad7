// SPDX-License-Identifier: Apache-2.0
import type { LearntAddress } from '../../model/names.ts'

/** How much is known, and how long. Times are seconds. */
export interface NameLimits {
  /** No answer is known for less. */
  readonly minTtl: number
  /** Addresses for one name and endpoint; what expires first makes room. */
  readonly maxAddresses: number
  /** Addresses of one endpoint that are kept after they expired. */
  readonly maxKept: number
  /** So long is kept what no connection uses any more. */
  readonly idleGrace: number
}

/** What a pod was told: addresses of a name, each with its time to live in seconds. */
export interface Answer {
  /** Attachment of the endpoint; '' for nobody's. */
  readonly endpoint: string
  /** Normal. */
  readonly name: string
  readonly addresses: readonly { readonly address: string; readonly ttl: number }[]
}

/** An address that an endpoint knows by a name. Times are seconds since the epoch. */
export interface NameEntry {
  readonly endpoint: string
  readonly name: string
  readonly address: string
  readonly ttl: number
  readonly seen: number
  readonly expires: number
  /** Expired, and kept for connections: since when none was seen, or when the first look is due; absent before. */
  readonly idleSince?: number
}

/** What is known; methods that change it say of which addresses the names changed. */
export interface NameCache {
  readonly limits: NameLimits
  /** `extended`: some address is known so much longer that it is worth keeping. */
  learn(answer: Answer, now: number): { readonly changed: readonly string[]; readonly extended: boolean }
  /** Forgets what has expired and is used by no connection. What expired since the last time is always kept until the next. */
  collect(now: number, connected: (address: string) => boolean): Collected
  /** Addresses that are of interest to the next `collect`. */
  expired(now: number): readonly string[]
  /** All of an endpoint that is gone. */
  forget(endpoint: string): readonly string[]
  /** What the condition names, whether it has expired or not. */
  clean(condition: (entry: NameEntry) => boolean): Collected
  restore(entries: Iterable<NameEntry>): readonly string[]
  /** The row for an address; undefined when nobody knows it. */
  row(address: string): LearntAddress | undefined
  entries(): IterableIterator<NameEntry>
  /** How many addresses an endpoint knows, each once for every name. */
  countOf(endpoint: string): number
  readonly size: number
}

export interface Collected {
  readonly changed: readonly string[]
  readonly deleted: number
}

/** Seconds that a collection leaves at least to what has expired. */
const MUCH = 60

type OfName = Map<string, NameEntry>

export function openNameCache(limits: NameLimits): NameCache {
  /** endpoint, name, address */
  const known = new Map<string, Map<string, OfName>>()
  /** For each address how many endpoints know it by each name. */
  const names = new Map<string, Map<string, number>>()
  const rows = new Map<string, LearntAddress>()
  const counted = new Map<string, number>()
  let size = 0

  function put(of: OfName, entry: NameEntry, changed: Set<string>): void {
    if (!of.has(entry.address)) {
      size++
      counted.set(entry.endpoint, (counted.get(entry.endpoint) ?? 0) + 1)
      const counts = names.get(entry.address) ?? new Map<string, number>()
      names.set(entry.address, counts)
      const count = counts.get(entry.name) ?? 0
      counts.set(entry.name, count + 1)
      if (count === 0) {
        rows.delete(entry.address)
        changed.add(entry.address)
      }
    }
    of.set(entry.address, entry)
  }

  function drop({ endpoint, name, address }: NameEntry, changed: Set<string>): void {
    const ofEndpoint = known.get(endpoint)
    const of = ofEndpoint?.get(name)
    if (!ofEndpoint || !of?.delete(address)) return
    size--
    const left = (counted.get(endpoint) ?? 0) - 1
    if (left > 0) counted.set(endpoint, left)
    else counted.delete(endpoint)
    if (of.size === 0) ofEndpoint.delete(name)
    if (ofEndpoint.size === 0) known.delete(endpoint)
    const counts = names.get(address) as Map<string, number>
    const count = (counts.get(name) as number) - 1
    if (count > 0) counts.set(name, count)
    else {
      counts.delete(name)
      if (counts.size === 0) names.delete(address)
      rows.delete(address)
      changed.add(address)
    }
  }

  function ofName(endpoint: string, name: string): OfName {
    let ofEndpoint = known.get(endpoint)
    if (!ofEndpoint) known.set(endpoint, (ofEndpoint = new Map()))
    let of = ofEndpoint.get(name)
    if (!of) ofEndpoint.set(name, (of = new Map()))
    return of
  }

  /** What expires first counts as expired now; connections may keep it. */
  function makeRoom(of: OfName, now: number): void {
    const fresh = [...of.values()].filter((e) => e.expires > now)
    if (fresh.length <= limits.maxAddresses) return
    fresh.sort((a, b) => a.expires - b.expires)
    for (const e of fresh.slice(0, fresh.length - limits.maxAddresses)) of.set(e.address, { ...e, expires: now })
  }

  function* entries(): IterableIterator<NameEntry> {
    for (const ofEndpoint of known.values()) for (const of of ofEndpoint.values()) yield* of.values()
  }

  return {
    limits,
    learn({ endpoint, name, addresses }, now) {
      const changed = new Set<string>()
      let extended = false
      if (addresses.length === 0) return { changed: [], extended }
      const of = ofName(endpoint, name)
      for (const { address, ttl } of addresses) {
        const before = of.get(address)?.expires ?? 0
        const expires = Math.max(now + Math.max(ttl, limits.minTtl), before)
        if (expires - before >= MUCH) extended = true
        put(of, { endpoint, name, address, ttl, seen: now, expires }, changed)
      }
      if (of.size > limits.maxAddresses) makeRoom(of, now)
      return { changed: [...changed], extended }
    },
    collect(now, connected) {
      const changed = new Set<string>()
      let deleted = 0
      const kept = new Map<string, NameEntry[]>()
      const gone: NameEntry[] = []
      for (const e of entries()) {
        if (e.expires > now) continue
        const used = e.idleSince === undefined || connected(e.address)
        if (!used && now - (e.idleSince ?? now) >= limits.idleGrace) gone.push(e)
        else {
          const now_ = used ? { ...e, idleSince: now } : e
          if (used) known.get(e.endpoint)?.get(e.name)?.set(e.address, now_)
          const list = kept.get(e.endpoint)
          if (list) list.push(now_)
          else kept.set(e.endpoint, [now_])
        }
      }
      for (const list of kept.values())
        if (list.length > limits.maxKept)
          gone.push(...list.sort((a, b) => a.expires - b.expires).slice(0, list.length - limits.maxKept))
      for (const e of gone) {
        drop(e, changed)
        deleted++
      }
      return { changed: [...changed], deleted }
    },
    expired(now) {
      const out = new Set<string>()
      for (const ofEndpoint of known.values())
        for (const of of ofEndpoint.values()) for (const e of of.values()) if (e.expires <= now) out.add(e.address)
      return [...out]
    },
    forget(endpoint) {
      const changed = new Set<string>()
      for (const of of [...(known.get(endpoint)?.values() ?? [])]) for (const e of [...of.values()]) drop(e, changed)
      return [...changed]
    },
    clean(condition) {
      const changed = new Set<string>()
      const found = [...entries()].filter(condition)
      for (const e of found) drop(e, changed)
      return { changed: [...changed], deleted: found.length }
    },
    restore(all) {
      const changed = new Set<string>()
      for (const e of all) {
        const of = ofName(e.endpoint, e.name)
        const before = of.get(e.address)
        if (!before || before.expires <= e.expires) put(of, e, changed)
      }
      return [...changed]
    },
    row(address) {
      const of = names.get(address)
      if (!of) return undefined
      let row = rows.get(address)
      if (!row) rows.set(address, (row = { address, names: [...of.keys()].sort() }))
      return row
    },
    entries,
    countOf: (endpoint) => counted.get(endpoint) ?? 0,
    get size() {
      return size
    },
  }
}
