// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check'
import type { LearntAddress } from '../../src/model/names.ts'
import type { Settings } from '../../src/model/settings.ts'
import {
  type Any,
  cidr,
  ciliumRules,
  ciliumSpec,
  clusterSpec,
  kubernetesSpec,
  labelsOf,
  namespaceNames,
  nodeSpec,
} from './policy-specs.ts'

export type { Any } from './policy-specs.ts'

/** Random objects of the policy language, and random histories of them. */
const portsOf = fc.uniqueArray(
  fc.record({
    name: fc.constantFrom('http', 'dns'),
    containerPort: fc.constantFrom(80, 81, 8080),
    protocol: fc.constantFrom('TCP', 'UDP'),
  }),
  { maxLength: 2, selector: (p) => `${p.name}${p.protocol}` },
)

const pod = fc
  .record({
    n: fc.nat(4),
    namespace: fc.constantFrom(...namespaceNames),
    labels: labelsOf,
    remote: fc.boolean(),
    ports: portsOf,
  })
  .map(({ n, namespace, labels, remote, ports }) => ({
    kind: 'Pod',
    metadata: { name: `p${n}`, namespace, labels },
    spec: { nodeName: remote ? 'n2' : 'n1', serviceAccountName: '', containers: [{ name: 'c', ports }] },
    // No two pods have one address.
    status: {
      podIPs: ['10.244.1.', 'fd00:10:244:0:1::'].map((net) => ({
        ip: `${net}${10 + n + 5 * namespaceNames.indexOf(namespace)}`,
      })),
    },
  }))

const mode = fc.oneof(
  { weight: 5, arbitrary: fc.constant({}) },
  {
    weight: 1,
    arbitrary: fc.constantFrom('audit', 'staged').map((m) => ({ annotations: { 'cilium-ts.io/policy-mode': m } })),
  },
)

/** What policies refer to. */
const referred: fc.Arbitrary<Any> = fc.oneof(
  fc
    .record({ n: fc.nat(1), of: fc.constantFrom('x', 'y'), cidrs: fc.uniqueArray(cidr, { maxLength: 2 }) })
    .map(({ n, of, cidrs }) => ({
      kind: 'CiliumCIDRGroup',
      metadata: { name: `g${n}`, labels: { of } },
      spec: { externalCIDRs: cidrs },
    })),
  fc
    .record({
      n: fc.nat(1),
      namespace: fc.constantFrom('default', 'blue'),
      of: fc.constantFrom('x', 'y'),
      chosen: fc.constantFrom<Any>({}, { app: 'a' }, { tier: 'b', org: 'a' }),
    })
    .map(({ n, namespace, of, chosen }) => ({
      kind: 'Service',
      metadata: { name: `s${n}`, namespace, labels: { of } },
      spec: { selector: chosen, clusterIPs: [], ports: [] },
    })),
  fc
    .record({
      n: fc.nat(1),
      namespace: fc.constantFrom('default', 'blue'),
      address: fc.constantFrom('20.1.2.3', '10.244.1.11'),
    })
    .map(({ n, namespace, address }) => ({
      kind: 'EndpointSlice',
      metadata: { name: `s${n}-x`, namespace, labels: { 'kubernetes.io/service-name': `s${n}` } },
      addressType: 'IPv4',
      endpoints: [{ addresses: [address] }],
    })),
)

export const policy = fc
  .tuple(
    fc.nat(2),
    fc.constantFrom(...namespaceNames),
    mode,
    fc.oneof(
      clusterSpec.map((spec) => ({ kind: 'ClusterNetworkPolicy', spec })),
      kubernetesSpec.map((spec) => ({ kind: 'NetworkPolicy', spec })),
      ciliumSpec.map((spec) => ({ kind: 'CiliumNetworkPolicy', spec })),
      fc.array(ciliumSpec, { minLength: 1, maxLength: 2 }).map((specs) => ({ kind: 'CiliumNetworkPolicy', specs })),
      ciliumSpec.map((spec) => ({ kind: 'CiliumClusterwideNetworkPolicy', spec })),
      nodeSpec.map((spec) => ({ kind: 'CiliumClusterwideNetworkPolicy', spec })),
    ),
  )
  .map(
    ([n, namespace, annotated, body]): Any => ({
      ...body,
      metadata: body.kind.includes('Cluster')
        ? { name: `c${n}`, ...annotated }
        : { name: `p${n}`, namespace, ...annotated },
    }),
  )

const node = (n: number): fc.Arbitrary<Any> =>
  fc.record({ role: fc.constantFrom('a', 'b'), zone: fc.constant('z') }, { requiredKeys: [] }).map((labels) => ({
    kind: 'Node',
    metadata: { name: `n${n}`, labels },
    status: { addresses: [`192.168.0.${n}`, `fd00:c0::${n}`].map((address) => ({ type: 'InternalIP', address })) },
  }))

const rarely = <T>(usual: T, ...others: readonly T[]): fc.Arbitrary<T> =>
  fc.oneof({ weight: 5, arbitrary: fc.constant(usual) }, { weight: 1, arbitrary: fc.constantFrom(...others) })
/** Options of the agent that policy depends on. */
type Options = Pick<
  Settings,
  | 'enableHostFirewall'
  | 'enableNodeSelectorLabels'
  | 'enablePolicy'
  | 'allowLocalhost'
  | 'policyAuditMode'
  | 'policyCidrMatchMode'
>
const options = fc.record<Options>({
  enableHostFirewall: fc.boolean(),
  enableNodeSelectorLabels: fc.boolean(),
  enablePolicy: rarely('default', 'always', 'never'),
  allowLocalhost: rarely('auto', 'always', 'policy'),
  policyAuditMode: rarely(false, true),
  policyCidrMatchMode: rarely<Options['policyCidrMatchMode']>([], ['nodes'], ['pods'], ['nodes', 'pods'], ['none']),
})

/** Answers give names to addresses outside, and at times to a pod's or a node's, which stays who it is. */
const learn = fc.uniqueArray(
  fc.record({
    address: fc.constantFrom(
      ...['20.1.2.3', '20.9.9.9', '30.0.0.1', '99.0.0.1', '2001:db8::1', '2001:db9::1'],
      ...['10.244.1.11', '192.168.0.2'],
    ),
    names: fc.uniqueArray(fc.constantFrom('a.io', 'b.io', 'x.a.io', 'y.x.a.io', 'c.org'), {
      minLength: 1,
      maxLength: 2,
    }),
  }),
  { maxLength: 4, selector: (l) => l.address },
)

export interface Step {
  readonly configure?: Options
  readonly put?: Any
  readonly remove?: number
  /** From now on exactly these addresses are known by names. */
  readonly learn?: readonly LearntAddress[]
}
/** A history: objects come, are replaced and go, in any order. */
export const history: fc.Arbitrary<readonly Step[]> = fc
  .tuple(options, fc.tuple(node(1), node(2), pod, pod), events())
  .map(([configure, put, rest]) => [{ configure }, ...put.map((n): Step => ({ put: n })), ...rest])

function events(): fc.Arbitrary<readonly Step[]> {
  return fc.array(
    fc.oneof(
      { weight: 2, arbitrary: pod.map((put): Step => ({ put })) },
      { weight: 5, arbitrary: policy.map((put): Step => ({ put })) },
      { weight: 1, arbitrary: referred.map((put): Step => ({ put })) },
      { weight: 1, arbitrary: fc.nat(20).map((remove): Step => ({ remove })) },
      { weight: 1, arbitrary: learn.map((learn): Step => ({ learn })) },
    ),
    { minLength: 4, maxLength: 14 },
  )
}

/** Policies about the same few pods replace each other, so that tables change all the time. */
export const churn = fc
  .array(
    fc
      .tuple(
        fc.nat(1),
        fc.record(
          {
            endpointSelector: fc.constant({}),
            ingress: ciliumRules('from', 'nothing'),
            ingressDeny: ciliumRules('from', 'nothing', true),
            egress: ciliumRules('to', 'nothing'),
          },
          { requiredKeys: ['endpointSelector', 'ingress'] },
        ),
      )
      .map(([n, spec]) => ({ kind: 'CiliumNetworkPolicy', spec, metadata: { name: `p${n}`, namespace: 'default' } })),
    { minLength: 3, maxLength: 10 },
  )
  .map((replacements): readonly Step[] => [
    ...['a', 'b', ''].flatMap((app, n) => [
      podOf(`l${n}`, { app }, 'n1'),
      podOf(`r${n}`, { tier: app, org: 'a' }, 'n2'),
    ]),
    ...replacements.map((put) => ({ put })),
  ])

const podOf = (name: string, labels: Any, nodeName: string): Step => ({
  put: {
    kind: 'Pod',
    metadata: { name, namespace: 'default', labels },
    spec: { nodeName, serviceAccountName: '', containers: [{ name: 'c', ports: [] }] },
    status: { podIPs: [{ ip: '10.244.1.9' }] },
  },
})
