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
