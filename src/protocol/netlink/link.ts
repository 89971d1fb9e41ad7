// SPDX-License-Identifier: Apache-2.0
import { address as addressOf, ipv4Bytes, isIpv4 } from '../../base/ip.ts'
import { attributesOf, type Message, macBytes, macText, textOf, u32Of, Writer } from './message.ts'

export const LINK = { NEW: 16, DELETE: 17, GET: 18, SET: 19 } as const

const IFLA = {
  ADDRESS: 1,
  IFNAME: 3,
  MTU: 4,
  LINK: 5,
  MASTER: 10,
  OPERSTATE: 16,
  LINKINFO: 18,
  IFALIAS: 20,
  GROUP: 27,
  NET_NS_FD: 28,
  EXT_MASK: 29,
  INFO_KIND: 1,
  INFO_DATA: 2,
  VETH_PEER: 1,
} as const
const VXLAN = {
  ID: 1,
  GROUP: 2,
  LINK: 3,
  LOCAL: 4,
  LEARNING: 7,
  PORT: 15,
  GROUP6: 16,
  LOCAL6: 17,
  COLLECT_METADATA: 25,
}
const BRIDGE_FORWARD_DELAY = 1
const IFF_UP = 1
const IFF_NOARP = 0x80
const SKIP_STATISTICS = 1 << 3

/** A device of a network namespace. */
export interface Link {
  readonly index: number
  readonly name: string
  /** `veth`, `bridge`, `dummy`, `vxlan`, …; '' for hardware and the loopback device. */
  readonly kind: string
  readonly mac: string
  readonly mtu: number
  readonly up: boolean
  /** IF_OPER_UP, or a device that does not say (veth before its peer is up says no). */
  readonly running: boolean
  readonly loopback: boolean
  /** Nobody is asked for link addresses. */
  readonly noArp: boolean
  /** Of a veth: the index of its peer, in the peer's namespace; 0 for none. */
  readonly peer: number
  /** Index of the bridge it belongs to, 0 for none. */
  readonly master: number
  readonly group: number
  readonly alias: string
}

/** What can be set on a device that is made or changed; what is absent stays as it is. */
export interface LinkSettings {
  readonly name?: string
  readonly mac?: string
  readonly mtu?: number
  readonly up?: boolean
  readonly noArp?: boolean
  readonly group?: number
  readonly alias?: string
  /** Index of a bridge; 0 takes it out. */
  readonly master?: number
  /** Descriptor of the namespace it shall be in. */
  readonly namespace?: number
}

export type NewLink = LinkSettings & {
  readonly name: string
} /** The peer cannot be up from the start: the kernel joins the two later (ENOTCONN). */ & (
    | { readonly kind: 'veth'; readonly peer: Omit<LinkSettings, 'up'> & { readonly name: string } }
    | { readonly kind: 'dummy' }
    /** `forwardDelay` in seconds; bridges of a lab want 0. */
    | { readonly kind: 'bridge'; readonly forwardDelay?: number }
    | {
        readonly kind: 'vxlan'
        /** VNI, or `external` when programs set it for each packet. */
        readonly id?: number
        readonly external?: boolean
        readonly port: number
        readonly local?: string
        readonly learning?: boolean
      }
  )

export function encodeNewLink(link: NewLink): Uint8Array {
  const writer = linkHeader(0, link)
  writeSettings(writer, link)
  writer.nest(IFLA.LINKINFO, (info) => {
    info.attribute(
      IFLA.INFO_KIND,
      Uint8Array.from(link.kind, (c) => c.charCodeAt(0)),
    )
    switch (link.kind) {
      case 'veth':
        info.nest(IFLA.INFO_DATA, (data) =>
          data.nest(IFLA.VETH_PEER, (peer) => {
            peer.raw(linkHeader(0, link.peer).done())
            writeSettings(peer, link.peer)
          }),
        )
        break
      case 'bridge':
        if (link.forwardDelay !== undefined)
          info.nest(IFLA.INFO_DATA, (data) => data.attributeU32(BRIDGE_FORWARD_DELAY, link.forwardDelay! * 100))
        break
      case 'vxlan':
        info.nest(IFLA.INFO_DATA, (data) => {
          if (link.external) data.attributeU8(VXLAN.COLLECT_METADATA, 1)
          else data.attributeU32(VXLAN.ID, link.id ?? 1)
          data.attributeU16be(VXLAN.PORT, link.port).attributeU8(VXLAN.LEARNING, link.learning ? 1 : 0)
          if (link.local) {
            const local = addressOf(link.local)
            if (isIpv4(local)) data.attribute(VXLAN.LOCAL, ipv4Bytes(local))
            else data.attribute(VXLAN.LOCAL6, local)
          }
        })
        break
      case 'dummy':
    }
  })
  return writer.done()
}

export function encodeLinkChange(index: number, settings: LinkSettings): Uint8Array {
  const writer = linkHeader(index, settings)
  writeSettings(writer, settings)
  return writer.done()
}

/** For LINK.GET and LINK.DELETE: a device by index or name, a group (to delete), or all. Statistics are left out of
 * the answer: they are most of it. */
export function encodeLinkQuery(
  which: { readonly index?: number; readonly name?: string; readonly group?: number } = {},
): Uint8Array {
  const writer = linkHeader(which.index ?? 0, {})
  if (which.name !== undefined) writer.attributeText(IFLA.IFNAME, which.name)
  if (which.group !== undefined) writer.attributeU32(IFLA.GROUP, which.group)
  return writer.attributeU32(IFLA.EXT_MASK, SKIP_STATISTICS).done()
}

export function decodeLink(message: Message): Link {
  const view = new DataView(message.body.buffer, message.body.byteOffset, message.body.byteLength)
  const flags = view.getUint32(8, true)
  const attributes = attributesOf(message.body, 16)
  const info = attributes.get(IFLA.LINKINFO)
  const kind = info && attributesOf(info).get(IFLA.INFO_KIND)
  const state = attributes.get(IFLA.OPERSTATE)?.[0] ?? 0
  const text = (type: number): string => {
    const bytes = attributes.get(type)
    return bytes ? textOf(bytes) : ''
  }
  return {
    index: view.getInt32(4, true),
    name: text(IFLA.IFNAME),
    kind: kind ? textOf(kind) : '',
    mac: macText(attributes.get(IFLA.ADDRESS) ?? new Uint8Array()),
    mtu: u32Of(attributes.get(IFLA.MTU)) ?? 0,
    up: (flags & IFF_UP) !== 0,
    running: state === 6 || state === 0,
    loopback: (flags & 8) !== 0,
    noArp: (flags & IFF_NOARP) !== 0,
    peer: kind && textOf(kind) === 'veth' ? (u32Of(attributes.get(IFLA.LINK)) ?? 0) : 0,
    master: u32Of(attributes.get(IFLA.MASTER)) ?? 0,
    group: u32Of(attributes.get(IFLA.GROUP)) ?? 0,
    alias: text(IFLA.IFALIAS),
  }
}

function linkHeader(index: number, settings: LinkSettings): Writer {
  const change = (settings.up === undefined ? 0 : IFF_UP) | (settings.noArp === undefined ? 0 : IFF_NOARP)
  return new Writer()
    .u8(0)
    .u8(0)
    .u16(0)
    .u32(index)
    .u32((settings.up ? IFF_UP : 0) | (settings.noArp ? IFF_NOARP : 0))
    .u32(change)
}

function writeSettings(writer: Writer, settings: LinkSettings): void {
  if (settings.name !== undefined) writer.attributeText(IFLA.IFNAME, settings.name)
  if (settings.mac !== undefined) writer.attribute(IFLA.ADDRESS, macBytes(settings.mac))
  if (settings.mtu !== undefined) writer.attributeU32(IFLA.MTU, settings.mtu)
  if (settings.group !== undefined) writer.attributeU32(IFLA.GROUP, settings.group)
  if (settings.alias !== undefined) writer.attributeText(IFLA.IFALIAS, settings.alias)
  if (settings.master !== undefined) writer.attributeU32(IFLA.MASTER, settings.master)
  if (settings.namespace !== undefined) writer.attributeU32(IFLA.NET_NS_FD, settings.namespace)
}
