// SPDX-License-Identifier: Apache-2.0
import type { Said } from './evaluate.ts'
import { peerKey, rangesText } from './keys.ts'
import type { Entry, Program } from './program.ts'
import type { Peer, PortName, PortRange } from './rule.ts'

/** What compiling needs to know of the world. The same list means the same members as before. */
export interface Known {
  /** Identities a peer means, ascending. */
  identities(peer: Peer, key?: string): readonly number[]
  /** Every identity there is, ascending; asked only when a denial names its peers. */
  all(): readonly number[]
  /** Who has a port of that name, and where. */
  named(
    name: PortName,
  ): readonly { readonly identity: number; readonly space: PortRange['space']; readonly port: number }[]
  ruleNumber(rule: string): number
  /** Prefixes of Cilium's rules mean pods too. */
  readonly cidrsMeanPods?: boolean
}

/** An entry whose names of ports are resolved: only these identities, if given. */
export interface Resolved {
  readonly entry: Entry
  readonly ports: Entry['ports']
  readonly only?: ReadonlySet<number>
}

/** All that a decision follows from; nothing else is asked of the world. */
export interface Asked {
  readonly entries: readonly Resolved[]
  /** Equal texts resolve equally. */
  readonly names: string
  readonly said: readonly Said[]
  readonly otherwiseRule: number
  /** For each entry that names its peers the members of each peer. */
  readonly lists: readonly (readonly (readonly number[])[])[]
}

/** Entries of a program that names no port: they resolve to the same for ever. */
const plainEntries = new WeakMap<Program, readonly Resolved[]>()

function entriesOf(program: Program, known: Known): readonly Resolved[] {
  const plain = plainEntries.get(program)
  if (plain) return plain
  const entries = program.entries.flatMap((e) => resolve(e, known))
  if (program.entries.every((e) => e.names.length === 0)) plainEntries.set(program, entries)
  return entries
}

export function ask(program: Program, known: Known, before: Asked | undefined): Asked {
  const entries = entriesOf(program, known)
  const saysTheSame = before?.entries === entries && before.said.every((s) => s.rule === known.ruleNumber(s.entry.rule))
  const asks = entries.some((e) => e.entry.layer7 !== undefined)
  return {
    entries,
    names: entries
      .filter((e) => e.only)
      .map((e) => `${e.entry.rule} ${JSON.stringify(e.ports)} ${[...(e.only ?? [])].join()}`)
      .join(';'),
    said: saysTheSame
      ? before.said
      : entries.map((e) => ({
          entry: e.entry,
          rule: known.ruleNumber(e.entry.rule),
          scope: asks && (e.entry.layer7 !== undefined || e.entry.action === 'allow') ? scopeOf(e) : '',
        })),
    otherwiseRule: program.otherwiseRule === '' ? 0 : known.ruleNumber(program.otherwiseRule),
    lists: listsOf(entries, known, before?.entries === entries ? before.lists : []),
  }
}

const nobody: readonly never[] = []

/** Those of before where nothing has changed: what lives on is no work for the collector of garbage. */
function listsOf(entries: readonly Resolved[], known: Known, before: Asked['lists']): Asked['lists'] {
  return entries.map(({ entry: { peers }, entry }, i) => {
    if (peers === 'all') return nobody
    const there = before[i]
    const keys = keysOf(entry, peers)
    let changed: (readonly number[])[] | undefined
    for (const [k, peer] of peers.entries()) {
      const list = known.identities(peer, keys[k])
      if (there?.[k] === list) continue
      changed ??= there ? [...there] : []
      changed[k] = list
    }
    return changed ?? there ?? nobody
  })
}

const keysIn = new WeakMap<Entry, readonly string[]>()
function keysOf(entry: Entry, peers: Entry['peers']): readonly string[] {
  let keys = keysIn.get(entry)
  if (!keys) keysIn.set(entry, (keys = peers === 'all' ? [] : peers.map(peerKey)))
  return keys
}

export const sameFrame = (a: Asked, b: Asked): boolean =>
  a.names === b.names &&
  a.otherwiseRule === b.otherwiseRule &&
  a.entries.length === b.entries.length &&
  (a.said === b.said || a.said.every((s, i) => s.rule === b.said[i]?.rule && s.scope === b.said[i]?.scope))

/** Who may come by a rule to which ports; a connection that it let in stays within. */
function scopeOf({ entry, ports }: Resolved): string {
  const who = entry.peers === 'all' ? 'all' : entry.peers.map(peerKey).join(' or ')
  const where = ports === 'all' ? 'all' : rangesText(ports)
  return `${entry.rule} ${where} ${who}`
}

export const isWildcard = (e: Resolved): boolean => e.entry.peers === 'all' && e.only === undefined

function resolve(entry: Entry, known: Known): readonly Resolved[] {
  const out: Resolved[] = []
  if (entry.ports === 'all' || entry.ports.length > 0) out.push({ entry, ports: entry.ports })
  for (const name of entry.names) {
    const where = new Map<string, { readonly range: PortRange; readonly who: Set<number> }>()
    for (const { identity, space, port } of known.named(name)) {
      const key = `${space} ${port}`
      const there = where.get(key)
      if (there) there.who.add(identity)
      else where.set(key, { range: { space, first: port, last: port }, who: new Set([identity]) })
    }
    for (const key of [...where.keys()].sort()) {
      const { range, who } = where.get(key) as { range: PortRange; who: Set<number> }
      out.push({ entry, ports: [range], only: who })
    }
  }
  return out
}
