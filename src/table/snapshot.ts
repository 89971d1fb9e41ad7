// SPDX-License-Identifier: Apache-2.0
import { present } from '../base/assert.ts'
import type { Snapshot } from './database.ts'
import type { AnyTable, Read, Table } from './definition.ts'
import { allRows, type Content, getRow, rowsBy, type Store, shareContent } from './store.ts'

/** Look-ups in whatever content a table has. */
export function readOf(contentOf: (table: AnyTable) => Content): Read {
  return {
    get: <Row>(table: Table<Row>, key: string) => getRow(contentOf(table), key) as Row | undefined,
    by: <Row>(table: Table<Row>, index: string, value: string) =>
      rowsBy(contentOf(table), table, index, value) as readonly Row[],
    all: <Row>(table: Table<Row>) => allRows(contentOf(table), table) as readonly Row[],
  }
}

/** All tables as they are now, safe from later commits. */
export function snapshotOf(stores: ReadonlyMap<AnyTable, Store>, revision: number): Snapshot {
  const contents = new Map([...stores].map(([table, store]) => [table, shareContent(store)]))
  const initialised = new Set([...stores.values()].filter((store) => store.initialised).map(({ table }) => table))
  const contentOf = (table: AnyTable): Content => present(contents.get(table), `table ${table.name} in the snapshot`)
  return {
    ...readOf(contentOf),
    revision,
    count: (table) => contentOf(table).byKey.size,
    isInitialised: (table) => initialised.has(table),
  }
}
