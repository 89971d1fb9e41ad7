// SPDX-License-Identifier: Apache-2.0
import { canonicalAddress, parsePrefix } from '../../base/ip.ts'
import { type Identity, prefixNumbers } from '../../model/identity.ts'
import { labelSet } from '../../model/labels.ts'
import { ciliumNodes, endpointSlices, nodes, settings } from '../../model/rows.ts'
import type { Settings } from '../../model/settings.ts'
import { allocate, deriveAll } from '../../table/definition.ts'
import { numbersByHash } from '../numbers.ts'
import { blockSources, blocksOf } from './places.ts'
import { peersInUse } from './programs.ts'

/** A prefix that needs an identity of its own, because a rule draws a line there. */
export interface WantedPrefix {
  readonly prefix: string
  readonly labels: readonly string[]
}

/**
 * Prefixes that policies of this node name, exceptions included, and addresses of the API server that are no node's.
 * The longest prefix of an address lies in the same named prefixes as the address does, so its identity says all.
 */
export const wantedPrefixes = deriveAll<WantedPrefix>(
  'wantedPrefixes',
  [peersInUse, ...blockSources],
  { key: (w) => w.prefix },
  (read) => {
    const config = read.get(settings, 'settings')
    if (!config) return []
    const out = new Map<string, WantedPrefix>()
    const want = (prefix: string, extra: readonly string[] = []) => {
      // All addresses of a family are the world itself.
      if (!parsePrefix(prefix) || prefix.endsWith('/0')) return
      const before = out.get(prefix)?.labels ?? []
      out.set(prefix, {
        prefix,
        labels: labelSet([...before, `cidr:${prefix.replaceAll(':', '-')}`, prefixWorld(prefix, config), ...extra]),
      })
    }
    for (const { peer } of read.all(peersInUse))
      for (const b of blocksOf(peer, read)) if (b.world) for (const p of [b.cidr, ...b.except]) want(p)
    const ofNodes = new Set(
      [...read.all(nodes), ...read.all(ciliumNodes)].flatMap((n) =>
        n.addresses.map((a) => canonicalAddress(a.address)),
      ),
    )
    for (const slice of read.by(endpointSlices, 'service', 'default/kubernetes'))
      for (const text of slice.endpoints.flatMap((e) => e.addresses)) {
        const address = canonicalAddress(text)
        if (address !== undefined && !ofNodes.has(address))
          want(`${address}/${address.includes(':') ? 128 : 32}`, ['reserved:kube-apiserver'])
      }
    return [...out.values()]
  },
)

/** Label of the world that a prefix is part of. */
export const prefixWorld = (prefix: string, config: Settings): string =>
  `reserved:${!config.enableIpv4 || !config.enableIpv6 ? 'world' : prefix.includes(':') ? 'world-ipv6' : 'world-ipv4'}`

/** Node-local identities of prefixes. */
export interface CidrIdentity extends Identity {
  readonly prefix: string
}

export const cidrIdentities = allocate<WantedPrefix, CidrIdentity>(
  'cidrIdentities',
  wantedPrefixes,
  {
    key: (i) => i.prefix,
    indexes: { number: (i) => [String(i.number)] },
    columns: [
      ['PREFIX', (i) => i.prefix],
      ['ID', (i) => String(i.number)],
      ['LABELS', (i) => i.labels.join(' ')],
    ],
  },
  (wanted, held) => {
    const numbers = numbersByHash(
      wanted.map((w) => w.prefix),
      new Map(held.map((h) => [h.prefix, h.number])),
      prefixNumbers.first,
      prefixNumbers.last,
    )
    return wanted.flatMap(({ prefix, labels }) => {
      const number = numbers.get(prefix)
      return number === undefined ? [] : [{ prefix, number, labels }]
    })
  },
)
