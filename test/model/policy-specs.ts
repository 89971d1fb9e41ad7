// SPDX-License-Identifier: Apache-2.0
import fc from 'fast-check'

/** Random specs of the policy language. */
export type Any = { readonly [name: string]: unknown }

const keys = ['app', 'tier', 'org'] as const
const values = ['a', 'b', ''] as const
export const namespaceNames = ['default', 'blue', 'red'] as const
const key = fc.constantFrom(...keys)
export const labelsOf = fc.dictionary(key, fc.constantFrom(...values), { maxKeys: 3 })
const expression = fc.oneof(
  fc.record({
    key,
    operator: fc.constantFrom('In', 'NotIn'),
    values: fc.uniqueArray(fc.constantFrom(...values), { minLength: 1, maxLength: 2 }),
  }),
  fc.record({ key, operator: fc.constantFrom('Exists', 'DoesNotExist') }),
)
/** Mostly one that somebody meets. */
const selector = fc.oneof(
  { weight: 3, arbitrary: fc.constant({}) },
  { weight: 2, arbitrary: expression.map((e) => ({ matchExpressions: [e] })) },
  {
    weight: 2,
    arbitrary: fc.record(
      { matchLabels: labelsOf, matchExpressions: fc.array(expression, { maxLength: 2 }) },
      { requiredKeys: [] },
    ),
  },
)
const namespaceSelector = fc.oneof(
  fc.constant({}),
  fc.record({ matchLabels: fc.constantFrom({ team: 'x' }, { team: 'y' }, { 'kubernetes.io/metadata.name': 'blue' }) }),
  fc.constant({ matchExpressions: [{ key: 'team', operator: 'DoesNotExist' }] }),
)
const number = fc.constantFrom(1, 79, 80, 81, 255, 256, 8080, 65535)
export const cidr = fc.constantFrom(
  '10.244.0.0/16',
  '10.244.1.11/32',
  '192.168.0.0/24',
  '0.0.0.0/0',
  '20.0.0.0/8',
  '20.1.0.0/16',
  '20.1.2.3/32',
  '30.0.0.0/30',
  '2001:db8::/32',
  '2001:db8:1::1/128',
  '::/0',
  'fd00:10:244::/56',
  'fd00:c0::/64',
)
const except = fc.constantFrom([], ['20.1.2.0/24'], ['20.1.2.3/32', '20.1.0.0/17'])
const cidrSet = fc.oneof(
  cidr.map((c) => ({ cidr: c })),
  except.map((e) => ({ cidr: '20.1.0.0/16', except: e })),
  fc.constantFrom('10.244.1.0/24', '10.244.1.12/30').map((e) => ({ cidr: '10.244.0.0/16', except: [e] })),
  fc.constant({ cidr: '2001:db8::/32', except: ['2001:db8:1::/48'] }),
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
export const kubernetesSpec = fc.record(
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
const entity = fc.constantFrom(
  ...['all', 'world', 'world-ipv4', 'world-ipv6', 'cluster', 'cluster-mesh', 'host', 'remote-node', 'kube-apiserver'],
  ...['ingress', 'health', 'init', 'unmanaged', 'none'],
)
/** Names that addresses outside have at times: `policy-objects.ts`. */
const fqdn = fc.constantFrom<Any>(
  { matchName: 'a.io' },
  { matchPattern: '*.io' },
  { matchPattern: '**.io' },
  { matchPattern: '*.a.io' },
  { matchPattern: '*' },
)
const domainName = fc.constantFrom('a.io', '*.a.io', '*.x.a.io', 'B.io.')
const nodeSelector = fc.constantFrom<Any>(
  {},
  { matchLabels: { role: 'a' } },
  { matchExpressions: [{ key: 'role', operator: 'NotIn', values: ['b'] }] },
  { matchExpressions: [{ key: 'zone', operator: 'DoesNotExist' }] },
)
const ciliumPeers = (side: 'from' | 'to', denies: boolean) =>
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
    fc.array(nodeSelector, { maxLength: 2 }).map((v) => ({ [`${side}Nodes`]: v })),
    fc.constant({ [`${side}Groups`]: [{ aws: { region: 'r' } }] }),
    ...(side === 'to'
      ? [
          fc.array(service, { minLength: 1, maxLength: 2 }).map((v) => ({ toServices: v })),
          ...(denies ? [] : [fc.array(fqdn, { minLength: 1, maxLength: 2 }).map((v) => ({ toFQDNs: v }))]),
        ]
      : [fc.constant({})]),
  )
/** Of HTTP and TLS: TCP, and ports that are named. */
const proxiedPort = fc.oneof(
  fc.record({ port: fc.constantFrom('80', '81', '8080', 'http'), protocol: fc.constant('TCP') }),
  fc.record({ port: fc.constant('80'), endPort: fc.constantFrom(81, 300), protocol: fc.constant('TCP') }),
)
const proxiedPorts = (more: Any) =>
  fc.array(proxiedPort, { minLength: 1, maxLength: 2 }).map((ports): Any => ({ ports, ...more }))
/** Nobody has the secrets: what ends or begins TLS leads to a listener all the same. */
const terminatingTLS: Any = { secret: { name: 'shown' } }
const originatingTLS: Any = { secret: { name: 'believed' }, trustedCA: 'ca.crt' }
const http = (rule: Any): Any => ({ rules: { http: [rule] } })
const beyondPorts = (side: 'from' | 'to', asks: 'requests' | 'closed') =>
  fc.oneof(
    fc
      .array(ciliumPort, { minLength: 1, maxLength: 2 })
      .map((ports): Any => ({ ports, rules: { kafka: [{ topic: 't' }] } })),
    ...(asks === 'requests'
      ? [
          proxiedPorts(http({})),
          proxiedPorts(http({ method: 'GET', path: '/a.*' })),
          proxiedPorts({ serverNames: ['a.example'] }),
          proxiedPorts({ terminatingTLS, ...http({ method: 'GET' }) }),
          proxiedPorts({ terminatingTLS, originatingTLS, serverNames: ['a.example', '*.b.example'], ...http({}) }),
          proxiedPorts({ originatingTLS }),
        ]
      : []),
    ...(side === 'to'
      ? [
          fc.constantFrom('TCP', 'UDP', 'ANY').map(
            (protocol): Any => ({
              ports: [{ port: '53', protocol }],
              rules: { dns: [{ matchName: 'a.example' }] },
            }),
          ),
        ]
      : []),
  )
const plainPorts = fc.array(ciliumPort, { minLength: 1, maxLength: 2 }).map((ports): Any => ({ ports }))
type Beyond = 'nothing' | 'requests' | 'closed'
const ciliumPortsOf = (side: 'from' | 'to', beyond: Beyond) =>
  fc.oneof(
    fc.constant({}),
    fc
      .array(beyond === 'nothing' ? plainPorts : fc.oneof(plainPorts, beyondPorts(side, beyond)), {
        minLength: 1,
        maxLength: 2,
      })
      .map((toPorts) => ({ toPorts })),
    fc.constantFrom(
      { icmps: [{ fields: [{ type: 8 }] }] },
      { icmps: [{ fields: [{ family: 'IPv6', type: 'EchoRequest' }, { type: 0 }] }] },
    ),
  )
export const ciliumRules = (side: 'from' | 'to', beyond: Beyond, denies = false) =>
  fc.array(
    fc
      .tuple(ciliumPeers(side, denies), ciliumPortsOf(side, beyond))
      .map(([peers, ports]): Any => ({ ...peers, ...ports })),
    { maxLength: 2 },
  )
const ciliumSpecOf = (
  field: 'endpointSelector' | 'nodeSelector',
  subject: fc.Arbitrary<unknown>,
  beyond: Beyond,
): fc.Arbitrary<Any> =>
  fc.record<Any>(
    {
      [field]: subject,
      ingress: ciliumRules('from', beyond),
      ingressDeny: ciliumRules('from', 'nothing', true),
      egress: ciliumRules('to', beyond),
      egressDeny: ciliumRules('to', 'nothing', true),
      enableDefaultDeny: fc.record({ ingress: fc.boolean(), egress: fc.boolean() }, { requiredKeys: [] }),
    },
    { requiredKeys: [field] },
  )
export const ciliumSpec = ciliumSpecOf('endpointSelector', selector, 'requests')
/** No proxy stands between a node and its packets. */
export const nodeSpec = ciliumSpecOf('nodeSelector', nodeSelector, 'closed')

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
    { tcp: { destinationPort: { number: 53 } } },
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
                  nodeSelector.map((nodes): Any => ({ nodes })),
                  domainName.map((name): Any => ({ domainNames: [name] })),
                )
              : clusterPod,
            { minLength: 1, maxLength: 2 },
          ),
          protocols: fc.array(clusterPort, { minLength: 1, maxLength: 2 }),
        },
        { requiredKeys: ['action', side] },
      )
      // Names are accepted or not spoken of.
      .map((rule): Any => (JSON.stringify(rule).includes('domainNames') ? { ...rule, action: 'Accept' } : rule)),
    { maxLength: 3 },
  )
export const clusterSpec = fc.record(
  {
    tier: fc.constantFrom('Admin', 'Baseline'),
    priority: fc.nat(2),
    subject: clusterPod,
    ingress: clusterRules('from'),
    egress: clusterRules('to'),
  },
  { requiredKeys: ['tier', 'priority', 'subject'] },
)
