// SPDX-License-Identifier: Apache-2.0
// A node for the tests: the real objects loaded with maps of their own, in a network namespace of this process, and
// words to fill the maps with. Packets are handed to programs by BPF_PROG_TEST_RUN; redirects are not carried out.
import { execFileSync } from 'node:child_process'
import { join } from 'node:path'
import {
  type Config,
  configLayout,
  counterLayout,
  type Event,
  eventLayout,
  type Flow,
  maps,
  type Owner,
  type PolicyCell,
} from '../../../gen/contract.ts'
import { address, parsePrefix, prefix, printAddress } from '../../../src/base/ip.ts'
import { classesTarget } from '../../../src/edge/kernel/classes.ts'
import { type BpfMap, contractCounters, contractMap } from '../../../src/edge/kernel/map.ts'
import { type LoadedObject, loadObject } from '../../../src/edge/kernel/object.ts'
import { openRingBuffer } from '../../../src/edge/kernel/ringbuf.ts'
import { type PacketContext, runOnPacket } from '../../../src/edge/kernel/run.ts'
import { unshare } from '../../../src/edge/kernel/syscall.ts'
import type { ClassesRow } from '../../../src/model/datapath.ts'
import { table } from '../../../src/table/definition.ts'
import type { Outcome } from '../../../src/table/target.ts'
import { ETH_IPV4, ETH_IPV6, gatewayMac, podMac, readIp, type Seen } from './packet.ts'

const root = join(import.meta.dirname, '../../..')
const CLONE_NEWNET = 0x40000000
export const none = new Uint8Array(16)

export const verdicts = { none: 0, allow: 1, deny: 2, redirect: 3, audit: 4 } as const
export const TC_OK = 0
export const TC_SHOT = 2
export const TC_REDIRECT = 7

/** A program of the datapath. */
export type Program = 'from_pod' | 'to_pod' | 'from_wire' | 'from_host' | 'from_net' | 'to_wire'

export interface Result {
  readonly value: number
  /** From the Ethernet header on. */
  readonly packet: Uint8Array
  readonly seen: Seen | undefined
  readonly mark: number
  readonly events: readonly Event[]
  /** Nanoseconds, when repeated. */
  readonly duration: number
}

/** Columns are ranges of ports of a space (tcp 0, udp 1, sctp 2, icmp 3, icmpv6 4); what none covers is column 0. */
export interface Table {
  readonly columns?: readonly (readonly [space: number, first: number, last: number])[]
  /** Class of identities; others are class 0. */
  readonly classes?: Readonly<Record<number, number>>
  /** Cells by class, then column: [verdict, rule, rule by which staged policies would decide, listener of a redirect]. */
  readonly cells: readonly (readonly (readonly [
    verdict: keyof typeof verdicts,
    rule: number,
    staged?: number,
    proxyPort?: number,
  ])[])[]
}

export type TestNode = ReturnType<typeof openNode>

/** Devices of the test's namespace, in this order from 2 on. */
export const devices = { podA: 2, podB: 3, wire: 4, gone: 5 } as const

export function enterNamespace(): void {
  unshare(CLONE_NEWNET)
  const ip = (line: string): void => void execFileSync('ip', line.split(' '), { stdio: 'pipe' })
  ip('link set lo up')
  for (const [name, index] of Object.entries(devices)) {
    ip(`link add ${name.toLowerCase()} index ${index} type veth peer name far${index} index ${index + 10}`)
    ip(`link set far${index} up`)
    ip(`link set ${name.toLowerCase()} up`)
  }
  ip('addr add 192.168.1.1/24 dev wire')
  ip('addr add fd00:1::1/64 dev wire nodad')
  ip('route add default via 192.168.1.254')
  ip('route add default via fd00:1::fe')
  execFileSync('sysctl', ['-qw', 'net.ipv4.ip_forward=1', 'net.ipv6.conf.all.forwarding=1'])
}

export function openNode(settings: Partial<Config> = {}, maxEntries: Readonly<Record<string, number>> = {}) {
  const config: Config = {
    nodeIpv4: address('192.168.1.1'),
    nodeIpv6: address('fd00:1::1'),
    gatewayIpv4: address('10.0.0.1'),
    gatewayIpv6: address('fd00:10::1'),
    nativeIpv4: address('10.0.0.0'),
    nativeIpv6: address('fd00:10::'),
    nativeIpv4Bits: 96 + 8,
    nativeIpv6Bits: 32,
    wire: devices.wire,
    net: devices.gone,
    tunnel: 0,
    tunnelPort: 8472,
    tunnelMtu: 1450,
    wireMtu: 1500,
    natPortFirst: 40000,
    natPortLast: 40999,
    masqueradeIpv4: 1,
    masqueradeIpv6: 1,
    dualWorld: 1,
    gatewayMac,
    podMac,
    tcpTimeout: 8000,
    synTimeout: 60,
    anyTimeout: 60,
    dropEventsPerSecond: 0,
    hz: 0,
    tcpPeerNames: 0,
    socketEvents: 0,
    hostFirewall: 0,
    namespace: 0,
    ...settings,
  }
  const constants = new Uint8Array(configLayout.size)
  configLayout.write(new DataView(constants.buffer), 0, config)
  const sizes = { cilium_events: 1 << 16, cilium_flows: 1024, cilium_nat: 1024, ...maxEntries }
  const objects: LoadedObject[] = []
  const load = (name: string): LoadedObject => {
    const first = objects[0]
    const shared = first ? new Map([...first.maps].filter(([map]) => map in maps)) : undefined
    const object = loadObject(join(root, `build/bpf/${name}.o`), {
      constants: { config: constants },
      maxEntries: first ? {} : sizes,
      ...(shared ? { shared } : {}),
    })
    objects.push(object)
    return object
  }
  const pod = load('pod')
  const host = load('host')
  const socket = load('socket')
  const ring = openRingBuffer(pod.map('cilium_events'))
  const counters = contractCounters(maps.cilium_metrics, pod.map('cilium_metrics'))
  const ruleCounters = contractCounters(maps.cilium_rule_counters, pod.map('cilium_rule_counters'))
  const open = <K, V>(spec: Parameters<typeof contractMap<K, V>>[0]): BpfMap<K, V> =>
    contractMap(spec, pod.map(spec.name))
  const owners = open(maps.cilium_owners)
  const ipcache = open(maps.cilium_ipcache)
  const interfaces = open(maps.cilium_interfaces)
  const policies = open(maps.cilium_policies)
  const flows = open(maps.cilium_flows)
  const nat = open(maps.cilium_nat)
  const epoch = open(maps.cilium_epoch)
  const tables = open(maps.cilium_policy_tables)
  const pages = open(maps.cilium_policy_pages)
  const members = classesTarget(table<ClassesRow>('classes', { key: (row) => String(row.table) }), pod.map)
  const classes = (table: number, of: ReadonlyMap<number, number>): void => {
    const [outcome] = members.write([{ table, classes: of }]) as readonly Outcome[]
    if (!outcome?.ok) throw new Error(outcome?.error)
  }
  const cells = open(maps.cilium_policy_cells)
  const services = open(maps.cilium_services)
  const slots = open(maps.cilium_backend_slots)
  const backends = open(maps.cilium_backends)
  const sourceRanges = open(maps.cilium_source_ranges)
  const affinities = open(maps.cilium_affinity)
  let nextPage = 1
  let nextCell = 0

  const drain = (): Event[] => {
    const events: Event[] = []
    ring.drain((view, offset) => void events.push(eventLayout.read(view, offset)))
    return events
  }
  const total = (map: typeof counters, key: number): number =>
    (map.get(key) ?? []).reduce((all, one) => all + one.packets, 0)
  drain()

  return {
    config,
    flows,
    nat,
    interfaces,
    /** The maps of decision tables, for tests that write their rows one by one. */
    rows: { tables, pages, classes, cells },

    /** Hands a packet to a program as if it came by a device. */
    run(program: Program, packet: Uint8Array, by: number, context: PacketContext = {}, repeat = 1): Result {
      const object = program === 'from_pod' || program === 'to_pod' ? pod : host
      const out = runOnPacket(object.program(program), packet, { interface: by, ...context }, { repeat })
      const type = (out.packet[12]! << 8) | out.packet[13]!
      const isIp = type === ETH_IPV4 || type === ETH_IPV6
      const seen = out.value === TC_REDIRECT && isIp ? readIp(out.packet.slice(14), printAddress) : undefined
      return { value: out.value, packet: out.packet, seen, mark: out.mark, events: drain(), duration: out.duration }
    },

    /** Descriptor of a program, to attach it. */
    program: (name: Program): number => (name === 'from_pod' || name === 'to_pod' ? pod : host).program(name),
    socket: (name: string): number => socket.program(name),

    /** Whose an address (or prefix) is. */
    owner(of: string, row: Partial<Owner>): void {
      const full = { identity: 0, peer: 0, interface: 0, policy: 0, endpoint: 0, flags: 0, node: none, ...row }
      const prefix = of.includes('/') ? parsePrefix(of) : undefined
      if (prefix) ipcache.put({ bits: prefix.length, address: prefix.address }, full)
      else owners.put(address(of), full)
    },

    /** A pod of this node, with its policy number. */
    pod(ifindex: number, of: { v4: string; v6: string; identity: number; policy: number }): void {
      const row = { identity: of.identity, policy: of.policy, endpoint: ifindex * 100, flags: 1 }
      interfaces.put(ifindex, { ...row, ipv4: address(of.v4), ipv6: address(of.v6), mac: podMac })
      for (const one of [of.v4, of.v6]) owners.put(address(one), { ...row, peer: 0, interface: ifindex, node: none })
    },

    policy(number: number, ingress: number, egress: number): void {
      policies.put(number, { ingress, egress })
    },

    table(number: number, of: Table): void {
      const columns = of.columns ?? []
      const width = columns.length + 1
      const page: number[][] = [0, 1, 2, 3, 4].map((space) => {
        const numbers = new Array<number>(256).fill(0)
        for (let high = 0; high < 256; high++) {
          const column = new Array<number>(256).fill(0)
          for (const [index, [in_, first, last]] of columns.entries())
            for (
              let port = Math.max(first, high << 8);
              in_ === space && port <= Math.min(last, (high << 8) | 255);
              port++
            )
              column[port & 255] = index + 1
          if (!column.some((one) => one)) continue
          numbers[high] = nextPage
          pages.put(nextPage++, { column })
        }
        return numbers
      })
      const first = nextCell
      for (const row of of.cells) {
        if (row.length !== width) throw new Error(`a class has ${row.length} cells, not ${width}`)
        for (const [verdict, rule, shadowRule = 0, proxyPort = 0] of row) {
          const cell: PolicyCell = { rule, shadowRule, verdict: verdicts[verdict], shadowVerdict: 0, proxyPort }
          cells.put(nextCell++, cell)
        }
      }
      classes(number, new Map(Object.entries(of.classes ?? {}).map(([identity, class_]) => [Number(identity), class_])))
      tables.put(number, { cells: first, columns: width, other: 0, page })
    },

    /** `flags` 1: the wire may ask for it; 3: and sees the entry of scope 1; 5: those of `ranges` may. */
    service(
      of: string,
      port: number,
      protocol: number,
      to: readonly (readonly [string, number])[],
      more: Partial<Record<'flags' | 'scope' | 'affinity', number>> & { readonly ranges?: readonly string[] } = {},
    ): void {
      const { flags = 0, scope = 0, affinity = 0, ranges = [] } = more
      const first = 10 + 10 * scope
      for (const [index, [backend, backendPort]] of to.entries()) {
        backends.put(90 + first + index, { address: address(backend), port: backendPort, protocol, state: 0 })
        slots.put(first + index, 90 + first + index)
      }
      const key = { address: address(of), port, protocol, scope }
      for (const [range] of [...sourceRanges.entries()]) sourceRanges.remove(range)
      for (const range of ranges.map(prefix))
        sourceRanges.put({ bits: 32 + range.length, service: 1, address: range.address }, 1)
      services.put(key, { slots: first, count: to.length, flags, id: 1, affinity })
    },
    forgetServices(): void {
      for (const [key] of [...services.entries()]) services.remove(key)
      for (const [key] of [...affinities.entries()]) affinities.remove(key)
    },

    /** Makes every flow this many seconds older. */
    age(seconds: number): void {
      for (const [key, flow] of [...flows.entries()])
        flows.put(key, { ...flow, seen: flow.seen - Math.ceil((seconds * 250) / 256) })
    },
    bumpEpoch(): void {
      epoch.put(0, (epoch.get(0) ?? 0) + 1)
    },
    metric: (reason: number, direction: number): number => total(counters, (reason << 2) | direction),
    rulePackets: (rule: number): number => total(ruleCounters, rule),
    flowList: (): Flow[] => [...flows.entries()].map(([, flow]) => flow),
    forgetFlows(): void {
      for (const [key] of [...flows.entries()]) flows.remove(key)
    },
    events: drain,
    close(): void {
      ring.close()
      for (const object of objects) object.close()
    },
  }
}

export const counterSize = counterLayout.size

/** Pod A here, a pod of another node, that node. */
export const A = { v4: '10.0.0.10', v6: 'fd00:10::10', identity: 1001, policy: 1 }
export const remote = { v4: '10.0.1.30', v6: 'fd00:10:1::30', identity: 1003 }
export const node2 = { v4: '192.168.1.2', v6: 'fd00:1::2' }

/** Two nodes that know these, one by native routing and one by tunnel; pod A may send everything (table 1). */
export function openBoth(): { readonly native: TestNode; readonly overlay: TestNode } {
  const native = openNode()
  const overlay = openNode({ tunnel: 1 })
  for (const node of [native, overlay]) {
    node.pod(devices.podA, A)
    for (const own of ['192.168.1.1', 'fd00:1::1']) node.owner(own, { identity: 1, flags: 2 })
    for (const other of [node2.v4, node2.v6]) node.owner(other, { identity: 6, flags: 4 })
    node.table(1, { cells: [[['allow', 10]]] })
  }
  for (const pod of [remote.v4, remote.v6]) {
    native.owner(pod, { identity: remote.identity })
    overlay.owner(pod, { identity: remote.identity, node: address(node2.v4) })
  }
  return { native, overlay }
}
