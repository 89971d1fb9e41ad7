// SPDX-License-Identifier: Apache-2.0
import { eventLayout } from '../../gen/contract.ts'

/** Counts records in place, without making an object of any: what every record costs even when nobody looks. */
export interface EventCounter {
  count(view: DataView, offset: number, length: number): void
  /** Records by kind, drop code (or observation point) and direction; only those that are not zero. */
  totals(): readonly EventTotal[]
  /** Records that are too short to be one. */
  readonly strange: number
}

export interface EventTotal {
  readonly kind: number
  readonly reason: number
  /** 0 ingress, 1 egress. */
  readonly direction: number
  readonly events: number
  /** Of the packets that made the records. */
  readonly bytes: number
}

const KINDS = 8
const { kind: KIND, reason: REASON, direction: DIRECTION, length: LENGTH } = eventLayout.at

export function eventCounter(): EventCounter {
  const events = new Float64Array(KINDS * 512)
  const bytes = new Float64Array(KINDS * 512)
  let strange = 0
  return {
    count(view, offset, length) {
      if (length < eventLayout.size) {
        strange++
        return
      }
      const cell =
        ((view.getUint8(offset + KIND) & (KINDS - 1)) << 9) |
        (view.getUint8(offset + REASON) << 1) |
        (view.getUint8(offset + DIRECTION) & 1)
      events[cell]!++
      bytes[cell]! += view.getUint32(offset + LENGTH, true)
    },
    totals() {
      const totals: EventTotal[] = []
      for (let cell = 0; cell < events.length; cell++)
        if (events[cell]! > 0)
          totals.push({
            kind: cell >> 9,
            reason: (cell >> 1) & 255,
            direction: cell & 1,
            events: events[cell]!,
            bytes: bytes[cell]!,
          })
      return totals
    },
    get strange() {
      return strange
    },
  }
}
