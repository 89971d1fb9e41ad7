// SPDX-License-Identifier: Apache-2.0
import { assert } from '../base/assert.ts'
import type { AnyTable, Read, Rule, Table } from './definition.ts'
import { allRows, changesAt, getRow, rowsBy, type Store, writeRow } from './store.ts'

type Row = unknown
type DerivedRule = Exclude<Rule<Row>, { kind: 'source' }>

/** A derived table in one database: which tables it looks at, and what it remembers of its last run. */
export interface Derivation {
  readonly store: Store
  readonly rule: DerivedRule
  /** Tables it looks at: the declared ones and those that look-ups have found. */
  readonly inputs: Set<Store>
  /** The revision it was last brought to. */
  settled: number
  running: boolean
  /** What deriveEach remembers; absent before the first run and in a fork, where everything is derived once. */
  each: EachMemory | undefined
  ran: boolean
  /** An allocation that kept rows only because its inputs had not said all yet. */
  keeps: boolean
  /** What a whole derivation gave last, with the keys. */
  last: Given | undefined
}

/** Rows as a derivation gave them, and their keys. */
interface Given {
  readonly rows: readonly Row[]
  readonly keys: readonly string[]
}

interface EachMemory {
  readonly entries: Map<string, Entry>
  /** Key of a derived row to the key of the input it came from. */
  readonly origin: Map<string, string>
  readonly lookups: Map<Store, Lookups>
}

interface Entry {
  /** Keys of the derived rows, and the rows as the derivation gave them. */
  out: readonly string[]
  rows: readonly Row[]
  reads: readonly Lookup[]
}

/** One question asked of a table, and the inputs whose rows depend on the answer. */
interface Lookup {
  readonly dependants: Set<string>
  readonly forget: () => void
}

interface Lookups {
  readonly keys: Map<string, Lookup>
  readonly by: Map<string, Map<string, Lookup>>
  readonly all: Map<'all', Lookup>
}

/** The part of a database that a derivation needs: other tables, brought up to date before they are read. */
export interface Tables {
  upToDate(table: AnyTable, reader: Derivation): Store
}

export const openDerivation = (store: Store, rule: DerivedRule, inputs: Iterable<Store>): Derivation => ({
  store,
  rule,
  inputs: new Set(inputs),
  settled: -1,
  running: false,
  each: undefined,
  ran: false,
  keeps: false,
  last: undefined,
})

/** Tables named in the rule itself. */
export function declaredInputs(rule: Rule<Row>): readonly AnyTable[] {
  switch (rule.kind) {
    case 'source':
      return []
    case 'each':
      return [rule.input]
    case 'all':
      return rule.inputs
    case 'allocate':
      return [rule.wanted, ...rule.inputs]
  }
}

/** Brings the derived table to `revision`, its inputs being there already. */
export function derive(derivation: Derivation, tables: Tables, revision: number): void {
  const { rule } = derivation
  if (rule.kind === 'each') deriveInputs(derivation, rule, tables, revision)
  else deriveWhole(derivation, rule, tables, revision)
}

function deriveWhole(
  derivation: Derivation,
  rule: Exclude<DerivedRule, { kind: 'each' }>,
  tables: Tables,
  revision: number,
): void {
  const inputChanged = [...derivation.inputs].some((input) => changesAt(input, revision).size > 0)
  const keep = rule.kind === 'allocate' && ![...derivation.inputs].every((input) => input.initialised)
  const releases = derivation.keeps && !keep
  if (derivation.ran && !releases && !inputChanged && changesAt(derivation.store, revision).size === 0) return
  derivation.ran = true
  derivation.keeps = keep
  const read = wholeRead(derivation, tables)
  if (rule.kind === 'all') {
    replaceGiven(derivation, rule.derive(read), revision)
    return
  }
  const held = allRows(derivation.store.content, derivation.store.table)
  const decide = rule.decide as (wanted: readonly Row[], held: readonly Row[], read: Read) => readonly Row[]
  const rows = decide(read.all(rule.wanted), held, read)
  if (keep) {
    derivation.last = undefined
    replaceRows(derivation.store, rows, revision, keep)
  } else replaceGiven(derivation, rows, revision)
}

/** Replaces all rows. Those that are the same objects as last time, at the beginning and the end, cost nothing. */
function replaceGiven(derivation: Derivation, rows: readonly Row[], revision: number): void {
  const { store, last } = derivation
  if (!last || last.keys.length !== store.content.byKey.size) {
    replaceRows(store, rows, revision, false)
    derivation.last = { rows, keys: rows.map((row) => store.table.key(row)) }
    return
  }
  let start = 0
  const shorter = Math.min(rows.length, last.rows.length)
  while (start < shorter && rows[start] === last.rows[start]) start++
  let same = 0
  while (same < shorter - start && rows[rows.length - 1 - same] === last.rows[last.rows.length - 1 - same]) same++
  const end = last.rows.length - same
  const gone = new Set(last.keys.slice(start, end))
  const changed = rows.slice(start, rows.length - same)
  const keys = changed.map((row) => store.table.key(row))
  const seen = new Set<string>()
  for (const key of keys) {
    const twice = seen.has(key) || (!gone.has(key) && store.content.byKey.has(key))
    assert(!twice, () => `table ${store.table.name}: two rows have the key '${key}'`)
    seen.add(key)
  }
  for (const [i, key] of keys.entries()) writeRow(store, key, changed[i], revision)
  for (const key of gone) if (!seen.has(key)) writeRow(store, key, undefined, revision)
  derivation.last = { rows, keys: exchanged(last.keys, start, end, keys) }
}

/** The list with `keys` in the place of those from `start` to `end`; the same one where they are the same. */
function exchanged(list: readonly string[], start: number, end: number, keys: readonly string[]): readonly string[] {
  if (keys.length === end - start && keys.every((key, i) => key === list[start + i])) return list
  return list.slice(0, start).concat(keys, list.slice(end))
}

/** The table shall hold these rows; with `keep`, besides those it holds. */
export function replaceRows(store: Store, rows: readonly Row[], revision: number, keep: boolean): void {
  const keys = new Set<string>()
  for (const row of rows) {
    const key = store.table.key(row)
    assert(!keys.has(key), () => `table ${store.table.name}: two rows have the key '${key}'`)
    keys.add(key)
    writeRow(store, key, row, revision)
  }
  if (keep || keys.size === store.content.byKey.size) return
  for (const key of [...store.content.byKey.keys()]) if (!keys.has(key)) writeRow(store, key, undefined, revision)
}

function wholeRead(derivation: Derivation, tables: Tables): Read {
  const content = (table: AnyTable) => {
    const store = tables.upToDate(table, derivation)
    const { name } = derivation.store.table
    assert(derivation.inputs.has(store), () => `table ${name} reads ${table.name}, which is not among its inputs`)
    return store.content
  }
  return {
    get: <R>(table: Table<R>, key: string) => getRow(content(table), key) as R | undefined,
    by: <R>(table: Table<R>, index: string, value: string) =>
      rowsBy(content(table), table, index, value) as readonly R[],
    all: <R>(table: Table<R>) => allRows(content(table), table) as readonly R[],
  }
}

function deriveInputs(
  derivation: Derivation,
  rule: Extract<DerivedRule, { kind: 'each' }>,
  tables: Tables,
  revision: number,
): void {
  const input = tables.upToDate(rule.input, derivation)
  const first = derivation.each === undefined
  const memory = (derivation.each ??= { entries: new Map(), origin: new Map(), lookups: new Map() })
  const dirty = first ? new Set(input.content.byKey.keys()) : dirtyInputs(memory, input, revision)
  if (dirty.size === 0 && !first) return
  const out = derivation.store
  const reads: Lookup[] = []
  const read = trackedRead(derivation, memory, tables, reads)
  const rowsOf = rule.derive as (row: Row, read: Read) => readonly Row[]
  const derived: [inputKey: string, rows: readonly Row[]][] = []
  for (const key of dirty) {
    const row = getRow(input.content, key)
    reads.length = 0
    derived.push([key, row === undefined ? [] : rowsOf(row, read)])
    remember(memory, key, row === undefined ? undefined : reads)
  }
  // All old claims go before any new one is made: a key may move from one input to another within a commit.
  const next = new Map<string, Row>()
  if (first) for (const key of out.content.byKey.keys()) next.set(key, undefined)
  for (const [inputKey, rows] of derived) {
    const entry = memory.entries.get(inputKey)
    if (!entry || entry.rows === rows) continue
    for (let i = 0; i < entry.out.length; i++) {
      // The same object in the same place stays as it is: a derivation that changes one row of many says so.
      if (i < rows.length && rows[i] === entry.rows[i]) continue
      const key = entry.out[i] as string
      memory.origin.delete(key)
      next.set(key, undefined)
    }
  }
  for (const [inputKey, rows] of derived) {
    const before = memory.entries.get(inputKey)
    if (before && before.rows === rows && rows.length > 0) continue
    const keys = before ? before.out.slice(0, rows.length) : []
    for (let i = 0; i < rows.length; i++) {
      const row = rows[i]
      if (before && i < before.rows.length && before.rows[i] === row) continue
      const key = out.table.key(row)
      const other = memory.origin.get(key)
      assert(
        other === undefined,
        () => `table ${out.table.name}: '${key}' comes from both '${other}' and '${inputKey}' of ${rule.input.name}`,
      )
      memory.origin.set(key, inputKey)
      next.set(key, row)
      keys[i] = key
    }
    if (before) {
      before.out = keys
      before.rows = rows
    }
    if (getRow(input.content, inputKey) === undefined) memory.entries.delete(inputKey)
  }
  for (const [key, row] of next) writeRow(out, key, row, revision)
}

/** Inputs that changed themselves, or one of whose look-ups has another answer now. */
function dirtyInputs(memory: EachMemory, input: Store, revision: number): Set<string> {
  const dirty = new Set(changesAt(input, revision).keys())
  const add = (lookup: Lookup | undefined) => {
    if (lookup) for (const key of lookup.dependants) dirty.add(key)
  }
  for (const [store, lookups] of memory.lookups) {
    const changes = changesAt(store, revision)
    if (changes.size === 0) continue
    add(lookups.all.get('all'))
    if (lookups.keys.size > 0) for (const key of changes.keys()) add(lookups.keys.get(key))
    for (const [index, values] of lookups.by) {
      for (const value of store.touched.get(index) ?? []) add(values.get(value))
    }
  }
  return dirty
}

function remember(memory: EachMemory, inputKey: string, reads: readonly Lookup[] | undefined): void {
  let entry = memory.entries.get(inputKey)
  if (!entry) memory.entries.set(inputKey, (entry = { out: [], rows: [], reads: [] }))
  const before = entry.reads
  if (reads && before.length === reads.length && reads.every((lookup, i) => lookup === before[i])) return
  const kept = new Set(reads)
  for (const lookup of kept) lookup.dependants.add(inputKey)
  for (const lookup of before) {
    if (kept.has(lookup)) continue
    lookup.dependants.delete(inputKey)
    if (lookup.dependants.size === 0) lookup.forget()
  }
  entry.reads = reads ? [...reads] : []
}

function trackedRead(derivation: Derivation, memory: EachMemory, tables: Tables, reads: Lookup[]): Read {
  const lookupsOf = (store: Store): Lookups => {
    let lookups = memory.lookups.get(store)
    if (!lookups) memory.lookups.set(store, (lookups = { keys: new Map(), by: new Map(), all: new Map() }))
    return lookups
  }
  return {
    get<R>(table: Table<R>, key: string) {
      const store = tables.upToDate(table, derivation)
      reads.push(lookup(lookupsOf(store).keys, key))
      return getRow(store.content, key) as R | undefined
    },
    by<R>(table: Table<R>, index: string, value: string) {
      const store = tables.upToDate(table, derivation)
      const rows = rowsBy(store.content, table, index, value)
      const { by } = lookupsOf(store)
      let values = by.get(index)
      if (!values) by.set(index, (values = new Map()))
      reads.push(lookup(values, value))
      return rows as readonly R[]
    },
    all<R>(table: Table<R>) {
      const store = tables.upToDate(table, derivation)
      reads.push(lookup(lookupsOf(store).all, 'all'))
      return allRows(store.content, table) as readonly R[]
    },
  }
}

function lookup<Key extends string>(lookups: Map<Key, Lookup>, key: Key): Lookup {
  let found = lookups.get(key)
  if (!found) lookups.set(key, (found = { dependants: new Set(), forget: () => lookups.delete(key) }))
  return found
}
