// SPDX-License-Identifier: Apache-2.0
import { canonicalAddress } from '../../base/ip.ts'
import type { RouteRow } from '../../model/datapath.ts'
import type { Endpoint } from '../../model/endpoint.ts'
import type { NodeAddress } from '../../model/node.ts'
import { ciliumNodes, devices, nodes, settings } from '../../model/rows.ts'
import { deriveAll, deriveEach } from '../../table/definition.ts'
import { endpoints } from '../endpoints/tables.ts'
import { gatewayOf, pools } from '../ipam/tables.ts'

const shape = {
  key: (r: RouteRow) => r.prefix,
  columns: [
    ['PREFIX', (r: RouteRow) => r.prefix],
    ['VIA', (r: RouteRow) => r.via],
    ['DEVICE', (r: RouteRow) => r.device],
    ['SOURCE', (r: RouteRow) => r.source],
  ],
} as const

/** What an encapsulated packet may not use: outer Ethernet, IP, UDP and VXLAN headers. */
export const tunnelOverhead = { ipv4: 50, ipv6: 70 } as const

/** MTU of routes to pods: the wire's, less the tunnel's headers. 0 while the wire is not known. */
export function routeMtu(
  config: { readonly mtu: number; readonly routingMode: string },
  wireMtu: number,
  outerIpv6 = false,
): number {
  const wire = config.mtu || wireMtu
  if (wire === 0 || config.routingMode !== 'tunnel') return wire
  return wire - (outerIpv6 ? tunnelOverhead.ipv6 : tunnelOverhead.ipv4)
}

/** A route to each pod of this node, by its own interface; the kernel uses them for what the host itself sends. */
export const endpointRoutes = deriveEach<Endpoint, RouteRow>('endpointRoutes', endpoints, shape, (e, read) => {
  const config = read.get(settings, 'settings')
  if (!config || e.interface === 0) return []
  const to = (address: string, family: 4 | 6): readonly RouteRow[] =>
    address === ''
      ? []
      : [
          {
            prefix: `${address}/${family === 4 ? 32 : 128}`,
            via: '',
            device: e.link,
            source: gatewayOf(read, config.nodeName, family),
            mtu: 0,
          },
        ]
  return [...to(e.ipv4, 4), ...to(e.ipv6, 6)]
})

/** Routes to the pods of other nodes: into cilium_host, whose program encapsulates, or to the node itself. */
export const nodeRoutes = deriveAll<RouteRow>(
  'nodeRoutes',
  [settings, pools, nodes, ciliumNodes, devices],
  shape,
  (read) => {
    const config = read.get(settings, 'settings')
    if (!config) return []
    const wire = read.all(devices).find((d) => d.wire)
    const tunnel = config.routingMode === 'tunnel'
    if (!tunnel && !config.autoDirectNodeRoutes) return []
    const mtu = tunnel ? routeMtu(config, wire?.mtu ?? 0) : 0
    const out: RouteRow[] = []
    for (const pool of read.all(pools)) {
      if (pool.node === config.nodeName) continue
      const source = gatewayOf(read, config.nodeName, pool.family)
      if (tunnel) out.push({ prefix: pool.prefix, via: '', device: 'cilium_host', source, mtu })
      else {
        const via = addressOf(
          [...(read.get(nodes, pool.node)?.addresses ?? []), ...(read.get(ciliumNodes, pool.node)?.addresses ?? [])],
          pool.family,
        )
        if (via !== '' && wire) out.push({ prefix: pool.prefix, via, device: wire.name, source, mtu })
      }
    }
    return out
  },
)

const addressOf = (addresses: readonly NodeAddress[], family: 4 | 6): string =>
  addresses
    .filter((a) => a.type === 'InternalIP')
    .map((a) => canonicalAddress(a.address) ?? '')
    .find((a) => a !== '' && a.includes(':') === (family === 6)) ?? ''
