// SPDX-License-Identifier: Apache-2.0
// rtnetlink, synchronously: a request is one system call to send and one to receive, about 20 µs.
import { concatBytes } from '../../base/bytes.ts'
import {
  ADDRESS,
  AF_INET,
  AF_INET6,
  decodeAddress,
  encodeAddress,
  encodeAddressDump,
  type InterfaceAddress,
  type NewAddress,
  SCOPE,
} from '../../protocol/netlink/address.ts'
import {
  decodeLink,
  encodeLinkChange,
  encodeLinkQuery,
  encodeNewLink,
  LINK,
  type Link,
  type LinkSettings,
  type NewLink,
} from '../../protocol/netlink/link.ts'
import {
  decodeAnswer,
  decodeMessages,
  encodeMessage,
  FLAG,
  type Message,
  TYPE,
} from '../../protocol/netlink/message.ts'
import {
  decodeNeighbour,
  encodeNeighbour,
  encodeNeighbourDump,
  NEIGHBOUR,
  type Neighbour,
  type NewNeighbour,
} from '../../protocol/netlink/neighbour.ts'
import {
  decodeRoute,
  decodeRule,
  encodeRoute,
  encodeRouteDump,
  encodeRule,
  encodeRuleDump,
  type NewRoute,
  type NewRule,
  ROUTE,
  type Route,
  RULE,
  type Rule,
} from '../../protocol/netlink/route.ts'
import {
  bind,
  close,
  errnoNumber,
  KernelError,
  receiveTry,
  send,
  sendAside,
  setSocketOption,
  socket,
} from './syscall.ts'

const AF_NETLINK = 16
const SOCK_RAW_CLOEXEC = 3 | 0o2000000
const SOL_NETLINK = 270
const EXT_ACK = 11
const CAP_ACK = 10
const STRICT_CHECK = 12
const MSG_TRUNC = 0x20
const missing = new Set(['ENOENT', 'ENODEV', 'ESRCH', 'EADDRNOTAVAIL', 'ENXIO'])

/**
 * A netlink socket; it speaks to the network namespace it was opened in, wherever the thread is later. Failures throw
 * a KernelError with the kernel's own words where it has any.
 */
export interface Netlink {
  readonly fd: number
  /** One request and its acknowledgement. */
  change(type: number, flags: number, body: Uint8Array, call: string): void
  /**
   * The changes asked for within `work`, in one system call and in their order: each waits for the lock that all network
   * devices of the machine share, and from within one call it is mostly there. One that fails keeps none of the others
   * from being made; the first failure is thrown at the end, so nothing within may expect an error.
   */
  together(work: () => void): void
  /** A request whose answer is one message, or undefined when the kernel has no such thing. */
  query(type: number, body: Uint8Array, call: string): Message | undefined
  /** All messages of a dump, asked again when it was interrupted by a change. Bodies are copies. */
  dump(type: number, body: Uint8Array, call: string): Message[]
  close(): void
}

interface Request {
  readonly type: number
  readonly flags: number
  readonly body: Uint8Array
  /** What it is, for its error. */
  readonly call: string
}

// One buffer for all: everything is synchronous, and the kernel sends at most 32 KiB at once.
const buffer = new Uint8Array(new ArrayBuffer(64 << 10))

export function openNetlink(): Netlink {
  const fd = openRouteSocket(0)
  const one = Uint8Array.of(1, 0, 0, 0)
  for (const option of [EXT_ACK, CAP_ACK, STRICT_CHECK]) setSocketOption(fd, SOL_NETLINK, option, one)
  let sequence = 0

  let waiting: Request[] | undefined

  /** Sends all of them in one call, then collects until the kernel says that it has finished with each. */
  const exchange = (requests: readonly Request[]): { found: Message[]; torn: boolean } => {
    const open = new Map<number, Request>()
    const encoded = requests.map((request) => {
      sequence = (sequence + 1) >>> 0
      open.set(sequence, request)
      return encodeMessage(request.type, FLAG.REQUEST | request.flags, sequence, request.body)
    })
    send(fd, concatBytes(encoded))
    const found: Message[] = []
    let torn = false
    let failure: KernelError | undefined
    while (open.size > 0) {
      const length = receiveTry(fd, buffer, MSG_TRUNC)
      if (length < 0) throw new KernelError(requests[0]?.call ?? '', -length)
      if (length > buffer.length) throw new Error(`${requests[0]?.call}: an answer of ${length} bytes`)
      for (const message of decodeMessages(buffer.subarray(0, length))) {
        const request = open.get(message.sequence)
        if (!request) continue
        torn ||= (message.flags & FLAG.DUMP_INTERRUPTED) !== 0
        if (message.type !== TYPE.ERROR && message.type !== TYPE.DONE) {
          found.push({ ...message, body: message.body.slice() })
          continue
        }
        open.delete(message.sequence)
        const { errno, words } = decodeAnswer(message)
        if (errno !== 0) failure ??= new KernelError(request.call, errno, words)
      }
    }
    if (failure) throw failure
    return { found, torn }
  }

  return {
    fd,
    change(type, flags, body, call) {
      const request = { type, flags: FLAG.ACK | flags, body, call }
      if (waiting) waiting.push(request)
      else exchange([request])
    },
    together(work) {
      waiting = []
      try {
        work()
        if (waiting.length > 0) exchange(waiting)
      } finally {
        waiting = undefined
      }
    },
    query(type, body, call) {
      try {
        return exchange([{ type, flags: FLAG.ACK, body, call }]).found[0]
      } catch (error) {
        if (isMissing(error)) return undefined
        throw error
      }
    },
    dump(type, body, call) {
      for (let attempt = 0; ; attempt++) {
        const { found, torn } = exchange([{ type, flags: FLAG.DUMP, body, call }])
        if (!torn) return found
        if (attempt === 10) throw new Error(`${call}: interrupted by changes again and again`)
      }
    },
    close: () => close(fd),
  }
}

/** A socket that also receives the notifications of `groups` (a bit mask, RTMGRP_*). */
export function openRouteSocket(groups: number): number {
  const fd = socket(AF_NETLINK, SOCK_RAW_CLOEXEC, 0)
  const address = new Uint8Array(12)
  const view = new DataView(address.buffer)
  view.setUint16(0, AF_NETLINK, true)
  view.setUint32(8, groups, true)
  try {
    bind(fd, address)
  } catch (error) {
    close(fd)
    throw error
  }
  return fd
}

/** Whether an error says that the thing is not there. */
export const isMissing = (error: unknown): boolean => error instanceof KernelError && missing.has(error.code)
export const isPresent = (error: unknown): boolean =>
  error instanceof KernelError && error.errno === errnoNumber('EEXIST')

export const links = (netlink: Netlink): Link[] =>
  netlink.dump(LINK.GET, encodeLinkQuery(), 'list of links').map(decodeLink)

export function linkByName(netlink: Netlink, name: string): Link | undefined {
  const found = netlink.query(LINK.GET, encodeLinkQuery({ name }), `link ${name}`)
  return found && decodeLink(found)
}

export function linkByIndex(netlink: Netlink, index: number): Link | undefined {
  const found = netlink.query(LINK.GET, encodeLinkQuery({ index }), `link ${index}`)
  return found && decodeLink(found)
}

/** Makes a device (EEXIST when the name is taken), a veth with its peer, in one step. */
export function createLink(netlink: Netlink, link: NewLink): void {
  netlink.change(LINK.NEW, FLAG.CREATE | FLAG.EXCLUSIVE, encodeNewLink(link), `new ${link.kind} ${link.name}`)
  const { name, alias } = link
  // The kernel takes an alias only for what exists already.
  if (alias !== undefined && link.namespace === undefined)
    netlink.change(LINK.SET, 0, encodeLinkChange(0, { name, alias }), `alias of ${name}`)
}

export const changeLink = (netlink: Netlink, index: number, settings: LinkSettings): void =>
  netlink.change(LINK.SET, 0, encodeLinkChange(index, settings), `change of link ${index}`)

/** Removes a device; the kernel takes 16 ms for it. A device that is not there is no error. */
export const deleteLink = (netlink: Netlink, which: { readonly index?: number; readonly name?: string }): void =>
  unlessMissing(() =>
    netlink.change(LINK.DELETE, 0, encodeLinkQuery(which), `removal of link ${which.name ?? which.index}`),
  )

/**
 * Removes a device, or all devices of a group in about the time of one, on another thread: before it answers the kernel
 * waits for everybody who may still hold the device, 16 ms and more on a busy machine.
 */
export async function deleteAside(which: { readonly name: string } | { readonly group: number }): Promise<void> {
  const fd = openRouteSocket(0)
  try {
    await sendAside(fd, encodeMessage(LINK.DELETE, FLAG.REQUEST | FLAG.ACK, 1, encodeLinkQuery(which)))
    const length = receiveTry(fd, buffer, 0)
    const [answer] = length < 0 ? [] : decodeMessages(buffer.subarray(0, length))
    const errno = answer ? decodeAnswer(answer).errno : -length
    if (errno === 0) return
    const error = new KernelError(`removal of ${'name' in which ? which.name : `link group ${which.group}`}`, errno)
    if (!isMissing(error)) throw error
  } finally {
    close(fd)
  }
}

export const addresses = (netlink: Netlink): InterfaceAddress[] =>
  netlink.dump(ADDRESS.GET, encodeAddressDump(), 'list of addresses').map(decodeAddress)

/** Puts an address on a device; one that is there already is no error. */
export const putAddress = (netlink: Netlink, address: NewAddress): void =>
  netlink.change(ADDRESS.NEW, FLAG.CREATE | FLAG.REPLACE, encodeAddress(address), `address ${address.address}`)

export const deleteAddress = (netlink: Netlink, address: NewAddress): void =>
  unlessMissing(() => netlink.change(ADDRESS.DELETE, 0, encodeAddress(address), `removal of ${address.address}`))

/** Routes of both families; 0 for any table or protocol. Cached exceptions (PMTU) are not among them. */
export function routes(netlink: Netlink, only: { readonly table?: number; readonly protocol?: number } = {}): Route[] {
  const { table = 0, protocol = 0 } = only
  return [AF_INET, AF_INET6]
    .flatMap((family) => dumpOrNone(netlink, ROUTE.GET, encodeRouteDump(family, table, protocol), 'list of routes'))
    .map(decodeRoute)
    .filter((route) => (table === 0 || route.table === table) && (protocol === 0 || route.protocol === protocol))
}

/** Sets the route to a prefix (of the same table and metric), replacing one that is there. */
export const putRoute = (netlink: Netlink, route: NewRoute): void =>
  netlink.change(ROUTE.NEW, FLAG.CREATE | FLAG.REPLACE, encodeRoute(route), `route to ${route.prefix}`)

/** Removes the route that has all that is given; of any scope, unless that is given too. */
export const deleteRoute = (netlink: Netlink, route: NewRoute): void =>
  unlessMissing(() =>
    netlink.change(
      ROUTE.DELETE,
      0,
      encodeRoute({ scope: SCOPE.NOWHERE, ...route }),
      `removal of the route to ${route.prefix}`,
    ),
  )

export const rules = (netlink: Netlink): Rule[] =>
  [AF_INET, AF_INET6]
    .flatMap((family) => netlink.dump(RULE.GET, encodeRuleDump(family), 'list of rules'))
    .map(decodeRule)

/** Adds a rule; EEXIST when the same is there. */
export const createRule = (netlink: Netlink, rule: NewRule): void =>
  netlink.change(RULE.NEW, FLAG.CREATE | FLAG.EXCLUSIVE, encodeRule(rule), `rule ${rule.priority}`)

export const deleteRule = (netlink: Netlink, rule: NewRule): void =>
  unlessMissing(() => netlink.change(RULE.DELETE, 0, encodeRule(rule), `removal of rule ${rule.priority}`))

export const neighbours = (netlink: Netlink): Neighbour[] =>
  netlink.dump(NEIGHBOUR.GET, encodeNeighbourDump(), 'list of neighbours').map(decodeNeighbour)

export const putNeighbour = (netlink: Netlink, neighbour: NewNeighbour): void =>
  netlink.change(
    NEIGHBOUR.NEW,
    FLAG.CREATE | FLAG.REPLACE,
    encodeNeighbour(neighbour),
    `neighbour ${neighbour.address}`,
  )

export const deleteNeighbour = (netlink: Netlink, neighbour: NewNeighbour): void =>
  unlessMissing(() =>
    netlink.change(NEIGHBOUR.DELETE, 0, encodeNeighbour(neighbour), `removal of neighbour ${neighbour.address}`),
  )

function unlessMissing(change: () => void): void {
  try {
    change()
  } catch (error) {
    if (!isMissing(error)) throw error
  }
}

// With a filter for a table that no route has yet, the kernel answers ENOENT.
function dumpOrNone(netlink: Netlink, type: number, body: Uint8Array, call: string): Message[] {
  try {
    return netlink.dump(type, body, call)
  } catch (error) {
    if (isMissing(error)) return []
    throw error
  }
}
