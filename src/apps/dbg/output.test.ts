// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { describe, it } from 'node:test'
import { columns, jsonpath, stacked } from './output.ts'

describe('what cilium-dbg prints', () => {
  it('aligns columns with three spaces and leaves none behind', () => {
    assert.equal(
      columns([
        ['ID', 'LABELS'],
        ['1', 'reserved:host'],
        ['12345', ''],
      ]),
      'ID      LABELS\n1       reserved:host\n12345',
    )
  })
  it('puts one label a line below the first', () => {
    assert.deepEqual(stacked(['7'], ['a', 'b'], ['ready']), [
      ['7', 'a', 'ready'],
      ['', 'b', ''],
    ])
  })
  it('answers the JSONPath templates that clients send, quotes and all', () => {
    assert.equal(jsonpath({ Daemon: { Version: '1.19.0' } }, '{$.Daemon.Version}'), '1.19.0')
    assert.equal(jsonpath({ revision: 4 }, "'{.revision}'"), '4')
    assert.equal(jsonpath([{ a: 1 }, { a: 2 }], '{[*].a}'), '1 2')
    assert.equal(jsonpath({ a: 1 }, '{.b}'), '')
  })
})
