// SPDX-License-Identifier: Apache-2.0
import { canonicalAddress } from '../../base/ip.ts'
import {
  type BackendRow,
  type ServiceRow,
  type SlotsRow,
  type SourceRangeRow,
  serviceFlag,
} from '../../model/datapath.ts'
import { objectKey } from '../../model/meta.ts'
import type { Pod, Protocol } from '../../model/pod.ts'
import { endpointSlices, nodes, pods, services, settings } from '../../model/rows.ts'
import type { EndpointSlice, Service, ServicePort } from '../../model/service.ts'
import { allocate, deriveAll, deriveEach, type Read } from '../../table/definition.ts'
import { freeRange, nextFree, numbersByHash } from '../numbers.ts'

export const protocolNumber = { TCP: 6, UDP: 17, SCTP: 132 } as const

/** A place that can be connected to behind a service. */
export interface Backend {
  readonly address: string
  readonly port: number
  readonly protocol: Protocol
}

/** An address and port that stand for backends. */
export interface Frontend {
  readonly service: string
  readonly portName: string
  readonly type: 'ClusterIP' | 'NodePort' | 'ExternalIPs' | 'LoadBalancer' | 'HostPort'
  readonly address: string
  readonly port: number
  readonly protocol: Protocol
  /** 1: what the wire sees, where that is another choice of backends. */
  readonly scope: 0 | 1
  /** The wire sees the other scope. */
  readonly twoScopes: boolean
  readonly backends: readonly Backend[]
  /** Seconds a client keeps its backend, 0: each time another. */
  readonly affinity: number
  /** Prefixes of the wire that may ask; none: everybody. */
  readonly ranges: readonly string[]
}

export const backendKey = (b: Backend): string => `${b.address} ${b.port}/${b.protocol}`
export const frontendKey = (f: Pick<Frontend, 'address' | 'port' | 'protocol'> & { readonly scope: number }): string =>
  `${f.address} ${f.port}/${f.protocol}${f.scope === 0 ? '' : ' by wire'}`

/** Frontends as each service wants them; two may want the same address. */
export const wantedFrontends = deriveEach<Service, Frontend>(
  'wantedFrontends',
  services,
  { key: (f) => `${frontendKey(f)} ${f.service}`, indexes: { frontend: (f) => [frontendKey(f)] } },
  (service, read) => {
    if (service.type === 'ExternalName') return []
    const slices = read.by(endpointSlices, 'service', objectKey(service))
    const out = new Map<string, Frontend>()
    const own = read.get(settings, 'settings')?.nodeName ?? ''
    for (const port of service.ports)
      for (const { address, type, number } of addressesOf(service, port, read)) {
        const external = type !== 'ClusterIP'
        const twoScopes = external && service.externalTrafficPolicy === 'Local'
        const put = (scope: Frontend['scope'], onlyNode: string | undefined): void => {
          const f: Frontend = {
            service: objectKey(service),
            portName: port.name,
            type,
            address,
            port: number,
            protocol: port.protocol,
            scope,
            twoScopes: twoScopes && scope === 0,
            backends: backendsOf(slices, port, address.includes(':'), onlyNode),
            affinity: service.sessionAffinity === 'ClientIP' ? service.affinitySeconds : 0,
            ranges:
              type === 'LoadBalancer'
                ? service.loadBalancerSourceRanges.filter((p) => p.includes(':') === address.includes(':'))
                : [],
          }
          out.set(frontendKey(f), f)
        }
        put(0, !external && service.internalTrafficPolicy === 'Local' ? own : undefined)
        if (twoScopes) put(1, own)
      }
    return [...out.values()]
  },
)

/** Programs of the node ask its ports here too; a pod's is its own. */
export const loopback: readonly string[] = ['127.0.0.1', '::1']

interface Place {
  readonly address: string
  readonly type: Frontend['type']
  readonly number: number
}

function addressesOf(service: Service, port: ServicePort, read: Read): readonly Place[] {
  const config = read.get(settings, 'settings')
  if (!config) return []
  const out: Place[] = []
  const put = (texts: readonly string[], type: Place['type'], number: number) => {
    for (const text of texts) {
      const address = canonicalAddress(text)
      if (address !== undefined && (address.includes(':') ? config.enableIpv6 : config.enableIpv4))
        out.push({ address, type, number })
    }
  }
  put(service.clusterIPs, 'ClusterIP', port.port)
  put(service.externalIPs, 'ExternalIPs', port.port)
  put(service.loadBalancerIPs, 'LoadBalancer', port.port)
  if (port.nodePort !== 0) {
    const own = read.get(nodes, config.nodeName)?.addresses.filter((a) => a.type !== 'Hostname') ?? []
    put([...own.map((a) => a.address), ...loopback], 'NodePort', port.nodePort)
  }
  return out
}

function backendsOf(
  slices: readonly EndpointSlice[],
  port: ServicePort,
  ipv6: boolean,
  onlyNode: string | undefined,
): readonly Backend[] {
  const ready = new Map<string, Backend>()
  const draining = new Map<string, Backend>()
  for (const slice of slices) {
    if ((slice.addressType === 'IPv6') !== ipv6) continue
    const target = slice.ports.find((p) => p.name === port.name && p.protocol === port.protocol)
    if (!target) continue
    for (const e of slice.endpoints) {
      if (onlyNode !== undefined && e.nodeName !== onlyNode) continue
      for (const text of e.addresses) {
        const address = canonicalAddress(text)
        if (address === undefined) continue
        const b = { address, port: target.port, protocol: port.protocol }
        if (e.ready) ready.set(backendKey(b), b)
        else if (e.serving && e.terminating) draining.set(backendKey(b), b)
      }
    }
  }
  // Those on their way out serve only while nobody else does.
  const chosen = ready.size > 0 ? ready : draining
  return [...chosen.keys()].sort().map((key) => chosen.get(key) as Backend)
}

const everyAddress = new Set(['', '0.0.0.0', '::'])

/** Ports of this node that stand for ports of its pods, on the addresses of the pod's families. */
export const hostPortFrontends = deriveEach<Pod, Frontend>(
  'hostPortFrontends',
  pods,
  { key: (f) => `${frontendKey(f)} ${f.service}` },
  (pod, read) => {
    if (!pod.hostPorts || pod.phase === 'Succeeded' || pod.phase === 'Failed') return []
    const config = read.get(settings, 'settings')
    if (!config || pod.nodeName !== config.nodeName) return []
    const named = (read.get(nodes, config.nodeName)?.addresses ?? [])
      .filter((a) => a.type !== 'Hostname')
      .flatMap((a) => canonicalAddress(a.address) ?? [])
    const own = [...named, ...loopback]
    const out = new Map<string, Frontend>()
    for (const { hostIP, hostPort, containerPort, protocol } of pod.hostPorts)
      for (const address of own) {
        if (!everyAddress.has(hostIP) && canonicalAddress(hostIP) !== address) continue
        const to = pod.podIPs.map(canonicalAddress).find((a) => a?.includes(':') === address.includes(':'))
        if (to === undefined) continue
        const f: Frontend = {
          service: `${objectKey(pod)}/host-port/${hostPort}`,
          portName: '',
          type: 'HostPort',
          address,
          port: hostPort,
          protocol,
          scope: 0,
          twoScopes: false,
          backends: [{ address: to, port: containerPort, protocol }],
          affinity: 0,
          ranges: [],
        }
        out.set(frontendKey(f), f)
      }
    return [...out.values()]
  },
)

/** Each frontend once; the first service by name keeps an address that two want. */
export const frontends = deriveAll<Frontend>(
  'frontends',
  [wantedFrontends, hostPortFrontends],
  {
    key: frontendKey,
    indexes: { service: (f) => [f.service] },
    columns: [
      ['FRONTEND', frontendKey],
      ['TYPE', (f) => f.type],
      ['SERVICE', (f) => f.service],
      ['BACKENDS', (f) => f.backends.map(backendKey).join(', ')],
    ],
  },
  (read) => {
    const out = new Map<string, Frontend>()
    for (const f of [...read.all(wantedFrontends), ...read.all(hostPortFrontends)])
      if (!out.has(frontendKey(f))) out.set(frontendKey(f), f)
    return [...out.values()]
  },
)

/** A service's number: its frontend's place in reverse translation, as `bpf lb list` prints it. */
export interface ServiceNumber {
  readonly frontend: string
  readonly id: number
}

export const serviceNumbers = allocate<Frontend, ServiceNumber>(
  'serviceNumbers',
  frontends,
  { key: (n) => n.frontend, indexes: { id: (n) => [String(n.id)] } },
  (wanted, held) => {
    const known = new Map(held.map((h) => [h.frontend, h.id]))
    return [...numbersByHash(wanted.map(frontendKey), known, 1, 65535)].map(([frontend, id]) => ({ frontend, id }))
  },
)

/** Backend numbers; those given up rest for a turn, because slots the kernel still uses may name them. */
export interface BackendNumber {
  /** Key of the backend, or `cursor`. */
  readonly key: string
  readonly number: number
  readonly backend?: Backend
}

const backendLimit = 65536

export const backendNumbers = allocate<Frontend, BackendNumber>(
  'backendNumbers',
  frontends,
  { key: (b) => b.key },
  (wanted, held) => {
    const before = new Map(held.map((h) => [h.key, h.number]))
    const all = new Map(wanted.flatMap((f) => f.backends.map((b) => [backendKey(b), b])))
    const used = new Set(held.filter((h) => h.backend).map((h) => h.number))
    let next = before.get('cursor') ?? 1
    const out: BackendNumber[] = []
    for (const [key, backend] of all) {
      let number = before.get(key)
      if (number === undefined) {
        number = nextFree(1, backendLimit - 1, next, (n) => used.has(n))
        if (number === undefined) continue
        used.add(number)
        next = number + 1
      }
      out.push({ key, number, backend })
    }
    return [...out, { key: 'cursor', number: next }]
  },
)

/** Runs of slots: another list of backends is another run, written before the service points at it. */
export interface SlotRun {
  /** Key of the frontend, `cursor`, or `kernel ` and the key: what the kernel held when the agent started. */
  readonly frontend: string
  readonly first: number
  readonly backends: readonly number[]
}

const kernelRun = (frontend: string): string => `kernel ${frontend}`

const slotLimit = 262144

export const slotRuns = allocate<Frontend, SlotRun>(
  'slotRuns',
  frontends,
  { key: (s) => s.frontend },
  (wanted, held, read) => {
    const before = new Map(held.map((h) => [h.frontend, h]))
    const kept: SlotRun[] = []
    const fresh: { readonly frontend: string; readonly backends: readonly number[] }[] = []
    for (const f of wanted) {
      const frontend = frontendKey(f)
      const backends = f.backends.flatMap((b) => read.get(backendNumbers, backendKey(b))?.number ?? [])
      const same = [before.get(frontend), before.get(kernelRun(frontend))].find(
        (run) => run?.backends.join() === backends.join(),
      )
      if (same) kept.push({ ...same, frontend })
      else fresh.push({ frontend, backends })
    }
    let next = before.get('cursor')?.first ?? 0
    // What was in use before this turn is still in use in the kernel during it.
    const used = [...before.values()].map((r) => ({ first: r.first, count: r.backends.length }))
    for (const { frontend, backends } of fresh) {
      const first = freeRange(used, backends.length, slotLimit, next)
      if (first === undefined) continue
      used.push({ first, count: backends.length })
      kept.push({ frontend, first, backends })
      next = first + backends.length
    }
    return [...kept, { frontend: 'cursor', first: next, backends: [] }]
  },
  [backendNumbers],
)

/**
 * What the kernel holds of services, as memory of the allocations above. With other numbers after a restart connections
 * made while entries are exchanged would reach another service's backends.
 */
export function heldServices(
  services: readonly ServiceRow[],
  slots: readonly SlotsRow[],
  backends: readonly BackendRow[],
): {
  readonly services: readonly ServiceNumber[]
  readonly runs: readonly SlotRun[]
  readonly backends: readonly BackendNumber[]
} {
  const runs = new Map(slots.map((s) => [s.first, s.backends]))
  const known = services.flatMap((row) => {
    const protocol = protocolName(row.protocol)
    const run = row.count === 0 ? [] : runs.get(row.slots)?.slice(0, row.count)
    return protocol && run ? [{ row, run, frontend: frontendKey({ ...row, protocol }) }] : []
  })
  const numbers = new Map<string, BackendNumber>()
  for (const { backend: number, address, port, protocol: n } of backends) {
    const protocol = protocolName(n)
    const backend = protocol && { address, port, protocol }
    if (backend) numbers.set(backendKey(backend), { key: backendKey(backend), number, backend })
  }
  const end = Math.max(0, ...known.map(({ row }) => row.slots + row.count))
  const next = 1 + Math.max(0, ...backends.map((b) => b.backend))
  return {
    services: known.map(({ row, frontend }) => ({ frontend, id: row.id })),
    runs: [
      ...known.map(({ row, run, frontend }) => ({ frontend: kernelRun(frontend), first: row.slots, backends: run })),
      { frontend: 'cursor', first: end, backends: [] },
    ],
    backends: [...numbers.values(), { key: 'cursor', number: next }],
  }
}

const protocolName = (number: number): Protocol | undefined =>
  (Object.keys(protocolNumber) as Protocol[]).find((name) => protocolNumber[name] === number)

/** cilium_backends */
export const backendRows = deriveEach<BackendNumber, BackendRow>(
  'backends',
  backendNumbers,
  {
    key: (b) => String(b.backend),
    columns: [
      ['ID', (b) => String(b.backend)],
      ['ADDRESS', (b) => b.address],
      ['PORT', (b) => String(b.port)],
    ],
  },
  ({ number, backend }) =>
    backend
      ? [
          {
            backend: number,
            address: backend.address,
            port: backend.port,
            protocol: protocolNumber[backend.protocol],
            state: 0,
          },
        ]
      : [],
)

/** cilium_backend_slots */
export const slotRows = deriveEach<SlotRun, SlotsRow>(
  'backendSlots',
  slotRuns,
  { key: (s) => String(s.first) },
  ({ frontend, first, backends }) =>
    backends.length === 0 || frontend.startsWith(kernelRun('')) ? [] : [{ first, backends }],
)

/** cilium_services */
export const serviceRows = deriveEach<Frontend, ServiceRow>(
  'serviceEntries',
  frontends,
  {
    key: (s) => `${s.address} ${s.port}/${s.protocol}/${s.scope}`,
    indexes: { id: (s) => [String(s.id)] },
    columns: [
      ['ID', (s) => String(s.id)],
      ['ADDRESS', (s) => s.address],
      ['PORT', (s) => String(s.port)],
      ['BACKENDS', (s) => String(s.count)],
    ],
  },
  (f, read) => {
    const run = read.get(slotRuns, frontendKey(f))
    const id = read.get(serviceNumbers, frontendKey(f))?.id
    if (!run || id === undefined) return []
    return [
      {
        address: f.address,
        port: f.port,
        protocol: protocolNumber[f.protocol],
        scope: f.scope,
        slots: run.first,
        count: run.backends.length,
        flags:
          (f.type === 'ClusterIP' ? 0 : serviceFlag.external) |
          (f.twoScopes ? serviceFlag.twoScopes : 0) |
          (f.ranges.length > 0 ? serviceFlag.ranges : 0),
        id,
        affinity: f.affinity,
      },
    ]
  },
)

/** cilium_source_ranges */
export const sourceRangeRows = deriveEach<Frontend, SourceRangeRow>(
  'sourceRanges',
  frontends,
  { key: (r) => `${r.id} ${r.prefix}` },
  (f, read) => {
    const id = read.get(serviceNumbers, frontendKey(f))?.id
    return id === undefined ? [] : [...new Set(f.ranges)].map((prefix) => ({ id, prefix }))
  },
)
