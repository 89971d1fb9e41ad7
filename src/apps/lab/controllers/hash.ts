// SPDX-License-Identifier: Apache-2.0
import { isMap } from '../../../protocol/kubeapi/object.ts'

const letters = 'bcdfghjklmnpqrstvwxz2456789'

/** A short name for a template's content, of the characters Kubernetes uses in generated names (FNV-1a, 32 bits). */
export const contentHash = (value: unknown, salt = 0): string => {
  let hash = 0x811c9dc5
  for (const char of `${canonical(value)}#${salt}`) {
    hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193) >>> 0
  }
  return String(hash)
    .split('')
    .map((digit) => letters[(digit.charCodeAt(0) * 7 + 5) % letters.length])
    .join('')
}

const canonical = (value: unknown): string => {
  if (Array.isArray(value)) return `[${value.map(canonical).join(',')}]`
  if (!isMap(value)) return JSON.stringify(value) ?? 'null'
  const keys = Object.keys(value).filter((k) => value[k] !== undefined)
  return `{${keys
    .sort()
    .map((k) => `${JSON.stringify(k)}:${canonical(value[k])}`)
    .join(',')}}`
}
