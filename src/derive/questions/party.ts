// SPDX-License-Identifier: Apache-2.0
import { canonicalAddress } from '../../base/ip.ts'
import { fail, type Result } from '../../base/result.ts'
import { reserved } from '../../model/identity.ts'
import * as rows from '../../model/rows.ts'
import type { Service } from '../../model/service.ts'
import { ownerRows } from '../addresses/tables.ts'
import { nodeSubjectKey, nodeSubjects } from '../policy/subjects.ts'
import type { Cluster, Group } from './cluster.ts'
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

/** A text that means nobody, and why. */
export const wrong = (text: string, message: string, fix?: string): Result<Party> =>
  fail({ field: '', message: `'${text}': ${message}`, ...(fix === undefined ? {} : { fix }) })

/** A pod, or the first of a workload, by `namespace/name`. */
export function podParty(cluster: Cluster, key: string): Party | undefined {
  const member = cluster.member.get(key) ?? workloadsOf(cluster).get(key)
  if (member) return partyOf(cluster, member, key)
  const onHost = cluster.objects.members.find((m) => m.pod.hostNetwork && rows.pods.key(m.pod) === key)
  if (!onHost) return undefined
  const note = `${key} uses the network of its node: policies see the node, here as remote-node (host on its own node)`
  return { ...nodeParty(cluster, onHost.pod.nodeName, onHost.pod.hostIP), kind: 'pod', name: key, notes: [note] }
}

/** A node as one end. Policies for nodes decide for it where nodes have a firewall. */
export function nodeParty(cluster: Cluster, node: string, address: string | undefined): Party {
  const subject = cluster.db.get(nodeSubjects, nodeSubjectKey(node))
  return {
    kind: 'entity',
    name: `node:${node}`,
    identity: identityAt(cluster, address, reserved['remote-node']),
    ...(subject ? { group: { ...subject, namespace: '', members: [] } } : {}),
    notes: subject ? [] : ['policies for nodes are not asked: enable-host-firewall is off'],
  }
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
export function workloadsOf(cluster: Cluster): ReadonlyMap<string, Member> {
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

/** A service, and the pods behind it. */
export function serviceParty(cluster: Cluster, key: string): Party | undefined {
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
