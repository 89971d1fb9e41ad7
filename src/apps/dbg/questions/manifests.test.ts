// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { readManifests } from './manifests.ts'

test('objects of a list of one kind are of that kind, as API servers answer', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'manifests-'))
  t.after(() => rmSync(dir, { recursive: true }))
  const pods = { apiVersion: 'v1', kind: 'PodList', items: [{ metadata: { name: 'a' } }] }
  writeFileSync(join(dir, 'pods.json'), JSON.stringify(pods))
  writeFileSync(join(dir, 'mixed.yaml'), 'kind: List\nitems: [{kind: Namespace, metadata: {name: b}}]\n')
  const { found, problems } = readManifests([dir])
  assert.deepEqual(problems, [])
  assert.deepEqual(
    found.map((f) => f.object),
    [
      { kind: 'Namespace', metadata: { name: 'b' } },
      { apiVersion: 'v1', kind: 'Pod', metadata: { name: 'a' } },
    ],
  )
})
