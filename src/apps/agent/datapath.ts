// SPDX-License-Identifier: Apache-2.0
import { endpoints } from '../../derive/endpoints/tables.ts'
import { type Frontend, frontendKey, frontends, loopback } from '../../derive/services/frontends.ts'
import { type AttachmentRow, attachmentKey, attachmentTarget } from '../../edge/kernel/attachments.ts'
import type { LinkRow } from '../../edge/kernel/devices.ts'
import { type AttachMode, attachMode, fallbacks } from '../../edge/kernel/features.ts'
import { withoutGrace } from '../../edge/kernel/grace.ts'
import type { LoadedObject } from '../../edge/kernel/object.ts'
import type { Endpoint } from '../../model/endpoint.ts'
import type { OptionValues } from '../../model/options.ts'
import { devices, settings } from '../../model/rows.ts'
import type { Settings } from '../../model/settings.ts'
import type { Database } from '../../table/database.ts'
import { deriveAll, deriveEach, table } from '../../table/definition.ts'
import type { Target } from '../../table/target.ts'
import { type NodeFacts, nodeFacts } from './node-facts.ts'
import { configOf, loadPrograms, type Places, type Programs } from './programs.ts'

/** What the programs are loaded with; another row means loading them again. */
export interface DatapathConfig {
  readonly settings: Settings
  readonly facts: NodeFacts
  /** Number of the device where what the node sends to its proxy comes in again. */
  readonly net: number
}

export const datapathConfig = deriveAll<DatapathConfig>(
  'datapathConfig',
  [nodeFacts, settings, devices],
  { key: () => 'datapath' },
  (read) => {
    const facts = read.get(nodeFacts, 'node')
    const config = read.get(settings, 'settings')
    const net = read.by(devices, 'name', NET_DEVICE)[0]
    return facts && config && net ? [{ facts, settings: config, net: net.index }] : []
  },
)

/** Which load of the programs is the present one, and where socket programs go. A source: the datapath target fills it. */
export interface LoadedPrograms {
  readonly generation: number
  readonly cgroup: string
}
export const loadedPrograms = table<LoadedPrograms>('loadedPrograms', { key: () => 'programs' })

/** An attachment of the present programs. */
export type Attachment = AttachmentRow & { readonly generation: number }

const shape = {
  key: attachmentKey,
  columns: [
    ['ATTACHMENT', attachmentKey],
    ['PROGRAM', (a: Attachment) => a.program],
  ],
} as const

export const podAttachments = deriveEach<Endpoint, Attachment>('podAttachments', endpoints, shape, (e, read) => {
  const loaded = read.get(loadedPrograms, 'programs')
  return loaded && e.interface !== 0 ? podRows(e.interface, loaded.generation) : []
})

const podRows = (device: number, generation: number): readonly Attachment[] => [
  { kind: 'device', device, direction: 'ingress', program: 'from_pod', generation },
  { kind: 'device', device, direction: 'egress', program: 'to_pod', generation },
]

const idOf = (row: Attachment): string => `${attachmentKey(row)} ${row.generation}`

/** Socket programs, by the point they attach to; the object of this build has some or all of them. */
const SOCKET_POINTS = [
  'connect4',
  'connect6',
  'sendmsg4',
  'sendmsg6',
  'recvmsg4',
  'recvmsg6',
  'getpeername4',
  'getpeername6',
] as const

export const HOST_DEVICE = 'cilium_host'
export const NET_DEVICE = 'cilium_net'
/** Devices of the node that are ours, as `ip link show group` finds them. */
export const HOST_GROUP = 0x63696c

/**
 * Sockets of the node that answer for services the wire asks: what they send is translated back as it leaves. Connections
 * to the node's own address need none of it.
 */
export const answeringSockets = deriveEach<Frontend, { readonly frontend: string }>(
  'answeringSockets',
  frontends,
  { key: (f) => f.frontend },
  (f, read) => {
    const facts = read.get(nodeFacts, 'node')
    if (f.type === 'ClusterIP' || loopback.includes(f.address) || !facts) return []
    const own = [facts.ipv4, facts.ipv6]
    const translated = f.protocol === 'UDP' || !own.includes(f.address)
    return translated && f.backends.some((b) => own.includes(b.address)) ? [{ frontend: frontendKey(f) }] : []
  },
)

export const nodeAttachments = deriveAll<Attachment>(
  'nodeAttachments',
  [nodeFacts, loadedPrograms, devices, settings, answeringSockets],
  shape,
  (read) => {
    const facts = read.get(nodeFacts, 'node')
    const loaded = read.get(loadedPrograms, 'programs')
    if (!facts || !loaded) return []
    const { generation, cgroup } = loaded
    const host = read.by(devices, 'name', HOST_DEVICE)[0]
    const net = read.by(devices, 'name', NET_DEVICE)[0]
    return [
      { kind: 'device', device: facts.wire, direction: 'ingress', program: 'from_wire', generation },
      ...(read.get(settings, 'settings')?.enableHostFirewall || read.all(answeringSockets).length > 0
        ? [{ kind: 'device', device: facts.wire, direction: 'egress', program: 'to_wire', generation } as const]
        : []),
      ...(host
        ? [{ kind: 'device', device: host.index, direction: 'egress', program: 'from_host', generation } as const]
        : []),
      ...(net
        ? [{ kind: 'device', device: net.index, direction: 'ingress', program: 'from_net', generation } as const]
        : []),
      ...(cgroup === ''
        ? []
        : SOCKET_POINTS.map(
            (point) => ({ kind: 'cgroup', directory: cgroup, point, program: point, generation }) as const,
          )),
    ]
  },
)

/** The pair cilium_host and cilium_net: holds the gateway addresses, and is the node's own way into the pod network. */
export const hostDevices = deriveAll<LinkRow>('hostDevices', [nodeFacts], { key: (d) => d.name }, (read) => {
  const facts = read.get(nodeFacts, 'node')
  if (!facts) return []
  const addresses = [facts.gateway4 && `${facts.gateway4}/32`, facts.gateway6 && `${facts.gateway6}/128`].filter(
    (a) => a,
  )
  return [{ name: HOST_DEVICE, kind: 'veth', peer: NET_DEVICE, mac: '', mtu: facts.wireMtu, noArp: true, addresses }]
})

/** Loaded programs and everything that attaches them. */
export interface Datapath {
  /** How programs are attached to devices. */
  readonly attach: AttachMode
  /** What this kernel lacks, and what is done instead: sentences. */
  readonly fallbacks: readonly string[]
  readonly configTarget: Target<DatapathConfig>
  readonly podTarget: Target<Attachment>
  readonly nodeTarget: Target<Attachment>
  /** Attaches the pod programs to a new device, at once. */
  attachPod(index: number): void
  /** A program by its name, for runs by user space. */
  program(name: string): number | undefined
  close(): void
}

export interface DatapathPlaces extends Places {
  /** Directory of pinned links. */
  readonly links: string
  /** cgroup v2 directory for socket programs, '' for none. */
  readonly cgroup: string
}

export function openDatapath(
  db: Database,
  maps: LoadedObject,
  places: DatapathPlaces,
  options: OptionValues,
): Datapath {
  const attach = options['enable-tcx'] === false ? 'tc' : attachMode()
  let programs: Programs | undefined
  let generation = 0
  /** What was attached as its device was made, and need not be once more when the device is seen. */
  const attached = new Set<string>()
  let pods: Target<Attachment> | undefined
  let node: Target<Attachment> | undefined

  function load(row: DatapathConfig): void {
    const before = programs
    programs = loadPrograms(places, maps, configOf(row, options))
    before?.close()
    pods = attachmentTarget(podAttachments, `${places.links}/pods`, programs.byName, attach)
    node = attachmentTarget(nodeAttachments, `${places.links}/node`, programs.byName, attach)
    generation++
    db.commit((tx) => tx.put(loadedPrograms, { generation, cgroup: places.cgroup }))
  }

  /** Stands for the target of the present programs; what is attached is unknown until they are there. */
  const present = (
    name: string,
    target: () => Target<Attachment> | undefined,
    load: Target<Attachment>['load'],
    wanted: (row: Attachment) => boolean,
  ): Target<Attachment> => ({
    name,
    key: attachmentKey,
    load,
    equal: () => false,
    write: (rows) => {
      const now = target()
      if (!now) return rows.map(() => ({ ok: false, error: 'the programs are not loaded' }))
      const known = rows.filter(wanted)
      const outcomes = known.length === 0 ? [] : (withoutGrace(() => now.write(known)) as readonly { ok: true }[])
      return rows.map((row) => outcomes[known.indexOf(row)] ?? { ok: true })
    },
    remove: (rows) => target()?.remove(rows) ?? rows.map(() => ({ ok: true })),
  })

  return {
    attach,
    fallbacks: fallbacks(),
    configTarget: {
      name: 'programs',
      key: () => 'datapath',
      load: () => [],
      equal: () => false,
      write: (rows) => {
        for (const row of rows) load(row)
        return rows.map(() => ({ ok: true }))
      },
      remove: (rows) => rows.map(() => ({ ok: true })),
    },
    podTarget: present(
      'pod attachments',
      () => pods,
      // What was attached by the agent before stays attached: it is exchanged in place. Links of devices that went
      // meanwhile go with this look at them.
      () => {
        attachmentTarget(podAttachments, `${places.links}/pods`, new Map(), attach).load()
        return []
      },
      (row) => !attached.delete(idOf(row)),
    ),
    // A build without some socket program attaches the others.
    nodeTarget: present(
      'node attachments',
      () => node,
      // The same, but for what this agent does not attach.
      () => attachmentTarget(nodeAttachments, `${places.links}/node`, new Map(), attach).load(),
      (row) => row.kind === 'device' || programs?.byName.has(row.program) === true,
    ),
    attachPod(index) {
      if (!pods) throw new Error('the programs are not loaded yet')
      const target = pods
      const rows = podRows(index, generation)
      const outcomes = withoutGrace(() => target.write(rows))
      for (const outcome of outcomes as readonly { ok: boolean; error?: string }[])
        if (!outcome.ok) throw new Error(outcome.error)
      for (const row of rows) attached.add(idOf(row))
    },
    program: (name) => programs?.byName.get(name),
    close: () => programs?.close(),
  }
}
