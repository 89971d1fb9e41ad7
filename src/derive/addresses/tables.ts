// SPDX-License-Identifier: Apache-2.0

import { hash32 } from '../../base/hash.ts'
import { canonicalAddress } from '../../base/ip.ts'
import { type OwnerRow, ownerFlag } from '../../model/datapath.ts'
import type { CiliumEndpoint, Endpoint } from '../../model/endpoint.ts'
import { reserved } from '../../model/identity.ts'
import { objectKey } from '../../model/meta.ts'
import { addressPart } from '../../model/names.ts'
import type { NodeAddress } from '../../model/node.ts'
import { ciliumEndpoints, ciliumNodes, devices, endpointSlices, nodes, settings } from '../../model/rows.ts'
import type { Settings } from '../../model/settings.ts'
import { deriveAll, deriveEach, type Read } from '../../table/definition.ts'
import { endpointNumbers, endpoints, hostAttachment } from '../endpoints/tables.ts'
import { pools } from '../ipam/tables.ts'
import { type CidrIdentity, cidrIdentities } from '../policy/cidrs.ts'
import { addressParts, type NamedAddress, namedAddresses, nameIdentities } from '../policy/names.ts'
import { policyNumbers } from '../policy/numbers.ts'
import { placeIdentities, placeKey, placeOf } from '../policy/places.ts'
import { hostSubject, subjectKeyOf } from '../policy/subjects.ts'

const ownerColumns = [
  ['ADDRESS', (o: OwnerRow) => o.address],
  ['IDENTITY', (o: OwnerRow) => String(o.identity)],
  ['ENDPOINT', (o: OwnerRow) => String(o.endpoint)],
  ['NODE', (o: OwnerRow) => o.node],
] as const
const shape = { key: (o: OwnerRow) => o.address, columns: ownerColumns }

/** Addresses in parts, so that one more address makes only one part anew. */
const shards = Array.from({ length: 256 }, (_, i) => String(i))
const shardOf = (o: OwnerRow): readonly string[] => [String(hash32(o.address) % shards.length)]
const inShards = { ...shape, indexes: { shard: shardOf } }

const owner = (address: string, of: Partial<OwnerRow>): OwnerRow => ({
  address,
  identity: 0,
  peer: 0,
  interface: 0,
  policy: 0,
  endpoint: 0,
  flags: 0,
  node: '',
  ...of,
})

/** Policy number of an endpoint; 0, which lets nothing pass, until its identity has one. */
export const policyOf = (read: Read, e: Endpoint): number =>
  e.identity === 0 ? 0 : (read.get(policyNumbers, subjectKeyOf(e, read))?.policy ?? 0)

/** Addresses of this node's endpoints. Two endpoints can not have one address: the allocation gives each once. */
export const localOwners = deriveEach<Endpoint, OwnerRow>('localOwners', endpoints, inShards, (e, read) => {
  if (e.interface === 0) return []
  const of = {
    identity: e.identity === 0 ? reserved.init : e.identity,
    interface: e.interface,
    policy: policyOf(read, e),
    endpoint: e.id,
    flags: ownerFlag.local,
  }
  return [e.ipv4, e.ipv6].filter((a) => a !== '').map((a) => owner(a, of))
})

/** Addresses of nodes, this one's and others'. */
export const nodeOwners = deriveAll<OwnerRow>(
  'nodeOwners',
  [settings, nodes, ciliumNodes, devices, endpointSlices, pools],
  inShards,
  (read) => {
    const config = read.get(settings, 'settings')
    if (!config) return []
    const out = new Map<string, OwnerRow>()
    const put = (text: string, of: Partial<OwnerRow>) => {
      const address = canonicalAddress(text)
      if (address !== undefined && wanted(address, config)) out.set(address, owner(address, of))
    }
    const apiServers = new Set(
      read
        .by(endpointSlices, 'service', 'default/kubernetes')
        .flatMap((s) => s.endpoints.flatMap((e) => e.addresses.map((a) => canonicalAddress(a)))),
    )
    for (const n of [...read.all(nodes), ...read.all(ciliumNodes)]) {
      if (n.name === config.nodeName) continue
      const behind = config.routingMode === 'tunnel' ? internalAddress(n.addresses) : ''
      for (const a of n.addresses) {
        const identity = apiServers.has(canonicalAddress(a.address))
          ? reserved['kube-apiserver']
          : reserved['remote-node']
        // Nodes reach each other as they are; only what lies in the pod network needs the tunnel.
        put(a.address, { identity, flags: ownerFlag.node, node: a.type === 'CiliumInternalIP' ? behind : '' })
      }
    }
    const own = { identity: reserved.host, flags: ownerFlag.host }
    for (const n of [...read.all(nodes), ...read.all(ciliumNodes)])
      if (n.name === config.nodeName)
        for (const a of n.addresses) if (a.type !== 'CiliumInternalIP') put(a.address, own)
    for (const d of read.all(devices)) if (!d.name.startsWith('lxc')) for (const a of d.addresses) put(a, own)
    for (const p of read.all(pools))
      if (p.node === config.nodeName) put(p.gateway, { ...own, flags: ownerFlag.host | ownerFlag.gateway })
    return [...out.values()]
  },
)

const wanted = (address: string, config: Settings): boolean =>
  (address.includes(':') ? config.enableIpv6 : config.enableIpv4) && !/^(127\.|::1$|fe80:)/.test(address)

/** The address other nodes send to: IPv4 where the cluster has it. */
export function internalAddress(addresses: readonly NodeAddress[]): string {
  const internal = addresses.filter((a) => a.type === 'InternalIP')
  const chosen = internal.find((a) => !a.address.includes(':')) ?? internal[0]
  return (chosen && canonicalAddress(chosen.address)) ?? ''
}

/** What a CiliumEndpoint says of an address; several may say something of one, while a pod is replaced or by mistake. */
export interface Claim {
  readonly by: string
  readonly owner: OwnerRow
}

/** Endpoints of other nodes, as their agents say. */
export const remoteOwners = deriveEach<CiliumEndpoint, Claim>(
  'remoteOwners',
  ciliumEndpoints,
  { key: (c) => `${c.owner.address} ${c.by}`, indexes: { shard: (c) => shardOf(c.owner) } },
  (e, read) => {
    const config = read.get(settings, 'settings')
    if (!config || e.identity === 0 || e.node === '') return []
    const local = read.get(nodes, config.nodeName)?.addresses.some((a) => a.address === e.node)
    const ciliumLocal = read.get(ciliumNodes, config.nodeName)?.addresses.some((a) => a.address === e.node)
    if (local || ciliumLocal) return []
    const node = config.routingMode === 'tunnel' ? e.node : ''
    const addresses = new Set(e.addresses.map(canonicalAddress))
    return [...addresses].flatMap((address) =>
      address !== undefined && wanted(address, config)
        ? [{ by: objectKey(e), owner: owner(address, { identity: e.identity, node }) }]
        : [],
    )
  },
)

export const ownerShards = deriveAll<string>('ownerShards', [], { key: (s) => s }, () => shards)

/**
 * cilium_owners: every exact address once. Where two claim it, nodes come before this node's endpoints, those before
 * what others say, and of those the last by name. `peer` is set where a prefix of a policy tells the address from others
 * of its identity.
 */
export const ownerRows = deriveEach<string, OwnerRow>('owners', ownerShards, shape, (shard, read) => {
  const out = new Map<string, OwnerRow>()
  for (const { owner: o } of read.by(remoteOwners, 'shard', shard)) out.set(o.address, o)
  for (const table of [localOwners, nodeOwners]) for (const o of read.by(table, 'shard', shard)) out.set(o.address, o)
  return [...out.values()].map((o) => atItsPlace(guarded(o, read), read))
})

/** The node's own addresses have a policy where it has a firewall. */
function guarded(o: OwnerRow, read: Read): OwnerRow {
  if ((o.flags & ownerFlag.host) === 0 || !read.get(settings, 'settings')?.enableHostFirewall) return o
  const policy = read.get(policyNumbers, hostSubject)?.policy ?? 0
  return { ...o, policy, endpoint: read.get(endpointNumbers, hostAttachment)?.id ?? 0 }
}

function atItsPlace(o: OwnerRow, read: Read): OwnerRow {
  const place = placeOf(o.address, (o.flags & (ownerFlag.node | ownerFlag.host)) !== 0, read)
  const peer = place === undefined ? 0 : (read.get(placeIdentities, placeKey(o.identity, place))?.number ?? 0)
  return peer === 0 ? o : { ...o, peer }
}

export const prefixOwners = deriveEach<CidrIdentity, OwnerRow>(
  'prefixOwners',
  cidrIdentities,
  { ...shape, indexes: { part: (o: OwnerRow) => [addressPart(o.address.slice(0, o.address.indexOf('/')))] } },
  (i) => [owner(i.prefix, { identity: i.number })],
)

const nameOwners = new WeakMap<NamedAddress, OwnerRow>()

/** The same object while the identity is. */
function nameOwner(named: NamedAddress, identity: number): OwnerRow {
  const known = nameOwners.get(named)
  if (known?.identity === identity) return known
  const made = owner(`${named.address}/${named.address.includes(':') ? 128 : 32}`, { identity })
  nameOwners.set(named, made)
  return made
}

/**
 * cilium_ipcache: prefixes and addresses outside the cluster with an identity of their own. An address that has names and
 * is a rule's prefix too is there once: its identity says both.
 */
export const ipcacheRows = deriveEach<string, OwnerRow>('ipcache', addressParts, shape, (part, read) => {
  const prefixes = read.by(prefixOwners, 'part', part)
  const named = read.get(namedAddresses, part)
  if (!named) return prefixes
  const numbers = new Map(named.sets.map((set) => [set, read.get(nameIdentities, set)?.number]))
  const owners = named.addresses.flatMap((a) => {
    const identity = numbers.get(a.set)
    return identity === undefined ? [] : [nameOwner(a, identity)]
  })
  if (prefixes.length === 0) return owners
  const there = new Set(owners.map((o) => o.address))
  return [...owners, ...prefixes.filter((o) => !there.has(o.address))]
})
