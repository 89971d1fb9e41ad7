// SPDX-License-Identifier: Apache-2.0
import { canonicalAddress } from '../../base/ip.ts'
import { objectKey } from '../../model/meta.ts'
import type { Pod, Protocol } from '../../model/pod.ts'
import { endpointSlices, nodes, pods, services, settings } from '../../model/rows.ts'
import type { EndpointSlice, Service, ServicePort, SliceEndpoint } from '../../model/service.ts'
import { deriveAll, deriveEach, type Read } from '../../table/definition.ts'

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
    if (!isOurs(service, read)) return []
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
            backends: backendsOf(slices, port, address.includes(':'), onlyNode, read),
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

/** Whether this node's proxy is the one that serves it, and somebody is to. */
export const isOurs = (service: Service, read: Read): boolean =>
  service.type !== 'ExternalName' &&
  // Its clients choose among the endpoints themselves, even where it has an address.
  service.labels['service.kubernetes.io/headless'] === undefined &&
  (service.labels['service.kubernetes.io/service-proxy-name'] ?? '') ===
    (read.get(settings, 'settings')?.k8sServiceProxyName ?? '')

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
  read: Read,
): readonly Backend[] {
  const near = onlyNode === undefined ? nearby(slices, ipv6, read) : undefined
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
        if (e.ready && (near?.(e) ?? true)) ready.set(backendKey(b), b)
        else if (e.serving && e.terminating) draining.set(backendKey(b), b)
      }
    }
  }
  // Those on their way out serve only while nobody else does.
  const chosen = ready.size > 0 ? ready : draining
  return [...chosen.keys()].sort().map((key) => chosen.get(key) as Backend)
}

/** Who of the ready endpoints is meant for clients of this node; undefined: everyone. */
function nearby(
  slices: readonly EndpointSlice[],
  ipv6: boolean,
  read: Read,
): ((e: SliceEndpoint) => boolean) | undefined {
  const config = read.get(settings, 'settings')
  const ready = slices
    .filter((s) => (s.addressType === 'IPv6') === ipv6)
    .flatMap((s) => s.endpoints.filter((e) => e.ready))
  // Hints count when every endpoint has one, as while they are written only some do.
  if (!config?.enableServiceTopology || !ready.some((e) => e.forZones.length > 0 || e.forNodes.length > 0)) return
  const here = (e: SliceEndpoint): boolean => e.forNodes.includes(config.nodeName)
  if (ready.every((e) => e.forNodes.length > 0) && ready.some(here)) return here
  const zone = read.get(nodes, config.nodeName)?.labels['topology.kubernetes.io/zone'] ?? ''
  const inZone = (e: SliceEndpoint): boolean => e.forZones.includes(zone)
  return zone !== '' && ready.every((e) => e.forZones.length > 0) && ready.some(inZone) ? inZone : undefined
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
