// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { anchorsOf, labelSet, labelSetKey, labelsOfSecurityMap, parseLabel, securityMapOfLabels } from './labels.ts'

test('a label is read as source, key and value, with = and : only where they belong', () => {
  assert.deepEqual(parseLabel('k8s:app=web'), { source: 'k8s', key: 'app', value: 'web' })
  assert.deepEqual(parseLabel('app=a:b=c'), { source: 'unspec', key: 'app', value: 'a:b=c' })
  assert.deepEqual(parseLabel('reserved:host'), { source: 'reserved', key: 'host', value: '' })
})

test('security labels survive the way into an object and back', () => {
  const label = fc.record({
    source: fc.constantFrom('k8s', 'cni'),
    key: fc.stringMatching(/^[a-z./-]{1,9}$/),
    value: fc.stringMatching(/^[a-z0-9]{0,4}$/),
  })
  fc.assert(
    fc.property(fc.uniqueArray(label, { selector: (l) => `${l.source}:${l.key}` }), (labels) => {
      const set = labelSet(labels)
      assert.deepEqual(labelsOfSecurityMap(securityMapOfLabels(set)), set)
    }),
  )
})

test('the key of a set does not depend on order and tells sets apart', () => {
  assert.equal(labelSetKey(labelSet(['k8s:b=1', 'k8s:a=1'])), labelSetKey(labelSet(['k8s:a=1', 'k8s:b=1'])))
  assert.notEqual(labelSetKey(labelSet(['k8s:a=1'])), labelSetKey(labelSet(['k8s:a=1', 'k8s:a=2'])))
})

test('a set is found under each of its labels, with and without the value', () => {
  assert.deepEqual(anchorsOf(['k8s:app=web', 'reserved:host']), ['app=web', 'app', 'host=', 'host'])
})
