// SPDX-License-Identifier: Apache-2.0
import { isMap, type KubeObject } from '../../../protocol/kubeapi/object.ts'
import type { Store } from '../api/store.ts'
import { quantity } from '../scheduler/quantity.ts'
import type { Container, FieldRef, KeyRef, Pod, ResourceFieldRef } from './manifest.ts'

/** What a field reference may name beyond the object itself. */
export interface PodFacts {
  readonly nodeName: string
  readonly hostIPs: readonly string[]
  readonly podIPs: readonly string[]
  /** The node's, where a container has no limit. */
  readonly cores: number
  readonly memory: number
}

/** A reference to what is not there (yet): the container waits with CreateContainerConfigError. */
export class MissingReference extends Error {}

/** The pod's field at a downward API path, e.g. `metadata.labels['app']`. */
export function fieldValue(pod: Pod, ref: FieldRef, facts: PodFacts): string {
  const path = ref.fieldPath
  const one = /^metadata\.(labels|annotations)\['(.+)'\]$/.exec(path)
  if (one) return pod.metadata[one[1] as 'labels' | 'annotations']?.[one[2] ?? ''] ?? ''
  switch (path) {
    case 'metadata.name':
      return pod.metadata.name
    case 'metadata.namespace':
      return pod.metadata.namespace
    case 'metadata.uid':
      return pod.metadata.uid
    case 'metadata.labels':
      return lines(pod.metadata.labels)
    case 'metadata.annotations':
      return lines(pod.metadata.annotations)
    case 'spec.nodeName':
      return facts.nodeName
    case 'spec.serviceAccountName':
      return pod.spec.serviceAccountName ?? 'default'
    case 'status.hostIP':
      return facts.hostIPs[0] ?? ''
    case 'status.hostIPs':
      return facts.hostIPs.join(',')
    case 'status.podIP':
      return facts.podIPs[0] ?? ''
    case 'status.podIPs':
      return facts.podIPs.join(',')
  }
  throw new MissingReference(`unsupported fieldPath: ${path}`)
}

const lines = (map: Readonly<Record<string, string>> = {}): string =>
  Object.keys(map)
    .sort()
    .map((key) => `${key}=${JSON.stringify(map[key])}`)
    .join('\n')

/** A container's request or limit as a whole number of `divisor`, rounded up. */
export function resourceValue(pod: Pod, container: Container, ref: ResourceFieldRef, facts: PodFacts): string {
  const of = ref.containerName ? pod.spec.containers.find((c) => c.name === ref.containerName) : container
  const [kind, name] = ref.resource.split('.') as ['limits' | 'requests', string]
  const given = of?.resources?.[kind]?.[name] ?? of?.resources?.limits?.[name]
  const otherwise = kind === 'limits' ? (name === 'cpu' ? facts.cores : name === 'memory' ? facts.memory : 0) : 0
  const value = given === undefined ? otherwise : quantity(given)
  const divisor = quantity(ref.divisor ?? '1') || 1
  return String(Math.ceil(value / divisor - 1e-9))
}

/** `$(NAME)` becomes the variable's value; `$$` is one dollar; an unknown name stays. */
export const expand = (text: string, known: ReadonlyMap<string, string>): string =>
  text.replace(/\$\$|\$\(([^()\s]+)\)/g, (all, name: string | undefined) =>
    all === '$$' ? '$' : (known.get(name ?? '') ?? all),
  )

/** The environment of a container, in order of precedence: services, envFrom, env. Throws MissingReference. */
export function environmentOf(pod: Pod, container: Container, store: Store, facts: PodFacts): Map<string, string> {
  const { namespace } = pod.metadata
  const known = serviceVariables(store, namespace, pod.spec.enableServiceLinks !== false)
  for (const from of container.envFrom ?? []) {
    const [resource, ref] = from.configMapRef ? ['configmaps', from.configMapRef] : ['secrets', from.secretRef]
    if (!ref) continue
    const object = store.find(resource, namespace, ref.name)
    if (!object && !ref.optional) throw missing(resource, ref.name)
    for (const [key, value] of dataOf(object)) known.set(`${from.prefix ?? ''}${key}`, value.toString())
  }
  for (const variable of container.env ?? []) {
    const from = variable.valueFrom
    if (!from) known.set(variable.name, expand(variable.value ?? '', known))
    else if (from.fieldRef) known.set(variable.name, fieldValue(pod, from.fieldRef, facts))
    else if (from.resourceFieldRef) {
      known.set(variable.name, resourceValue(pod, container, from.resourceFieldRef, facts))
    } else if (from.configMapKeyRef) take('configmaps', from.configMapKeyRef, variable.name)
    else if (from.secretKeyRef) take('secrets', from.secretKeyRef, variable.name)
  }
  return known

  function take(resource: string, ref: KeyRef, name: string): void {
    const object = store.find(resource, namespace, ref.name)
    const value = dataOf(object).get(ref.key)
    if (value) known.set(name, value.toString())
    else if (!ref.optional) throw object ? missingKey(resource, ref, namespace) : missing(resource, ref.name)
  }
}

const kindOf = (resource: string) => (resource === 'secrets' ? 'secret' : 'configmap')
const missing = (resource: string, name: string) => new MissingReference(`${kindOf(resource)} "${name}" not found`)
const missingKey = (resource: string, ref: KeyRef, namespace: string) =>
  new MissingReference(
    `couldn't find key ${ref.key} in ${resource === 'secrets' ? 'Secret' : 'ConfigMap'} ${namespace}/${ref.name}`,
  )

/** The keys of a ConfigMap or Secret, decoded. */
export function dataOf(object: KubeObject | undefined): Map<string, Buffer> {
  const out = new Map<string, Buffer>()
  if (!object) return out
  const secret = object.kind === 'Secret'
  for (const [key, value] of Object.entries(isMap(object['data']) ? object['data'] : {})) {
    out.set(key, Buffer.from(String(value), secret ? 'base64' : 'utf8'))
  }
  for (const [key, value] of Object.entries(isMap(object['binaryData']) ? object['binaryData'] : {})) {
    out.set(key, Buffer.from(String(value), 'base64'))
  }
  return out
}

interface ServicePart {
  readonly spec?: {
    readonly clusterIP?: string
    readonly ports?: readonly { readonly name?: string; readonly protocol?: string; readonly port: number }[]
  }
}

/** The variables of services with a cluster address, as they were when the container started. */
function serviceVariables(store: Store, namespace: string, links: boolean): Map<string, string> {
  const known = new Map<string, string>()
  const own = links ? store.list('services', { namespace }) : []
  const kubernetes = store.find('services', 'default', 'kubernetes')
  for (const service of kubernetes && namespace !== 'default'
    ? [kubernetes, ...own]
    : own.length
      ? own
      : kubernetes
        ? [kubernetes]
        : []) {
    const { clusterIP, ports = [] } = (service as ServicePart).spec ?? {}
    const first = ports[0]
    if (!clusterIP || clusterIP === 'None' || !first) continue
    const name = (service.metadata.name ?? '').toUpperCase().replaceAll('-', '_')
    const host = clusterIP.includes(':') ? `[${clusterIP}]` : clusterIP
    known.set(`${name}_SERVICE_HOST`, clusterIP)
    known.set(`${name}_SERVICE_PORT`, String(first.port))
    for (const port of ports) {
      const protocol = port.protocol ?? 'TCP'
      const prefix = `${name}_PORT_${port.port}_${protocol}`
      const url = `${protocol.toLowerCase()}://${host}:${port.port}`
      if (port.name)
        known.set(`${name}_SERVICE_PORT_${port.name.toUpperCase().replaceAll('-', '_')}`, String(port.port))
      if (port === first) known.set(`${name}_PORT`, url)
      known.set(prefix, url)
      known.set(`${prefix}_PROTO`, protocol.toLowerCase())
      known.set(`${prefix}_PORT`, String(port.port))
      known.set(`${prefix}_ADDR`, clusterIP)
    }
  }
  return known
}
