// SPDX-License-Identifier: Apache-2.0
import { type Address, addressFrom, ipv4Bytes, isIpv4, parseAddressInPrefix, printAddress } from '../../base/ip.ts'
import { attributesOf, type Message, Writer } from './message.ts'

export const ADDRESS = { NEW: 20, DELETE: 21, GET: 22 } as const

export const AF_INET = 2
export const AF_INET6 = 10
export const familyOf = (of: Address): number => (isIpv4(of) ? AF_INET : AF_INET6)
/** 4 bytes for IPv4, 16 for IPv6, as rtnetlink has them. */
export const wireBytes = (of: Address): Uint8Array => (isIpv4(of) ? ipv4Bytes(of) : of)

const IFA = { ADDRESS: 1, LOCAL: 2, FLAGS: 8 } as const
const IFA_FLAG = { NODAD: 0x02, NOPREFIXROUTE: 0x200 } as const
export const SCOPE = { UNIVERSE: 0, LINK: 253, HOST: 254, NOWHERE: 255 } as const

/** An address on a device. `address` with its prefix length, host bits kept: `10.0.0.5/24`. */
export interface InterfaceAddress {
  readonly device: number
  readonly address: string
  /** 0 global, 253 link, 254 host. */
  readonly scope: number
}

export interface NewAddress {
  readonly device: number
  readonly address: string
  readonly scope?: number
  /** No duplicate address detection (IPv6 is usable at once). */
  readonly noDad?: boolean
  /** No route to the prefix by the kernel. */
  readonly noPrefixRoute?: boolean
}

/** Throws on a text that is no `address/length`. */
export function encodeAddress(of: NewAddress): Uint8Array {
  const parsed = parseAddressInPrefix(of.address)
  if (!parsed) throw new Error(`no address with a prefix length: '${of.address}'`)
  const family = familyOf(parsed.address)
  const length = family === AF_INET ? parsed.length - 96 : parsed.length
  const flags = (of.noDad ? IFA_FLAG.NODAD : 0) | (of.noPrefixRoute ? IFA_FLAG.NOPREFIXROUTE : 0)
  const bytes = wireBytes(parsed.address)
  return new Writer()
    .u8(family)
    .u8(length)
    .u8(flags & 0xff)
    .u8(of.scope ?? SCOPE.UNIVERSE)
    .u32(of.device)
    .attribute(IFA.LOCAL, bytes)
    .attribute(IFA.ADDRESS, bytes)
    .attributeU32(IFA.FLAGS, flags)
    .done()
}

export const encodeAddressDump = (family = 0): Uint8Array => new Writer().u8(family).u8(0).u8(0).u8(0).u32(0).done()

export function decodeAddress(message: Message): InterfaceAddress {
  const view = new DataView(message.body.buffer, message.body.byteOffset, message.body.byteLength)
  const attributes = attributesOf(message.body, 8)
  // IFA_ADDRESS is the other end on a point-to-point device; IPv6 has no IFA_LOCAL there.
  const bytes = attributes.get(IFA.LOCAL) ?? attributes.get(IFA.ADDRESS)
  return {
    device: view.getUint32(4, true),
    address: bytes ? `${printAddress(addressFrom(bytes))}/${view.getUint8(1)}` : '',
    scope: view.getUint8(3),
  }
}
