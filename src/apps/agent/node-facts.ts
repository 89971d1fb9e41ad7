// SPDX-License-Identifier: Apache-2.0
import { canonicalAddress } from '../../base/ip.ts'
import { gatewayOf, pools } from '../../derive/ipam/tables.ts'
import { devices, nodes, settings } from '../../model/rows.ts'
import { allocate, deriveAll } from '../../table/definition.ts'

/** What the datapath of this node is configured by, in one row; it exists once everything in it is known. */
export interface NodeFacts {
  readonly ipv4: string
  readonly ipv6: string
  readonly gateway4: string
  readonly gateway6: string
  /** The device that carries the node's own address. */
  readonly wire: number
  readonly wireName: string
  readonly wireMtu: number
  /** Largest packet of a pod that reaches another node whole. */
  readonly podMtu: number
  readonly podCIDRs: readonly string[]
}

/** Bytes VXLAN adds: outer IP, UDP, VXLAN, inner Ethernet. */
const OVERHEAD = { ipv4: 50, ipv6: 70 } as const

const shape = {
  key: () => 'node',
  columns: [
    ['IPV4', (f: NodeFacts) => f.ipv4],
    ['IPV6', (f: NodeFacts) => f.ipv6],
    ['GATEWAYS', (f: NodeFacts) => [f.gateway4, f.gateway6].filter((g) => g !== '').join(',')],
    ['WIRE', (f: NodeFacts) => f.wireName],
    ['POD MTU', (f: NodeFacts) => String(f.podMtu)],
  ],
} as const

/** What the objects of this node say now. */
export const saidNodeFacts = deriveAll<NodeFacts>('saidNodeFacts', [settings, nodes, devices, pools], shape, (read) => {
  const config = read.get(settings, 'settings')
  const node = config && read.get(nodes, config.nodeName)
  if (!node) return []
  const internal = node.addresses
    .filter((a) => a.type === 'InternalIP')
    .map((a) => canonicalAddress(a.address))
    .filter((a) => a !== undefined)
  const wire = read.all(devices).find((d) => internal.some((a) => d.addresses.includes(a)))
  if (!wire) return []
  const of = (family: 4 | 6): string =>
    internal.find((a) => a.includes(':') === (family === 6)) ??
    wire.addresses.find((a) => a.includes(':') === (family === 6) && !a.startsWith('fe80:')) ??
    ''
  const gateway4 = gatewayOf(read, config.nodeName, 4)
  const gateway6 = gatewayOf(read, config.nodeName, 6)
  if ((config.enableIpv4 && gateway4 === '') || (config.enableIpv6 && gateway6 === '')) return []
  const wireMtu = config.mtu || wire.mtu
  const overhead = config.routingMode === 'native' ? 0 : of(4) !== '' ? OVERHEAD.ipv4 : OVERHEAD.ipv6
  return [
    {
      ipv4: of(4),
      ipv6: of(6),
      gateway4,
      gateway6,
      wire: wire.index,
      wireName: wire.name,
      wireMtu,
      podMtu: wireMtu - overhead,
      podCIDRs: read.by(pools, 'node', config.nodeName).map((p) => p.prefix),
    },
  ]
})

/**
 * The same with memory: a Node or CiliumNode that is deleted, or an API server that is away at start, takes no network
 * from the pods there are.
 */
export const nodeFacts = allocate<NodeFacts, NodeFacts>('nodeFacts', saidNodeFacts, shape, (said, held) =>
  said.length > 0 ? said : held,
)
