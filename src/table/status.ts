// SPDX-License-Identifier: Apache-2.0
import { table } from './definition.ts'

/** How far one desired row has come outside. Kept beside the row, never in it. */
export type RowStatus =
  | { readonly kind: 'done'; readonly revision: number }
  | { readonly kind: 'pending'; readonly since: number }
  | {
      readonly kind: 'error'
      readonly since: number
      readonly error: string
      readonly attempts: number
      /** Milliseconds of the clock; absent when only a change of the row or of the table's room gives a new attempt. */
      readonly retryAt?: number
    }

/** One reconciler in numbers, for `status` and metrics. */
export interface TableStatus {
  readonly table: string
  /** Rows known to be outside. */
  readonly rows: number
  readonly pending: number
  readonly failed: number
  /** Why a row failed, the oldest one if several did. */
  readonly error?: string
  /** Everything up to this revision is outside; -1 before the target was read. */
  readonly realised: number
  /** Names of what it waits for: tables, or 'initialised', or 'load: …'. */
  readonly waitsFor: readonly string[]
}

/** The row of a status table: what became of the row with the same key of the desired table. */
export type StatusRow = RowStatus & { readonly key: string }

/** Declares a source table that a reconciler fills with the status of each row, so that derivations may look it up. */
export const statusTable = (name: string) =>
  table<StatusRow>(name, {
    key: (row) => row.key,
    indexes: { kind: (row) => [row.kind] },
    columns: [
      ['KEY', (row) => row.key],
      ['STATUS', (row) => row.kind],
      ['ERROR', (row) => (row.kind === 'error' ? row.error : '')],
    ],
  })
