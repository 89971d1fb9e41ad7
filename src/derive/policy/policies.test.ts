// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Json, JsonObject } from '../../model/json.ts'
import type { PolicyKind, PolicyObject } from '../../model/policy.ts'
import { conditionOf, readPolicy } from './policies.ts'

const object = (kind: PolicyKind, body: JsonObject): PolicyObject => ({
  kind,
  namespace: kind === 'CiliumClusterwideNetworkPolicy' ? '' : 'default',
  name: 'p',
  uid: 'u',
  resourceVersion: '',
  generation: 1,
  labels: {},
  annotations: {},
  deleting: false,
  object: body,
})
const cilium = (spec: Json) => readPolicy(object('CiliumNetworkPolicy', { spec }))
const kubernetes = (spec: Json) => readPolicy(object('NetworkPolicy', { spec }))
const messages = (p: { readonly problems: readonly { field: string; message: string }[] }) =>
  p.problems.map((x) => `${x.field}: ${x.message}`)

test('a mistyped field is named, with the one that was meant', () => {
  const [found] = cilium({ endpointSelector: {}, ingres: [{}] }).problems
  assert.deepEqual(found, { field: 'spec.ingres', message: 'unknown field', fix: "did you mean 'ingress'?" })
})

test('an invalid object says nothing at all, its good parts neither', () => {
  const p = cilium({ endpointSelector: {}, ingress: [{ fromEndpoints: [{}] }], egress: [{ toEntities: ['moon'] }] })
  assert.deepEqual(p.specs, [])
  assert.match(messages(p)[0] ?? '', /^spec\.egress\[0\]\.toEntities\[0\]: 'moon' is not an entity/)
  assert.equal(conditionOf(p).status, 'False')
})

test('a list where a text stands is told, also one of things that have no text', () => {
  const [found] = cilium({ endpointSelector: { matchLabels: { app: ['web', { toString: 'x' }] } } }).problems
  assert.equal(found?.message, 'must be a string, not a list')
  assert.equal(found?.fix, 'one of several: matchExpressions: [{key: app, operator: In, values: [web]}]')
})

test('ports are checked where they stand', () => {
  const ports = (list: Json) => messages(cilium({ endpointSelector: {}, ingress: [{ toPorts: [{ ports: list }] }] }))
  const at = 'spec.ingress[0].toPorts[0].ports'
  assert.deepEqual(ports([{ port: '65536' }]), [`${at}[0].port: port 65536 is out of range`])
  assert.deepEqual(ports([{ port: 80 }]).length > 0, true)
  assert.deepEqual(ports([{}]), [`${at}[0].port: required`])
  assert.deepEqual(ports(Array.from({ length: 41 }, () => ({ port: '1' }))), [`${at}: at most 40 ports, not 41`])
  assert.deepEqual(ports([{ port: '80', endPort: 90, protocol: 'udp' }]), [])
  const of = (list: Json) => messages(kubernetes({ podSelector: {}, ingress: [{ ports: list }] }))
  assert.deepEqual(of([{ port: 0 }]).length, 1)
  assert.deepEqual(of([{ endPort: 1 }]), ['spec.ingress[0].ports[0].endPort: endPort needs a port'])
  assert.deepEqual(of([{ port: '80' }]), ["spec.ingress[0].ports[0].port: '80' is not the name of a port"])
})

test('what can not be enforced yet closes: an allowance allows nobody, a denial denies everybody', () => {
  const [allow] = cilium({ endpointSelector: {}, egress: [{ toGroups: [{ aws: {} }] }] }).specs
  assert.deepEqual([allow?.rules[0]?.action, allow?.enforce.egress], ['closed', true])
  const denied = cilium({ endpointSelector: {}, ingressDeny: [{ fromGroups: [{ aws: {} }] }] })
  assert.deepEqual([denied.specs[0]?.rules[0]?.action, denied.specs[0]?.rules[0]?.peers], ['deny', 'all'])
  assert.equal(denied.warnings.length, 1)
  const nobody = cilium({ endpointSelector: {}, egress: [{ toGroups: [] }] })
  assert.deepEqual(nobody.specs[0]?.rules[0]?.peers, [])
})

test('forty ports are the limit of an element that allows, as in Cilium; a denial has none', () => {
  const ports = Array.from({ length: 41 }, (_, i) => ({ port: String(1000 + i), protocol: 'TCP' }))
  const fields = Array.from({ length: 41 }, (_, i) => ({ type: i }))
  const rule = (name: string, rule: Json) => messages(cilium({ endpointSelector: {}, [name]: [rule] }))
  assert.match(
    rule('ingress', { toPorts: [{ ports }] }).join(),
    /spec.ingress\[0\].toPorts\[0\].ports: at most 40 ports/,
  )
  assert.deepEqual(rule('ingressDeny', { toPorts: [{ ports }] }), [])
  assert.match(rule('egress', { icmps: [{ fields }] }).join(), /spec.egress\[0\].icmps\[0\].fields: at most 40 types/)
})

test('every spec of specs counts, the last one and the first', () => {
  const p = readPolicy(
    object('CiliumNetworkPolicy', {
      specs: [
        { endpointSelector: {}, ingress: [{}] },
        { endpointSelector: {}, wrong: 1 },
      ],
    }),
  )
  assert.match(messages(p)[0] ?? '', /^specs\[1\]\.wrong/)
})

test('no object, however odd, makes the reader throw, and one with problems has no rules', () => {
  const word = fc.constantFrom(
    ...['endpointSelector', 'ingress', 'egress', 'ingressDeny', 'fromEndpoints', 'toEndpoints', 'fromEntities'],
    ...['toPorts', 'ports', 'port', 'endPort', 'rules', 'http', 'matchLabels', 'matchExpressions', 'key', 'values'],
    ...['podSelector', 'from', 'to', 'ipBlock', 'cidr', 'except', 'policyTypes', 'icmps', 'fields', 'type', 'operator'],
    ...['__proto__', 'constructor', 'toString'],
  )
  const leaf = fc.oneof(
    fc.constantFrom('80', 'In', 'all', 'world', '10.0.0.0/8', '', 'TCP', 80, -1, 1e9),
    fc.jsonValue(),
  )
  const { tree } = fc.letrec<{ tree: Json }>((tie) => ({
    tree: fc.oneof(
      { depthSize: 'medium' },
      leaf as fc.Arbitrary<Json>,
      fc.array(tie('tree'), { maxLength: 3 }) as fc.Arbitrary<Json>,
      fc.dictionary(word, tie('tree'), { maxKeys: 4 }) as fc.Arbitrary<Json>,
    ),
  }))
  fc.assert(
    fc.property(fc.constantFrom<PolicyKind>('NetworkPolicy', 'CiliumNetworkPolicy'), tree, (kind, spec) => {
      const p = readPolicy(object(kind, { spec }))
      assert.ok(p.problems.length === 0 || p.specs.length === 0)
    }),
    { numRuns: 2000 },
  )
})
