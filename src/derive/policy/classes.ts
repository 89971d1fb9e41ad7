// SPDX-License-Identifier: Apache-2.0
import type { Classes } from '../../model/datapath.ts'

export const partCount = 64

export type Part = ReadonlyMap<number, number>

/** A map in parts: one more identity makes one part anew, and the others are those of before. */
export class PartedClasses implements Classes {
  readonly parts: readonly Part[]
  readonly size: number

  constructor(parts: readonly Part[], size: number) {
    this.parts = parts
    this.size = size
  }

  get(identity: number): number | undefined {
    return (this.parts[identity % partCount] as Part).get(identity)
  }

  toJSON(): readonly (readonly [number, number])[] {
    return [...this]
  }

  *[Symbol.iterator](): Iterator<readonly [number, number]> {
    for (const part of this.parts) yield* part
  }
}

export function partedClasses(all: Iterable<readonly [identity: number, number: number]>): PartedClasses {
  const parts = Array.from({ length: partCount }, () => new Map<number, number>())
  let size = 0
  for (const [identity, number] of all) {
    ;(parts[identity % partCount] as Map<number, number>).set(identity, number)
    size++
  }
  return new PartedClasses(parts, size)
}

/** With some identities put elsewhere; undefined: into class 0. */
export function reclassed(
  before: PartedClasses,
  changes: readonly (readonly [identity: number, number: number | undefined])[],
): PartedClasses {
  const parts = [...before.parts]
  const own = new Set<number>()
  let size = before.size
  for (const [identity, number] of changes) {
    const at = identity % partCount
    if (!own.has(at)) {
      own.add(at)
      parts[at] = new Map(parts[at])
    }
    const part = parts[at] as Map<number, number>
    size -= part.size
    if (number === undefined) part.delete(identity)
    else part.set(identity, number)
    size += part.size
  }
  return new PartedClasses(parts, size)
}
