// SPDX-License-Identifier: Apache-2.0
import type { LabelSet } from '../../model/labels.ts'
import { labelSetKey } from '../../model/labels.ts'
import type { LearntAddress } from '../../model/names.ts'
import type { NamedPort, Namespace, Pod } from '../../model/pod.ts'
import * as rows from '../../model/rows.ts'
import { defaultSettings, type Settings } from '../../model/settings.ts'
import type { Database, Transaction } from '../../table/database.ts'
import type { AnyTable } from '../../table/definition.ts'
import { openDatabase } from '../../table/open.ts'
import { ipcacheRows } from '../addresses/tables.ts'
import { interfaceRows } from '../interfaces/tables.ts'
import { identityLabels } from '../labels/tables.ts'
import type { Known } from '../policy/asked.ts'
import type { Decision } from '../policy/decision.ts'
import { decisions, policyNumbers, policyPlaces, policyRows } from '../policy/decisions.ts'
import type { Program } from '../policy/program.ts'
import { subjectKey } from '../policy/subject.ts'
import { endpointRoutes, nodeRoutes } from '../routing/tables.ts'
import { hostPortFrontends, wantedFrontends } from '../services/frontends.ts'
import { ciliumEndpointObjects, endpointStatus } from '../status/tables.ts'
import { tables } from '../tables.ts'
import { type Member, namespaceNamed, type Objects, policyTables } from './objects.ts'

/** Pods that policy can not tell apart: one subject of derive/policy, and who is in it. */
export interface Group {
  /** Key of the subject. */
  readonly key: string
  readonly identity: number
  readonly labels: LabelSet
  readonly namedPorts: readonly NamedPort[]
  /** Where the first of them is: its namespace counts for all. */
  readonly namespace: string
  /** Empty for a pod that a question made up. */
  readonly members: Member[]
}

/** A whole cluster in the tables of an agent, as if one node ran a pod of each group. */
export interface Cluster {
  readonly db: Database
  readonly objects: Objects
  readonly groups: ReadonlyMap<string, Group>
  /** Groups by `namespace/pod`. */
  readonly ofPod: ReadonlyMap<string, Group>
  readonly member: ReadonlyMap<string, Member>
  /** Numbers given to label sets so far; clusters that are compared share them. */
  readonly numbers: Map<string, number>
  readonly compiled: Compiled
}

/** What only a kernel wants, and all that is made of it; decisions are compiled here when somebody asks. */
const ofKernel: ReadonlySet<AnyTable> = new Set<AnyTable>([
  ...[decisions, policyPlaces, policyNumbers, policyRows, ipcacheRows, interfaceRows],
  ...[endpointRoutes, nodeRoutes, wantedFrontends, hostPortFrontends, endpointStatus, ciliumEndpointObjects],
])

/** The tables of an agent down to its programs and whom they mean: what questions are asked of. */
export const questionTables: readonly AnyTable[] = reachesNoKernel(tables)

function reachesNoKernel(all: readonly AnyTable[]): readonly AnyTable[] {
  const left = new Set<AnyTable>()
  const inputs = ({ rule }: AnyTable): readonly AnyTable[] =>
    rule.kind === 'each'
      ? [rule.input]
      : rule.kind === 'all'
        ? rule.inputs
        : rule.kind === 'allocate'
          ? [rule.wanted, ...rule.inputs]
          : []
  for (let grew = true; grew; ) {
    grew = false
    for (const t of all)
      if (!left.has(t) && (ofKernel.has(t) || inputs(t).some((i) => left.has(i)))) {
        left.add(t)
        grew = true
      }
  }
  return all.filter((t) => !left.has(t))
}

/** Programs compiled so far. A cluster has many more subjects than a node, and a question asks two of them. */
export interface Compiled {
  revision: number
  readonly decisions: Map<string, Decision>
  known: Known | undefined
  /** The state this one was made of, and which programs it shares with it. */
  readonly before: { readonly cluster: Cluster; readonly same: (program: Program) => boolean } | undefined
}

export const nothingCompiled = (before?: Compiled['before']): Compiled => ({
  revision: -1,
  decisions: new Map(),
  known: undefined,
  before,
})

/** Opens the cluster that the objects describe. */
export function openCluster(objects: Objects, numbers: Map<string, number> = new Map()): Cluster {
  const db = openDatabase(questionTables)
  const config = settingsOf(objects)
  const groups = new Map<string, Group>()
  const cluster: Cluster = {
    db,
    objects,
    groups,
    ofPod: new Map(),
    member: new Map(),
    numbers,
    compiled: nothingCompiled(),
  }
  db.commit((tx) => {
    for (const s of rows.sources) tx.initialised(s)
    tx.put(rows.settings, config)
    for (const n of objects.namespaces) tx.put(rows.namespaces, n)
    for (const g of objects.cidrGroups) tx.put(rows.cidrGroups, g)
    for (const n of objects.nodes) tx.put(rows.nodes, n)
    for (const s of objects.services) tx.put(rows.services, s)
    for (const s of objects.slices) tx.put(rows.endpointSlices, s)
    for (const p of objects.policies) tx.put(policyTables[p.kind], p)
    for (const m of objects.members) if (!m.pod.hostNetwork) joinGroup(cluster, tx, m, config)
  })
  return cluster
}

/** Tells what answers of the DNS have given to pods: all that is known from now on. */
export const learn = ({ db }: Cluster, addresses: readonly LearntAddress[]): void => {
  db.commit((tx) => tx.replace(rows.learntNames, addresses))
}

/** One more pod. Only a pod unlike all others changes what is derived. */
export function addMember(cluster: Cluster, member: Member): Group {
  const config = cluster.db.get(rows.settings, 'settings') ?? defaultSettings
  let group: Group | undefined
  cluster.db.commit((tx) => {
    group = joinGroup(cluster, tx, member, config)
  })
  return group as Group
}

/** A pod of labels that nobody has, to ask about. */
export function addImagined(cluster: Cluster, pod: Pod): Group {
  const config = cluster.db.get(rows.settings, 'settings') ?? defaultSettings
  let group: Group | undefined
  cluster.db.commit((tx) => {
    group = groupOf(cluster, tx, pod, config)
  })
  return group as Group
}

/** The node of all pods, as the tables are told: none that is among the objects. */
const elsewhere = '0.0.0.0'

function joinGroup(cluster: Cluster, tx: Transaction, member: Member, config: Settings): Group {
  const group = groupOf(cluster, tx, member.pod, config)
  group.members.push(member)
  const key = rows.pods.key(member.pod)
  ;(cluster.ofPod as Map<string, Group>).set(key, group)
  ;(cluster.member as Map<string, Member>).set(key, member)
  const { namespace, name, uid, podIPs } = member.pod
  // As another node tells of its pods: rules by address mean whoever has it.
  if (podIPs.length > 0)
    tx.put(rows.ciliumEndpoints, {
      ...{ namespace, name, uid, resourceVersion: '', identity: group.identity, addresses: podIPs },
      ...{ node: elsewhere, state: 'ready', namedPorts: [] },
    })
  return group
}

function groupOf({ objects, groups, numbers }: Cluster, tx: Transaction, pod: Pod, config: Settings): Group {
  const namespace = namespaceOf(objects, pod.namespace)
  const labels = identityLabels(pod, namespace, config)
  const set = labelSetKey(labels)
  const identity = numbers.get(set) ?? 256 + numbers.size
  numbers.set(set, identity)
  const key = subjectKey(identity, pod.namedPorts)
  const known = groups.get(key)
  if (known) return known
  const group = { key, identity, labels, namedPorts: pod.namedPorts, namespace: pod.namespace, members: [] }
  ;(groups as Map<string, Group>).set(key, group)
  const podName = pod.name
  tx.put(rows.namespaces, namespace)
  tx.put(rows.pods, pod)
  tx.put(rows.ciliumIdentities, { name: String(identity), number: identity, labels })
  tx.put(rows.endpointRequests, {
    containerId: key,
    ifname: 'eth0',
    netns: '',
    namespace: pod.namespace,
    podName,
    podUid: '',
  })
  return group
}

const namespacesOf = new WeakMap<Objects, ReadonlyMap<string, Namespace>>()

function namespaceOf(objects: Objects, name: string): Namespace {
  let byName = namespacesOf.get(objects)
  if (!byName) namespacesOf.set(objects, (byName = new Map(objects.namespaces.map((n) => [n.name, n]))))
  return byName.get(name) ?? namespaceNamed(name)
}

/** What cilium-config, if it is among the objects, says of policy; else the defaults. */
function settingsOf({ options }: Objects): Settings {
  const choice = <T extends string>(name: string, values: readonly T[], initial: T): T =>
    values.find((v) => v === options[name]) ?? initial
  const flag = (name: string, initial: boolean): boolean =>
    options[name] === undefined ? initial : options[name] === 'true'
  const list = (name: string): readonly string[] => (options[name] ?? '').split(/[\s,]+/).filter((l) => l !== '')
  const d = defaultSettings
  return {
    ...d,
    nodeName: '',
    clusterName: options['cluster-name'] || d.clusterName,
    enablePolicy: choice('enable-policy', ['default', 'always', 'never'], d.enablePolicy),
    allowLocalhost: choice('allow-localhost', ['auto', 'always', 'policy'], d.allowLocalhost),
    policyAuditMode: flag('policy-audit-mode', d.policyAuditMode),
    enableIpv4: flag('enable-ipv4', d.enableIpv4),
    enableIpv6: flag('enable-ipv6', d.enableIpv6),
    labels: list('labels'),
    policyCidrMatchMode: list('policy-cidr-match-mode').filter((m) => m === 'nodes' || m === 'pods' || m === 'none'),
    enableHostFirewall: flag('enable-host-firewall', d.enableHostFirewall),
    enableL7Proxy: flag('enable-l7-proxy', d.enableL7Proxy),
    enableNodeSelectorLabels: flag('enable-node-selector-labels', d.enableNodeSelectorLabels),
  }
}
