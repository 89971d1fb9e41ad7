// SPDX-License-Identifier: Apache-2.0

/**
 * Rows that the kernel should hold, one type per map, in the words of bpf/contract. Addresses are texts (`10.0.0.1`,
 * `fd00::1`), '' where the contract says zero; edge/kernel turns them into bytes.
 */

export const ownerFlag = { local: 1, host: 2, node: 4, gateway: 8 } as const

/** cilium_owners by address, cilium_ipcache by prefix. */
export interface OwnerRow {
  /** An address, or a prefix `a/n` in cilium_ipcache. */
  readonly address: string
  readonly identity: number
  /** Number under which decision tables know who has this address; 0: the identity. */
  readonly peer: number
  readonly interface: number
  readonly policy: number
  readonly endpoint: number
  readonly flags: number
  /** Node behind which it is reached by tunnel; '' when routed. */
  readonly node: string
}

/** cilium_interfaces. */
export interface InterfaceRow {
  readonly index: number
  readonly ipv4: string
  readonly ipv6: string
  readonly identity: number
  readonly policy: number
  readonly endpoint: number
  readonly flags: number
  readonly mac: string
}

/** cilium_policies: which decision tables a policy number means; 0: nothing passes. */
export interface PolicyRow {
  readonly policy: number
  readonly ingress: number
  readonly egress: number
}

export const portSpaces = ['TCP', 'UDP', 'SCTP', 'ICMP', 'ICMPv6'] as const
export type PortSpace = (typeof portSpaces)[number]

/** cilium_policy_tables. `page` has 256 page numbers for each space, in the order of `portSpaces`. */
export interface PolicyTableRow {
  readonly table: number
  readonly cells: number
  readonly columns: number
  readonly other: number
  readonly page: readonly (readonly number[])[]
}

/** cilium_policy_pages: 256 columns. */
export interface PolicyPageRow {
  readonly page: number
  readonly column: readonly number[]
}

/** Identity to class, for those that are not of class 0. Every ReadonlyMap is one. */
export interface Classes extends Iterable<readonly [identity: number, number: number]> {
  get(identity: number): number | undefined
  readonly size: number
  /** The same in parts by `classPartOf`, where it is kept so: a part that is the same object holds the same members. */
  readonly parts?: readonly Classes[]
}

/** Pages of classes that a table may have in the kernel, each of 256 numbers of the cluster. */
export const classPages = 256
/** Those pages, then parts of the identities that only this node knows. */
export const classParts = classPages + 64
export const classPartOf = (identity: number): number =>
  identity < classPages * 256 ? identity >>> 8 : classPages + (identity & 63)

/** cilium_class_index, cilium_class_pages and cilium_policy_classes: who is in which class of one decision table. */
export interface ClassesRow {
  readonly table: number
  readonly classes: Classes
}

export const verdict = { none: 0, allow: 1, deny: 2, redirect: 3, audit: 4 } as const

export interface Cell {
  readonly rule: number
  readonly shadowRule: number
  readonly verdict: number
  readonly shadowVerdict: number
  readonly proxyPort: number
  /** Which rules the proxy asks, for `redirect`; the port follows from it. */
  readonly redirect?: string
}

/** A run of cilium_policy_cells, written as one. */
export interface CellsRow {
  /** Index of the first cell. */
  readonly first: number
  readonly cells: readonly Cell[]
}

/** The wire may ask for it; the wire sees the entry of scope 1 and not this one. */
export const serviceFlag = { external: 1, twoScopes: 2, ranges: 4 } as const

/** cilium_services. */
export interface ServiceRow {
  readonly address: string
  readonly port: number
  /** IP protocol number. */
  readonly protocol: number
  readonly scope: number
  readonly slots: number
  readonly count: number
  readonly flags: number
  readonly id: number
  /** Seconds a client keeps its backend, 0: each time another. */
  readonly affinity: number
}

/** cilium_source_ranges: who of the wire may ask a service. */
export interface SourceRangeRow {
  /** Number of the service. */
  readonly id: number
  readonly prefix: string
}

/** A run of cilium_backend_slots: backend numbers. */
export interface SlotsRow {
  readonly first: number
  readonly backends: readonly number[]
}

/** cilium_backends. */
export interface BackendRow {
  readonly backend: number
  readonly address: string
  readonly port: number
  readonly protocol: number
  readonly state: number
}

/** A route in the node's main table. */
export interface RouteRow {
  readonly prefix: string
  /** '' for a route to a device alone. */
  readonly via: string
  readonly device: string
  /** Preferred source address, '' for none. */
  readonly source: string
  /** 0: that of the device. */
  readonly mtu: number
}

/** How much a map of this node holds, as it was made. */
export interface MapSize {
  readonly name: string
  readonly entries: number
}

/** What the kernel holds for a policy number now, written back by the agent after each reconciliation. */
export interface KernelPolicy {
  readonly policy: number
  readonly ingress: number
  readonly egress: number
}

/** The space a decision table takes in the kernel while any policy number there points at it. */
export interface KernelTable {
  readonly table: number
  readonly cells: number
  readonly count: number
  readonly pages: readonly number[]
}
