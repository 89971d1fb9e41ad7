// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { jsonPatch, mergePatch } from './patch.ts'
import { messageOf } from './schema.ts'
import { isReason } from './status.ts'
import { strategicPatch } from './strategic.ts'

test('a merge patch removes by null, merges maps and replaces all else', () => {
  const before = { a: 1, b: { c: 2, d: 3 }, e: [1, 2] }
  assert.deepEqual(mergePatch(before, { a: null, b: { d: null, x: { y: null, z: 1 } }, e: [3] }), {
    b: { c: 2, x: { z: 1 } },
    e: [3],
  })
})

test('a JSON patch adds, replaces, moves, copies and removes, and leaves its target alone', () => {
  const before = { list: ['a', 'c'], map: { 'k/1': 1, 'k~2': 2 } }
  const after = jsonPatch(before, [
    { op: 'add', path: '/list/1', value: 'b' },
    { op: 'add', path: '/list/-', value: 'd' },
    { op: 'replace', path: '/map/k~11', value: 9 },
    { op: 'copy', from: '/map/k~02', path: '/copied' },
    { op: 'move', from: '/list/0', path: '/first' },
    { op: 'remove', path: '/map/k~02' },
    { op: 'test', path: '/list', value: ['b', 'c', 'd'] },
  ])
  assert.deepEqual(after, { list: ['b', 'c', 'd'], map: { 'k/1': 9 }, copied: 2, first: 'a' })
  assert.deepEqual(before.list, ['a', 'c'])
})

test('a JSON patch that tests wrongly, or touches what is not there, is Invalid', () => {
  for (const operation of [
    { op: 'test', path: '/a', value: 2 },
    { op: 'remove', path: '/b' },
    { op: 'replace', path: '/list/5', value: 1 },
    { op: 'add', path: '/no/where', value: 1 },
  ]) {
    assert.throws(
      () => jsonPatch({ a: 1, list: [] }, [operation]),
      (e) => isReason(e, 'Invalid'),
    )
  }
  assert.throws(
    () => jsonPatch({}, [{ op: 'add', path: '/__proto__', value: 1 }]),
    (e) => isReason(e, 'BadRequest'),
  )
})

const pod = messageOf('v1', 'Pod')
const container = (name: string, more: object = {}) => ({ name, ...more })

test('a strategic patch merges containers by name and environment by name', () => {
  const before = {
    spec: { containers: [container('a', { image: 'x', env: [{ name: 'E', value: '1' }] }), container('b')] },
  }
  const patch = { spec: { containers: [container('a', { env: [{ name: 'F', value: '2' }] })] } }
  assert.deepEqual(strategicPatch(pod, before, patch), {
    spec: {
      containers: [
        container('a', {
          image: 'x',
          env: [
            { name: 'E', value: '1' },
            { name: 'F', value: '2' },
          ],
        }),
        container('b'),
      ],
    },
  })
})

test('a strategic patch deletes items, orders them, keeps only given keys and replaces on request', () => {
  const before = {
    spec: { containers: [container('a'), container('b'), container('c')], volumes: [{ name: 'v', emptyDir: {} }] },
  }
  const patch = {
    spec: {
      $setElementOrder: 'ignored',
      '$setElementOrder/containers': [{ name: 'c' }, { name: 'a' }],
      containers: [container('b', { $patch: 'delete' })],
      volumes: [{ name: 'v', $retainKeys: ['name', 'hostPath'], hostPath: { path: '/x' } }],
    },
  }
  assert.deepEqual(strategicPatch(pod, before, patch), {
    spec: { containers: [container('c'), container('a')], volumes: [{ name: 'v', hostPath: { path: '/x' } }] },
  })
  assert.deepEqual(
    strategicPatch(pod, { metadata: { labels: { a: '1' } } }, { metadata: { labels: { $patch: 'replace', b: '2' } } }),
    {
      metadata: { labels: { b: '2' } },
    },
  )
})

test('a strategic patch unites finalizers, takes some out, and replaces lists without a merge key', () => {
  const before = { metadata: { finalizers: ['a', 'b'] }, spec: { tolerations: [{ key: 'x' }] } }
  const patch = {
    metadata: { '$deleteFromPrimitiveList/finalizers': ['a'], finalizers: ['c'] },
    spec: { tolerations: [{ key: 'y' }] },
  }
  assert.deepEqual(strategicPatch(pod, before, patch), {
    metadata: { finalizers: ['b', 'c'] },
    spec: { tolerations: [{ key: 'y' }] },
  })
})

test('an item without its merge key is a bad request', () => {
  assert.throws(
    () => strategicPatch(pod, { spec: { containers: [] } }, { spec: { containers: [{ image: 'x' }] } }),
    (e) => isReason(e, 'BadRequest'),
  )
})
