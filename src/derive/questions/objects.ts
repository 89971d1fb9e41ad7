// SPDX-License-Identifier: Apache-2.0
import type { Problem, Result } from '../../base/result.ts'
import { flag, type JsonObject, list, object, text, textMap } from '../../model/json.ts'
import { type LabelSet, labelsOfSecurityMap } from '../../model/labels.ts'
import { type KubeNode, parseNode } from '../../model/node.ts'
import { type Namespace, type Pod, parseNamespace, parsePod } from '../../model/pod.ts'
import {
  type CidrGroup,
  type PolicyKind,
  type PolicyObject,
  parseCidrGroup,
  parsePolicyObject,
  policyKey,
} from '../../model/policy.ts'
import * as rows from '../../model/rows.ts'
import { type EndpointSlice, parseEndpointSlice, parseService, type Service } from '../../model/service.ts'
import type { Table } from '../../table/definition.ts'
import { importedRule, isRule } from '../policy/imported.ts'

/** A pod, or the one pod that stands for all of a workload's. */
export interface Member {
  readonly pod: Pod
  /** `Deployment/web`; `Pod/web` for a pod that nobody owns. */
  readonly workload: string
}

/** What a folder of manifests, or a cluster, says as far as policy goes. */
export interface Objects {
  readonly namespaces: readonly Namespace[]
  readonly members: readonly Member[]
  readonly services: readonly Service[]
  readonly slices: readonly EndpointSlice[]
  readonly nodes: readonly KubeNode[]
  readonly policies: readonly PolicyObject[]
  readonly cidrGroups: readonly CidrGroup[]
  /** Labels by the number of an identity. */
  readonly identities: ReadonlyMap<number, LabelSet>
  /** `data` of the ConfigMap cilium-config. */
  readonly options: { readonly [name: string]: string }
  /** Objects that can not be read, by their place in the input. */
  readonly problems: readonly (Problem & { readonly object: number })[]
  /** Kinds that say nothing about policy, and how often each was there. */
  readonly ignored: ReadonlyMap<string, number>
}

/** The source table of each kind of policy. */
export const policyTables: { readonly [Kind in PolicyKind]: Table<PolicyObject> } = {
  NetworkPolicy: rows.networkPolicies,
  CiliumNetworkPolicy: rows.ciliumNetworkPolicies,
  CiliumClusterwideNetworkPolicy: rows.ciliumClusterwideNetworkPolicies,
  ClusterNetworkPolicy: rows.clusterNetworkPolicies,
}

export const isPolicyKind = (kind: string): kind is PolicyKind => Object.hasOwn(policyTables, kind)

const workloadKinds = new Set(['Deployment', 'DaemonSet', 'StatefulSet', 'ReplicaSet', 'Job', 'CronJob'])
const clusterKinds = new Set([
  'Namespace',
  'Node',
  'CiliumClusterwideNetworkPolicy',
  'ClusterNetworkPolicy',
  'CiliumCIDRGroup',
  'CiliumIdentity',
])

/** Objects as JSON or YAML gives them, lists already taken apart. Of two with one name the later counts. */
export function readObjects(input: readonly unknown[]): Objects {
  const namespaces = new Map<string, Namespace>()
  const pods = new Map<string, Member>()
  const templates = new Map<string, Member>()
  const services = new Map<string, Service>()
  const slices = new Map<string, EndpointSlice>()
  const nodes = new Map<string, KubeNode>()
  const policies = new Map<string, PolicyObject>()
  const cidrGroups = new Map<string, CidrGroup>()
  const identities = new Map<number, LabelSet>()
  const problems: (Problem & { readonly object: number })[] = []
  const ignored = new Map<string, number>()
  let options: { readonly [name: string]: string } = {}
  for (const [i, raw] of input.entries()) {
    const kind = text(object(raw)['kind'])
    const o = clusterKinds.has(kind) ? raw : inDefault(raw)
    const put = <Row>(into: Map<string, Row>, parsed: Result<Row>, key: (row: Row) => string) => {
      if (parsed.ok) into.set(key(parsed.value), parsed.value)
      else problems.push({ object: i, ...parsed.error })
    }
    if (isRule(raw)) {
      // As an agent's own API takes them.
      const rule = importedRule(raw, () => String(i))
      policies.set(policyKey(rule), rule)
    } else if (kind === '')
      problems.push({ object: i, field: 'kind', message: 'required', fix: 'every object says its kind' })
    else if (isPolicyKind(kind)) put(policies, parsePolicyObject(kind, o), rows.networkPolicies.key)
    else if (kind === 'CiliumCIDRGroup') put(cidrGroups, parseCidrGroup(o), (g) => g.name)
    else if (kind === 'CiliumIdentity')
      identities.set(Number(nameOf(o)), labelsOfSecurityMap(textMap(object(o)['security-labels'])))
    else if (kind === 'Namespace') put(namespaces, parseNamespace(o), (n) => n.name)
    else if (kind === 'Pod') put(pods, podOf(o, workloadOfPod(o)), (m) => rows.pods.key(m.pod))
    else if (workloadKinds.has(kind)) {
      // Those that a workload above has made say nothing new.
      if (list(object(object(o)['metadata'])['ownerReferences']).length === 0)
        put(templates, podOf(podOfTemplate(kind, object(o)), `${kind}/${nameOf(o)}`), (m) => rows.pods.key(m.pod))
    } else if (kind === 'Service') put(services, parseService(o), rows.services.key)
    else if (kind === 'EndpointSlice') put(slices, parseEndpointSlice(o), rows.endpointSlices.key)
    else if (kind === 'Node') put(nodes, parseNode(o), (n) => n.name)
    else if (kind === 'ConfigMap' && nameOf(o) === 'cilium-config') options = textMap(object(o)['data'])
    else ignored.set(kind, (ignored.get(kind) ?? 0) + 1)
  }
  const running = [...pods.values()].filter(({ pod }) => pod.phase !== 'Succeeded' && pod.phase !== 'Failed')
  const members = [...running, ...[...templates].filter(([key]) => !pods.has(key)).map(([, m]) => m)]
  return {
    namespaces: withMissing(namespaces, members, [...policies.values()]),
    members,
    services: [...services.values()],
    slices: [...slices.values()],
    nodes: [...nodes.values()],
    policies: [...policies.values()],
    cidrGroups: [...cidrGroups.values()],
    identities,
    options,
    problems,
    ignored,
  }
}

const nameOf = (o: unknown): string => text(object(object(o)['metadata'])['name'])

function inDefault(raw: unknown): JsonObject {
  const o = object(raw)
  const metadata = object(o['metadata'])
  if (text(metadata['name']) === '' || text(metadata['namespace']) !== '') return o
  return { ...o, metadata: { ...metadata, namespace: 'default' } }
}

/** What the API server adds to a pod, as far as identity depends on it. */
function podOf(o: unknown, workload: string): Result<Member> {
  const parsed = parsePod(o)
  if (!parsed.ok) return parsed
  const pod = parsed.value
  return { ok: true, value: { pod: { ...pod, serviceAccount: pod.serviceAccount || 'default' }, workload } }
}

function podOfTemplate(kind: string, o: JsonObject): JsonObject {
  const spec = kind === 'CronJob' ? object(object(object(o['spec'])['jobTemplate'])['spec']) : object(o['spec'])
  const template = object(spec['template'])
  const { labels, annotations } = object(template['metadata'])
  const { name, namespace } = object(o['metadata'])
  return { metadata: { name, namespace, labels, annotations }, spec: object(template['spec']) }
}

/** The workload a pod belongs to; a ReplicaSet of a Deployment is known by the hash in its name. */
function workloadOfPod(o: unknown): string {
  const metadata = object(object(o)['metadata'])
  const owner = list(metadata['ownerReferences'])
    .map(object)
    .find((r) => flag(r['controller']))
  if (!owner) return `Pod/${text(metadata['name'])}`
  const [kind, name] = [text(owner['kind']), text(owner['name'])]
  const hash = text(object(metadata['labels'])['pod-template-hash'])
  const end = `-${hash}`
  return kind === 'ReplicaSet' && hash !== '' && name.endsWith(end)
    ? `Deployment/${name.slice(0, -end.length)}`
    : `${kind}/${name}`
}

/** Namespaces that something lives in are there, and each has the label that Kubernetes gives it. */
function withMissing(
  given: ReadonlyMap<string, Namespace>,
  members: readonly Member[],
  policies: readonly PolicyObject[],
): readonly Namespace[] {
  const names = new Set(['default', ...given.keys(), ...members.map((m) => m.pod.namespace)])
  for (const p of policies) if (p.namespace !== '') names.add(p.namespace)
  return [...names].sort().map((name) => namespaceNamed(name, given.get(name)))
}

export const namespaceNamed = (name: string, given?: Namespace): Namespace => ({
  name,
  uid: given?.uid ?? '',
  labels: { 'kubernetes.io/metadata.name': name, ...given?.labels },
})
