// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { existsSync, renameSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { maps as contractMaps } from '../../../gen/contract.ts'
import { openMaps, type Places } from '../../../src/apps/agent/programs.ts'
import { mapInfo } from '../../../src/edge/kernel/map.ts'
import { loadObject } from '../../../src/edge/kernel/object.ts'
import { afterwards, compile, fixtureSource, workplace } from '../edge/fixture.ts'

const options = { 'bpf-ct-global-tcp-max': 1000, 'bpf-ct-global-any-max': 500 }

test('an agent takes over the maps of its own shapes, and makes those of another version anew', (t) => {
  const { dir, pins } = workplace(t)
  const places: Places = { objects: join(import.meta.dirname, '../../../build/bpf'), maps: pins }
  const open = (): { readonly anew: readonly string[]; readonly ids: ReadonlyMap<string, number> } => {
    const anew: string[] = []
    const maps = openMaps(places, options, (name) => anew.push(name))
    afterwards(t, () => maps.close())
    return { anew, ids: new Map(Object.keys(contractMaps).map((name) => [name, mapInfo(maps.map(name)).id])) }
  }
  const first = open()
  assert.deepEqual(open(), { anew: [], ids: first.ids })

  const other = loadObject(compile(dir, fixtureSource), { pins })
  afterwards(t, () => other.close())
  renameSync(`${pins}/kt_hash`, `${pins}/cilium_policy_cells`)
  const upgraded = open()
  assert.deepEqual(upgraded.anew, ['cilium_policy_cells'])
  for (const [name, id] of first.ids)
    if (name !== 'cilium_policy_cells') assert.equal(upgraded.ids.get(name), id, `${name} stays`)
  assert.ok(existsSync(`${pins}/cilium_policy_cells`))
  assert.deepEqual(open(), { anew: [], ids: upgraded.ids })
})
