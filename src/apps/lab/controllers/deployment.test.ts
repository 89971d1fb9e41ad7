// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { deploymentController } from './deployment.ts'
import { type Cluster, type Play, testCluster } from './fixture.ts'
import { garbageController } from './garbage.ts'
import type { Deployment, Pod, ReplicaSet } from './objects.ts'
import { replicaSetController } from './replicaset.ts'
import { rollingStep, scaledNumber } from './rollout.ts'

const deployment = (image: string, replicas: number, more: object = {}) => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name: 'web', namespace: 'default' },
  spec: {
    replicas,
    selector: { matchLabels: { app: 'web' } },
    template: { metadata: { labels: { app: 'web' } }, spec: { containers: [{ name: 'c', image }] } },
    ...more,
  },
})

const start = (play: Play = {}) =>
  testCluster((s) => [deploymentController(s), replicaSetController(s), garbageController(s)], play)
const images = (c: Cluster) => c.store.list<Pod>('pods', { labels: 'app=web' }).map((p) => p.spec.containers[0]?.image)
const get = (c: Cluster) => c.store.get<Deployment>('deployments.apps', 'default', 'web')
const setImage = (c: Cluster, image: string) =>
  c.store.modify<Deployment>('deployments.apps', 'default', 'web', (d) => ({
    ...d,
    spec: { ...d.spec, template: { ...d.spec.template, spec: { containers: [{ name: 'c', image }] } } },
  }))

test('a deployment makes one replica set and its pods, and says so in its status', async () => {
  const c = start()
  c.store.create('deployments.apps', deployment('one', 3))
  await c.idle()
  assert.deepEqual(images(c), ['one', 'one', 'one'])
  const { status } = get(c)
  assert.deepEqual(
    [
      status?.replicas,
      status?.updatedReplicas,
      status?.readyReplicas,
      status?.availableReplicas,
      status?.observedGeneration,
    ],
    [3, 3, 3, 3, get(c).metadata.generation],
  )
  assert.deepEqual(
    status?.conditions?.map((x) => [x.type, x.status, x.reason]),
    [
      ['Available', 'True', 'MinimumReplicasAvailable'],
      ['Progressing', 'True', 'NewReplicaSetAvailable'],
    ],
  )
  const pod = c.store.list<Pod>('pods')[0]
  const set = c.store.list<ReplicaSet>('replicasets.apps')[0]
  assert.equal(pod?.metadata.labels?.['pod-template-hash'], set?.metadata.labels?.['pod-template-hash'])
  assert.match(pod?.metadata.name ?? '', new RegExp(`^${set?.metadata.name}-[a-z0-9]{5}$`))
  assert.deepEqual(c.errors, [])
  c.close()
})

test('a new template rolls out to a new set, keeps the old one at zero and counts the revision', async () => {
  const c = start()
  c.store.create('deployments.apps', deployment('one', 4))
  await c.idle()
  setImage(c, 'two')
  await c.idle()
  assert.deepEqual(images(c), ['two', 'two', 'two', 'two'])
  assert.deepEqual(
    c.store
      .list<ReplicaSet>('replicasets.apps')
      .map((s) => s.spec.replicas)
      .sort(),
    [0, 4],
  )
  assert.equal(get(c).metadata.annotations?.['deployment.kubernetes.io/revision'], '2')
  setImage(c, 'one')
  await c.idle()
  assert.deepEqual(images(c), ['one', 'one', 'one', 'one'])
  assert.equal(c.store.list('replicasets.apps').length, 2)
  assert.equal(get(c).metadata.annotations?.['deployment.kubernetes.io/revision'], '3')
  c.close()
})

test('a template whose pods never get ready leaves the old pods serving', async () => {
  const c = start({ ready: (p) => p.spec.containers[0]?.image !== 'broken' })
  c.store.create('deployments.apps', deployment('one', 4))
  await c.idle()
  setImage(c, 'broken')
  await c.idle()
  assert.deepEqual(images(c).sort(), ['broken', 'broken', 'one', 'one', 'one'])
  assert.deepEqual([get(c).status?.availableReplicas, get(c).status?.updatedReplicas], [3, 2])
  c.close()
})

test('Recreate ends all old pods before the first new one', async () => {
  const c = start()
  let most = 0
  c.store.watch<Pod>('pods', {}, () => {
    most = Math.max(most, new Set(images(c)).size)
  })
  c.store.create('deployments.apps', deployment('one', 3, { strategy: { type: 'Recreate' } }))
  await c.idle()
  setImage(c, 'two')
  await c.idle()
  assert.deepEqual([images(c), most], [['two', 'two', 'two'], 1])
  c.close()
})

test('scaling and a lost pod are made good; deleting the deployment deletes all it made', async () => {
  const c = start()
  c.store.create('deployments.apps', deployment('one', 1))
  await c.idle()
  c.store.modify<Deployment>('deployments.apps', 'default', 'web', (d) => ({ ...d, spec: { ...d.spec, replicas: 5 } }))
  await c.idle()
  const lost = c.store.list<Pod>('pods')[0]?.metadata.name ?? ''
  c.store.delete('pods', 'default', lost)
  await c.idle()
  assert.equal(images(c).length, 5)
  assert.ok(!c.store.find('pods', 'default', lost))
  c.store.modify<Deployment>('deployments.apps', 'default', 'web', (d) => ({ ...d, spec: { ...d.spec, replicas: 2 } }))
  await c.idle()
  assert.equal(images(c).length, 2)
  c.store.delete('deployments.apps', 'default', 'web')
  await c.idle()
  assert.deepEqual([c.store.list('replicasets.apps').length, c.store.list('pods').length], [0, 0])
  assert.deepEqual(c.errors, [])
  c.close()
})

test('a rolling step never breaks surge or availability, and steps end in the wanted state', () => {
  fc.assert(
    fc.property(
      fc.record({
        desired: fc.nat(12),
        maxSurge: fc.nat(4),
        maxUnavailable: fc.nat(4),
        current: fc.nat(12),
        old: fc.array(fc.nat(8), { maxLength: 3 }),
      }),
      ({ desired, maxSurge, maxUnavailable, current, old }) => {
        if (maxSurge + maxUnavailable === 0) return
        let state = { current, old: old as readonly number[] }
        for (let i = 0; i < 200; i++) {
          const available = state.old.reduce((n, r) => n + r, state.current)
          const all = (n: number) => ({ replicas: n, available: n })
          const next = rollingStep({
            desired,
            maxSurge,
            maxUnavailable,
            current: all(state.current),
            old: state.old.map(all),
          })
          const total = next.old.reduce((n, r) => n + r, next.current)
          assert.ok(total <= Math.max(desired + maxSurge, available))
          // Pods just asked for are not available yet, those taken away are gone.
          const left = Math.min(next.current, state.current) + next.old.reduce((n, r) => n + r, 0)
          assert.ok(left >= Math.min(available, desired - maxUnavailable))
          state = next
        }
        assert.deepEqual([state.current, ...state.old], [desired, ...old.map(() => 0)])
      },
    ),
  )
})

test('percentages round as asked and numbers stay', () => {
  assert.deepEqual(
    [scaledNumber('25%', 3, Math.ceil), scaledNumber('25%', 3, Math.floor), scaledNumber(2, 9, Math.floor)],
    [1, 0, 2],
  )
})
