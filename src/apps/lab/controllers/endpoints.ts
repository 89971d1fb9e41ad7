// SPDX-License-Identifier: Apache-2.0
import { type KubeObject, sameJson } from '../../../protocol/kubeapi/object.ts'
import { matchesLabels } from '../../../protocol/kubeapi/selector.ts'
import type { Draft, Store } from '../api/store.ts'
import type {
  Endpoint,
  EndpointAddress,
  EndpointPort,
  EndpointSlice,
  Endpoints,
  Pod,
  Service,
  ServicePort,
} from './objects.ts'
import { controlledBy, remove } from './ownership.ts'
import { isReady } from './pods.ts'
import { type Controller, keyOf, splitKey } from './queue.ts'

const SLICES = 'endpointslices.discovery.k8s.io'
const MANAGER = 'endpointslice-controller.k8s.io'
const MANAGED_BY = 'endpointslice.kubernetes.io/managed-by'
const SERVICE = 'kubernetes.io/service-name'
const HEADLESS = 'service.kubernetes.io/headless'
const perSlice = 100

type Family = 'IPv4' | 'IPv6'

/** EndpointSlices and Endpoints of services with a selector; slices of others are their makers' business. */
export const endpointsController = (store: Store): Controller => ({
  name: 'endpoints',
  watches: [
    { resource: 'services', keys: (o) => [keyOf(o)] },
    {
      resource: 'pods',
      keys: (pod) =>
        store
          .list<Service>('services', { namespace: pod.metadata.namespace ?? '' })
          .filter((s) => selects(s, pod))
          .map(keyOf),
    },
    {
      resource: 'nodes',
      keys: () =>
        store
          .list<Service>('services')
          .filter((s) => s.spec.trafficDistribution)
          .map(keyOf),
    },
    {
      resource: SLICES,
      keys: (o) =>
        o.metadata.labels?.[MANAGED_BY] === MANAGER
          ? [`${o.metadata.namespace}/${o.metadata.labels[SERVICE] ?? ''}`]
          : [],
    },
  ],
  sync: (key) => {
    const [namespace, name] = splitKey(key)
    const service = store.find<Service>('services', namespace, name)
    if (!service?.spec.selector || service.metadata.deletionTimestamp || service.spec.type === 'ExternalName') {
      if (!service) {
        for (const slice of ownSlices(store, namespace, name)) remove(store, SLICES, slice)
        const endpoints = store.find('endpoints', namespace, name)
        if (endpoints?.metadata.labels?.[MANAGED_ENDPOINTS] !== undefined) remove(store, 'endpoints', endpoints)
      }
      return undefined
    }
    const pods = store.list<Pod>('pods', { namespace }).filter((p) => selects(service, p) && hasPlace(p))
    const families = service.spec.ipFamilies ?? ['IPv4']
    const wanted = families.flatMap((family) => plan(store, service, pods, family))
    writeSlices(store, service, wanted)
    writeEndpoints(store, service, pods, families[0] ?? 'IPv4')
    return undefined
  },
})

const MANAGED_ENDPOINTS = 'endpoints.kubernetes.io/managed-by'

const selects = (service: Service, pod: KubeObject): boolean =>
  !!service.spec.selector && matchesLabels({ matchLabels: service.spec.selector }, pod.metadata.labels)

const hasPlace = (pod: Pod): boolean =>
  (pod.status?.podIPs?.length ?? 0) > 0 && pod.status?.phase !== 'Succeeded' && pod.status?.phase !== 'Failed'

const addressOf = (pod: Pod, family: Family): string | undefined =>
  pod.status?.podIPs?.map((p) => p.ip).find((ip) => ip.includes(':') === (family === 'IPv6'))

interface Slice {
  readonly addressType: Family
  readonly endpoints: readonly Endpoint[]
  readonly ports: readonly EndpointPort[]
}

/** The slices of one family: pods whose named ports resolve alike share them. */
const plan = (store: Store, service: Service, pods: readonly Pod[], family: Family): readonly Slice[] => {
  const groups = new Map<string, { ports: readonly EndpointPort[]; endpoints: Endpoint[] }>()
  for (const pod of pods) {
    const address = addressOf(pod, family)
    if (address === undefined) continue
    const ports = portsOf(service, pod)
    const id = JSON.stringify(ports)
    const group = groups.get(id) ?? { ports, endpoints: [] }
    groups.set(id, group)
    group.endpoints.push(withHints(store, service, endpointOf(service, pod, address)))
  }
  const slices = [...groups.values()].flatMap(({ ports, endpoints }) =>
    chunks(endpoints).map((part) => ({ addressType: family, ports, endpoints: part })),
  )
  return slices.length > 0 ? slices : [{ addressType: family, ports: [], endpoints: [] }]
}

const chunks = (endpoints: readonly Endpoint[]): readonly (readonly Endpoint[])[] =>
  Array.from({ length: Math.ceil(endpoints.length / perSlice) }, (_, i) =>
    endpoints.slice(i * perSlice, (i + 1) * perSlice),
  )

const endpointOf = (service: Service, pod: Pod, address: string): Endpoint => {
  const terminating = pod.metadata.deletionTimestamp !== undefined
  const serving = isReady(pod)
  const ready = service.spec.publishNotReadyAddresses === true || (serving && !terminating)
  return {
    addresses: [address],
    conditions: { ready, serving, terminating },
    ...(pod.spec.hostname && pod.spec.subdomain === service.metadata.name ? { hostname: pod.spec.hostname } : {}),
    ...(pod.spec.nodeName ? { nodeName: pod.spec.nodeName } : {}),
    targetRef: { kind: 'Pod', namespace: pod.metadata.namespace ?? '', name: pod.metadata.name, uid: pod.metadata.uid },
  }
}

/** An endpoint with its zone, and for which clients it is where the service asks for near ones. */
const withHints = (store: Store, service: Service, endpoint: Endpoint): Endpoint => {
  const node = endpoint.nodeName === undefined ? undefined : store.find('nodes', '', endpoint.nodeName)
  const zone = node?.metadata.labels?.['topology.kubernetes.io/zone']
  const near = ['PreferClose', 'PreferSameZone', 'PreferSameNode'].includes(service.spec.trafficDistribution ?? '')
  const forNodes = service.spec.trafficDistribution === 'PreferSameNode' && node !== undefined
  const hints = {
    ...(zone === undefined ? {} : { forZones: [{ name: zone }] }),
    ...(forNodes ? { forNodes: [{ name: endpoint.nodeName ?? '' }] } : {}),
  }
  return {
    ...endpoint,
    ...(zone === undefined ? {} : { zone }),
    ...(near && endpoint.conditions?.ready && Object.keys(hints).length > 0 ? { hints } : {}),
  }
}

const portsOf = (service: Service, pod: Pod): readonly EndpointPort[] =>
  (service.spec.ports ?? []).flatMap((p) => {
    const port = targetPort(p, pod)
    if (port === undefined) return []
    return [
      {
        name: p.name ?? '',
        protocol: p.protocol ?? 'TCP',
        port,
        ...(p.appProtocol ? { appProtocol: p.appProtocol } : {}),
      },
    ]
  })

const targetPort = (port: ServicePort, pod: Pod): number | undefined => {
  const target = port.targetPort ?? port.port
  if (typeof target === 'number') return target || port.port
  const containers = [
    ...pod.spec.containers,
    ...(pod.spec.initContainers ?? []).filter((c) => c['restartPolicy'] === 'Always'),
  ]
  return containers
    .flatMap((c) => c.ports ?? [])
    .find((p) => p.name === target && (p.protocol ?? 'TCP') === (port.protocol ?? 'TCP'))?.containerPort
}

const ownSlices = (store: Store, namespace: string, service: string): readonly EndpointSlice[] =>
  store.list<EndpointSlice>(SLICES, { namespace, labels: `${SERVICE}=${service},${MANAGED_BY}=${MANAGER}` })

/** Reuses the slices that are there, in order, so that a change of one pod is a change of one slice. */
const writeSlices = (store: Store, service: Service, wanted: readonly Slice[]) => {
  const { namespace = '', name } = service.metadata
  const spare = [...ownSlices(store, namespace, name)]
  const labels = {
    ...service.metadata.labels,
    [SERVICE]: name,
    [MANAGED_BY]: MANAGER,
    ...(service.spec.clusterIP === 'None' ? { [HEADLESS]: '' } : {}),
  }
  for (const slice of wanted) {
    const at = spare.findIndex((s) => s.addressType === slice.addressType)
    const held = at < 0 ? undefined : spare.splice(at, 1)[0]
    if (!held) {
      const metadata = { generateName: `${name}-`, namespace, labels, ownerReferences: [controlledBy(service)] }
      store.create(SLICES, { apiVersion: 'discovery.k8s.io/v1', kind: 'EndpointSlice', metadata, ...slice })
    } else if (
      !sameJson([held.endpoints, held.ports ?? [], held.metadata.labels], [slice.endpoints, slice.ports, labels])
    ) {
      store.modify(SLICES, namespace, held.metadata.name, (s) => ({
        ...s,
        ...slice,
        metadata: { ...s.metadata, labels },
      }))
    }
  }
  for (const slice of spare) remove(store, SLICES, slice)
}

const writeEndpoints = (store: Store, service: Service, pods: readonly Pod[], family: Family) => {
  const { namespace = '', name } = service.metadata
  const groups = new Map<
    string,
    { ports: readonly EndpointPort[]; addresses: EndpointAddress[]; notReadyAddresses: EndpointAddress[] }
  >()
  for (const pod of pods) {
    const ip = addressOf(pod, family)
    if (ip === undefined || pod.metadata.deletionTimestamp) continue
    const ports = portsOf(service, pod).map(({ name: portName, ...p }) => (portName ? { name: portName, ...p } : p))
    const id = JSON.stringify(ports)
    const group = groups.get(id) ?? { ports, addresses: [], notReadyAddresses: [] }
    groups.set(id, group)
    const { conditions, addresses: _, ...rest } = endpointOf(service, pod, ip)
    const list = conditions?.ready ? group.addresses : group.notReadyAddresses
    list.push({ ip, ...rest })
  }
  const subsets = [...groups.values()].map((g) => ({
    ...(g.addresses.length > 0 ? { addresses: g.addresses } : {}),
    ...(g.notReadyAddresses.length > 0 ? { notReadyAddresses: g.notReadyAddresses } : {}),
    ports: g.ports,
  }))
  const labels = {
    ...service.metadata.labels,
    [MANAGED_ENDPOINTS]: 'endpoint-controller',
    ...(service.spec.clusterIP === 'None' ? { [HEADLESS]: '' } : {}),
  }
  const held = store.find<Endpoints>('endpoints', namespace, name)
  const draft: Draft = {
    apiVersion: 'v1',
    kind: 'Endpoints',
    metadata: { name, namespace, labels },
    ...(subsets.length > 0 ? { subsets } : {}),
  }
  if (!held) store.create('endpoints', draft)
  else if (!sameJson([held.subsets ?? [], held.metadata.labels], [subsets, labels])) store.update('endpoints', draft)
}
