// SPDX-License-Identifier: Apache-2.0
import { concatBytes } from '../../base/bytes.ts'

/** Messages of a TCP stream: each behind two octets of length (RFC 1035 4.2.2), as many as come (RFC 7766 6.2.1.1). */
export interface MessageStream {
  /** Takes what came and returns the messages that are whole now. */
  take(bytes: Uint8Array): readonly Uint8Array[]
  /** What has come of a message that is not whole. */
  readonly pending: Uint8Array
}

export function messageStream(): MessageStream {
  let rest: Uint8Array = new Uint8Array()
  return {
    take(bytes) {
      rest = rest.length === 0 ? bytes : concatBytes([rest, bytes])
      const found: Uint8Array[] = []
      let at = 0
      while (rest.length - at >= 2) {
        const length = ((rest[at] as number) << 8) | (rest[at + 1] as number)
        if (rest.length - at - 2 < length) break
        found.push(new Uint8Array(rest.subarray(at + 2, at + 2 + length)))
        at += 2 + length
      }
      rest = new Uint8Array(rest.subarray(at))
      return found
    },
    get pending() {
      return rest
    },
  }
}

/** A message as it goes into a stream. */
export function framed(message: Uint8Array): Uint8Array {
  const out = new Uint8Array(message.length + 2)
  out[0] = message.length >> 8
  out[1] = message.length & 0xff
  out.set(message, 2)
  return out
}
