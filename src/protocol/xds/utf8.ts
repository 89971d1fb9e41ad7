// SPDX-License-Identifier: Apache-2.0

/** Text as UTF-8; a lone surrogate becomes U+FFFD. */
export function utf8Bytes(text: string): Uint8Array {
  const plain = new Uint8Array(text.length)
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code > 0x7f) return escapedBytes(text)
    plain[i] = code
  }
  return plain
}

function escapedBytes(text: string): Uint8Array {
  const escaped = encodeURIComponent(text.toWellFormed())
  const out: number[] = []
  for (let i = 0; i < escaped.length; i++) {
    if (escaped[i] === '%') {
      out.push(Number.parseInt(escaped.slice(i + 1, i + 3), 16))
      i += 2
    } else out.push(escaped.charCodeAt(i))
  }
  return Uint8Array.from(out)
}

/** UTF-8 as text; bytes that are none are taken as Latin-1, one by one. */
export function utf8Text(bytes: Uint8Array): string {
  let raw = ''
  let all = 0
  for (let i = 0; i < bytes.length; i++) {
    const byte = bytes[i] as number
    all |= byte
    raw += String.fromCharCode(byte)
  }
  if (all <= 0x7f) return raw
  try {
    return decodeURIComponent(
      raw.replace(/[%\u0080-\u00ff]/g, (c) => `%${c.charCodeAt(0).toString(16).padStart(2, '0')}`),
    )
  } catch {
    return raw
  }
}
