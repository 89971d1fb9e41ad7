// SPDX-License-Identifier: Apache-2.0
import { address, addressFrom, familyLength, prefix, printAddress } from '../../base/ip.ts'
import { AF_INET, AF_INET6, familyOf, SCOPE, wireBytes } from './address.ts'
import { attributesOf, type Message, u32Of, Writer } from './message.ts'

export const ROUTE = { NEW: 24, DELETE: 25, GET: 26 } as const
export const RULE = { NEW: 32, DELETE: 33, GET: 34 } as const

const RTA = { DST: 1, SRC: 2, OIF: 4, GATEWAY: 5, PRIORITY: 6, PREFSRC: 7, METRICS: 8, TABLE: 15, VIA: 18 } as const
const RTAX_MTU = 2
const ONLINK = 4
const types = [
  'unspec',
  'unicast',
  'local',
  'broadcast',
  'anycast',
  'multicast',
  'blackhole',
  'unreachable',
  'prohibit',
] as const
export type RouteType = (typeof types)[number]

export const TABLE = { DEFAULT: 253, MAIN: 254, LOCAL: 255 } as const
/** Who made a route: 2 the kernel, 3 and 4 people. Ours are our own, one for each table of routes, so that nobody
 * else's are ever removed. */
export const PROTOCOL = { KERNEL: 2, BOOT: 3, STATIC: 4, OWN: 201, OWN_PODS: 0xc1, OWN_NODES: 0xc2 } as const

/** A route; '' and 0 where the kernel says nothing. */
export interface Route {
  /** `10.0.0.0/8`; the default routes are `0.0.0.0/0` and `::/0`. */
  readonly prefix: string
  readonly via: string
  /** Index of the device, 0 for none (blackhole). */
  readonly device: number
  /** Preferred source address. */
  readonly source: string
  readonly mtu: number
  readonly table: number
  readonly metric: number
  readonly protocol: number
  readonly scope: number
  readonly type: RouteType
  /** The next hop is taken to be on the device whatever its addresses say. */
  readonly onlink: boolean
}

export type NewRoute = Pick<Route, 'prefix'> & Partial<Route>

export function encodeRoute(route: NewRoute): Uint8Array {
  const target = prefix(route.prefix)
  const family = familyOf(target.address)
  const table = route.table ?? TABLE.MAIN
  const type = route.type ?? 'unicast'
  const scope = route.scope ?? (route.via || type !== 'unicast' || family === AF_INET6 ? SCOPE.UNIVERSE : SCOPE.LINK)
  const writer = new Writer()
    .u8(family)
    .u8(familyLength(target))
    .u8(0)
    .u8(0)
    .u8(table < 256 ? table : 0)
    .u8(route.protocol ?? PROTOCOL.OWN)
    .u8(scope)
    .u8(types.indexOf(type))
    .u32(route.onlink ? ONLINK : 0)
    .attributeU32(RTA.TABLE, table)
  if (familyLength(target) > 0) writer.attribute(RTA.DST, wireBytes(target.address))
  if (route.via) {
    const hop = address(route.via)
    if (familyOf(hop) === family) writer.attribute(RTA.GATEWAY, wireBytes(hop))
    else writer.attribute(RTA.VIA, new Writer().u16(familyOf(hop)).raw(wireBytes(hop)).done())
  }
  if (route.device) writer.attributeU32(RTA.OIF, route.device)
  if (route.source) writer.attribute(RTA.PREFSRC, wireBytes(address(route.source)))
  if (route.metric) writer.attributeU32(RTA.PRIORITY, route.metric)
  if (route.mtu) writer.nest(RTA.METRICS, (metrics) => metrics.attributeU32(RTAX_MTU, route.mtu!))
  return writer.done()
}

/** A dump of one family; a kernel that checks strictly applies table and protocol itself. */
export const encodeRouteDump = (family: number, table = 0, protocol = 0): Uint8Array => {
  const writer = new Writer()
    .u8(family)
    .u8(0)
    .u8(0)
    .u8(0)
    .u8(table < 256 ? table : 0)
    .u8(protocol)
    .u8(0)
    .u8(0)
    .u32(0)
  if (table >= 256) writer.attributeU32(RTA.TABLE, table)
  return writer.done()
}

export function decodeRoute(message: Message): Route {
  const { body } = message
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
  const attributes = attributesOf(body, 12)
  const isV4 = view.getUint8(0) === AF_INET
  const text = (bytes: Uint8Array | undefined): string => (bytes ? printAddress(addressFrom(bytes)) : '')
  const destination = text(attributes.get(RTA.DST)) || (isV4 ? '0.0.0.0' : '::')
  const metrics = attributes.get(RTA.METRICS)
  return {
    prefix: `${destination}/${view.getUint8(1)}`,
    via: text(attributes.get(RTA.GATEWAY) ?? attributes.get(RTA.VIA)?.subarray(2)),
    device: u32Of(attributes.get(RTA.OIF)) ?? 0,
    source: text(attributes.get(RTA.PREFSRC)),
    mtu: (metrics && u32Of(attributesOf(metrics).get(RTAX_MTU))) ?? 0,
    table: u32Of(attributes.get(RTA.TABLE)) ?? view.getUint8(4),
    metric: u32Of(attributes.get(RTA.PRIORITY)) ?? 0,
    protocol: view.getUint8(5),
    scope: view.getUint8(6),
    type: types[view.getUint8(7)] ?? 'unspec',
    onlink: (view.getUint32(8, true) & ONLINK) !== 0,
  }
}

const FRA = {
  DST: 1,
  SRC: 2,
  IIFNAME: 3,
  PRIORITY: 6,
  FWMARK: 10,
  SUPPRESS: 14,
  TABLE: 15,
  FWMASK: 16,
  PROTOCOL: 21,
} as const
const TO_TABLE = 1

/** A policy routing rule that sends to a table. */
export interface Rule {
  readonly family: 4 | 6
  readonly priority: number
  readonly table: number
  /** 0 for any. */
  readonly mark: number
  readonly mask: number
  /** '' for any. */
  readonly from: string
  readonly to: string
  readonly protocol: number
}
export type NewRule = Pick<Rule, 'family' | 'priority' | 'table'> &
  Partial<Rule> & {
    /** Routes of the table up to this length do not count. */
    readonly suppress?: number
  }

export function encodeRule(rule: NewRule): Uint8Array {
  const [from, to] = [rule.from ? prefix(rule.from) : undefined, rule.to ? prefix(rule.to) : undefined]
  const writer = new Writer()
    .u8(rule.family === 4 ? AF_INET : AF_INET6)
    .u8(to ? familyLength(to) : 0)
    .u8(from ? familyLength(from) : 0)
    .u8(0)
    .u8(rule.table < 256 ? rule.table : 0)
    .u8(0)
    .u8(0)
    .u8(TO_TABLE)
    .u32(0)
    .attributeU32(FRA.TABLE, rule.table)
    .attributeU32(FRA.PRIORITY, rule.priority)
    .attributeU8(FRA.PROTOCOL, rule.protocol ?? PROTOCOL.OWN)
  if (to) writer.attribute(FRA.DST, wireBytes(to.address))
  if (from) writer.attribute(FRA.SRC, wireBytes(from.address))
  if (rule.mark) writer.attributeU32(FRA.FWMARK, rule.mark)
  if (rule.mask) writer.attributeU32(FRA.FWMASK, rule.mask)
  if (rule.suppress !== undefined) writer.attributeU32(FRA.SUPPRESS, rule.suppress)
  return writer.done()
}

export const encodeRuleDump = (family: number): Uint8Array =>
  new Writer().u8(family).u8(0).u8(0).u8(0).u8(0).u8(0).u8(0).u8(0).u32(0).done()

export function decodeRule(message: Message): Rule {
  const { body } = message
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength)
  const attributes = attributesOf(body, 12)
  const text = (type: number, length: number): string => {
    const bytes = attributes.get(type)
    return bytes ? `${printAddress(addressFrom(bytes))}/${length}` : ''
  }
  return {
    family: view.getUint8(0) === AF_INET ? 4 : 6,
    priority: u32Of(attributes.get(FRA.PRIORITY)) ?? 0,
    table: u32Of(attributes.get(FRA.TABLE)) ?? view.getUint8(4),
    mark: u32Of(attributes.get(FRA.FWMARK)) ?? 0,
    mask: u32Of(attributes.get(FRA.FWMASK)) ?? 0,
    from: text(FRA.SRC, view.getUint8(2)),
    to: text(FRA.DST, view.getUint8(1)),
    protocol: attributes.get(FRA.PROTOCOL)?.[0] ?? 0,
  }
}
