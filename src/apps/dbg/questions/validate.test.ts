// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { readManifests } from './manifests.ts'
import { findingsOf, findingText } from './validate.ts'

/** What is said of a file of this text, without its folder. */
function said(t: TestContext, text: string): readonly string[] {
  const dir = mkdtempSync(join(tmpdir(), 'validate-'))
  t.after(() => rmSync(dir, { recursive: true }))
  writeFileSync(join(dir, 'p.yaml'), text)
  return findingsOf(readManifests([dir]), undefined).map((f) => findingText(f).replace(`${dir}/`, ''))
}

const policy = (spec: string) =>
  `apiVersion: cilium.io/v2\nkind: CiliumNetworkPolicy\nmetadata: {name: p}\nspec:\n  endpointSelector: {}\n${spec}`

test('words that kubectl takes for true or false are no texts here either', (t) => {
  assert.deepEqual(said(t, policy('  ingress: [{fromEndpoints: [{matchLabels: {debug: yes}}]}]\n')), [
    'p.yaml:6:45: error: spec.ingress[0].fromEndpoints[0].matchLabels.debug: must be a string, not a boolean (in quotes, as are all words that YAML takes for true or false)',
  ])
  assert.deepEqual(said(t, policy('  ingress: [{fromEndpoints: [{matchLabels: {debug: "yes"}}]}]\n')), [])
})

test('a field that is there twice is named', (t) => {
  assert.deepEqual(said(t, policy('  egress: [{}]\n  egress: [{}]\n')), [
    "p.yaml:7:3: error: 'egress' is there twice: make it one",
  ])
})

test('groups of prefixes are read too', (t) => {
  const group = (spec: string) => `kind: CiliumCIDRGroup\nmetadata: {name: g}\nspec: ${spec}\n`
  assert.deepEqual(said(t, group('{externalCIDRs: [10.0.0.0/8, 10.0.0.0/40]}')), [
    "p.yaml:3:36: error: spec.externalCIDRs[1]: '10.0.0.0/40' is not a prefix",
  ])
  assert.deepEqual(said(t, group('{cidrs: [10.0.0.0/8]}')), [
    "p.yaml:3:8: error: spec.cidrs: unknown field (did you mean 'externalCIDRs'?)",
  ])
})
