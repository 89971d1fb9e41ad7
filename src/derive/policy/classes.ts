// SPDX-License-Identifier: Apache-2.0
import { type Classes, classPages, classPartOf, classParts } from '../../model/datapath.ts'

type Entry = readonly [identity: number, number: number]

/** Identities, ascending, and the class of each: two words an entry, where a Map takes six. */
class Part {
  readonly identities: readonly number[]
  readonly numbers: readonly number[]

  constructor(identities: readonly number[], numbers: readonly number[]) {
    this.identities = identities
    this.numbers = numbers
  }

  get size(): number {
    return this.identities.length
  }

  get(identity: number): number | undefined {
    const at = this.placeOf(identity)
    return this.identities[at] === identity ? this.numbers[at] : undefined
  }

  /** With one identity put elsewhere; undefined: left out. */
  with(identity: number, number: number | undefined): Part {
    const at = this.placeOf(identity)
    const there = this.identities[at] === identity ? 1 : 0
    const put = number === undefined ? [] : [number]
    if (this.size - there + put.length === 0) return emptyPart
    return new Part(
      this.identities.toSpliced(at, there, ...put.map(() => identity)),
      this.numbers.toSpliced(at, there, ...put),
    )
  }

  /** Of the first that is not below. */
  private placeOf(identity: number): number {
    let low = 0
    let high = this.identities.length
    while (low < high) {
      const middle = (low + high) >> 1
      if ((this.identities[middle] as number) < identity) low = middle + 1
      else high = middle
    }
    return low
  }

  *[Symbol.iterator](): Iterator<Entry> {
    for (let i = 0; i < this.identities.length; i++) yield [this.identities[i] as number, this.numbers[i] as number]
  }
}

const emptyPart = new Part([], [])

function partOf(entries: readonly Entry[]): Part {
  if (entries.length === 0) return emptyPart
  return new Part(
    entries.map(([identity]) => identity),
    entries.map(([, number]) => number),
  )
}

/** What classes take of the kernel's maps: pages, and entries of the hash of those whom only this node knows. */
export interface Room {
  readonly pages: number
  readonly entries: number
}

/** A map in parts: one more identity makes one part anew, and the others are those of before. */
export class PartedClasses implements Classes {
  readonly parts: readonly Part[]
  readonly size: number
  readonly room: Room

  constructor(parts: readonly Part[], size: number, room: Room) {
    this.parts = parts
    this.size = size
    this.room = room
  }

  get(identity: number): number | undefined {
    return (this.parts[classPartOf(identity)] as Part).get(identity)
  }

  toJSON(): readonly Entry[] {
    return [...this]
  }

  *[Symbol.iterator](): Iterator<Entry> {
    for (const part of this.parts) yield* part
  }
}

export function partedClasses(all: Iterable<Entry>): PartedClasses {
  const parts: (Entry[] | undefined)[] = new Array(classParts).fill(undefined)
  let [size, pages, entries] = [0, 0, 0]
  for (const entry of all) {
    const at = classPartOf(entry[0])
    const part = parts[at]
    if (part) part.push(entry)
    else parts[at] = [entry]
    size++
    if (at >= classPages) entries++
    else if (!part) pages++
  }
  return new PartedClasses(
    parts.map((part) => (part ? partOf(part.sort(([a], [b]) => a - b)) : emptyPart)),
    size,
    { pages, entries },
  )
}

/** Of so many changes in one part it is made anew as a whole. */
const many = 8

/** With some identities, each named once, put elsewhere; undefined: into class 0. */
export function reclassed(
  before: PartedClasses,
  changes: readonly (readonly [identity: number, number: number | undefined])[],
): PartedClasses {
  const parts = [...before.parts]
  let size = before.size
  let { pages, entries } = before.room
  const put = (at: number, part: Part): void => {
    const was = (parts[at] as Part).size
    if (at >= classPages) entries += part.size - was
    else pages += Number(part.size > 0) - Number(was > 0)
    size += part.size - was
    parts[at] = part
  }
  if (changes.length <= many)
    for (const [identity, number] of changes) {
      const at = classPartOf(identity)
      put(at, (parts[at] as Part).with(identity, number))
    }
  else {
    const byPart = new Map<number, Map<number, number | undefined>>()
    for (const [identity, number] of changes) {
      const at = classPartOf(identity)
      let changed = byPart.get(at)
      if (!changed) byPart.set(at, (changed = new Map()))
      changed.set(identity, number)
    }
    for (const [at, changed] of byPart) {
      const stayed = [...(parts[at] as Part)].filter(([identity]) => !changed.has(identity))
      const came = [...changed].filter((c): c is [number, number] => c[1] !== undefined)
      put(at, partOf([...stayed, ...came].sort(([a], [b]) => a - b)))
    }
  }
  return new PartedClasses(parts, size, { pages, entries })
}
