// SPDX-License-Identifier: Apache-2.0
import { age, humanDuration } from './duration.ts'
import { fieldAt } from './fields.ts'
import { isMap, type KubeObject } from './object.ts'
import { type LabelSelector, printLabelSelector } from './selector.ts'

/** A column of a server-side table. Priority 1 is shown with `-o wide` only. */
export interface Column {
  readonly name: string
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date'
  readonly priority: 0 | 1
  readonly cell: (object: KubeObject, now: number) => string | number | boolean | null
}

type Cell = Column['cell']
const at = (object: unknown, path: string): unknown => fieldAt(object, path.split('.'))
const text = (object: unknown, path: string, otherwise = '<none>'): string => {
  const value = at(object, path)
  return value === undefined || value === null || value === '' ? otherwise : String(value)
}
const count = (object: unknown, path: string): number => Number(at(object, path) ?? 0)
const list = (object: unknown, path: string): readonly Record<string, unknown>[] => {
  const value = at(object, path)
  return Array.isArray(value) ? value.filter(isMap) : []
}
const size = (object: unknown, path: string): number => {
  const value = at(object, path)
  return Array.isArray(value) ? value.length : isMap(value) ? Object.keys(value).length : 0
}
const joined = (values: readonly unknown[], otherwise = '<none>'): string =>
  values.length === 0 ? otherwise : values.join(',')

const column = (name: string, cell: Cell, type: Column['type'] = 'string'): Column => ({
  name,
  type,
  priority: 0,
  cell,
})
const wide = (name: string, cell: Cell): Column => ({ name, type: 'string', priority: 1, cell })
export const nameColumn: Column = column('Name', (o) => o.metadata.name ?? '')
export const ageColumn: Column = column('Age', (o, now) => age(o.metadata.creationTimestamp, now))
const createdAt = column('Created At', (o) => o.metadata.creationTimestamp ?? '<unknown>', 'date')
const numbered = (name: string, path: string): Column => column(name, (o) => count(o, path), 'integer')
const plain = (name: string, path: string, otherwise?: string): Column => column(name, (o) => text(o, path, otherwise))

const workload = [
  wide('Containers', (o) => joined(list(o, 'spec.template.spec.containers').map((c) => c['name']))),
  wide('Images', (o) => joined(list(o, 'spec.template.spec.containers').map((c) => c['image']))),
]
const selector = wide('Selector', (o) => printLabelSelector(at(o, 'spec.selector') as LabelSelector | undefined))
const plainSelector = (o: KubeObject): string =>
  printLabelSelector({ matchLabels: (at(o, 'spec.selector') ?? {}) as Record<string, string> })

const condition = (o: unknown, type: string): Record<string, unknown> | undefined =>
  list(o, 'status.conditions').find((c) => c['type'] === type)

/** The one word that `kubectl get pods` shows as a pod's status. */
export function podStatus(pod: KubeObject): string {
  const word = statusBeforeDeletion(pod)
  if (!pod.metadata.deletionTimestamp) return word
  return at(pod, 'status.reason') === 'NodeLost'
    ? 'Unknown'
    : word === 'Completed' || /^(Error|Init:|ExitCode)/.test(word)
      ? word
      : 'Terminating'
}

function statusBeforeDeletion(pod: KubeObject): string {
  let word = text(pod, 'status.reason', text(pod, 'status.phase', 'Unknown'))
  if (list(pod, 'status.conditions').some((c) => c['type'] === 'PodScheduled' && c['reason'] === 'SchedulingGated'))
    word = 'SchedulingGated'
  const inits = list(pod, 'spec.initContainers')
  const initStatuses = list(pod, 'status.initContainerStatuses')
  for (const [i, status] of initStatuses.entries()) {
    const sidecar = inits.find((c) => c['name'] === status['name'])?.['restartPolicy'] === 'Always'
    if (at(status, 'state.terminated.exitCode') === 0 || (sidecar && status['started'] === true)) continue
    if (at(status, 'state.terminated')) return `Init:${ended(status)}`
    const waiting = text(status, 'state.waiting.reason', '')
    return waiting !== '' && waiting !== 'PodInitializing' ? `Init:${waiting}` : `Init:${i}/${inits.length}`
  }
  let running = false
  for (const status of list(pod, 'status.containerStatuses').toReversed()) {
    const waiting = text(status, 'state.waiting.reason', '')
    if (waiting !== '') word = waiting
    else if (at(status, 'state.terminated')) word = ended(status)
    else if (status['ready'] === true && at(status, 'state.running')) running = true
  }
  if (word === 'Completed' && running) return condition(pod, 'Ready')?.['status'] === 'True' ? 'Running' : 'NotReady'
  return word
}

function ended(status: unknown): string {
  const reason = text(status, 'state.terminated.reason', '')
  if (reason !== '') return reason
  const signal = count(status, 'state.terminated.signal')
  return signal !== 0 ? `Signal:${signal}` : `ExitCode:${count(status, 'state.terminated.exitCode')}`
}

function podRestarts(pod: KubeObject, now: number): string {
  const sidecars = list(pod, 'spec.initContainers')
    .filter((c) => c['restartPolicy'] === 'Always')
    .map((c) => c['name'])
  const statuses = [
    ...list(pod, 'status.containerStatuses'),
    ...list(pod, 'status.initContainerStatuses').filter((s) => sidecars.includes(s['name'])),
  ]
  const restarts = statuses.reduce((sum, s) => sum + count(s, 'restartCount'), 0)
  const times = statuses
    .map((s) => Date.parse(text(s, 'lastState.terminated.finishedAt', '')))
    .filter((t) => !Number.isNaN(t))
  return restarts > 0 && times.length > 0
    ? `${restarts} (${humanDuration(now - Math.max(...times))} ago)`
    : String(restarts)
}

function podReady(pod: KubeObject): string {
  const sidecars = list(pod, 'spec.initContainers')
    .filter((c) => c['restartPolicy'] === 'Always')
    .map((c) => c['name'])
  const statuses = [
    ...list(pod, 'status.containerStatuses'),
    ...list(pod, 'status.initContainerStatuses').filter((s) => sidecars.includes(s['name'])),
  ]
  const ready = statuses.filter((s) => s['ready'] === true && at(s, 'state.running')).length
  return `${ready}/${size(pod, 'spec.containers') + sidecars.length}`
}

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
  pods: [
    nameColumn,
    column('Ready', podReady),
    column('Status', podStatus),
    column('Restarts', podRestarts),
    ageColumn,
    wide('IP', (o) => text(o, 'status.podIP')),
    wide('Node', (o) => text(o, 'spec.nodeName')),
    wide('Nominated Node', (o) => text(o, 'status.nominatedNodeName')),
    wide('Readiness Gates', (o) => {
      const gates = list(o, 'spec.readinessGates')
      const met = gates.filter((g) => condition(o, String(g['conditionType']))?.['status'] === 'True').length
      return gates.length === 0 ? '<none>' : `${met}/${gates.length}`
    }),
  ],
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
