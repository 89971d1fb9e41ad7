// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { parse } from 'yaml'
import { VERSION } from '../../src/model/release.ts'

const root = join(import.meta.dirname, '../..')
const read = (path: string): string => readFileSync(join(root, path), 'utf8')

test('the chart has the version of the release it offers, and the tag that images get', () => {
  const { version } = JSON.parse(read('package.json')) as { version: string }
  const chart = parse(read('charts/cilium/Chart.yaml')) as { version: string; appVersion: string }
  assert.deepEqual([chart.version, chart.appVersion], [VERSION, `v${version}`])
  for (const file of readdirSync(join(root, 'src/apps/lab/manifests')))
    for (const [, tag] of read(`src/apps/lab/manifests/${file}`).matchAll(/image: quay\.io\/cilium\/[a-z-]+:(\S+)/g))
      assert.equal(tag, `v${version}`, file)
})

test('every value of the chart has its line in the schema, with a type that takes it, and no other value has one', () => {
  interface Schema {
    readonly properties?: Readonly<Record<string, Schema>>
    readonly additionalProperties?: boolean
  }
  const walk = (value: unknown, schema: Schema | undefined, path: string): void => {
    assert.ok(schema, `${path} is in values.yaml and not in values.schema.json`)
    if (!schema.properties || typeof value !== 'object' || value === null) return
    assert.equal(schema.additionalProperties, false, `${path} takes anything`)
    const held = value as Readonly<Record<string, unknown>>
    for (const key of Object.keys(held)) walk(held[key], schema.properties[key], `${path}.${key}`)
    for (const key of Object.keys(schema.properties))
      if (path !== 'values' || key !== 'global')
        assert.ok(key in held, `${path}.${key} is in values.schema.json and not in values.yaml`)
  }
  walk(
    parse(read('charts/cilium/values.yaml')),
    JSON.parse(read('charts/cilium/values.schema.json')) as Schema,
    'values',
  )
})
