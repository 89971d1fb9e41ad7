// SPDX-License-Identifier: Apache-2.0
// Datagrams by recvmmsg(2) and sendmmsg(2): an array of mmsghdr whose parts lie in one buffer, laid out once.
import { type Address, addressFrom, isIpv4 } from '../../base/ip.ts'
import { addressOf, receiveMessages, sendMessages } from './syscall.ts'

/** Where datagrams come from and go to. */
export interface Place {
  readonly address: Address
  readonly port: number
}

export const AF_INET = 2
export const AF_INET6 = 10

/** A `struct sockaddr_in` or `sockaddr_in6`. */
export function socketAddress({ address, port }: Place): Uint8Array {
  const four = isIpv4(address)
  const bytes = new Uint8Array(four ? 16 : 28)
  putSocketAddress(bytes, 0, address, port)
  return bytes
}

function putSocketAddress(bytes: Uint8Array, at: number, address: Address, port: number): number {
  const four = isIpv4(address)
  bytes.fill(0, at, at + 28)
  bytes[at] = four ? AF_INET : AF_INET6
  bytes[at + 2] = port >> 8
  bytes[at + 3] = port & 0xff
  bytes.set(four ? address.subarray(12) : address, at + (four ? 4 : 8))
  return four ? 16 : 28
}

function readSocketAddress(bytes: Uint8Array, at: number): Place {
  const four = bytes[at] === AF_INET
  const start = at + (four ? 4 : 8)
  return {
    address: addressFrom(bytes.subarray(start, start + (four ? 4 : 16))),
    port: ((bytes[at + 2] as number) << 8) | (bytes[at + 3] as number),
  }
}

const HEADER = 64
const NAME = 32
const VECTOR = 16
/** Room for ancillary data. */
export const CONTROL = 128
export const MSG_DONTWAIT = 0x40
const MSG_TRUNC = 0x20
const SOL_IP = 0
const SOL_IPV6 = 41
/** Ancillary data of these types: the destination as it was on the wire, and the source to send from. */
const ORIGINAL_DESTINATION = { [SOL_IP]: 20, [SOL_IPV6]: 74 } as const
const PACKET_INFO = { [SOL_IP]: 8, [SOL_IPV6]: 50 } as const

/** Room for `count` messages of up to `size` bytes: an array of mmsghdr, and what its parts point to. */
export function openBatch(count: number, size: number) {
  const bytes = new Uint8Array(new ArrayBuffer(count * (HEADER + NAME + VECTOR + CONTROL + size)))
  const view = new DataView(bytes.buffer)
  const base = addressOf(bytes)
  const names = count * HEADER
  const vectors = names + count * NAME
  const controls = vectors + count * VECTOR
  const data = controls + count * CONTROL
  for (let i = 0; i < count; i++) {
    const header = i * HEADER
    view.setBigUint64(header, base + BigInt(names + i * NAME), true)
    view.setBigUint64(header + 16, base + BigInt(vectors + i * VECTOR), true)
    view.setBigUint64(header + 24, 1n, true)
    view.setBigUint64(header + 32, base + BigInt(controls + i * CONTROL), true)
    view.setBigUint64(vectors + i * VECTOR, base + BigInt(data + i * size), true)
  }
  return {
    bytes,
    view,
    count,
    size,
    name: (i: number) => names + i * NAME,
    data: (i: number) => data + i * size,
    control: (i: number) => controls + i * CONTROL,
    /** Of a message that was received. */
    received: (i: number) => ({
      length: view.getUint32(i * HEADER + 56, true),
      control: Number(view.getBigUint64(i * HEADER + 40, true)),
      flags: view.getUint32(i * HEADER + 48, true),
    }),
    lengths(i: number, name: number, content: number, control: number): void {
      view.setUint32(i * HEADER + 8, name, true)
      view.setBigUint64(vectors + i * VECTOR + 8, BigInt(content), true)
      view.setBigUint64(i * HEADER + 40, BigInt(control), true)
    },
  }
}

/** A datagram with where it was meant to go, which need not be this machine. */
export interface Received {
  readonly from: Place
  readonly to: Place
  readonly bytes: Uint8Array
}

/** Reads whatever is there, `count` at once. Datagrams longer than `size` or without their destination are left out. */
export function datagramReader(count: number, size: number) {
  const batch = openBatch(count, size)
  const { bytes, view } = batch
  return (fd: number): readonly Received[] => {
    for (let i = 0; i < count; i++) batch.lengths(i, NAME, size, CONTROL)
    const got = receiveMessages(fd, bytes, count, MSG_DONTWAIT)
    const found: Received[] = []
    for (let i = 0; i < got; i++) {
      const { length, control, flags } = batch.received(i)
      if (flags & MSG_TRUNC) continue
      const to = originalDestination(bytes, view, batch.control(i), control)
      if (!to) continue
      found.push({
        from: readSocketAddress(bytes, batch.name(i)),
        to,
        bytes: bytes.slice(batch.data(i), batch.data(i) + length),
      })
    }
    return found
  }
}

function originalDestination(bytes: Uint8Array, view: DataView, from: number, length: number): Place | undefined {
  for (let at = from; at + 16 <= from + length; ) {
    const size = Number(view.getBigUint64(at, true))
    const level = view.getInt32(at + 8, true)
    const type = view.getInt32(at + 12, true)
    if ((level === SOL_IP || level === SOL_IPV6) && type === ORIGINAL_DESTINATION[level])
      return readSocketAddress(bytes, at + 16)
    if (size < 16) return undefined
    at += (size + 7) & ~7
  }
  return undefined
}

/** A datagram that is to look as if it came from somebody else. */
export interface Sent {
  readonly from: Place
  readonly to: Place
  readonly bytes: Uint8Array
}

const UDP_HEADER = 8

/**
 * Sends datagrams by a raw socket of their family, with the UDP header written here, because a socket that is bound to
 * the other's address and port would take what is sent there. Returns how many the kernel took.
 */
export function datagramWriter(count: number) {
  const size = 65535
  const batch = openBatch(count, size)
  const { bytes, view } = batch
  const fill = (i: number, { from, to, bytes: content }: Sent): void => {
    const four = isIpv4(to.address)
    const name = putSocketAddress(bytes, batch.name(i), to.address, 0)
    const at = batch.data(i)
    const length = UDP_HEADER + content.length
    view.setUint16(at, from.port)
    view.setUint16(at + 2, to.port)
    view.setUint16(at + 4, length)
    view.setUint16(at + 6, 0)
    bytes.set(content, at + UDP_HEADER)
    const sum = sumOf(view, at, length) + pseudoSum(from.address, to.address, length, four)
    view.setUint16(at + 6, ~folded(sum) & 0xffff || 0xffff)
    const control = batch.control(i)
    const level = four ? SOL_IP : SOL_IPV6
    const info = four ? 12 : 20
    bytes.fill(0, control, control + 48)
    view.setBigUint64(control, BigInt(16 + info), true)
    view.setInt32(control + 8, level, true)
    view.setInt32(control + 12, PACKET_INFO[level], true)
    bytes.set(four ? from.address.subarray(12) : from.address, control + (four ? 20 : 16))
    batch.lengths(i, name, length, 16 + ((info + 7) & ~7))
  }
  return (fd: number, datagrams: readonly Sent[]): number => {
    let taken = 0
    for (let first = 0; first < datagrams.length; ) {
      const n = Math.min(count, datagrams.length - first)
      for (let i = 0; i < n; i++) fill(i, datagrams[first + i] as Sent)
      const sent = sendMessages(fd, bytes, n, MSG_DONTWAIT)
      // The first of those offered is the one the kernel refused: the others get their chance.
      taken += Math.max(0, sent)
      first += sent === n ? n : Math.max(0, sent) + 1
    }
    return taken
  }
}

/** Sum of 16-bit words (RFC 1071), not folded. */
function sumOf(view: DataView, at: number, length: number): number {
  let sum = 0
  const even = length & ~1
  for (let i = 0; i < even; i += 2) sum += view.getUint16(at + i)
  return length & 1 ? sum + (view.getUint8(at + even) << 8) : sum
}

function pseudoSum(from: Address, to: Address, length: number, four: boolean): number {
  let sum = 17 + length
  for (let i = four ? 12 : 0; i < 16; i += 2)
    sum += ((from[i] as number) << 8) + (from[i + 1] as number) + ((to[i] as number) << 8) + (to[i + 1] as number)
  return sum
}

function folded(sum: number): number {
  let rest = sum
  while (rest > 0xffff) rest = (rest & 0xffff) + Math.floor(rest / 0x10000)
  return rest
}
