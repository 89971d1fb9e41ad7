// SPDX-License-Identifier: Apache-2.0

/** What became of one row of a write or one key of a removal, at the same index. */
export type Outcome =
  | { readonly ok: true }
  | { readonly ok: false; readonly error: string; readonly permanent?: boolean }

/**
 * One place outside that is to hold the rows of a desired table: a BPF map, the routes of a node, the resources of
 * Envoy, the status of Kubernetes objects. A target knows rows, not reasons. Rows written twice are no error; removing
 * what is not there is no error.
 */
export interface Target<Row> {
  readonly name: string
  /** Identity of a row; must equal the key of the desired table. */
  key(row: Row): string
  /** What is there now. Read once after start and after a failure that left doubt. */
  load(): Promise<readonly Row[]> | readonly Row[]
  /** Whether the row that is there already is what is wanted; compared on load. */
  equal(there: Row, wanted: Row): boolean
  write(rows: readonly Row[]): Promise<readonly Outcome[]> | readonly Outcome[]
  remove(rows: readonly Row[]): Promise<readonly Outcome[]> | readonly Outcome[]
}
