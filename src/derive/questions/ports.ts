// SPDX-License-Identifier: Apache-2.0
import { fail, ok, type Result } from '../../base/result.ts'
import { type PortSpace, portSpaces } from '../../model/datapath.ts'
import type { NamedPort } from '../../model/pod.ts'
import { icmpTypeOf } from '../policy/ports.ts'

/** Where a packet goes: for ICMP the number is `type << 8 | code`; `other` is a protocol without ports. */
export interface Port {
  readonly space: PortSpace | 'other'
  readonly number: number
}

/** As a question gives it. */
export interface AskedPort {
  /** A number, a name, or `80/TCP`, `8/ICMP`. */
  readonly port?: number | string
  readonly protocol?: string
  /** A number, or its name: `EchoRequest`. */
  readonly icmpType?: number | string
  readonly icmpCode?: number
}

const names = new Map<string, PortSpace | 'other'>([
  ...portSpaces.map((s) => [s.toUpperCase(), s] as const),
  ['ICMPV4', 'ICMP'],
  ['ICMP6', 'ICMPv6'],
  ['6', 'TCP'],
  ['17', 'UDP'],
  ['132', 'SCTP'],
  ['1', 'ICMP'],
  ['58', 'ICMPv6'],
  ['OTHER', 'other'],
])

/** The port of a question; a name is looked for among the destination's. TCP when no protocol is given. */
export function portOf(asked: AskedPort, named: readonly NamedPort[]): Result<Port> {
  const text = String(asked.port ?? '')
  const slash = text.indexOf('/')
  const protocolText =
    slash >= 0 ? text.slice(slash + 1) : (asked.protocol ?? (asked.icmpType === undefined ? '' : 'ICMP'))
  const space = protocolText === '' ? 'TCP' : names.get(protocolText.toUpperCase())
  if (space === undefined)
    return wrong('protocol', `'${protocolText}' is not a protocol`, 'one of: TCP, UDP, SCTP, ICMP, ICMPv6, other')
  if (space === 'other') return ok({ space, number: 0 })
  const port = slash >= 0 ? text.slice(0, slash) : text
  if (space === 'ICMP' || space === 'ICMPv6') {
    const given = asked.icmpType ?? (port === '' ? 'EchoRequest' : port)
    const type = icmpTypeOf(space === 'ICMP' ? 'IPv4' : 'IPv6', given) ?? -1
    const code = asked.icmpCode ?? 0
    if (!isByte(type) || !isByte(code))
      return wrong('icmpType', 'type and code are 0 to 255', 'echo request is 8, or 128 of ICMPv6')
    return ok({ space, number: (type << 8) | code })
  }
  if (port === '') return wrong('port', 'required', 'as in 80/TCP')
  if (/^[0-9]+$/.test(port)) {
    const number = Number(port)
    return number <= 65535 ? ok({ space, number }) : wrong('port', `port ${port} is out of range`, '0 to 65535')
  }
  const mayBe = named.filter((n) => n.name === port && (protocolText === '' || n.protocol === space))
  if (mayBe[0]) return ok({ space: mayBe[0].protocol, number: mayBe[0].port })
  const there = named.map((n) => n.name).join(', ')
  return wrong(
    'port',
    `the destination has no port named '${port}'`,
    there === '' ? 'it names none' : `it has ${there}`,
  )
}

const isByte = (n: number): boolean => Number.isInteger(n) && n >= 0 && n <= 255
const wrong = (field: string, message: string, fix: string): Result<Port> => fail({ field, message, fix })

/** `80/TCP`, `8/ICMP`, `other`. */
export const portText = ({ space, number }: Port): string =>
  space === 'other'
    ? 'other'
    : space === 'ICMP' || space === 'ICMPv6'
      ? `${number >> 8}${(number & 255) === 0 ? '' : `.${number & 255}`}/${space}`
      : `${number}/${space}`
