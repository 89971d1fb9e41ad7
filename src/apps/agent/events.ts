// SPDX-License-Identifier: Apache-2.0

import type { Scope } from '../../base/scope.ts'
import type { LoadedObject } from '../../edge/kernel/object.ts'
import { openRingBuffer, type RecordHandler } from '../../edge/kernel/ringbuf.ts'
import { type ClosedFlows, closedFlows } from '../../flow/closed.ts'
import { type EventCounter, eventCounter } from '../../flow/count.ts'

/** Reads the datapath's events, time and again: counts every one, and remembers what others ask for later. */
export interface EventReader {
  readonly counter: EventCounter
  readonly closed: ClosedFlows
  /** Reads at once what waits. */
  read(): void
  /** Hands every record to a listener, from now on and soon after it was written; undefined: to nobody. */
  listen(listener: RecordHandler | undefined): void
  /** Bytes that wait in the ring buffer and its size. */
  fill(): { readonly waiting: number; readonly size: number }
}

/** Between two looks, ms: short while somebody listens or much happens, long when all is quiet. */
const QUICK = 20
const SLOW = 200
/** Records of one look, so that other work is not kept waiting. */
const AT_ONCE = 50_000

export function readEvents(maps: LoadedObject, scope: Scope): EventReader {
  const ring = openRingBuffer(maps.map('cilium_events'))
  const counter = eventCounter()
  const closed = closedFlows()
  let listener: RecordHandler | undefined
  let timer: NodeJS.Timeout | undefined
  let open = true

  const take: RecordHandler = (view, offset, length) => {
    counter.count(view, offset, length)
    closed.take(view, offset, length)
    listener?.(view, offset, length)
  }
  const look = () => {
    const { waiting, size } = ring.fill()
    const count = waiting === 0 ? 0 : ring.drain(take, AT_ONCE)
    const hurry = listener !== undefined || waiting > size / 16
    timer = setTimeout(look, count === AT_ONCE ? 0 : hurry ? QUICK : SLOW)
  }
  look()
  scope.onClose(() => {
    open = false
    clearTimeout(timer)
    ring.close()
  })

  return {
    counter,
    closed,
    // The proxy may have last words.
    read: () => void (open && ring.drain(take, AT_ONCE)),
    listen(next) {
      listener = next
      clearTimeout(timer)
      if (open) look()
    },
    fill: () => ring.fill(),
  }
}
