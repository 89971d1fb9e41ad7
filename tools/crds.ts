// SPDX-License-Identifier: Apache-2.0
/**
 * Writes crds/*.yaml: the CustomResourceDefinitions of the kinds we watch, from the compact description below.
 * Usage: node tools/crds.ts
 */
import { writeFileSync } from 'node:fs'
import { stringify } from 'yaml'
import type { Schema } from '../src/protocol/kubeapi/structural.ts'

const string = (more: Schema = {}): Schema => ({ type: 'string', ...more })
const integer = (more: Schema = {}): Schema => ({ type: 'integer', format: 'int64', ...more })
const boolean: Schema = { type: 'boolean' }
const list = (items: Schema, more: Schema = {}): Schema => ({ type: 'array', items, ...more })
const map = (additionalProperties: Schema, more: Schema = {}): Schema => ({
  type: 'object',
  additionalProperties,
  ...more,
})
/** A name that ends with `*` is required. */
const object = (fields: Readonly<Record<string, Schema>>, more: Schema = {}): Schema => {
  const required = Object.keys(fields)
    .filter((name) => name.endsWith('*'))
    .map((name) => name.slice(0, -1))
  const properties = Object.fromEntries(
    Object.entries(fields).map(([name, schema]) => [name.replace(/\*$/, ''), schema]),
  )
  return { type: 'object', properties, ...(required.length > 0 ? { required } : {}), ...more }
}
const said = (description: string, schema: Schema): Schema => ({ description, ...schema })
const free: Schema = { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }

const labelSelector = object(
  {
    matchLabels: map(string({ maxLength: 63, pattern: '^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$' })),
    matchExpressions: list(
      object({
        'key*': string(),
        'operator*': string({ enum: ['In', 'NotIn', 'Exists', 'DoesNotExist'] }),
        values: list(string(), { 'x-kubernetes-list-type': 'atomic' }),
      }),
      { 'x-kubernetes-list-type': 'atomic' },
    ),
  },
  { 'x-kubernetes-map-type': 'atomic' },
)

const address = string({ pattern: '^([0-9]{1,3}(\\.[0-9]{1,3}){3}|[0-9a-fA-F:]*:[0-9a-fA-F:.]*)(/[0-9]{1,3})?$' })
const prefix = string({ pattern: '^([0-9]{1,3}(\\.[0-9]{1,3}){3}|[0-9a-fA-F:]*:[0-9a-fA-F:.]*)/[0-9]{1,3}$' })
const prefixSet = list(
  object(
    {
      cidr: prefix,
      cidrGroupRef: string({
        maxLength: 253,
        pattern: '^[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*$',
      }),
      cidrGroupSelector: labelSelector,
      except: list(prefix),
    },
    { oneOf: [{ required: ['cidr'] }, { required: ['cidrGroupRef'] }, { required: ['cidrGroupSelector'] }] },
  ),
)
const entities = list(
  string({
    enum: [
      'all',
      'world',
      'world-ipv4',
      'world-ipv6',
      'cluster',
      'host',
      'init',
      'ingress',
      'unmanaged',
      'remote-node',
      'health',
      'none',
      'kube-apiserver',
    ],
  }),
)
const groups = list(
  object({
    aws: object({
      labels: map(string()),
      region: string(),
      securityGroupsIds: list(string()),
      securityGroupsNames: list(string()),
    }),
  }),
)
const icmps = list(
  object({
    fields: list(
      object({
        family: string({ enum: ['IPv4', 'IPv6'], default: 'IPv4' }),
        'type*': {
          'x-kubernetes-int-or-string': true,
          anyOf: [{ type: 'integer' }, { type: 'string' }],
          pattern: '^([0-9]|[1-9][0-9]|1[0-9][0-9]|2[0-4][0-9]|25[0-5]|[A-Z][A-Za-z]+)$',
        },
      }),
      { maxItems: 40 },
    ),
  }),
)
const port = object({
  'port*': string({
    maxLength: 63,
    pattern:
      '^((6553[0-5]|655[0-2][0-9]|65[0-4][0-9]{2}|6[0-4][0-9]{3}|[1-5][0-9]{4}|[0-9]{1,4})|([a-zA-Z0-9]-?)*[a-zA-Z](-?[a-zA-Z0-9])*)$',
  }),
  endPort: integer({ format: 'int32', minimum: 0, maximum: 65535 }),
  protocol: string({ enum: ['TCP', 'UDP', 'SCTP', 'ICMP', 'ICMPV6', 'VRRP', 'IGMP', 'ANY'] }),
})
const secret = object({ 'name*': string(), namespace: string() })
const fqdn = object(
  {
    matchName: string({ maxLength: 255, pattern: '^([-a-zA-Z0-9_]+[.]?)+$' }),
    matchPattern: string({ maxLength: 255, pattern: '^([-a-zA-Z0-9_*]+[.]?)+$' }),
  },
  { oneOf: [{ required: ['matchName'] }, { required: ['matchPattern'] }] },
)
const http = object({
  method: string(),
  path: string(),
  host: string(),
  headers: list(string()),
  headerMatches: list(
    object({
      'name*': string({ minLength: 1 }),
      value: string(),
      secret,
      mismatch: string({ enum: ['LOG', 'ADD', 'DELETE', 'REPLACE'] }),
    }),
  ),
})
const tls = object({ 'secret*': secret, trustedCA: string(), certificate: string(), privateKey: string() })
const toPorts = list(
  object({
    ports: list(port, { maxItems: 40 }),
    rules: object(
      {
        http: list(http),
        dns: list(fqdn),
        kafka: list(
          object({
            apiKey: string(),
            apiVersion: string(),
            clientID: string({ maxLength: 255 }),
            role: string({ enum: ['produce', 'consume'] }),
            topic: string({ maxLength: 255 }),
          }),
        ),
        l7proto: string(),
        l7: list(map(string())),
      },
      {
        oneOf: [
          { required: ['http'] },
          { required: ['dns'] },
          { required: ['kafka'] },
          { required: ['l7proto'] },
          {
            not: {
              anyOf: [
                { required: ['http'] },
                { required: ['dns'] },
                { required: ['kafka'] },
                { required: ['l7proto'] },
              ],
            },
          },
        ],
      },
    ),
    terminatingTLS: tls,
    originatingTLS: tls,
    serverNames: list(string({ minLength: 1, maxLength: 255 }), { minItems: 1 }),
    listener: object({
      'envoyConfig*': object({
        kind: string({ enum: ['CiliumEnvoyConfig', 'CiliumClusterwideEnvoyConfig'] }),
        'name*': string({ minLength: 1 }),
      }),
      'name*': string({ minLength: 1 }),
      priority: integer({ minimum: 1, maximum: 100 }),
    }),
  }),
)
const denyPorts = list(object({ ports: list(port) }))
const authentication = object({ 'mode*': string({ enum: ['disabled', 'required', 'test-always-fail'] }) })

const peers = (way: 'from' | 'to'): Record<string, Schema> => ({
  [`${way}Endpoints`]: said(
    'Peers by their labels; without a namespace label, those of the own namespace.',
    list(labelSelector),
  ),
  [`${way}Requires`]: list(labelSelector),
  [`${way}CIDR`]: said('Addresses and prefixes outside the cluster.', list(address)),
  [`${way}CIDRSet`]: said('Prefixes outside the cluster, with exceptions.', prefixSet),
  [`${way}Entities`]: said('Peers by what they are: all, world, cluster, host and so on.', entities),
  [`${way}Nodes`]: list(labelSelector),
  [`${way}Groups`]: groups,
})
const services = list(
  object({
    k8sService: object({ serviceName: string(), namespace: string() }),
    k8sServiceSelector: object({ 'selector*': labelSelector, namespace: string() }),
  }),
)
const allow = { toPorts: said('Ports, and what may be said on them.', toPorts), icmps, authentication }
const deny = { toPorts: denyPorts, icmps }

const rule = said(
  'One rule: whom it is about, and what may come in and go out.',
  object(
    {
      endpointSelector: said('The pods the rule is about; an empty selector means all.', labelSelector),
      nodeSelector: said('The nodes the rule is about; in cluster-wide policies only.', labelSelector),
      description: string(),
      labels: list(object({ 'key*': string(), value: string(), source: string() })),
      log: object({ value: string({ maxLength: 32 }) }),
      enableDefaultDeny: said(
        'Whether all else is denied, per direction.',
        object({ ingress: boolean, egress: boolean }),
      ),
      ingress: said('What is let in.', list(object({ ...peers('from'), ...allow }))),
      ingressDeny: said('What is never let in.', list(object({ ...peers('from'), ...deny }))),
      egress: said(
        'What is let out.',
        list(object({ ...peers('to'), toServices: services, toFQDNs: list(fqdn), ...allow })),
      ),
      egressDeny: said('What is never let out.', list(object({ ...peers('to'), toServices: services, ...deny }))),
    },
    { oneOf: [{ required: ['endpointSelector'] }, { required: ['nodeSelector'] }] },
  ),
)
const policyStatus = object({
  conditions: list(
    object({
      'type*': string(),
      'status*': string(),
      lastTransitionTime: string({ format: 'date-time' }),
      message: string(),
      reason: string(),
    }),
    { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] },
  ),
  derivativePolicies: map(
    object({
      ok: boolean,
      error: string(),
      lastUpdated: string({ format: 'date-time' }),
      localPolicyRevision: integer(),
      enforcing: boolean,
      annotations: map(string()),
    }),
  ),
})
const policy = object({ spec: rule, specs: said('Several rules.', list(rule)), status: policyStatus })

const policyEntries = list(
  object({ identity: integer(), 'identity-labels': map(string()), 'dest-port': integer(), protocol: integer() }),
)
const policyDirection = object({
  'enforcing*': boolean,
  state: string(),
  allowed: policyEntries,
  denied: policyEntries,
  adding: policyEntries,
  removing: policyEntries,
})
const endpointStatus = object({
  id: integer(),
  state: string({
    enum: [
      'creating',
      'waiting-for-identity',
      'not-ready',
      'waiting-to-regenerate',
      'regenerating',
      'restoring',
      'ready',
      'disconnecting',
      'disconnected',
      'invalid',
    ],
  }),
  identity: object({ id: integer(), labels: list(string()) }),
  networking: object({ node: string(), 'addressing*': list(object({ ipv4: string(), ipv6: string() })) }),
  encryption: object({ key: integer() }),
  policy: object({ ingress: policyDirection, egress: policyDirection }),
  health: object({ bpf: string(), policy: string(), connected: boolean, overallHealth: string() }),
  'external-identifiers': object(
    Object.fromEntries(
      [
        'cni-attachment-id',
        'container-id',
        'container-name',
        'docker-endpoint-id',
        'docker-network-id',
        'k8s-namespace',
        'k8s-pod-name',
        'pod-name',
      ].map((name) => [name, string()]),
    ),
  ),
  'named-ports': list(object({ name: string(), port: integer(), protocol: string() })),
  'service-account': string(),
  'visibility-policy-status': string(),
  log: list(object({ code: string(), message: string(), state: string(), timestamp: string() })),
  controllers: list(
    object({
      name: string(),
      uuid: string(),
      configuration: object({ 'error-retry': boolean, 'error-retry-base': integer(), interval: integer() }),
      status: object({
        'consecutive-failure-count': integer(),
        'failure-count': integer(),
        'last-failure-msg': string(),
        'last-failure-timestamp': string(),
        'last-success-timestamp': string(),
        'success-count': integer(),
      }),
    }),
  ),
})

const pair = object({ ipv4: string(), ipv6: string() })
const owned = map(object({ owner: string(), resource: string() }))
const counted = integer({ minimum: 0 })
const node = object({
  'spec*': object({
    addresses: list(object({ type: string(), ip: string() })),
    'alibaba-cloud': free,
    azure: free,
    bootid: string(),
    encryption: object({ key: integer() }),
    eni: free,
    health: pair,
    ingress: pair,
    'instance-id': string(),
    ipam: object({
      podCIDRs: list(string()),
      pool: owned,
      'ipv6-pool': owned,
      pools: object({
        allocated: list(object({ 'pool*': string({ minLength: 1 }), cidrs: list(string({ format: 'cidr' })) })),
        requested: list(
          object({
            'pool*': string({ minLength: 1 }),
            needed: object({ 'ipv4-addrs': integer(), 'ipv6-addrs': integer() }),
          }),
        ),
      }),
      'pre-allocate': counted,
      'min-allocate': counted,
      'max-allocate': counted,
      'max-above-watermark': counted,
    }),
    nodeidentity: integer(),
  }),
  status: object({
    'alibaba-cloud': free,
    azure: free,
    eni: free,
    ipam: object({
      used: owned,
      'ipv6-used': owned,
      'operator-status': object({ error: string() }),
      'pod-cidrs': map(object({ status: string({ enum: ['released', 'depleted', 'in-use'] }) })),
      'release-ips': map(string()),
      'release-ipv6s': map(string()),
    }),
  }),
})

interface Column {
  readonly name: string
  readonly jsonPath: string
  readonly type?: string
  readonly priority?: number
}
const age: Column = { name: 'Age', type: 'date', jsonPath: '.metadata.creationTimestamp' }
const column = (name: string, jsonPath: string, type = 'string', priority = 0): Column => ({
  name,
  jsonPath,
  type,
  ...(priority ? { priority } : {}),
})

const conditions = list(
  object({
    'type*': string({ maxLength: 316 }),
    'status*': string({ enum: ['True', 'False', 'Unknown'] }),
    'reason*': string({ maxLength: 1024 }),
    'message*': string({ maxLength: 32768 }),
    'lastTransitionTime*': string({ format: 'date-time' }),
    observedGeneration: integer({ minimum: 0 }),
  }),
  { 'x-kubernetes-list-type': 'map', 'x-kubernetes-list-map-keys': ['type'] },
)
const onlyOne = { minProperties: 1, maxProperties: 1 }
const upTo25 = { minItems: 1, maxItems: 25 }
const podsOfNamespaces = object({ namespaceSelector: labelSelector, 'podSelector*': labelSelector })
const portNumber = integer({ format: 'int32', minimum: 1, maximum: 65535 })
const ofProtocol = object(
  {
    destinationPort: object(
      { number: portNumber, range: object({ 'start*': portNumber, 'end*': portNumber }) },
      onlyOne,
    ),
  },
  { minProperties: 1 },
)
const clusterRule = (side: 'from' | 'to', peers: Readonly<Record<string, Schema>>): Schema =>
  object({
    name: string({ maxLength: 100 }),
    'action*': string({ enum: ['Accept', 'Deny', 'Pass'] }),
    [`${side}*`]: list(object({ namespaces: labelSelector, pods: podsOfNamespaces, ...peers }, onlyOne), upTo25),
    protocols: list(
      object({ tcp: ofProtocol, udp: ofProtocol, sctp: ofProtocol, destinationNamedPort: string() }, onlyOne),
      upTo25,
    ),
  })
const domainName = string({
  pattern: '^(\\*\\.)?([a-zA-Z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\\.)+[a-zA-Z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\\.?$',
})
const clusterNetworkPolicy = object({
  'spec*': object({
    'tier*': said(
      'Admin decides before NetworkPolicies, Baseline where none of them selects.',
      string({ enum: ['Admin', 'Baseline'] }),
    ),
    'priority*': said(
      'Within the tier the lower decides first.',
      integer({ format: 'int32', minimum: 0, maximum: 1000 }),
    ),
    'subject*': said('The pods it is about.', object({ namespaces: labelSelector, pods: podsOfNamespaces }, onlyOne)),
    ingress: list(clusterRule('from', {}), { maxItems: 25 }),
    egress: list(
      clusterRule('to', {
        nodes: labelSelector,
        networks: list({ ...prefix, maxLength: 43 }, { ...upTo25, 'x-kubernetes-list-type': 'set' }),
        domainNames: list(domainName, { ...upTo25, 'x-kubernetes-list-type': 'set' }),
      }),
      { maxItems: 25 },
    ),
  }),
  status: object({ conditions }),
})

interface Definition {
  readonly kind: string
  readonly plural: string
  /** cilium.io without it. */
  readonly group?: string
  /** v2 alone without it; the first is stored. */
  readonly versions?: readonly string[]
  readonly annotations?: Readonly<Record<string, string>>
  readonly cluster?: true
  readonly shortNames: readonly string[]
  readonly categories: readonly string[]
  readonly columns: readonly Column[]
  readonly status?: true
  readonly schema: Schema
}

const definitions: readonly Definition[] = [
  {
    kind: 'CiliumNetworkPolicy',
    plural: 'ciliumnetworkpolicies',
    shortNames: ['cnp', 'ciliumnp'],
    categories: ['cilium', 'ciliumpolicy'],
    columns: [age, column('Valid', '.status.conditions[?(@.type=="Valid")].status')],
    status: true,
    schema: policy,
  },
  {
    kind: 'CiliumClusterwideNetworkPolicy',
    plural: 'ciliumclusterwidenetworkpolicies',
    cluster: true,
    shortNames: ['ccnp'],
    categories: ['cilium', 'ciliumpolicy'],
    columns: [column('Valid', '.status.conditions[?(@.type=="Valid")].status')],
    status: true,
    schema: policy,
  },
  {
    kind: 'CiliumEndpoint',
    plural: 'ciliumendpoints',
    shortNames: ['cep', 'ciliumep'],
    categories: ['cilium'],
    columns: [
      column('Security Identity', '.status.identity.id', 'integer'),
      column('Ingress Enforcement', '.status.policy.ingress.state', 'string', 1),
      column('Egress Enforcement', '.status.policy.egress.state', 'string', 1),
      column('Visibility Policy', '.status.visibility-policy-status', 'string', 1),
      column('Endpoint State', '.status.state'),
      column('IPv4', '.status.networking.addressing[0].ipv4'),
      column('IPv6', '.status.networking.addressing[0].ipv6'),
    ],
    schema: object({ status: endpointStatus }),
  },
  {
    kind: 'CiliumIdentity',
    plural: 'ciliumidentities',
    cluster: true,
    shortNames: ['ciliumid'],
    categories: ['cilium'],
    columns: [column('Namespace', '.metadata.labels.io\\.kubernetes\\.pod\\.namespace'), age],
    status: true,
    schema: object({ 'security-labels*': said('The labels the number stands for, as source:key.', map(string())) }),
  },
  {
    kind: 'CiliumNode',
    plural: 'ciliumnodes',
    cluster: true,
    shortNames: ['cn', 'ciliumn'],
    categories: ['cilium'],
    columns: [
      column('CiliumInternalIP', '.spec.addresses[?(@.type=="CiliumInternalIP")].ip'),
      column('InternalIP', '.spec.addresses[?(@.type=="InternalIP")].ip'),
      age,
    ],
    status: true,
    schema: node,
  },
  {
    kind: 'CiliumCIDRGroup',
    plural: 'ciliumcidrgroups',
    cluster: true,
    versions: ['v2', 'v2alpha1'],
    shortNames: ['ccg'],
    categories: ['cilium'],
    columns: [age],
    schema: object({
      'spec*': object({ 'externalCIDRs*': said('Prefixes that policies name together.', list(prefix)) }),
    }),
  },
  {
    kind: 'ClusterNetworkPolicy',
    plural: 'clusternetworkpolicies',
    group: 'policy.networking.k8s.io',
    versions: ['v1alpha2'],
    annotations: { 'api-approved.kubernetes.io': 'unapproved, an alpha kind as the implementation understands it' },
    cluster: true,
    shortNames: [],
    categories: [],
    columns: [column('Tier', '.spec.tier'), column('Priority', '.spec.priority'), age],
    status: true,
    schema: clusterNetworkPolicy,
  },
]

function definition(d: Definition): object {
  const { kind, plural, shortNames, categories, columns, schema } = d
  const { group = 'cilium.io', versions = ['v2'], annotations } = d
  const properties = { apiVersion: string(), kind: string(), metadata: { type: 'object' }, ...schema.properties }
  const required = ['metadata', ...(schema.required ?? [])]
  return {
    apiVersion: 'apiextensions.k8s.io/v1',
    kind: 'CustomResourceDefinition',
    metadata: { name: `${plural}.${group}`, ...(annotations ? { annotations } : {}) },
    spec: {
      group,
      names: {
        kind,
        listKind: `${kind}List`,
        plural,
        singular: kind.toLowerCase(),
        ...(shortNames.length > 0 ? { shortNames } : {}),
        ...(categories.length > 0 ? { categories } : {}),
      },
      scope: d.cluster ? 'Cluster' : 'Namespaced',
      versions: versions.map((name, i) => ({
        name,
        served: true,
        storage: i === 0,
        ...(columns.length > 0 ? { additionalPrinterColumns: columns } : {}),
        ...(d.status ? { subresources: { status: {} } } : {}),
        schema: { openAPIV3Schema: { ...schema, properties, required } },
      })),
    },
  }
}

for (const d of definitions) {
  const text = stringify(definition(d), { aliasDuplicateObjects: false, lineWidth: 0 })
  const head = '# SPDX-License-Identifier: Apache-2.0\n# Made by tools/crds.ts.\n'
  writeFileSync(new URL(`../crds/${d.plural}.yaml`, import.meta.url), head + text)
}
