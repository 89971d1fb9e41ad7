// SPDX-License-Identifier: Apache-2.0
import { EventFlags, EventKind, eventLayout } from '../../gen/contract.ts'
import { printAddress } from '../base/ip.ts'
import { dropName, dropText, pointText, protocolText } from './names.ts'

/** One record of the datapath's ring buffer in words. Numbers of endpoints and rules are 0 where there is none. */
export interface FlowEvent {
  readonly kind: 'drop' | 'new' | 'close' | 'socket'
  /** CLOCK_MONOTONIC, nanoseconds. */
  readonly time: number
  /** Drop reason or observation point, as a number and in Cilium's words. */
  readonly reason: number
  readonly text: string
  /** Hubble's name of the drop reason, '' for other kinds. */
  readonly dropReason: string
  readonly direction: 'ingress' | 'egress'
  readonly family: 'IPv4' | 'IPv6'
  readonly reply: boolean
  /** Passes only because policy is audited. */
  readonly audit: boolean
  readonly tunnel: boolean
  readonly fragment: boolean
  /** A living flow that was judged once more after a change of policy. */
  readonly rejudged: boolean
  readonly protocol: string
  readonly tcpFlags: string
  readonly source: FlowEnd
  readonly destination: FlowEnd
  readonly proxyPort: number
  /** Bytes of the IP packet. */
  readonly length: number
  readonly egressRule: number
  readonly ingressRule: number
  /** Rules by which policies that are staged would have decided otherwise; 0: they would not. */
  readonly egressStaged: number
  readonly ingressStaged: number
  readonly interface: number
  /** Of a closed flow: by who opened it, and the replies. */
  readonly packets: readonly number[]
  readonly bytes: readonly number[]
}

export interface FlowEnd {
  readonly address: string
  /** ICMP: identifier at the source, type << 8 | code at the destination. */
  readonly port: number
  readonly identity: number
  readonly endpoint: number
}

const kinds = {
  [EventKind.EVENT_DROP]: 'drop',
  [EventKind.EVENT_NEW]: 'new',
  [EventKind.EVENT_CLOSE]: 'close',
  [EventKind.EVENT_SOCKET]: 'socket',
} as const

const TCP_FLAGS = ['FIN', 'SYN', 'RST', 'PSH', 'ACK', 'URG', 'ECE', 'CWR']
export const tcpFlagsText = (bits: number): string => TCP_FLAGS.filter((_, i) => (bits & (1 << i)) !== 0).join(', ')

/** Undefined for a record this build does not know: too short, or of a new kind. */
export function decodeEvent(view: DataView, offset: number, length: number): FlowEvent | undefined {
  if (length < eventLayout.size) return undefined
  const e = eventLayout.read(view, offset)
  const kind = kinds[e.kind as keyof typeof kinds]
  if (kind === undefined) return undefined
  const has = (flag: number): boolean => (e.flags & flag) !== 0
  return {
    kind,
    time: e.time,
    reason: e.reason,
    text: kind === 'drop' ? dropText(e.reason) : pointText(e.reason),
    dropReason: kind === 'drop' ? dropName(e.reason) : '',
    direction: e.direction === 0 ? 'ingress' : 'egress',
    family: has(EventFlags.EVENT_IPV6) ? 'IPv6' : 'IPv4',
    reply: has(EventFlags.EVENT_REPLY),
    audit: has(EventFlags.EVENT_AUDIT),
    tunnel: has(EventFlags.EVENT_TUNNEL),
    fragment: has(EventFlags.EVENT_FRAGMENT),
    rejudged: has(EventFlags.EVENT_REJUDGED),
    protocol: protocolText(e.protocol),
    tcpFlags: tcpFlagsText(e.tcpFlags),
    source: {
      address: printAddress(e.source),
      port: e.sourcePort,
      identity: e.sourceIdentity,
      endpoint: e.sourceEndpoint,
    },
    destination: {
      address: printAddress(e.destination),
      port: e.destinationPort,
      identity: e.destinationIdentity,
      endpoint: e.destinationEndpoint,
    },
    proxyPort: e.proxyPort,
    length: e.length,
    egressRule: e.egressRule,
    ingressRule: e.ingressRule,
    egressStaged: e.egressStaged,
    ingressStaged: e.ingressStaged,
    interface: e.interface,
    packets: e.packets,
    bytes: e.bytes,
  }
}
