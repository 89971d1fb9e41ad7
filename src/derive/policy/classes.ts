// SPDX-License-Identifier: Apache-2.0
import type { ClassRow } from '../../model/datapath.ts'

/** Identity to class, for those that are not of class 0. Every ReadonlyMap is one. */
export interface Classes extends Iterable<readonly [identity: number, number: number]> {
  get(identity: number): number | undefined
  readonly size: number
}

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
  for (const at of own) {
    const rows = rowsOf.get(before.parts[at] as Part)
    if (rows) rowsOf.set(parts[at] as Part, rows)
  }
  return new PartedClasses(parts, size)
}

/** Rows made of a part, by table: the next part starts with those that it shares. */
const rowsOf = new WeakMap<Part, Map<number, readonly ClassRow[]>>()

/** The rows of a part in a table. Those that a part before it had too are the same objects in the same places. */
export function classRows(table: number, part: Part): readonly ClassRow[] {
  const known = rowsOf.get(part)
  const before = known?.get(table) ?? []
  const rows: ClassRow[] = []
  const kept = new Set<number>()
  for (const row of before) {
    if (part.get(row.identity) === row.class) {
      rows.push(row)
      kept.add(row.identity)
    }
  }
  if (rows.length === part.size && rows.length === before.length) return before
  for (const [identity, number] of part) if (!kept.has(identity)) rows.push({ table, identity, class: number })
  rowsOf.set(part, new Map(known).set(table, rows))
  return rows
}

/** A part of a table's classes. */
export interface MembersPart {
  readonly table: number
  readonly part: number
  /** Identity to class. */
  readonly members: Part
}

const membersOf = new WeakMap<Part, MembersPart>()

/** The parts of a table's classes; one that stays the same gives the same object. */
export function membersParts(table: number, classes: Classes): readonly MembersPart[] {
  const parts = classes instanceof PartedClasses ? classes.parts : partedClasses(classes).parts
  return parts.map((members, part) => {
    const known = membersOf.get(members)
    if (known?.table === table) return known
    const made = { table, part, members }
    membersOf.set(members, made)
    return made
  })
}
