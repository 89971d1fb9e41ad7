// SPDX-License-Identifier: Apache-2.0
import { EventKind, eventLayout } from '../../gen/contract.ts'
import type { Address } from '../base/ip.ts'

/** Who the ends of connections were that the proxy had and that are over: their flows are gone, its words come later. */
export interface ClosedFlows {
  /** Looks at a record of the ring buffer, and remembers what it tells of a connection's end. */
  take(view: DataView, offset: number, length: number): void
  /** Identity of an end of the last connection between two, `protocol` by its number; 0 where none is remembered. */
  identityOf(end: FlowPlace, other: FlowPlace, protocol: number): number
}

export interface FlowPlace {
  readonly address: Address
  readonly port: number
}

/** Connections that are remembered, the last ones: a proxy under load ends as many in some seconds, and tells sooner. */
const REMEMBERED = 16_384

const at = eventLayout.at
const ADDRESS_BYTES = 16

export function closedFlows(limit = REMEMBERED): ClosedFlows {
  /** By both ends, the smaller one first, as are their identities. */
  const closed = new Map<string, readonly [number, number]>()

  return {
    take(view, offset, length) {
      if (length < eventLayout.size || view.getUint8(offset + at.kind) !== EventKind.EVENT_CLOSE) return
      if (view.getUint16(offset + at.proxyPort, true) === 0) return
      const endAt = (address: number, port: number): string =>
        textOf(
          new Uint8Array(view.buffer, view.byteOffset + offset + address, ADDRESS_BYTES),
          view.getUint16(offset + port, true),
        )
      const source = endAt(at.source, at.sourcePort)
      const destination = endAt(at.destination, at.destinationPort)
      const [from, to] = [
        view.getUint32(offset + at.sourceIdentity, true),
        view.getUint32(offset + at.destinationIdentity, true),
      ]
      const key = keyOf(source, destination, view.getUint8(offset + at.protocol))
      closed.delete(key)
      closed.set(key, source < destination ? [from, to] : [to, from])
      if (closed.size <= limit) return
      for (const oldest of closed.keys()) {
        closed.delete(oldest)
        return
      }
    },
    identityOf(end, other, protocol) {
      const [own, far] = [textOf(end.address, end.port), textOf(other.address, other.port)]
      return closed.get(keyOf(own, far, protocol))?.[own < far ? 0 : 1] ?? 0
    },
  }
}

const textOf = (address: Uint8Array, port: number): string => String.fromCharCode(...address, port)
const keyOf = (one: string, other: string, protocol: number): string =>
  (one < other ? one + other : other + one) + String.fromCharCode(protocol)
