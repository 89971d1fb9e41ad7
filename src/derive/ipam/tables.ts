// SPDX-License-Identifier: Apache-2.0
import {
  type Address,
  addressAt,
  addressNumber,
  contains,
  isIpv4Prefix,
  type Prefix,
  parseAddress,
  parsePrefix,
  prefixSize,
  printAddress,
  printPrefix,
} from '../../base/ip.ts'
import { attachment, type EndpointRequest, type HeldEndpoint } from '../../model/endpoint.ts'
import { ciliumNodes, endpointRequests, nodes, settings } from '../../model/rows.ts'
import { allocate, deriveAll, type Read } from '../../table/definition.ts'

/** The pod prefixes of a node, and the gateway address in each: the first after the network's own. */
export interface Pool {
  readonly node: string
  readonly prefix: string
  readonly family: 4 | 6
  readonly gateway: string
}

/** Pools of all nodes, as CiliumNode (cluster-pool) or Node (kubernetes) says. */
export const pools = deriveAll<Pool>(
  'pools',
  [settings, ciliumNodes, nodes],
  {
    key: (p) => `${p.node} ${p.prefix}`,
    indexes: { node: (p) => [p.node] },
    columns: [
      ['NODE', (p) => p.node],
      ['PREFIX', (p) => p.prefix],
      ['GATEWAY', (p) => p.gateway],
    ],
  },
  (read) => {
    const config = read.get(settings, 'settings')
    if (!config) return []
    // In kubernetes mode each agent copies its Node's prefixes into its CiliumNode; until then the Node itself counts.
    const byName = new Map<string, readonly string[]>()
    if (config.ipam === 'kubernetes') for (const n of read.all(nodes)) byName.set(n.name, n.podCIDRs)
    for (const n of read.all(ciliumNodes)) if (n.podCIDRs.length > 0) byName.set(n.name, n.podCIDRs)
    const out = new Map<string, Pool>()
    for (const [node, prefixes] of byName)
      for (const text of prefixes) {
        const prefix = parsePrefix(text)
        if (!prefix) continue
        const family = isIpv4Prefix(prefix) ? 4 : 6
        if (!(family === 4 ? config.enableIpv4 : config.enableIpv6)) continue
        const gateway = addressAt(prefix, prefixSize(prefix) > 2n ? 1 : 0)
        if (gateway)
          out.set(`${node} ${printPrefix(prefix)}`, {
            node,
            prefix: printPrefix(prefix),
            family,
            gateway: printAddress(gateway),
          })
      }
    return [...out.values()]
  },
)

export const gatewayOf = (read: Read, node: string, family: 4 | 6): string =>
  read.by(pools, 'node', node).find((p) => p.family === family)?.gateway ?? ''

/** Addresses of a local endpoint; `cursor` rows say where the next search starts, so that addresses rest after use. */
export interface PodAddress {
  /** Attachment, or `cursor 4` / `cursor 6`. */
  readonly key: string
  readonly ipv4: string
  readonly ipv6: string
  readonly problem: string
}

export const podAddresses = allocate<EndpointRequest, PodAddress>(
  'podAddresses',
  endpointRequests,
  {
    key: (a) => a.key,
    columns: [
      ['ATTACHMENT', (a) => a.key],
      ['IPV4', (a) => a.ipv4],
      ['IPV6', (a) => a.ipv6],
    ],
  },
  (wanted, held, read) => {
    const config = read.get(settings, 'settings')
    if (!config) return held
    const local = read.by(pools, 'node', config.nodeName)
    const known = new Map(held.map((h) => [h.key, h]))
    const keyed = wanted.map((request): Wanted => ({ key: attachment(request), held: request.held }))
    const give4 = config.enableIpv4 ? giver(keyed, known, local, 4) : undefined
    const give6 = config.enableIpv6 ? giver(keyed, known, local, 6) : undefined
    const fresh: PodAddress[] = []
    const rows = keyed.map(({ key }) => {
      const ipv4 = give4?.(key) ?? ''
      const ipv6 = give6?.(key) ?? ''
      const before = known.get(key)
      const lacks = [give4 && ipv4 === '' ? 'IPv4' : '', give6 && ipv6 === '' ? 'IPv6' : ''].filter((f) => f)
      const same = before?.ipv4 === ipv4 && before.ipv6 === ipv6 && before.problem === '' && lacks.length === 0
      if (same) return before
      const row = { key, ipv4, ipv6, problem: lacks.length === 0 ? '' : lackText(lacks, local) }
      if (!before) fresh.push(row)
      return row
    })
    const last = (family: 4 | 6): PodAddress => {
      const before = known.get(`cursor ${family}`)
      const addresses = fresh.map((r) => (family === 4 ? r.ipv4 : r.ipv6))
      const at = addresses.filter((a) => a !== '').at(-1) ?? (family === 4 ? before?.ipv4 : before?.ipv6) ?? ''
      return { key: `cursor ${family}`, ipv4: family === 4 ? at : '', ipv6: family === 6 ? at : '', problem: '' }
    }
    return [...rows, last(4), last(6)]
  },
  [settings, pools],
)

const lackText = (families: readonly string[], local: readonly Pool[]): string =>
  local.length === 0
    ? `no ${families.join(' or ')} address: this node has no pod prefix yet (the operator gives it to the CiliumNode)`
    : `no ${families.join(' or ')} address: the pool is empty (${local.map((p) => p.prefix).join(', ')})`

interface Wanted {
  readonly key: string
  readonly held: HeldEndpoint | undefined
}

/** Who holds an address keeps it; restored endpoints come before new ones. */
function giver(
  wanted: readonly Wanted[],
  known: ReadonlyMap<string, PodAddress>,
  local: readonly Pool[],
  family: 4 | 6,
): (key: string) => string {
  const of = (a: { readonly ipv4: string; readonly ipv6: string }) => (family === 4 ? a.ipv4 : a.ipv6)
  const given = new Map<string, string>()
  const taken = new Set<string>()
  const take = (key: string, has: { readonly ipv4: string; readonly ipv6: string } | undefined) => {
    const address = has && of(has)
    if (!address || taken.has(address) || given.has(key)) return
    given.set(key, address)
    taken.add(address)
  }
  for (const { key } of wanted) take(key, known.get(key))
  for (const { key, held } of wanted) take(key, held)
  const prefixes = local.filter((p) => p.family === family)
  const reserved = new Set(prefixes.map((p) => p.gateway))
  const cursor = known.get(`cursor ${family}`)
  let start = cursor && parseAddress(of(cursor))
  return (key) => {
    const mine = given.get(key)
    if (mine !== undefined) return mine
    const found = nextAddressOf(prefixes, start, (a) => taken.has(a) || reserved.has(a))
    if (found === undefined) return ''
    start = parseAddress(found)
    given.set(key, found)
    taken.add(found)
    return found
  }
}

function nextAddressOf(
  pools: readonly Pool[],
  after: Address | undefined,
  taken: (address: string) => boolean,
): string | undefined {
  const prefixes = pools.map((p) => parsePrefix(p.prefix) as Prefix)
  const at = after ? prefixes.findIndex((p) => contains(p, after)) : -1
  const order = at < 0 ? prefixes : [...prefixes.slice(at), ...prefixes.slice(0, at)]
  for (const [n, prefix] of order.entries()) {
    const size = prefixSize(prefix)
    // Neither the network's own address nor, in IPv4, the broadcast address; a look at most at 65536 of IPv6's.
    const first = 1n
    const last = isIpv4Prefix(prefix) ? size - 2n : size - 1n
    const begin = n === 0 && after && at >= 0 ? addressNumber(after) - addressNumber(prefix.address) + 1n : first
    const span = last - first + 1n
    const looks = span > 65536n ? 65536n : span
    for (let i = 0n; i < looks; i++) {
      const address = addressAt(prefix, first + ((begin - first + i) % span))
      const text = address && printAddress(address)
      if (text !== undefined && !taken(text)) return text
    }
  }
  return undefined
}
