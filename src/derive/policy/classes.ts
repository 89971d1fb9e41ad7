// SPDX-License-Identifier: Apache-2.0
import type { Classes } from '../../model/datapath.ts'

export const partCount = 64

type Entry = readonly [identity: number, number: number]

/** Identities, ascending, and the class of each: two words an entry, where a Map takes six. */
class Part {
  readonly identities: readonly number[]
  readonly numbers: readonly number[]

  constructor(entries: readonly Entry[]) {
    this.identities = entries.map(([identity]) => identity)
    this.numbers = entries.map(([, number]) => number)
  }

  get size(): number {
    return this.identities.length
  }

  get(identity: number): number | undefined {
    let low = 0
    let high = this.identities.length - 1
    while (low <= high) {
      const middle = (low + high) >> 1
      const there = this.identities[middle] as number
      if (there === identity) return this.numbers[middle]
      if (there < identity) low = middle + 1
      else high = middle - 1
    }
    return undefined
  }

  *[Symbol.iterator](): Iterator<Entry> {
    for (let i = 0; i < this.identities.length; i++) yield [this.identities[i] as number, this.numbers[i] as number]
  }
}

const emptyPart = new Part([])
const partOf = (entries: readonly Entry[]): Part => (entries.length === 0 ? emptyPart : new Part(entries))

/** A map in parts: one more identity makes one part anew, and the others are those of before. */
export class PartedClasses implements Classes {
  readonly parts: readonly Part[]
  readonly size: number

  constructor(parts: readonly Part[]) {
    this.parts = parts
    this.size = parts.reduce((sum, part) => sum + part.size, 0)
  }

  get(identity: number): number | undefined {
    return (this.parts[identity % partCount] as Part).get(identity)
  }

  toJSON(): readonly Entry[] {
    return [...this]
  }

  *[Symbol.iterator](): Iterator<Entry> {
    for (const part of this.parts) yield* part
  }
}

export function partedClasses(all: Iterable<Entry>): PartedClasses {
  const parts: Entry[][] = Array.from({ length: partCount }, () => [])
  for (const entry of all) parts[entry[0] % partCount]?.push(entry)
  return new PartedClasses(parts.map((entries) => partOf(entries.sort(([a], [b]) => a - b))))
}

/** With some identities put elsewhere; undefined: into class 0. */
export function reclassed(
  before: PartedClasses,
  changes: readonly (readonly [identity: number, number: number | undefined])[],
): PartedClasses {
  const byPart = new Map<number, Map<number, number | undefined>>()
  for (const [identity, number] of changes) {
    const at = identity % partCount
    let changed = byPart.get(at)
    if (!changed) byPart.set(at, (changed = new Map()))
    changed.set(identity, number)
  }
  const parts = [...before.parts]
  for (const [at, changed] of byPart) parts[at] = changedPart(parts[at] as Part, changed)
  return new PartedClasses(parts)
}

function changedPart(part: Part, changed: ReadonlyMap<number, number | undefined>): Part {
  const put = [...changed].filter((c): c is [number, number] => c[1] !== undefined).sort(([a], [b]) => a - b)
  const out: Entry[] = []
  let next = 0
  for (const entry of part) {
    for (let first = put[next]; first && first[0] < entry[0]; first = put[++next]) out.push(first)
    if (!changed.has(entry[0])) out.push(entry)
  }
  return partOf([...out, ...put.slice(next)])
}
