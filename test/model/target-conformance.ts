// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Outcome, Target } from '../../src/table/target.ts'

/** A target to be put through the suite, with rows that make sense to it. */
export interface Candidate<Row> {
  readonly target: Target<Row>
  /** At least three rows with different keys. */
  readonly rows: readonly Row[]
  /** The same key with other content; the row itself where a row is all key. */
  changed(row: Row): Row
  close?(): void | Promise<void>
}

/** What every target promises, the real ones and their fakes: run it from a test file beside the target. */
export function targetConformance<Row>(
  name: string,
  open: () => Candidate<Row> | Promise<Candidate<Row>>,
  options: { readonly skip?: string | false } = {},
): void {
  const check = (promise: string, run: (candidate: Candidate<Row>) => Promise<void>): void => {
    test(promise, async () => {
      const candidate = await open()
      try {
        assert.ok(candidate.rows.length >= 3, 'three rows are needed to tell rows apart')
        await run(candidate)
      } finally {
        await candidate.close?.()
      }
    })
  }

  describe(`target ${name}`, { skip: options.skip ?? false }, () => {
    check('loads nothing when nothing was written', async ({ target }) => {
      assert.deepEqual(await target.load(), [])
    })

    check('loads what was written, equal to what was wanted', async ({ target, rows }) => {
      allOk(await target.write(rows), rows.length)
      await holds(target, rows)
    })

    check('takes a row twice without an error', async ({ target, rows }) => {
      allOk(await target.write(rows), rows.length)
      allOk(await target.write(rows), rows.length)
      await holds(target, rows)
    })

    check('replaces a row by its key', async ({ target, rows, changed }) => {
      const [first, ...rest] = rows as [Row, ...Row[]]
      const other = changed(first)
      assert.equal(target.key(other), target.key(first), 'changed() keeps the key')
      allOk(await target.write(rows), rows.length)
      allOk(await target.write([other]), 1)
      await holds(target, [other, ...rest])
    })

    check('tells a changed row from the one that is there', async ({ target, rows, changed }) => {
      for (const row of rows) {
        const other = changed(row)
        assert.equal(target.equal(row, row), true)
        if (other !== row) assert.equal(target.equal(row, other), false)
      }
    })

    check('removes the named rows and no other', async ({ target, rows }) => {
      const [first, ...rest] = rows as [Row, ...Row[]]
      allOk(await target.write(rows), rows.length)
      allOk(await target.remove([first]), 1)
      await holds(target, rest)
      allOk(await target.remove(rest), rest.length)
      await holds(target, [])
    })

    check('removes what is not there without an error', async ({ target, rows }) => {
      allOk(await target.remove(rows), rows.length)
      allOk(await target.write(rows), rows.length)
      allOk(await target.remove([rows[0] as Row]), 1)
      allOk(await target.remove(rows), rows.length)
      await holds(target, [])
    })

    check('removes what load gave, whoever wrote it', async ({ target, rows }) => {
      allOk(await target.write(rows), rows.length)
      const there = await target.load()
      allOk(await target.remove(there), there.length)
      await holds(target, [])
    })

    check('answers nothing to nothing', async ({ target }) => {
      assert.deepEqual(await target.write([]), [])
      assert.deepEqual(await target.remove([]), [])
    })
  })
}

function allOk(outcomes: readonly Outcome[], count: number): void {
  assert.deepEqual(
    outcomes.map((outcome) => (outcome.ok ? 'ok' : outcome.error)),
    Array.from({ length: count }, () => 'ok'),
    'one outcome a row, in order',
  )
}

async function holds<Row>(target: Target<Row>, wanted: readonly Row[]): Promise<void> {
  const there = new Map((await target.load()).map((row) => [target.key(row), row]))
  assert.deepEqual([...there.keys()].sort(), wanted.map((row) => target.key(row)).sort())
  for (const row of wanted) {
    assert.ok(target.equal(there.get(target.key(row)) as Row, row), `${target.key(row)} is there as wanted`)
  }
}
