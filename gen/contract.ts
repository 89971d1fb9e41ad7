// SPDX-License-Identifier: Apache-2.0
// Made by tools/layouts.ts from the BTF of build/bpf/contract.o; `make generate` writes it anew. Not to be edited.

/** How a value lies in memory. 64-bit numbers are exact up to 2^53. Padding is not shown and written as zero. */
export interface Layout<T> {
  readonly size: number
  read(view: DataView, offset: number): T
  write(view: DataView, offset: number, value: T): void
}

/** One map of the contract. For per-CPU maps `value` is that of one CPU. */
export interface MapSpec<K, V> {
  readonly name: string
  /** enum bpf_map_type. */
  readonly type: number
  readonly key: Layout<K>
  readonly value: Layout<V>
  /** The object's own size; a loader may set another. */
  readonly maxEntries: number
  readonly flags: number
}

function readBytes(view: DataView, offset: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size)
  for (let i = 0; i < size; i++) bytes[i] = view.getUint8(offset + i)
  return bytes
}

function writeBytes(view: DataView, offset: number, size: number, bytes: Uint8Array): void {
  if (bytes.length !== size) throw new RangeError(`${bytes.length} bytes where the kernel has ${size}`)
  for (let i = 0; i < size; i++) view.setUint8(offset + i, bytes[i]!)
}

function readU64(view: DataView, offset: number): number {
  return view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 4294967296
}

function writeU64(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value >>> 0, true)
  view.setUint32(offset + 4, Math.floor(value / 4294967296), true)
}

function readList<T>(count: number, read: (index: number) => T): T[] {
  const list: T[] = []
  for (let i = 0; i < count; i++) list.push(read(i))
  return list
}

function writeList<T>(count: number, list: readonly T[], write: (index: number, item: T) => void): void {
  if (list.length !== count) throw new RangeError(`${list.length} items where the kernel has ${count}`)
  for (let i = 0; i < count; i++) write(i, list[i]!)
}

export const u32Layout: Layout<number> = {
  size: 4,
  read: (view, at) => view.getUint32(at, true),
  write: (view, at, value) => view.setUint32(at, value, true),
}

/** 128 bits in network order, IPv4 as ::ffff:a.b.c.d. */
export const addressLayout: Layout<Uint8Array> = {
  size: 16,
  read: (view, at) => readBytes(view, at, 16),
  write: (view, at, value) => writeBytes(view, at, 16, value),
}

export const Action = {
  ACTION_ROUTE: 0,
  ACTION_PEER: 1,
  ACTION_STACK: 2,
  ACTION_NEIGHBOUR: 3,
  ACTION_TUNNEL: 4,
  ACTION_MASQUERADE: 5,
  ACTION_SERVICE: 6,
  ACTION_SERVICE_REPLY: 7,
  ACTION_ECHO: 8,
  ACTION_PROXY: 9,
  ACTION_EXTERNAL_REPLY: 10,
} as const

export const Direction = {
  DIRECTION_INGRESS: 0,
  DIRECTION_EGRESS: 1,
} as const

export const Drop = {
  DROP_INVALID_SOURCE_IP: 132,
  DROP_POLICY_DENIED: 133,
  DROP_INVALID_PACKET: 134,
  DROP_CT_TRUNCATED_HEADER: 135,
  DROP_FRAGMENTATION_NEEDED: 136,
  DROP_UNKNOWN_L4: 142,
  DROP_UNSUPPORTED_L3: 139,
  DROP_MISSED_TAIL_CALL: 140,
  DROP_WRITE_ERROR: 141,
  DROP_STALE_OR_UNROUTABLE: 151,
  DROP_CT_INSERT_FAILED: 155,
  DROP_INVALID_EXTENSION_HEADER: 156,
  DROP_NO_BACKEND: 158,
  DROP_NO_TUNNEL_ENDPOINT: 160,
  DROP_UNSUPPORTED_L2: 166,
  DROP_NAT_NO_MAPPING: 167,
  DROP_NAT_UNSUPPORTED_PROTOCOL: 168,
  DROP_FIB_FAILED: 169,
  DROP_ENCAP_PROHIBITED: 170,
  DROP_INVALID_IDENTITY: 171,
  DROP_UNKNOWN_SENDER: 172,
  DROP_FRAGMENT_NOT_FOUND: 175,
  DROP_FORBIDDEN_ICMPV6: 176,
  DROP_NOT_IN_SOURCE_RANGE: 177,
  DROP_SOCKET_LOOKUP_FAILED: 178,
  DROP_SOCKET_ASSIGN_FAILED: 179,
  DROP_PROXY_UNSUPPORTED: 180,
  DROP_POLICY_DENY: 181,
  DROP_TTL_EXCEEDED: 196,
  DROP_ENDPOINT_NOT_READY: 203,
} as const

export const EntryFlags = {
  ENTRY_TO_POD: 2147483648,
  ENTRY_TUNNEL: 1073741824,
  ENTRY_NAT: 536870912,
  ENTRY_TO_WIRE: 268435456,
} as const

export const EventFlags = {
  EVENT_IPV6: 1,
  EVENT_REPLY: 2,
  EVENT_AUDIT: 4,
  EVENT_TUNNEL: 8,
  EVENT_FRAGMENT: 16,
  EVENT_REJUDGED: 32,
} as const

export const EventKind = {
  EVENT_DROP: 1,
  EVENT_NEW: 2,
  EVENT_CLOSE: 3,
  EVENT_SOCKET: 4,
} as const

export const FlowFlags = {
  FLOW_AUDIT: 1,
  FLOW_SERVICE: 2,
  FLOW_TUNNELLED: 4,
  FLOW_REVERSED: 8,
  FLOW_UPSTREAM: 32,
  FLOW_EXTERNAL: 64,
  FLOW_HAIRPIN: 16,
} as const

export const IdentityNumber = {
  IDENTITY_UNKNOWN: 0,
  IDENTITY_HOST: 1,
  IDENTITY_WORLD: 2,
  IDENTITY_UNMANAGED: 3,
  IDENTITY_HEALTH: 4,
  IDENTITY_INIT: 5,
  IDENTITY_REMOTE_NODE: 6,
  IDENTITY_KUBE_APISERVER: 7,
  IDENTITY_INGRESS: 8,
  IDENTITY_WORLD_IPV4: 9,
  IDENTITY_WORLD_IPV6: 10,
} as const

export const MetricReason = {
  METRIC_FORWARDED: 0,
  METRIC_EVENTS_LOST: 1,
  METRIC_EVENTS_LIMITED: 2,
  METRIC_QUIET: 3,
} as const

export const Observation = {
  AT_TO_ENDPOINT: 0,
  AT_TO_PROXY: 1,
  AT_TO_HOST: 2,
  AT_TO_STACK: 3,
  AT_TO_OVERLAY: 4,
  AT_FROM_ENDPOINT: 5,
  AT_FROM_NETWORK: 10,
  AT_TO_NETWORK: 11,
} as const

export const OwnerFlags = {
  OWNER_LOCAL: 1,
  OWNER_HOST: 2,
  OWNER_NODE: 4,
  OWNER_GATEWAY: 8,
} as const

export const PacketMark = {
  MARK_JUDGED: 1024,
} as const

export const PortSpace = {
  PORTS_TCP: 0,
  PORTS_UDP: 1,
  PORTS_SCTP: 2,
  PORTS_ICMP: 3,
  PORTS_ICMPV6: 4,
  PORTS_SPACES: 5,
} as const

export const ServiceFlags = {
  SERVICE_EXTERNAL: 1,
  SERVICE_TWO_SCOPES: 2,
  SERVICE_RANGES: 4,
} as const

export const Verdict = {
  VERDICT_NONE: 0,
  VERDICT_ALLOW: 1,
  VERDICT_DENY: 2,
  VERDICT_REDIRECT: 3,
  VERDICT_AUDIT: 4,
} as const

/** struct affinity */
export interface Affinity {
  readonly address: Uint8Array
  readonly port: number
  readonly seen: number
}

export const affinityLayout = {
  size: 24,
  /** Offsets of the members, for those who read in place. */
  at: { address: 0, port: 16, seen: 20 },
  read: (view: DataView, at: number): Affinity => ({
    address: addressLayout.read(view, at),
    port: view.getUint16(at + 16, false),
    seen: view.getUint32(at + 20, true),
  }),
  write: (view: DataView, at: number, value: Affinity): void => {
    addressLayout.write(view, at, value.address)
    view.setUint16(at + 16, value.port, false)
    view.setUint32(at + 20, value.seen, true)
    view.setUint8(at + 18, 0)
    view.setUint8(at + 19, 0)
  },
} as const

/** struct affinity_key */
export interface AffinityKey {
  readonly client: Uint8Array
  readonly service: number
}

export const affinityKeyLayout = {
  size: 20,
  /** Offsets of the members, for those who read in place. */
  at: { client: 0, service: 16 },
  read: (view: DataView, at: number): AffinityKey => ({
    client: addressLayout.read(view, at),
    service: view.getUint32(at + 16, true),
  }),
  write: (view: DataView, at: number, value: AffinityKey): void => {
    addressLayout.write(view, at, value.client)
    view.setUint32(at + 16, value.service, true)
  },
} as const

/** struct backend */
export interface Backend {
  readonly address: Uint8Array
  readonly port: number
  readonly protocol: number
  readonly state: number
}

export const backendLayout = {
  size: 20,
  /** Offsets of the members, for those who read in place. */
  at: { address: 0, port: 16, protocol: 18, state: 19 },
  read: (view: DataView, at: number): Backend => ({
    address: addressLayout.read(view, at),
    port: view.getUint16(at + 16, false),
    protocol: view.getUint8(at + 18),
    state: view.getUint8(at + 19),
  }),
  write: (view: DataView, at: number, value: Backend): void => {
    addressLayout.write(view, at, value.address)
    view.setUint16(at + 16, value.port, false)
    view.setUint8(at + 18, value.protocol)
    view.setUint8(at + 19, value.state)
  },
} as const

/** struct class_index */
export interface ClassIndex {
  readonly page: readonly number[]
}

export const classIndexLayout = {
  size: 512,
  /** Offsets of the members, for those who read in place. */
  at: { page: 0 },
  read: (view: DataView, at: number): ClassIndex => ({
    page: readList(256, (i0) => view.getUint16(at + 2 * i0, true)),
  }),
  write: (view: DataView, at: number, value: ClassIndex): void => {
    writeList(256, value.page, (i0, item) => view.setUint16(at + 2 * i0, item, true))
  },
} as const

/** struct class_key */
export interface ClassKey {
  readonly table: number
  readonly identity: number
}

export const classKeyLayout = {
  size: 8,
  /** Offsets of the members, for those who read in place. */
  at: { table: 0, identity: 4 },
  read: (view: DataView, at: number): ClassKey => ({
    table: view.getUint32(at, true),
    identity: view.getUint32(at + 4, true),
  }),
  write: (view: DataView, at: number, value: ClassKey): void => {
    view.setUint32(at, value.table, true)
    view.setUint32(at + 4, value.identity, true)
  },
} as const

/** struct class_page */
export interface ClassPage {
  readonly class: readonly number[]
}

export const classPageLayout = {
  size: 512,
  /** Offsets of the members, for those who read in place. */
  at: { class: 0 },
  read: (view: DataView, at: number): ClassPage => ({
    class: readList(256, (i0) => view.getUint16(at + 2 * i0, true)),
  }),
  write: (view: DataView, at: number, value: ClassPage): void => {
    writeList(256, value.class, (i0, item) => view.setUint16(at + 2 * i0, item, true))
  },
} as const

/** struct clock */
export interface Clock {
  readonly jiffies: number
  readonly time: number
}

export const clockLayout = {
  size: 16,
  /** Offsets of the members, for those who read in place. */
  at: { jiffies: 0, time: 8 },
  read: (view: DataView, at: number): Clock => ({
    jiffies: readU64(view, at),
    time: readU64(view, at + 8),
  }),
  write: (view: DataView, at: number, value: Clock): void => {
    writeU64(view, at, value.jiffies)
    writeU64(view, at + 8, value.time)
  },
} as const

/** struct config */
export interface Config {
  readonly nodeIpv4: Uint8Array
  readonly nodeIpv6: Uint8Array
  readonly gatewayIpv4: Uint8Array
  readonly gatewayIpv6: Uint8Array
  readonly nativeIpv4: Uint8Array
  readonly nativeIpv6: Uint8Array
  readonly nativeIpv4Bits: number
  readonly nativeIpv6Bits: number
  readonly wire: number
  readonly net: number
  readonly tunnel: number
  readonly tunnelPort: number
  readonly tunnelMtu: number
  readonly wireMtu: number
  readonly natPortFirst: number
  readonly natPortLast: number
  readonly masqueradeIpv4: number
  readonly masqueradeIpv6: number
  readonly dualWorld: number
  readonly tcpPeerNames: number
  readonly gatewayMac: Uint8Array
  readonly podMac: Uint8Array
  readonly tcpTimeout: number
  readonly synTimeout: number
  readonly anyTimeout: number
  readonly dropEventsPerSecond: number
  readonly hz: number
  readonly socketEvents: number
  readonly hostFirewall: number
  readonly namespace: number
}

export const configLayout = {
  size: 176,
  /** Offsets of the members, for those who read in place. */
  at: { nodeIpv4: 0, nodeIpv6: 16, gatewayIpv4: 32, gatewayIpv6: 48, nativeIpv4: 64, nativeIpv6: 80, nativeIpv4Bits: 96, nativeIpv6Bits: 100, wire: 104, net: 108, tunnel: 112, tunnelPort: 116, tunnelMtu: 118, wireMtu: 120, natPortFirst: 122, natPortLast: 124, masqueradeIpv4: 126, masqueradeIpv6: 127, dualWorld: 128, tcpPeerNames: 129, gatewayMac: 130, podMac: 136, tcpTimeout: 144, synTimeout: 148, anyTimeout: 152, dropEventsPerSecond: 156, hz: 160, socketEvents: 164, hostFirewall: 165, namespace: 168 },
  read: (view: DataView, at: number): Config => ({
    nodeIpv4: addressLayout.read(view, at),
    nodeIpv6: addressLayout.read(view, at + 16),
    gatewayIpv4: addressLayout.read(view, at + 32),
    gatewayIpv6: addressLayout.read(view, at + 48),
    nativeIpv4: addressLayout.read(view, at + 64),
    nativeIpv6: addressLayout.read(view, at + 80),
    nativeIpv4Bits: view.getUint32(at + 96, true),
    nativeIpv6Bits: view.getUint32(at + 100, true),
    wire: view.getUint32(at + 104, true),
    net: view.getUint32(at + 108, true),
    tunnel: view.getUint32(at + 112, true),
    tunnelPort: view.getUint16(at + 116, true),
    tunnelMtu: view.getUint16(at + 118, true),
    wireMtu: view.getUint16(at + 120, true),
    natPortFirst: view.getUint16(at + 122, true),
    natPortLast: view.getUint16(at + 124, true),
    masqueradeIpv4: view.getUint8(at + 126),
    masqueradeIpv6: view.getUint8(at + 127),
    dualWorld: view.getUint8(at + 128),
    tcpPeerNames: view.getUint8(at + 129),
    gatewayMac: readBytes(view, at + 130, 6),
    podMac: readBytes(view, at + 136, 6),
    tcpTimeout: view.getUint32(at + 144, true),
    synTimeout: view.getUint32(at + 148, true),
    anyTimeout: view.getUint32(at + 152, true),
    dropEventsPerSecond: view.getUint32(at + 156, true),
    hz: view.getUint32(at + 160, true),
    socketEvents: view.getUint8(at + 164),
    hostFirewall: view.getUint8(at + 165),
    namespace: readU64(view, at + 168),
  }),
  write: (view: DataView, at: number, value: Config): void => {
    addressLayout.write(view, at, value.nodeIpv4)
    addressLayout.write(view, at + 16, value.nodeIpv6)
    addressLayout.write(view, at + 32, value.gatewayIpv4)
    addressLayout.write(view, at + 48, value.gatewayIpv6)
    addressLayout.write(view, at + 64, value.nativeIpv4)
    addressLayout.write(view, at + 80, value.nativeIpv6)
    view.setUint32(at + 96, value.nativeIpv4Bits, true)
    view.setUint32(at + 100, value.nativeIpv6Bits, true)
    view.setUint32(at + 104, value.wire, true)
    view.setUint32(at + 108, value.net, true)
    view.setUint32(at + 112, value.tunnel, true)
    view.setUint16(at + 116, value.tunnelPort, true)
    view.setUint16(at + 118, value.tunnelMtu, true)
    view.setUint16(at + 120, value.wireMtu, true)
    view.setUint16(at + 122, value.natPortFirst, true)
    view.setUint16(at + 124, value.natPortLast, true)
    view.setUint8(at + 126, value.masqueradeIpv4)
    view.setUint8(at + 127, value.masqueradeIpv6)
    view.setUint8(at + 128, value.dualWorld)
    view.setUint8(at + 129, value.tcpPeerNames)
    writeBytes(view, at + 130, 6, value.gatewayMac)
    writeBytes(view, at + 136, 6, value.podMac)
    view.setUint32(at + 144, value.tcpTimeout, true)
    view.setUint32(at + 148, value.synTimeout, true)
    view.setUint32(at + 152, value.anyTimeout, true)
    view.setUint32(at + 156, value.dropEventsPerSecond, true)
    view.setUint32(at + 160, value.hz, true)
    view.setUint8(at + 164, value.socketEvents)
    view.setUint8(at + 165, value.hostFirewall)
    writeU64(view, at + 168, value.namespace)
    view.setUint8(at + 142, 0)
    view.setUint8(at + 143, 0)
    view.setUint8(at + 166, 0)
    view.setUint8(at + 167, 0)
  },
} as const

/** struct counter */
export interface Counter {
  readonly packets: number
  readonly bytes: number
}

export const counterLayout = {
  size: 16,
  /** Offsets of the members, for those who read in place. */
  at: { packets: 0, bytes: 8 },
  read: (view: DataView, at: number): Counter => ({
    packets: readU64(view, at),
    bytes: readU64(view, at + 8),
  }),
  write: (view: DataView, at: number, value: Counter): void => {
    writeU64(view, at, value.packets)
    writeU64(view, at + 8, value.bytes)
  },
} as const

/** struct drop_limit */
export interface DropLimit {
  readonly window: number
  readonly count: number
}

export const dropLimitLayout = {
  size: 8,
  /** Offsets of the members, for those who read in place. */
  at: { window: 0, count: 4 },
  read: (view: DataView, at: number): DropLimit => ({
    window: view.getUint32(at, true),
    count: view.getUint32(at + 4, true),
  }),
  write: (view: DataView, at: number, value: DropLimit): void => {
    view.setUint32(at, value.window, true)
    view.setUint32(at + 4, value.count, true)
  },
} as const

/** struct event */
export interface Event {
  readonly time: number
  readonly kind: number
  readonly reason: number
  readonly direction: number
  readonly flags: number
  readonly protocol: number
  readonly tcpFlags: number
  readonly sourcePort: number
  readonly destinationPort: number
  readonly sourceEndpoint: number
  readonly destinationEndpoint: number
  readonly proxyPort: number
  readonly length: number
  readonly sourceIdentity: number
  readonly destinationIdentity: number
  readonly egressRule: number
  readonly ingressRule: number
  readonly egressStaged: number
  readonly ingressStaged: number
  readonly interface: number
  readonly source: Uint8Array
  readonly destination: Uint8Array
  readonly packets: readonly number[]
  readonly bytes: readonly number[]
}

export const eventLayout = {
  size: 120,
  /** Offsets of the members, for those who read in place. */
  at: { time: 0, kind: 8, reason: 9, direction: 10, flags: 11, protocol: 12, tcpFlags: 13, sourcePort: 14, destinationPort: 16, sourceEndpoint: 18, destinationEndpoint: 20, proxyPort: 22, length: 24, sourceIdentity: 28, destinationIdentity: 32, egressRule: 36, ingressRule: 40, egressStaged: 44, ingressStaged: 48, interface: 52, source: 56, destination: 72, packets: 88, bytes: 104 },
  read: (view: DataView, at: number): Event => ({
    time: readU64(view, at),
    kind: view.getUint8(at + 8),
    reason: view.getUint8(at + 9),
    direction: view.getUint8(at + 10),
    flags: view.getUint8(at + 11),
    protocol: view.getUint8(at + 12),
    tcpFlags: view.getUint8(at + 13),
    sourcePort: view.getUint16(at + 14, true),
    destinationPort: view.getUint16(at + 16, true),
    sourceEndpoint: view.getUint16(at + 18, true),
    destinationEndpoint: view.getUint16(at + 20, true),
    proxyPort: view.getUint16(at + 22, true),
    length: view.getUint32(at + 24, true),
    sourceIdentity: view.getUint32(at + 28, true),
    destinationIdentity: view.getUint32(at + 32, true),
    egressRule: view.getUint32(at + 36, true),
    ingressRule: view.getUint32(at + 40, true),
    egressStaged: view.getUint32(at + 44, true),
    ingressStaged: view.getUint32(at + 48, true),
    interface: view.getUint32(at + 52, true),
    source: addressLayout.read(view, at + 56),
    destination: addressLayout.read(view, at + 72),
    packets: readList(2, (i0) => readU64(view, at + 88 + 8 * i0)),
    bytes: readList(2, (i0) => readU64(view, at + 104 + 8 * i0)),
  }),
  write: (view: DataView, at: number, value: Event): void => {
    writeU64(view, at, value.time)
    view.setUint8(at + 8, value.kind)
    view.setUint8(at + 9, value.reason)
    view.setUint8(at + 10, value.direction)
    view.setUint8(at + 11, value.flags)
    view.setUint8(at + 12, value.protocol)
    view.setUint8(at + 13, value.tcpFlags)
    view.setUint16(at + 14, value.sourcePort, true)
    view.setUint16(at + 16, value.destinationPort, true)
    view.setUint16(at + 18, value.sourceEndpoint, true)
    view.setUint16(at + 20, value.destinationEndpoint, true)
    view.setUint16(at + 22, value.proxyPort, true)
    view.setUint32(at + 24, value.length, true)
    view.setUint32(at + 28, value.sourceIdentity, true)
    view.setUint32(at + 32, value.destinationIdentity, true)
    view.setUint32(at + 36, value.egressRule, true)
    view.setUint32(at + 40, value.ingressRule, true)
    view.setUint32(at + 44, value.egressStaged, true)
    view.setUint32(at + 48, value.ingressStaged, true)
    view.setUint32(at + 52, value.interface, true)
    addressLayout.write(view, at + 56, value.source)
    addressLayout.write(view, at + 72, value.destination)
    writeList(2, value.packets, (i0, item) => writeU64(view, at + 88 + 8 * i0, item))
    writeList(2, value.bytes, (i0, item) => writeU64(view, at + 104 + 8 * i0, item))
  },
} as const

/** struct flow */
export interface Flow {
  readonly epoch: number
  readonly seen: number
  readonly entry: readonly number[]
  readonly out: readonly number[]
  readonly action: Uint8Array
  readonly origin: number
  readonly closing: number
  readonly rule: readonly number[]
  readonly flags: number
  readonly packets: readonly number[]
  readonly bytes: readonly number[]
  readonly identity: readonly number[]
  readonly endpoint: readonly number[]
  readonly created: number
  readonly natPort: number
  readonly servicePort: number
  readonly proxyPort: number
  readonly tcpFlags: number
  readonly nextHop: Uint8Array
  readonly tunnel: Uint8Array
  readonly service: Uint8Array
}

export const flowLayout = {
  size: 144,
  /** Offsets of the members, for those who read in place. */
  at: { epoch: 0, seen: 4, entry: 8, out: 16, action: 24, origin: 26, closing: 27, rule: 28, flags: 36, packets: 40, bytes: 56, identity: 72, endpoint: 80, created: 84, natPort: 88, servicePort: 90, proxyPort: 92, tcpFlags: 94, nextHop: 96, tunnel: 112, service: 128 },
  read: (view: DataView, at: number): Flow => ({
    epoch: view.getUint32(at, true),
    seen: view.getUint32(at + 4, true),
    entry: readList(2, (i0) => view.getUint32(at + 8 + 4 * i0, true)),
    out: readList(2, (i0) => view.getUint32(at + 16 + 4 * i0, true)),
    action: readBytes(view, at + 24, 2),
    origin: view.getUint8(at + 26),
    closing: view.getUint8(at + 27),
    rule: readList(2, (i0) => view.getUint32(at + 28 + 4 * i0, true)),
    flags: view.getUint32(at + 36, true),
    packets: readList(2, (i0) => readU64(view, at + 40 + 8 * i0)),
    bytes: readList(2, (i0) => readU64(view, at + 56 + 8 * i0)),
    identity: readList(2, (i0) => view.getUint32(at + 72 + 4 * i0, true)),
    endpoint: readList(2, (i0) => view.getUint16(at + 80 + 2 * i0, true)),
    created: view.getUint32(at + 84, true),
    natPort: view.getUint16(at + 88, false),
    servicePort: view.getUint16(at + 90, false),
    proxyPort: view.getUint16(at + 92, true),
    tcpFlags: view.getUint16(at + 94, true),
    nextHop: addressLayout.read(view, at + 96),
    tunnel: addressLayout.read(view, at + 112),
    service: addressLayout.read(view, at + 128),
  }),
  write: (view: DataView, at: number, value: Flow): void => {
    view.setUint32(at, value.epoch, true)
    view.setUint32(at + 4, value.seen, true)
    writeList(2, value.entry, (i0, item) => view.setUint32(at + 8 + 4 * i0, item, true))
    writeList(2, value.out, (i0, item) => view.setUint32(at + 16 + 4 * i0, item, true))
    writeBytes(view, at + 24, 2, value.action)
    view.setUint8(at + 26, value.origin)
    view.setUint8(at + 27, value.closing)
    writeList(2, value.rule, (i0, item) => view.setUint32(at + 28 + 4 * i0, item, true))
    view.setUint32(at + 36, value.flags, true)
    writeList(2, value.packets, (i0, item) => writeU64(view, at + 40 + 8 * i0, item))
    writeList(2, value.bytes, (i0, item) => writeU64(view, at + 56 + 8 * i0, item))
    writeList(2, value.identity, (i0, item) => view.setUint32(at + 72 + 4 * i0, item, true))
    writeList(2, value.endpoint, (i0, item) => view.setUint16(at + 80 + 2 * i0, item, true))
    view.setUint32(at + 84, value.created, true)
    view.setUint16(at + 88, value.natPort, false)
    view.setUint16(at + 90, value.servicePort, false)
    view.setUint16(at + 92, value.proxyPort, true)
    view.setUint16(at + 94, value.tcpFlags, true)
    addressLayout.write(view, at + 96, value.nextHop)
    addressLayout.write(view, at + 112, value.tunnel)
    addressLayout.write(view, at + 128, value.service)
  },
} as const

/** struct flow_key */
export interface FlowKey {
  readonly a: Uint8Array
  readonly b: Uint8Array
  readonly portA: number
  readonly portB: number
  readonly protocol: number
}

export const flowKeyLayout = {
  size: 40,
  /** Offsets of the members, for those who read in place. */
  at: { a: 0, b: 16, portA: 32, portB: 34, protocol: 36 },
  read: (view: DataView, at: number): FlowKey => ({
    a: addressLayout.read(view, at),
    b: addressLayout.read(view, at + 16),
    portA: view.getUint16(at + 32, false),
    portB: view.getUint16(at + 34, false),
    protocol: view.getUint8(at + 36),
  }),
  write: (view: DataView, at: number, value: FlowKey): void => {
    addressLayout.write(view, at, value.a)
    addressLayout.write(view, at + 16, value.b)
    view.setUint16(at + 32, value.portA, false)
    view.setUint16(at + 34, value.portB, false)
    view.setUint8(at + 36, value.protocol)
    view.setUint8(at + 37, 0)
    view.setUint8(at + 38, 0)
    view.setUint8(at + 39, 0)
  },
} as const

/** struct fragment */
export interface Fragment {
  readonly sourcePort: number
  readonly destinationPort: number
}

export const fragmentLayout = {
  size: 4,
  /** Offsets of the members, for those who read in place. */
  at: { sourcePort: 0, destinationPort: 2 },
  read: (view: DataView, at: number): Fragment => ({
    sourcePort: view.getUint16(at, false),
    destinationPort: view.getUint16(at + 2, false),
  }),
  write: (view: DataView, at: number, value: Fragment): void => {
    view.setUint16(at, value.sourcePort, false)
    view.setUint16(at + 2, value.destinationPort, false)
  },
} as const

/** struct fragment_key */
export interface FragmentKey {
  readonly source: Uint8Array
  readonly destination: Uint8Array
  readonly id: number
  readonly protocol: number
}

export const fragmentKeyLayout = {
  size: 40,
  /** Offsets of the members, for those who read in place. */
  at: { source: 0, destination: 16, id: 32, protocol: 36 },
  read: (view: DataView, at: number): FragmentKey => ({
    source: addressLayout.read(view, at),
    destination: addressLayout.read(view, at + 16),
    id: view.getUint32(at + 32, true),
    protocol: view.getUint8(at + 36),
  }),
  write: (view: DataView, at: number, value: FragmentKey): void => {
    addressLayout.write(view, at, value.source)
    addressLayout.write(view, at + 16, value.destination)
    view.setUint32(at + 32, value.id, true)
    view.setUint8(at + 36, value.protocol)
    view.setUint8(at + 37, 0)
    view.setUint8(at + 38, 0)
    view.setUint8(at + 39, 0)
  },
} as const

/** struct interface */
export interface Interface {
  readonly ipv4: Uint8Array
  readonly ipv6: Uint8Array
  readonly identity: number
  readonly policy: number
  readonly endpoint: number
  readonly flags: number
  readonly mac: Uint8Array
}

export const interfaceLayout = {
  size: 52,
  /** Offsets of the members, for those who read in place. */
  at: { ipv4: 0, ipv6: 16, identity: 32, policy: 36, endpoint: 40, flags: 42, mac: 44 },
  read: (view: DataView, at: number): Interface => ({
    ipv4: addressLayout.read(view, at),
    ipv6: addressLayout.read(view, at + 16),
    identity: view.getUint32(at + 32, true),
    policy: view.getUint32(at + 36, true),
    endpoint: view.getUint16(at + 40, true),
    flags: view.getUint16(at + 42, true),
    mac: readBytes(view, at + 44, 6),
  }),
  write: (view: DataView, at: number, value: Interface): void => {
    addressLayout.write(view, at, value.ipv4)
    addressLayout.write(view, at + 16, value.ipv6)
    view.setUint32(at + 32, value.identity, true)
    view.setUint32(at + 36, value.policy, true)
    view.setUint16(at + 40, value.endpoint, true)
    view.setUint16(at + 42, value.flags, true)
    writeBytes(view, at + 44, 6, value.mac)
    view.setUint8(at + 50, 0)
    view.setUint8(at + 51, 0)
  },
} as const

/** struct nat */
export interface Nat {
  readonly address: Uint8Array
  readonly port: number
  readonly seen: number
}

export const natLayout = {
  size: 24,
  /** Offsets of the members, for those who read in place. */
  at: { address: 0, port: 16, seen: 20 },
  read: (view: DataView, at: number): Nat => ({
    address: addressLayout.read(view, at),
    port: view.getUint16(at + 16, false),
    seen: view.getUint32(at + 20, true),
  }),
  write: (view: DataView, at: number, value: Nat): void => {
    addressLayout.write(view, at, value.address)
    view.setUint16(at + 16, value.port, false)
    view.setUint32(at + 20, value.seen, true)
    view.setUint8(at + 18, 0)
    view.setUint8(at + 19, 0)
  },
} as const

/** struct owner */
export interface Owner {
  readonly identity: number
  readonly interface: number
  readonly policy: number
  readonly endpoint: number
  readonly flags: number
  readonly node: Uint8Array
  readonly peer: number
}

export const ownerLayout = {
  size: 36,
  /** Offsets of the members, for those who read in place. */
  at: { identity: 0, interface: 4, policy: 8, endpoint: 12, flags: 14, node: 16, peer: 32 },
  read: (view: DataView, at: number): Owner => ({
    identity: view.getUint32(at, true),
    interface: view.getUint32(at + 4, true),
    policy: view.getUint32(at + 8, true),
    endpoint: view.getUint16(at + 12, true),
    flags: view.getUint16(at + 14, true),
    node: addressLayout.read(view, at + 16),
    peer: view.getUint32(at + 32, true),
  }),
  write: (view: DataView, at: number, value: Owner): void => {
    view.setUint32(at, value.identity, true)
    view.setUint32(at + 4, value.interface, true)
    view.setUint32(at + 8, value.policy, true)
    view.setUint16(at + 12, value.endpoint, true)
    view.setUint16(at + 14, value.flags, true)
    addressLayout.write(view, at + 16, value.node)
    view.setUint32(at + 32, value.peer, true)
  },
} as const

/** struct policy */
export interface Policy {
  readonly ingress: number
  readonly egress: number
}

export const policyLayout = {
  size: 8,
  /** Offsets of the members, for those who read in place. */
  at: { ingress: 0, egress: 4 },
  read: (view: DataView, at: number): Policy => ({
    ingress: view.getUint32(at, true),
    egress: view.getUint32(at + 4, true),
  }),
  write: (view: DataView, at: number, value: Policy): void => {
    view.setUint32(at, value.ingress, true)
    view.setUint32(at + 4, value.egress, true)
  },
} as const

/** struct policy_cell */
export interface PolicyCell {
  readonly rule: number
  readonly shadowRule: number
  readonly verdict: number
  readonly shadowVerdict: number
  readonly proxyPort: number
}

export const policyCellLayout = {
  size: 8,
  /** Offsets of the members, for those who read in place. */
  at: { rule: 0, shadowRule: 2, verdict: 4, shadowVerdict: 5, proxyPort: 6 },
  read: (view: DataView, at: number): PolicyCell => ({
    rule: view.getUint16(at, true),
    shadowRule: view.getUint16(at + 2, true),
    verdict: view.getUint8(at + 4),
    shadowVerdict: view.getUint8(at + 5),
    proxyPort: view.getUint16(at + 6, true),
  }),
  write: (view: DataView, at: number, value: PolicyCell): void => {
    view.setUint16(at, value.rule, true)
    view.setUint16(at + 2, value.shadowRule, true)
    view.setUint8(at + 4, value.verdict)
    view.setUint8(at + 5, value.shadowVerdict)
    view.setUint16(at + 6, value.proxyPort, true)
  },
} as const

/** struct policy_page */
export interface PolicyPage {
  readonly column: readonly number[]
}

export const policyPageLayout = {
  size: 512,
  /** Offsets of the members, for those who read in place. */
  at: { column: 0 },
  read: (view: DataView, at: number): PolicyPage => ({
    column: readList(256, (i0) => view.getUint16(at + 2 * i0, true)),
  }),
  write: (view: DataView, at: number, value: PolicyPage): void => {
    writeList(256, value.column, (i0, item) => view.setUint16(at + 2 * i0, item, true))
  },
} as const

/** struct policy_table */
export interface PolicyTable {
  readonly cells: number
  readonly columns: number
  readonly other: number
  readonly page: readonly (readonly number[])[]
}

export const policyTableLayout = {
  size: 2568,
  /** Offsets of the members, for those who read in place. */
  at: { cells: 0, columns: 4, other: 6, page: 8 },
  read: (view: DataView, at: number): PolicyTable => ({
    cells: view.getUint32(at, true),
    columns: view.getUint16(at + 4, true),
    other: view.getUint16(at + 6, true),
    page: readList(5, (i1) => readList(256, (i0) => view.getUint16(at + 8 + 512 * i1 + 2 * i0, true))),
  }),
  write: (view: DataView, at: number, value: PolicyTable): void => {
    view.setUint32(at, value.cells, true)
    view.setUint16(at + 4, value.columns, true)
    view.setUint16(at + 6, value.other, true)
    writeList(5, value.page, (i1, item) => writeList(256, item, (i0, item) => view.setUint16(at + 8 + 512 * i1 + 2 * i0, item, true)))
  },
} as const

/** struct prefix_key */
export interface PrefixKey {
  readonly bits: number
  readonly address: Uint8Array
}

export const prefixKeyLayout = {
  size: 20,
  /** Offsets of the members, for those who read in place. */
  at: { bits: 0, address: 4 },
  read: (view: DataView, at: number): PrefixKey => ({
    bits: view.getUint32(at, true),
    address: addressLayout.read(view, at + 4),
  }),
  write: (view: DataView, at: number, value: PrefixKey): void => {
    view.setUint32(at, value.bits, true)
    addressLayout.write(view, at + 4, value.address)
  },
} as const

/** struct proxy_pair */
export interface ProxyPair {
  readonly egress: number
  readonly ingress: number
}

export const proxyPairLayout = {
  size: 4,
  /** Offsets of the members, for those who read in place. */
  at: { egress: 0, ingress: 2 },
  read: (view: DataView, at: number): ProxyPair => ({
    egress: view.getUint16(at, true),
    ingress: view.getUint16(at + 2, true),
  }),
  write: (view: DataView, at: number, value: ProxyPair): void => {
    view.setUint16(at, value.egress, true)
    view.setUint16(at + 2, value.ingress, true)
  },
} as const

/** struct reverse_socket */
export interface ReverseSocket {
  readonly address: Uint8Array
  readonly port: number
  readonly service: number
}

export const reverseSocketLayout = {
  size: 24,
  /** Offsets of the members, for those who read in place. */
  at: { address: 0, port: 16, service: 20 },
  read: (view: DataView, at: number): ReverseSocket => ({
    address: addressLayout.read(view, at),
    port: view.getUint16(at + 16, false),
    service: view.getUint32(at + 20, true),
  }),
  write: (view: DataView, at: number, value: ReverseSocket): void => {
    addressLayout.write(view, at, value.address)
    view.setUint16(at + 16, value.port, false)
    view.setUint32(at + 20, value.service, true)
    view.setUint8(at + 18, 0)
    view.setUint8(at + 19, 0)
  },
} as const

/** struct reverse_socket_key */
export interface ReverseSocketKey {
  readonly cookie: number
  readonly address: Uint8Array
  readonly port: number
}

export const reverseSocketKeyLayout = {
  size: 32,
  /** Offsets of the members, for those who read in place. */
  at: { cookie: 0, address: 8, port: 24 },
  read: (view: DataView, at: number): ReverseSocketKey => ({
    cookie: readU64(view, at),
    address: addressLayout.read(view, at + 8),
    port: view.getUint16(at + 24, false),
  }),
  write: (view: DataView, at: number, value: ReverseSocketKey): void => {
    writeU64(view, at, value.cookie)
    addressLayout.write(view, at + 8, value.address)
    view.setUint16(at + 24, value.port, false)
    view.setUint8(at + 26, 0)
    view.setUint8(at + 27, 0)
    view.setUint8(at + 28, 0)
    view.setUint8(at + 29, 0)
    view.setUint8(at + 30, 0)
    view.setUint8(at + 31, 0)
  },
} as const

/** struct service */
export interface Service {
  readonly slots: number
  readonly count: number
  readonly flags: number
  readonly id: number
  readonly affinity: number
}

export const serviceLayout = {
  size: 16,
  /** Offsets of the members, for those who read in place. */
  at: { slots: 0, count: 4, flags: 6, id: 8, affinity: 12 },
  read: (view: DataView, at: number): Service => ({
    slots: view.getUint32(at, true),
    count: view.getUint16(at + 4, true),
    flags: view.getUint16(at + 6, true),
    id: view.getUint32(at + 8, true),
    affinity: view.getUint32(at + 12, true),
  }),
  write: (view: DataView, at: number, value: Service): void => {
    view.setUint32(at, value.slots, true)
    view.setUint16(at + 4, value.count, true)
    view.setUint16(at + 6, value.flags, true)
    view.setUint32(at + 8, value.id, true)
    view.setUint32(at + 12, value.affinity, true)
  },
} as const

/** struct service_key */
export interface ServiceKey {
  readonly address: Uint8Array
  readonly port: number
  readonly protocol: number
  readonly scope: number
}

export const serviceKeyLayout = {
  size: 20,
  /** Offsets of the members, for those who read in place. */
  at: { address: 0, port: 16, protocol: 18, scope: 19 },
  read: (view: DataView, at: number): ServiceKey => ({
    address: addressLayout.read(view, at),
    port: view.getUint16(at + 16, false),
    protocol: view.getUint8(at + 18),
    scope: view.getUint8(at + 19),
  }),
  write: (view: DataView, at: number, value: ServiceKey): void => {
    addressLayout.write(view, at, value.address)
    view.setUint16(at + 16, value.port, false)
    view.setUint8(at + 18, value.protocol)
    view.setUint8(at + 19, value.scope)
  },
} as const

/** struct source_range_key */
export interface SourceRangeKey {
  readonly bits: number
  readonly service: number
  readonly address: Uint8Array
}

export const sourceRangeKeyLayout = {
  size: 24,
  /** Offsets of the members, for those who read in place. */
  at: { bits: 0, service: 4, address: 8 },
  read: (view: DataView, at: number): SourceRangeKey => ({
    bits: view.getUint32(at, true),
    service: view.getUint32(at + 4, true),
    address: addressLayout.read(view, at + 8),
  }),
  write: (view: DataView, at: number, value: SourceRangeKey): void => {
    view.setUint32(at, value.bits, true)
    view.setUint32(at + 4, value.service, true)
    addressLayout.write(view, at + 8, value.address)
  },
} as const

export const maps = {
  cilium_affinity: { name: 'cilium_affinity', type: 9, key: affinityKeyLayout, value: affinityLayout, maxEntries: 65536, flags: 0 },
  cilium_backend_slots: { name: 'cilium_backend_slots', type: 2, key: u32Layout, value: u32Layout, maxEntries: 262144, flags: 0 },
  cilium_backends: { name: 'cilium_backends', type: 2, key: u32Layout, value: backendLayout, maxEntries: 65536, flags: 0 },
  cilium_class_index: { name: 'cilium_class_index', type: 2, key: u32Layout, value: classIndexLayout, maxEntries: 4096, flags: 0 },
  cilium_class_pages: { name: 'cilium_class_pages', type: 2, key: u32Layout, value: classPageLayout, maxEntries: 65536, flags: 0 },
  cilium_drop_limits: { name: 'cilium_drop_limits', type: 6, key: u32Layout, value: dropLimitLayout, maxEntries: 65792, flags: 0 },
  cilium_epoch: { name: 'cilium_epoch', type: 2, key: u32Layout, value: u32Layout, maxEntries: 1, flags: 1024 },
  cilium_events: { name: 'cilium_events', type: 27, maxEntries: 4194304, flags: 0 },
  cilium_flows: { name: 'cilium_flows', type: 9, key: flowKeyLayout, value: flowLayout, maxEntries: 131072, flags: 0 },
  cilium_fragments: { name: 'cilium_fragments', type: 9, key: fragmentKeyLayout, value: fragmentLayout, maxEntries: 8192, flags: 0 },
  cilium_interfaces: { name: 'cilium_interfaces', type: 1, key: u32Layout, value: interfaceLayout, maxEntries: 4096, flags: 0 },
  cilium_ipcache: { name: 'cilium_ipcache', type: 11, key: prefixKeyLayout, value: ownerLayout, maxEntries: 512000, flags: 1 },
  cilium_metrics: { name: 'cilium_metrics', type: 6, key: u32Layout, value: counterLayout, maxEntries: 1024, flags: 0 },
  cilium_nat: { name: 'cilium_nat', type: 9, key: flowKeyLayout, value: natLayout, maxEntries: 65536, flags: 0 },
  cilium_owners: { name: 'cilium_owners', type: 1, key: addressLayout, value: ownerLayout, maxEntries: 262144, flags: 1 },
  cilium_policies: { name: 'cilium_policies', type: 2, key: u32Layout, value: policyLayout, maxEntries: 4096, flags: 1024 },
  cilium_policy_cells: { name: 'cilium_policy_cells', type: 2, key: u32Layout, value: policyCellLayout, maxEntries: 1048576, flags: 0 },
  cilium_policy_classes: { name: 'cilium_policy_classes', type: 1, key: classKeyLayout, value: u32Layout, maxEntries: 262144, flags: 1 },
  cilium_policy_pages: { name: 'cilium_policy_pages', type: 2, key: u32Layout, value: policyPageLayout, maxEntries: 4096, flags: 0 },
  cilium_policy_tables: { name: 'cilium_policy_tables', type: 2, key: u32Layout, value: policyTableLayout, maxEntries: 4096, flags: 0 },
  cilium_proxy_pairs: { name: 'cilium_proxy_pairs', type: 1, key: proxyPairLayout, value: u32Layout, maxEntries: 16384, flags: 1 },
  cilium_reverse_sockets: { name: 'cilium_reverse_sockets', type: 9, key: reverseSocketKeyLayout, value: reverseSocketLayout, maxEntries: 65536, flags: 0 },
  cilium_rule_counters: { name: 'cilium_rule_counters', type: 6, key: u32Layout, value: counterLayout, maxEntries: 65536, flags: 0 },
  cilium_services: { name: 'cilium_services', type: 1, key: serviceKeyLayout, value: serviceLayout, maxEntries: 65536, flags: 1 },
  cilium_source_ranges: { name: 'cilium_source_ranges', type: 11, key: sourceRangeKeyLayout, value: u32Layout, maxEntries: 65536, flags: 1 },
} as const
