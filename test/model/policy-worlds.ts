// SPDX-License-Identifier: Apache-2.0
import { endpoints } from '../../src/derive/endpoints/tables.ts'
import { hostSubject, subjectKeyOf } from '../../src/derive/policy/subjects.ts'
import { parseLabel } from '../../src/model/labels.ts'
import type { NamedPort } from '../../src/model/pod.ts'
import * as rows from '../../src/model/rows.ts'
import { defaultSettings } from '../../src/model/settings.ts'
import type { World } from '../scenarios/world.ts'
import type { Any, Step } from './policy-objects.ts'
import { type RefOptions, type RefPacket, type RefPeer, type RefVerdict, reference } from './policy-reference.ts'

/** Histories played in a world, and who and what is asked there. */
export const keyOf = (object: Any): string => {
  const m = object['metadata'] as { readonly namespace?: string; readonly name: string }
  return object['kind'] === 'Pod' ? `${m.namespace}/${m.name}` : `${object['kind']}/${m.namespace ?? ''}/${m.name}`
}

export const namespaces = [
  { kind: 'Namespace', metadata: { name: 'blue', labels: { 'kubernetes.io/metadata.name': 'blue', team: 'x' } } },
  { kind: 'Namespace', metadata: { name: 'red', labels: { 'kubernetes.io/metadata.name': 'red', team: 'y' } } },
]

/** Plays a history; `now` holds the objects there are, by key. */
export function play(
  world: World,
  steps: readonly Step[],
  after?: (now: ReadonlyMap<string, Any>) => void,
): Map<string, Any> {
  const now = new Map<string, Any>()
  world.apply(structuredClone(namespaces))
  for (const { put, remove, configure, learn } of steps) {
    if (configure) world.configure(configure)
    else if (learn) world.learnt(learn)
    else if (put) {
      const old = now.get(keyOf(put))
      // A pod does not move between nodes; it goes and comes.
      if (put['kind'] === 'Pod' && old) {
        world.remove('Pod', keyOf(old))
        now.delete(keyOf(old))
      }
      now.set(keyOf(put), put)
      world.apply([structuredClone(put)])
    } else if (remove !== undefined && now.size > 0) {
      const victim = [...now.values()][remove % now.size] as Any
      // Nodes stay: what is known of one that is gone is another test's.
      if (victim['kind'] === 'Node') continue
      now.delete(keyOf(victim))
      world.remove(String(victim['kind']), keyOf(victim))
    }
    after?.(now)
  }
  return now
}

const packets: readonly RefPacket[] = [
  ...[1, 80, 81, 300, 8080].flatMap((port) => [
    { protocol: 'TCP' as const, port },
    { protocol: 'UDP' as const, port },
  ]),
  { protocol: 'SCTP', port: 80 },
  { protocol: 'ICMP', port: 8 },
  { protocol: 'ICMP', port: 0 },
  { protocol: 'ICMPv6', port: 128 },
  { protocol: 'UDP', port: 53 },
  { protocol: 'TCP', port: 53 },
  { protocol: 'other', port: 0 },
]
export const outside = [
  ...['20.1.2.3', '20.1.2.4', '20.1.200.1', '20.9.9.9', '30.0.0.1', '99.0.0.1'],
  ...['2001:db8::1', '2001:db8:1::1', '2001:db9::1'],
]

const labelsFrom = (labels: readonly string[]): RefPeer['labels'] =>
  Object.fromEntries(labels.map((t) => [`${parseLabel(t).source}:${parseLabel(t).key}`, parseLabel(t).value]))

function peers(world: World, now: ReadonlyMap<string, Any>): readonly (readonly [string, RefPeer])[] {
  const is = (...names: readonly string[]) => ({
    labels: Object.fromEntries(names.map((name) => [`reserved:${name}`, ''])),
  })
  const out: (readonly [string, RefPeer])[] = [
    ...['host', 'remote-node', 'health', 'ingress', 'init'].map((name) => [name, is(name)] as const),
    ['kube-apiserver', is('kube-apiserver', 'remote-node')],
  ]
  for (const address of outside)
    out.push([
      address,
      {
        ...is(address.includes(':') ? 'world-ipv6' : 'world-ipv4'),
        ...{ world: true, address, names: world.db.get(rows.learntNames, address)?.names ?? [] },
      },
    ])
  for (const address of ['192.168.0.1', 'fd00:c0::1']) out.push([address, { ...is('host'), address }])
  for (const address of ['192.168.0.2', 'fd00:c0::2']) out.push([address, { ...is('remote-node'), address }])
  for (const [name, object] of now) {
    if (object['kind'] !== 'Pod') continue
    const ref = refOf(world, name)
    if (!ref) continue
    out.push([name, { ...ref.peer, address: ref.addresses[0] as string }])
    for (const address of ref.addresses.slice(1)) out.push([address, { ...ref.peer, address }])
  }
  return out
}

/**
 * A pod with an identity stands for all that share it: a named port is allowed to an identity, so it is at every port
 * that any of them gives that name.
 */
function refOf(
  world: World,
  name: string,
): { readonly peer: RefPeer; readonly addresses: readonly string[] } | undefined {
  const local = world.db.by(endpoints, 'pod', name)[0]
  const identity = local?.identity ?? world.db.get(rows.ciliumEndpoints, name)?.identity
  if (identity === undefined) return undefined
  const labels = world.db.get(rows.ciliumIdentities, String(identity))?.labels ?? []
  const same = [
    ...world.db.by(endpoints, 'identity', String(identity)),
    ...world.db.by(rows.ciliumEndpoints, 'identity', String(identity)),
  ]
  return {
    peer: { labels: labelsFrom(labels), ports: same.flatMap((e) => e.namedPorts) },
    addresses: local ? [local.ipv4, local.ipv6] : (world.db.get(rows.ciliumEndpoints, name)?.addresses ?? []),
  }
}

/** Whose policy is asked: an endpoint of the node, or the node. */
export interface AskedSubject {
  /** `namespace/pod`, or `host`. */
  readonly name: string
  /** Of the tables of subjects. */
  readonly key: string
  readonly identity: number
  readonly namedPorts: readonly NamedPort[]
}

/** One question of a packet to one end, and what the specifications answer. */
export interface Asked {
  readonly subject: AskedSubject
  readonly direction: 'ingress' | 'egress'
  readonly peer: string
  readonly packet: RefPacket
  readonly want: RefVerdict
  /** The same with staged policies in force. */
  readonly staged: RefVerdict
  readonly text: string
}

/** Number of a packet's port as the tables have it: of ICMP every code is the same. */
export const portOf = ({ protocol, port }: RefPacket): number => (protocol.startsWith('ICMP') ? port << 8 : port)

/** Every packet between every local endpoint, the node itself where it has a firewall, and everybody, both ways. */
export function* questions(world: World, now: ReadonlyMap<string, Any>): Iterable<Asked> {
  const objects = [...now.values()].filter((object) => object['kind'] !== 'Pod')
  const options: RefOptions = world.db.get(rows.settings, 'settings') ?? defaultSettings
  const others = peers(world, now)
  const asking: (readonly [AskedSubject, RefPeer])[] = world.db.all(endpoints).map((e) => [
    { ...e, name: `${e.namespace}/${e.podName}`, key: subjectKeyOf(e, world.db) },
    { labels: labelsFrom(e.labels), ports: e.namedPorts },
  ])
  if (world.db.get(rows.settings, 'settings')?.enableHostFirewall)
    asking.push([{ name: 'host', key: hostSubject, identity: 1, namedPorts: [] }, ownNode(now)])
  for (const [subject, self] of asking)
    for (const [peer, ref] of others) {
      if (self.isNode && 'reserved:host' in ref.labels) continue
      for (const packet of packets)
        for (const direction of ['ingress', 'egress'] as const)
          yield {
            ...{ subject, direction, peer, packet },
            want: reference(objects, options, self, direction, ref, packet),
            staged: reference(objects, options, self, direction, ref, packet, true),
            text: `${direction} of ${subject.name}, peer ${peer}, ${packet.protocol} ${packet.port}`,
          }
    }
}

function ownNode(now: ReadonlyMap<string, Any>): RefPeer {
  const node = now.get('Node//n1') as
    | { readonly metadata: { readonly labels: { readonly [key: string]: string } } }
    | undefined
  return {
    isNode: true,
    labels: Object.fromEntries(Object.entries(node?.metadata.labels ?? {}).map(([k, v]) => [`node:${k}`, v])),
  }
}
