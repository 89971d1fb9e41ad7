// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { importedRule } from '../../derive/policy/imported.ts'
import { digest, ruleFiles } from './imported.ts'
import { readRowFiles, rowFilesTarget } from './row-files.ts'

test('imported rules come back from disk as they were; a damaged file is told and left alone', (t) => {
  const state = mkdtempSync(join(tmpdir(), 'rules-'))
  t.after(() => rmSync(state, { recursive: true }))
  const files = ruleFiles(state)
  const { dir } = files
  mkdirSync(dir, { recursive: true })
  const rule = (name: string) =>
    importedRule({ labels: [{ key: 'name', value: name }], endpointSelector: {}, ingress: [{}] }, digest)
  const rows = [rule('a'), rule('../../b'), rule('x'.repeat(300))]
  const told: string[] = []
  const target = rowFilesTarget(files, (_, message) => told.push(message))
  assert.deepEqual(target.write(rows), [{ ok: true }, { ok: true }, { ok: true }])
  assert.equal(readdirSync(dir).length, 3, 'a label is no path')
  writeFileSync(join(dir, 'damaged.json'), '{"endpointSel')
  const byName = (a: { name: string }, b: { name: string }) => (a.name < b.name ? -1 : 1)
  assert.deepEqual([...readRowFiles(files, (_, message) => told.push(message))].sort(byName), [...rows].sort(byName))
  assert.match(told.join(), /damaged\.json is left alone/)
  target.remove(rows)
  assert.deepEqual(readdirSync(dir), ['damaged.json'])
})
