// SPDX-License-Identifier: Apache-2.0

/** Whoever may change a structure in place; anyone else copies it first. */
export type Owner = object

/**
 * Rows by key that can also be listed in key order. The list is made when asked for, from the last list and the keys
 * touched since, and is never changed once handed out.
 */
export interface Ordered<Row> {
  readonly owner: Owner
  readonly byKey: Map<string, Row>
  keys: readonly string[]
  list: readonly Row[]
  /** Keys whose place in `list` is out of date; `all` where there are many, as before the first listing. */
  stale: Set<string> | 'all' | undefined
}

const nothing: readonly never[] = []

export const emptyOrdered = <Row>(owner: Owner): Ordered<Row> => ({
  owner,
  byKey: new Map(),
  keys: nothing,
  list: nothing,
  stale: 'all',
})

/** The same rows for another owner; costs a copy of the map. */
export const copyOrdered = <Row>(from: Ordered<Row>, owner: Owner): Ordered<Row> => ({
  owner,
  byKey: new Map(from.byKey),
  keys: from.keys,
  list: from.list,
  stale: from.stale instanceof Set ? new Set(from.stale) : from.stale,
})

export function setOrdered<Row>(rows: Ordered<Row>, key: string, row: Row | undefined): void {
  if (row === undefined) rows.byKey.delete(key)
  else rows.byKey.set(key, row)
  if (rows.stale === 'all') return
  const stale = rows.stale ?? new Set<string>()
  rows.stale = stale.add(key)
  if (isMuch(stale, rows)) rows.stale = 'all'
}

/** Whether to sort anew costs less than to move each. */
const isMuch = (stale: ReadonlySet<string>, rows: Ordered<unknown>): boolean => stale.size * 16 > rows.byKey.size

/** All rows in the order of their keys' UTF-16 code units: the same on every machine. */
export function listOrdered<Row>(rows: Ordered<Row>): readonly Row[] {
  const { stale } = rows
  if (!stale) return rows.list
  if (stale === 'all' || isMuch(stale, rows)) {
    const keys = [...rows.byKey.keys()].sort()
    rows.keys = keys
    rows.list = keys.map((key) => rows.byKey.get(key) as Row)
  } else {
    patch(rows, stale)
  }
  rows.stale = undefined
  return rows.list
}

function patch<Row>(rows: Ordered<Row>, stale: ReadonlySet<string>): void {
  const keys = rows.keys.slice()
  const list = rows.list.slice()
  for (const key of stale) {
    const at = lowerBound(keys, key)
    const listed = keys[at] === key
    const row = rows.byKey.get(key)
    if (row !== undefined && listed) list[at] = row
    else if (row !== undefined) {
      keys.splice(at, 0, key)
      list.splice(at, 0, row)
    } else if (listed) {
      keys.splice(at, 1)
      list.splice(at, 1)
    }
  }
  rows.keys = keys
  rows.list = list
}

function lowerBound(keys: readonly string[], key: string): number {
  let low = 0
  let high = keys.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if ((keys[middle] as string) < key) low = middle + 1
    else high = middle
  }
  return low
}
