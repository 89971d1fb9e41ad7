// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Outcome, Target } from '../../../src/table/target.ts'
import type { Test } from './fixture.ts'

export interface Subject<Row> {
  readonly target: Target<Row>
  /** The same target as another process would open it. */
  readonly again: () => Target<Row>
  /** Different keys. */
  readonly rows: readonly Row[]
  /** The same key as the first row, other content. */
  readonly changed: Row
}

const allOk = (outcomes: readonly Outcome[]): void =>
  assert.deepEqual(
    outcomes,
    outcomes.map(() => ({ ok: true })),
  )

/** What every target over something that can be read back has to do. */
export function conforms<Row>(name: string, make: (t: Test) => Subject<Row>): void {
  const sameAs = async (target: Target<Row>, wanted: readonly Row[]): Promise<void> => {
    const there = await target.load()
    assert.deepEqual(there.map(target.key).sort(), wanted.map(target.key).sort())
    for (const row of wanted) {
      const found = there.find((other) => target.key(other) === target.key(row))!
      assert.ok(target.equal(found, row), `${JSON.stringify(found)} is there, ${JSON.stringify(row)} was written`)
    }
  }

  test(`${name}: what was written is there, for another process too, and goes when removed`, async (t) => {
    const { target, again, rows } = make(t)
    await sameAs(target, [])
    allOk(await target.write(rows))
    await sameAs(target, rows)
    await sameAs(again(), rows)
    allOk(await target.remove(rows.slice(0, 1)))
    await sameAs(again(), rows.slice(1))
    allOk(await target.remove(rows))
    await sameAs(target, [])
  })

  test(`${name}: writing twice changes nothing, a changed row takes the place of the old one`, async (t) => {
    const { target, again, rows, changed } = make(t)
    allOk(await target.write(rows))
    allOk(await target.write(rows))
    await sameAs(again(), rows)
    assert.equal(target.key(changed), target.key(rows[0]!))
    assert.equal(target.equal(rows[0]!, changed), false)
    allOk(await target.write([changed]))
    await sameAs(again(), [changed, ...rows.slice(1)])
  })

  test(`${name}: nothing to write and nothing to remove are no errors`, async (t) => {
    const { target, rows } = make(t)
    assert.deepEqual(await target.write([]), [])
    assert.deepEqual(await target.remove([]), [])
    allOk(await target.remove(rows))
  })
}
