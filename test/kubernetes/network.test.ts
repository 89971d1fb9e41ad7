// SPDX-License-Identifier: Apache-2.0
/** A minute of Kubernetes' own tests of networking; `make test-network` runs all that are the product's. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testNetwork } from './suites.ts'

const some = [
  'Pods should function for intra-pod communication: http',
  'Pods should function for node-pod communication: udp',
  'HostPort validates that there is no conflict',
  'should allow pods to hairpin back to themselves',
  'should be rejected when no endpoints exist',
  'should have session affinity work for NodePort service',
  'should implement NodePort and HealthCheckNodePort correctly',
  'should respect internalTrafficPolicy=Local Pod to Pod',
  'should support externalTrafficPolicy=Local for type=NodePort',
  'server pod cycles for a ClusterIP service and client is hostNetwork',
  'to an endpoint in the same zone when using PreferClose',
  'DNS should provide DNS for services',
]

test("of Kubernetes' own tests of networking, some of each subject pass", async () => {
  const { code, passed, failed, skipped } = await testNetwork(some.join('|'), () => {})
  assert.deepEqual({ code, failed, skipped }, { code: 0, failed: [], skipped: [] })
  assert.equal(passed.length, some.length)
})
