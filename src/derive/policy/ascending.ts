// SPDX-License-Identifier: Apache-2.0
/* Lists of identities, ascending, that are compared as they change. */

/** The lists compared last: one list changes in many programs. */
const compared = new WeakMap<readonly number[], { readonly before: readonly number[]; readonly found: Set<number> }>()

/** Adds what is in one of two ascending lists only. */
export function difference(a: readonly number[], b: readonly number[], into: Set<number>): void {
  if (a === b) return
  let known = compared.get(b)
  if (known?.before !== a) {
    known = { before: a, found: new Set() }
    compare(a, b, known.found)
    compared.set(b, known)
    // Or each list would hold the one before, and that the one before it.
    compared.delete(a)
  }
  for (const identity of known.found) into.add(identity)
}

function compare(a: readonly number[], b: readonly number[], into: Set<number>): void {
  for (let i = 0, k = 0; i < a.length || k < b.length; ) {
    const x = a[i] ?? Number.POSITIVE_INFINITY
    const y = b[k] ?? Number.POSITIVE_INFINITY
    if (x === y) {
      i++
      k++
    } else if (x < y) {
      into.add(x)
      i++
    } else {
      into.add(y)
      k++
    }
  }
}

export function has(ascending: readonly number[], wanted: number): boolean {
  let low = 0
  let high = ascending.length - 1
  while (low <= high) {
    const middle = (low + high) >> 1
    const there = ascending[middle] as number
    if (there === wanted) return true
    if (there < wanted) low = middle + 1
    else high = middle - 1
  }
  return false
}

/** The numbers of those chosen from a list of rows. */
export interface Chosen<Row> {
  readonly list: readonly Row[]
  readonly numbers: readonly number[]
}

/** Chooses from a list that is mostly the one before: only who came is asked about. The same members are the same array. */
export function choose<Row extends { readonly number: number }>(
  list: readonly Row[],
  before: Chosen<Row> | undefined,
  chosen: (row: Row) => boolean,
): Chosen<Row> {
  if (before?.list === list) return before
  const old = before?.list ?? []
  let [first, oldEnd, newEnd] = [0, old.length, list.length]
  while (first < oldEnd && first < newEnd && old[first] === list[first]) first++
  while (first < oldEnd && first < newEnd && old[oldEnd - 1] === list[newEnd - 1]) {
    oldEnd--
    newEnd--
  }
  const gone = new Set(old.slice(first, oldEnd))
  const came: number[] = []
  for (const row of list.slice(first, newEnd)) if (!gone.delete(row) && chosen(row)) came.push(row.number)
  const numbers = before?.numbers ?? []
  const left = new Set<number>()
  for (const { number } of gone) if (has(numbers, number)) left.add(number)
  if (left.size === 0 && came.length === 0) return { list, numbers }
  const stayed = left.size === 0 ? numbers : numbers.filter((n) => !left.has(n))
  return { list, numbers: union([stayed, came.sort((a, b) => a - b)]) }
}

/** What is in any of several ascending lists; the list itself where only one has any. */
export function union(lists: readonly (readonly number[])[]): readonly number[] {
  const [one, ...rest] = lists.filter((list) => list.length > 0)
  return rest.reduce(merged, one ?? [])
}

function merged(a: readonly number[], b: readonly number[]): readonly number[] {
  if ((a.at(-1) as number) < (b[0] as number)) return [...a, ...b]
  const out: number[] = []
  for (let i = 0, k = 0; i < a.length || k < b.length; ) {
    const x = a[i] ?? Number.POSITIVE_INFINITY
    const y = b[k] ?? Number.POSITIVE_INFINITY
    out.push(Math.min(x, y))
    if (x <= y) i++
    if (y <= x) k++
  }
  return out
}
