// SPDX-License-Identifier: Apache-2.0
import type { LabelSet } from '../../model/labels.ts'
import { labelSetKey } from '../../model/labels.ts'
import type { NamedPort, Pod } from '../../model/pod.ts'
import * as rows from '../../model/rows.ts'
import { defaultSettings, type Settings } from '../../model/settings.ts'
import type { Database, Transaction } from '../../table/database.ts'
import type { AnyTable } from '../../table/definition.ts'
import { openDatabase } from '../../table/open.ts'
import { localOwners, nodeOwners, ownerShards, remoteOwners } from '../addresses/tables.ts'
import { interfaceRows } from '../interfaces/tables.ts'
import { identityLabels } from '../labels/tables.ts'
import { cidrIdentities } from '../policy/cidrs.ts'
import { compile, type Decision, type Known } from '../policy/decision.ts'
import { decisions, knownFrom, policyNumbers, policyPlaces, policyRows } from '../policy/decisions.ts'
import { type Program, peerKey, subjectKey } from '../policy/program.ts'
import { programs, subjectPrograms } from '../policy/programs.ts'
import type { Direction } from '../policy/rule.ts'
import { selections } from '../policy/selections.ts'
import { endpointRoutes, nodeRoutes } from '../routing/tables.ts'
import { wantedFrontends } from '../services/tables.ts'
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
  /** Numbers given to label sets so far; clusters that are compared share them. */
  readonly numbers: Map<string, number>
  readonly compiled: Compiled
}

/** Programs compiled so far. A cluster has many more subjects than a node, and a question asks two of them. */
interface Compiled {
  revision: number
  readonly decisions: Map<string, Decision>
  known: Known | undefined
  /** The state this one was made of, and which programs it shares with it. */
  readonly before: { readonly cluster: Cluster; readonly same: (program: Program) => boolean } | undefined
}

const nothingCompiled = (before?: Compiled['before']): Compiled => ({
  revision: -1,
  decisions: new Map(),
  known: undefined,
  before,
})

/** What only a kernel wants, and all that is made of it; decisions are compiled here when somebody asks. */
const ofKernel: ReadonlySet<AnyTable> = new Set<AnyTable>([
  ...[
    decisions,
    policyPlaces,
    policyNumbers,
    policyRows,
    localOwners,
    nodeOwners,
    ownerShards,
    remoteOwners,
    interfaceRows,
  ],
  ...[endpointRoutes, nodeRoutes, wantedFrontends, endpointStatus, ciliumEndpointObjects],
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

/** Opens the cluster that the objects describe. */
export function openCluster(objects: Objects, numbers: Map<string, number> = new Map()): Cluster {
  const db = openDatabase(questionTables)
  const config = settingsOf(objects)
  const groups = new Map<string, Group>()
  const cluster: Cluster = { db, objects, groups, ofPod: new Map(), numbers, compiled: nothingCompiled() }
  db.commit((tx) => {
    for (const s of rows.sources) tx.initialised(s)
    tx.put(rows.settings, config)
    for (const n of objects.namespaces) tx.put(rows.namespaces, n)
    for (const n of objects.nodes) tx.put(rows.nodes, n)
    for (const s of objects.services) tx.put(rows.services, s)
    for (const s of objects.slices) tx.put(rows.endpointSlices, s)
    for (const p of objects.policies) tx.put(policyTables[p.kind], p)
    for (const m of objects.members) if (!m.pod.hostNetwork) joinGroup(cluster, tx, m, config)
  })
  return cluster
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

function joinGroup(cluster: Cluster, tx: Transaction, member: Member, config: Settings): Group {
  const group = groupOf(cluster, tx, member.pod, config)
  group.members.push(member)
  ;(cluster.ofPod as Map<string, Group>).set(rows.pods.key(member.pod), group)
  return group
}

function groupOf({ objects, groups, numbers }: Cluster, tx: Transaction, pod: Pod, config: Settings): Group {
  const namespace = objects.namespaces.find((n) => n.name === pod.namespace) ?? namespaceNamed(pod.namespace)
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
  tx.put(rows.ciliumIdentities, { name: String(identity), number: identity, labels, uid: '', resourceVersion: '' })
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

/** What cilium-config, if it is among the objects, says of policy; else the defaults. */
function settingsOf({ options, nodes }: Objects): Settings {
  const choice = <T extends string>(name: string, values: readonly T[], initial: T): T =>
    values.find((v) => v === options[name]) ?? initial
  const flag = (name: string, initial: boolean): boolean =>
    options[name] === undefined ? initial : options[name] === 'true'
  const d = defaultSettings
  return {
    ...d,
    nodeName: nodes[0]?.name ?? 'node',
    clusterName: options['cluster-name'] || d.clusterName,
    enablePolicy: choice('enable-policy', ['default', 'always', 'never'], d.enablePolicy),
    allowLocalhost: choice('allow-localhost', ['auto', 'always', 'policy'], d.allowLocalhost),
    policyAuditMode: flag('policy-audit-mode', d.policyAuditMode),
    enableIpv4: flag('enable-ipv4', d.enableIpv4),
    enableIpv6: flag('enable-ipv6', d.enableIpv6),
    labels: (options['labels'] ?? '').split(/[\s,]+/).filter((l) => l !== ''),
  }
}

/** What decides for a group in one direction. */
export interface Judge {
  readonly program: Program
  readonly decision: Decision
}

export function judgeOf(cluster: Cluster, group: Group, direction: Direction): Judge | undefined {
  const program = cluster.db.get(subjectPrograms, group.key)?.[direction]
  return program && { program, decision: decisionOf(cluster, program) }
}

/** The decision table of a program, as the agent's own derivation makes it. */
export function decisionOf(cluster: Cluster, program: Program): Decision {
  const compiled = fresh(cluster)
  const known = compiled.decisions.get(program.key)
  if (known) return known
  const { before: from } = compiled
  const made = from?.same(program) ? decisionOf(from.cluster, program) : compile(program, knownOf(cluster))
  compiled.decisions.set(program.key, made)
  return made
}

/** What compiling needs to know of this cluster. */
export function knownOf(cluster: Cluster): Known {
  const compiled = fresh(cluster)
  if (compiled.known) return compiled.known
  const known = knownFrom(cluster.db)
  let everyone: readonly number[] | undefined
  compiled.known = { ...known, all: () => (everyone ??= known.all()) }
  return compiled.known
}

function fresh({ db, compiled }: Cluster): Compiled {
  if (compiled.revision !== db.revision) {
    compiled.revision = db.revision
    compiled.decisions.clear()
    compiled.known = undefined
  }
  return compiled
}

/** Another state of the same cluster, of which nothing changes any more: what means the same is compiled once. */
export function stateOf(cluster: Cluster, db: Database, objects: Objects): Cluster {
  const same = unchanged(cluster, { ...cluster, db })
  return { ...cluster, db, objects, compiled: nothingCompiled({ cluster, same }) }
}

/** Whether a program of both states is compiled to the same: rows that a derivation left alone are the same objects. */
export function unchanged(before: Cluster, after: Cluster): (program: Program) => boolean {
  const prefixes = (c: Cluster) => c.db.all(cidrIdentities)
  const [old, now] = [prefixes(before), prefixes(after)]
  if (old.length !== now.length || now.some((row, i) => row !== old[i])) return () => false
  const others = new Set<string>()
  for (const row of after.db.all(selections)) if (before.db.get(selections, row.key) !== row) others.add(row.key)
  return (program) =>
    before.db.get(programs, program.key) === program &&
    !program.entries.some((e) => e.peers !== 'all' && e.peers.some((p) => others.has(peerKey(p))))
}
