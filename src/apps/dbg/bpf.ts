// SPDX-License-Identifier: Apache-2.0
/** `cilium-dbg bpf …`: the pinned maps themselves, as the kernel has them now. */
import {
  type Counter,
  type Flow,
  FlowFlags,
  type FlowKey,
  type MapSpec,
  MetricReason,
  maps,
} from '../../../gen/contract.ts'
import { isIpv4, printAddress } from '../../base/ip.ts'
import { openPinned } from '../../edge/kernel/link.ts'
import { type BpfMap, contractCounters, contractMap } from '../../edge/kernel/map.ts'
import { dropText, protocolText } from '../../flow/names.ts'
import type { Agent } from './agent.ts'
import { columns, print, printed } from './output.ts'

export const pinsOf = (root: string): string => `${root}/tc/globals`

export function descriptor(pins: string, name: string): number {
  const fd = openPinned(`${pins}/${name}`)
  if (fd === undefined)
    throw new Error(
      `no map is pinned at ${pins}/${name}: does an agent run on this node, and is its BPF file system mounted here?`,
    )
  return fd
}
export const open = <K, V>(pins: string, spec: MapSpec<K, V>): BpfMap<K, V> =>
  contractMap(spec, descriptor(pins, spec.name))
export const openCounters = <K, V>(pins: string, spec: MapSpec<K, V>): BpfMap<K, readonly V[]> =>
  contractCounters(spec, descriptor(pins, spec.name))

export const sum = (each: readonly Counter[]): Counter => ({
  packets: each.reduce((n, c) => n + c.packets, 0),
  bytes: each.reduce((n, c) => n + c.bytes, 0),
})

/** Bits of a 128-bit prefix in the words of its family. */
const prefixText = (address: Uint8Array, bits: number): string =>
  `${printAddress(address)}/${isIpv4(address) && bits >= 96 ? bits - 96 : bits}`
const hostPort = (address: Uint8Array, port: number): string =>
  isIpv4(address) ? `${printAddress(address)}:${port}` : `[${printAddress(address)}]:${port}`
const isZero = (address: Uint8Array): boolean => address.every((b) => b === 0)
const hex = (n: number): string => `0x${n.toString(16).padStart(2, '0')}`

type Rows = readonly (readonly string[])[]
type View = (pins: string, args: readonly string[], agent: Agent) => Promise<Rows> | Rows

const views: Readonly<Record<string, View>> = {
  ipcache: (pins) => {
    const owners = [...open(pins, maps.cilium_owners).entries()].map(([a, o]) => [prefixText(a, 128), o] as const)
    const prefixes = [...open(pins, maps.cilium_ipcache).entries()].map(
      ([k, o]) => [prefixText(k.address, k.bits), o] as const,
    )
    const rows = [...owners, ...prefixes].map(([at, o]) => [
      at,
      `identity=${o.identity} encryptkey=0 tunnelendpoint=${isZero(o.node) ? '0.0.0.0' : printAddress(o.node)} flags=<none>`,
    ])
    return [['IP PREFIX/ADDRESS', 'IDENTITY'], ...rows.sort()]
  },
  endpoint: (pins) => {
    const rows = [...open(pins, maps.cilium_owners).entries()]
      .filter(([, o]) => o.interface !== 0 || o.flags !== 0)
      .map(([a, o]) => [
        printAddress(a),
        `id=${o.endpoint} sec_id=${o.identity} flags=${hex(o.flags)} ifindex=${o.interface} policy=${o.policy}`,
      ])
    return [['IP ADDRESS', 'LOCAL ENDPOINT INFO'], ...rows.sort()]
  },
  ct: (pins, [scope, id]) => {
    const endpoint = scope === undefined || scope === 'global' ? undefined : Number(scope === 'endpoint' ? id : scope)
    const flows = [...open(pins, maps.cilium_flows).entries()]
    return flows
      .filter(([, f]) => endpoint === undefined || f.endpoint.includes(endpoint))
      .map(([k, f]) => [flowLine(k, f)])
  },
  nat: (pins) =>
    [...open(pins, maps.cilium_nat).entries()].map(([k, n]) => [
      `${protocolText(k.protocol)} ${hostPort(k.a, k.portA)} <-> ${hostPort(k.b, k.portB)} XLATE_SRC ${hostPort(n.address, n.port)} Created=${n.seen}`,
    ]),
  lb: (pins) => {
    const [slots, backends] = [open(pins, maps.cilium_backend_slots), open(pins, maps.cilium_backends)]
    const rows = [...open(pins, maps.cilium_services).entries()].flatMap(([k, s]) => {
      const front = `${hostPort(k.address, k.port)}/${protocolText(k.protocol)}`
      const empty = [[`${front} (0)`, `0.0.0.0:0 (${s.id}) (0) [ClusterIP, non-routable]`]]
      const back = Array.from({ length: s.count }, (_, i) => {
        const b = backends.get(slots.get(s.slots + i) ?? 0)
        return [
          `${front} (${i + 1})`,
          b === undefined
            ? 'missing'
            : `${hostPort(b.address, b.port)}/${protocolText(b.protocol)} (${s.id}) (${i + 1})`,
        ]
      })
      return [...empty, ...back]
    })
    return [['SERVICE ADDRESS', 'BACKEND ADDRESS (REVNAT_ID) (SLOT)'], ...rows.sort()]
  },
  metrics: (pins) => {
    const names: Record<number, string> = {
      [MetricReason.METRIC_FORWARDED]: 'Success',
      [MetricReason.METRIC_EVENTS_LOST]: 'Events lost: ring buffer full',
      [MetricReason.METRIC_EVENTS_LIMITED]: 'Events not reported: rate limit',
      [MetricReason.METRIC_QUIET]: 'Dropped without an event',
    }
    const rows = [...openCounters(pins, maps.cilium_metrics).entries()]
      .map(([index, each]) => [index, sum(each)] as const)
      .filter(([, c]) => c.packets > 0)
      .map(([index, c]) => {
        const reason = index >> 2
        const direction = ['INGRESS', 'EGRESS', 'SERVICE', ''][index & 3] ?? ''
        return [names[reason] ?? dropText(reason), direction, String(c.packets), String(c.bytes), '', '']
      })
    return [['REASON', 'DIRECTION', 'PACKETS', 'BYTES', 'LINE', 'FILE'], ...rows]
  },
  config: async (_pins, _args, agent) => {
    const found = await agent.get<{ status?: { datapath?: Record<string, unknown> } }>('/config')
    return [['KEY', 'VALUE'], ...Object.entries(found.status?.datapath ?? {}).map(([k, v]) => [k, String(v)])]
  },
}

/** One connection in the words of Cilium's `bpf ct list`; the side that opened comes first. */
function flowLine(k: FlowKey, f: Flow): string {
  const [o, r] = f.origin === 0 ? [0, 1] : [1, 0]
  const ends = [hostPort(k.a, k.portA), hostPort(k.b, k.portB)]
  const kind = (f.flags & FlowFlags.FLOW_SERVICE) !== 0 ? 'SVC' : (f.endpoint[o] ?? 0) !== 0 ? 'OUT' : 'IN'
  return (
    `${protocolText(k.protocol)} ${kind} ${ends[o]} -> ${ends[r]} ` +
    `Packets=${f.packets[o]} Bytes=${f.bytes[o]} RepliesPackets=${f.packets[r]} RepliesBytes=${f.bytes[r]} ` +
    `RxFlagsSeen=${hex(f.tcpFlags >> 8)} TxFlagsSeen=${hex(f.tcpFlags & 255)} Flags=${hex(f.flags)} Closing=${f.closing} ` +
    `SourceSecurityID=${f.identity[o]} DestinationSecurityID=${f.identity[r]} EgressRule=${f.rule[1]} IngressRule=${f.rule[0]} Epoch=${f.epoch}`
  )
}

export async function show(
  agent: Agent,
  noun: string,
  args: readonly string[],
  output: string | undefined,
  root: string,
): Promise<void> {
  const view = views[noun]
  if (view === undefined) throw new Error(`bpf ${noun}: not known`)
  const rows = await view(pinsOf(root), args, agent)
  const [head, ...body] = rows
  const value =
    noun === 'ct' || noun === 'nat'
      ? rows.map((r) => r[0])
      : body.map((r) => Object.fromEntries(r.map((cell, i) => [head?.[i] ?? '', cell])))
  if (!printed(value, output)) print(columns(rows))
}
