// SPDX-License-Identifier: Apache-2.0

/** A column of a printed table: heading and cell text. */
export type Column<Row> = readonly [heading: string, cell: (row: Row) => string]

export interface Shape<Row> {
  readonly key: (row: Row) => string
  /** Named secondary indexes: a row appears under every string returned. */
  readonly indexes?: { readonly [name: string]: (row: Row) => readonly string[] }
  readonly columns?: readonly Column<Row>[]
}

/** The declaration of a table: data, shared by every database that holds it. Rows live in a Database. */
export interface Table<Row> extends Shape<Row> {
  readonly name: string
  readonly rule: Rule<Row>
}

/** A table of whatever rows. `unknown` would not do: a table both takes and gives its rows. */
// biome-ignore lint/suspicious/noExplicitAny: the one place where the row type is forgotten
export type AnyTable = Table<any>

export type Rule<Row> =
  | { readonly kind: 'source' }
  | { readonly kind: 'each'; readonly input: AnyTable; readonly derive: (row: never, read: Read) => readonly Row[] }
  | { readonly kind: 'all'; readonly inputs: readonly AnyTable[]; readonly derive: (read: Read) => readonly Row[] }
  | {
      readonly kind: 'allocate'
      readonly wanted: AnyTable
      readonly inputs: readonly AnyTable[]
      readonly decide: (wanted: readonly never[], held: readonly Row[], read: Read) => readonly Row[]
    }

/** Look-ups a derivation may make; each is remembered, so that the row is derived again when an answer changes. */
export interface Read {
  get<Row>(table: Table<Row>, key: string): Row | undefined
  by<Row>(table: Table<Row>, index: string, value: string): readonly Row[]
  /** All rows, in key order. Tracked as one dependency: any change of the table derives again. */
  all<Row>(table: Table<Row>): readonly Row[]
}

export function table<Row>(name: string, shape: Shape<Row>): Table<Row> {
  return { name, ...shape, rule: { kind: 'source' } }
}

/**
 * One row of `input` gives rows of the derived table, by itself and by what it looks up. For large or busy inputs.
 * Two inputs must not give the same key; that is a broken invariant. `read` may look into any table of the database.
 */
export function deriveEach<In, Row>(
  name: string,
  input: Table<In>,
  shape: Shape<Row>,
  derive: (row: In, read: Read) => readonly Row[],
): Table<Row> {
  return { name, ...shape, rule: { kind: 'each', input, derive: derive as never } }
}

/**
 * The whole table anew from whole inputs, then the difference. For everything that is small or seldom changes.
 * `read` sees the inputs named here and no other table.
 */
export function deriveAll<Row>(
  name: string,
  inputs: readonly AnyTable[],
  shape: Shape<Row>,
  derive: (read: Read) => readonly Row[],
): Table<Row> {
  return { name, ...shape, rule: { kind: 'all', inputs, derive } }
}

/**
 * A decision with memory: `decide` sees what is wanted and what is held, and returns what is held from now on. Rows
 * that are held come from `Database.seed` after a restart. Until `wanted` and all `inputs` are initialised a held row is
 * never released, even when `decide` leaves it out, so `decide` must not give away what a held row holds.
 */
export function allocate<Want, Row>(
  name: string,
  wanted: Table<Want>,
  shape: Shape<Row>,
  decide: (wanted: readonly Want[], held: readonly Row[], read: Read) => readonly Row[],
  inputs: readonly AnyTable[] = [],
): Table<Row> {
  return {
    name,
    ...shape,
    rule: { kind: 'allocate', wanted, inputs, decide: decide as never },
  }
}
