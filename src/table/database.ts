// SPDX-License-Identifier: Apache-2.0
import type { Read, Table } from './definition.ts'

/** A change of one row between two revisions. `before` or `after` is absent for an insertion or a removal. */
export interface Change<Row> {
  readonly key: string
  readonly before?: Row
  readonly after?: Row
}

export interface Transaction {
  put<Row>(table: Table<Row>, row: Row): void
  remove(table: Table<never> | Table<any>, key: string): void
  /** The table shall hold exactly these rows: what a fresh list says. */
  replace<Row>(table: Table<Row>, rows: readonly Row[]): void
  /** The source has said all it knew at start. Derived tables are initialised when all their inputs are. */
  initialised(table: Table<any>): void
}

/** A view of all tables at one revision; it does not change when the database does. */
export interface Snapshot extends Read {
  readonly revision: number
  count(table: Table<any>): number
  isInitialised(table: Table<any>): boolean
}

export interface Database extends Snapshot {
  /** Applies the changes, runs derivations to their fixpoint, then tells the listeners, all before it returns. */
  commit(change: (tx: Transaction) => void): number
  /** Rows an allocation holds from an earlier life; before the first commit. */
  seed<Row>(table: Table<Row>, rows: readonly Row[]): void
  snapshot(): Snapshot
  /** A database of the same tables and rows, to ask 'what if'; changes there do not come back. */
  fork(): Database
  /** A cursor: each call of `next` gives what changed since the last, first all rows there are. */
  cursor<Row>(table: Table<Row>): Cursor<Row>
  /** Called once after each commit that changed anything, with the names of changed tables. The result unsubscribes. */
  listen(listener: (changed: ReadonlySet<string>, revision: number) => void): () => void
  readonly tables: readonly Table<any>[]
}

export interface Cursor<Row> {
  /** Revision up to which changes were taken. */
  readonly revision: number
  next(): readonly Change<Row>[]
}

export type OpenDatabase = (tables: readonly Table<any>[]) => Database
