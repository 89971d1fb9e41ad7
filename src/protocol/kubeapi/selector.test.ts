// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fieldTest } from './fields.ts'
import type { KubeObject } from './object.ts'
import { builtinResources } from './resources.ts'
import { matchesLabels, parseLabelSelector, printLabelSelector } from './selector.ts'
import { isReason } from './status.ts'

const labels = { app: 'web', tier: 'front', 'example.org/team': 'a' }
const cases: readonly (readonly [string, boolean])[] = [
  ['', true],
  ['app=web', true],
  ['app==web,tier!=back', true],
  ['app = web , tier in (front, back)', true],
  ['tier notin (front)', false],
  ['missing notin (x)', true],
  ['example.org/team', true],
  ['!example.org/team', false],
  ['!nothing', true],
  ['app=', false],
  ['app in (a,b),tier', false],
]
for (const [text, expected] of cases) {
  test(`the selector '${text}' ${expected ? 'takes' : 'leaves'} the labels`, () => {
    assert.equal(parseLabelSelector(text)(labels), expected)
  })
}

test('a selector that can not be read is a bad request', () => {
  for (const text of ['a b', 'a in x', '=x', 'a=b=c'])
    assert.throws(
      () => parseLabelSelector(text),
      (e) => isReason(e, 'BadRequest'),
      text,
    )
})

test('a label selector object selects by labels and expressions; none selects nothing, an empty one all', () => {
  assert.equal(matchesLabels(undefined, labels), false)
  assert.equal(matchesLabels({}, labels), true)
  const matchExpressions = [
    { key: 'tier', operator: 'In', values: ['front'] },
    { key: 'x', operator: 'DoesNotExist' },
  ] as const
  assert.equal(matchesLabels({ matchLabels: { app: 'web' }, matchExpressions }, labels), true)
  assert.equal(printLabelSelector({ matchLabels: { app: 'web' }, matchExpressions }), '!x,app=web,tier in (front)')
  assert.equal(printLabelSelector({}), '<none>')
})

test('field selectors read known fields only', () => {
  const pods = builtinResources.find((r) => r.plural === 'pods')!
  const pod = {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'a', namespace: 'n' },
    spec: { nodeName: 'x' },
  } as KubeObject
  assert.equal(fieldTest(pods, 'spec.nodeName=x,metadata.name!=b')(pod), true)
  assert.equal(fieldTest(pods, 'spec.hostNetwork=false')(pod), true)
  assert.equal(fieldTest(pods, 'status.phase=Running')(pod), false)
  assert.throws(
    () => fieldTest(pods, 'spec.color=red'),
    (e) => isReason(e, 'BadRequest'),
  )
})
