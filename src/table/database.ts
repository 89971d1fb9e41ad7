// SPDX-License-Identifier: Apache-2.0
import type { AnyTable, Read, Table } from './definition.ts'

/** A change of one row between two revisions. `before` or `after` is absent for an insertion or a removal. */
export interface Change<Row> {
  readonly key: string
  readonly before?: Row
  readonly after?: Row
}

/** What a source says in one go. Nothing of it is applied when the function that fills it throws. */
export interface Transaction {
  put<Row>(table: Table<Row>, row: NoInfer<Row>): void
  remove(table: AnyTable, key: string): void
  /** The table shall hold exactly these rows: what a fresh list says. */
  replace<Row>(table: Table<Row>, rows: readonly NoInfer<Row>[]): void
  /** The source has said all it knew at start. Derived tables are initialised when all their inputs are. */
  initialised(table: AnyTable): void
}

/** A view of all tables at one revision; it does not change when the database does. */
export interface Snapshot extends Read {
  readonly revision: number
  count(table: AnyTable): number
  isInitialised(table: AnyTable): boolean
}

export interface Database extends Snapshot {
  /**
   * Applies the changes, runs derivations to their fixpoint, then tells the listeners, all before it returns the
   * revision. Rows belong to the database from then on and are frozen. A commit made by a listener is told to the
   * listeners after the one under way. A commit that changes nothing keeps the revision.
   */
  commit(change: (tx: Transaction) => void): number
  /** Rows an allocation holds from an earlier life; before the first commit. */
  seed<Row>(table: Table<Row>, rows: readonly NoInfer<Row>[]): void
  snapshot(): Snapshot
  /** A database of the same tables and rows, to ask 'what if'; changes there do not come back. */
  fork(): Database
  /** A cursor: each call of `next` gives what changed since the last, first all rows there are. */
  cursor<Row>(table: Table<Row>): Cursor<Row>
  /** Called once after each commit that changed anything, with the names of changed tables. The result unsubscribes. */
  listen(listener: (changed: ReadonlySet<string>, revision: number) => void): () => void
  readonly tables: readonly AnyTable[]
}

export interface Cursor<Row> {
  /** Revision up to which changes were taken; -1 before the first `next`. */
  readonly revision: number
  /** One change a key however often it changed, in the order of first change; the first call in key order. */
  next(): readonly Change<Row>[]
  /** Ends the bookkeeping for this cursor. */
  close(): void
}
