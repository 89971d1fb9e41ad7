// SPDX-License-Identifier: Apache-2.0
import {
  ageColumn,
  at,
  type Cell,
  type Column,
  column,
  condition,
  count,
  createdAt,
  joined,
  list,
  nameColumn,
  numbered,
  plain,
  size,
  text,
  wide,
} from './cells.ts'
import { age, humanDuration } from './duration.ts'
import type { KubeObject } from './object.ts'
import { podColumns } from './podcolumns.ts'
import { type LabelSelector, printLabelSelector } from './selector.ts'

const workload = [
  wide('Containers', (o) => joined(list(o, 'spec.template.spec.containers').map((c) => c['name']))),
  wide('Images', (o) => joined(list(o, 'spec.template.spec.containers').map((c) => c['image']))),
]
const selector = wide('Selector', (o) => printLabelSelector(at(o, 'spec.selector') as LabelSelector | undefined))
const plainSelector = (o: KubeObject): string =>
  printLabelSelector({ matchLabels: (at(o, 'spec.selector') ?? {}) as Record<string, string> })

function nodeStatus(node: KubeObject): string {
  const ready = condition(node, 'Ready')?.['status']
  const words = [ready === 'True' ? 'Ready' : ready === undefined ? 'Unknown' : 'NotReady']
  if (at(node, 'spec.unschedulable') === true) words.push('SchedulingDisabled')
  return words.join(',')
}

const rolePrefix = 'node-role.kubernetes.io/'
const nodeRoles = (node: KubeObject): string =>
  joined(
    Object.keys(node.metadata.labels ?? {})
      .filter((k) => k.startsWith(rolePrefix))
      .map((k) => k.slice(rolePrefix.length))
      .sort(),
  )
const nodeAddress =
  (type: string): Cell =>
  (node) =>
    String(list(node, 'status.addresses').find((a) => a['type'] === type)?.['address'] ?? '<none>')

function externalIps(service: KubeObject, asWide = false): string {
  const ips = (at(service, 'spec.externalIPs') ?? []) as readonly string[]
  const ingress = list(service, 'status.loadBalancer.ingress').map((i) => i['ip'] ?? i['hostname'])
  switch (at(service, 'spec.type')) {
    case 'ExternalName':
      return text(service, 'spec.externalName')
    case 'LoadBalancer': {
      const all = [...ingress, ...ips]
      const shown = joined(all, '<pending>')
      return shown.length > 16 && !asWide && ips.length === 0 ? `${shown.slice(0, 13)}...` : shown
    }
    default:
      return joined(ips)
  }
}

const servicePorts = (service: KubeObject): string =>
  joined(
    list(service, 'spec.ports').map(
      (p) => `${p['port']}${p['nodePort'] ? `:${p['nodePort']}` : ''}/${p['protocol'] ?? 'TCP'}`,
    ),
  )

const some = (items: readonly string[]): string =>
  items.length === 0
    ? '<none>'
    : items.length > 3
      ? `${items.slice(0, 3).join(',')} + ${items.length - 3} more...`
      : items.join(',')

function endpointAddresses(endpoints: KubeObject): string {
  const all = list(endpoints, 'subsets').flatMap((subset) => {
    const ips = list(subset, 'addresses').map((a) => bracketed(String(a['ip'])))
    const ports = list(subset, 'ports')
    return ports.length === 0 ? ips : ports.flatMap((p) => ips.map((ip) => `${ip}:${p['port']}`))
  })
  return some(all)
}

const bracketed = (ip: string): string => (ip.includes(':') ? `[${ip}]` : ip)
const slicePorts = (o: KubeObject): string => {
  const ports = list(o, 'ports')
  return ports.length === 0 ? '<unset>' : some(ports.map((p) => String(p['port'] ?? '*')))
}
const sliceAddresses = (o: KubeObject): string => {
  const all = list(o, 'endpoints').flatMap((e) => (Array.isArray(e['addresses']) ? e['addresses'].map(String) : []))
  return all.length === 0 ? '<unset>' : some(all)
}

function jobDuration(job: KubeObject, now: number): string {
  const start = Date.parse(text(job, 'status.startTime', ''))
  if (Number.isNaN(start)) return ''
  const end = Date.parse(text(job, 'status.completionTime', ''))
  return humanDuration((Number.isNaN(end) ? now : end) - start)
}

function jobStatus(job: KubeObject): string {
  for (const type of ['Complete', 'Failed', 'FailureTarget', 'Suspended', 'SuccessCriteriaMet']) {
    if (condition(job, type)?.['status'] === 'True') return type
  }
  return job.metadata.deletionTimestamp ? 'Terminating' : 'Running'
}

const subjects =
  (kind: string): Cell =>
  (o) =>
    joined(
      list(o, 'subjects')
        .filter((s) => s['kind'] === kind)
        .map((s) => (kind === 'ServiceAccount' ? `${s['namespace']}/${s['name']}` : s['name'])),
      '',
    )
const binding: readonly Column[] = [
  nameColumn,
  column('Role', (o) => `${text(o, 'roleRef.kind')}/${text(o, 'roleRef.name')}`),
  ageColumn,
  wide('Users', subjects('User')),
  wide('Groups', subjects('Group')),
  wide('ServiceAccounts', subjects('ServiceAccount')),
]

const eventTime = (o: KubeObject, now: number): string =>
  age(
    at(o, 'series.lastObservedTime') ?? at(o, 'lastTimestamp') ?? at(o, 'eventTime') ?? o.metadata.creationTimestamp,
    now,
  )

const event: readonly Column[] = [
  column('Last Seen', eventTime),
  plain('Type', 'type'),
  plain('Reason', 'reason'),
  column('Object', (o) => `${text(o, 'involvedObject.kind', '').toLowerCase()}/${text(o, 'involvedObject.name', '')}`),
  wide('Subobject', (o) => text(o, 'involvedObject.fieldPath', '')),
  wide('Source', (o) =>
    joined(
      [text(o, 'source.component', text(o, 'reportingComponent', '')), text(o, 'source.host', '')].filter(
        (s) => s !== '',
      ),
      '',
    ).replace(',', ', '),
  ),
  column('Message', (o) => text(o, 'message', '').trim()),
  wide('First Seen', (o, now) => age(at(o, 'firstTimestamp') ?? at(o, 'eventTime'), now)),
  wide('Count', (o) => String(at(o, 'series.count') ?? at(o, 'count') ?? 1)),
  wide('Name', (o) => o.metadata.name ?? ''),
]

/** Columns of the built-in kinds that have more than a name and an age. */
export const builtinColumns: Readonly<Record<string, readonly Column[]>> = {
  pods: podColumns,
  services: [
    nameColumn,
    plain('Type', 'spec.type', 'ClusterIP'),
    plain('Cluster-IP', 'spec.clusterIP'),
    column('External-IP', (o) => externalIps(o)),
    column('Port(s)', servicePorts),
    ageColumn,
    wide('Selector', plainSelector),
  ],
  endpoints: [nameColumn, column('Endpoints', endpointAddresses), ageColumn],
  'endpointslices.discovery.k8s.io': [
    nameColumn,
    plain('AddressType', 'addressType'),
    column('Ports', slicePorts),
    column('Endpoints', sliceAddresses),
    ageColumn,
  ],
  nodes: [
    nameColumn,
    column('Status', nodeStatus),
    column('Roles', nodeRoles),
    ageColumn,
    plain('Version', 'status.nodeInfo.kubeletVersion'),
    wide('Internal-IP', nodeAddress('InternalIP')),
    wide('External-IP', nodeAddress('ExternalIP')),
    wide('OS-Image', (o) => text(o, 'status.nodeInfo.osImage', '<unknown>')),
    wide('Kernel-Version', (o) => text(o, 'status.nodeInfo.kernelVersion', '<unknown>')),
    wide('Container-Runtime', (o) => text(o, 'status.nodeInfo.containerRuntimeVersion', '<unknown>')),
  ],
  namespaces: [nameColumn, plain('Status', 'status.phase'), ageColumn],
  configmaps: [nameColumn, column('Data', (o) => size(o, 'data') + size(o, 'binaryData'), 'integer'), ageColumn],
  secrets: [nameColumn, plain('Type', 'type'), column('Data', (o) => size(o, 'data'), 'integer'), ageColumn],
  serviceaccounts: [nameColumn, column('Secrets', (o) => size(o, 'secrets'), 'integer'), ageColumn],
  events: event,
  'deployments.apps': [
    nameColumn,
    column('Ready', (o) => `${count(o, 'status.readyReplicas')}/${count(o, 'spec.replicas')}`),
    numbered('Up-to-date', 'status.updatedReplicas'),
    numbered('Available', 'status.availableReplicas'),
    ageColumn,
    ...workload,
    selector,
  ],
  'replicasets.apps': [
    nameColumn,
    numbered('Desired', 'spec.replicas'),
    numbered('Current', 'status.replicas'),
    numbered('Ready', 'status.readyReplicas'),
    ageColumn,
    ...workload,
    selector,
  ],
  'daemonsets.apps': [
    nameColumn,
    numbered('Desired', 'status.desiredNumberScheduled'),
    numbered('Current', 'status.currentNumberScheduled'),
    numbered('Ready', 'status.numberReady'),
    numbered('Up-to-date', 'status.updatedNumberScheduled'),
    numbered('Available', 'status.numberAvailable'),
    column('Node Selector', (o) =>
      printLabelSelector({ matchLabels: (at(o, 'spec.template.spec.nodeSelector') ?? {}) as Record<string, string> }),
    ),
    ageColumn,
    ...workload,
    selector,
  ],
  'statefulsets.apps': [
    nameColumn,
    column('Ready', (o) => `${count(o, 'status.readyReplicas')}/${count(o, 'spec.replicas')}`),
    ageColumn,
    ...workload,
  ],
  'jobs.batch': [
    nameColumn,
    column('Status', jobStatus),
    column('Completions', (o) => `${count(o, 'status.succeeded')}/${text(o, 'spec.completions', '1')}`),
    column('Duration', jobDuration),
    ageColumn,
    ...workload,
    selector,
  ],
  'cronjobs.batch': [
    nameColumn,
    plain('Schedule', 'spec.schedule'),
    plain('Timezone', 'spec.timeZone'),
    column('Suspend', (o) => (text(o, 'spec.suspend', 'false') === 'true' ? 'True' : 'False')),
    column('Active', (o) => size(o, 'status.active'), 'integer'),
    column('Last Schedule', (o, now) =>
      at(o, 'status.lastScheduleTime') ? age(at(o, 'status.lastScheduleTime'), now) : '<none>',
    ),
    ageColumn,
  ],
  'networkpolicies.networking.k8s.io': [
    nameColumn,
    column('Pod-Selector', (o) => printLabelSelector(at(o, 'spec.podSelector') as LabelSelector)),
    ageColumn,
  ],
  'ingresses.networking.k8s.io': [
    nameColumn,
    plain('Class', 'spec.ingressClassName'),
    column('Hosts', (o) =>
      joined(
        list(o, 'spec.rules').map((r) => r['host'] ?? '*'),
        '*',
      ),
    ),
    column('Address', (o) =>
      joined(
        list(o, 'status.loadBalancer.ingress').map((i) => i['ip'] ?? i['hostname']),
        '',
      ),
    ),
    column('Ports', (o) => (size(o, 'spec.tls') > 0 ? '80, 443' : '80')),
    ageColumn,
  ],
  'ingressclasses.networking.k8s.io': [
    nameColumn,
    plain('Controller', 'spec.controller'),
    column('Parameters', (o) =>
      at(o, 'spec.parameters') ? `${text(o, 'spec.parameters.kind')}/${text(o, 'spec.parameters.name')}` : '<none>',
    ),
    ageColumn,
  ],
  'poddisruptionbudgets.policy': [
    nameColumn,
    plain('Min Available', 'spec.minAvailable', 'N/A'),
    plain('Max Unavailable', 'spec.maxUnavailable', 'N/A'),
    numbered('Allowed Disruptions', 'status.disruptionsAllowed'),
    ageColumn,
  ],
  'leases.coordination.k8s.io': [nameColumn, plain('Holder', 'spec.holderIdentity', ''), ageColumn],
  'roles.rbac.authorization.k8s.io': [nameColumn, createdAt],
  'clusterroles.rbac.authorization.k8s.io': [nameColumn, createdAt],
  'rolebindings.rbac.authorization.k8s.io': binding,
  'clusterrolebindings.rbac.authorization.k8s.io': binding,
  'customresourcedefinitions.apiextensions.k8s.io': [nameColumn, createdAt],
  'storageclasses.storage.k8s.io': [
    nameColumn,
    plain('Provisioner', 'provisioner'),
    plain('ReclaimPolicy', 'reclaimPolicy'),
    plain('VolumeBindingMode', 'volumeBindingMode'),
    plain('AllowVolumeExpansion', 'allowVolumeExpansion', 'false'),
    ageColumn,
  ],
  persistentvolumeclaims: [
    nameColumn,
    plain('Status', 'status.phase'),
    plain('Volume', 'spec.volumeName', ''),
    plain('Capacity', 'status.capacity.storage', ''),
    column('Access Modes', (o) => joined((at(o, 'spec.accessModes') ?? []) as string[], '')),
    plain('StorageClass', 'spec.storageClassName', ''),
    ageColumn,
  ],
  persistentvolumes: [
    nameColumn,
    plain('Capacity', 'spec.capacity.storage', ''),
    plain('Reclaim Policy', 'spec.persistentVolumeReclaimPolicy'),
    plain('Status', 'status.phase'),
    column('Claim', (o) =>
      at(o, 'spec.claimRef') ? `${text(o, 'spec.claimRef.namespace')}/${text(o, 'spec.claimRef.name')}` : '',
    ),
    plain('StorageClass', 'spec.storageClassName', ''),
    ageColumn,
  ],
  'priorityclasses.scheduling.k8s.io': [
    nameColumn,
    numbered('Value', 'value'),
    plain('Global-Default', 'globalDefault', 'false'),
    ageColumn,
  ],
}
