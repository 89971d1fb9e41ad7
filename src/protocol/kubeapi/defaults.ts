// SPDX-License-Identifier: Apache-2.0

import { isMap } from './object.ts'
import { base64, utf8Bytes } from './text.ts'

type Fields = Record<string, unknown>

const set = (at: Fields, values: Fields): void => {
  for (const [key, value] of Object.entries(values)) if (at[key] === undefined) at[key] = value
}
const child = (at: Fields, key: string): Fields => {
  if (!isMap(at[key])) at[key] = {}
  return at[key] as Fields
}
const children = (at: Fields, key: string): readonly Fields[] =>
  Array.isArray(at[key]) ? (at[key] as unknown[]).filter(isMap) : []
const has = (at: unknown, key: string): boolean => isMap(at) && at[key] !== undefined

function probe(container: Fields, name: string): void {
  const at = container[name]
  if (!isMap(at)) return
  set(at, { timeoutSeconds: 1, periodSeconds: 10, successThreshold: 1, failureThreshold: 3 })
  if (isMap(at['httpGet'])) set(at['httpGet'], { path: '/', scheme: 'HTTP' })
}

/** Always for an image without a tag or with `latest`, unless its digest is given. */
function pullPolicy(image: unknown): string {
  if (typeof image !== 'string' || image.includes('@')) return 'IfNotPresent'
  const tag = /:([^/:]+)$/.exec(image)?.[1]
  return tag === undefined || tag === 'latest' ? 'Always' : 'IfNotPresent'
}

function container(at: Fields, hostNetwork: boolean): void {
  set(at, {
    terminationMessagePath: '/dev/termination-log',
    terminationMessagePolicy: 'File',
    imagePullPolicy: pullPolicy(at['image']),
    resources: {},
  })
  for (const port of children(at, 'ports')) {
    set(port, { protocol: 'TCP' })
    if (hostNetwork) set(port, { hostPort: port['containerPort'] })
  }
  for (const name of ['livenessProbe', 'readinessProbe', 'startupProbe']) probe(at, name)
  for (const env of children(at, 'env')) {
    const from = env['valueFrom']
    if (isMap(from) && isMap(from['fieldRef'])) set(from['fieldRef'], { apiVersion: 'v1' })
  }
  const resources = at['resources']
  if (isMap(resources) && isMap(resources['limits'])) {
    const requests = child(resources, 'requests')
    for (const [name, amount] of Object.entries(resources['limits'])) set(requests, { [name]: amount })
  }
}

function volume(at: Fields): void {
  if (Object.keys(at).every((key) => key === 'name')) at['emptyDir'] = {}
  for (const source of ['configMap', 'secret', 'downwardAPI', 'projected'])
    if (isMap(at[source])) set(at[source] as Fields, { defaultMode: 420 })
  if (isMap(at['hostPath'])) set(at['hostPath'], { type: '' })
  const projected = isMap(at['projected']) ? children(at['projected'], 'sources') : []
  for (const source of projected)
    if (isMap(source['serviceAccountToken'])) set(source['serviceAccountToken'], { expirationSeconds: 3600 })
  for (const item of [...projected, at]
    .map((v) => v['downwardAPI'])
    .filter(isMap)
    .flatMap((d) => children(d, 'items'))) {
    if (isMap(item['fieldRef'])) set(item['fieldRef'], { apiVersion: 'v1' })
  }
}

/** Defaults of a pod's spec, in a pod or in a template. */
function podSpec(spec: Fields): void {
  set(spec, {
    restartPolicy: 'Always',
    dnsPolicy: 'ClusterFirst',
    terminationGracePeriodSeconds: 30,
    schedulerName: 'default-scheduler',
    securityContext: {},
  })
  const account = spec['serviceAccountName'] || spec['serviceAccount']
  if (account) Object.assign(spec, { serviceAccountName: account, serviceAccount: account })
  for (const at of [...children(spec, 'initContainers'), ...children(spec, 'containers')])
    container(at, spec['hostNetwork'] === true)
  for (const at of children(spec, 'ephemeralContainers')) container(at, false)
  for (const at of children(spec, 'volumes')) volume(at)
}

function template(object: Fields): Fields {
  const spec = child(object, 'spec')
  if (isMap(spec['template'])) {
    child(spec['template'], 'metadata')
    podSpec(child(spec['template'], 'spec'))
  }
  return spec
}

const priorities: Readonly<Record<string, number>> = {
  'system-node-critical': 2000001000,
  'system-cluster-critical': 2000000000,
}
const tokenPath = '/var/run/secrets/kubernetes.io/serviceaccount'

function toleratesFor(spec: Fields, key: string): void {
  const tolerations = children(spec, 'tolerations')
  const held = tolerations.some((t) => (t['key'] === key || !t['key']) && (t['effect'] === 'NoExecute' || !t['effect']))
  if (!held)
    spec['tolerations'] = [...tolerations, { key, operator: 'Exists', effect: 'NoExecute', tolerationSeconds: 300 }]
}

/** The service account's token, the cluster's authority and the namespace, where in-cluster clients look for them. */
function mountToken(spec: Fields, suffix: string): void {
  const containers = [...children(spec, 'initContainers'), ...children(spec, 'containers')]
  const lacking = containers.filter((c) => !children(c, 'volumeMounts').some((m) => m['mountPath'] === tokenPath))
  if (spec['automountServiceAccountToken'] === false || lacking.length === 0) return
  const name = `kube-api-access-${suffix}`
  for (const c of lacking)
    c['volumeMounts'] = [...children(c, 'volumeMounts'), { name, readOnly: true, mountPath: tokenPath }]
  const sources = [
    { serviceAccountToken: { expirationSeconds: 3607, path: 'token' } },
    { configMap: { name: 'kube-root-ca.crt', items: [{ key: 'ca.crt', path: 'ca.crt' }] } },
    {
      downwardAPI: { items: [{ path: 'namespace', fieldRef: { apiVersion: 'v1', fieldPath: 'metadata.namespace' } }] },
    },
  ]
  spec['volumes'] = [...children(spec, 'volumes'), { name, projected: { sources, defaultMode: 420 } }]
}

/** BestEffort, Burstable or Guaranteed, by the requests and limits of cpu and memory. */
function qosClass(spec: Fields): string {
  const all = [...children(spec, 'initContainers'), ...children(spec, 'containers')]
  const parts = all.map((c) => (isMap(c['resources']) ? c['resources'] : {}))
  const amount = (r: Fields, kind: string, name: string) => (isMap(r[kind]) ? (r[kind] as Fields)[name] : undefined)
  const any = parts.some((r) =>
    ['requests', 'limits'].some((k) => ['cpu', 'memory'].some((n) => amount(r, k, n) !== undefined)),
  )
  if (!any) return 'BestEffort'
  const guaranteed = parts.every((r) =>
    ['cpu', 'memory'].every(
      (n) =>
        amount(r, 'limits', n) !== undefined &&
        amount(r, 'limits', n) === (amount(r, 'requests', n) ?? amount(r, 'limits', n)),
    ),
  )
  return guaranteed ? 'Guaranteed' : 'Burstable'
}

function pod(object: Fields, isNew: boolean, suffix: string): void {
  const spec = child(object, 'spec')
  if (isNew) {
    set(spec, {
      enableServiceLinks: true,
      serviceAccountName: 'default',
      serviceAccount: spec['serviceAccountName'] ?? 'default',
    })
    set(spec, {
      priority: priorities[String(spec['priorityClassName'])] ?? 0,
      preemptionPolicy: 'PreemptLowerPriority',
    })
    toleratesFor(spec, 'node.kubernetes.io/not-ready')
    toleratesFor(spec, 'node.kubernetes.io/unreachable')
    mountToken(spec, suffix)
  }
  podSpec(spec)
  set(child(object, 'status'), { phase: 'Pending', qosClass: qosClass(spec) })
}

function service(object: Fields): void {
  const spec = child(object, 'spec')
  set(spec, { type: 'ClusterIP', sessionAffinity: 'None' })
  const external = spec['type'] === 'NodePort' || spec['type'] === 'LoadBalancer'
  if (spec['type'] !== 'ExternalName') set(spec, { internalTrafficPolicy: 'Cluster' })
  if (external) set(spec, { externalTrafficPolicy: 'Cluster' })
  if (spec['type'] === 'LoadBalancer') set(spec, { allocateLoadBalancerNodePorts: true })
  if (spec['sessionAffinity'] === 'ClientIP')
    set(child(child(spec, 'sessionAffinityConfig'), 'clientIP'), { timeoutSeconds: 10800 })
  for (const port of children(spec, 'ports')) set(port, { protocol: 'TCP', targetPort: port['port'] })
  set(child(object, 'status'), { loadBalancer: {} })
}

const rolling = (more: Fields): Fields => ({ type: 'RollingUpdate', rollingUpdate: more })

function deployment(object: Fields): void {
  const spec = template(object)
  set(spec, { replicas: 1, revisionHistoryLimit: 10, progressDeadlineSeconds: 600 })
  const strategy = child(spec, 'strategy')
  set(strategy, { type: 'RollingUpdate' })
  if (strategy['type'] === 'RollingUpdate')
    set(child(strategy, 'rollingUpdate'), { maxUnavailable: '25%', maxSurge: '25%' })
}

function job(object: Fields): void {
  const spec = template(object)
  const uid = (object['metadata'] as { uid?: string }).uid
  if (spec['completions'] === undefined && spec['parallelism'] === undefined) set(spec, { completions: 1 })
  set(spec, {
    parallelism: 1,
    backoffLimit: 6,
    completionMode: 'NonIndexed',
    suspend: false,
    manualSelector: spec['manualSelector'],
    podReplacementPolicy: 'TerminatingOrFailed',
  })
  if (spec['manualSelector'] === true || !uid || spec['selector'] !== undefined) return
  spec['selector'] = { matchLabels: { 'batch.kubernetes.io/controller-uid': uid } }
  const name = (object['metadata'] as { name?: string }).name
  const labels = child(child(child(spec, 'template'), 'metadata'), 'labels')
  set(labels, {
    'batch.kubernetes.io/controller-uid': uid,
    'batch.kubernetes.io/job-name': name,
    'controller-uid': uid,
    'job-name': name,
  })
}

const kinds: Readonly<Record<string, (object: Fields, isNew: boolean, suffix: string) => void>> = {
  Pod: pod,
  Service: service,
  Deployment: deployment,
  Job: job,
  ReplicaSet: (o) => set(template(o), { replicas: 1 }),
  ReplicationController: (o) => set(template(o), { replicas: 1 }),
  DaemonSet(o) {
    const spec = template(o)
    set(spec, { revisionHistoryLimit: 10, updateStrategy: rolling({ maxUnavailable: 1, maxSurge: 0 }) })
    const strategy = child(spec, 'updateStrategy')
    set(strategy, { type: 'RollingUpdate' })
    if (strategy['type'] === 'RollingUpdate') set(child(strategy, 'rollingUpdate'), { maxUnavailable: 1, maxSurge: 0 })
  },
  StatefulSet(o) {
    const retention = { whenDeleted: 'Retain', whenScaled: 'Retain' }
    set(template(o), {
      replicas: 1,
      revisionHistoryLimit: 10,
      podManagementPolicy: 'OrderedReady',
      updateStrategy: rolling({ partition: 0 }),
      persistentVolumeClaimRetentionPolicy: retention,
    })
  },
  CronJob(o) {
    const spec = child(o, 'spec')
    set(spec, { concurrencyPolicy: 'Allow', suspend: false, successfulJobsHistoryLimit: 3, failedJobsHistoryLimit: 1 })
    if (isMap(spec['jobTemplate'])) template(spec['jobTemplate'])
  },
  Namespace(o, isNew) {
    const metadata = child(o, 'metadata')
    set(child(metadata, 'labels'), { 'kubernetes.io/metadata.name': metadata['name'] })
    if (isNew) set(child(o, 'spec'), { finalizers: ['kubernetes'] })
    set(child(o, 'status'), { phase: 'Active' })
  },
  Secret(o) {
    set(o, { type: 'Opaque' })
    if (!isMap(o['stringData'])) return
    const data = child(o, 'data')
    for (const [key, value] of Object.entries(o['stringData'])) data[key] = base64(utf8Bytes(String(value)))
    delete o['stringData']
  },
  Endpoints(o) {
    for (const subset of children(o, 'subsets'))
      for (const port of children(subset, 'ports')) set(port, { protocol: 'TCP' })
  },
  EndpointSlice(o) {
    for (const port of children(o, 'ports')) set(port, { name: '', protocol: 'TCP' })
  },
  NetworkPolicy(o) {
    const spec = child(o, 'spec')
    for (const rule of [...children(spec, 'ingress'), ...children(spec, 'egress')])
      for (const port of children(rule, 'ports')) set(port, { protocol: 'TCP' })
    if (!Array.isArray(spec['policyTypes']))
      spec['policyTypes'] =
        has(spec, 'egress') && children(spec, 'egress').length > 0 ? ['Ingress', 'Egress'] : ['Ingress']
  },
  RoleBinding: roleBinding,
  ClusterRoleBinding: roleBinding,
  StorageClass: (o) => set(o, { reclaimPolicy: 'Delete', volumeBindingMode: 'Immediate' }),
  PriorityClass: (o) => set(o, { preemptionPolicy: 'PreemptLowerPriority' }),
  PersistentVolumeClaim(o) {
    set(child(o, 'spec'), { volumeMode: 'Filesystem' })
    set(child(o, 'status'), { phase: 'Pending' })
  },
  PersistentVolume(o) {
    set(child(o, 'spec'), { volumeMode: 'Filesystem', persistentVolumeReclaimPolicy: 'Retain' })
    set(child(o, 'status'), { phase: 'Pending' })
  },
  CustomResourceDefinition(o) {
    const spec = child(o, 'spec')
    const names = child(spec, 'names')
    set(names, { singular: String(names['kind'] ?? '').toLowerCase(), listKind: `${names['kind']}List` })
    set(spec, { conversion: { strategy: 'None' } })
  },
}

function roleBinding(o: Fields): void {
  if (isMap(o['roleRef'])) set(o['roleRef'], { apiGroup: 'rbac.authorization.k8s.io' })
  for (const s of children(o, 'subjects'))
    if (s['kind'] === 'User' || s['kind'] === 'Group') set(s, { apiGroup: 'rbac.authorization.k8s.io' })
}

/**
 * Fills in, on an object that may be changed, what Kubernetes' API fills in. `suffix` names what needs a random name;
 * `isNew` also does what admission does at creation (service account token, tolerations, priority).
 */
export function setDefaults(kind: string, object: Record<string, unknown>, isNew: boolean, suffix: string): void {
  kinds[kind]?.(object, isNew, suffix)
}
