// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { hurry, markHurry, noteSwitch, restoreSwitch, useSwitch } from './grace.ts'

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

test('who outlives agents puts the switch back as it was before them, but for one who has it moved now', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'grace-'))
  t.after(() => rmSync(dir, { recursive: true }))
  const [note, at] = [join(dir, 'note'), join(dir, 'rcu_expedited')]
  const now = () => readFileSync(at, 'utf8').trim()
  writeFileSync(at, '0\n')
  const script = `import { hurry, useSwitch } from '${join(import.meta.dirname, 'grace.ts')}'
    useSwitch(process.argv[1]); hurry(); console.log('moved'); setInterval(() => {}, 1000)`
  const holder = spawn(process.execPath, ['--input-type=module-typescript', '-e', script, at], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  await once(holder.stdout, 'data')
  noteSwitch(note, at) // which says how it stood before
  restoreSwitch(note, at)
  assert.equal(now(), '1', 'somebody has it moved')
  const gone = once(holder, 'exit')
  holder.kill('SIGKILL')
  await gone
  assert.equal(now(), '1', 'nobody has put it back')
  restoreSwitch(note, at)
  assert.equal(now(), '0')

  writeFileSync(at, '1\n')
  rmSync(note)
  noteSwitch(note, at)
  restoreSwitch(note, at)
  assert.equal(now(), '1', 'the administrator has moved it')
})
