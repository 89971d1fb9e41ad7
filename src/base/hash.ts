// SPDX-License-Identifier: Apache-2.0

/** FNV-1a, 32 bits, over UTF-16 code units: to spread numbers, never to tell contents apart. */
export function hash32(text: string): number {
  let h = 0x811c9dc5
  for (let i = 0; i < text.length; i++) {
    h ^= text.charCodeAt(i)
    h = Math.imul(h, 0x01000193)
  }
  return h >>> 0
}
