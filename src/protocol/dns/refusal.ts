// SPDX-License-Identifier: Apache-2.0
import { HEADER_BYTES, type Message, rcode as rcodes, readHeader, recordType } from './message.ts'

/** Largest UDP message we say to take: what passes everywhere unfragmented. */
const UDP_BYTES = 1232
const OPT_BYTES = 11

/**
 * An answer without records: the question as it was spelled, the same id, EDNS if it was asked with EDNS. `query` is the
 * bytes that `message` was read from.
 */
export function answerWithout(query: Uint8Array, message: Message, rcode: number): Uint8Array {
  const { questionEnd, edns } = message
  const out = new Uint8Array(questionEnd + (edns ? OPT_BYTES : 0))
  out.set(query.subarray(0, questionEnd))
  writeFlags(out, query, rcode)
  out.fill(0, 6, HEADER_BYTES)
  if (edns) {
    out[11] = 1
    out[questionEnd + 2] = recordType.OPT
    out[questionEnd + 3] = UDP_BYTES >> 8
    out[questionEnd + 4] = UDP_BYTES & 0xff
    out[questionEnd + 5] = rcode >> 4
    if (edns.dnssecOk) out[questionEnd + 7] = 0x80
  }
  return out
}

/** The answer to a query that can not be read: a header alone, or nothing if not even that is there, or it is no query. */
export function formatError(query: Uint8Array, rcode: number = rcodes.FORMERR): Uint8Array | undefined {
  const header = readHeader(query)
  if (!header || header.response) return undefined
  const out = new Uint8Array(HEADER_BYTES)
  out.set(query.subarray(0, 4))
  writeFlags(out, query, rcode)
  return out
}

/** The id alone changes: everything else passes as it came. */
export function withId(message: Uint8Array, id: number): Uint8Array {
  const out = new Uint8Array(message) // not slice: a Buffer's would be the same bytes
  out[0] = id >> 8
  out[1] = id & 0xff
  return out
}

/** A response to this: opcode and 'recursion desired' as asked, 'recursion available', checking disabled as asked. */
function writeFlags(out: Uint8Array, query: Uint8Array, rcode: number): void {
  out[2] = 0x80 | ((query[2] as number) & 0x79)
  out[3] = 0x80 | ((query[3] as number) & 0x10) | (rcode & 15)
}
