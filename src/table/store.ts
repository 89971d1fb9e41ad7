// SPDX-License-Identifier: Apache-2.0
import { assert } from '../base/assert.ts'
import { equal } from '../base/equal.ts'
import type { Change, Cursor } from './database.ts'
import type { AnyTable } from './definition.ts'
import { listOrdered, Ordered, type Owner, setOrdered } from './ordered.ts'

type Row = unknown
/** What is under a value of an index: the row itself where it is the only one, as for most values of most indexes. */
type Buckets = Map<string, Ordered<Row> | Row>

/** Rows and indexes of one table. Shared with snapshots; only its owner writes into it, others copy first. */
export interface Content {
  readonly owner: Owner
  readonly byKey: Map<string, Row>
  readonly rows: Ordered<Row>
  readonly indexes: ReadonlyMap<string, Buckets>
}

/** One table in one database: the content now, and what the commit under way has changed in it. */
export interface Store {
  readonly table: AnyTable
  content: Content
  owner: Owner
  initialised: boolean
  /** The revision that `changes` and `touched` tell about. */
  changesOf: number
  changes: Map<string, Change<Row>>
  /** Values of each index under which a row came, went or changed. */
  touched: Map<string, Set<string>>
  readonly pending: Set<Pending>
}

/** What a cursor has not seen yet: the row as it was when the cursor last looked. */
type Pending = Map<string, Row>

export function openStore(table: AnyTable): Store {
  const owner = {}
  const indexes = new Map(Object.keys(table.indexes ?? {}).map((name): [string, Buckets] => [name, new Map()]))
  return storeOf(table, { owner, byKey: new Map(), rows: new Ordered(owner), indexes }, owner, false)
}

/** Another store of the same content; from now on both copy before they write. */
export function forkStore(store: Store): Store {
  store.owner = {}
  return storeOf(store.table, store.content, {}, store.initialised)
}

const storeOf = (table: AnyTable, content: Content, owner: Owner, initialised: boolean): Store => ({
  table,
  content,
  owner,
  initialised,
  changesOf: -1,
  changes: new Map(),
  touched: new Map(),
  pending: new Set(),
})

/** The content as it is now, safe from later writes. */
export function shareContent(store: Store): Content {
  store.owner = {}
  return store.content
}

export const getRow = (content: Content, key: string): Row => content.byKey.get(key)

export const allRows = (content: Content, table: AnyTable): readonly Row[] => listOrdered(content.rows, table.key)

export function rowsBy(content: Content, table: AnyTable, index: string, value: string): readonly Row[] {
  const buckets = content.indexes.get(index)
  assert(buckets, () => `table ${table.name} has no index '${index}'`)
  const bucket = buckets.get(value)
  if (bucket instanceof Ordered) return listOrdered(bucket, table.key)
  return bucket === undefined ? [] : [bucket]
}

/** Changes of the given revision, and only those. */
export const changesAt = (store: Store, revision: number): ReadonlyMap<string, Change<Row>> =>
  store.changesOf === revision ? store.changes : noChanges

const noChanges: ReadonlyMap<string, Change<Row>> = new Map()

/** Puts (or with `undefined` removes) one row as part of `revision`. A row equal to the one there changes nothing. */
export function writeRow(store: Store, key: string, row: Row | undefined, revision: number): void {
  const there = store.content.byKey.get(key)
  if (there === row || (there !== undefined && row !== undefined && equal(there, row))) return
  if (store.changesOf !== revision) {
    store.changesOf = revision
    store.changes = new Map()
    store.touched = new Map()
  }
  const earlier = store.changes.get(key)
  const before = earlier ? earlier.before : there
  // A row put back to what it was before this commit has not changed.
  const back = earlier !== undefined && before !== undefined && row !== undefined && equal(before, row)
  const after = back ? before : row
  if (after !== undefined) Object.freeze(after)
  if (before === after) store.changes.delete(key)
  else store.changes.set(key, change(key, before, after))
  place(store, key, there, after)
  for (const pending of store.pending) if (!pending.has(key)) pending.set(key, there)
}

function change(key: string, before: Row, after: Row): Change<Row> {
  if (before === undefined) return { key, after }
  return after === undefined ? { key, before } : { key, before, after }
}

function place(store: Store, key: string, before: Row, after: Row): void {
  const { table } = store
  const content = ownContent(store)
  if (after === undefined) content.byKey.delete(key)
  else content.byKey.set(key, after)
  setOrdered(content.rows, key, after, before !== undefined, table.key)
  for (const [name, buckets] of content.indexes) {
    const valuesOf = (table.indexes as NonNullable<AnyTable['indexes']>)[name] as (row: Row) => readonly string[]
    let touched = store.touched.get(name)
    if (!touched) store.touched.set(name, (touched = new Set()))
    const were = before === undefined ? [] : valuesOf(before)
    const are = after === undefined ? [] : valuesOf(after)
    for (const [i, value] of were.entries()) {
      touched.add(value)
      if (were.indexOf(value) === i && !are.includes(value)) setInBucket(store, buckets, value, key, undefined, true)
    }
    for (const [i, value] of are.entries()) {
      touched.add(value)
      if (are.indexOf(value) === i) setInBucket(store, buckets, value, key, after, were.includes(value))
    }
  }
}

function setInBucket(store: Store, buckets: Buckets, value: string, key: string, row: Row, was: boolean): void {
  const { owner, table } = store
  let bucket = buckets.get(value)
  if (!(bucket instanceof Ordered)) {
    if (bucket === undefined || was) {
      if (row === undefined) buckets.delete(value)
      else buckets.set(value, row)
      return
    }
    const both = new Ordered<Row>(owner)
    setOrdered(both, table.key(bucket), bucket, false, table.key)
    buckets.set(value, (bucket = both))
  } else if (bucket.owner !== owner) buckets.set(value, (bucket = new Ordered(owner, bucket)))
  setOrdered(bucket as Ordered<Row>, key, row, was, table.key)
  if ((bucket as Ordered<Row>).size === 0) buckets.delete(value)
}

function ownContent(store: Store): Content {
  const { content, owner } = store
  if (content.owner === owner) return content
  const indexes = new Map([...content.indexes].map(([name, buckets]): [string, Buckets] => [name, new Map(buckets)]))
  return (store.content = { owner, byKey: new Map(content.byKey), rows: new Ordered(owner, content.rows), indexes })
}

/** A cursor over the store; `revision` tells the database's current one. */
export function openCursor(store: Store, revision: () => number): Cursor<Row> {
  let seen = -1
  let pending: Pending | undefined
  return {
    get revision() {
      return seen
    },
    next() {
      seen = revision()
      if (pending?.size === 0) return []
      const first = pending === undefined
      const taken = pending
      if (taken) store.pending.delete(taken)
      store.pending.add((pending = new Map()))
      if (first || !taken)
        return allRows(store.content, store.table).map((after) => ({ key: store.table.key(after), after }))
      const changes: Change<Row>[] = []
      for (const [key, before] of taken) {
        const after = getRow(store.content, key)
        if (before === after || (before !== undefined && after !== undefined && equal(before, after))) continue
        changes.push(change(key, before, after))
      }
      return changes
    },
    close() {
      if (pending) store.pending.delete(pending)
    },
  }
}
