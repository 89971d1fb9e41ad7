// SPDX-License-Identifier: Apache-2.0
import { appendFileSync, mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { setImmediate as turn } from 'node:timers/promises'
import { canonicalAddress } from '../../base/ip.ts'
import { ipcacheRows } from '../../derive/addresses/tables.ts'
import { endpoints } from '../../derive/endpoints/tables.ts'
import type { Answer, NameCache, NameEntry, NameLimits } from '../../derive/names/cache.ts'
import { policyClassRows } from '../../derive/policy/decisions.ts'
import { readIfThere, writeWhole } from '../../edge/disk/files.ts'
import type { Reconciliation } from '../../edge/runtime/reconcile.ts'
import { errorText } from '../../edge/runtime/scope.ts'
import { attachment } from '../../model/endpoint.ts'
import { addressPart, normalName } from '../../model/names.ts'
import type { OptionValues } from '../../model/options.ts'
import { endpointRequests, learntNames } from '../../model/rows.ts'
import type { Database } from '../../table/database.ts'
import type { AnyTable } from '../../table/definition.ts'
import type { Log } from './log.ts'
import { policyTables } from './wire.ts'

/** An answer as the DNS proxy saw it. */
export interface Learnt {
  /** Address of the pod that asked. */
  readonly client: string
  /** What it asked for. */
  readonly name: string
  /** Of the answer, found through its own chain of aliases; each with its time to live in seconds. */
  readonly addresses: readonly { readonly address: string; readonly ttl: number }[]
}

/** What one pod can make the node remember: an eighth of the kernel's map, so that it can not take the others' room. */
const MOST_OF_ENDPOINT = 65_536

/** The names this node's pods asked for. */
export interface Names {
  /**
   * Resolves once the kernel decides by what was learnt: at once when it does already. Rejects when there is no room for it,
   * in the kernel or for one pod. Answers that are learnt in one turn cost one commit.
   */
  learn(answer: Learnt): Promise<void>
  /** Forgets what a condition names; how many addresses it was. */
  clean(condition: (entry: NameEntry) => boolean): number
  /** Forgets what has expired and is not used: once a minute. Many addresses take several turns. */
  collect(): Promise<void>
  entries(): Iterable<NameEntry>
  readonly deleted: number
  /** Keeps what is known for the next agent. */
  close(): void
}

export interface NameHands {
  readonly db: Database
  readonly targets: Pick<Reconciliation, 'caughtUp' | 'status'>
  /** Which of some addresses a connection of a pod leads to. */
  readonly connected: (addresses: readonly string[]) => Promise<ReadonlySet<string>>
  readonly file: string
  /** Seconds since the epoch. */
  readonly now: () => number
  readonly log: Log
}

export const nameLimits = (o: OptionValues): NameLimits => ({
  minTtl: o['tofqdns-min-ttl'] as number,
  maxAddresses: o['tofqdns-endpoint-max-ip-per-hostname'] as number,
  maxKept: o['tofqdns-max-deferred-connection-deletes'] as number,
  idleGrace: o['tofqdns-idle-connection-grace-period'] as number,
})

/**
 * What an agent before learnt, and what is given to begin with; before policy is released, because the kernel may have
 * connections by these names. Names of endpoints that are gone are left out.
 */
export function restoreNames(cache: NameCache, db: Database, file: string, preCache: string, log: Log): void {
  cache.restore(readLog(file, log).filter((e) => e.endpoint === '' || db.get(endpointRequests, e.endpoint)))
  if (preCache !== '') cache.restore(readPreCache(preCache, log))
  const addresses = new Set([...cache.entries()].map((e) => e.address))
  db.commit((tx) => {
    tx.replace(
      learntNames,
      [...addresses].flatMap((a) => cache.row(a) ?? []),
    )
    tx.initialised(learntNames)
  })
}

export function openNames(cache: NameCache, { db, targets, connected, file, now, log }: NameHands): Names {
  let deleted = 0
  let stale = true
  /** Addresses whose rows are to be written in this turn, and what is to be kept of the answers that said so. */
  let changed = new Set<string>()
  let lines: string[] = []
  let pending: Promise<void> | undefined
  /** Commits of which the kernel does not have everything yet, by address. */
  const underWay = new Map<string, Promise<void>>()
  /** Tables that the commit of this turn changed, with what followed from it. */
  const touched = new Set<string>()
  const leaving = db.cursor(endpointRequests)
  leaving.next()

  db.listen((tables) => {
    for (const name of tables) touched.add(name)
    if (!tables.has(endpointRequests.name)) return
    const gone = leaving.next().flatMap((c) => (c.before && !c.after ? cache.forget(attachment(c.before)) : []))
    if (gone.length > 0) {
      stale = true
      put(gone)
    }
  })

  const put = (addresses: Iterable<string>): number =>
    db.commit((tx) => {
      for (const address of addresses) {
        const row = cache.row(address)
        if (row) tx.put(learntNames, row)
        else tx.remove(learntNames, address)
      }
    })

  /** The end of this turn. */
  function soon(): Promise<void> {
    return (pending ??= new Promise<void>((resolve, reject) => queueMicrotask(() => flush().then(resolve, reject))))
  }

  async function flush(): Promise<void> {
    const addresses = changed
    changed = new Set()
    pending = undefined
    try {
      mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
      appendFileSync(file, lines.join(''), { mode: 0o600 })
    } catch (e) {
      log('warning', `names are not kept over a restart: ${errorText(e)}`)
    }
    lines = []
    if (addresses.size === 0) return
    touched.clear()
    const revision = put(addresses)
    // Tables of policy change only when an address is meant by rules together that never met before.
    const tables: readonly AnyTable[] = policyTables.some((t) => touched.has(t.name))
      ? [...policyTables, ipcacheRows]
      : [policyClassRows, ipcacheRows]
    const failed = [...addresses].flatMap((a) => {
      const status = targets.status(ipcacheRows, `${a}/${a.includes(':') ? 128 : 32}`)
      return status?.kind === 'error' ? [`${a}: ${status.error}`] : []
    })
    if (failed.length > 0) throw new Error(failed.join('; '))
    await targets.caughtUp(revision, tables)
  }

  return {
    learn({ client, name, addresses }) {
      const endpoint = db.by(endpoints, 'address', client)[0]
      if (!endpoint) return Promise.resolve()
      const known = addresses.flatMap(({ address, ttl }) => {
        const canonical = canonicalAddress(address)
        return canonical === undefined ? [] : [{ address: canonical, ttl }]
      })
      const of = endpoint.attachment
      if (cache.countOf(of) + known.length > MOST_OF_ENDPOINT && !known.every((a) => cache.row(a.address)))
        return Promise.reject(new Error(`${client} knows ${cache.countOf(of)} addresses by names already`))
      const answer: Answer = { endpoint: endpoint.attachment, name: normalName(name), addresses: known }
      const { changed: news, extended } = cache.learn(answer, now())
      stale = true
      if (news.length > 0 || extended) lines.push(lineOf(answer, cache.limits.minTtl, now()))
      if (news.length === 0) {
        if (extended) soon()
        const waits = known.flatMap((a) => underWay.get(a.address) ?? [])
        return waits.length === 0 ? Promise.resolve() : Promise.all(waits).then(() => {})
      }
      for (const a of news) changed.add(a)
      const done = soon()
      for (const a of news) {
        underWay.set(a, done)
        const end = () => {
          if (underWay.get(a) === done) underWay.delete(a)
        }
        done.then(end, end)
      }
      return done
    },
    clean(condition) {
      const cleaned = cache.clean(condition)
      stale = true
      put(cleaned.changed)
      write()
      return cleaned.deleted
    },
    async collect() {
      const time = now()
      const expired = cache.expired(time)
      if (expired.length > 0) {
        const used = await connected(expired)
        const collected = cache.collect(time, (a) => used.has(a))
        deleted += collected.deleted
        stale = true
        // By parts, because a part is derived whole.
        const parts = Map.groupBy(collected.changed, addressPart)
        for (const addresses of parts.values()) {
          put(addresses)
          await turn()
        }
      }
      if (stale) write()
    },
    entries: () => cache.entries(),
    close: () => {
      if (stale) write()
    },
    get deleted() {
      return deleted
    },
  }

  /** The whole of what is known, instead of what was appended. */
  function write(): void {
    stale = false
    try {
      writeWhole(file, [...cache.entries()].map((e) => `${JSON.stringify(e)}\n`).join(''))
    } catch (e) {
      stale = true
      log('warning', `names are not kept over a restart: ${errorText(e)}`)
    }
  }
}

const lineOf = ({ endpoint, name, addresses }: Answer, minTtl: number, now: number): string =>
  addresses
    .map(
      ({ address, ttl }) =>
        `${JSON.stringify({ endpoint, name, address, ttl, seen: now, expires: now + Math.max(ttl, minTtl) })}\n`,
    )
    .join('')

/** A line that was cut off, or is none, is passed over. */
function readLog(file: string, log: Log): readonly NameEntry[] {
  let bad = 0
  const found = (readIfThere(file) ?? '').split('\n').flatMap((line): readonly NameEntry[] => {
    if (line === '') return []
    try {
      const e = JSON.parse(line) as NameEntry
      if (isEntry(e)) return [e]
    } catch {}
    bad++
    return []
  })
  if (bad > 0) log('warning', `${bad} lines of ${file} are no names`)
  return found
}

const isEntry = (e: NameEntry): boolean =>
  [e.endpoint, e.name, e.address].every((t) => typeof t === 'string') &&
  canonicalAddress(e.address) === e.address &&
  [e.ttl, e.seen, e.expires].every((n) => typeof n === 'number')

/** A list as `cilium-dbg fqdn cache list -o json` gives it. */
function readPreCache(path: string, log: Log): readonly NameEntry[] {
  try {
    const list = JSON.parse(readIfThere(path) ?? '[]') as readonly { readonly [field: string]: unknown }[]
    return list.flatMap((e) => {
      const seconds = (field: string) => Math.floor(Date.parse(String(e[field])) / 1000)
      const [seen, expires] = [seconds('lookup-time'), seconds('expiration-time')]
      return ((e['ips'] ?? []) as readonly string[]).flatMap((ip) => {
        const entry = {
          endpoint: '',
          name: normalName(String(e['fqdn'])),
          address: canonicalAddress(ip) ?? '',
          ttl: Number(e['ttl']),
          seen,
          expires,
        }
        return Number.isFinite(expires) && isEntry(entry) ? [entry] : []
      })
    })
  } catch (e) {
    log('warning', `tofqdns-pre-cache ${path} is passed over: ${errorText(e)}`)
    return []
  }
}
