// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseCiliumEndpoint } from './endpoint.ts'
import { parseCiliumIdentity } from './identity.ts'
import { parseCiliumNode, parseNode } from './node.ts'
import { parseNamespace, parsePod } from './pod.ts'
import { parsePolicyObject } from './policy.ts'
import { parseEndpointSlice, parseService } from './service.ts'

test('a pod gives its addresses, node and the names of its ports, sidecars that stay included', () => {
  const pod = parsePod({
    metadata: { name: 'web', namespace: 'default', uid: 'u' },
    spec: {
      nodeName: 'n1',
      containers: [{ ports: [{ name: 'http', containerPort: 80 }, { containerPort: 1 }] }],
      initContainers: [
        { restartPolicy: 'Always', ports: [{ name: 'admin', containerPort: 9, protocol: 'UDP' }] },
        { ports: [{ name: 'gone', containerPort: 8 }] },
      ],
    },
    status: { phase: 'Running', podIPs: [{ ip: '10.0.0.1' }, { ip: 'fd00::1' }], hostIP: '1.1.1.1' },
  })
  assert(pod.ok)
  assert.deepEqual(pod.value.podIPs, ['10.0.0.1', 'fd00::1'])
  assert.deepEqual(pod.value.namedPorts, [
    { name: 'admin', port: 9, protocol: 'UDP' },
    { name: 'http', port: 80, protocol: 'TCP' },
  ])
})

test('an identity object is its number and labels; another name or no labels is an error with its field', () => {
  const good = parseCiliumIdentity({ metadata: { name: '1234' }, 'security-labels': { 'k8s:app': 'web', 'k8s:x': '' } })
  assert(good.ok)
  assert.equal(good.value.number, 1234)
  assert.deepEqual(good.value.labels, ['k8s:app=web', 'k8s:x'])
  for (const [object, field] of [
    [{ metadata: { name: 'abc' }, 'security-labels': { 'k8s:a': '' } }, 'metadata.name'],
    [{ metadata: { name: '99999999' }, 'security-labels': { 'k8s:a': '' } }, 'metadata.name'],
    [{ metadata: { name: '300' } }, 'security-labels'],
  ] as const) {
    const bad = parseCiliumIdentity(object)
    assert(!bad.ok)
    assert.equal(bad.error.field, field)
  }
})

test('a headless service has no addresses, and a slice endpoint without conditions is ready', () => {
  const service = parseService({ metadata: { name: 's' }, spec: { clusterIP: 'None', ports: [{ port: 80 }] } })
  assert(service.ok)
  assert.deepEqual(service.value.clusterIPs, [])
  const slice = parseEndpointSlice({
    metadata: { name: 's-1', labels: { 'kubernetes.io/service-name': 's' } },
    endpoints: [
      { addresses: ['10.0.0.1'] },
      { addresses: ['10.0.0.2'], conditions: { ready: false, terminating: true } },
    ],
  })
  assert(slice.ok)
  assert.deepEqual(
    slice.value.endpoints.map((e) => [e.ready, e.serving, e.terminating]),
    [
      [true, true, false],
      [false, false, true],
    ],
  )
})

test('a policy row does not change with its status', () => {
  const of = (status: unknown, resourceVersion: string) =>
    parsePolicyObject('NetworkPolicy', { metadata: { name: 'p', resourceVersion }, spec: { podSelector: {} }, status })
  assert.deepEqual(of({ conditions: [1] }, '1'), of(undefined, '2'))
})

test('no object, however odd, makes a reader throw', () => {
  const readers = [
    parsePod,
    parseNamespace,
    parseNode,
    parseCiliumNode,
    parseCiliumEndpoint,
    parseCiliumIdentity,
    parseService,
    parseEndpointSlice,
    (o: unknown) => parsePolicyObject('CiliumNetworkPolicy', o),
  ]
  const odd = fc.anything()
  const shaped = fc.record({
    metadata: fc.oneof(odd, fc.record({ name: odd, namespace: odd, labels: odd })),
    spec: odd,
    status: odd,
  })
  fc.assert(
    fc.property(fc.oneof(odd, shaped), (object) => {
      for (const read of readers) assert.equal(typeof read(object).ok, 'boolean')
    }),
  )
})
