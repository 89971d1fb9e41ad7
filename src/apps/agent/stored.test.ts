// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { readRowFiles, rowFilesTarget } from './row-files.ts'
import { endpointFiles, optionFiles } from './stored.ts'

test('an endpoint file that is damaged is told of and left where it is; the others are taken over', (t) => {
  const state = mkdtempSync(join(tmpdir(), 'stored-'))
  t.after(() => rmSync(state, { recursive: true, force: true }))
  const { dir } = endpointFiles(state)
  mkdirSync(dir, { recursive: true })
  const good = {
    containerId: 'a',
    ifname: 'eth0',
    netns: '/run/netns/a',
    namespace: 'default',
    podName: 'a',
    podUid: '1',
    held: { id: 7, ipv4: '10.0.0.7', ipv6: 'fd00::7' },
  }
  const files: readonly (readonly [string, string])[] = [
    ['good', JSON.stringify(good)],
    ['empty', ''],
    ['cut', JSON.stringify(good).slice(0, 60)],
    ['null', 'null'],
    ['list', '[]'],
    ['no-pod', JSON.stringify({ ...good, podName: undefined })],
    ['no-address', JSON.stringify({ ...good, held: { ...good.held, ipv4: '10.0.0.777' } })],
    ['no-number', JSON.stringify({ ...good, held: { ...good.held, id: '7' } })],
  ]
  for (const [name, text] of files) writeFileSync(join(dir, `${name}.json`), text)
  const said: string[] = []
  assert.deepEqual(
    readRowFiles(endpointFiles(state), (_, message) => said.push(message)),
    [good],
  )
  assert.equal(said.length, files.length - 1)
  assert.ok(said.every((s) => /endpoint file .* is left alone/.test(s)))
  assert.equal(readdirSync(dir).length, files.length)
})

test('options of endpoints come back as they were', (t) => {
  const state = mkdtempSync(join(tmpdir(), 'stored-'))
  t.after(() => rmSync(state, { recursive: true, force: true }))
  const rows = [{ attachment: 'a/b:eth0', policyAuditMode: true, policyEnforced: true }]
  const said: string[] = []
  rowFilesTarget(optionFiles(state), (_, message) => said.push(message)).write(rows)
  writeFileSync(join(optionFiles(state).dir, 'x.json'), '{"attachment":"x"}')
  assert.deepEqual(
    readRowFiles(optionFiles(state), (_, message) => said.push(message)),
    rows,
  )
  assert.match(said.join(), /x\.json is left alone: it says no options/)
})
