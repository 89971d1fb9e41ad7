// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { markHurry } from './grace.ts'

test('a switch that a killed agent left moved is put back by the next one, and no other', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'grace-'))
  t.after(() => rmSync(dir, { recursive: true }))
  const [marker, at] = [join(dir, 'marker'), join(dir, 'rcu_expedited')]
  writeFileSync(at, '1')
  markHurry(marker, at)
  assert.equal(readFileSync(at, 'utf8'), '1', 'somebody else has moved it')
  writeFileSync(marker, '')
  markHurry(marker, at)
  assert.equal(readFileSync(at, 'utf8'), '0')
  assert.equal(existsSync(marker), false)
})

test('where the switch can not be moved, a marker keeps no agent from starting', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'grace-'))
  t.after(() => rmSync(dir, { recursive: true }))
  const marker = join(dir, 'marker')
  writeFileSync(marker, '')
  markHurry(marker, '/sys/kernel/fscaps') // which nobody may write, as all of /sys in a container
  assert.equal(existsSync(marker), false)
})
