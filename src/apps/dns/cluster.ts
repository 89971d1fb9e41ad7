// SPDX-License-Identifier: Apache-2.0
import type { Kube } from '../../edge/kube/client.ts'
import { type Listener, reflect } from '../../edge/kube/reflector.ts'
import { ENDPOINT_SLICES, type KubeObject, SERVICES } from '../../edge/kube/resource.ts'
import type { ServiceFacts, SliceFacts, Zone } from './zone.ts'

interface ServiceObject extends KubeObject {
  readonly spec?: {
    readonly type?: string
    readonly clusterIP?: string
    readonly clusterIPs?: readonly string[]
    readonly externalName?: string
    readonly publishNotReadyAddresses?: boolean
    readonly ports?: readonly { readonly name?: string; readonly protocol?: string; readonly port: number }[]
  }
}

interface SliceObject extends KubeObject {
  readonly endpoints?: readonly {
    readonly addresses: readonly string[]
    readonly hostname?: string
    readonly conditions?: { readonly ready?: boolean }
  }[]
  readonly ports?: readonly { readonly name?: string; readonly protocol?: string; readonly port?: number }[]
}

const SERVICE_NAME = 'kubernetes.io/service-name'

/** What a Service says about names. */
export const serviceFacts = ({ metadata, spec = {} }: ServiceObject): ServiceFacts => ({
  namespace: metadata.namespace ?? '',
  name: metadata.name,
  clusterIPs:
    spec.type === 'ExternalName'
      ? []
      : (spec.clusterIPs ?? [spec.clusterIP ?? '']).filter((ip) => ip !== '' && ip !== 'None'),
  ...(spec.type === 'ExternalName' ? { externalName: spec.externalName ?? '' } : {}),
  publishNotReady: spec.publishNotReadyAddresses ?? false,
  ports: (spec.ports ?? []).map((p) => ({ name: p.name ?? '', protocol: p.protocol ?? 'TCP', port: p.port })),
})

/** What an EndpointSlice says about names. */
export const sliceFacts = ({ metadata, endpoints, ports }: SliceObject): SliceFacts => ({
  namespace: metadata.namespace ?? '',
  name: metadata.name,
  service: metadata.labels?.[SERVICE_NAME] ?? '',
  endpoints: (endpoints ?? []).map((e) => ({
    addresses: e.addresses,
    ...(e.hostname ? { hostname: e.hostname } : {}),
    ready: e.conditions?.ready !== false,
  })),
  ports: (ports ?? []).flatMap((p) =>
    p.port === undefined ? [] : [{ name: p.name ?? '', protocol: p.protocol ?? 'TCP', port: p.port }],
  ),
})

/** Keeps the zone told by list and watch until the signal aborts; `synced` is called once both kinds are known. */
export const followCluster = (
  kube: Kube,
  zone: Zone,
  synced: () => void,
  signal: AbortSignal,
  log: (text: string) => void,
): Promise<unknown> => {
  const waiting = new Set(['services', 'endpointslices'])
  const known = (kind: string) => {
    if (waiting.delete(kind) && waiting.size === 0) synced()
  }
  return Promise.all([
    reflect<ServiceObject>(
      kube,
      { resource: SERVICES },
      listener('services', (o) => zone.setService(serviceFacts(o)), zone.removeService, known, log),
      signal,
    ),
    reflect<SliceObject>(
      kube,
      { resource: ENDPOINT_SLICES },
      listener('endpointslices', (o) => zone.setSlice(sliceFacts(o)), zone.removeSlice, known, log),
      signal,
    ),
  ])
}

const listener = <T extends KubeObject>(
  kind: string,
  set: (object: T) => void,
  remove: (namespace: string, name: string) => void,
  known: (kind: string) => void,
  log: (text: string) => void,
): Listener<T> => {
  const held = new Map<string, T>()
  const key = (o: T) => `${o.metadata.namespace}/${o.metadata.name}`
  const put = (o: T) => {
    held.set(key(o), o)
    set(o)
  }
  const drop = (o: T) => {
    held.delete(key(o))
    remove(o.metadata.namespace ?? '', o.metadata.name)
  }
  return {
    replaced: (objects) => {
      const now = new Set(objects.map(key))
      for (const [at, object] of held) if (!now.has(at)) drop(object)
      for (const object of objects) put(object)
      known(kind)
    },
    changed: (events) => {
      for (const { type, object } of events) (type === 'put' ? put : drop)(object)
    },
    health: (error) => {
      if (error) log(`watching ${kind}: ${error.message}`)
    },
  }
}
