// SPDX-License-Identifier: Apache-2.0
import { type PortSpace, portSpaces } from '../../model/datapath.ts'
import type { PortRange } from './rule.ts'

/** Ports grouped by which entries name them: ports of one column are never told apart. */
export interface Columns {
  /** For each column the indexes of the entries that cover its ports, ascending. */
  readonly entries: readonly (readonly number[])[]
  /** Column of protocols without ports. */
  readonly other: number
  /** For each space runs of ports, ascending and without gaps. */
  readonly runs: readonly (readonly Run[])[]
}

export interface Run {
  readonly first: number
  readonly last: number
  readonly column: number
}

/** Columns of a list of entries, each with its ports. */
export function columnsOf(ports: readonly ('all' | readonly PortRange[])[]): Columns {
  const numbers = new Map<string, number>()
  const entries: (readonly number[])[] = []
  const columnOf = (covering: readonly number[]): number => {
    const key = covering.join()
    let n = numbers.get(key)
    if (n === undefined) {
      n = entries.length
      numbers.set(key, n)
      entries.push(covering)
    }
    return n
  }
  const everywhere = ports.flatMap((p, i) => (p === 'all' ? [i] : []))
  const other = columnOf(everywhere)
  const runs = portSpaces.map((space) => runsOf(space, ports, everywhere, columnOf))
  return { entries, other, runs }
}

function runsOf(
  space: PortSpace,
  ports: readonly ('all' | readonly PortRange[])[],
  everywhere: readonly number[],
  columnOf: (covering: readonly number[]) => number,
): readonly Run[] {
  /** port to the entries that begin or end there. */
  const begins = new Map<number, number[]>()
  const ends = new Map<number, number[]>()
  const add = (at: Map<number, number[]>, port: number, entry: number) => {
    const there = at.get(port)
    if (there) there.push(entry)
    else at.set(port, [entry])
  }
  for (const [i, p] of ports.entries()) {
    if (p === 'all') continue
    for (const r of p)
      if (r.space === space) {
        add(begins, r.first, i)
        add(ends, r.last + 1, i)
      }
  }
  const cuts = [...new Set([0, ...begins.keys(), ...ends.keys()])].filter((p) => p <= 65535).sort((a, b) => a - b)
  /** How many ranges of an entry are open here: ranges of one entry may overlap. */
  const open = new Map<number, number>()
  for (const i of everywhere) open.set(i, 1)
  const runs: Run[] = []
  for (const [n, first] of cuts.entries()) {
    for (const i of ends.get(first) ?? []) {
      const left = (open.get(i) ?? 0) - 1
      if (left > 0) open.set(i, left)
      else open.delete(i)
    }
    for (const i of begins.get(first) ?? []) open.set(i, (open.get(i) ?? 0) + 1)
    const column = columnOf([...open.keys()].sort((a, b) => a - b))
    const last = (cuts[n + 1] ?? 65536) - 1
    const before = runs.at(-1)
    if (before?.column === column) runs[runs.length - 1] = { ...before, last }
    else runs.push({ first, last, column })
  }
  return runs
}

const evenPage = (column: number): string => `${column}x256`

const even: (readonly string[])[] = []
/** Most spaces of most tables are one column from end to end, mostly one of the first. */
function evenPages(column: number): readonly string[] {
  const known = even[column]
  if (known) return known
  const made = new Array<string>(256).fill(evenPage(column))
  if (column < 16) even[column] = made
  return made
}

/**
 * The 256 pages of a space, each as run-length text: `0x22,1x1,0x233` is column 0 for 22 ports, column 1 for one, and so
 * on. Equal pages are equal texts, so tables can share them.
 */
export function pagesOf(runs: readonly Run[]): readonly string[] {
  const [only] = runs
  if (only && runs.length === 1) return evenPages(only.column)
  const pages: string[] = []
  let at = 0
  for (let page = 0; page < 256; page++) {
    while ((runs[at] as Run).last < page * 256) at++
    const whole = runs[at] as Run
    if (whole.last >= page * 256 + 255) {
      pages.push(evenPage(whole.column))
      continue
    }
    const parts: string[] = []
    const end = page * 256 + 255
    for (let port = page * 256; port <= end; ) {
      while ((runs[at] as Run).last < port) at++
      const run = runs[at] as Run
      const last = Math.min(run.last, end)
      parts.push(`${run.column}x${last - port + 1}`)
      port = last + 1
    }
    pages.push(parts.join())
  }
  return pages
}

/** The 256 columns of a page from its text. */
export function pageColumns(page: string): readonly number[] {
  const out: number[] = []
  for (const part of page.split(',')) {
    const [column, count] = part.split('x').map(Number) as [number, number]
    for (let i = 0; i < count; i++) out.push(column)
  }
  return out
}

/** The column of a port: what the kernel finds by its two array look-ups. */
export function columnAt(runs: readonly Run[], port: number): number {
  let low = 0
  let high = runs.length - 1
  while (low < high) {
    const middle = (low + high) >> 1
    if ((runs[middle] as Run).last < port) low = middle + 1
    else high = middle
  }
  return (runs[low] as Run).column
}
