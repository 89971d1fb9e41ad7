// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { classPages, classPartOf } from '../../model/datapath.ts'
import { choose, union } from './ascending.ts'
import { partedClasses, reclassed } from './classes.ts'

/** Reserved ones, of the cluster, of other clusters, and such as only this node knows. */
const identity = fc.oneof(
  fc.integer({ min: 1, max: 300 }),
  fc.integer({ min: 65500, max: 65600 }),
  fc.integer({ min: 0x01000001, max: 0x01000100 }),
)

test('classes after changes are those of a plain map, and parts without a change are the same objects', () => {
  const changes = fc.uniqueArray(fc.tuple(identity, fc.option(fc.integer({ min: 1, max: 9 }), { nil: undefined })), {
    selector: ([i]) => i,
    maxLength: 40,
  })
  fc.assert(
    fc.property(fc.array(fc.tuple(identity, fc.integer({ min: 1, max: 9 }))), changes, (entries, changed) => {
      const plain = new Map<number, number>(entries)
      const before = partedClasses(plain)
      assert.deepEqual(new Map(before), plain)
      const after = reclassed(before, changed)
      for (const [i, number] of changed)
        if (number === undefined) plain.delete(i)
        else plain.set(i, number)
      assert.deepEqual(new Map(after), plain)
      assert.equal(after.size, plain.size)
      for (const i of [...Array(300).keys(), ...plain.keys(), ...changed.map(([i]) => i)])
        assert.equal(after.get(i), plain.get(i))
      const ofCluster = [...plain.keys()].filter((i) => i < 65536)
      assert.deepEqual(after.room, {
        pages: new Set(ofCluster.map((i) => i >> 8)).size,
        entries: plain.size - ofCluster.length,
      })
      assert.equal(
        after.parts.slice(classPages).reduce((sum, part) => sum + part.size, 0),
        after.room.entries,
      )
      const touched = new Set(changed.map(([i]) => classPartOf(i)))
      for (const [i, part] of after.parts.entries()) if (!touched.has(i)) assert.equal(part, before.parts[i])
    }),
  )
})

test('who is chosen from one list after another is who is chosen from each alone', () => {
  const row = fc.record({ number: fc.integer({ min: 1, max: 60 }), is: fc.boolean() })
  const list = fc.uniqueArray(row, { selector: (r) => r.number, maxLength: 40 })
  fc.assert(
    fc.property(fc.array(list, { minLength: 1 }), (lists) => {
      let before: ReturnType<typeof choose<{ number: number; is: boolean }>> | undefined
      let rows = new Map<string, { number: number; is: boolean }>()
      for (const fresh of lists) {
        // Rows that are as they were are the same objects, in the order of their keys.
        const next = new Map(fresh.map((r) => [`${r.number} ${r.is}`, r]))
        for (const key of next.keys()) next.set(key, rows.get(key) ?? (next.get(key) as (typeof fresh)[0]))
        rows = next
        const now = [...rows.keys()].sort().map((key) => rows.get(key) as (typeof fresh)[0])
        const chosen = choose(now, before, (r) => r.is)
        const alone = now.filter((r) => r.is).map((r) => r.number)
        assert.deepEqual(
          chosen.numbers,
          [...alone].sort((a, b) => a - b),
        )
        if (before && String(before.numbers) === String(chosen.numbers) && before.list === now)
          assert.equal(chosen.numbers, before.numbers)
        before = chosen
      }
    }),
  )
})

test('a union of ascending lists has each number once', () => {
  const ascending = fc.array(identity).map((list) => [...new Set(list)].sort((a, b) => a - b))
  fc.assert(
    fc.property(fc.array(ascending, { maxLength: 5 }), (lists) => {
      assert.deepEqual(
        union(lists),
        [...new Set(lists.flat())].sort((a, b) => a - b),
      )
    }),
  )
})
