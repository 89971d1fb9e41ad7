// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { contains, parseAddress, prefix } from '../../src/base/ip.ts'
import { ipcacheRows, ownerRows } from '../../src/derive/addresses/tables.ts'
import { endpoints } from '../../src/derive/endpoints/tables.ts'
import { identityClaims, identityOf } from '../../src/derive/identity/tables.ts'
import { identityLabels } from '../../src/derive/labels/tables.ts'
import {
  decisions,
  policyCellRows,
  policyClassRows,
  policyNumbers,
  policyPageRows,
  policyRows,
  policyTableRows,
} from '../../src/derive/policy/decisions.ts'
import { ruleNumbers, subjectPrograms } from '../../src/derive/policy/programs.ts'
import { hostSubject, subjectKeyOf, subjects } from '../../src/derive/policy/subjects.ts'
import { decide } from '../../src/derive/policy/verdict.ts'
import { tables } from '../../src/derive/tables.ts'
import { type Cell, type OwnerRow, type PortSpace, verdict } from '../../src/model/datapath.ts'
import { fakeDevice } from '../../src/model/fake-device.ts'
import { reserved } from '../../src/model/identity.ts'
import type { LabelSet } from '../../src/model/labels.ts'
import type { LearntAddress } from '../../src/model/names.ts'
import { parseCiliumNode, parseNode } from '../../src/model/node.ts'
import { type Pod, parseNamespace, parsePod } from '../../src/model/pod.ts'
import { type PolicyKind, parseCidrGroup, parsePolicyObject } from '../../src/model/policy.ts'
import * as rows from '../../src/model/rows.ts'
import { parseEndpointSlice, parseService } from '../../src/model/service.ts'
import { defaultSettings, type Settings } from '../../src/model/settings.ts'
import type { Change, Cursor, Database } from '../../src/table/database.ts'
import type { Table } from '../../src/table/definition.ts'
import { openDatabase } from '../../src/table/open.ts'
import * as machine from './machine.ts'

/** A node's agent without a node: objects in, tables and verdicts out. Pods of other nodes appear as CiliumEndpoints. */
export interface World {
  readonly db: Database
  readonly kernel: machine.Machine
  apply(objects: readonly unknown[]): void
  remove(kind: string, key: string): void
  resize(sizes: { readonly [map: string]: number }): void
  configure(settings: Partial<Settings>): void
  /** From now on exactly these addresses are known by names. */
  learnt(addresses: readonly LearntAddress[]): void
  /** Called after every single write into the kernel's maps. */
  onWrite: () => void
}

export interface Answer {
  readonly verdict: string
  readonly rule: string
  /** What it would be if staged policies were in force, where that is another verdict; and by which rule. */
  readonly shadow?: string
  readonly shadowRule?: string
}

export const ownNode = 'n1'

export function openWorld(): World {
  const db = openDatabase(tables)
  const kernel = machine.openMachine()
  const targets = targetsOf(db, kernel)
  const remote = new Map<string, Pod>()
  let config: Settings = { ...defaultSettings, nodeName: ownNode }
  const world: World = {
    db,
    kernel,
    onWrite: () => {},
    apply(objects) {
      db.commit((tx) => {
        for (const o of objects) put(tx, o, remote)
      })
      settle()
    },
    remove(kind, key) {
      db.commit((tx) => {
        if (kind === 'Pod') {
          tx.remove(rows.pods, key)
          tx.remove(rows.endpointRequests, `${key}:eth0`)
          tx.remove(rows.ciliumEndpoints, key)
          remote.delete(key)
        } else if (kind in policyTables) tx.remove(policyTables[kind as PolicyKind], key)
        else if (kind === 'Service') tx.remove(rows.services, key.split('/').slice(1).join('/'))
        else if (kind === 'Node') tx.remove(rows.nodes, key.split('/').at(-1) as string)
        else if (kind === 'EndpointSlice') tx.remove(rows.endpointSlices, key.split('/').slice(1).join('/'))
        else if (kind === 'CiliumCIDRGroup') tx.remove(rows.cidrGroups, key.split('/').at(-1) as string)
        else assert.fail(`no removal of ${kind}`)
      })
      settle()
    },
    resize(sizes) {
      db.commit((tx) => {
        for (const [name, entries] of Object.entries(sizes)) tx.put(rows.mapSizes, { name, entries })
      })
      settle()
    },
    configure(settings) {
      config = { ...config, ...settings }
      db.commit((tx) => tx.put(rows.settings, config))
      settle()
    },
    learnt(addresses) {
      db.commit((tx) => tx.replace(rows.learntNames, addresses))
      settle()
    },
  }
  /** Plays the outside world until nothing changes: identities are made, the kernel is written, both are seen. */
  function settle(): void {
    for (let round = 0; round < 20; round++) {
      const before = db.revision
      db.commit((tx) => {
        for (const c of db.all(identityClaims)) tx.put(rows.ciliumIdentities, identityRow(c.number, c.labels))
        for (const pod of remote.values()) tellRemote(db, tx, pod, config)
        for (const e of db.all(endpoints))
          if (e.interface === 0 && e.id !== 0) tx.put(rows.devices, fakeDevice(e.id + 100, e.link))
      })
      for (const run of targets) run(() => world.onWrite())
      const state = machine.kernelState(kernel)
      db.commit((tx) => {
        tx.replace(rows.kernelPolicies, state.policies)
        tx.replace(rows.kernelTables, state.tables)
      })
      if (db.revision === before) return
    }
    assert.fail('the world does not settle')
  }
  db.commit((tx) => {
    tx.put(rows.settings, config)
    for (const s of rows.sources) tx.initialised(s)
    tx.put(rows.nodes, nodeRow(ownNode, '192.168.0.1', 'fd00:c0::1'))
    tx.put(rows.nodes, nodeRow('n2', '192.168.0.2', 'fd00:c0::2'))
    const own = parseCiliumNode({
      metadata: { name: ownNode },
      spec: {
        addresses: [{ type: 'InternalIP', ip: '192.168.0.1' }],
        ipam: { podCIDRs: ['10.244.0.0/24', 'fd00:10:244::/112'] },
      },
    })
    const other = parseCiliumNode({
      metadata: { name: 'n2' },
      spec: {
        addresses: [
          { type: 'InternalIP', ip: '192.168.0.2' },
          { type: 'CiliumInternalIP', ip: '10.244.1.1' },
        ],
        ipam: { podCIDRs: ['10.244.1.0/24', 'fd00:10:244:0:1::/112'] },
      },
    })
    assert(own.ok && other.ok)
    tx.put(rows.ciliumNodes, own.value)
    tx.put(rows.ciliumNodes, other.value)
    tx.put(rows.devices, { ...fakeDevice(2, 'eth0'), addresses: ['192.168.0.1', 'fd00:c0::1'], wire: true })
    tx.put(rows.namespaces, namespaceRow('default'))
  })
  settle()
  return world
}

type Tx = Parameters<Parameters<Database['commit']>[0]>[0]

const policyTables = {
  NetworkPolicy: rows.networkPolicies,
  CiliumNetworkPolicy: rows.ciliumNetworkPolicies,
  CiliumClusterwideNetworkPolicy: rows.ciliumClusterwideNetworkPolicies,
  ClusterNetworkPolicy: rows.clusterNetworkPolicies,
} as const

function put(tx: Tx, object: unknown, remote: Map<string, Pod>): void {
  const o = object as { kind: string; metadata: { namespace?: string; uid?: string; name: string } }
  const clusterScoped = [
    'Namespace',
    'Node',
    'CiliumNode',
    'CiliumClusterwideNetworkPolicy',
    'ClusterNetworkPolicy',
    'CiliumCIDRGroup',
  ].includes(o.kind)
  if (!clusterScoped) o.metadata.namespace ??= 'default'
  o.metadata.uid ??= `${o.kind} ${o.metadata.namespace ?? ''}/${o.metadata.name}`
  if (o.kind in policyTables) {
    const kind = o.kind as PolicyKind
    tx.put(policyTables[kind], value(parsePolicyObject(kind, object)))
  } else if (o.kind === 'CiliumCIDRGroup') tx.put(rows.cidrGroups, value(parseCidrGroup(object)))
  else if (o.kind === 'Namespace') tx.put(rows.namespaces, value(parseNamespace(object)))
  else if (o.kind === 'Node') tx.put(rows.nodes, value(parseNode(object)))
  else if (o.kind === 'Service') tx.put(rows.services, value(parseService(object)))
  else if (o.kind === 'EndpointSlice') tx.put(rows.endpointSlices, value(parseEndpointSlice(object)))
  else if (o.kind === 'Pod') {
    const pod = value(parsePod(object))
    const key = `${pod.namespace}/${pod.name}`
    if (pod.nodeName !== '' && pod.nodeName !== ownNode) remote.set(key, pod)
    else if (!pod.hostNetwork) {
      tx.put(rows.pods, { ...pod, nodeName: ownNode })
      tx.put(rows.endpointRequests, {
        containerId: key,
        ifname: 'eth0',
        netns: `/var/run/netns/${pod.name}`,
        namespace: pod.namespace,
        podName: pod.name,
        podUid: pod.uid,
      })
    }
  } else assert.fail(`no objects of kind ${o.kind}`)
}

function value<T>(result: { ok: true; value: T } | { ok: false; error: unknown }): T {
  assert(result.ok, JSON.stringify(result))
  return result.value
}

const identityRow = (number: number, labels: LabelSet) => ({
  name: String(number),
  number,
  labels,
})
const namespaceRow = (name: string) => ({ name, uid: name, labels: { 'kubernetes.io/metadata.name': name } })
const nodeRow = (name: string, ...addresses: string[]) => ({
  name,
  uid: name,
  labels: {},
  annotations: {},
  addresses: addresses.map((address) => ({ type: 'InternalIP', address })),
  podCIDRs: [],
})

function tellRemote(db: Database, tx: Tx, pod: Pod, config: Settings): void {
  const namespace = db.get(rows.namespaces, pod.namespace)
  if (!namespace) return
  const labels = identityLabels(pod, namespace, config)
  const known = identityOf(db, labels)
  // Numbers of other nodes' identities; where they come from does not matter here.
  let number = known || 40000
  while (!known && db.get(rows.ciliumIdentities, String(number))) number++
  if (!known) tx.put(rows.ciliumIdentities, identityRow(number, labels))
  tx.put(rows.ciliumEndpoints, {
    namespace: pod.namespace,
    name: pod.name,
    uid: pod.uid,
    resourceVersion: '',
    identity: number,
    addresses: pod.podIPs,
    node: '192.168.0.2',
    state: 'ready',
    namedPorts: pod.namedPorts,
  })
}

/** Writes in the order that design.md gives, one write at a time; removals in the reverse order, after all writes. */
function targetsOf(db: Database, kernel: machine.Machine): readonly ((after: () => void) => void)[] {
  const removals: (() => void)[] = []
  const target = <Row>(
    table: Table<Row>,
    write: (m: machine.Machine, r: Row, after: () => void) => void,
    drop: (m: machine.Machine, r: Row) => void,
  ) => {
    const cursor: Cursor<Row> = db.cursor(table)
    return (after: () => void) => {
      for (const { before, after: row } of cursor.next() as readonly Change<Row>[]) {
        if (row !== undefined) {
          write(kernel, row, after)
          after()
        } else if (before !== undefined)
          removals.push(() => {
            drop(kernel, before)
            after()
          })
      }
    }
  }
  return [
    target(policyCellRows, machine.putCells, () => {}),
    target(policyPageRows, machine.putPage, () => {}),
    target(policyClassRows, machine.putClasses, machine.dropClasses),
    target(policyTableRows, machine.putTable, machine.dropTable),
    target(policyRows, machine.putPolicy, machine.dropPolicy),
    () => {
      for (const remove of removals.splice(0).reverse()) remove()
    },
  ]
}

const numberOf = (o: OwnerRow): number => o.peer || o.identity

/** Who is meant by `ns/pod`, a reserved name or an address. */
export function whoIs(world: World, name: string): { readonly identity: number; readonly subject?: string } {
  // An address that is no pod's: a node's, or the world's.
  const owner = world.db.get(ownerRows, name)
  if (owner) return { identity: numberOf(owner) }
  if (name === 'host' && world.db.get(subjects, hostSubject)) return { identity: reserved.host, subject: hostSubject }
  if (name in reserved) return { identity: reserved[name as keyof typeof reserved] }
  const local = world.db.by(endpoints, 'pod', name)[0]
  const ownerOf = (address: string | undefined, identity: number): number => {
    const at = address === undefined ? undefined : world.db.get(ownerRows, address)
    return at?.identity === identity ? numberOf(at) : identity
  }
  if (local)
    return {
      identity: ownerOf(local.ipv4, local.identity),
      subject: world.db.all(subjects).find((s) => s.key === subjectKeyOf(local, world.db))?.key ?? '',
    }
  const remote = world.db.get(rows.ciliumEndpoints, name)
  if (remote) return { identity: ownerOf(remote.addresses[0], remote.identity) }
  const address = parseAddress(name)
  assert(address, `nobody is called ${name}`)
  const inside = world.db.all(ipcacheRows).filter((o) => contains(prefix(o.address), address))
  const best = inside.sort((a, b) => prefix(b.address).length - prefix(a.address).length)[0]
  const config = world.db.get(rows.settings, 'settings')
  const dual = config?.enableIpv4 && config.enableIpv6
  const world_ = !dual ? reserved.world : name.includes(':') ? reserved['world-ipv6'] : reserved['world-ipv4']
  return { identity: best?.identity ?? world_ }
}

const words = ['none', 'allow', 'deny', 'redirect', 'audit']

/** What one side says. The machine and the artefact are both asked, and must agree. */
export function ask(
  world: World,
  subject: string,
  direction: 'ingress' | 'egress',
  peer: number,
  space: PortSpace | 'other',
  port: number,
): Answer {
  const { db, kernel } = world
  const program = db.get(subjectPrograms, subject)?.[direction]
  const table = program && db.get(decisions, program.key)
  const policy = db.get(policyNumbers, subject)?.policy ?? 0
  const cell = machine.judge(kernel, policy, direction, peer, space, port)
  // One that found no place lets nothing pass.
  const placed = db.get(policyRows, String(policy))?.[direction] !== 0
  if (table && placed)
    assert.deepEqual(cell, decide(table, peer, space, port), `the kernel of ${subject} ${direction} disagrees`)
  const answer = { verdict: words[cell.verdict] as string, rule: ruleName(db, cell) }
  if (cell.shadowRule === 0 && cell.shadowVerdict === 0) return answer
  const then = { ...cell, rule: cell.shadowRule, verdict: cell.shadowVerdict }
  return { ...answer, shadow: words[cell.shadowVerdict] as string, shadowRule: ruleName(db, then) }
}

const ruleName = (db: Database, cell: Cell): string =>
  cell.rule === 0
    ? cell.verdict === verdict.allow
      ? 'no policy'
      : 'not ready'
    : (db.by(ruleNumbers, 'number', String(cell.rule))[0]?.key ?? `rule ${cell.rule}`)

/** Both sides of a connection; a side without an endpoint here is not asked. */
export function connection(
  world: World,
  from: string,
  to: string,
  space: PortSpace | 'other',
  port: number,
): { readonly egress?: Answer; readonly ingress?: Answer; readonly final: 'allow' | 'deny' } {
  const source = whoIs(world, from)
  const destination = whoIs(world, to)
  const egress = source.subject && ask(world, source.subject, 'egress', destination.identity, space, port)
  const ingress = destination.subject && ask(world, destination.subject, 'ingress', source.identity, space, port)
  const passes = (a: Answer | '' | undefined) =>
    !a || a.verdict === 'allow' || a.verdict === 'audit' || a.verdict === 'redirect'
  return {
    ...(egress ? { egress } : {}),
    ...(ingress ? { ingress } : {}),
    final: passes(egress) && passes(ingress) ? 'allow' : 'deny',
  }
}
