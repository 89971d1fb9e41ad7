// SPDX-License-Identifier: Apache-2.0
import { endpoints } from '../../src/derive/endpoints/tables.ts'
import type { Endpoint } from '../../src/model/endpoint.ts'
import { parseLabel } from '../../src/model/labels.ts'
import * as rows from '../../src/model/rows.ts'
import type { World } from '../scenarios/world.ts'
import type { Any, Step } from './policy-objects.ts'
import { type RefPacket, type RefPeer, type RefVerdict, reference } from './policy-reference.ts'

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
  for (const { put, remove } of steps) {
    if (put) {
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
  { protocol: 'other', port: 0 },
]
export const outside = ['20.1.2.3', '20.1.2.4', '20.1.200.1', '20.9.9.9', '30.0.0.1', '99.0.0.1']

const labelsFrom = (labels: readonly string[]): RefPeer['labels'] =>
  Object.fromEntries(labels.map((t) => [`${parseLabel(t).source}:${parseLabel(t).key}`, parseLabel(t).value]))

function peers(world: World, now: ReadonlyMap<string, Any>): readonly (readonly [string, RefPeer])[] {
  const out: (readonly [string, RefPeer])[] = [
    ['host', { labels: { 'reserved:host': '' } }],
    ['remote-node', { labels: { 'reserved:remote-node': '' } }],
  ]
  for (const text of outside)
    out.push([
      text,
      {
        labels: { 'reserved:world-ipv4': '' },
        world: true,
        address: text.split('.').map(Number) as unknown as [number, number, number, number],
      },
    ])
  out.push(['192.168.0.2', { labels: { 'reserved:remote-node': '' }, address: [192, 168, 0, 2] }])
  for (const [name, object] of now) {
    if (object['kind'] !== 'Pod') continue
    const ref = refOf(world, name)
    if (ref) out.push([name, ref])
  }
  return out
}

/**
 * A pod with an identity stands for all that share it: a named port is allowed to an identity, so it is at every port
 * that any of them gives that name.
 */
function refOf(world: World, name: string): RefPeer | undefined {
  const local = world.db.by(endpoints, 'pod', name)[0]
  const identity = local?.identity ?? world.db.get(rows.ciliumEndpoints, name)?.identity
  if (identity === undefined) return undefined
  const labels = world.db.get(rows.ciliumIdentities, String(identity))?.labels ?? []
  const same = [
    ...world.db.by(endpoints, 'identity', String(identity)),
    ...world.db.by(rows.ciliumEndpoints, 'identity', String(identity)),
  ]
  const at = local?.ipv4 ?? world.db.get(rows.ciliumEndpoints, name)?.addresses[0] ?? ''
  const address = at.split('.').map(Number) as unknown as [number, number, number, number]
  return { labels: labelsFrom(labels), ports: same.flatMap((e) => e.namedPorts), address }
}

/** One question of a packet to one end, and what the specifications answer. */
export interface Asked {
  readonly subject: Endpoint
  readonly direction: 'ingress' | 'egress'
  readonly peer: string
  readonly packet: RefPacket
  readonly want: RefVerdict
  /** The same with staged policies in force. */
  readonly staged: RefVerdict
  readonly text: string
}

/** Every packet between every local endpoint and everybody, both ways. */
export function* questions(world: World, now: ReadonlyMap<string, Any>): Iterable<Asked> {
  const objects = [...now.values()].filter((object) => object['kind'] !== 'Pod')
  const others = peers(world, now)
  for (const subject of world.db.all(endpoints)) {
    const self: RefPeer = { labels: labelsFrom(subject.labels), ports: subject.namedPorts }
    const name = `${subject.namespace}/${subject.podName}`
    for (const [peer, ref] of others)
      for (const packet of packets)
        for (const direction of ['ingress', 'egress'] as const)
          yield {
            ...{ subject, direction, peer, packet },
            want: reference(objects, self, direction, ref, packet),
            staged: reference(objects, self, direction, ref, packet, true),
            text: `${direction} of ${name}, peer ${peer}, ${packet.protocol} ${packet.port}`,
          }
  }
}
