// SPDX-License-Identifier: Apache-2.0
import type { RouteRow } from '../../model/datapath.ts'
import type { Link, NewLink } from '../../protocol/netlink/link.ts'
import { PROTOCOL, TABLE } from '../../protocol/netlink/route.ts'
import type { Table } from '../../table/definition.ts'
import type { Outcome, Target } from '../../table/target.ts'
import {
  addresses,
  changeLink,
  createLink,
  deleteAddress,
  deleteLink,
  deleteRoute,
  linkByName,
  links,
  type Netlink,
  putAddress,
  putRoute,
  routes,
} from './netlink.ts'
import { interfaceIndex, KernelError } from './syscall.ts'

const attempt = (change: () => void): Outcome => {
  try {
    change()
    return { ok: true }
  } catch (error) {
    if (error instanceof KernelError) return { ok: false, error: error.message }
    throw error
  }
}

/**
 * Routes of the main table under a protocol number of ours; those of others are neither seen nor touched. Two tables
 * need two numbers. Rows name
 * devices ('': the kernel finds it by `via`); a device that is not there fails its routes until it is.
 */
export function routeTarget(
  table: Table<RouteRow>,
  netlink: Netlink,
  protocol: number = PROTOCOL.OWN,
): Target<RouteRow> {
  const index = (name: string): number => {
    if (name === '') return 0
    const found = interfaceIndex(netlink.fd, name)
    if (found === 0) throw new KernelError(`device ${name}`, 19) // ENODEV
    return found
  }
  return {
    name: 'routes',
    key: table.key,
    load() {
      const names = new Map(links(netlink).map((link) => [link.index, link.name]))
      return routes(netlink, { table: TABLE.MAIN, protocol }).map((route) => ({
        prefix: route.prefix,
        via: route.via,
        device: names.get(route.device) ?? '',
        source: route.source,
        mtu: route.mtu,
      }))
    },
    equal: (there, wanted) =>
      there.prefix === wanted.prefix &&
      there.via === wanted.via &&
      (wanted.device === '' || there.device === wanted.device) &&
      there.source === wanted.source &&
      there.mtu === wanted.mtu,
    write(rows) {
      const known = new Map<string, number>()
      const device = (name: string): number => {
        const there = known.get(name) ?? index(name)
        known.set(name, there)
        return there
      }
      return rows.map((row) =>
        attempt(() =>
          putRoute(netlink, {
            ...row,
            protocol,
            device: device(row.device),
            onlink: row.via !== '' && row.device !== '',
          }),
        ),
      )
    },
    remove: (rows) => rows.map((row) => attempt(() => deleteRoute(netlink, { prefix: row.prefix, protocol }))),
  }
}

/** A device of the node itself that shall be there. */
export interface LinkRow {
  readonly name: string
  readonly kind: 'veth' | 'bridge' | 'vxlan'
  /** Of a veth: the name of the other end, in the same namespace. */
  readonly peer: string
  /** '' for one of the kernel's choosing. */
  readonly mac: string
  readonly mtu: number
  /** With prefix length; others on the device go, but link-local ones. */
  readonly addresses: readonly string[]
  /** What is sent there is taken by a program: nobody would answer for an address. */
  readonly noArp?: boolean
}

/**
 * Devices whose group says they are ours. Removing a veth removes its other end; writing one that is there changes it
 * in place, and makes it anew only when its kind is another.
 */
export function linkTarget(table: Table<LinkRow>, netlink: Netlink, group: number): Target<LinkRow> {
  const configure = (link: Link, row: LinkRow, up: boolean): void => {
    const mac = row.mac !== '' && row.mac !== link.mac ? { mac: row.mac } : {}
    changeLink(netlink, link.index, { mtu: row.mtu, up, noArp: row.noArp === true, ...mac })
    const held = addressesOf(netlink, link.index)
    for (const address of row.addresses)
      if (!held.includes(address)) putAddress(netlink, { device: link.index, address, noDad: true })
    for (const address of held)
      if (!row.addresses.includes(address)) deleteAddress(netlink, { device: link.index, address })
  }
  const write = (row: LinkRow): void => {
    let link = linkByName(netlink, row.name)
    if (link && (link.kind !== row.kind || link.group !== group)) {
      if (link.group !== group) throw new KernelError(`device ${row.name} is not ours`, 17) // EEXIST
      deleteLink(netlink, { index: link.index })
      link = undefined
    }
    if (!link) {
      createLink(netlink, newLink(row, group))
      link = linkByName(netlink, row.name)!
    }
    configure(link, row, true)
    const peer = row.peer && linkByName(netlink, row.peer)
    if (peer) changeLink(netlink, peer.index, { mtu: row.mtu, up: true })
  }
  return {
    name: 'devices',
    key: table.key,
    load() {
      const all = links(netlink)
      const names = new Map(all.map((link) => [link.index, link.name]))
      return all
        .filter((link) => link.group === group)
        .map((link) => ({
          name: link.name,
          kind: link.kind as LinkRow['kind'],
          peer: names.get(link.peer) ?? '',
          mac: link.mac,
          mtu: link.mtu,
          noArp: link.noArp,
          addresses: addressesOf(netlink, link.index),
        }))
    },
    equal: (there, wanted) =>
      there.kind === wanted.kind &&
      there.peer === wanted.peer &&
      (wanted.mac === '' || there.mac === wanted.mac) &&
      there.mtu === wanted.mtu &&
      (there.noArp === true) === (wanted.noArp === true) &&
      there.addresses.toSorted().join() === wanted.addresses.toSorted().join(),
    write: (rows) => rows.map((row) => attempt(() => write(row))),
    remove: (rows) => rows.map((row) => attempt(() => deleteLink(netlink, { name: row.name }))),
  }
}

const addressesOf = (netlink: Netlink, device: number): string[] =>
  addresses(netlink)
    .filter((address) => address.device === device && !address.address.startsWith('fe80:'))
    .map((address) => address.address)

function newLink(row: LinkRow, group: number): NewLink {
  const common = { name: row.name, group, mtu: row.mtu, ...(row.mac === '' ? {} : { mac: row.mac }) }
  switch (row.kind) {
    case 'veth':
      return { kind: 'veth', ...common, peer: { name: row.peer, mtu: row.mtu } }
    case 'bridge':
      return { kind: 'bridge', ...common, forwardDelay: 0 }
    case 'vxlan':
      return { kind: 'vxlan', ...common, external: true, port: 8472 }
  }
}
