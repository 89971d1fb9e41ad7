// SPDX-License-Identifier: Apache-2.0
import { assert, present } from './assert.ts'

/** An IP address of either family: 16 bytes, IPv4 as ::ffff:a.b.c.d (RFC 4291 2.5.5.2), as the datapath has it. */
export type Address = Uint8Array

/** A network. `length` counts from the start of the 16 bytes: 0 to 128, so an IPv4 /24 has 120. Host bits are zero. */
export interface Prefix {
  readonly address: Address
  readonly length: number
}

const IPV4_BITS = 96

/** Address from text, or undefined. Strict: four decimal parts without leading zeros; no zone; no blanks. */
export function parseAddress(text: string): Address | undefined {
  return text.includes(':') ? parseIpv6(text) : parseIpv4(text)
}

/** Address from text that the program itself wrote; anything else is a broken invariant. */
export const address = (text: string): Address => present(parseAddress(text), `IP address '${text}'`)

/** IPv4 as dotted quad, also when it came in as a mapped IPv6 address; IPv6 as RFC 5952 says. */
export function printAddress(from: Address): string {
  if (isIpv4(from)) return `${from[12]}.${from[13]}.${from[14]}.${from[15]}`
  const groups: number[] = []
  for (let i = 0; i < 16; i += 2) groups.push(((from[i] as number) << 8) | (from[i + 1] as number))
  const run = longestZeroRun(groups)
  const hex = (part: readonly number[]) => part.map((group) => group.toString(16)).join(':')
  if (run.length < 2) return hex(groups)
  return `${hex(groups.slice(0, run.start))}::${hex(groups.slice(run.start + run.length))}`
}

/** Whether the 16 bytes are an IPv4 address. */
export function isIpv4(from: Address): boolean {
  for (let i = 0; i < 10; i++) if (from[i] !== 0) return false
  return from[10] === 0xff && from[11] === 0xff
}

/** The four bytes of an IPv4 address. */
export const ipv4Bytes = (from: Address): Uint8Array => from.slice(12)

/** Address from 4 or 16 bytes in network order. */
export function addressFrom(bytes: Uint8Array): Address {
  if (bytes.length === 16) return bytes.slice()
  assert(bytes.length === 4, () => `an IP address has 4 or 16 bytes, not ${bytes.length}`)
  const mapped = new Uint8Array(16)
  mapped.fill(0xff, 10, 12)
  mapped.set(bytes, 12)
  return mapped
}

/** The one way to write an address, so that texts can be compared; undefined when it is none. */
export function canonicalAddress(text: string): string | undefined {
  const parsed = parseAddress(text)
  return parsed && printAddress(parsed)
}

/** `10.0.0.0/8`, `fd00::/48`. Host bits are cleared; a missing or impossible length gives undefined. */
export function parsePrefix(text: string): Prefix | undefined {
  const parsed = parseAddressInPrefix(text)
  return parsed && prefixOf(parsed.address, parsed.length)
}

/** Prefix from text that the program itself wrote. */
export const prefix = (text: string): Prefix => present(parsePrefix(text), `IP prefix '${text}'`)

/** `10.0.0.5/8` with its host bits, as on an interface. */
export function parseAddressInPrefix(text: string): Prefix | undefined {
  const slash = text.indexOf('/')
  if (slash < 0) return undefined
  const parsed = parseAddress(text.slice(0, slash))
  const digits = text.slice(slash + 1)
  if (!parsed || !/^(0|[1-9][0-9]{0,2})$/.test(digits)) return undefined
  const bits = Number(digits)
  const offset = text.includes(':') ? 0 : IPV4_BITS
  return bits + offset <= 128 ? { address: parsed, length: bits + offset } : undefined
}

/** The network of `length` bits (of 128) that holds the address. */
export function prefixOf(from: Address, length: number): Prefix {
  const network = from.slice()
  for (let i = 0; i < 16; i++) {
    const bits = Math.min(8, Math.max(0, length - i * 8))
    network[i] = (network[i] as number) & (0xff00 >> bits) & 0xff
  }
  return { address: network, length }
}

/** The prefix that holds this address and no other. */
export const hostPrefix = (from: Address): Prefix => ({ address: from, length: 128 })

export const isIpv4Prefix = (of: Prefix): boolean => of.length >= IPV4_BITS && isIpv4(of.address)

/** The length as people write it: out of 32 for IPv4. */
export const familyLength = (of: Prefix): number => (isIpv4Prefix(of) ? of.length - IPV4_BITS : of.length)

export const printPrefix = (of: Prefix): string => `${printAddress(of.address)}/${familyLength(of)}`

/** The one way to write a prefix, host bits cleared; undefined when it is none. */
export function canonicalPrefix(text: string): string | undefined {
  const parsed = parsePrefix(text)
  return parsed && printPrefix(parsed)
}

/** Whether an address, or all of a narrower prefix, lies in the prefix. Families never contain each other but by ::/0. */
export function contains(outer: Prefix, inner: Address | Prefix): boolean {
  const narrow = inner instanceof Uint8Array ? hostPrefix(inner) : inner
  if (narrow.length < outer.length) return false
  // All of IPv6 does not mean IPv4, though the mapped form lies inside.
  if (outer.length < IPV4_BITS && isIpv4Prefix(narrow)) return false
  const whole = outer.length >> 3
  for (let i = 0; i < whole; i++) if (outer.address[i] !== narrow.address[i]) return false
  const rest = outer.length & 7
  if (rest === 0) return true
  const mask = (0xff00 >> rest) & 0xff
  return ((outer.address[whole] as number) & mask) === ((narrow.address[whole] as number) & mask)
}

/** Byte order, which puts IPv4 before global IPv6; for sorting. */
export function compareAddresses(a: Address, b: Address): number {
  for (let i = 0; i < 16; i++) {
    const difference = (a[i] as number) - (b[i] as number)
    if (difference !== 0) return difference
  }
  return 0
}

/** The address `by` further on; wraps at the end of its family. */
export function nextAddress(from: Address, by: bigint | number = 1): Address {
  const bits = isIpv4(from) ? 32 : 128
  return withLowBits(from, BigInt.asUintN(bits, addressNumber(from) + BigInt(by)), bits)
}

/** The address at `index` within the prefix: 0 is the network address; undefined past the end. */
export function addressAt(within: Prefix, index: bigint | number): Address | undefined {
  const at = BigInt(index)
  return at >= 0n && at < prefixSize(within) ? nextAddress(within.address, at) : undefined
}

/** How many addresses the prefix holds. */
export const prefixSize = (of: Prefix): bigint => 1n << BigInt(128 - of.length)

/** The address as a number of its own family: 32 or 128 bits. */
export function addressNumber(from: Address): bigint {
  let number = 0n
  for (let i = isIpv4(from) ? 12 : 0; i < 16; i++) number = (number << 8n) | BigInt(from[i] as number)
  return number
}

function withLowBits(from: Address, low: bigint, bits: number): Address {
  const result = from.slice()
  for (let i = 15, rest = low; i >= 16 - bits / 8; i--, rest >>= 8n) result[i] = Number(rest & 0xffn)
  return result
}

function parseIpv4(text: string): Address | undefined {
  const parts = text.split('.')
  if (parts.length !== 4) return undefined
  const bytes = new Uint8Array(16)
  bytes.fill(0xff, 10, 12)
  for (let i = 0; i < 4; i++) {
    const part = parts[i] as string
    if (!/^(0|[1-9][0-9]{0,2})$/.test(part) || Number(part) > 255) return undefined
    bytes[12 + i] = Number(part)
  }
  return bytes
}

function parseIpv6(text: string): Address | undefined {
  const halves = text.split('::')
  if (halves.length > 2) return undefined
  const head = groupsOf(halves[0] as string, halves.length === 1)
  const tail = halves.length === 2 ? groupsOf(halves[1] as string, true) : []
  if (!head || !tail) return undefined
  const count = head.length + tail.length
  if (halves.length === 1 ? count !== 8 : count > 7) return undefined
  const bytes = new Uint8Array(16)
  head.forEach((group, i) => {
    put(bytes, i, group)
  })
  tail.forEach((group, i) => {
    put(bytes, 8 - tail.length + i, group)
  })
  return bytes
}

function put(bytes: Uint8Array, index: number, group: number): void {
  bytes[index * 2] = group >> 8
  bytes[index * 2 + 1] = group & 0xff
}

/** Groups of one side of `::`; a dotted quad may stand for the last two of the whole text. */
function groupsOf(text: string, last: boolean): readonly number[] | undefined {
  if (text === '') return []
  const groups: number[] = []
  const parts = text.split(':')
  for (const [i, part] of parts.entries()) {
    if (last && i === parts.length - 1 && part.includes('.')) {
      const quad = parseIpv4(part)
      if (!quad) return undefined
      groups.push(
        ((quad[12] as number) << 8) | (quad[13] as number),
        ((quad[14] as number) << 8) | (quad[15] as number),
      )
    } else if (/^[0-9a-fA-F]{1,4}$/.test(part)) groups.push(Number.parseInt(part, 16))
    else return undefined
  }
  return groups
}

function longestZeroRun(groups: readonly number[]): { readonly start: number; readonly length: number } {
  let best = { start: 0, length: 0 }
  for (let start = 0; start < groups.length; start++) {
    let length = 0
    while (groups[start + length] === 0) length++
    if (length > best.length) best = { start, length }
  }
  return best
}
