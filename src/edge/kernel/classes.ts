// SPDX-License-Identifier: Apache-2.0
import { maps } from '../../../gen/contract.ts'
import { type Classes, type ClassesRow, classPages, classPartOf, classParts } from '../../model/datapath.ts'
import type { Table } from '../../table/definition.ts'
import type { Outcome, Target } from '../../table/target.ts'
import { openClassPages, type PageOf } from './class-pages.ts'
import { contractMap, type EntryError } from './map.ts'
import { outcomeOf, type TargetOptions } from './target.ts'

type Key = { readonly table: number; readonly identity: number }

/** What gives a map's descriptor. */
export type MapByName = (name: string) => number

const openClasses = (map: MapByName) => ({
  pages: openClassPages(map(maps.cilium_class_index.name), map(maps.cilium_class_pages.name)),
  others: contractMap(maps.cilium_policy_classes, map(maps.cilium_policy_classes.name)),
})

function read({ pages, others }: ReturnType<typeof openClasses>): Map<number, Map<number, number>> {
  const found = pages.read()
  for (const [{ table, identity }, number] of others.entries()) {
    let classes = found.get(table)
    if (!classes) found.set(table, (classes = new Map()))
    classes.set(identity, number)
  }
  return found
}

/** Who is in which class of each decision table that the kernel has: identity to class. */
export const kernelClasses = (map: MapByName): ReadonlyMap<number, ReadonlyMap<number, number>> =>
  read(openClasses(map))

/**
 * The maps of classes: a row is those of one decision table. What was written is remembered, and of parts that are the
 * same objects as then nothing is looked at: one more identity costs one page, or one entry of the hash.
 */
export function classesTarget(
  table: Table<ClassesRow>,
  map: MapByName,
  options: TargetOptions = {},
): Target<ClassesRow> {
  const open = openClasses(map)
  const { pages, others } = open
  /** What the maps hold, by table, in parts. */
  const held = new Map<number, readonly Classes[]>()

  function exchange(rows: readonly ClassesRow[]): readonly Outcome[] {
    const changes = rows.map(({ table, classes }) => changeOf(table, held.get(table) ?? empty, partsOf(classes)))
    const error: Outcome[] = rows.map(() => outcomeOf(undefined, others))
    let done = 0

    // Who leaves falls back to class 0, which opens nothing, and makes room.
    for (const [i, c] of changes.entries()) {
      const emptied = c.places.filter((place) => (c.wanted[place] as Classes).size === 0)
      const failed = pages.leave(c.table, emptied)
      if (failed) error[i] = outcomeOf(failed, pages.pages)
      else for (const place of emptied) c.now[place] = none
      if (!failed) done += emptied.length
    }
    const gone = changes.flatMap((c, i) => c.gone.map((key) => ({ c, i, key })))
    for (const [at, failed] of others.removeAll(gone.map((g) => g.key)).entries()) settle(gone[at] as Entry, 0, failed)

    for (const [i, c] of changes.entries()) {
      const filled = c.places.flatMap((place): PageOf[] => {
        const classes = c.wanted[place] as Classes
        return classes.size > 0 ? [[place, classes]] : []
      })
      if (filled.length === 0) continue
      const failed = pages.fill(c.table, filled)
      if (failed) error[i] = outcomeOf(failed, pages.pages)
      else for (const [place, classes] of filled) c.now[place] = classes
      if (!failed) done += filled.length
    }
    const put = changes.flatMap((c, i) => c.put.map(([key, number]) => ({ c, i, key, number })))
    const notPut = others.putRows(put, ({ key, number }) => [key, number])
    for (const [at, failed] of notPut.entries()) settle(put[at] as Entry, put[at]?.number ?? 0, failed)

    for (const [i, c] of changes.entries()) {
      // What is as it was wanted is that object, so that it is not looked at again.
      const now = error[i]?.ok ? c.wanted : c.now
      if (now.some((part) => part.size > 0)) held.set(c.table, now)
      else held.delete(c.table)
    }
    if (done > 0) options.changed?.()
    return error

    function settle({ c, i, key: { identity } }: Entry, number: number, failed: EntryError): void {
      if (failed) {
        error[i] = outcomeOf(failed, others)
        return
      }
      done++
      const place = classPartOf(identity)
      const there = c.now[place]
      const part = there instanceof Own ? there : new Own(there)
      if (number === 0) part.delete(identity)
      else part.set(identity, number)
      c.now[place] = part
    }
  }

  return {
    name: others.name,
    key: table.key,
    load() {
      const found = read(open)
      held.clear()
      for (const [number, classes] of found) held.set(number, partsOf(classes))
      return [...found].map(([table, classes]) => ({ table, classes }))
    },
    equal: (there, wanted) => sameClasses(there.classes, wanted.classes),
    write: exchange,
    remove: (rows) => exchange(rows.map(({ table }) => ({ table, classes: none }))),
  }
}

/** A part as it is after some of its entries were written. */
class Own extends Map<number, number> {}

interface Entry {
  readonly c: Change
  readonly i: number
  readonly key: Key
}

/** What becomes of one table. */
interface Change {
  readonly table: number
  readonly wanted: readonly Classes[]
  /** Pages that are another. */
  readonly places: readonly number[]
  readonly gone: readonly Key[]
  readonly put: readonly (readonly [Key, number])[]
  /** What the kernel has. */
  readonly now: Classes[]
}

function changeOf(table: number, there: readonly Classes[], wanted: readonly Classes[]): Change {
  const places: number[] = []
  const gone: Key[] = []
  const put: (readonly [Key, number])[] = []
  for (let at = 0; at < classParts; at++) {
    const [before, after] = [there[at] as Classes, wanted[at] as Classes]
    if (before === after) continue
    if (at < classPages) {
      if (!sameClasses(before, after)) places.push(at)
      continue
    }
    for (const [identity] of before) if (after.get(identity) === undefined) gone.push({ table, identity })
    for (const [identity, number] of after) if (before.get(identity) !== number) put.push([{ table, identity }, number])
  }
  return { table, wanted, places, gone, put, now: [...there] }
}

const none: ReadonlyMap<number, number> = new Map()
const empty: readonly Classes[] = new Array(classParts).fill(none)

function partsOf(classes: Classes): readonly Classes[] {
  if (classes.parts) return classes.parts
  const parts: (Map<number, number> | undefined)[] = new Array(classParts).fill(undefined)
  for (const [identity, number] of classes) (parts[classPartOf(identity)] ??= new Map()).set(identity, number)
  return parts.map((part) => part ?? none)
}

function sameClasses(a: Classes, b: Classes): boolean {
  if (a === b) return true
  if (a.size !== b.size) return false
  for (const [identity, number] of a) if (b.get(identity) !== number) return false
  return true
}
