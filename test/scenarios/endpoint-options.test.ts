// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { endpointOptions } from '../../src/model/rows.ts'
import { connection, openWorld } from './world.ts'

const pod = (name: string) => ({
  kind: 'Pod',
  metadata: { name, labels: { app: 'web' } },
  spec: { containers: [] },
  status: {},
})

test('audit and enforcement of one endpoint leave others of its labels as they are', () => {
  const world = openWorld()
  world.apply([
    pod('a'),
    pod('b'),
    pod('c'),
    { kind: 'NetworkPolicy', metadata: { name: 'shut' }, spec: { podSelector: { matchLabels: { app: 'web' } } } },
  ])
  const verdicts = () =>
    ['a', 'b', 'c'].map((name) => connection(world, 'world', `default/${name}`, 'TCP', 80).ingress?.verdict)
  assert.deepEqual(verdicts(), ['none', 'none', 'none'])
  world.db.commit((tx) => {
    tx.put(endpointOptions, { attachment: 'default/a:eth0', policyAuditMode: true, policyEnforced: true })
    tx.put(endpointOptions, { attachment: 'default/b:eth0', policyAuditMode: false, policyEnforced: false })
  })
  world.apply([])
  assert.deepEqual(verdicts(), ['audit', 'allow', 'none'])
  world.db.commit((tx) => tx.remove(endpointOptions, 'default/a:eth0'))
  world.apply([])
  assert.deepEqual(verdicts(), ['none', 'allow', 'none'])
})
