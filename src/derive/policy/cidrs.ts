// SPDX-License-Identifier: Apache-2.0
import { canonicalAddress, isIpv4Prefix, parsePrefix } from '../../base/ip.ts'
import { type Identity, localIdentities } from '../../model/identity.ts'
import { labelSet } from '../../model/labels.ts'
import { ciliumNodes, endpointSlices, nodes, settings } from '../../model/rows.ts'
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
    const dual = config.enableIpv4 && config.enableIpv6
    const out = new Map<string, WantedPrefix>()
    const want = (prefix: string, extra: readonly string[] = []) => {
      const parsed = parsePrefix(prefix)
      // All addresses of a family are the world itself.
      if (!parsed || prefix.endsWith('/0')) return
      const world = !dual ? 'world' : isIpv4Prefix(parsed) ? 'world-ipv4' : 'world-ipv6'
      const before = out.get(prefix)?.labels ?? []
      out.set(prefix, {
        prefix,
        labels: labelSet([...before, `cidr:${prefix.replaceAll(':', '-')}`, `reserved:${world}`, ...extra]),
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
      localIdentities.first,
      localIdentities.last,
    )
    return wanted.flatMap(({ prefix, labels }) => {
      const number = numbers.get(prefix)
      return number === undefined ? [] : [{ prefix, number, labels }]
    })
  },
)
