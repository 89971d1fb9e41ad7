// SPDX-License-Identifier: Apache-2.0
import { address, prefix } from '../../base/ip.ts'
import { type Lpm, openLpm } from '../../base/lpm.ts'
import { type Identity, nameNumbers } from '../../model/identity.ts'
import { type LabelSet, labelSet } from '../../model/labels.ts'
import {
  addressPartCount,
  anchorOf,
  type DnsRule,
  endsOf,
  type LearntAddress,
  matchesName,
  nameRule,
} from '../../model/names.ts'
import { learntNames, settings } from '../../model/rows.ts'
import type { Settings } from '../../model/settings.ts'
import { allocate, deriveAll, deriveEach, type Read } from '../../table/definition.ts'
import { numbersByHash } from '../numbers.ts'
import { prefixWorld, type WantedPrefix, wantedPrefixes } from './cidrs.ts'
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
    columns: [['SELECTOR', (s) => s.key]],
  },
  (read) => {
    const texts = new Set<string>()
    for (const { peer } of read.all(peersInUse))
      if (peer.kind === 'labels') for (const r of peer.requirements) if (r.source === 'fqdn') texts.add(r.key)
    return [...texts].map((key) => ({ key, rule: nameRule(key) }))
  },
)

/** Which rules in force mean a name, sorted. */
export const selectorsOfName = (name: string, read: Pick<Read, 'all'>): readonly string[] =>
  finderOf(read.all(nameSelectors))(name)

type Finder = (name: string) => readonly string[]
const finders = new WeakMap<readonly NameSelector[], Finder>()
/** Names of which a finder remembers what it found. */
const mostNames = 65536

/** Rules are looked for at the ends of names they mean, so that their number costs nothing. */
function finderOf(selectors: readonly NameSelector[]): Finder {
  const made = finders.get(selectors)
  if (made) return made
  const byAnchor = new Map<string, NameSelector[]>()
  for (const s of selectors) {
    const there = byAnchor.get(anchorOf(s.rule))
    if (there) there.push(s)
    else byAnchor.set(anchorOf(s.rule), [s])
  }
  const known = new Map<string, readonly string[]>()
  const find: Finder = (name) => {
    let found = known.get(name)
    if (!found) {
      found = endsOf(name)
        .flatMap((end) => byAnchor.get(end) ?? [])
        .filter((s) => matchesName(s.rule, name))
        .map((s) => s.key)
        .sort()
      if (known.size >= mostNames) known.clear()
      known.set(name, found)
    }
    return found
  }
  finders.set(selectors, find)
  return find
}

const everything = { 4: '0.0.0.0/0', 6: '::/0' } as const
const tries = new WeakMap<readonly WantedPrefix[], Lpm<string>>()

/** The longest prefix of a policy around an address; all of its family when there is none. */
function prefixAround(text: string, prefixes: readonly WantedPrefix[]): string {
  let trie = tries.get(prefixes)
  if (!trie) {
    trie = openLpm<string>()
    for (const p of prefixes) trie.set(prefix(p.prefix), p.prefix)
    tries.set(prefixes, trie)
  }
  const found = prefixes.length === 0 ? undefined : trie.match(address(text))
  return found ?? everything[text.includes(':') ? 6 : 4]
}

export const addressParts = deriveAll<string>('addressParts', [], { key: (p) => p }, () =>
  Array.from({ length: addressPartCount }, (_, i) => String(i)),
)

/** An address that some rule of `toFQDNs` means. */
export interface NamedAddress {
  readonly address: string
  /** Prefix around it and the rules that mean it: those of one set have one identity. */
  readonly set: string
}

const setOf = (around: string, sorted: readonly string[]): string => `${around} ${sorted.join(' ')}`

/** The identity of addresses that exactly these rules mean, outside of every prefix of a policy. */
export const identityOfRules = (selectors: readonly string[], read: Pick<Read, 'get'>): NameIdentity | undefined =>
  read.get(nameIdentities, setOf(everything[4], selectors)) ?? read.get(nameIdentities, setOf(everything[6], selectors))

/** What an address's set followed from: of a part only what changed is found anew. */
interface Found {
  readonly config: Settings
  readonly selectors: readonly NameSelector[]
  readonly prefixes: readonly WantedPrefix[]
  /** Texts of the rules that mean it, and the prefix around it where there is one. */
  readonly rules: readonly string[]
  readonly around: string
  readonly named: NamedAddress | undefined
}
const found = new WeakMap<LearntAddress, Found>()

function namedOf(
  learnt: LearntAddress,
  selectors: readonly NameSelector[],
  prefixes: readonly WantedPrefix[],
  config: Settings,
): NamedAddress | undefined {
  const before = found.get(learnt)
  const same = before?.selectors === selectors && before.config === config
  if (same && before.prefixes === prefixes) return before.named
  const { address, names } = learnt
  const rules = same
    ? before.rules
    : (address.includes(':') ? config.enableIpv6 : config.enableIpv4)
      ? rulesOf(names, selectors)
      : []
  let around = ''
  let named: NamedAddress | undefined
  if (rules.length > 0) {
    around = before?.prefixes === prefixes && before.around !== '' ? before.around : prefixAround(address, prefixes)
    const set = setOf(around, rules)
    named = before?.named?.set === set ? before.named : { address, set }
  }
  found.set(learnt, { config, selectors, prefixes, rules, around, named })
  return named
}

function rulesOf(names: readonly string[], selectors: readonly NameSelector[]): readonly string[] {
  const find = finderOf(selectors)
  const [first = '', ...more] = names
  return more.length === 0 ? find(first) : [...new Set(names.flatMap(find))].sort()
}

/** Addresses of one part, and the sets among them. */
interface NamedPart {
  readonly part: string
  readonly addresses: readonly NamedAddress[]
  readonly sets: readonly string[]
}

export const namedAddresses = deriveEach<string, NamedPart>(
  'namedAddresses',
  addressParts,
  {
    key: (p) => p.part,
    columns: [
      ['PART', (p) => p.part],
      ['ADDRESSES', (p) => p.addresses.map((a) => a.address).join(' ')],
    ],
  },
  (part, read) => {
    const learnt = read.by(learntNames, 'part', part)
    const config = learnt.length === 0 ? undefined : read.get(settings, 'settings')
    if (!config) return []
    const [selectors, prefixes] = [read.all(nameSelectors), read.all(wantedPrefixes)]
    const addresses = learnt.flatMap((l) => namedOf(l, selectors, prefixes, config) ?? [])
    return addresses.length === 0 ? [] : [{ part, addresses, sets: [...new Set(addresses.map((a) => a.set))].sort() }]
  },
)

interface NameSet {
  readonly set: string
}

export const nameSetParts = deriveEach<NamedPart, Pick<NamedPart, 'part' | 'sets'>>(
  'nameSetParts',
  namedAddresses,
  { key: (p) => p.part },
  ({ part, sets }) => [{ part, sets }],
)

/**
 * Sets that need an identity: those of addresses, and each rule by itself. So the decision tables know every rule before
 * its first address is learnt, and that costs one entry in the kernel.
 */
export const wantedNameSets = deriveAll<NameSet>(
  'wantedNameSets',
  [nameSetParts, nameSelectors, settings],
  { key: (s) => s.set },
  (read) => {
    const config = read.get(settings, 'settings')
    if (!config) return []
    const sets = new Set(read.all(nameSetParts).flatMap((p) => p.sets))
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
