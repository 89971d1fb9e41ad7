// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { optionDirectory } from '../../edge/disk/files.ts'
import { drift, driftCount, driftText } from './drift.ts'
import { readSettings } from './settings.ts'

test('options that a restart would change are named with both values, ignored ones are not', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'drift-'))
  t.after(() => rmSync(dir, { recursive: true }))
  const put = (name: string, text: string) => writeFileSync(join(dir, name), text)
  const read = () =>
    readSettings({ args: [`--config-dir=${dir}`], env: { K8S_NODE_NAME: 'n' }, directory: optionDirectory })
  put('enable-policy', 'default')
  put('debug', 'false')
  const started = read()
  assert.ok(started.ok)
  assert.equal(driftText(drift(started.value, read(), [])), '')
  put('enable-policy', 'always')
  put('debug', 'true')
  put('mtu', '1400')
  const now = drift(started.value, read(), ['debug'])
  assert.deepEqual(now.options, [
    { name: 'mtu', actual: '0', expected: '1400' },
    { name: 'enable-policy', actual: 'default', expected: 'always' },
  ])
  assert.equal(driftCount(now), 2)
  assert.match(driftText(now), /restart it: mtu is 0, configured 1400; enable-policy is default, configured always/)
  put('mtu', 'wide')
  const bad = drift(started.value, read(), [])
  assert.equal(driftCount(bad), 1)
  assert.match(driftText(bad), /would be refused at the next start: .*mtu/)
})
