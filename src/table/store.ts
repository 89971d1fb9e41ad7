// SPDX-License-Identifier: Apache-2.0
import { assert } from '../base/assert.ts'
import { equal } from '../base/equal.ts'
import type { Change, Cursor } from './database.ts'
import type { AnyTable } from './definition.ts'
import { copyOrdered, emptyOrdered, listOrdered, type Ordered, type Owner, setOrdered } from './ordered.ts'

type Row = unknown
/** The one row under a value of an index, as most values of most indexes have: a map of its own would be all overhead. */
class Only {
  readonly key: string
  /** A list of one, as it is handed out. */
  readonly list: readonly [Row]
  constructor(key: string, row: Row) {
    this.key = key
    this.list = [row]
  }
}
type Buckets = Map<string, Ordered<Row> | Only>

/** Rows and indexes of one table. Shared with snapshots; only its owner writes into it, others copy first. */
export interface Content {
  readonly owner: Owner
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
  return storeOf(table, { owner, rows: emptyOrdered(owner), indexes }, owner, false)
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

export const getRow = (content: Content, key: string): Row => content.rows.byKey.get(key)

export const allRows = (content: Content): readonly Row[] => listOrdered(content.rows)

export function rowsBy(content: Content, table: AnyTable, index: string, value: string): readonly Row[] {
  const buckets = content.indexes.get(index)
  assert(buckets, () => `table ${table.name} has no index '${index}'`)
  const bucket = buckets.get(value)
  if (bucket instanceof Only) return bucket.list
  return bucket ? listOrdered(bucket) : []
}

/** Changes of the given revision, and only those. */
export const changesAt = (store: Store, revision: number): ReadonlyMap<string, Change<Row>> =>
  store.changesOf === revision ? store.changes : noChanges

const noChanges: ReadonlyMap<string, Change<Row>> = new Map()

/** Puts (or with `undefined` removes) one row as part of `revision`. A row equal to the one there changes nothing. */
export function writeRow(store: Store, key: string, row: Row | undefined, revision: number): void {
  const there = store.content.rows.byKey.get(key)
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
  const content = ownContent(store)
  setOrdered(content.rows, key, after)
  for (const [name, buckets] of content.indexes) {
    const valuesOf = (store.table.indexes as NonNullable<AnyTable['indexes']>)[name] as (row: Row) => readonly string[]
    let touched = store.touched.get(name)
    if (!touched) store.touched.set(name, (touched = new Set()))
    const now = after === undefined ? [] : valuesOf(after)
    if (before !== undefined) {
      for (const value of valuesOf(before)) {
        touched.add(value)
        if (!now.includes(value)) setInBucket(buckets, store.owner, value, key, undefined)
      }
    }
    for (const value of now) {
      touched.add(value)
      setInBucket(buckets, store.owner, value, key, after)
    }
  }
}

function setInBucket(buckets: Buckets, owner: Owner, value: string, key: string, row: Row): void {
  let bucket = buckets.get(value)
  if (bucket === undefined || (bucket instanceof Only && bucket.key === key)) {
    if (row !== undefined) buckets.set(value, new Only(key, row))
    else buckets.delete(value)
    return
  }
  if (bucket instanceof Only) {
    if (row === undefined) return
    const [first] = bucket.list
    const { key: firstKey } = bucket
    bucket = emptyOrdered<Row>(owner)
    setOrdered(bucket, firstKey, first)
    buckets.set(value, bucket)
  } else if (bucket.owner !== owner) buckets.set(value, (bucket = copyOrdered(bucket, owner)))
  setOrdered(bucket, key, row)
  if (bucket.byKey.size === 0) buckets.delete(value)
}

function ownContent(store: Store): Content {
  const { content, owner } = store
  if (content.owner === owner) return content
  const indexes = new Map([...content.indexes].map(([name, buckets]): [string, Buckets] => [name, new Map(buckets)]))
  return (store.content = { owner, rows: copyOrdered(content.rows, owner), indexes })
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
      if (first || !taken) return [...allKeys(store)].map(([key, after]) => ({ key, after }))
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

function* allKeys(store: Store): Iterable<[string, Row]> {
  const list = allRows(store.content)
  const keys = store.content.rows.keys
  for (let i = 0; i < keys.length; i++) yield [keys[i] as string, list[i]]
}
