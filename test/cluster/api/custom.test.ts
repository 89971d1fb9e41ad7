// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Bench, openBench, versions } from './kubectl.ts'

let bench: Bench
before(async () => {
  bench = await openBench()
  const { code, stderr } = await bench.kubectl('34', [
    'apply',
    '-f',
    new URL('../../../crds', import.meta.url).pathname,
  ])
  assert.equal(code, 0, stderr)
})
after(() => bench.close())

async function ok(version: string, args: readonly string[], input?: string): Promise<string> {
  const { code, stdout, stderr } = await bench.kubectl(version, args, input)
  assert.equal(code, 0, `kubectl ${args.join(' ')}: ${stdout}${stderr}`)
  return stdout
}

const policy = (ingress: string): string => `apiVersion: cilium.io/v2
kind: CiliumNetworkPolicy
metadata: {name: rule1}
spec:
  description: only the empire may land
  endpointSelector: {matchLabels: {org: empire, class: deathstar}}
  ingress: ${ingress}
`
const good = '[{fromEndpoints: [{matchLabels: {org: empire}}], toPorts: [{ports: [{port: "80", protocol: TCP}]}]}]'

for (const version of versions) {
  test(`kubectl 1.${version} waits for a definition, and works with its kind by short name`, async () => {
    await ok(version, ['wait', '--for=condition=established', '--timeout=10s', 'crd/ciliumnetworkpolicies.cilium.io'])
    await ok(version, ['apply', '-f', '-'], policy(good))
    assert.match(await ok(version, ['get', 'cnp']), /^NAME +AGE +VALID\nrule1 /)
    assert.match(await ok(version, ['describe', 'cnp', 'rule1']), /Description: +only the empire may land/)
    assert.match(await ok(version, ['explain', 'cnp.spec.ingress']), /fromEndpoints\t<\[\]Object>/)
    await ok(version, [
      'patch',
      'cnp',
      'rule1',
      '--subresource=status',
      '--type=merge',
      '-p',
      '{"status":{"conditions":[{"type":"Valid","status":"True"}]}}',
    ])
    assert.match(await ok(version, ['get', 'cnp']), /rule1 .* True\n/)
    assert.equal(
      await ok(version, ['apply', '--server-side', '-f', '-'], policy(good)),
      'ciliumnetworkpolicy.cilium.io/rule1 serverside-applied\n',
    )
    await ok(version, ['delete', 'cnp', 'rule1'])
    assert.match(await ok(version, ['get', 'cnp,cep,ciliumidentities,ciliumnodes', '-A']), /^$/)
  })

  test(`kubectl 1.${version} is told which field of a policy is unknown or wrong`, async () => {
    const told = async (ingress: string) => (await bench.kubectl(version, ['apply', '-f', '-'], policy(ingress))).stderr
    assert.match(await told('[{fromEndpoint: [{}]}]'), /unknown field "spec\.ingress\[0\]\.fromEndpoint"/)
    assert.match(
      await told('[{toPorts: [{ports: [{port: "80", protocol: TCPX}]}]}]'),
      /spec\.ingress\[0\]\.toPorts\[0\]\.ports\[0\]\.protocol: Unsupported value: "TCPX"/,
    )
    assert.match(await told('[{toPorts: [{ports: [{port: "99999"}]}]}]'), /ports\[0\]\.port in body should match/)
    assert.match(await told('[{fromEntities: [galaxy]}]'), /fromEntities\[0\]: Unsupported value: "galaxy"/)
    assert.match(await told('{}'), /spec\.ingress.* in body must be of type array/)
  })
}

const gadgets = `apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: gadgets.example.org}
spec:
  group: example.org
  scope: Namespaced
  names: {kind: Gadget, plural: gadgets, shortNames: [gd]}
  versions:
  - name: v1
    served: true
    storage: true
    subresources: {status: {}, scale: {specReplicasPath: .spec.size, statusReplicasPath: .status.size}}
    additionalPrinterColumns: [{name: Size, type: integer, jsonPath: .spec.size}]
    schema:
      openAPIV3Schema:
        type: object
        properties:
          spec:
            type: object
            x-kubernetes-validations:
            - {rule: 'self.low <= self.size', message: size must not be below low}
            - {rule: 'self.low == oldSelf.low', message: low is fixed}
            properties:
              low: {type: integer, default: 1}
              size: {type: integer, minimum: 0}
          status: {type: object, properties: {size: {type: integer}}}
  - name: v1beta1
    served: true
    storage: false
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
`

test('a definition of our own: defaults, CEL rules, two versions, scale, and its objects go with it', async () => {
  await ok('34', ['apply', '-f', '-'], gadgets)
  const gadget = (spec: string, version = 'v1') =>
    `apiVersion: example.org/${version}\nkind: Gadget\nmetadata: {name: g}\nspec: ${spec}`
  await ok('34', ['create', '-f', '-'], gadget('{size: 3}'))
  assert.equal(await ok('34', ['get', 'gd', 'g', '-o', 'jsonpath={.spec}']), '{"low":1,"size":3}')
  assert.match(await ok('34', ['get', 'gd']), /NAME +SIZE\ng +3\n/)
  assert.match(
    (await bench.kubectl('34', ['apply', '-f', '-'], gadget('{size: 0}'))).stderr,
    /size must not be below low/,
  )
  assert.match(
    (await bench.kubectl('34', ['patch', 'gd', 'g', '--type=merge', '-p', '{"spec":{"low":2}}'])).stderr,
    /low is fixed/,
  )
  assert.equal(
    await ok('34', ['get', 'gadgets.v1beta1.example.org', 'g', '-o', 'jsonpath={.apiVersion}']),
    'example.org/v1beta1',
  )
  await ok('34', ['scale', 'gd', 'g', '--replicas=5'])
  assert.equal(await ok('34', ['get', 'gd', 'g', '-o', 'jsonpath={.spec.size} {.metadata.generation}']), '5 2')
  await ok('34', ['delete', 'crd', 'gadgets.example.org'])
  assert.match(
    (await bench.kubectl('34', ['get', 'gd'])).stderr,
    /the server (doesn't have a resource type|could not find)/,
  )
})
