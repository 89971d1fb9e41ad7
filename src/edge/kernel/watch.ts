// SPDX-License-Identifier: Apache-2.0
import { ADDRESS, decodeAddress } from '../../protocol/netlink/address.ts'
import { decodeLink, LINK, type Link } from '../../protocol/netlink/link.ts'
import { decodeMessages, type Message } from '../../protocol/netlink/message.ts'
import { decodeRoute, ROUTE, TABLE } from '../../protocol/netlink/route.ts'
import { addresses, links, type Netlink, openNetlink, openRouteSocket, routes } from './netlink.ts'
import { close, errnoNumber, KernelError, receiveTry, watchReadable } from './syscall.ts'

/** A device of this namespace as the table of devices has it; the row of src/model. */
export interface DeviceRow {
  readonly index: number
  readonly name: string
  readonly mac: string
  readonly mtu: number
  readonly up: boolean
  readonly kind: string
  /** Without prefix lengths, sorted. */
  readonly addresses: readonly string[]
  /** The device of a default route or, without one, of the node's own address. */
  readonly wire: boolean
}

export interface DeviceChanges {
  readonly put: readonly DeviceRow[]
  /** Indexes of devices that are gone. */
  readonly removed: readonly number[]
}

export interface DeviceWatch {
  /** All rows as they are now. */
  readonly rows: readonly DeviceRow[]
  close(): void
}

const GROUPS = 0x1 | 0x10 | 0x100 | 0x40 | 0x400 // links, addresses and routes of both families
const MSG_DONTWAIT = 0x40
/** The queue is looked at so often whatever the event loop says of it. */
const LOOK_MS = 1000
const EAGAIN = errnoNumber('EAGAIN')
const ENOBUFS = errnoNumber('ENOBUFS')
const EINTR = errnoNumber('EINTR')

/**
 * Follows links, addresses and default routes of the current network namespace: all rows at once, then a call of
 * `changed` for each turn of the event loop in which something did. When the kernel's queue overran, everything is
 * read again; nothing is missed.
 */
export function watchDevices(
  changed: (changes: DeviceChanges) => void,
  options: { readonly nodeAddress?: string; readonly failed?: (error: unknown) => void } = {},
): DeviceWatch {
  const events = openRouteSocket(GROUPS)
  const netlink = openNetlink()
  const buffer = new Uint8Array(new ArrayBuffer(64 << 10))
  const state = new DeviceState(options.nodeAddress ?? '')
  state.reload(netlink)
  let rows = state.rows()

  const tell = (): void => {
    const next = state.rows()
    const put = [...next.values()].filter((row) => !sameDevice(rows.get(row.index), row))
    const removed = [...rows.keys()].filter((index) => !next.has(index))
    rows = next
    if (put.length > 0 || removed.length > 0) changed({ put, removed })
  }
  const read = (): void => {
    try {
      let lost = false
      for (;;) {
        const length = receiveTry(events, buffer, MSG_DONTWAIT)
        if (length === -EAGAIN) break
        if (length === -EINTR) continue
        if (length === -ENOBUFS) lost = true
        else if (length < 0) throw new KernelError('netlink notifications', -length)
        else for (const message of decodeMessages(buffer.subarray(0, length))) state.apply(message)
      }
      if (lost) {
        state.reload(netlink)
        setImmediate(watchAgain)
      }
      tell()
    } catch (error) {
      if (!options.failed) throw error
      options.failed(error)
    }
  }
  let readable: { close(): void } | undefined = watchReadable(events, read)
  // A queue that overran is an error of its socket, on which the event loop looks at it no more.
  function watchAgain(): void {
    if (!readable) return
    readable.close()
    readable = watchReadable(events, read)
  }
  const timer = setInterval(read, LOOK_MS).unref()
  return {
    get rows() {
      return [...rows.values()]
    },
    close() {
      clearInterval(timer)
      readable?.close()
      readable = undefined
      close(events)
      netlink.close()
    },
  }
}

class DeviceState {
  private readonly nodeAddress: string
  private readonly links = new Map<number, Link>()
  /** By device: address with prefix length. */
  private readonly addresses = new Map<number, Set<string>>()
  /** Default routes of the main table as text -> device. */
  private readonly defaults = new Map<string, number>()

  constructor(nodeAddress: string) {
    this.nodeAddress = nodeAddress
  }

  reload(netlink: Netlink): void {
    this.links.clear()
    this.addresses.clear()
    this.defaults.clear()
    for (const link of links(netlink)) this.links.set(link.index, link)
    for (const { device, address } of addresses(netlink)) this.of(device).add(address)
    for (const route of routes(netlink, { table: TABLE.MAIN }))
      if (isDefault(route.prefix)) this.defaults.set(`${route.prefix} ${route.metric} ${route.via}`, route.device)
  }

  apply(message: Message): void {
    switch (message.type) {
      case LINK.NEW: {
        const link = decodeLink(message)
        // Bridges tell of their ports under the same type (family AF_BRIDGE); those are no devices.
        if (message.body[0] === 0) this.links.set(link.index, link)
        break
      }
      case LINK.DELETE: {
        if (message.body[0] !== 0) break
        const { index } = decodeLink(message)
        this.links.delete(index)
        this.addresses.delete(index)
        for (const [text, device] of this.defaults) if (device === index) this.defaults.delete(text)
        break
      }
      case ADDRESS.NEW:
      case ADDRESS.DELETE: {
        const { device, address } = decodeAddress(message)
        if (message.type === ADDRESS.NEW) this.of(device).add(address)
        else this.of(device).delete(address)
        break
      }
      case ROUTE.NEW:
      case ROUTE.DELETE: {
        const route = decodeRoute(message)
        if (route.table !== TABLE.MAIN || !isDefault(route.prefix)) break
        const text = `${route.prefix} ${route.metric} ${route.via}`
        if (message.type === ROUTE.NEW) this.defaults.set(text, route.device)
        else this.defaults.delete(text)
      }
    }
  }

  rows(): Map<number, DeviceRow> {
    const wires = new Set(this.defaults.values())
    wires.delete(0)
    const rows = new Map<number, DeviceRow>()
    for (const { index, name, mac, mtu, up, kind } of this.links.values()) {
      const own = [...(this.addresses.get(index) ?? [])].map((address) => address.replace(/\/.*/, '')).sort()
      const wire = wires.size > 0 ? wires.has(index) : own.includes(this.nodeAddress)
      rows.set(index, { index, name, mac, mtu, up, kind, addresses: own, wire })
    }
    return rows
  }

  private of(device: number): Set<string> {
    let set = this.addresses.get(device)
    if (!set) this.addresses.set(device, (set = new Set()))
    return set
  }
}

const isDefault = (prefix: string): boolean => prefix === '0.0.0.0/0' || prefix === '::/0'

const sameDevice = (a: DeviceRow | undefined, b: DeviceRow): boolean =>
  a !== undefined &&
  a.name === b.name &&
  a.mac === b.mac &&
  a.mtu === b.mtu &&
  a.up === b.up &&
  a.kind === b.kind &&
  a.wire === b.wire &&
  a.addresses.join() === b.addresses.join()
