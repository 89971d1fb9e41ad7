// SPDX-License-Identifier: Apache-2.0
import { child, elements, type Field, fields, isAbsent, problem, textOf, warning, wholeNumberOf } from './read.ts'
import type { Port, PortRange } from './rule.ts'

const namePattern = /^(?=.{1,15}$)(?!.*--)[a-z0-9]([-a-z0-9]*[a-z0-9])?$/
const hasLetter = /[a-z]/
const protocols = ['TCP', 'UDP', 'SCTP'] as const
const extended: readonly string[] = ['VRRP', 'IGMP', 'GRE', 'IPIP', 'IPV6', 'ESP', 'AH']

const range = (space: PortRange['space'], first: number, last: number): PortRange => ({ space, first, last })

/** `ports` of a CiliumNetworkPolicy's toPorts element. Absent or empty: every port of every protocol that has ports. */
export function parseCiliumPorts(at: Field, action: 'allow' | 'deny'): readonly Port[] {
  const out: Port[] = []
  const list = elements(at)
  if (list.length > 40 && action === 'allow')
    problem(at, `at most 40 ports, not ${list.length}`, 'use endPort, or several toPorts elements')
  for (const p of list) {
    fields(p, ['port', 'endPort', 'protocol'])
    const protocolAt = child(p, 'protocol')
    const written = isAbsent(protocolAt) ? 'ANY' : textOf(protocolAt).toUpperCase() || 'ANY'
    const protocol = [...protocols, 'ANY' as const].find((known) => known === written)
    if (!protocol) {
      // Cilium takes these with enable-extended-ip-protocols; here nothing tells them from others without ports.
      if (extended.includes(written) && action === 'allow')
        warning(protocolAt, `${written} is not enforced by itself: fails closed`, 'a rule without toPorts allows it')
      else if (/^ICMP(V6)?$/.test(written))
        problem(protocolAt, `${written} has no ports`, 'icmps, beside toPorts, names its types')
      else problem(protocolAt, `'${written}' is not a protocol`, 'one of: TCP, UDP, SCTP, ANY')
      continue
    }
    const spaces = protocol === 'ANY' ? protocols : [protocol]
    const portAt = child(p, 'port')
    const port = textOf(portAt)
    const last = wholeNumberOf(child(p, 'endPort'), 0, 65535)
    if (/^[0-9]+$/.test(port)) {
      const first = Number(port)
      if (first > 65535) problem(portAt, `port ${port} is out of range`, '0 to 65535; 0 is every port')
      else if (last !== undefined && last !== 0 && last < first)
        problem(
          child(p, 'endPort'),
          `endPort ${last} is below port ${first}`,
          'port is the first of the range, endPort the last',
        )
      else if (first === 0)
        for (const s of spaces) out.push(range(s, 0, last === undefined || last === 0 ? 65535 : last))
      else for (const s of spaces) out.push(range(s, first, last || first))
    } else if (!isPortName(port.toLowerCase())) {
      // Of what is no string it has been said.
      if (isAbsent(portAt) || typeof portAt.value === 'string')
        problem(portAt, port === '' ? 'required' : `'${port}' is neither a port number nor a port name`, portFix(port))
    } else {
      if (last) warning(child(p, 'endPort'), 'means nothing beside the name of a port', 'write both ends as numbers')
      out.push({ name: port.toLowerCase(), protocol })
    }
  }
  return list.length === 0 ? protocols.map((s) => range(s, 0, 65535)) : out
}

function portFix(port: string): string {
  if (isPortName(port.trim()) || /^\s*\d+\s*$/.test(port)) return `without spaces: "${port.trim()}"`
  const [, first, last] = /^\s*(\d+)\s*[-:]\s*(\d+)\s*$/.exec(port) ?? []
  if (first !== undefined) return `a range is port: "${first}", endPort: ${last}`
  if (/^[\d\s,;]+$/.test(port)) return 'each port is an element of its own'
  const [, number, protocol] = /^(\d+)\/(tcp|udp|sctp)$/i.exec(port) ?? []
  if (number !== undefined) return `port: "${number}", protocol: ${protocol?.toUpperCase()}`
  return 'as in "80", or a name of a container\'s port; "0" is every port'
}

/** `ports` of a NetworkPolicy rule; the caller has dealt with the absent list, which is everything. */
export function parseKubernetesPorts(at: Field): readonly Port[] {
  const out: Port[] = []
  for (const p of elements(at)) {
    fields(p, ['port', 'endPort', 'protocol'])
    const protocolAt = child(p, 'protocol')
    const written = isAbsent(protocolAt) ? 'TCP' : textOf(protocolAt)
    const protocol = protocols.find((known) => known === written)
    if (!protocol) {
      problem(protocolAt, `'${written}' is not a protocol`, 'one of: TCP, UDP, SCTP')
      continue
    }
    const portAt = child(p, 'port')
    const lastAt = child(p, 'endPort')
    if (isAbsent(portAt)) {
      if (!isAbsent(lastAt)) problem(lastAt, 'endPort needs a port')
      out.push(range(protocol, 0, 65535))
    } else if (typeof portAt.value === 'string') {
      if (!isAbsent(lastAt)) problem(lastAt, 'endPort can not go with the name of a port')
      if (isPortName(portAt.value)) out.push({ name: portAt.value, protocol })
      else
        problem(
          portAt,
          `'${portAt.value}' is not the name of a port`,
          /^\d+$/.test(portAt.value) ? `a number has no quotes: ${portAt.value}` : kubernetesPortFix(portAt.value),
        )
    } else {
      const first = wholeNumberOf(portAt, 1, 65535)
      const last = wholeNumberOf(lastAt, 1, 65535)
      if (first === undefined) continue
      if (last !== undefined && last < first)
        problem(lastAt, `endPort ${last} is below port ${first}`, 'port is the first of the range, endPort the last')
      else out.push(range(protocol, first, last ?? first))
    }
  }
  return out
}

const kubernetesPortFix = (port: string): string =>
  portFix(port)
    .replace(/port: "(\d+)"/, 'port: $1')
    .replace(/^without spaces: "(\d+)"$/, 'a number has no quotes: $1')
    .replace(/^as in "80".*$/, "as in 80, or a name of a container's port")

export const isPortName = (name: string): boolean => namePattern.test(name) && hasLetter.test(name)

const icmpNames: { readonly [family: string]: { readonly [name: string]: number } } = {
  IPv4: {
    EchoReply: 0,
    DestinationUnreachable: 3,
    Redirect: 5,
    Echo: 8,
    EchoRequest: 8,
    RouterAdvertisement: 9,
    RouterSelection: 10,
    TimeExceeded: 11,
    ParameterProblem: 12,
    Timestamp: 13,
    TimestampReply: 14,
    Photuris: 40,
    ExtendedEchoRequest: 42,
    ExtendedEchoReply: 43,
  },
  IPv6: {
    DestinationUnreachable: 1,
    PacketTooBig: 2,
    TimeExceeded: 3,
    ParameterProblem: 4,
    EchoRequest: 128,
    EchoReply: 129,
    MulticastListenerQuery: 130,
    MulticastListenerReport: 131,
    MulticastListenerDone: 132,
    RouterSolicitation: 133,
    RouterAdvertisement: 134,
    NeighborSolicitation: 135,
    NeighborAdvertisement: 136,
    RedirectMessage: 137,
  },
}

/** A type by number or name; undefined is none of the family. */
export function icmpTypeOf(family: 'IPv4' | 'IPv6', type: number | string): number | undefined {
  const number = typeof type === 'number' || /^[0-9]+$/.test(type) ? Number(type) : icmpNames[family]?.[type]
  return number !== undefined && Number.isInteger(number) && number >= 0 && number <= 255 ? number : undefined
}

/** `icmps` of a rule: every code of each named type. */
export function parseIcmps(at: Field): readonly Port[] {
  const out: Port[] = []
  for (const element of elements(at)) {
    fields(element, ['fields'])
    const types = elements(child(element, 'fields'))
    if (types.length > 40)
      problem(child(element, 'fields'), `at most 40 types, not ${types.length}`, 'use several icmps elements')
    for (const f of types) {
      fields(f, ['family', 'type'])
      const family = isAbsent(child(f, 'family')) ? 'IPv4' : textOf(child(f, 'family'))
      if (family !== 'IPv4' && family !== 'IPv6') {
        problem(child(f, 'family'), `'${family}' is not a family`, 'one of: IPv4, IPv6')
        continue
      }
      const typeAt = child(f, 'type')
      const type = typeof typeAt.value === 'string' ? icmpTypeOf(family, typeAt.value) : wholeNumberOf(typeAt, 0, 255)
      // A number that is none has been told already.
      if (type === undefined && typeof typeAt.value === 'number') continue
      if (type === undefined)
        problem(
          typeAt,
          `${JSON.stringify(typeAt.value ?? null)} is not an ${family} ICMP type`,
          'a number from 0 to 255, or a name as EchoRequest',
        )
      else out.push(range(family === 'IPv4' ? 'ICMP' : 'ICMPv6', type << 8, (type << 8) | 255))
    }
  }
  return out
}
