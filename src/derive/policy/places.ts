// SPDX-License-Identifier: Apache-2.0
import { hash32 } from '../../base/hash.ts'
import { type Address, address, canonicalAddress, contains, type Prefix, prefix } from '../../base/ip.ts'
import type { CiliumEndpoint, Endpoint } from '../../model/endpoint.ts'
import { reserved } from '../../model/identity.ts'
import { labelSet } from '../../model/labels.ts'
import { objectKey } from '../../model/meta.ts'
import {
  cidrGroups,
  ciliumEndpoints,
  ciliumNodes,
  devices,
  endpointSlices,
  nodes,
  services,
  settings,
} from '../../model/rows.ts'
import type { Settings } from '../../model/settings.ts'
import { allocate, deriveAll, deriveEach, type Read } from '../../table/definition.ts'
import { endpoints } from '../endpoints/tables.ts'
import { pools } from '../ipam/tables.ts'
import { numbersByHash } from '../numbers.ts'
import { peersInUse } from './programs.ts'
import type { Peer } from './rule.ts'
import { selects } from './selector.ts'

/** Addresses that a peer means by where they are, and whose they may be. */
export interface Block {
  readonly cidr: string
  readonly except: readonly string[]
  readonly world: boolean
  readonly nodes: boolean
  readonly pods: boolean
}

/** Tables that `blocksOf` reads. */
export const blockSources = [settings, cidrGroups, nodes, ciliumNodes, services, endpointSlices] as const

export function blocksOf(peer: Peer, read: Read): readonly Block[] {
  const config = read.get(settings, 'settings')
  if (!config) return []
  switch (peer.kind) {
    case 'labels':
      return []
    case 'cidr':
      return [{ cidr: peer.cidr, except: peer.except, world: true, ...whoseElse(config, peer.block === true) }]
    case 'group': {
      const groups =
        peer.name === ''
          ? read.all(cidrGroups).filter((g) => selects(peer.requirements, groupLabels(g)))
          : [read.get(cidrGroups, peer.name)]
      const of = whoseElse(config, false)
      return groups.flatMap((g) => g?.prefixes ?? []).map((cidr) => ({ cidr, except: peer.except, world: true, ...of }))
    }
    case 'nodes': {
      if (peer.gated && !config.enableNodeSelectorLabels) return []
      const chosen = read.all(nodes).filter((n) => selects(peer.requirements, sourced('node', n.labels)))
      return chosen
        .flatMap((n) => [...n.addresses, ...(read.get(ciliumNodes, n.name)?.addresses ?? [])])
        .flatMap((a) => hostBlock(a.address, { world: false, nodes: true, pods: false }))
    }
    case 'service':
      return servicesOf(peer, read)
        .filter((s) => Object.keys(s.selector).length === 0)
        .flatMap((s) => read.by(endpointSlices, 'service', `${s.namespace}/${s.name}`))
        .flatMap((slice) => slice.endpoints.flatMap((e) => e.addresses))
        .flatMap((a) => hostBlock(a, { world: true, nodes: true, pods: true }))
  }
}

function whoseElse(config: Settings, block: boolean): { readonly nodes: boolean; readonly pods: boolean } {
  const mode = config.policyCidrMatchMode
  if (block && mode.length === 0) return { nodes: true, pods: true }
  return { nodes: mode.includes('nodes'), pods: mode.includes('pods') }
}

function hostBlock(text: string, of: Omit<Block, 'cidr' | 'except'>): readonly Block[] {
  const at = canonicalAddress(text)
  return at === undefined ? [] : [{ cidr: `${at}/${at.includes(':') ? 128 : 32}`, except: [], ...of }]
}

export const servicesOf = (peer: Peer & { readonly kind: 'service' }, read: Read) =>
  read
    .all(services)
    .filter((s) => peer.namespace === '' || s.namespace === peer.namespace)
    .filter((s) => (peer.name === '' ? selects(peer.requirements, sourced('k8s', s.labels)) : s.name === peer.name))

const sourced = (source: string, labels: { readonly [key: string]: string }) =>
  labelSet(Object.entries(labels).map(([key, value]) => ({ source, key, value })))

const groupLabels = (g: { readonly name: string; readonly labels: { readonly [key: string]: string } }) =>
  sourced('cidrgroup', { ...g.labels, [`io.cilium.policy.cidrgroupname/${g.name}`]: '' })

/** Blocks that mean nodes or pods too: where they draw lines, equal labels are not enough to be one peer. */
interface Lines {
  readonly blocks: readonly Block[]
  /** Prefixes at which a block begins or leaves something out. */
  readonly prefixes: readonly string[]
}

export const addressLines = deriveAll<Lines>(
  'addressLines',
  [peersInUse, ...blockSources],
  { key: () => 'lines' },
  (read) => {
    const found = new Map<string, Block>()
    for (const { peer } of read.all(peersInUse))
      for (const b of blocksOf(peer, read)) if (b.nodes || b.pods) found.set(JSON.stringify(b), b)
    if (found.size === 0) return []
    const blocks = [...found.keys()].sort().map((k) => found.get(k) as Block)
    return [{ blocks, prefixes: [...new Set(blocks.flatMap((b) => [b.cidr, ...b.except]))].sort() }]
  },
)

const parsed = new Map<string, Prefix>()
function prefixAt(text: string): Prefix {
  let known = parsed.get(text)
  if (!known) {
    if (parsed.size > 65536) parsed.clear()
    parsed.set(text, (known = prefix(text)))
  }
  return known
}

/** The narrowest line around an address, if any block means whoever has it; that line tells all blocks it lies in. */
export function placeOf(text: string, isNode: boolean, read: Read): string | undefined {
  const lines = read.get(addressLines, 'lines')
  if (!lines) return undefined
  const at: Address = address(text)
  const means = lines.blocks.some(
    (b) =>
      (isNode ? b.nodes : b.pods) && contains(prefixAt(b.cidr), at) && !b.except.some((e) => contains(prefixAt(e), at)),
  )
  if (!means) return undefined
  let narrowest = ''
  for (const line of lines.prefixes)
    if (contains(prefixAt(line), at) && (narrowest === '' || prefixAt(line).length > prefixAt(narrowest).length))
      narrowest = line
  return narrowest === '' ? undefined : `${isNode ? 'node' : 'pod'} ${narrowest}`
}

/** Numbers under which decision tables know an identity at a place. */
export const placeNumbers = { first: 0x02000001, last: 0x02ffffff } as const

/** An identity where a line of a policy tells it from the same identity elsewhere. Packets never carry the number. */
export interface PlaceIdentity {
  readonly key: string
  readonly number: number
  /** The identity that packets carry. */
  readonly base: number
  readonly prefix: string
  readonly node: boolean
}

export const placeKey = (identity: number, place: string): string => `${identity} ${place}`

/** What identities need numbers at places because of one endpoint, or of all nodes. */
interface PlacesOf {
  readonly of: string
  readonly keys: readonly string[]
}

const shardCount = 64
const bySource = {
  key: (p: PlacesOf) => p.of,
  indexes: { shard: (p: PlacesOf) => [String(hash32(p.of) % shardCount)] },
}

const keysAt = (identity: number, addresses: readonly string[], read: Read): readonly string[] => {
  if (identity === 0) return []
  const found = addresses.flatMap((text) => {
    const at = canonicalAddress(text)
    const place = at === undefined ? undefined : placeOf(at, false, read)
    return place === undefined ? [] : [placeKey(identity, place)]
  })
  return [...new Set(found)].sort()
}

const placesFrom = (of: string, keys: readonly string[]): readonly PlacesOf[] =>
  keys.length === 0 ? [] : [{ of, keys }]

export const localPlaces = deriveEach<Endpoint, PlacesOf>('localPlaces', endpoints, bySource, (e, read) =>
  placesFrom(
    e.attachment,
    keysAt(
      e.identity,
      [e.ipv4, e.ipv6].filter((a) => a !== ''),
      read,
    ),
  ),
)

export const remotePlaces = deriveEach<CiliumEndpoint, PlacesOf>('remotePlaces', ciliumEndpoints, bySource, (e, read) =>
  placesFrom(objectKey(e), keysAt(e.identity, e.addresses, read)),
)

/** Any address of a node may be this one's, another's or the API server's. */
export const nodePlaces = deriveAll<PlacesOf>(
  'nodePlaces',
  [addressLines, nodes, ciliumNodes, devices, pools],
  bySource,
  (read) => {
    const texts = new Set([
      ...[...read.all(nodes), ...read.all(ciliumNodes)].flatMap((n) => n.addresses.map((a) => a.address)),
      ...read.all(devices).flatMap((d) => d.addresses),
      ...read.all(pools).map((p) => p.gateway),
    ])
    const keys = new Set<string>()
    for (const text of texts) {
      const at = canonicalAddress(text)
      const place = at === undefined ? undefined : placeOf(at, true, read)
      if (place !== undefined)
        for (const identity of [reserved.host, reserved['remote-node'], reserved['kube-apiserver']])
          keys.add(placeKey(identity, place))
    }
    return placesFrom('nodes', [...keys].sort())
  },
)

export const placeShards = deriveAll<string>('placeShards', [], { key: (s) => s }, () =>
  Array.from({ length: shardCount }, (_, i) => String(i)),
)

/** In parts, so that one more pod makes only one part anew. */
export const placesWanted = deriveEach<string, PlacesOf>(
  'placesWanted',
  placeShards,
  { key: (p) => p.of },
  (shard, read) =>
    placesFrom(
      shard,
      [
        ...new Set(
          [nodePlaces, localPlaces, remotePlaces].flatMap((t) => read.by(t, 'shard', shard).flatMap((p) => p.keys)),
        ),
      ].sort(),
    ),
)

export const placeIdentities = allocate<PlacesOf, PlaceIdentity>(
  'placeIdentities',
  placesWanted,
  {
    key: (i) => i.key,
    indexes: { base: (i) => [String(i.base)] },
    columns: [
      ['ID', (i) => String(i.number)],
      ['IDENTITY', (i) => String(i.base)],
      ['PREFIX', (i) => i.prefix],
    ],
  },
  (wanted, held) => {
    const before = new Map(held.map((h) => [h.key, h.number]))
    const keys = new Set(wanted.flatMap((w) => w.keys))
    return [...numbersByHash(keys, before, placeNumbers.first, placeNumbers.last)].map(([key, number]) => {
      const [base = '', kind = '', within = ''] = key.split(' ')
      return { key, number, base: Number(base), prefix: within, node: kind === 'node' }
    })
  },
)
