// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { existsSync, renameSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { maps as contractMaps } from '../../../gen/contract.ts'
import { openMaps, type Places } from '../../../src/apps/agent/programs.ts'
import { contractMap, mapInfo } from '../../../src/edge/kernel/map.ts'
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
  renameSync(`${pins}/kt_hash`, `${pins}/cilium_services`)
  const upgraded = open()
  assert.deepEqual(upgraded.anew, ['cilium_services'])
  for (const [name, id] of first.ids)
    if (name !== 'cilium_services') assert.equal(upgraded.ids.get(name), id, `${name} stays`)
  assert.ok(existsSync(`${pins}/cilium_services`))
  assert.deepEqual(open(), { anew: [], ids: upgraded.ids })
})

test('where a part of the decision tables is missing, as after a version that had none of it, all of them are made anew', (t) => {
  const { pins } = workplace(t)
  const places: Places = { objects: join(import.meta.dirname, '../../../build/bpf'), maps: pins }
  const fill = openMaps(places, options)
  contractMap(contractMaps.cilium_policies, fill.map('cilium_policies')).put(7, { ingress: 3, egress: 3 })
  contractMap(contractMaps.cilium_epoch, fill.map('cilium_epoch')).put(0, 5)
  fill.close()
  unlinkSync(`${pins}/cilium_class_pages`)
  const anew: string[] = []
  const maps = openMaps(places, options, (name) => anew.push(name))
  afterwards(t, () => maps.close())
  assert.deepEqual(anew.sort(), [
    'cilium_class_index',
    'cilium_policies',
    'cilium_policy_cells',
    'cilium_policy_classes',
    'cilium_policy_pages',
    'cilium_policy_tables',
  ])
  // Who has a policy is closed until it is written again; flows and the epoch go on.
  const policies = contractMap(contractMaps.cilium_policies, maps.map('cilium_policies'))
  assert.deepEqual(policies.get(7), { ingress: 0, egress: 0 })
  assert.equal(contractMap(contractMaps.cilium_epoch, maps.map('cilium_epoch')).get(0), 5)
})
