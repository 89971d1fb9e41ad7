// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { equal } from '../../src/base/equal.ts'
import { manualRuntime } from '../../src/edge/runtime/manual.ts'
import { type Reconciliation, reconciliation } from '../../src/edge/runtime/reconcile.ts'
import type { Database } from '../../src/table/database.ts'
import type { Table } from '../../src/table/definition.ts'
import { openDatabase } from '../../src/table/open.ts'
import {
  type Allowed,
  allowed,
  apply,
  history,
  known,
  type Numbered,
  numbers,
  type Owner,
  owners,
  sayAll,
  sources,
  tables,
} from './cluster.ts'
import { type Fate, fakeTarget } from './fake-target.ts'

/** What is outside, in three places. Owners carry a number only after the number and what it allows are there. */
interface Outside {
  readonly known: Map<string, Numbered>
  readonly allowed: Map<string, Allowed>
  readonly owners: Map<string, Owner>
}
const emptyOutside = (): Outside => ({ known: new Map(), allowed: new Map(), owners: new Map() })

interface Life {
  readonly db: Database
  readonly run: Reconciliation
  advance(ms: number): Promise<void>
  end(): Promise<void>
}

interface Weather {
  readonly fate?: () => Fate
  readonly asynchronous?: () => boolean
  readonly applied?: () => void
}

/** One life of an agent, with the order by whole tables or exactly by row: a new database, held rows from the store, the targets as they were left. */
function live(outside: Outside, weather: Weather = {}, held: readonly Numbered[] = [], exact = false): Life {
  const db = openDatabase(tables)
  db.seed(numbers, held)
  const { clock, scope, advance } = manualRuntime()
  const run = reconciliation(db, scope, clock, { random: () => 0.5 })
  const backOff = { first: 10, most: 100 }
  const target = <Row>(name: keyof Outside, table: Table<Row>) =>
    fakeTarget<Row>({ name, key: table.key, store: outside[name] as unknown as Map<string, Row>, ...weather })
  run.add(known, target('known', known), { backOff })
  const numbersOf = { table: known, needs: ({ to, from }: Allowed) => [String(to), String(from)] }
  const numberOf = { table: known, needs: ({ number }: Owner) => [String(number)] }
  run.add(allowed, target('allowed', allowed), { backOff, after: exact ? [numbersOf] : [known] })
  run.add(owners, target('owners', owners), { backOff, after: exact ? [numberOf] : [allowed], batch: 2 })
  run.start()
  return { db, run, advance, end: () => scope.close() }
}

/** What an agent that starts anew knows of numbers given before: one for each app. */
const heldIn = (outside: Outside): readonly Numbered[] => [
  ...new Map([...outside.known.values()].map((row) => [row.app, row])).values(),
]

const assertOutside = (outside: Outside, db: Database): void => {
  for (const table of [known, allowed, owners] as readonly Table<unknown>[]) {
    const there = outside[table.name as keyof Outside] as ReadonlyMap<string, unknown>
    assert.deepEqual(there, new Map(db.all(table).map((row) => [table.key(row), row])), table.name)
  }
}

/** Fates in turn, then only good ones: everything heals in the end. */
const weather = fc
  .record({
    fates: fc.array(fc.constantFrom<Fate>('ok', 'ok', 'ok', 'refuse', 'lose', 'throw'), { maxLength: 40 }),
    waits: fc.array(fc.boolean(), { maxLength: 40 }),
  })
  .map(({ fates, waits }) => () => {
    const left = [...fates]
    const waiting = [...waits]
    return { fate: () => left.shift() ?? ('ok' as const), asynchronous: () => waiting.shift() ?? false }
  })

/** Milliseconds between commits; none: the next comes while answers are still out. */
const pauses = fc.array(fc.option(fc.nat(30), { nil: undefined }))
const pause = async (life: Life, ms: number | undefined): Promise<void> => {
  if (ms !== undefined) await life.advance(ms)
}

test('whatever fails and however answers come, the targets end with what the tables say', async () => {
  await fc.assert(
    fc.asyncProperty(history, weather, pauses, async (commits, weatherOf, pauses) => {
      const outside = emptyOutside()
      const life = live(outside, weatherOf())
      for (const [i, events] of commits.entries()) {
        apply(life.db, events)
        await pause(life, pauses[i])
      }
      sayAll(life.db)
      await life.advance(20_000)
      await life.run.settled()
      assertOutside(outside, life.db)
      assert.deepEqual(
        life.run.statuses().map(({ pending, failed, realised }) => ({ pending, failed, realised })),
        Array.from({ length: 3 }, () => ({ pending: 0, failed: 0, realised: life.db.revision })),
      )
      await life.end()
    }),
    { numRuns: 150 },
  )
})

test('a crash at any write leaves what a restart completes', async () => {
  await fc.assert(
    fc.asyncProperty(history, history, fc.nat(30), fc.boolean(), async (first, second, survives, waits) => {
      const outside = emptyOutside()
      let left = survives
      const before = live(outside, { fate: () => (left-- > 0 ? 'ok' : 'crash'), asynchronous: () => waits })
      sayAll(before.db)
      for (const events of first) apply(before.db, events)
      await before.advance(5)
      await before.end()

      const after = live(outside, {}, heldIn(outside))
      for (const events of second) apply(after.db, events)
      sayAll(after.db)
      await after.run.settled()
      assertOutside(outside, after.db)
      await after.end()
    }),
    { numRuns: 150 },
  )
})

test('nothing found outside is removed before every source has spoken', async () => {
  await fc.assert(
    fc.asyncProperty(history, history, async (first, second) => {
      const outside = emptyOutside()
      const before = live(outside)
      sayAll(before.db)
      for (const events of first) apply(before.db, events)
      await before.end()
      const found = new Set(outside.owners.keys())

      const after = live(outside, {}, heldIn(outside))
      const mentioned = new Set<string>()
      for (const events of second) {
        apply(after.db, events)
        for (const { pod } of after.db.all(owners)) mentioned.add(pod)
      }
      for (const pod of found) if (!mentioned.has(pod)) assert.ok(outside.owners.has(pod), `${pod} is still there`)
      sayAll(after.db)
      assertOutside(outside, after.db)
      await after.end()
    }),
  )
})

test('no owner ever carries a number that is not outside yet, and no number goes before its owners', async () => {
  await fc.assert(
    fc.asyncProperty(history, weather, pauses, fc.boolean(), async (commits, weatherOf, pauses, exact) => {
      const outside = emptyOutside()
      const watch = watchOrder(outside)
      const life = live(outside, { ...weatherOf(), applied: watch.applied }, [], exact)
      sayAll(life.db)
      for (const [i, events] of commits.entries()) {
        apply(life.db, events)
        await pause(life, pauses[i])
      }
      await life.advance(20_000)
      assert.deepEqual(watch.problems, [])
      assertOutside(outside, life.db)
      await life.end()
    }),
    { numRuns: 300 },
  )
})

test('order holds through a restart in which the sources finish one by one', async () => {
  const finish = fc.shuffledSubarray([...sources], { minLength: sources.length })
  await fc.assert(
    fc.asyncProperty(
      history,
      history,
      finish,
      weather,
      fc.boolean(),
      async (first, second, finish, weatherOf, exact) => {
        const outside = emptyOutside()
        const before = live(outside)
        sayAll(before.db)
        for (const events of first) apply(before.db, events)
        await before.end()

        const watch = watchOrder(outside)
        const after = live(outside, { ...weatherOf(), applied: watch.applied }, heldIn(outside), exact)
        const steps = [...second.map((events) => () => apply(after.db, events))]
        for (const source of finish) steps.push(() => after.db.commit((tx) => tx.initialised(source)))
        for (const step of steps) {
          step()
          await after.advance(2)
        }
        await after.advance(20_000)
        assert.deepEqual(watch.problems, [])
        assertOutside(outside, after.db)
        await after.end()
      },
    ),
    { numRuns: 300 },
  )
})

/** Looks at the three places after each row that was applied. */
function watchOrder(outside: Outside) {
  const problems: string[] = []
  const applied = () => {
    const there = new Set([...outside.known.values()].map(({ number }) => number))
    for (const { pod, number } of outside.owners.values()) {
      if (!there.has(number)) problems.push(`${pod} carries ${number}`)
    }
    for (const { key, to, from } of outside.allowed.values()) {
      if (!there.has(to) || !there.has(from)) problems.push(`${key} names a number that is gone`)
    }
  }
  return { problems, applied }
}

test('each row outside is as some revision since the realised one wanted it', async () => {
  await fc.assert(
    fc.asyncProperty(history, weather, pauses, async (commits, weatherOf, pauses) => {
      const outside = emptyOutside()
      const life = live(outside, weatherOf())
      sayAll(life.db)
      const past = [life.db.snapshot()]
      const check = (): void => {
        const since = past.filter(({ revision }) => revision >= life.run.realised())
        for (const table of [known, allowed, owners] as readonly Table<unknown>[]) {
          const there = outside[table.name as keyof Outside] as ReadonlyMap<string, unknown>
          for (const key of new Set([...there.keys(), ...life.db.all(table).map(table.key)])) {
            const wanted = since.map((snapshot) => snapshot.get(table, key))
            assert.ok(
              wanted.some((row) => equal(row, there.get(key))),
              `${table.name}/${key} was wanted so at no revision since ${life.run.realised()}`,
            )
          }
        }
      }
      for (const [i, events] of commits.entries()) {
        apply(life.db, events)
        past.push(life.db.snapshot())
        check()
        await pause(life, pauses[i])
        check()
      }
      await life.end()
    }),
    { numRuns: 400 },
  )
})
