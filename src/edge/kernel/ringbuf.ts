// SPDX-License-Identifier: Apache-2.0
import { MAP_TYPE } from './bpf.ts'
import { mapInfo } from './map.ts'
import { type Mapping, mapMemory, PROT_READ, PROT_WRITE } from './syscall.ts'

const PAGE = 4096
const HEADER = 8
const BUSY = 1 << 31
const DISCARDED = 1 << 30
/** How many records are read before their room is given back to the kernel. */
const RELEASE_EVERY = 4096

/** One record: `length` bytes of `view` from `offset`; only valid during the call. */
export type RecordHandler = (view: DataView, offset: number, length: number) => void

export interface RingBuffer {
  /**
   * Hands over every record that is complete, at most `limit`, and returns how many. Records are read in place. Call
   * it on a timer: programs submit with BPF_RB_NO_WAKEUP, for a wake-up costs 6 µs of the packet path.
   */
  drain(handler: RecordHandler, limit?: number): number
  /** Bytes waiting and size of the buffer; near the size means records are being lost. */
  fill(): { readonly waiting: number; readonly size: number }
  close(): void
}

/** Opens the consumer's side of a BPF ring buffer (kernel: kernel/bpf/ringbuf.c). One consumer at a time. */
export function openRingBuffer(fd: number): RingBuffer {
  const info = mapInfo(fd)
  if (info.type !== MAP_TYPE.RINGBUF) throw new Error(`map ${info.name} is no ring buffer`)
  const size = info.maxEntries
  const mask = size - 1
  const own: Mapping = mapMemory(fd, PAGE, PROT_READ | PROT_WRITE, 0)
  // The data pages are mapped twice in a row, so that a record never wraps.
  const theirs: Mapping = mapMemory(fd, PAGE + 2 * size, PROT_READ, PAGE)
  const consumed = new BigUint64Array(own.bytes, 0, 1)
  const produced = new BigUint64Array(theirs.bytes, 0, 1)
  const headers = new Int32Array(theirs.bytes, PAGE, size >> 1)
  const data = new DataView(theirs.bytes, PAGE, 2 * size)

  return {
    drain(handler, limit = Number.POSITIVE_INFINITY) {
      let position = Number(Atomics.load(consumed, 0))
      const end = Number(Atomics.load(produced, 0))
      let offset = Number(BigInt(position) & BigInt(mask))
      let count = 0
      let unreleased = 0
      try {
        while (position < end && count < limit) {
          const header = Atomics.load(headers, offset >> 2)
          if ((header & BUSY) !== 0) break
          const length = header & ~(BUSY | DISCARDED)
          const whole = (length + HEADER + 7) & ~7
          const start = offset + HEADER
          position += whole
          offset = (offset + whole) & mask
          if ((header & DISCARDED) === 0) {
            count++
            handler(data, start, length)
          }
          if (++unreleased === RELEASE_EVERY) {
            Atomics.store(consumed, 0, BigInt(position))
            unreleased = 0
          }
        }
      } finally {
        Atomics.store(consumed, 0, BigInt(position))
      }
      return count
    },
    fill: () => ({ waiting: Number(Atomics.load(produced, 0) - Atomics.load(consumed, 0)), size }),
    close() {
      own.unmap()
      theirs.unmap()
    },
  }
}
