// SPDX-License-Identifier: Apache-2.0
import { assert, InvariantError } from '../base/assert.ts'
import type { Cursor, Database, Transaction } from './database.ts'
import type { AnyTable, Table } from './definition.ts'
import { type Derivation, declaredInputs, derive, openDerivation, replaceRows, type Tables } from './derivation.ts'
import { readOf, snapshotOf } from './snapshot.ts'
import { changesAt, forkStore, openCursor, openStore, type Store, writeRow } from './store.ts'

type Listener = (changed: ReadonlySet<string>, revision: number) => void
type Operation = (revision: number) => void

/**
 * Opens a database of the given tables. Every input of a derived table must be among them, in any order; derivations
 * that need each other are rejected by name.
 */
export function openDatabase(tables: readonly AnyTable[]): Database {
  const names = new Set<string>()
  for (const { name } of tables) {
    assert(!names.has(name), () => `two tables are named ${name}`)
    names.add(name)
  }
  for (const table of tables) {
    for (const input of declaredInputs(table.rule)) {
      assert(tables.includes(input), () => `table ${table.name} needs ${input.name}, which is not in this database`)
    }
  }
  rejectCycles(tables)
  return databaseOf(new Map(tables.map((table) => [table, openStore(table)])), 0, undefined)
}

function rejectCycles(tables: readonly AnyTable[]): void {
  const done = new Set<AnyTable>()
  const visit = (table: AnyTable, path: readonly AnyTable[]): void => {
    assert(!path.includes(table), () => cycleText([...path.slice(path.indexOf(table)), table]))
    if (done.has(table)) return
    for (const input of declaredInputs(table.rule)) visit(input, [...path, table])
    done.add(table)
  }
  for (const table of tables) visit(table, [])
}

const cycleText = (path: readonly AnyTable[]): string =>
  `tables derive from each other: ${path.map(({ name }) => name).join(' <- ')}`

function databaseOf(
  stores: ReadonlyMap<AnyTable, Store>,
  startRevision: number,
  forkedFrom: ReadonlyMap<AnyTable, Derivation> | undefined,
): Database {
  let revision = startRevision
  let attempt = startRevision
  let committing = false
  let committed = forkedFrom !== undefined
  let inputsGrew = false
  const flipped = new Set<Store>()
  const listeners = new Set<Listener>()
  const news: [ReadonlySet<string>, number][] = []
  let telling = false

  const storeOf = (table: AnyTable): Store => {
    const store = stores.get(table)
    assert(store, () => `table ${table.name} is not in this database`)
    return store
  }

  const derivations = new Map<AnyTable, Derivation>()
  for (const [table, store] of stores) {
    if (table.rule.kind === 'source') continue
    const known = forkedFrom?.get(table)
    const inputs = known
      ? [...known.inputs].map(({ table }) => storeOf(table))
      : declaredInputs(table.rule).map(storeOf)
    const derivation = openDerivation(store, table.rule, inputs)
    derivations.set(table, derivation)
    if (known) Object.assign(derivation, { settled: startRevision, ran: true, keeps: known.keeps })
  }

  const engine: Tables = {
    upToDate(table, reader) {
      const store = storeOf(table)
      if (reader.rule.kind === 'each' && !reader.inputs.has(store)) {
        reader.inputs.add(store)
        inputsGrew = true
      }
      const derivation = derivations.get(table)
      if (derivation && derivation.settled !== attempt) settle(derivation)
      return store
    },
  }

  function settle(derivation: Derivation): void {
    if (derivation.settled === attempt) return
    assert(!derivation.running, () => cycleText(running()))
    derivation.running = true
    for (const input of derivation.inputs) {
      const other = derivations.get(input.table)
      if (other) settle(other)
    }
    // A fork has nothing to remember by until an input of the table changes there.
    const idle = derivation.rule.kind === 'each' && derivation.ran && !derivation.each && isIdle(derivation)
    if (!idle) derive(derivation, engine, attempt)
    derivation.ran = true
    derivation.running = false
    derivation.settled = attempt
  }

  const isIdle = (derivation: Derivation): boolean =>
    changesAt(derivation.store, attempt).size === 0 &&
    [...derivation.inputs].every((input) => changesAt(input, attempt).size === 0)

  const running = (): AnyTable[] =>
    [...derivations.values()].filter((derivation) => derivation.running).map(({ store }) => store.table)

  /** The one way in: operations, derivations, revision, news. */
  function apply(operations: readonly Operation[]): number {
    assert(!committing, 'a derivation may not commit, and nothing is committed after one that broke')
    committing = true
    const at = (attempt = revision + 1)
    try {
      change(operations, at)
    } catch (error) {
      // Half a commit can not be taken back, so nobody may go on with it.
      throw new InvariantError(`revision ${at} broke: ${error instanceof Error ? error.message : error}`, {
        cause: error,
      })
    }
    committing = false
    const reached = revision
    tell()
    return reached
  }

  function change(operations: readonly Operation[], at: number): void {
    for (const operation of operations) operation(at)
    if (flipped.size > 0) inherit()
    if (flipped.size === 0 && !anyChanged(at)) return
    for (const derivation of derivations.values()) settle(derivation)
    if (inputsGrew) inherit()
    const changed = new Set<string>()
    for (const store of stores.values()) if (changesAt(store, at).size > 0) changed.add(store.table.name)
    for (const store of flipped) changed.add(store.table.name)
    flipped.clear()
    if (changed.size === 0) return
    revision = at
    news.push([changed, at])
  }

  const anyChanged = (at: number): boolean => {
    for (const store of stores.values()) if (changesAt(store, at).size > 0) return true
    return false
  }

  /** Derived tables are initialised when all tables they look at are; an input found later takes that back. */
  function inherit(): void {
    inputsGrew = false
    const known = new Map<Store, boolean>()
    const initialised = (store: Store): boolean => {
      const derivation = derivations.get(store.table)
      if (!derivation) return store.initialised
      const answer = known.get(store) ?? [...derivation.inputs].every(initialised)
      known.set(store, answer)
      return answer
    }
    for (const { store } of derivations.values()) {
      const answer = initialised(store)
      if (answer === store.initialised) continue
      store.initialised = answer
      flipped.add(store)
    }
  }

  function tell(): void {
    if (telling) return
    telling = true
    try {
      for (let item = news.shift(); item; item = news.shift()) {
        for (const listener of [...listeners]) listener(...item)
      }
    } finally {
      telling = false
    }
  }

  const transaction = (operations: Operation[]): Transaction => {
    const source = (table: AnyTable): Store => {
      const store = storeOf(table)
      assert(table.rule.kind === 'source', () => `table ${table.name} is derived: nobody writes it`)
      return store
    }
    return {
      put(table, row) {
        const store = source(table)
        operations.push((at) => writeRow(store, table.key(row), row, at))
      },
      remove(table, key) {
        const store = source(table)
        operations.push((at) => writeRow(store, key, undefined, at))
      },
      replace(table, rows) {
        const store = source(table)
        operations.push((at) => replaceRows(store, rows, at, false))
      },
      initialised(table) {
        const store = source(table)
        operations.push(() => {
          if (store.initialised) return
          store.initialised = true
          flipped.add(store)
        })
      },
    }
  }

  const database: Database = {
    ...readOf((table) => storeOf(table).content),
    get revision() {
      return revision
    },
    tables: [...stores.keys()],
    count: (table) => storeOf(table).content.byKey.size,
    isInitialised: (table) => storeOf(table).initialised,
    commit(fill) {
      const operations: Operation[] = []
      fill(transaction(operations))
      committed = true
      return apply(operations)
    },
    seed(table, rows) {
      const store = storeOf(table)
      assert(table.rule.kind === 'allocate', () => `table ${table.name} is not an allocation: nothing to seed`)
      assert(!committed, () => `table ${table.name} is seeded after the first commit`)
      apply([(at) => replaceRows(store, rows, at, true)])
    },
    snapshot: () => snapshotOf(stores, revision),
    fork: () => {
      assert(!committing, 'a derivation may not fork')
      const forks = new Map([...stores].map(([table, store]) => [table, forkStore(store)]))
      return databaseOf(forks, revision, derivations)
    },
    cursor: <Row>(table: Table<Row>) => openCursor(storeOf(table), () => revision) as Cursor<Row>,
    listen(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
  if (!forkedFrom) {
    // Derivations may give rows from nothing, so they run once on empty tables.
    for (const derivation of derivations.values()) settle(derivation)
    inherit()
    flipped.clear()
  }
  return database
}
