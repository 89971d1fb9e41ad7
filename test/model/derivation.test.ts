// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Change, Database } from '../../src/table/database.ts'
import type { AnyTable, Table } from '../../src/table/definition.ts'
import { openDatabase } from '../../src/table/open.ts'
import {
  allowed,
  apply,
  derivedNow,
  type Event,
  expected,
  history,
  numbers,
  owners,
  pods,
  sayAll,
  sources,
  tables,
} from './cluster.ts'

test('derived tables are at every revision what loops over arrays would give', () => {
  fc.assert(
    fc.property(history, (commits) => {
      const db = openDatabase(tables)
      for (const events of commits) {
        apply(db, events)
        assert.deepEqual(derivedNow(db), expected(db))
      }
    }),
    { numRuns: 500 },
  )
})

test('any order of events of different objects ends in the same tables', () => {
  const shuffled = history.chain((commits) => {
    const last = new Map<string, Event>()
    for (const event of commits.flat()) {
      const key = event.kind === 'put' ? event.row.name : event.key
      last.set(`${event.table.name}/${key}`, event)
    }
    const events = [...last.values()]
    return fc.tuple(fc.constant(events), fc.shuffledSubarray(events, { minLength: events.length }), fc.array(fc.nat(3)))
  })
  fc.assert(
    fc.property(shuffled, ([events, order, sizes]) => {
      const once = openDatabase(tables)
      apply(once, events)
      const piecemeal = openDatabase(tables)
      let at = 0
      for (const size of [...sizes, order.length]) apply(piecemeal, order.slice(at, (at += size)))
      // Numbers may differ with the order; what they stand for may not.
      const named = (db: Database) => {
        const app = new Map(db.all(numbers).map(({ app, number }) => [number, app]))
        return {
          owners: db.all(owners).map((row) => ({ ...row, number: app.get(row.number) })),
          allowed: db.all(allowed).map((row) => ({ ...row, to: app.get(row.to), from: app.get(row.from) })),
        }
      }
      assert.deepEqual(named(piecemeal), named(once))
    }),
  )
})

test('a number is never shared, and stays while its reason does', () => {
  fc.assert(
    fc.property(history, (commits) => {
      const db = openDatabase(tables)
      sayAll(db)
      let before = new Map<string, number>()
      for (const events of commits) {
        apply(db, events)
        const now = new Map(db.all(numbers).map(({ app, number }) => [app, number]))
        assert.equal(new Set(now.values()).size, now.size)
        assert.deepEqual([...now.keys()], [...new Set(db.all(pods).map(({ app }) => app))].sort())
        for (const [app, number] of before) if (now.has(app)) assert.equal(now.get(app), number)
        before = now
      }
    }),
  )
})

test('snapshots and forks show what they were taken of, whatever happens beside them', () => {
  fc.assert(
    fc.property(history, history, (commits, others) => {
      const db = openDatabase(tables)
      const taken = commits.map((events) => {
        apply(db, events)
        return { snapshot: db.snapshot(), fork: db.fork(), content: structuredClone(derivedNow(db)) }
      })
      for (const { snapshot, fork, content } of taken) {
        assert.deepEqual(derivedNow(snapshot), content)
        assert.deepEqual(derivedNow(fork), content)
        for (const events of others) {
          apply(fork, events)
          assert.deepEqual(derivedNow(fork), expected(fork))
        }
      }
      assert.deepEqual(derivedNow(db), expected(db))
    }),
    { numRuns: 60 },
  )
})

test('the changes of a cursor, applied one after another, give the table', () => {
  fc.assert(
    fc.property(history, fc.infiniteStream(fc.boolean()), (commits, looks) => {
      const db = openDatabase(tables)
      const followed = [pods, owners, allowed].map((table) => {
        const copy = new Map<string, unknown>()
        return { table: table as Table<unknown>, cursor: db.cursor(table as Table<unknown>), copy }
      })
      const follow = () => {
        for (const { table, cursor, copy } of followed) {
          for (const change of cursor.next()) applyChange(copy, change)
          assert.deepEqual(copy, new Map(db.all(table).map((row) => [table.key(row), row])))
        }
      }
      for (const events of commits) {
        apply(db, events)
        if (looks.next().value) follow()
      }
      follow()
    }),
  )
})

function applyChange(copy: Map<string, unknown>, { key, before, after }: Change<unknown>): void {
  assert.deepEqual(copy.get(key), before, 'a change starts from what the reader has')
  assert.notDeepEqual(before, after, 'a change changes something')
  if (after === undefined) copy.delete(key)
  else copy.set(key, after)
}

test('a listener is told of exactly the tables whose rows changed', () => {
  fc.assert(
    fc.property(history, (commits) => {
      const db = openDatabase(tables)
      const heard: (readonly string[])[] = []
      db.listen((changed) => heard.push([...changed].sort()))
      for (const events of commits) {
        const before = db.snapshot()
        const told = heard.length
        apply(db, events)
        const changed = (tables as readonly AnyTable[])
          .filter((table) => !sameRows(before.all(table), db.all(table)))
          .map(({ name }) => name)
        assert.deepEqual(heard.slice(told), changed.length > 0 ? [changed.sort()] : [])
      }
    }),
  )
})

const sameRows = (a: readonly unknown[], b: readonly unknown[]): boolean => {
  try {
    assert.deepEqual(a, b)
    return true
  } catch {
    return false
  }
}

test('a list replaces a table as its single events would', () => {
  fc.assert(
    fc.property(history, history, (before, after) => {
      const db = openDatabase(tables)
      for (const events of before) apply(db, events)
      const other = openDatabase(tables)
      for (const events of after) apply(other, events)
      db.commit((tx) => {
        for (const source of sources) tx.replace(source as Table<unknown>, other.all(source as Table<unknown>))
      })
      for (const source of sources)
        assert.deepEqual(db.all(source as Table<unknown>), other.all(source as Table<unknown>))
      assert.deepEqual(derivedNow(db), expected(db))
    }),
  )
})
