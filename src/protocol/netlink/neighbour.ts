// SPDX-License-Identifier: Apache-2.0
import { address, addressFrom, printAddress } from '../../base/ip.ts'
import { familyOf, wireBytes } from './address.ts'
import { attributesOf, type Message, macBytes, macText, Writer } from './message.ts'

export const NEIGHBOUR = { NEW: 28, DELETE: 29, GET: 30 } as const

const NDA = { DST: 1, LLADDR: 2 } as const
export const STATE = { INCOMPLETE: 1, REACHABLE: 2, STALE: 4, FAILED: 0x20, NOARP: 0x40, PERMANENT: 0x80 } as const

/** The link-layer address of an IP address on a device. */
export interface Neighbour {
  readonly device: number
  readonly address: string
  /** '' while it is not known. */
  readonly mac: string
  readonly state: number
}
export type NewNeighbour = Pick<Neighbour, 'device' | 'address' | 'mac'> & { readonly state?: number }

export function encodeNeighbour(neighbour: NewNeighbour): Uint8Array {
  const at = address(neighbour.address)
  const writer = new Writer()
    .u8(familyOf(at))
    .u8(0)
    .u16(0)
    .u32(neighbour.device)
    .u16(neighbour.state ?? STATE.PERMANENT)
    .u8(0)
    .u8(0)
    .attribute(NDA.DST, wireBytes(at))
  if (neighbour.mac) writer.attribute(NDA.LLADDR, macBytes(neighbour.mac))
  return writer.done()
}

export const encodeNeighbourDump = (family = 0): Uint8Array =>
  new Writer().u8(family).u8(0).u16(0).u32(0).u16(0).u8(0).u8(0).done()

export function decodeNeighbour(message: Message): Neighbour {
  const view = new DataView(message.body.buffer, message.body.byteOffset, message.body.byteLength)
  const attributes = attributesOf(message.body, 12)
  const destination = attributes.get(NDA.DST)
  return {
    device: view.getUint32(4, true),
    address: destination && destination.length >= 4 ? printAddress(addressFrom(destination)) : '',
    mac: macText(attributes.get(NDA.LLADDR) ?? new Uint8Array()),
    state: view.getUint16(8, true),
  }
}
