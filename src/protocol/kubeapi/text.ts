// SPDX-License-Identifier: Apache-2.0

/** Bytes as text, UTF-8; what is malformed becomes U+FFFD. */
export function utf8(bytes: Uint8Array): string {
  let out = ''
  let ascii = 0
  for (let i = 0; i < bytes.length; ) {
    const first = bytes[i]!
    if (first < 0x80) {
      ascii = i
      while (ascii < bytes.length && bytes[ascii]! < 0x80 && ascii - i < 8192) ascii++
      out += String.fromCharCode(...bytes.subarray(i, ascii))
      i = ascii
      continue
    }
    const more = first >= 0xf0 ? 3 : first >= 0xe0 ? 2 : 1
    let point = first & (0x3f >> more)
    let good = first >= 0xc2 && first < 0xf5 && i + more < bytes.length
    for (let k = 1; k <= more && good; k++) {
      const next = bytes[i + k]!
      good = (next & 0xc0) === 0x80
      point = (point << 6) | (next & 0x3f)
    }
    if (good && (point > 0x10ffff || (point >= 0xd800 && point < 0xe000))) good = false
    out += good ? String.fromCodePoint(point) : '\ufffd'
    i += good ? more + 1 : 1
  }
  return out
}

const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/'

/** Base64 with padding, RFC 4648. */
export function base64(bytes: Uint8Array): string {
  let out = ''
  for (let i = 0; i < bytes.length; i += 3) {
    const [a = 0, b = 0, c = 0] = bytes.subarray(i, i + 3)
    out += alphabet[a >> 2]! + alphabet[((a & 3) << 4) | (b >> 4)]!
    out += i + 1 < bytes.length ? alphabet[((b & 15) << 2) | (c >> 6)]! : '='
    out += i + 2 < bytes.length ? alphabet[c & 63]! : '='
  }
  return out
}

/** Text as UTF-8 bytes. */
export function utf8Bytes(text: string): Uint8Array {
  const out: number[] = []
  for (const letter of text) {
    const p = letter.codePointAt(0)!
    if (p < 0x80) out.push(p)
    else if (p < 0x800) out.push(0xc0 | (p >> 6), 0x80 | (p & 63))
    else if (p < 0x10000) out.push(0xe0 | (p >> 12), 0x80 | ((p >> 6) & 63), 0x80 | (p & 63))
    else out.push(0xf0 | (p >> 18), 0x80 | ((p >> 12) & 63), 0x80 | ((p >> 6) & 63), 0x80 | (p & 63))
  }
  return Uint8Array.from(out)
}
