// SPDX-License-Identifier: Apache-2.0
import type { KernelTable, MapSize } from '../../model/datapath.ts'
import { freeRange, nextFree, type Range } from '../numbers.ts'
import { pagesOf } from './columns.ts'
import type { Decision } from './decision.ts'

/** Sizes of the kernel's maps that limit what can be held. */
export interface Limits {
  readonly tables: number
  readonly pages: number
  readonly cells: number
  /** Pages of classes; the first of them is nobody's. */
  readonly classPages: number
  /** Entries of classes for identities that only this node knows. */
  readonly classes: number
  readonly columns: number
}

/** Those of bpf/contract/maps.h. */
export const limits = {
  tables: 4096,
  pages: 4096,
  cells: 1048576,
  classPages: 65536,
  classes: 262144,
  columns: 65535,
} as const
/** Classes of one table, as far as their numbers reach. */
const mostClasses = 65536

/** Those of the maps there are: a pinned one keeps the size it was made with. */
export function limitsOf(sizes: readonly MapSize[]): Limits {
  const of = (name: string, other: number): number => sizes.find((s) => s.name === name)?.entries ?? other
  return {
    tables: Math.min(of('cilium_policy_tables', limits.tables), of('cilium_class_index', limits.tables)),
    pages: of('cilium_policy_pages', limits.pages),
    cells: of('cilium_policy_cells', limits.cells),
    classPages: of('cilium_class_pages', limits.classPages),
    classes: of('cilium_policy_classes', limits.classes),
    columns: limits.columns,
  }
}

/** Where a decision lives in the kernel. Its number and its place never change: another content is another table. */
export interface PlacedTable {
  readonly kind: 'table'
  readonly table: number
  /** First cell. */
  readonly cells: number
  /** Page text to its number, for each distinct page. */
  readonly pages: { readonly [page: string]: number }
  /** For each space the numbers of its 256 pages. */
  readonly page: readonly (readonly number[])[]
  readonly decision: Decision
  /** No program wants it any more; it stays until the kernel has let go of it. */
  readonly retired: boolean
}

/** A decision that found no place: who wants it stays closed. */
export interface UnplacedTable {
  readonly kind: 'unplaced'
  readonly decision: Decision
  readonly problem: string
}

/** Where the search for free places goes on, so that a place is not taken again while its release is under way. */
export interface TableCursor {
  readonly kind: 'cursor'
  readonly table: number
  readonly page: number
  readonly cell: number
}

export type TableRow = PlacedTable | UnplacedTable | TableCursor

export const tableRowKey = (r: TableRow): string =>
  r.kind === 'table' ? String(r.table) : r.kind === 'unplaced' ? `unplaced ${r.decision.key}` : 'cursor'

/**
 * Places for the wanted decisions. `kernel` is what the kernel uses now; nothing of that is given to another. Those whose
 * keys are in `first` are the last for whom there is no room.
 */
export function placeTables(
  wanted: readonly Decision[],
  held: readonly TableRow[],
  kernel: readonly KernelTable[],
  room: Limits = limits,
  first: ReadonlySet<string> = new Set(),
): readonly TableRow[] {
  const inKernel = new Set(kernel.map((t) => t.table))
  const heldTables = held.filter((r): r is PlacedTable => r.kind === 'table')
  const heldByProgram = new Map<string, PlacedTable[]>()
  for (const t of heldTables) {
    const same = heldByProgram.get(t.decision.key)
    if (same) same.push(t)
    else heldByProgram.set(t.decision.key, [t])
  }
  const kept = new Map<number, PlacedTable>()
  const fresh: Decision[] = []
  for (const decision of wanted) {
    const same = heldByProgram
      .get(decision.key)
      ?.find((t) => t.decision === decision || t.decision.content === decision.content)
    if (!same) fresh.push(decision)
    else
      kept.set(same.table, same.decision === decision && !same.retired ? same : { ...same, decision, retired: false })
  }
  const unplaced = withoutRoomToGrow(kept, room, first)
  for (const t of heldTables)
    if (!kept.has(t.table) && inKernel.has(t.table)) kept.set(t.table, t.retired ? t : { ...t, retired: true })

  const cursor = held.find((r): r is TableCursor => r.kind === 'cursor')
  if (cursor && fresh.length === 0) return [...kept.values(), ...unplaced, cursor]
  const space = spaceOf([...kept.values()], kernel, cursor)
  for (const decision of fresh.sort((a, b) => byTurn(a, b, first))) {
    const placed = place(decision, space, room)
    if (placed.kind === 'table') kept.set(placed.table, placed)
    else unplaced.push(placed)
  }
  return [...kept.values(), ...unplaced, space.cursor]
}

/** Identities join the classes of a table where it is. Those for which the map is too small leave: their endpoints close. */
function withoutRoomToGrow(kept: Map<number, PlacedTable>, room: Limits, first: ReadonlySet<string>): UnplacedTable[] {
  const out: UnplacedTable[] = []
  const taken = { pages: 1, entries: 0 }
  for (const t of [...kept.values()].sort((a, b) => byTurn(a.decision, b.decision, first) || a.table - b.table)) {
    const problem = withoutRoom(t.decision, taken, room)
    if (problem === undefined) {
      take(t.decision, taken)
      continue
    }
    out.push({ kind: 'unplaced', decision: t.decision, problem })
    // Until the kernel lets go of it, it stays as it was.
    kept.delete(t.table)
  }
  return out
}

/** Of the maps of classes. */
interface Taken {
  pages: number
  entries: number
}

function take({ classes }: Decision, taken: Taken): void {
  taken.pages += classes.room.pages
  taken.entries += classes.room.entries
}

/** Why the classes of a decision have no room. */
function withoutRoom({ classes }: Decision, taken: Taken, room: Limits): string | undefined {
  const { pages, entries } = classes.room
  if (pages > 0 && taken.pages + pages > room.classPages)
    return `needs ${pages} pages of classes, ${Math.max(0, room.classPages - taken.pages)} are left of ${room.classPages - 1}`
  if (taken.entries + entries > room.classes)
    return `needs ${entries} class entries, ${room.classes - taken.entries} are left of ${room.classes}`
  return undefined
}

const byTurn = (a: Decision, b: Decision, first: ReadonlySet<string>): number =>
  Number(first.has(b.key)) - Number(first.has(a.key))

interface Space {
  readonly tables: Set<number>
  readonly ranges: Range[]
  /** Numbers in use, with the text where it is known. */
  readonly pageNumbers: Set<number>
  readonly pages: Map<string, number>
  cursor: TableCursor
  readonly classes: Taken
}

function spaceOf(kept: readonly PlacedTable[], kernel: readonly KernelTable[], cursor: TableCursor | undefined): Space {
  const known = new Set(kept.map((t) => t.table))
  const foreign = kernel.filter((t) => !known.has(t.table))
  const pages = new Map(kept.flatMap((t) => Object.entries(t.pages)))
  const classes = { pages: 1, entries: 0 }
  for (const t of kept) take(t.decision, classes)
  return {
    tables: new Set([...known, ...foreign.map((t) => t.table)]),
    ranges: [
      ...kept.map((t) => ({ first: t.cells, count: t.decision.cells.length })),
      ...foreign.map((t) => ({ first: t.cells, count: t.count })),
    ],
    pages,
    pageNumbers: new Set([...pages.values(), ...foreign.flatMap((t) => t.pages)]),
    cursor: cursor ?? { kind: 'cursor', table: 1, page: 0, cell: 0 },
    classes,
  }
}

function place(decision: Decision, space: Space, room: Limits): PlacedTable | UnplacedTable {
  const unplaced = (problem: string): UnplacedTable => ({ kind: 'unplaced', decision, problem })
  if (decision.columns.entries.length > room.columns)
    return unplaced(`needs ${decision.columns.entries.length} columns of at most ${room.columns}`)
  const problem = withoutRoom(decision, space.classes, room)
  if (problem !== undefined) return unplaced(problem)
  const table = nextFree(1, room.tables - 1, space.cursor.table, (n) => space.tables.has(n))
  const cells = freeRange(space.ranges, decision.cells.length, room.cells, space.cursor.cell)
  if (table === undefined) return unplaced(`all ${room.tables - 1} decision tables are in use`)
  if (cells === undefined) return unplaced(`needs ${decision.cells.length} cells, which are not free in one piece`)
  const classes = decision.cells.length / decision.columns.entries.length
  if (classes > mostClasses) return unplaced(`needs ${classes} classes of peers of at most ${mostClasses}`)
  const texts = decision.columns.runs.map(pagesOf)
  const pages: { [page: string]: number } = {}
  const taken = new Set<number>()
  let nextPage = space.cursor.page
  const distinct = new Set<string>()
  for (const space of new Set(texts)) for (const text of space) distinct.add(text)
  for (const text of distinct) {
    const shared = space.pages.get(text)
    const page = shared ?? nextFree(0, room.pages - 1, nextPage, (n) => space.pageNumbers.has(n) || taken.has(n))
    if (page === undefined) return unplaced(`all ${room.pages} pages of ports are in use`)
    pages[text] = page
    if (shared === undefined) {
      taken.add(page)
      nextPage = page + 1
    }
  }
  space.tables.add(table)
  space.ranges.push({ first: cells, count: decision.cells.length })
  for (const [text, page] of Object.entries(pages)) {
    space.pages.set(text, page)
    space.pageNumbers.add(page)
  }
  take(decision, space.classes)
  space.cursor = { kind: 'cursor', table: table + 1, page: nextPage, cell: cells + decision.cells.length }
  const numbers = new Map<readonly string[], readonly number[]>()
  const page = texts.map((space) => {
    let made = numbers.get(space)
    if (!made) numbers.set(space, (made = space.map((text) => pages[text] as number)))
    return made
  })
  return { kind: 'table', table, cells, pages, page, decision, retired: false }
}
