// SPDX-License-Identifier: Apache-2.0
import {
  canonicalAddress,
  contains,
  hostPrefix,
  isIpv4Prefix,
  type Prefix,
  parseAddress,
  parsePrefix,
  prefix,
  printPrefix,
} from '../../base/ip.ts'
import { fail, ok, type Result } from '../../base/result.ts'
import { isReserved, type ReservedName, reserved, reservedIdentities } from '../../model/identity.ts'
import {
  type Label,
  labelSetKey,
  labelText,
  parseLabel,
  podNamespaceKey,
  serviceAccountKey,
} from '../../model/labels.ts'
import { addressPart, nameProblem, normalName, patternProblem } from '../../model/names.ts'
import type { Pod } from '../../model/pod.ts'
import * as rows from '../../model/rows.ts'
import type { Service } from '../../model/service.ts'
import { ownerRows } from '../addresses/tables.ts'
import { cidrIdentities } from '../policy/cidrs.ts'
import { identityOfRules, namedAddresses, nameIdentities, nameSelectors, selectorsOfName } from '../policy/names.ts'
import { nodeSubjectKey, nodeSubjects } from '../policy/subjects.ts'
import { addImagined, type Cluster, type Group } from './cluster.ts'
import type { Member } from './objects.ts'

/** One end of a question. */
export interface Party {
  readonly kind: 'pod' | 'service' | 'labels' | 'entity' | 'address'
  /** As it is printed: `default/web`, `world`, `10.0.0.0/8`. */
  readonly name: string
  /** What the other side sees. */
  readonly identity: number
  /** Whose policies decide; nobody's for what is no pod. */
  readonly group?: Group
  /** Set for a service: its pods, one of each group. */
  readonly service?: Service
  readonly backends?: readonly Party[]
  readonly notes: readonly string[]
}

/**
 * Who is meant: `namespace/name` of a pod, a workload or a service (`name` alone is in `default`), `[namespace/]key=value,…`
 * for a pod that would have these labels, `identity:number`, `node:name`, `fqdn:name` for what a name of the DNS leads to, an entity, an address
 * or a prefix. A kind may stand before each: `pod:`, `Deployment/`, `service:`, `entity:`, `cidr:`.
 */
export function whoIs(cluster: Cluster, text: string): Result<Party> {
  // Addresses are copied from events with their ports.
  const name = text
    .trim()
    .replace(/^(entity|ip|cidr):/, '')
    .replace(/^(?:\[([0-9a-fA-F:.]+)\]|([0-9]+(?:\.[0-9]+){3})):[0-9]+$/, '$1$2')
  if (name === '') return wrong(text, 'empty')
  const number = /^identity[:/]([0-9]+)$/.exec(name)?.[1]
  if (number !== undefined) return numbered(cluster, Number(number))
  if (name.startsWith('node:')) return namedNode(cluster, name.slice('node:'.length))
  if (name.startsWith('fqdn:')) return named(cluster, name.slice('fqdn:'.length))
  if (name.startsWith('reserved:')) return entity(name.slice('reserved:'.length))
  if (name === 'world') return entity(name, worldOf(cluster, anywhere))
  if (Object.hasOwn(reserved, name) && name !== 'unknown') return entity(name)
  const address = parseAddress(name)
  const asked = address ? hostPrefix(address) : /^[0-9a-fA-F:.]+\/[0-9]+$/.test(name) ? parsePrefix(name) : undefined
  if (asked) return ok(addressParty(cluster, asked))
  if (name.includes('=') || /^(k8s|any):/.test(name)) return imagined(cluster, name)
  const [, before = '', rest = name] = kindBefore.exec(name) ?? []
  const kind = before.toLowerCase()
  const key = rest.includes('/') ? rest : `default/${rest}`
  const found =
    (kind.startsWith('s') ? undefined : podParty(cluster, key)) ??
    (kind === '' || kind.startsWith('s') ? serviceParty(cluster, key) : undefined)
  if (found) return ok(found)
  return wrong(text, 'there is no such pod, workload or service', nearby(cluster, key))
}

/** A kind before a name: `pod:shop/web`, `Deployment/shop/web`; before a slash only where a namespace comes after it. */
const kindBefore = /^(pod|deployment|daemonset|replicaset|job|cronjob|service|svc)(?::|\/(?=[^/]+\/))(.+)$/i

const wrong = (text: string, message: string, fix?: string): Result<Party> =>
  fail({ field: '', message: `'${text}': ${message}`, ...(fix === undefined ? {} : { fix }) })

/** Packets of the world carry their family where a cluster has both; plain `world` is asked as IPv4. */
const anywhere = prefix('0.0.0.0/0')

function entity(name: string, identity: number = reserved[name as ReservedName]): Result<Party> {
  if (Object.hasOwn(reserved, name) && name !== 'unknown') return ok({ kind: 'entity', name, identity, notes: [] })
  return wrong(name, 'is not an entity', `one of: ${Object.keys(reserved).slice(1).join(', ')}`)
}

function podParty(cluster: Cluster, key: string): Party | undefined {
  const member = cluster.member.get(key) ?? workloadsOf(cluster).get(key)
  if (member) return partyOf(cluster, member, key)
  const onHost = cluster.objects.members.find((m) => m.pod.hostNetwork && rows.pods.key(m.pod) === key)
  if (!onHost) return undefined
  const note = `${key} uses the network of its node: policies see the node, here as remote-node (host on its own node)`
  return { ...nodeParty(cluster, onHost.pod.nodeName, onHost.pod.hostIP), kind: 'pod', name: key, notes: [note] }
}

/** A node as one end. Policies for nodes decide for it where nodes have a firewall. */
function nodeParty(cluster: Cluster, node: string, address: string | undefined): Party {
  const subject = cluster.db.get(nodeSubjects, nodeSubjectKey(node))
  return {
    kind: 'entity',
    name: `node:${node}`,
    identity: identityAt(cluster, address, reserved['remote-node']),
    ...(subject ? { group: { ...subject, namespace: '', members: [] } } : {}),
    notes: subject ? [] : ['policies for nodes are not asked: enable-host-firewall is off'],
  }
}

function namedNode(cluster: Cluster, name: string): Result<Party> {
  const node = cluster.objects.nodes.find((n) => n.name === name)
  if (node) return ok(nodeParty(cluster, name, node.addresses.find((a) => a.type === 'InternalIP')?.address))
  const there = cluster.objects.nodes.map((n) => n.name).slice(0, 6)
  return wrong(`node:${name}`, 'there is no such node', there.length > 0 ? `there is ${there.join(', ')}` : undefined)
}

/** A pod as one end. Where a rule means addresses, it is known as who it is at its address. */
export function partyOf(cluster: Cluster, member: Member, name: string, asked?: string): Party {
  const group = cluster.ofPod.get(rows.pods.key(member.pod))
  const at = (address: string | undefined) => identityAt(cluster, address, group?.identity ?? 0)
  const address = asked ?? member.pod.podIPs[0]
  const others = member.pod.podIPs.filter((a) => at(a) !== at(address))
  const notes =
    others.length === 0
      ? []
      : [`policies tell the addresses of ${name} apart: this is about ${address}; ask about ${others.join(', ')} too`]
  return { kind: 'pod', name, identity: at(address), ...(group ? { group } : {}), notes }
}

/** The number under which decision tables know an identity at an address. */
export function identityAt({ db }: Cluster, address: string | undefined, identity: number): number {
  const at = address === undefined ? undefined : canonicalAddress(address)
  return (at === undefined ? 0 : db.get(ownerRows, at)?.peer) || identity
}

const workloads = new WeakMap<Cluster, ReadonlyMap<string, Member>>()

/** Pods by `namespace/name` of their workload; the first of each. */
function workloadsOf(cluster: Cluster): ReadonlyMap<string, Member> {
  const known = workloads.get(cluster)
  if (known) return known
  const out = new Map<string, Member>()
  for (const group of cluster.groups.values())
    for (const member of group.members) {
      const { pod, workload } = member
      const key = `${pod.namespace}/${workload.slice(workload.indexOf('/') + 1)}`
      if (!out.has(key)) out.set(key, member)
    }
  workloads.set(cluster, out)
  return out
}

function serviceParty(cluster: Cluster, key: string): Party | undefined {
  const service = cluster.objects.services.find((s) => rows.services.key(s) === key)
  if (!service) return undefined
  const wanted = Object.entries(service.selector)
  const behind = new Map<string, Party>()
  if (wanted.length > 0)
    for (const member of cluster.objects.members) {
      const { pod } = member
      if (pod.namespace !== service.namespace || pod.hostNetwork) continue
      if (!wanted.every(([k, v]) => pod.labels[k] === v)) continue
      const party = partyOf(cluster, member, rows.pods.key(pod))
      const like = `${party.group?.key} ${party.identity}`
      if (!behind.has(like)) behind.set(like, party)
    }
  const backends = [...behind.values()]
  return {
    kind: 'service',
    name: key,
    identity: backends[0]?.identity ?? 0,
    service,
    backends,
    notes: backends.length > 0 ? [] : [`no pod stands behind service ${key}`],
  }
}

/** The identity of the longest prefix that a policy names; addresses of pods and nodes are theirs. */
function addressParty(cluster: Cluster, wanted: Prefix): Party {
  const name = wanted.length === 128 ? printPrefix(wanted).replace(/\/[0-9]+$/, '') : printPrefix(wanted)
  if (wanted.length === 128) {
    const pod = cluster.objects.members.find((m) => m.pod.podIPs.includes(name) && !m.pod.hostNetwork)
    if (pod) return partyOf(cluster, pod, rows.pods.key(pod.pod), name)
    const service = cluster.objects.services.find((s) => s.clusterIPs.includes(name))
    const party = service && serviceParty(cluster, rows.services.key(service))
    if (party) return party
    const node = cluster.objects.nodes.find((n) => n.addresses.some((a) => a.address === name))
    if (node) {
      const notes = [`${name} is an address of node ${node.name}: policies see remote-node (host on the node itself)`]
      return { ...nodeParty(cluster, node.name, name), name, notes }
    }
  }
  const told = wanted.length === 128 ? toldFor(cluster, name) : undefined
  if (told) return told
  let best: { readonly number: number; readonly length: number } | undefined
  const inside: string[] = []
  for (const i of cluster.db.all(cidrIdentities)) {
    const named = prefix(i.prefix)
    if (contains(named, wanted) && (!best || named.length > best.length))
      best = { number: i.number, length: named.length }
    else if (named.length > wanted.length && contains(wanted, named)) inside.push(i.prefix)
  }
  const notes = [
    ...(inside.length > 0
      ? [`policies tell parts of ${name} apart: ${inside.join(', ')}; the answer is for the rest`]
      : []),
    ...(cluster.db.count(nameSelectors) > 0
      ? [`which names pods were told for ${name}, their nodes know (fqdn cache list): ask about fqdn:NAME too`]
      : []),
  ]
  return { kind: 'address', name, identity: best?.number ?? worldOf(cluster, wanted), notes }
}

/** An address that pods of this node were told for a name that policies mean. */
function toldFor({ db }: Cluster, address: string): Party | undefined {
  const learnt = db.get(rows.learntNames, address)
  const known = learnt && db.get(namedAddresses, addressPart(address))?.addresses.find((a) => a.address === address)
  const identity = known && db.get(nameIdentities, known.set)?.number
  if (identity === undefined) return undefined
  const notes = [`pods of this node were told ${address} for ${learnt?.names.join(', ')}`]
  return { kind: 'address', name: address, identity, notes }
}

/** By the number that events, `identity list` and CiliumIdentity objects show. */
function numbered(cluster: Cluster, number: number): Result<Party> {
  const { db, objects } = cluster
  const name = `identity:${number}`
  const told = objects.identities.get(number)
  const local = [...db.all(cidrIdentities), ...db.all(nameIdentities)]
  // Numbers of prefixes and names follow from what they stand for: they are the same here as on a node.
  const same = told
    ? [...reservedIdentities, ...local].find((i) => labelSetKey(i.labels) === labelSetKey(told))
    : [...reservedIdentities, ...local].find((i) => i.number === number)
  if (same) {
    const kind = isReserved(same.number) ? 'entity' : 'address'
    return ok({ kind, name, identity: same.number, notes: [`identity ${number} is ${same.labels.join(' ')}`] })
  }
  if (!told) return wrong(name, 'there is no such identity', 'numbers of pods are those of CiliumIdentity objects')
  const pod = imagined(cluster, told.join(','))
  if (!pod.ok) return wrong(name, `is ${told.join(' ')}, which means nobody here`, pod.error.fix ?? pod.error.message)
  const members = pod.value.group?.members.map((m) => rows.pods.key(m.pod)) ?? []
  const more = members.length > 3 ? ` and ${members.length - 3} more` : ''
  const who = members.length > 0 ? `${members.slice(0, 3).join(', ')}${more}` : told.join(' ')
  return ok({ ...pod.value, name, notes: [`identity ${number} is ${who}`] })
}

/**
 * An address that pods were told for a name, or that a rule of `toFQDNs` means when it is written as the rule is. What
 * rules say of the prefixes it may lie in is asked by the address.
 */
function named(cluster: Cluster, text: string): Result<Party> {
  const name = normalName(text)
  const pattern = name.includes('*')
  const problem = pattern ? patternProblem(name) : nameProblem(name)
  if (problem !== undefined) return wrong(`fqdn:${text}`, problem, 'as in fqdn:www.example.com')
  const { db } = cluster
  const rules = !pattern ? selectorsOfName(name, db) : db.get(nameSelectors, name) ? [name] : []
  const party = (identity: number, note: string): Result<Party> =>
    ok({ kind: 'address', name: `fqdn:${name}`, identity, notes: [note] })
  if (rules.length === 0)
    return party(
      worldOf(cluster, anywhere),
      `no toFQDNs of a policy in force means ${name}: its addresses are the world`,
    )
  if (!identityOfRules(rules, db)) {
    // Rules that never met in one address: let them.
    const free = examples.find((e) => !db.all(cidrIdentities).some((i) => contains(prefix(i.prefix), prefix(e))))
    const number = 1 + (db.count(rows.learntNames) % 254)
    if (free)
      db.commit((tx) => tx.put(rows.learntNames, { address: free.replace('0/24', String(number)), names: [name] }))
  }
  const identity = identityOfRules(rules, db)?.number ?? worldOf(cluster, anywhere)
  return party(identity, `addresses of ${name} are known once a pod asked for it through the DNS proxy`)
}

/** Blocks of which nobody has an address. */
const examples = ['192.0.2.0/24', '198.51.100.0/24', '203.0.113.0/24', '240.0.0.0/24'] as const

function worldOf({ db }: Cluster, of: Prefix): number {
  const config = db.get(rows.settings, 'settings')
  if (!config?.enableIpv4 || !config.enableIpv6) return reserved.world
  return isIpv4Prefix(of) ? reserved['world-ipv4'] : reserved['world-ipv6']
}

/** A pod of the given labels; `k8s:` and `any:` before a key say nothing more. */
function imagined(cluster: Cluster, text: string): Result<Party> {
  const place = /^([a-z0-9-]+)\/(?=[^=]*=)/.exec(text)
  let namespace = place?.[1] ?? 'default'
  let serviceAccount = 'default'
  const labels: { [key: string]: string } = {}
  const given: Label[] = []
  for (const part of text.slice(place?.[0].length ?? 0).split(',')) {
    const l = parseLabel(part.trim())
    if (l.source !== 'k8s' && l.source !== 'any' && l.source !== 'unspec')
      return wrong(text, `labels of source ${l.source} are not a pod's`)
    if (l.key === podNamespaceKey) namespace = l.value
    else if (l.key === serviceAccountKey) serviceAccount = l.value
    else if (l.key.startsWith('io.cilium.k8s.')) given.push(l)
    else labels[l.key] = l.value
  }
  const pod: Pod = {
    namespace,
    name: `(${text})`,
    uid: '',
    resourceVersion: '',
    generation: 0,
    labels,
    annotations: {},
    deleting: false,
    nodeName: '',
    hostNetwork: false,
    serviceAccount,
    phase: '',
    podIPs: [],
    hostIP: '',
    namedPorts: [],
  }
  const group = addImagined(cluster, pod)
  // What the cluster says of a pod may be said again, as in an identity that was copied; it can not be said otherwise.
  const other = given.find((l) => !group.labels.includes(labelText({ ...l, source: 'k8s' })))
  if (other) return wrong(text, `${other.key} can not be given`, 'labels of a namespace come from the Namespace object')
  // A pod of exactly these labels says what ports are called.
  const like = [...cluster.groups.values()].find((g) => g.identity === group.identity && g.members.length > 0)
  return ok({ kind: 'labels', name: text, identity: group.identity, group: like ?? group, notes: [] })
}

/** Names a reader may have meant: the same name elsewhere, or those of the namespace. */
function nearby(cluster: Cluster, key: string): string | undefined {
  const [namespace = '', name = ''] = key.split('/')
  const all = [...workloadsOf(cluster).keys(), ...cluster.objects.services.map(rows.services.key)]
  const same = all.filter((k) => k.endsWith(`/${name}`))
  const beside = all.filter((k) => k.startsWith(`${namespace}/`))
  const found = [...new Set(same.length > 0 ? same : beside)].slice(0, 6)
  return found.length > 0 ? `there is ${found.join(', ')}` : undefined
}
