// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { celProblems } from './cel.ts'
import { prune, type Schema, withDefaults } from './structural.ts'
import { validate } from './validation.ts'

const schema: Schema = {
  type: 'object',
  properties: {
    spec: {
      type: 'object',
      required: ['name'],
      properties: {
        name: { type: 'string', maxLength: 5, pattern: '^[a-z]+$' },
        weight: { type: 'integer', default: 1, minimum: 0, maximum: 10 },
        mode: { type: 'string', enum: ['On', 'Off'] },
        port: { 'x-kubernetes-int-or-string': true },
        free: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
        map: {
          type: 'object',
          additionalProperties: { type: 'object', properties: { a: { type: 'string', default: 'd' } } },
        },
        items: { type: 'array', maxItems: 2, 'x-kubernetes-list-type': 'set', items: { type: 'string' } },
        one: { type: 'object', properties: { a: {}, b: {} }, oneOf: [{ required: ['a'] }, { required: ['b'] }] },
        gone: { type: 'string', nullable: true },
      },
    },
  },
}
const spec = (value: object) => ({ apiVersion: 'x/v1', kind: 'X', metadata: { name: 'm', more: 1 }, spec: value })

test('unknown fields are dropped and told; metadata, free parts and map keys stay', () => {
  const unknown: string[] = []
  const value = spec({ name: 'a', typo: 1, free: { any: 1 }, map: { k: { a: 'x', b: 1 } } })
  assert.deepEqual(
    prune(schema, value, (path) => unknown.push(path)),
    spec({ name: 'a', free: { any: 1 }, map: { k: { a: 'x' } } }),
  )
  assert.deepEqual(unknown, ['spec.typo', 'spec.map.k.b'])
})

test('defaults fill what is missing, in maps too, and null where null is not allowed', () => {
  assert.deepEqual(
    withDefaults(schema, spec({ name: 'a', weight: null, gone: null, map: { k: {} } })),
    spec({ name: 'a', gone: null, map: { k: { a: 'd' } }, weight: 1 }),
  )
})

test('each kind of mistake is told with its field, as Kubernetes words it', () => {
  const told = (value: object): readonly string[] =>
    validate(schema, spec(value)).map((p) => `${p.field}: ${p.message}`)
  assert.deepEqual(
    told({ name: 'abc', weight: 3, mode: 'On', port: 'http', items: ['a', 'b'], one: { a: 1 }, gone: null }),
    [],
  )
  assert.deepEqual(told({}), ['spec.name: Required value'])
  assert.deepEqual(told({ name: 7 }), [
    'spec.name: Invalid value: "integer": spec.name in body must be of type string: "integer"',
  ])
  assert.deepEqual(told({ name: 'A' }), [`spec.name: Invalid value: "A": spec.name in body should match '^[a-z]+$'`])
  assert.deepEqual(told({ name: 'abcdef' }), ['spec.name: Too long: may not be more than 5 bytes'])
  assert.deepEqual(told({ name: 'a', weight: 11 }), [
    'spec.weight: Invalid value: 11: spec.weight in body should be less than or equal to 10',
  ])
  assert.deepEqual(told({ name: 'a', mode: 'Up' }), [
    'spec.mode: Unsupported value: "Up": supported values: "On", "Off"',
  ])
  assert.deepEqual(told({ name: 'a', port: true }), [
    'spec.port: Invalid value: "boolean": spec.port in body must be of type integer,string: "boolean"',
  ])
  assert.deepEqual(told({ name: 'a', items: ['x', 'x'] }), ['spec.items[1]: Duplicate value: "x"'])
  assert.deepEqual(told({ name: 'a', items: ['x', 'y', 'z'] }), ['spec.items: Too many: 3: must have at most 2 items'])
  assert.match(told({ name: 'a', one: {} })[0]!, /must validate one and only one schema \(oneOf\)\. Found none valid/)
  assert.match(told({ name: 'a', one: { a: 1, b: 1 } })[0]!, /Found 2 valid alternatives/)
})

test('CEL rules are asked with numbers as the schema types them, with escaped names, and over the old value', () => {
  const ruled: Schema = {
    type: 'object',
    'x-kubernetes-validations': [
      { rule: 'self.count % 2 == 0', message: 'count must be even' },
      { rule: 'self.the__dash__name.matches("^[a-z]+$")', messageExpression: '"no: " + self.the__dash__name' },
      { rule: '!has(self.list) || self.list.all(x, isIP(x.ip))', message: 'addresses only' },
      { rule: 'self.count >= oldSelf.count', message: 'count may not fall', fieldPath: '.count' },
    ],
    properties: {
      count: { type: 'integer' },
      'the-name': { type: 'string' },
      list: { type: 'array', items: { type: 'object', properties: { ip: { type: 'string' } } } },
    },
  }
  const told = (value: object, old?: object) =>
    (old ? celProblems(ruled, value, old) : celProblems(ruled, value)).map((p) => `${p.field}: ${p.message}`)
  assert.deepEqual(told({ count: 2, 'the-name': 'a', list: [{ ip: '10.0.0.1' }, { ip: 'fd00::1' }] }), [])
  assert.deepEqual(told({ count: 3, 'the-name': 'A' }), [
    '<nil>: Invalid value: "object": count must be even',
    '<nil>: Invalid value: "object": no: A',
  ])
  assert.deepEqual(told({ count: 2, 'the-name': 'a', list: [{ ip: 'x' }] }), [
    '<nil>: Invalid value: "object": addresses only',
  ])
  assert.deepEqual(told({ count: 2, 'the-name': 'a' }, { count: 4, 'the-name': 'a' }), [
    'count: Invalid value: "object": count may not fall',
  ])
})
