// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Target } from '../../../src/table/target.ts'
import { targetConformance } from '../../model/target-conformance.ts'
import type { Test } from './fixture.ts'

export interface Subject<Row> {
  readonly target: Target<Row>
  /** The same target as another process would open it. */
  readonly again: () => Target<Row>
  /** At least three, of different keys. */
  readonly rows: readonly Row[]
  changed(row: Row): Row
}

/** The suite of every target, and what a kernel adds to it: another process finds what this one wrote. */
export function conforms<Row>(name: string, make: (t: Test) => Subject<Row>): void {
  targetConformance<Row>(name, () => {
    const cleanups: (() => void)[] = []
    const subject = make({ after: (clean) => void cleanups.push(clean) })
    return {
      ...subject,
      close: () => {
        for (const clean of cleanups.reverse()) clean()
      },
    }
  })

  test(`target ${name}: another process finds what was written`, async (t) => {
    const { target, again, rows } = make(t)
    await target.write(rows)
    const other = again()
    const there = new Map((await other.load()).map((row) => [other.key(row), row]))
    assert.equal(there.size, rows.length)
    for (const row of rows) assert.ok(other.equal(there.get(other.key(row))!, row))
  })
}
