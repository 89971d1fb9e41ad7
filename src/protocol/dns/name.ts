// SPDX-License-Identifier: Apache-2.0
import { fail, ok, type Result } from '../../base/result.ts'

/** Octets of a name with its length octets and the root (RFC 1035 3.1). */
const longestName = 255
const dot = 0x2e
const backslash = 0x5c

export interface ReadName {
  /** As zone files write it (RFC 1035 5.1): case as it came, odd octets escaped, the root as ''. */
  readonly text: string
  /** Offset of what follows the name. */
  readonly end: number
}

/** The name at `from`. Pointers may only lead to before the labels that hold them, so there is no circle. */
export function readName(bytes: Uint8Array, from: number): Result<ReadName, string> {
  let at = from
  let end = -1
  let before = from
  let octets = 1
  let text = ''
  for (;;) {
    const length = bytes[at]
    if (length === undefined) return fail('a name runs past the end')
    if (length === 0) return ok({ text, end: end < 0 ? at + 1 : end })
    if (length >= 0xc0) {
      const low = bytes[at + 1]
      if (low === undefined) return fail('a name runs past the end')
      const to = ((length & 0x3f) << 8) | low
      if (to >= before) return fail('a name points forwards')
      if (to < 12) return fail('a name points into the header')
      if (end < 0) end = at + 2
      at = before = to
      continue
    }
    if (length >= 0x40) return fail('a label of an unknown kind')
    octets += length + 1
    if (octets > longestName) return fail('a name is too long')
    if (at + 1 + length > bytes.length) return fail('a name runs past the end')
    if (text !== '') text += '.'
    for (let i = at + 1; i <= at + length; i++) text += printed(bytes[i] as number)
    at += length + 1
  }
}

function printed(octet: number): string {
  if (octet === dot || octet === backslash) return `\\${String.fromCharCode(octet)}`
  if (octet > 0x20 && octet < 0x7f) return String.fromCharCode(octet)
  return `\\${String(octet).padStart(3, '0')}`
}

/** Names that differ in the case of letters are the same name (RFC 4343). */
export const sameName = (a: string, b: string): boolean =>
  a.length === b.length && (a === b || a.toLowerCase() === b.toLowerCase())
