// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { humanDuration } from './duration.ts'
import { atPath, parseJsonPath } from './jsonpath.ts'
import type { KubeObject } from './object.ts'
import { builtinResources, type Resource, resourceName } from './resources.ts'
import { columnsOf } from './table.ts'

const seconds = (n: number) => humanDuration(n * 1000)
test('ages are printed as kubectl prints them', () => {
  assert.deepEqual(
    [0, 119, 133, 600, 11_040, 36_000, 172_799, 200_000, 691_200, 63_072_000, 65_664_000, 300_000_000].map(seconds),
    ['0s', '119s', '2m13s', '10m', '3h4m', '10h', '47h', '2d7h', '8d', '2y', '2y30d', '9y'],
  )
})

const now = Date.parse('2024-01-01T00:10:00Z')
const resource = (name: string): Resource => builtinResources.find((r) => resourceName(r) === name)!
const row = (name: string, object: object): readonly unknown[] =>
  columnsOf(resource(name), undefined).map((c) =>
    c.cell(
      {
        apiVersion: '',
        kind: '',
        metadata: { name: 'x', creationTimestamp: '2024-01-01T00:00:00Z' },
        ...object,
      } as KubeObject,
      now,
    ),
  )

const containers = [{ name: 'a' }, { name: 'b' }]
const running = { ready: true, restartCount: 0, state: { running: {} } }
const podRows: readonly (readonly [string, object, readonly unknown[]])[] = [
  ['pending', { spec: { containers }, status: { phase: 'Pending' } }, ['0/2', 'Pending', '0']],
  [
    'running',
    { spec: { containers }, status: { phase: 'Running', containerStatuses: [running, running] } },
    ['2/2', 'Running', '0'],
  ],
  [
    'crashing',
    {
      spec: { containers },
      status: {
        phase: 'Running',
        containerStatuses: [
          running,
          {
            restartCount: 3,
            state: { waiting: { reason: 'CrashLoopBackOff' } },
            lastState: { terminated: { finishedAt: '2024-01-01T00:09:30Z' } },
          },
        ],
      },
    },
    ['1/2', 'CrashLoopBackOff', '3 (30s ago)'],
  ],
  [
    'initialising',
    {
      spec: { containers, initContainers: [{ name: 'i' }, { name: 'j' }] },
      status: {
        phase: 'Pending',
        initContainerStatuses: [{ state: { terminated: { exitCode: 0 } } }, { state: { running: {} } }],
      },
    },
    ['0/2', 'Init:1/2', '0'],
  ],
  [
    'completed',
    {
      spec: { containers: [{ name: 'a' }] },
      status: {
        phase: 'Succeeded',
        containerStatuses: [{ state: { terminated: { exitCode: 0, reason: 'Completed' } } }],
      },
    },
    ['0/1', 'Completed', '0'],
  ],
  [
    'ending',
    {
      metadata: { name: 'x', creationTimestamp: '2024-01-01T00:00:00Z', deletionTimestamp: '2024-01-01T00:10:00Z' },
      spec: { containers },
      status: { phase: 'Running', containerStatuses: [running, running] },
    },
    ['2/2', 'Terminating', '0'],
  ],
]
for (const [name, pod, expected] of podRows) {
  test(`a pod that is ${name} reads so`, () => assert.deepEqual(row('pods', pod).slice(1, 4), expected))
}

test('services show their ports and outer addresses', () => {
  const spec = {
    type: 'LoadBalancer',
    clusterIP: '10.96.0.9',
    ports: [
      { port: 80, nodePort: 30080, protocol: 'TCP' },
      { port: 53, protocol: 'UDP' },
    ],
    selector: { b: '2', a: '1' },
  }
  assert.deepEqual(row('services', { spec }), [
    'x',
    'LoadBalancer',
    '10.96.0.9',
    '<pending>',
    '80:30080/TCP,53/UDP',
    '10m',
    'a=1,b=2',
  ])
})

test('nodes show readiness, roles and addresses', () => {
  const status = {
    conditions: [{ type: 'Ready', status: 'True' }],
    addresses: [{ type: 'InternalIP', address: '10.0.0.1' }],
    nodeInfo: { kubeletVersion: 'v1.34.0' },
  }
  const metadata = {
    name: 'n',
    creationTimestamp: '2024-01-01T00:00:00Z',
    labels: { 'node-role.kubernetes.io/control-plane': '' },
  }
  assert.deepEqual(row('nodes', { metadata, spec: { unschedulable: true }, status }).slice(0, 6), [
    'n',
    'Ready,SchedulingDisabled',
    'control-plane',
    '10m',
    'v1.34.0',
    '10.0.0.1',
  ])
})

test('printer columns of a definition read filters, escaped dots, indexes and dates', () => {
  const object = {
    metadata: { labels: { 'a.b/c': 'L' }, creationTimestamp: '2024-01-01T00:00:00Z' },
    spec: {
      addresses: [
        { type: 'A', ip: '1' },
        { type: 'B', ip: '2' },
      ],
    },
  }
  const read = (path: string) => atPath(object, parseJsonPath(path))
  assert.deepEqual(read('.spec.addresses[?(@.type=="B")].ip'), ['2'])
  assert.deepEqual(read('.metadata.labels.a\\.b/c'), ['L'])
  assert.deepEqual(read('.spec.addresses[0].type'), ['A'])
  assert.deepEqual(read('.spec.addresses[*].ip'), ['1', '2'])
  assert.deepEqual(read('.spec.nothing'), [])
  const custom: Resource = { ...resource('pods'), group: 'x', custom: true }
  const columns = columnsOf(custom, [{ name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' }])
  assert.deepEqual(
    columns.map((c) => c.cell({ ...object, apiVersion: '', kind: '' } as KubeObject, now)),
    ['', '10m'],
  )
})
