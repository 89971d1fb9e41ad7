// SPDX-License-Identifier: Apache-2.0

/**
 * Equality of plain data: primitives, arrays, objects, byte arrays, Map and Set (whose members are compared as Map and
 * Set do, by identity for objects). A field that is `undefined` equals one that is absent.
 */
export function equal(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (Array.isArray(a)) return Array.isArray(b) && equalArrays(a, b)
  if (ArrayBuffer.isView(a)) return ArrayBuffer.isView(b) && equalViews(a, b)
  if (a instanceof Map) return b instanceof Map && equalMaps(a, b)
  if (a instanceof Set) return b instanceof Set && a.size === b.size && [...a].every((member) => b.has(member))
  return Object.getPrototypeOf(a) === Object.getPrototypeOf(b) && equalObjects(a as Fields, b as Fields)
}

interface Fields {
  readonly [name: string]: unknown
}

function equalObjects(a: Fields, b: Fields): boolean {
  let fields = 0
  for (const name in a) {
    const value = a[name]
    if (value === undefined) continue
    fields++
    if (!equal(value, b[name])) return false
  }
  for (const name in b) if (b[name] !== undefined) fields--
  return fields === 0
}

function equalArrays(a: readonly unknown[], b: readonly unknown[]): boolean {
  if (a.length !== b.length) return false
  for (let i = 0; i < a.length; i++) if (!equal(a[i], b[i])) return false
  return true
}

function equalViews(a: ArrayBufferView, b: ArrayBufferView): boolean {
  if (a.byteLength !== b.byteLength) return false
  const left = new Uint8Array(a.buffer, a.byteOffset, a.byteLength)
  const right = new Uint8Array(b.buffer, b.byteOffset, b.byteLength)
  for (let i = 0; i < left.length; i++) if (left[i] !== right[i]) return false
  return true
}

function equalMaps(a: ReadonlyMap<unknown, unknown>, b: ReadonlyMap<unknown, unknown>): boolean {
  if (a.size !== b.size) return false
  for (const [key, value] of a) if (!b.has(key) || !equal(value, b.get(key))) return false
  return true
}
