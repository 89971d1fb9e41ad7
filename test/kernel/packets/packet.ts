// SPDX-License-Identifier: Apache-2.0
// Packets for the tests, built as one reads them: ethernet(ipv4({from, to}, tcp({from: 1, to: 80, flags: 'S'}))).
import { address, ipv4Bytes, isIpv4 } from '../../../src/base/ip.ts'

export const ETH_IPV4 = 0x0800
export const ETH_IPV6 = 0x86dd
export const ETH_ARP = 0x0806
export const gatewayMac = Uint8Array.of(2, 0, 0, 0, 0, 1)
export const podMac = Uint8Array.of(2, 0, 0, 0, 0, 2)

export const join = (...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array => {
  const whole = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0))
  let at = 0
  for (const part of parts) {
    whole.set(part, at)
    at += part.length
  }
  return whole
}

export const u16 = (value: number): number[] => [(value >> 8) & 0xff, value & 0xff]
export const u32 = (value: number): number[] => [...u16(value >>> 16), ...u16(value & 0xffff)]
const bytesOf = (text: string): Uint8Array => (text.includes(':') ? address(text) : ipv4Bytes(address(text)))

/** One's complement sum of RFC 1071, folded, not inverted. */
export function sum(bytes: Uint8Array, start = 0): number {
  let total = start
  for (let i = 0; i < bytes.length; i += 2) total += (bytes[i]! << 8) | (bytes[i + 1] ?? 0)
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16)
  return total
}
const checksum = (bytes: Uint8Array, start = 0): number => ~sum(bytes, start) & 0xffff

/** A transport segment: what the IP layer needs to know to finish it. */
export interface Segment {
  readonly protocol: number
  readonly bytes: Uint8Array
  /** Where the checksum goes, if there is one; `pseudo`: over the pseudo header too. */
  readonly checksumAt?: number
  readonly pseudo?: boolean
}

const flagBits: Readonly<Record<string, number>> = { F: 1, S: 2, R: 4, P: 8, A: 16 }
const payload = (size: number): Uint8Array => Uint8Array.from({ length: size }, (_, i) => i & 0xff)

export interface Ports {
  readonly from: number
  readonly to: number
  readonly size?: number
}

/** `flags` by letters: 'S', 'SA', 'A', 'FA', 'R'. */
export function tcp(of: Ports & { readonly flags: string }): Segment {
  const flags = [...of.flags].reduce((bits, letter) => bits | flagBits[letter]!, 0)
  const header = [...u16(of.from), ...u16(of.to), ...u32(1), ...u32(1), 0x50, flags, ...u16(1000), 0, 0, 0, 0]
  return { protocol: 6, bytes: join(header, payload(of.size ?? 0)), checksumAt: 16, pseudo: true }
}

export function udp(of: Ports & { readonly data?: Uint8Array }): Segment {
  const data = of.data ?? payload(of.size ?? 8)
  const header = [...u16(of.from), ...u16(of.to), ...u16(8 + data.length), 0, 0]
  return { protocol: 17, bytes: join(header, data), checksumAt: 6, pseudo: true }
}

/** ICMP; `rest` is the second half of the header (echo: identifier and sequence number). */
export function icmp(type: number, code: number, rest: number, data: Uint8Array = payload(8)): Segment {
  return { protocol: 1, bytes: join([type, code, 0, 0, ...u32(rest)], data), checksumAt: 2 }
}

export function icmpv6(type: number, code: number, rest: number, data: Uint8Array = payload(8)): Segment {
  return { protocol: 58, bytes: join([type, code, 0, 0, ...u32(rest)], data), checksumAt: 2, pseudo: true }
}

export const echo = (v6: boolean, id: number): Segment => (v6 ? icmpv6(128, 0, id << 16) : icmp(8, 0, id << 16))
export const echoReply = (v6: boolean, id: number): Segment => (v6 ? icmpv6(129, 0, id << 16) : icmp(0, 0, id << 16))

function finished(segment: Segment, from: Uint8Array, to: Uint8Array): Uint8Array {
  const bytes = segment.bytes.slice()
  if (segment.checksumAt === undefined) return bytes
  const pseudo = segment.pseudo ? sum(join(from, to, u32(bytes.length), u32(segment.protocol))) : 0
  bytes.set(u16(checksum(bytes, pseudo) || 0xffff), segment.checksumAt)
  return bytes
}

export interface Ip {
  readonly from: string
  readonly to: string
  readonly ttl?: number
  readonly id?: number
  /** Fragment offset in bytes; `more` follow. */
  readonly fragment?: number
  readonly more?: boolean
  readonly dontFragment?: boolean
  readonly options?: Uint8Array
  /** Wrong on purpose. */
  readonly length?: number
}

export function ipv4(of: Ip, segment: Segment): Uint8Array {
  const [from, to] = [bytesOf(of.from), bytesOf(of.to)]
  const whole = finished(segment, from, to)
  const options = of.options ?? new Uint8Array(0)
  const headerLength = 20 + options.length
  const fragment = ((of.fragment ?? 0) >> 3) | (of.more ? 0x2000 : 0) | (of.dontFragment ? 0x4000 : 0)
  const header = join(
    [0x40 | (headerLength >> 2), 0, ...u16(of.length ?? headerLength + whole.length), ...u16(of.id ?? 0)],
    [...u16(fragment), of.ttl ?? 64, segment.protocol, 0, 0],
    from,
    to,
    options,
  )
  header.set(u16(checksum(header)), 10)
  return join(header, whole)
}

/** Extension headers: [number, bytes without their first, which is the next header]. */
export type Extension = readonly [number, readonly number[]]
export const hopByHop: Extension = [0, [0, 1, 4, 0, 0, 0, 0]]
export const destinationOptions: Extension = [60, [0, 1, 4, 0, 0, 0, 0]]
export const fragmentHeader = (offset: number, more: boolean, id: number): Extension => [
  44,
  [0, ...u16((offset & ~7) | (more ? 1 : 0)), ...u32(id)],
]

export function ipv6(of: Ip, segment: Segment, extensions: readonly Extension[] = []): Uint8Array {
  const [from, to] = [bytesOf(of.from), bytesOf(of.to)]
  const whole = finished(segment, from, to)
  const chain = extensions.map(([, rest], i) => [extensions[i + 1]?.[0] ?? segment.protocol, ...rest])
  const length = of.length ?? whole.length + chain.flat().length
  const next = extensions[0]?.[0] ?? segment.protocol
  return join([0x60, 0, 0, 0, ...u16(length), next, of.ttl ?? 64], from, to, ...chain, whole)
}

export const ip = (of: Ip, segment: Segment): Uint8Array =>
  of.from.includes(':') ? ipv6(of, segment) : ipv4(of, segment)

export function ethernet(
  inner: Uint8Array,
  of: { type?: number; from?: Uint8Array; to?: Uint8Array } = {},
): Uint8Array {
  const type = of.type ?? (inner[0]! >> 4 === 6 ? ETH_IPV6 : ETH_IPV4)
  return join(of.to ?? gatewayMac, of.from ?? podMac, u16(type), inner)
}

/** A packet as tests compare it; the checksums are verified, not shown. */
export interface Seen {
  readonly from: string
  readonly to: string
  readonly protocol: number
  readonly ttl: number
  readonly ports?: readonly [number, number]
  readonly icmp?: readonly [number, number]
  readonly body: Uint8Array
}

/** Reads a packet from its IP header on. Throws when a checksum is wrong. */
export function readIp(bytes: Uint8Array, print: (address: Uint8Array) => string): Seen {
  const v6 = bytes[0]! >> 4 === 6
  const header = v6 ? 40 : (bytes[0]! & 15) * 4
  const from = v6 ? bytes.slice(8, 24) : bytes.slice(12, 16)
  const to = v6 ? bytes.slice(24, 40) : bytes.slice(16, 20)
  const protocol = bytes[v6 ? 6 : 9]!
  const body = bytes.slice(header)
  if (!v6 && sum(bytes.slice(0, header)) !== 0xffff) throw new Error('IPv4 header checksum')
  const pseudo = protocol === 1 ? 0 : sum(join(from, to, u32(body.length), u32(protocol)))
  const unchecked = protocol === 17 && body[6] === 0 && body[7] === 0
  if ([1, 6, 17, 58].includes(protocol) && !unchecked && sum(body, pseudo) !== 0xffff)
    throw new Error(`checksum of protocol ${protocol} over ${body.length} bytes`)
  const mapped = (a: Uint8Array): Uint8Array => (v6 ? a : join(new Uint8Array(10), [0xff, 0xff], a))
  const common = { from: print(mapped(from)), to: print(mapped(to)), protocol, ttl: bytes[v6 ? 7 : 8]!, body }
  const pair = (at: number): number => (body[at]! << 8) | body[at + 1]!
  if (protocol === 6 || protocol === 17) return { ...common, ports: [pair(0), pair(2)] }
  if (protocol === 1 || protocol === 58) return { ...common, icmp: [body[0]!, body[1]!] }
  return common
}

export const isV4 = (text: string): boolean => isIpv4(address(text))
