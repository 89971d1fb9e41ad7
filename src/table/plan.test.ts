// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Gate, type Operation, openPlan, type PlanOptions, type Transfer } from './plan.ts'

interface Row {
  readonly key: string
  readonly value: number
}
const open: Gate<Row> = {
  writesUpTo: Number.POSITIVE_INFINITY,
  removalsUpTo: Number.POSITIVE_INFINITY,
  ready: () => true,
  unused: () => true,
}

function setUp(options: Partial<PlanOptions<Row>> = {}, there: readonly Row[] = []) {
  const wanted = new Map<string, Row>()
  let revision = 0
  const plan = openPlan<Row>({
    desired: { get: (key) => wanted.get(key), all: () => [...wanted.values()] },
    key: (row) => row.key,
    equal: (a, b) => a.value === b.value,
    random: () => 0,
    ...options,
  })
  const want = (key: string, value: number | undefined, initialised = false): number => {
    if (value === undefined) wanted.delete(key)
    else wanted.set(key, { key, value })
    plan.take([{ key }], ++revision, initialised)
    return revision
  }
  plan.take([], revision, false)
  assert.deepEqual(plan.next(0, open), { kind: 'load' })
  plan.loaded(there)
  const next = (now = 0, gate = open): string => text(plan.next(now, gate))
  return { plan, want, next }
}

const text = (operation: Operation<Row> | undefined): string =>
  operation === undefined || operation.kind === 'load'
    ? (operation?.kind ?? 'nothing')
    : `${operation.kind} ${operation.rows.map(({ key, value }) => `${key}${value}`).join(' ')}`

const fly = (operation: Operation<Row> | undefined): Transfer<Row> => {
  assert.ok(operation && operation.kind !== 'load')
  return operation
}

test('one operation at a time', () => {
  const { want, next } = setUp()
  want('a', 1)
  assert.equal(next(), 'write a1')
  want('b', 1)
  assert.equal(next(), 'nothing')
})

test('a row wanted again while its removal is under way counts as not written', () => {
  const { plan, want } = setUp({}, [{ key: 'a', value: 1 }])
  want('a', 1)
  want('a', undefined)
  const removal = fly(plan.next(0, open))
  assert.equal(removal.kind, 'remove')
  const again = want('a', 1)
  assert.equal(plan.realisedWrites(), again - 1)
  assert.equal(plan.owes('a'), true)
  plan.finish(removal, [{ ok: true }], 0)
  assert.equal(text(plan.next(0, open)), 'write a1')
})

test('an operation has at most a batch of rows, and writes come before removals', () => {
  const { plan, want } = setUp({ batch: 2 }, [{ key: 'z', value: 1 }])
  want('z', 1)
  for (const key of ['a', 'b', 'c']) want(key, 1)
  want('z', undefined)
  const seen: string[] = []
  for (let operation = plan.next(0, open); operation; operation = plan.next(0, open)) {
    seen.push(text(operation))
    const { rows } = fly(operation)
    plan.finish(
      fly(operation),
      rows.map(() => ({ ok: true })),
      0,
    )
  }
  assert.deepEqual(seen, ['write a1 b1', 'write c1', 'remove z1'])
})

test('changes later than the gate allows wait, earlier ones go', () => {
  const { want, next } = setUp()
  const first = want('a', 1)
  want('b', 1)
  assert.equal(next(0, { ...open, writesUpTo: first }), 'write a1')
})

test('delays double up to the most, less a jitter of up to half', () => {
  for (const [random, expected] of [
    [0, [100, 200, 300, 300]],
    [1, [50, 100, 150, 150]],
  ] as const) {
    const { plan, want } = setUp({ random: () => random, backOff: { first: 100, most: 300 } })
    want('a', 1)
    const delays: number[] = []
    for (let now = 0; delays.length < expected.length; now = plan.wakeAt(now)) {
      plan.finish(fly(plan.next(now, open)), [{ ok: false, error: 'busy' }], now)
      delays.push(plan.wakeAt(now) - now)
    }
    assert.deepEqual(delays, expected)
  }
})

test('what is due but held up by others is woken by them, not by time', () => {
  const { plan, want } = setUp({ backOff: { first: 10, most: 10 } })
  want('a', 1)
  plan.finish(fly(plan.next(0, open)), [{ ok: false, error: 'busy' }], 0)
  assert.equal(plan.wakeAt(0), 10)
  assert.equal(plan.next(10, { ...open, writesUpTo: 0 }), undefined)
  assert.equal(plan.wakeAt(10), Number.POSITIVE_INFINITY)
})

test('a load that fails is tried again later and names its error', () => {
  const plan = openPlan<Row>({
    desired: { get: () => undefined, all: () => [] },
    key: (row) => row.key,
    equal: () => true,
    random: () => 0,
    backOff: { first: 10, most: 10 },
  })
  plan.take([], 0, true)
  plan.next(0, open)
  plan.loadFailed('no such map', 0)
  assert.deepEqual(plan.waits(), ['load: no such map'])
  assert.equal(plan.next(9, open), undefined)
  assert.deepEqual(plan.next(10, open), { kind: 'load' })
  plan.loaded([])
  assert.deepEqual(plan.waits(), [])
  assert.equal(plan.realised(), 0)
})
