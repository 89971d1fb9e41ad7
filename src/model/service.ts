// SPDX-License-Identifier: Apache-2.0
import { canonicalPrefix } from '../base/ip.ts'
import { ok, type Result } from '../base/result.ts'
import { flag, list, number, object, text, textMap, texts } from './json.ts'
import { type Meta, parseMeta } from './meta.ts'
import { type Protocol, protocolOf } from './pod.ts'

export interface ServicePort {
  readonly name: string
  readonly protocol: Protocol
  readonly port: number
  /** 0: none. */
  readonly nodePort: number
  /** As written: a number or the name of a container port. */
  readonly targetPort: string
}

export interface Service extends Meta {
  readonly type: string
  /** 'None' and '' are left out: a headless service has no addresses. */
  readonly clusterIPs: readonly string[]
  readonly externalIPs: readonly string[]
  readonly loadBalancerIPs: readonly string[]
  readonly ports: readonly ServicePort[]
  readonly selector: { readonly [key: string]: string }
  readonly sessionAffinity: string
  readonly affinitySeconds: number
  /** Who of other machines may ask for addresses of load balancers; none: everybody. */
  readonly loadBalancerSourceRanges: readonly string[]
  readonly externalTrafficPolicy: string
  readonly internalTrafficPolicy: string
  /** Where load balancers ask for endpoints of a node; 0: nowhere. */
  readonly healthCheckNodePort: number
}

export function parseService(object_: unknown): Result<Service> {
  const meta = parseMeta(object_)
  if (!meta.ok) return meta
  const spec = object(object(object_)['spec'])
  const given = texts(spec['clusterIPs'])
  const ingress = list(object(object(object(object_)['status'])['loadBalancer'])['ingress'])
  return ok({
    ...meta.value,
    type: text(spec['type']) || 'ClusterIP',
    clusterIPs: (given.length > 0 ? given : [text(spec['clusterIP'])]).filter((a) => a !== '' && a !== 'None'),
    externalIPs: texts(spec['externalIPs']),
    loadBalancerIPs: ingress.map((i) => text(object(i)['ip'])).filter((a) => a !== ''),
    ports: list(spec['ports']).map((p) => {
      const port = object(p)
      return {
        name: text(port['name']),
        protocol: protocolOf(port['protocol']),
        port: number(port['port']),
        nodePort: number(port['nodePort']),
        targetPort: String(port['targetPort'] ?? port['port'] ?? ''),
      }
    }),
    selector: textMap(spec['selector']),
    sessionAffinity: text(spec['sessionAffinity']) || 'None',
    affinitySeconds: number(object(object(spec['sessionAffinityConfig'])['clientIP'])['timeoutSeconds']) || 10800,
    loadBalancerSourceRanges: texts(spec['loadBalancerSourceRanges']).flatMap((p) => canonicalPrefix(p.trim()) ?? []),
    externalTrafficPolicy: text(spec['externalTrafficPolicy']) || 'Cluster',
    internalTrafficPolicy: text(spec['internalTrafficPolicy']) || 'Cluster',
    healthCheckNodePort: number(spec['healthCheckNodePort']),
  })
}

export interface SliceEndpoint {
  readonly addresses: readonly string[]
  readonly ready: boolean
  readonly serving: boolean
  readonly terminating: boolean
  readonly nodeName: string
  readonly zone: string
  /** Clients of which zones and nodes should come here; none: nothing is said. */
  readonly forZones: readonly string[]
  readonly forNodes: readonly string[]
}

export interface SlicePort {
  readonly name: string
  readonly protocol: Protocol
  readonly port: number
}

export interface EndpointSlice {
  readonly namespace: string
  readonly name: string
  /** Name of the service, from the label `kubernetes.io/service-name`; '' when it belongs to none. */
  readonly service: string
  readonly addressType: string
  readonly ports: readonly SlicePort[]
  readonly endpoints: readonly SliceEndpoint[]
}

const names = (hints: unknown): readonly string[] => list(hints).map((h) => text(object(h)['name']))

export function parseEndpointSlice(object_: unknown): Result<EndpointSlice> {
  const meta = parseMeta(object_)
  if (!meta.ok) return meta
  const o = object(object_)
  return ok({
    namespace: meta.value.namespace,
    name: meta.value.name,
    service: meta.value.labels['kubernetes.io/service-name'] ?? '',
    addressType: text(o['addressType']),
    ports: list(o['ports']).map((p) => ({
      name: text(object(p)['name']),
      protocol: protocolOf(object(p)['protocol']),
      port: number(object(p)['port']),
    })),
    endpoints: list(o['endpoints']).map((e) => {
      const conditions = object(object(e)['conditions'])
      const ready = conditions['ready'] !== false
      return {
        addresses: texts(object(e)['addresses']),
        ready,
        serving: typeof conditions['serving'] === 'boolean' ? conditions['serving'] : ready,
        terminating: flag(conditions['terminating']),
        nodeName: text(object(e)['nodeName']),
        zone: text(object(e)['zone']),
        forZones: names(object(object(e)['hints'])['forZones']),
        forNodes: names(object(object(e)['hints'])['forNodes']),
      }
    }),
  })
}
