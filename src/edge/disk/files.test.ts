// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { mkdtempSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { namesIn, readIfThere, removeAll, writeWhole } from './files.ts'

test('a file is replaced as a whole, in a directory made for it, readable by its owner only', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'disk-'))
  t.after(() => removeAll(dir))
  const path = join(dir, 'a/b/c')
  assert.equal(readIfThere(path), undefined)
  writeWhole(path, 'one')
  writeWhole(path, 'two')
  assert.equal(readIfThere(path), 'two')
  assert.deepEqual(namesIn(join(dir, 'a/b')), ['c'])
  assert.equal(statSync(path).mode & 0o777, 0o600)
  assert.deepEqual(namesIn(join(dir, 'none')), [])
})

test('a place that can not be written is an error that names it', () => {
  assert.throws(() => writeWhole('/dev/null/file', ''), /\/dev\/null/)
})
