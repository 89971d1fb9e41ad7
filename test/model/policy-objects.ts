// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check'

/** Random objects of the policy language, and random histories of them. */
export type Any = { readonly [name: string]: unknown }

const keys = ['app', 'tier', 'org'] as const
const values = ['a', 'b', ''] as const
export const namespaceNames = ['default', 'blue', 'red'] as const
const key = fc.constantFrom(...keys)
const labelsOf = fc.dictionary(key, fc.constantFrom(...values), { maxKeys: 3 })
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
    status: { podIPs: [{ ip: `10.244.1.${10 + n + 5 * namespaceNames.indexOf(namespace)}` }] },
  }))

const expression = fc.oneof(
  fc.record({
    key,
    operator: fc.constantFrom('In', 'NotIn'),
    values: fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 2 }),
  }),
  fc.record({ key, operator: fc.constantFrom('Exists', 'DoesNotExist') }),
)
const selector = fc.record(
  { matchLabels: labelsOf, matchExpressions: fc.array(expression, { maxLength: 2 }) },
  { requiredKeys: [] },
)
const namespaceSelector = fc.oneof(
  fc.constant({}),
  fc.record({ matchLabels: fc.constantFrom({ team: 'x' }, { team: 'y' }, { 'kubernetes.io/metadata.name': 'blue' }) }),
  fc.constant({ matchExpressions: [{ key: 'team', operator: 'DoesNotExist' }] }),
)
const number = fc.constantFrom(1, 79, 80, 81, 255, 256, 8080, 65535)
const cidr = fc.constantFrom(
  '10.244.0.0/16',
  '10.244.1.11/32',
  '192.168.0.0/24',
  '0.0.0.0/0',
  '20.0.0.0/8',
  '20.1.0.0/16',
  '20.1.2.3/32',
  '30.0.0.0/30',
)
const except = fc.constantFrom([], ['20.1.2.0/24'], ['20.1.2.3/32', '20.1.0.0/17'])
const cidrSet = fc.oneof(
  cidr.map((c) => ({ cidr: c })),
  except.map((e) => ({ cidr: '20.1.0.0/16', except: e })),
  fc.constantFrom('10.244.1.0/24', '10.244.1.12/30').map((e) => ({ cidr: '10.244.0.0/16', except: [e] })),
)

const kubernetesPort = fc.oneof(
  fc.record({ protocol: fc.constantFrom('TCP', 'UDP', 'SCTP') }),
  fc.record({ port: number, protocol: fc.constantFrom('TCP', 'UDP') }),
  fc.record({ port: fc.constant(80), endPort: fc.constantFrom(80, 81, 300, 65535) }),
  fc.record({ port: fc.constantFrom('http', 'dns'), protocol: fc.constantFrom('TCP', 'UDP') }),
)
const kubernetesPeer = fc.oneof(
  fc.record({ podSelector: selector }),
  fc.record({ namespaceSelector }),
  fc.record({ podSelector: selector, namespaceSelector }),
  cidrSet.map((ipBlock) => ({ ipBlock })),
)
const kubernetesRule = (side: 'from' | 'to') =>
  fc.record(
    { [side]: fc.array(kubernetesPeer, { maxLength: 2 }), ports: fc.array(kubernetesPort, { maxLength: 2 }) },
    { requiredKeys: [] },
  )
const kubernetesSpec = fc.record(
  {
    podSelector: selector,
    policyTypes: fc.constantFrom(['Ingress'], ['Egress'], ['Ingress', 'Egress']),
    ingress: fc.array(kubernetesRule('from'), { maxLength: 2 }),
    egress: fc.array(kubernetesRule('to'), { maxLength: 2 }),
  },
  { requiredKeys: ['podSelector'] },
)

const ciliumPort = fc.oneof(
  fc.record({ port: number.map(String), protocol: fc.constantFrom('TCP', 'UDP', 'SCTP', 'ANY') }),
  fc.record({ port: fc.constant('80'), endPort: fc.constantFrom(80, 81, 300, 65535) }),
  fc.record({ port: fc.constantFrom('0', 'http', 'dns') }),
)
const ciliumSelector = fc.oneof(
  selector,
  fc.constantFrom(
    { matchLabels: { 'k8s:io.kubernetes.pod.namespace': 'blue' } },
    { matchExpressions: [{ key: 'io.kubernetes.pod.namespace', operator: 'Exists' }] },
    { matchExpressions: [{ key: 'k8s:io.kubernetes.pod.namespace', operator: 'DoesNotExist' }] },
    { matchLabels: { 'k8s:io.cilium.k8s.namespace.labels.team': 'x' } },
    { matchLabels: { 'reserved:host': '' } },
  ),
)
const groupSet = fc.constantFrom<Any>(
  { cidrGroupRef: 'g0' },
  { cidrGroupRef: 'g1', except: ['20.1.2.0/24'] },
  { cidrGroupSelector: { matchLabels: { of: 'x' } } },
  { cidrGroupSelector: {} },
)
const service = fc.constantFrom<Any>(
  { k8sService: { serviceName: 's0', namespace: 'default' } },
  { k8sService: { serviceName: 's1', namespace: 'blue' } },
  { k8sServiceSelector: { selector: { matchLabels: { of: 'y' } } } },
)
const entity = fc.constantFrom('all', 'world', 'cluster', 'host', 'remote-node', 'kube-apiserver', 'none')
const ciliumPeers = (side: 'from' | 'to') =>
  fc.oneof(
    fc.constant({}),
    fc.array(ciliumSelector, { maxLength: 2 }).map((v) => ({ [`${side}Endpoints`]: v })),
    fc.array(entity, { maxLength: 2 }).map((v) => ({ [`${side}Entities`]: v })),
    fc.array(cidr, { maxLength: 2 }).map((v) => ({ [`${side}CIDR`]: v })),
    fc.array(fc.oneof(cidrSet, groupSet), { maxLength: 2 }).map((v) => ({ [`${side}CIDRSet`]: v })),
    fc
      .tuple(fc.array(ciliumSelector, { maxLength: 2 }), selector)
      .map(([v, r]) => ({ [`${side}Endpoints`]: v, [`${side}Requires`]: [r] })),
    selector.map((r) => ({ [`${side}Requires`]: [r] })),
    side === 'to' ? fc.array(service, { minLength: 1, maxLength: 2 }).map((v) => ({ toServices: v })) : fc.constant({}),
  )
const ciliumPortsOf = (layer7: boolean) =>
  fc.oneof(
    fc.constant({}),
    fc
      .array(
        fc.record(
          {
            ports: fc.array(ciliumPort, { minLength: 1, maxLength: 2 }),
            ...(layer7 ? { rules: fc.constant({ kafka: [{ topic: 't' }] }) } : {}),
          },
          { requiredKeys: ['ports'] },
        ),
        { minLength: 1, maxLength: 2 },
      )
      .map((toPorts) => ({ toPorts })),
    fc.constant({ icmps: [{ fields: [{ type: 8 }] }] }),
  )
const ciliumRules = (side: 'from' | 'to', layer7: boolean) =>
  fc.array(
    fc.tuple(ciliumPeers(side), ciliumPortsOf(layer7)).map(([peers, ports]): Any => ({ ...peers, ...ports })),
    { maxLength: 2 },
  )
const ciliumSpec = fc.record(
  {
    endpointSelector: selector,
    ingress: ciliumRules('from', true),
    ingressDeny: ciliumRules('from', false),
    egress: ciliumRules('to', true),
    egressDeny: ciliumRules('to', false),
    enableDefaultDeny: fc.record({ ingress: fc.boolean(), egress: fc.boolean() }, { requiredKeys: [] }),
  },
  { requiredKeys: ['endpointSelector'] },
)

const namespaced = fc.record({ namespaceSelector, podSelector: selector })
const clusterPod = fc.oneof(
  namespaceSelector.map((namespaces): Any => ({ namespaces })),
  namespaced.map((pods): Any => ({ pods })),
)
const clusterPort = fc.oneof(
  number.map((n): Any => ({ tcp: { destinationPort: { number: n } } })),
  fc.constantFrom<Any>(
    { udp: { destinationPort: { range: { start: 80, end: 300 } } } },
    { sctp: { destinationPort: { number: 80 } } },
  ),
)
const clusterRules = (side: 'from' | 'to') =>
  fc.array(
    fc
      .record(
        {
          action: fc.constantFrom('Accept', 'Deny', 'Pass'),
          [side]: fc.array(
            side === 'to'
              ? fc.oneof(
                  clusterPod,
                  cidr.map((c): Any => ({ networks: [c] })),
                )
              : clusterPod,
            { minLength: 1, maxLength: 2 },
          ),
          protocols: fc.array(clusterPort, { minLength: 1, maxLength: 2 }),
        },
        { requiredKeys: ['action', side] },
      )
      .map((rule): Any => rule as Any),
    { maxLength: 3 },
  )
const clusterSpec = fc.record(
  {
    tier: fc.constantFrom('Admin', 'Baseline'),
    priority: fc.nat(2),
    subject: clusterPod,
    ingress: clusterRules('from'),
    egress: clusterRules('to'),
  },
  { requiredKeys: ['tier', 'priority', 'subject'] },
)
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

export interface Step {
  readonly put?: Any
  readonly remove?: number
}
/** A history: objects come, are replaced and go, in any order. */
export const history = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: pod.map((put): Step => ({ put })) },
    { weight: 5, arbitrary: policy.map((put): Step => ({ put })) },
    { weight: 1, arbitrary: referred.map((put): Step => ({ put })) },
    { weight: 1, arbitrary: fc.nat(20).map((remove): Step => ({ remove })) },
  ),
  { minLength: 4, maxLength: 14 },
)

/** Policies about the same few pods replace each other, so that tables change all the time. */
export const churn = fc
  .array(
    fc
      .tuple(
        fc.nat(1),
        fc.record(
          {
            endpointSelector: fc.constant({}),
            ingress: ciliumRules('from', false),
            ingressDeny: ciliumRules('from', false),
            egress: ciliumRules('to', false),
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
