// SPDX-License-Identifier: Apache-2.0

/** What a target holds under one key, as far as is known. */
export interface There<Row> {
  readonly row: Row
  /** False while an operation is under way and after one failed: then any of `maybe` may be there instead. */
  readonly sure: boolean
  readonly maybe: readonly Row[]
  /** Of the write; of the load for what was found. */
  readonly revision: number
}

/** Names rows of an earlier table that a row refers to. */
export type References<Row> = (row: Row) => readonly string[]

/** The content of a target, and which rows of earlier tables it refers to. */
export interface Outside<Row> {
  get(key: string): There<Row> | undefined
  keys(): Iterable<string>
  size(): number
  /** All that was found by loading. */
  reset(rows: readonly (readonly [string, Row])[], revision: number): void
  /** A write has been handed out: what was there may still be, what is written may be already. */
  departed(key: string, row: Row): void
  written(key: string, row: Row, revision: number): void
  removed(key: string): void
  /** An operation failed. */
  doubted(key: string, row: Row): void
  /** Whether a row that is or may be outside refers to the key, by the reference of that number. */
  refers(reference: number, key: string): boolean
}

export function openOutside<Row>(references: readonly References<Row>[]): Outside<Row> {
  const rows = new Map<string, There<Row>>()
  const counts = references.map(() => new Map<string, number>())

  const count = (there: There<Row> | undefined, by: 1 | -1): void => {
    if (!there || references.length === 0) return
    for (const row of [there.row, ...there.maybe]) {
      for (const [i, referencesOf] of references.entries()) {
        const counted = counts[i] as Map<string, number>
        for (const key of referencesOf(row)) {
          const sum = (counted.get(key) ?? 0) + by
          if (sum === 0) counted.delete(key)
          else counted.set(key, sum)
        }
      }
    }
  }
  const set = (key: string, there: There<Row> | undefined): void => {
    count(rows.get(key), -1)
    count(there, 1)
    if (there) rows.set(key, there)
    else rows.delete(key)
  }

  return {
    get: (key) => rows.get(key),
    keys: () => rows.keys(),
    size: () => rows.size,
    reset(found, revision) {
      rows.clear()
      for (const counted of counts) counted.clear()
      for (const [key, row] of found) set(key, { row, sure: true, maybe: [], revision })
    },
    departed(key, row) {
      const before = rows.get(key)
      set(key, { row, sure: false, maybe: before ? [...before.maybe, before.row] : [], revision: -1 })
    },
    written: (key, row, revision) => set(key, { row, sure: true, maybe: [], revision }),
    removed: (key) => set(key, undefined),
    doubted: (key, row) =>
      set(key, { row, sure: false, maybe: distinct(rows.get(key)?.maybe ?? [], row), revision: -1 }),
    refers: (reference, key) => counts[reference]?.has(key) ?? false,
  }
}

/** Repeated failures of the same row leave one doubt, not one each. */
const distinct = <Row>(maybe: readonly Row[], row: Row): readonly Row[] => [...new Set(maybe)].filter((r) => r !== row)
