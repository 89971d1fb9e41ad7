// SPDX-License-Identifier: Apache-2.0
import { maps } from '../../../gen/contract.ts'
import type { Classes, ClassesRow } from '../../model/datapath.ts'
import type { Table } from '../../table/definition.ts'
import type { Outcome, Target } from '../../table/target.ts'
import { contractMap, type EntryError } from './map.ts'
import { outcomeOf, type TargetOptions } from './target.ts'

type Key = { readonly table: number; readonly identity: number }

/**
 * cilium_policy_classes: a row is all entries of one decision table. What was written is remembered, and of parts that
 * are the same objects as then nothing is looked at: one more identity costs one entry.
 */
export function classesTarget(table: Table<ClassesRow>, fd: number, options: TargetOptions = {}): Target<ClassesRow> {
  const map = contractMap(maps.cilium_policy_classes, fd)
  /** What the map holds, by table. */
  const held = new Map<number, Classes>()

  function exchange(rows: readonly ClassesRow[]): readonly Outcome[] {
    const gone: Key[] = []
    const put: (readonly [Key, number])[] = []
    const changes = rows.map((row) => {
      const from = { gone: gone.length, put: put.length }
      differ(row.table, held.get(row.table) ?? none, row.classes, gone, put)
      return { row, from, to: { gone: gone.length, put: put.length } }
    })
    // Who leaves falls back to class 0, which opens nothing, and makes room.
    const notGone = map.removeAll(gone)
    const notPut = map.putAll(put)
    const outcomes = changes.map(({ row, from, to }) => {
      const error = first(notGone, from.gone, to.gone) ?? first(notPut, from.put, to.put)
      if (!error) {
        if (row.classes.size > 0) held.set(row.table, row.classes)
        else held.delete(row.table)
        return outcomeOf(undefined, map)
      }
      const there = new Map(held.get(row.table) ?? none)
      for (let i = from.gone; i < to.gone; i++) if (!notGone[i]) there.delete((gone[i] as Key).identity)
      for (let i = from.put; i < to.put; i++) {
        const [key, number] = put[i] as readonly [Key, number]
        if (!notPut[i]) there.set(key.identity, number)
      }
      held.set(row.table, there)
      return outcomeOf(error, map)
    })
    if (notGone.includes(undefined) || notPut.includes(undefined)) options.changed?.()
    return outcomes
  }

  return {
    name: map.name,
    key: table.key,
    load() {
      const found = new Map<number, Map<number, number>>()
      for (const [key, number] of map.entries()) {
        let classes = found.get(key.table)
        if (!classes) found.set(key.table, (classes = new Map()))
        classes.set(key.identity, number)
      }
      held.clear()
      for (const [number, classes] of found) held.set(number, classes)
      return [...found].map(([table, classes]) => ({ table, classes }))
    },
    equal: (there, wanted) => sameClasses(there.classes, wanted.classes),
    write: exchange,
    remove: (rows) => exchange(rows.map(({ table }) => ({ table, classes: none }))),
  }
}

const none: ReadonlyMap<number, number> = new Map()

const first = (errors: readonly EntryError[], from: number, to: number): EntryError => {
  for (let i = from; i < to; i++) if (errors[i]) return errors[i]
  return undefined
}

/** What is to be removed and put to make the one the other. */
function differ(table: number, there: Classes, wanted: Classes, gone: Key[], put: (readonly [Key, number])[]): void {
  const compare = (before: Classes, after: Classes): void => {
    for (const [identity] of before) if (after.get(identity) === undefined) gone.push({ table, identity })
    for (const [identity, number] of after) if (before.get(identity) !== number) put.push([{ table, identity }, number])
  }
  if (there === wanted) return
  const [before, after] = [there.parts ?? [there], wanted.parts ?? [wanted]]
  if (before.length !== after.length) compare(there, wanted)
  else for (const [i, part] of after.entries()) if (before[i] !== part) compare(before[i] as Classes, part)
}

function sameClasses(a: Classes, b: Classes): boolean {
  if (a === b) return true
  if (a.size !== b.size) return false
  for (const [identity, number] of a) if (b.get(identity) !== number) return false
  return true
}
