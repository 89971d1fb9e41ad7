// SPDX-License-Identifier: Apache-2.0

/** Whoever may change a structure in place; anyone else copies it first. */
export type Owner = object

/**
 * Rows in the order of their keys' UTF-16 code units: the same on every machine. A word a row and no keys of its own; what
 * has changed since the list was made waits beside it. A list is never changed once handed out.
 */
export class Ordered<Row> {
  readonly owner: Owner
  size: number
  list: readonly Row[]
  /** By key, undefined for what is gone. */
  late: Map<string, Row | undefined> | undefined

  constructor(owner: Owner, from?: Ordered<Row>) {
    this.owner = owner
    this.size = from?.size ?? 0
    this.list = from?.list ?? []
    this.late = from?.late && new Map(from.late)
  }
}

type KeyOf<Row> = (row: Row) => string

/** Puts a row (undefined: takes it away); `was`: whether there is one under this key. */
export function setOrdered<Row>(
  rows: Ordered<Row>,
  key: string,
  row: Row | undefined,
  was: boolean,
  keyOf: KeyOf<Row>,
): void {
  rows.size += Number(row !== undefined) - Number(was)
  rows.late ??= new Map()
  rows.late.set(key, row)
  if (rows.late.size > 64 + rows.list.length / 8) listOrdered(rows, keyOf)
}

export function listOrdered<Row>(rows: Ordered<Row>, keyOf: KeyOf<Row>): readonly Row[] {
  const { late, list } = rows
  if (!late) return list
  // Of the right length from the start: an array that grows keeps room for as much again.
  const merged = new Array<Row>(rows.size)
  let to = 0
  let from = 0
  for (const key of late.size > 1 ? [...late.keys()].sort() : late.keys()) {
    const at = lowerBound(list, key, from, keyOf)
    while (from < at) merged[to++] = list[from++] as Row
    if (at < list.length && keyOf(list[at] as Row) === key) from++
    const row = late.get(key)
    if (row !== undefined) merged[to++] = row
  }
  while (from < list.length) merged[to++] = list[from++] as Row
  rows.late = undefined
  return (rows.list = merged)
}

function lowerBound<Row>(list: readonly Row[], key: string, first: number, keyOf: KeyOf<Row>): number {
  let low = first
  let high = list.length
  while (low < high) {
    const middle = (low + high) >>> 1
    if (keyOf(list[middle] as Row) < key) low = middle + 1
    else high = middle
  }
  return low
}
