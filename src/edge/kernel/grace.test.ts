// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { hurry, markHurry, useSwitch } from './grace.ts'

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

test('a switch is moved where it is said to be, and put back after the last who wants it', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'grace-'))
  t.after(() => rmSync(dir, { recursive: true }))
  const [marker, at] = [join(dir, 'marker'), join(dir, 'rcu_expedited')]
  const now = () => readFileSync(at, 'utf8').trim()
  writeFileSync(at, '0\n')
  useSwitch(at)
  useSwitch(join(dir, 'not there')) // changes nothing
  markHurry(marker)
  const [one, other] = [hurry(), hurry()]
  assert.deepEqual([now(), existsSync(marker)], ['1', true])
  one()
  assert.equal(now(), '1')
  other()
  assert.deepEqual([now(), existsSync(marker)], ['0', false])
})
