// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ageText, columnText, indent, tableText } from './text.ts'

test('columns are as wide as their widest cell and lines end without blanks', () => {
  assert.equal(
    columnText([
      ['NAME', 'AGE', ''],
      ['deathstar-1', '5s', ''],
      ['ü', '12d', 'x'],
    ]),
    'NAME          AGE\ndeathstar-1   5s\nü             12d   x\n',
  )
  assert.equal(columnText([]), '')
})

test('rows print under their headings', () => {
  const columns = [
    ['ID', (row: { id: number }) => String(row.id)],
    ['STATE', () => 'ready'],
  ] as const
  assert.equal(tableText(columns, [{ id: 7 }], 2), 'ID  STATE\n7   ready\n')
})

test('indentation leaves empty lines empty', () => {
  assert.equal(indent('a\n\nb\n', 2), '  a\n\n  b\n')
})

test('ages read as kubectl prints them', () => {
  const minute = 60_000
  const hour = 60 * minute
  const day = 24 * hour
  const cases: [number, string][] = [
    [-5, '0s'],
    [119_999, '119s'],
    [2 * minute, '2m'],
    [9 * minute + 30_000, '9m30s'],
    [100 * minute, '100m'],
    [3 * hour + 5 * minute, '3h5m'],
    [47 * hour, '47h'],
    [2 * day + 3 * hour, '2d3h'],
    [300 * day, '300d'],
    [800 * day, '2y70d'],
    [9 * 365 * day, '9y'],
  ]
  for (const [ms, text] of cases) assert.equal(ageText(ms), text)
})
