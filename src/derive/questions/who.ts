// SPDX-License-Identifier: Apache-2.0
import { hostPrefix, parseAddress, parsePrefix } from '../../base/ip.ts'
import { ok, type Result } from '../../base/result.ts'
import { isReserved, type ReservedName, reserved, reservedIdentities } from '../../model/identity.ts'
import {
  type Label,
  labelSetKey,
  labelText,
  parseLabel,
  podNamespaceKey,
  serviceAccountKey,
} from '../../model/labels.ts'
import type { Pod } from '../../model/pod.ts'
import * as rows from '../../model/rows.ts'
import { cidrIdentities } from '../policy/cidrs.ts'
import { nameIdentities } from '../policy/names.ts'
import { addressParty, anywhere, named, worldOf } from './addresses.ts'
import { addImagined, type Cluster } from './cluster.ts'
import { nodeParty, type Party, podParty, serviceParty, workloadsOf, wrong } from './party.ts'

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

function entity(name: string, identity: number = reserved[name as ReservedName]): Result<Party> {
  if (Object.hasOwn(reserved, name) && name !== 'unknown') return ok({ kind: 'entity', name, identity, notes: [] })
  return wrong(name, 'is not an entity', `one of: ${Object.keys(reserved).slice(1).join(', ')}`)
}

function namedNode(cluster: Cluster, name: string): Result<Party> {
  const node = cluster.objects.nodes.find((n) => n.name === name)
  if (node) return ok(nodeParty(cluster, name, node.addresses.find((a) => a.type === 'InternalIP')?.address))
  const there = cluster.objects.nodes.map((n) => n.name).slice(0, 6)
  return wrong(`node:${name}`, 'there is no such node', there.length > 0 ? `there is ${there.join(', ')}` : undefined)
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
