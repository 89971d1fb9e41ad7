// SPDX-License-Identifier: Apache-2.0
import { hash32 } from '../base/hash.ts'

/** The first number from `start` on that is not taken, going round once; undefined when all are. */
export function nextFree(
  first: number,
  last: number,
  start: number,
  taken: (number: number) => boolean,
): number | undefined {
  const size = last - first + 1
  const offset = Math.max(0, start - first) % size
  for (let i = 0; i < size; i++) {
    const n = first + ((offset + i) % size)
    if (!taken(n)) return n
  }
  return undefined
}

/**
 * Numbers for keys: whoever holds one keeps it, others get theirs by hash, so that after a restart without memory most
 * get the same again. Keys that find none are left out.
 */
export function numbersByHash(
  keys: Iterable<string>,
  held: ReadonlyMap<string, number>,
  first: number,
  last: number,
  taken: (number: number) => boolean = () => false,
): ReadonlyMap<string, number> {
  const out = new Map<string, number>()
  const fresh: string[] = []
  for (const key of keys) {
    const number = held.get(key)
    if (number === undefined) fresh.push(key)
    else out.set(key, number)
  }
  const used = new Set(out.values())
  // Those of keys that are missing now are given away last: after a restart the keys may only be late.
  const resting = new Set(held.values())
  for (const key of fresh) {
    const start = first + (hash32(key) % (last - first + 1))
    const number =
      nextFree(first, last, start, (n) => used.has(n) || resting.has(n) || taken(n)) ??
      nextFree(first, last, start, (n) => used.has(n) || taken(n))
    if (number === undefined) continue
    used.add(number)
    out.set(key, number)
  }
  return out
}

/** A run of an array that is in use. */
export interface Range {
  readonly first: number
  readonly count: number
}

/** A free run of `count` in 0 to `size` - 1, searched from `start` on, then from the beginning. */
export function freeRange(used: readonly Range[], count: number, size: number, start: number): number | undefined {
  const sorted = [...used].sort((a, b) => a.first - b.first)
  const search = (from: number): number | undefined => {
    let at = from
    for (const r of sorted) {
      if (r.first + r.count <= at) continue
      if (r.first - at >= count) return at
      at = Math.max(at, r.first + r.count)
    }
    return at + count <= size ? at : undefined
  }
  return search(start) ?? search(0)
}
