// SPDX-License-Identifier: Apache-2.0
import { table } from '../table/definition.ts'
import type { KernelPolicy, KernelTable, MapSize } from './datapath.ts'
import { attachment, type CiliumEndpoint, type EndpointOptions, type EndpointRequest } from './endpoint.ts'
import type { CiliumIdentity } from './identity.ts'
import { anchorsOf, labelSetHash } from './labels.ts'
import { objectKey } from './meta.ts'
import { addressPart, type LearntAddress } from './names.ts'
import type { CiliumNode, Device, KubeNode } from './node.ts'
import type { Namespace, Pod } from './pod.ts'
import { type CidrGroup, type PolicyObject, policyKey } from './policy.ts'
import type { PolicySecret } from './secret.ts'
import type { EndpointSlice, Service } from './service.ts'
import type { Settings } from './settings.ts'

/** All source tables: what the outside world says. Derived tables are declared in derive, beside their function. */

/** One row. */
export const settings = table<Settings>('settings', {
  key: () => 'settings',
  columns: [
    ['NODE', (s) => s.nodeName],
    ['CLUSTER', (s) => s.clusterName],
    ['ROUTING', (s) => s.routingMode],
  ],
})

export const namespaces = table<Namespace>('namespaces', {
  key: (n) => n.name,
  columns: [
    ['NAME', (n) => n.name],
    [
      'LABELS',
      (n) =>
        Object.entries(n.labels)
          .map(([k, v]) => `${k}=${v}`)
          .join(','),
    ],
  ],
})

/** Pods of this node suffice for the agent; policy questions over the whole cluster put all of them. */
export const pods = table<Pod>('pods', {
  key: objectKey,
  indexes: { node: (p) => [p.nodeName], namespace: (p) => [p.namespace] },
  columns: [
    ['NAMESPACE', (p) => p.namespace],
    ['NAME', (p) => p.name],
    ['NODE', (p) => p.nodeName],
    ['IPS', (p) => p.podIPs.join(',')],
  ],
})

export const ciliumIdentities = table<CiliumIdentity>('ciliumIdentities', {
  key: (i) => i.name,
  indexes: { labels: (i) => [labelSetHash(i.labels)], label: (i) => anchorsOf(i.labels) },
  columns: [
    ['ID', (i) => String(i.number)],
    ['LABELS', (i) => i.labels.join(' ')],
  ],
})

export const ciliumEndpoints = table<CiliumEndpoint>('ciliumEndpoints', {
  key: objectKey,
  indexes: {
    identity: (e) => [String(e.identity)],
    node: (e) => [e.node],
    portName: (e) => e.namedPorts.map((p) => p.name),
  },
  columns: [
    ['NAMESPACE', (e) => e.namespace],
    ['NAME', (e) => e.name],
    ['IDENTITY', (e) => String(e.identity)],
    ['ADDRESSES', (e) => e.addresses.join(',')],
    ['NODE', (e) => e.node],
  ],
})

export const ciliumNodes = table<CiliumNode>('ciliumNodes', {
  key: (n) => n.name,
  columns: [
    ['NAME', (n) => n.name],
    ['ADDRESSES', (n) => n.addresses.map((a) => `${a.type}=${a.address}`).join(',')],
    ['POD CIDRS', (n) => n.podCIDRs.join(',')],
  ],
})

export const nodes = table<KubeNode>('nodes', {
  key: (n) => n.name,
  columns: [
    ['NAME', (n) => n.name],
    ['ADDRESSES', (n) => n.addresses.map((a) => `${a.type}=${a.address}`).join(',')],
  ],
})

export const services = table<Service>('services', {
  key: objectKey,
  columns: [
    ['NAMESPACE', (s) => s.namespace],
    ['NAME', (s) => s.name],
    ['TYPE', (s) => s.type],
    ['CLUSTER IPS', (s) => s.clusterIPs.join(',')],
  ],
})

export const endpointSlices = table<EndpointSlice>('endpointSlices', {
  key: objectKey,
  indexes: { service: (s) => (s.service === '' ? [] : [`${s.namespace}/${s.service}`]) },
  columns: [
    ['NAMESPACE', (s) => s.namespace],
    ['NAME', (s) => s.name],
    ['ENDPOINTS', (s) => s.endpoints.flatMap((e) => e.addresses).join(',')],
  ],
})

const policyShape = {
  key: policyKey,
  columns: [
    ['KIND', (p: PolicyObject) => p.kind],
    ['NAMESPACE', (p: PolicyObject) => p.namespace],
    ['NAME', (p: PolicyObject) => p.name],
  ],
} as const

/** A table a kind because each is listed and watched by itself. */
export const networkPolicies = table<PolicyObject>('networkPolicies', policyShape)
export const ciliumNetworkPolicies = table<PolicyObject>('ciliumNetworkPolicies', policyShape)
export const ciliumClusterwideNetworkPolicies = table<PolicyObject>('ciliumClusterwideNetworkPolicies', policyShape)

/** Rules that came by the agent's own API, one a row. */
export const importedRules = table<PolicyObject>('importedRules', policyShape)

export const clusterNetworkPolicies = table<PolicyObject>('clusterNetworkPolicies', policyShape)

export const cidrGroups = table<CidrGroup>('cidrGroups', {
  key: (g) => g.name,
  columns: [
    ['NAME', (g) => g.name],
    ['CIDRS', (g) => g.prefixes.join(',')],
  ],
})

export const endpointRequests = table<EndpointRequest>('endpointRequests', {
  key: attachment,
  indexes: { pod: (r) => [objectKey({ namespace: r.namespace, name: r.podName })] },
  columns: [
    ['CONTAINER', (r) => r.containerId],
    ['NAMESPACE', (r) => r.namespace],
    ['POD', (r) => r.podName],
    ['NETNS', (r) => r.netns],
  ],
})

/** Options of single endpoints, as the debug CLI sets them; absent: those of the node. */
export const endpointOptions = table<EndpointOptions>('endpointOptions', {
  key: (o) => o.attachment,
  columns: [
    ['ENDPOINT', (o) => o.attachment],
    ['AUDIT', (o) => String(o.policyAuditMode)],
    ['ENFORCED', (o) => String(o.policyEnforced)],
  ],
})

/** How long an address is known under its names, and to whom, is the agent's name cache's to say. */
export const learntNames = table<LearntAddress>('learntNames', {
  key: (a) => a.address,
  indexes: { part: (a) => [addressPart(a.address)] },
  columns: [
    ['ADDRESS', (a) => a.address],
    ['NAMES', (a) => a.names.join(' ')],
  ],
})

export const devices = table<Device>('devices', {
  key: (d) => String(d.index),
  indexes: { name: (d) => [d.name] },
  columns: [
    ['INDEX', (d) => String(d.index)],
    ['NAME', (d) => d.name],
    ['ADDRESSES', (d) => d.addresses.join(',')],
  ],
})

/** Secrets of the namespace from which policies take theirs. */
export const policySecrets = table<PolicySecret>('policySecrets', {
  key: (s) => objectKey(s),
  columns: [['SECRET', (s) => objectKey(s)]],
})

/**
 * What the kernel holds of policy now: read at start, written back after each reconciliation. Numbers and ranges that
 * appear here are not given to others.
 */
export const kernelPolicies = table<KernelPolicy>('kernelPolicies', { key: (p) => String(p.policy) })
export const kernelTables = table<KernelTable>('kernelTables', { key: (t) => String(t.table) })

/** Sizes of the policy maps: a pinned one keeps the size it was made with. Absent: those of the contract. */
export const mapSizes = table<MapSize>('mapSizes', { key: (s) => s.name })

export const sources = [
  settings,
  namespaces,
  pods,
  ciliumIdentities,
  ciliumEndpoints,
  ciliumNodes,
  nodes,
  services,
  endpointSlices,
  networkPolicies,
  ciliumNetworkPolicies,
  ciliumClusterwideNetworkPolicies,
  clusterNetworkPolicies,
  importedRules,
  cidrGroups,
  policySecrets,
  endpointRequests,
  endpointOptions,
  learntNames,
  devices,
  kernelPolicies,
  kernelTables,
  mapSizes,
] as const
