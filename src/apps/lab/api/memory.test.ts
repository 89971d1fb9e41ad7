// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { builtinResources } from '../../../protocol/kubeapi/resources.ts'
import { isReason } from '../../../protocol/kubeapi/status.ts'
import { openStore } from './memory.ts'
import type { Draft, Store, WatchEvent } from './store.ts'

const open = (history = 100): Store => {
  const store = openStore({
    clock: { now: () => 1_700_000_000_000, monotonic: () => 0 },
    resources: builtinResources,
    history,
  })
  store.create('namespaces', { metadata: { name: 'default' }, spec: { finalizers: ['kubernetes'] } })
  return store
}
const pod = (name: string, more: object = {}): Draft => ({
  metadata: { name, namespace: 'default', labels: { app: name } },
  ...more,
})
const turn = () => new Promise<void>((resolve) => setImmediate(resolve))
const refused = (reason: string) => (error: unknown) => isReason(error, reason)

test('a created object gets uid, timestamp, generation and the next resource version', () => {
  const store = open()
  const before = store.revision
  const made = store.create('pods', pod('a'))
  assert.equal(made.metadata.resourceVersion, String(before + 1))
  assert.equal(made.metadata.creationTimestamp, '2023-11-14T22:13:20Z')
  assert.equal(made.metadata.generation, 1)
  assert.match(made.metadata.uid ?? '', /^[0-9a-f-]{36}$/)
  assert.equal(made.kind, 'Pod')
})

test('names that exist, namespaces that do not, and stale versions are refused with their reasons', () => {
  const store = open()
  const made = store.create('pods', pod('a'))
  assert.throws(() => store.create('pods', pod('a')), refused('AlreadyExists'))
  assert.throws(() => store.create('pods', { metadata: { name: 'a', namespace: 'nope' } }), refused('NotFound'))
  store.update('pods', { ...made, spec: { nodeName: 'n' } })
  assert.throws(() => store.update('pods', { ...made, spec: { nodeName: 'm' } }), refused('Conflict'))
  assert.throws(() => store.get('pods', 'default', 'b'), refused('NotFound'))
})

test('a status write leaves the spec alone and a main write leaves the status alone', () => {
  const store = open()
  const made = store.create('pods', pod('a', { spec: { x: 1 } }))
  const running = store.updateStatus('pods', { ...made, spec: { x: 2 }, status: { phase: 'Running' } })
  assert.deepEqual(running['spec'], { x: 1 })
  assert.equal(running.metadata.generation, 1)
  const moved = store.update('pods', { ...running, spec: { x: 3 }, status: { phase: 'Failed' } })
  assert.deepEqual(moved['status'], { phase: 'Running' })
  assert.equal(moved.metadata.generation, 2)
})

test('a write that changes nothing keeps the resource version', () => {
  const store = open()
  const made = store.create('pods', pod('a', { spec: { x: 1 } }))
  assert.equal(store.update('pods', { ...made }), made)
})

test('a scheduled pod ends gracefully, an unscheduled one at once', () => {
  const store = open()
  store.create('pods', pod('a', { spec: { nodeName: 'n', terminationGracePeriodSeconds: 5 } }))
  const ending = store.delete('pods', 'default', 'a')
  assert.equal(ending.kind, 'Pod')
  assert.equal((ending as Draft).metadata.deletionTimestamp, '2023-11-14T22:13:25Z')
  assert.equal(store.delete('pods', 'default', 'a', { gracePeriodSeconds: 0 }).kind, 'Status')
  store.create('pods', pod('b'))
  assert.equal(store.delete('pods', 'default', 'b').kind, 'Status')
  assert.equal(store.list('pods').length, 0)
})

test('the last finalizer removed removes an object that is being deleted, and none may be added', () => {
  const store = open()
  store.create('configmaps', { metadata: { name: 'c', namespace: 'default', finalizers: ['x/y'] } })
  const held = store.delete('configmaps', 'default', 'c') as Draft
  assert.throws(
    () => store.update('configmaps', { ...held, metadata: { ...held.metadata, finalizers: ['x/y', 'z/z'] } }),
    refused('Invalid'),
  )
  store.update('configmaps', { ...held, metadata: { ...held.metadata, finalizers: [] } })
  assert.equal(store.find('configmaps', 'default', 'c'), undefined)
})

test('a namespace waits for its spec finalizers and takes no new content meanwhile', () => {
  const store = open()
  const ending = store.delete('namespaces', '', 'default') as Draft
  assert.deepEqual(ending['status'], { phase: 'Terminating' })
  assert.throws(() => store.create('pods', pod('a')), refused('Forbidden'))
  store.modify('namespaces', '', 'default', (n) => ({ ...n, spec: { finalizers: [] } }))
  assert.equal(store.find('namespaces', '', 'default'), undefined)
})

test('a watch tells what is there, a bookmark, then each change in order, across its selector', async () => {
  const store = open()
  store.create('pods', pod('a'))
  const events: string[] = []
  const stop = store.watch('pods', { labels: 'app in (a,b)' }, (e: WatchEvent) =>
    events.push(e.type === 'BOOKMARK' ? 'BOOKMARK' : `${e.type} ${e.object.metadata.name}`),
  )
  store.create('pods', pod('b'))
  store.create('pods', pod('c'))
  store.modify('pods', 'default', 'c', (p) => ({ ...p, metadata: { ...p.metadata, labels: { app: 'a' } } }))
  store.modify('pods', 'default', 'a', (p) => ({ ...p, metadata: { ...p.metadata, labels: {} } }))
  await turn()
  stop()
  store.delete('pods', 'default', 'b')
  await turn()
  assert.deepEqual(events, ['ADDED a', 'BOOKMARK', 'ADDED b', 'ADDED c', 'DELETED a'])
})

test('a watch from the past replays what it missed, and too long ago is Expired', async () => {
  const store = open(4)
  const first = store.create('pods', pod('a')).metadata.resourceVersion
  store.create('pods', pod('b'))
  const names: (string | undefined)[] = []
  store.watch('pods', { since: Number(first) }, (e) => e.type !== 'BOOKMARK' && names.push(e.object.metadata.name))
  store.create('pods', pod('c'))
  await turn()
  assert.deepEqual(names, ['b', 'c'])
  store.create('pods', pod('d'))
  assert.throws(() => store.watch('pods', { since: Number(first) }, () => {}), refused('Expired'))
})

test('a watcher that throws does not keep an event from the others', async () => {
  const store = open()
  const names: (string | undefined)[] = []
  store.watch('pods', {}, () => {
    throw new Error('mine')
  })
  store.watch('pods', {}, (e) => e.type === 'ADDED' && names.push(e.object.metadata.name))
  store.create('pods', pod('a'))
  await turn()
  assert.deepEqual(names, ['a'])
})

test('a dry run answers the object and stores nothing', () => {
  const store = open()
  const before = store.revision
  assert.equal(store.create('pods', pod('a'), { dryRun: true }).metadata.name, 'a')
  assert.equal(store.revision, before)
})
