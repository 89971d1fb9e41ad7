// SPDX-License-Identifier: Apache-2.0
import { address, isIpv4, prefixOf, printPrefix } from '../../base/ip.ts'
import { type Identity, nameNumbers } from '../../model/identity.ts'
import { type LabelSet, labelSet } from '../../model/labels.ts'
import { anchorOf, type DnsRule, endsOf, type LearntAddress, matchesName, nameRule } from '../../model/names.ts'
import { learntNames, settings } from '../../model/rows.ts'
import type { Settings } from '../../model/settings.ts'
import { allocate, deriveAll, deriveEach, type Read } from '../../table/definition.ts'
import { hash32, numbersByHash } from '../numbers.ts'
import { prefixWorld, wantedPrefixes } from './cidrs.ts'
import { peersInUse } from './programs.ts'

/** A rule of `toFQDNs` in force. */
export interface NameSelector {
  /** Text of the rule; what labels `fqdn:<text>` say. */
  readonly key: string
  readonly rule: DnsRule
}

export const nameSelectors = deriveAll<NameSelector>(
  'nameSelectors',
  [peersInUse],
  {
    key: (s) => s.key,
    indexes: { anchor: (s) => [anchorOf(s.rule)] },
    columns: [['SELECTOR', (s) => s.key]],
  },
  (read) => {
    const texts = new Set<string>()
    for (const { peer } of read.all(peersInUse))
      if (peer.kind === 'labels') for (const r of peer.requirements) if (r.source === 'fqdn') texts.add(r.key)
    return [...texts].map((key) => ({ key, rule: nameRule(key) }))
  },
)

/** Which rules in force mean a name. Patterns are found by the ends of names they mean, so their number costs nothing. */
export const selectorsOfName = (name: string, read: Pick<Read, 'by'>): readonly string[] =>
  endsOf(name)
    .flatMap((end) => read.by(nameSelectors, 'anchor', end))
    .filter((s) => matchesName(s.rule, name))
    .map((s) => s.key)

/** Lengths (of 128) of the prefixes that policies name, the longest first. */
export const prefixLengths = deriveAll<{ readonly lengths: readonly number[] }>(
  'prefixLengths',
  [wantedPrefixes],
  { key: () => 'lengths' },
  (read) => {
    const found = new Set<number>()
    for (const { prefix } of read.all(wantedPrefixes)) {
      const length = Number(prefix.slice(prefix.indexOf('/') + 1))
      found.add(prefix.includes(':') ? length : length + 96)
    }
    return [{ lengths: [...found].sort((a, b) => b - a) }]
  },
)

/** The longest prefix of a policy around an address; all of its family when there is none. */
function prefixAround(text: string, read: Read): string {
  const at = address(text)
  const ipv4 = isIpv4(at)
  for (const length of read.get(prefixLengths, 'lengths')?.lengths ?? []) {
    if (ipv4 && length < 96) break
    const around = printPrefix(prefixOf(at, length))
    if (read.get(wantedPrefixes, around)) return around
  }
  return ipv4 ? everything[4] : everything[6]
}

const everything = { 4: '0.0.0.0/0', 6: '::/0' } as const

/** An address that some rule of `toFQDNs` means. */
export interface NamedAddress {
  readonly address: string
  /** Prefix around it and the rules that mean it: those of one set have one identity. */
  readonly set: string
}

const shardCount = 1024
/** Addresses and prefixes in parts, so that one more makes only one part anew. */
export const addressShard = (text: string): string => String(hash32(text) % shardCount)
export const addressShards = deriveAll<string>('addressShards', [], { key: (s) => s }, () =>
  Array.from({ length: shardCount }, (_, i) => String(i)),
)

const setOf = (prefix: string, selectors: Iterable<string>): string => [prefix, ...[...selectors].sort()].join(' ')

export const namedAddresses = deriveEach<LearntAddress, NamedAddress>(
  'namedAddresses',
  learntNames,
  { key: (a) => a.address, indexes: { shard: (a) => [addressShard(a.address)] } },
  (learnt, read) => {
    const config = read.get(settings, 'settings')
    if (!config || !(learnt.address.includes(':') ? config.enableIpv6 : config.enableIpv4)) return []
    const selectors = new Set(learnt.names.flatMap((name) => selectorsOfName(name, read)))
    if (selectors.size === 0) return []
    return [{ address: learnt.address, set: setOf(prefixAround(learnt.address, read), selectors) }]
  },
)

interface NameSet {
  readonly set: string
}

export const nameSetShards = deriveEach<string, NameSet & { readonly shard: string }>(
  'nameSetShards',
  addressShards,
  { key: (s) => `${s.shard} ${s.set}` },
  (shard, read) =>
    [...new Set(read.by(namedAddresses, 'shard', shard).map((a) => a.set))].map((set) => ({ shard, set })),
)

/**
 * Sets that need an identity: those of addresses, and each rule by itself. So the decision tables know every rule before
 * its first address is learnt, and that costs one entry in the kernel.
 */
export const wantedNameSets = deriveAll<NameSet>(
  'wantedNameSets',
  [nameSetShards, nameSelectors, settings],
  { key: (s) => s.set },
  (read) => {
    const config = read.get(settings, 'settings')
    if (!config) return []
    const sets = new Set(read.all(nameSetShards).map((s) => s.set))
    for (const { key } of read.all(nameSelectors)) {
      if (config.enableIpv4) sets.add(setOf(everything[4], [key]))
      if (config.enableIpv6) sets.add(setOf(everything[6], [key]))
    }
    return [...sets].map((set) => ({ set }))
  },
)

/** Node-local identity of addresses that the same rules mean, by name and by prefix. */
export interface NameIdentity extends Identity {
  readonly set: string
  /** The longest prefix of a policy around its addresses: what rules for prefixes say holds for them too. */
  readonly prefix: string
  readonly selectors: readonly string[]
}

export const nameIdentities = allocate<NameSet, NameIdentity>(
  'nameIdentities',
  wantedNameSets,
  {
    key: (i) => i.set,
    indexes: { number: (i) => [String(i.number)], selector: (i) => i.selectors },
    columns: [
      ['ID', (i) => String(i.number)],
      ['LABELS', (i) => i.labels.join(' ')],
    ],
  },
  (wanted, held, read) => {
    const config = read.get(settings, 'settings')
    if (!config) return held
    const { first, last } = nameNumbers
    const numbers = numbersByHash(
      wanted.map((w) => w.set),
      new Map(held.map((h) => [h.set, h.number])),
      first,
      last,
    )
    return wanted.flatMap(({ set }) => {
      const number = numbers.get(set)
      const [prefix = '', ...selectors] = set.split(' ')
      return number === undefined
        ? []
        : [{ set, number, prefix, selectors, labels: labelsOf(prefix, selectors, config, read) }]
    })
  },
  [settings, wantedPrefixes],
)

function labelsOf(prefix: string, selectors: readonly string[], config: Settings, read: Read): LabelSet {
  const around = read.get(wantedPrefixes, prefix)?.labels ?? [prefixWorld(prefix, config)]
  return labelSet([...around, ...selectors.map((s) => `fqdn:${s}`)])
}
