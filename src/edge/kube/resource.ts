// SPDX-License-Identifier: Apache-2.0
import type { PolicyKind } from '../../model/policy.ts'

/** A kind of object as the API serves it. */
export interface Resource {
  readonly group: string
  readonly version: string
  readonly plural: string
  readonly kind: string
  readonly namespaced: boolean
}

export interface ObjectMeta {
  readonly name: string
  readonly namespace?: string
  readonly uid?: string
  readonly resourceVersion?: string
  readonly generation?: number
  readonly creationTimestamp?: string
  readonly deletionTimestamp?: string
  readonly labels?: { readonly [key: string]: string }
  readonly annotations?: { readonly [key: string]: string }
  readonly ownerReferences?: readonly OwnerReference[]
}

export interface OwnerReference {
  readonly apiVersion: string
  readonly kind: string
  readonly name: string
  readonly uid: string
  readonly controller?: boolean
  readonly blockOwnerDeletion?: boolean
}

/** Any object; parsing its fields is the business of `model`. */
export interface KubeObject {
  readonly apiVersion?: string
  readonly kind?: string
  readonly metadata: ObjectMeta
  readonly [field: string]: unknown
}

const core = (plural: string, kind: string, namespaced: boolean): Resource => ({
  group: '',
  version: 'v1',
  plural,
  kind,
  namespaced,
})
const cilium = (plural: string, kind: string, namespaced: boolean): Resource => ({
  group: 'cilium.io',
  version: 'v2',
  plural,
  kind,
  namespaced,
})

export const PODS = core('pods', 'Pod', true)
export const NAMESPACES = core('namespaces', 'Namespace', false)
export const NODES = core('nodes', 'Node', false)
export const SERVICES = core('services', 'Service', true)
export const CONFIGMAPS = core('configmaps', 'ConfigMap', true)
export const ENDPOINT_SLICES: Resource = {
  group: 'discovery.k8s.io',
  version: 'v1',
  plural: 'endpointslices',
  kind: 'EndpointSlice',
  namespaced: true,
}
export const NETWORK_POLICIES: Resource = {
  group: 'networking.k8s.io',
  version: 'v1',
  plural: 'networkpolicies',
  kind: 'NetworkPolicy',
  namespaced: true,
}
export const LEASES: Resource = {
  group: 'coordination.k8s.io',
  version: 'v1',
  plural: 'leases',
  kind: 'Lease',
  namespaced: true,
}
export const SECRETS = core('secrets', 'Secret', true)
export const EVENTS = core('events', 'Event', true)
export const CRDS: Resource = {
  group: 'apiextensions.k8s.io',
  version: 'v1',
  plural: 'customresourcedefinitions',
  kind: 'CustomResourceDefinition',
  namespaced: false,
}
export const CILIUM_NODES = cilium('ciliumnodes', 'CiliumNode', false)
export const CILIUM_IDENTITIES = cilium('ciliumidentities', 'CiliumIdentity', false)
export const CILIUM_ENDPOINTS = cilium('ciliumendpoints', 'CiliumEndpoint', true)
export const CILIUM_NETWORK_POLICIES = cilium('ciliumnetworkpolicies', 'CiliumNetworkPolicy', true)
export const CILIUM_CLUSTERWIDE_NETWORK_POLICIES = cilium(
  'ciliumclusterwidenetworkpolicies',
  'CiliumClusterwideNetworkPolicy',
  false,
)

export const CILIUM_CIDR_GROUPS = cilium('ciliumcidrgroups', 'CiliumCIDRGroup', false)
export const CLUSTER_NETWORK_POLICIES: Resource = {
  group: 'policy.networking.k8s.io',
  version: 'v1alpha2',
  plural: 'clusternetworkpolicies',
  kind: 'ClusterNetworkPolicy',
  namespaced: false,
}

/** The kinds of policy objects. */
export const policyResources: { readonly [Kind in PolicyKind]: Resource } = {
  NetworkPolicy: NETWORK_POLICIES,
  CiliumNetworkPolicy: CILIUM_NETWORK_POLICIES,
  CiliumClusterwideNetworkPolicy: CILIUM_CLUSTERWIDE_NETWORK_POLICIES,
  ClusterNetworkPolicy: CLUSTER_NETWORK_POLICIES,
}

/** URL path of a collection, of one object, or of a subresource of it. Names are escaped. */
export function pathOf(resource: Resource, namespace?: string, name?: string, subresource?: string): string {
  const root = resource.group === '' ? `/api/${resource.version}` : `/apis/${resource.group}/${resource.version}`
  const scope = resource.namespaced && namespace !== undefined ? `/namespaces/${encodeURIComponent(namespace)}` : ''
  const object = name === undefined ? '' : `/${encodeURIComponent(name)}`
  const part = subresource === undefined ? '' : `/${subresource}`
  return `${root}${scope}/${resource.plural}${object}${part}`
}

export const apiVersionOf = (r: Resource): string => (r.group === '' ? r.version : `${r.group}/${r.version}`)
