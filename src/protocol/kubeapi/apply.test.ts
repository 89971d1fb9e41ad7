// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { serverSideApply, trackUpdate } from './apply.ts'
import { messageShape, schemaShape } from './fieldset.ts'
import type { KubeObject } from './object.ts'
import { messageOf } from './schema.ts'
import { isReason, StatusError } from './status.ts'

const shape = messageShape(messageOf('apps/v1', 'Deployment')!)
const base = { apiVersion: 'apps/v1', kind: 'Deployment', metadata: { name: 'd' } }
const apply = (live: KubeObject | undefined, manager: string, body: object, force = false): KubeObject =>
  serverSideApply(shape, live, {
    body: { ...base, ...body },
    manager,
    force,
    apiVersion: 'apps/v1',
    time: '2024-01-01T00:00:00Z',
  }) as unknown as KubeObject
const pods = (...containers: object[]) => ({ template: { spec: { containers } } })

test('what a manager no longer applies goes, what another holds stays', () => {
  let live = apply(undefined, 'a', {
    spec: { replicas: 2, paused: true, ...pods({ name: 'x', image: 'i', env: [{ name: 'E', value: '1' }] }) },
  })
  live = apply(live, 'b', { spec: { replicas: 2 } })
  live = apply(live, 'a', { spec: pods({ name: 'x', image: 'i' }) })
  assert.deepEqual(live['spec'], { replicas: 2, template: { spec: { containers: [{ name: 'x', image: 'i' }] } } })
  assert.deepEqual(
    live.metadata.managedFields?.map((m) => m.manager),
    ['b', 'a'],
  )
})

test('a list item that no one applies any more goes; one that another added stays', () => {
  let live = apply(undefined, 'a', { spec: pods({ name: 'x', image: 'i' }, { name: 'y', image: 'i' }) })
  live = apply(live, 'b', { spec: pods({ name: 'z', image: 'i' }) })
  live = apply(live, 'a', { spec: pods({ name: 'y', image: 'i' }) })
  assert.deepEqual(live['spec'], pods({ name: 'y', image: 'i' }, { name: 'z', image: 'i' }))
})

test('another manager changing an owned value is a conflict that names it; force takes it over', () => {
  const live = apply(undefined, 'a', { spec: { replicas: 2, ...pods({ name: 'x', image: 'i' }) } })
  const change = { spec: { replicas: 3, ...pods({ name: 'x', image: 'j' }) } }
  assert.throws(
    () => apply(live, 'b', change),
    (error) => {
      assert.ok(error instanceof StatusError && isReason(error, 'Conflict'))
      assert.deepEqual(
        error.status.details?.causes?.map((c) => c.field),
        ['.spec.replicas', '.spec.template.spec.containers[name="x"].image'],
      )
      return true
    },
  )
  const taken = apply(live, 'b', change, true)
  assert.equal((taken['spec'] as { replicas: number }).replicas, 3)
  const a = taken.metadata.managedFields?.find((m) => m.manager === 'a')
  assert.deepEqual(a?.fieldsV1, {
    'f:spec': { 'f:template': { 'f:spec': { 'f:containers': { 'k:{"name":"x"}': { '.': {}, 'f:name': {} } } } } },
  })
})

test('applying the same again changes nothing, and equal values are shared without conflict', () => {
  const live = apply(undefined, 'a', { spec: { replicas: 2 } })
  assert.deepEqual(apply(live, 'a', { spec: { replicas: 2 } }), live)
  assert.equal(apply(live, 'b', { spec: { replicas: 2 } }).metadata.managedFields?.length, 2)
})

test('ports of a container are told apart by number and protocol, TCP where none is given', () => {
  let live = apply(undefined, 'a', { spec: pods({ name: 'x', ports: [{ containerPort: 53, protocol: 'UDP' }] }) })
  live = apply(live, 'a', {
    spec: pods({ name: 'x', ports: [{ containerPort: 53, protocol: 'UDP' }, { containerPort: 53 }] }),
  })
  const [x] = (live['spec'] as ReturnType<typeof pods>).template.spec.containers as { ports: object[] }[]
  assert.equal(x?.ports.length, 2)
})

test('a plain update takes what it changed from the one who applied it', () => {
  const live = apply(undefined, 'a', { spec: { replicas: 2, paused: true } })
  const next = { ...live, spec: { replicas: 5, paused: true } }
  const managed = trackUpdate(shape, live, next, 'kubectl', '2024-01-02T00:00:00Z')
  assert.deepEqual(
    managed.map((m) => [m.manager, m.operation, m.fieldsV1]),
    [
      ['a', 'Apply', { 'f:spec': { 'f:paused': {} } }],
      ['kubectl', 'Update', { 'f:spec': { 'f:replicas': {} } }],
    ],
  )
})

test('lists of a custom resource are merged as its schema says, and owned whole where it says nothing', () => {
  const keyed = schemaShape({
    type: 'object',
    properties: {
      spec: {
        type: 'object',
        properties: {
          plain: { type: 'array', items: { type: 'string' } },
          keyed: {
            type: 'array',
            'x-kubernetes-list-type': 'map',
            'x-kubernetes-list-map-keys': ['id'],
            items: { type: 'object', properties: { id: { type: 'string' } } },
          },
        },
      },
    },
  })
  const go = (live: KubeObject | undefined, manager: string, spec: object) =>
    serverSideApply(keyed, live, {
      body: { ...base, spec },
      manager,
      force: true,
      apiVersion: 'x/v1',
      time: '',
    }) as unknown as KubeObject
  const live = go(go(undefined, 'a', { plain: ['a'], keyed: [{ id: '1' }] }), 'b', {
    plain: ['b'],
    keyed: [{ id: '2' }],
  })
  assert.deepEqual(live['spec'], { plain: ['b'], keyed: [{ id: '1' }, { id: '2' }] })
})
