// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { mkdirSync, readdirSync, unlinkSync } from 'node:fs'
import { test } from 'node:test'
import { loadKept } from '../../../src/edge/kernel/kept.ts'
import { programInfo } from '../../../src/edge/kernel/link.ts'
import { runOnPacket } from '../../../src/edge/kernel/run.ts'
import { afterwards, compile, fixtureSource, workplace } from './fixture.ts'

const verdict = (value: number): Uint8Array => {
  const bytes = new Uint8Array(16)
  bytes[0] = value
  return bytes
}
const packet = new Uint8Array(64)

test('programs are found again by the next process, with their constants, and replaced when those change', (t) => {
  const { dir, pins } = workplace(t)
  const path = compile(dir, fixtureSource)
  const open = (value: number) => {
    const object = loadKept(path, { pins, constants: { settings: verdict(value) } })
    afterwards(t, () => object.close())
    return object
  }
  const id = (object: ReturnType<typeof open>): number => programInfo(object.program('count_and_mark')).id
  const first = open(2)
  const again = open(2)
  assert.equal(id(again), id(first))
  assert.equal(runOnPacket(again.program('count_and_mark'), packet).value, 2)
  assert.deepEqual([...again.programs.keys()].sort(), [...first.programs.keys()].sort())
  assert.ok(again.map('kt_hash') > 0)
  assert.throws(() => again.program('absent'), /no program absent; it has/)

  const changed = open(3)
  assert.notEqual(id(changed), id(first))
  assert.equal(runOnPacket(changed.program('count_and_mark'), packet).value, 3)
  assert.equal(readdirSync(`${pins}/programs`).length, 1)
})

test('half a set that a dying process left is not found, nor programs whose maps were made anew', (t) => {
  const { dir, pins } = workplace(t)
  const path = compile(dir, fixtureSource)
  const first = loadKept(path, { pins })
  afterwards(t, () => first.close())
  const id = programInfo(first.program('count_and_mark')).id
  const [name] = readdirSync(`${pins}/programs`)
  mkdirSync(`${pins}/programs/unfinished-${name}`)
  const second = loadKept(path, { pins })
  afterwards(t, () => second.close())
  assert.equal(programInfo(second.program('count_and_mark')).id, id)

  unlinkSync(`${pins}/kt_counts`)
  const third = loadKept(path, { pins })
  afterwards(t, () => third.close())
  assert.notEqual(programInfo(third.program('count_and_mark')).id, id, 'an unpinned map is made anew')
  const fourth = loadKept(path, { pins })
  afterwards(t, () => fourth.close())
  assert.equal(programInfo(fourth.program('count_and_mark')).id, programInfo(third.program('count_and_mark')).id)
})
