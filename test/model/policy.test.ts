// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { endpoints } from '../../src/derive/endpoints/tables.ts'
import { policyNumbers } from '../../src/derive/policy/decisions.ts'
import { subjectKey } from '../../src/derive/policy/program.ts'
import { type PortSpace, verdict } from '../../src/model/datapath.ts'
import { parseLabel } from '../../src/model/labels.ts'
import * as rows from '../../src/model/rows.ts'
import { judge } from '../scenarios/machine.ts'
import { type Answer, connection, openWorld, type World } from '../scenarios/world.ts'
import { type RefPacket, type RefPeer, reference } from './policy-reference.ts'

const runs = Number(process.env['POLICY_RUNS'] ?? 60)

type Any = { readonly [name: string]: unknown }

// --- random worlds -------------------------------------------------------------------------------------------------

const keys = ['app', 'tier', 'org'] as const
const values = ['a', 'b', ''] as const
const namespaceNames = ['default', 'blue', 'red'] as const
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

const policy = fc
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

interface Step {
  readonly put?: Any
  readonly remove?: number
}
/** A history: objects come, are replaced and go, in any order. */
const history = fc.array(
  fc.oneof(
    { weight: 3, arbitrary: pod.map((put): Step => ({ put })) },
    { weight: 5, arbitrary: policy.map((put): Step => ({ put })) },
    { weight: 1, arbitrary: referred.map((put): Step => ({ put })) },
    { weight: 1, arbitrary: fc.nat(20).map((remove): Step => ({ remove })) },
  ),
  { minLength: 4, maxLength: 14 },
)

/** Policies about the same few pods replace each other, so that tables change all the time. */
const churn = fc
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

const keyOf = (object: Any): string => {
  const m = object['metadata'] as { readonly namespace?: string; readonly name: string }
  return object['kind'] === 'Pod' ? `${m.namespace}/${m.name}` : `${object['kind']}/${m.namespace ?? ''}/${m.name}`
}

const namespaces = [
  { kind: 'Namespace', metadata: { name: 'blue', labels: { 'kubernetes.io/metadata.name': 'blue', team: 'x' } } },
  { kind: 'Namespace', metadata: { name: 'red', labels: { 'kubernetes.io/metadata.name': 'red', team: 'y' } } },
]

/** Plays a history; `now` holds the objects there are, by key. */
function play(world: World, steps: readonly Step[], after?: (now: ReadonlyMap<string, Any>) => void): Map<string, Any> {
  const now = new Map<string, Any>()
  world.apply(structuredClone(namespaces))
  for (const { put, remove } of steps) {
    if (put) {
      const old = now.get(keyOf(put))
      // A pod does not move between nodes; it goes and comes.
      if (put['kind'] === 'Pod' && old) {
        world.remove('Pod', keyOf(old))
        now.delete(keyOf(old))
      }
      now.set(keyOf(put), put)
      world.apply([structuredClone(put)])
    } else if (remove !== undefined && now.size > 0) {
      const victim = [...now.values()][remove % now.size] as Any
      now.delete(keyOf(victim))
      world.remove(String(victim['kind']), keyOf(victim))
    }
    after?.(now)
  }
  return now
}

// --- questions -----------------------------------------------------------------------------------------------------

const packets: readonly RefPacket[] = [
  ...[1, 80, 81, 300, 8080].flatMap((port) => [
    { protocol: 'TCP' as const, port },
    { protocol: 'UDP' as const, port },
  ]),
  { protocol: 'SCTP', port: 80 },
  { protocol: 'ICMP', port: 8 },
  { protocol: 'ICMP', port: 0 },
  { protocol: 'other', port: 0 },
]
const outside = ['20.1.2.3', '20.1.2.4', '20.1.200.1', '20.9.9.9', '30.0.0.1', '99.0.0.1']

const labelsFrom = (labels: readonly string[]): RefPeer['labels'] =>
  Object.fromEntries(labels.map((t) => [`${parseLabel(t).source}:${parseLabel(t).key}`, parseLabel(t).value]))

function peers(world: World, now: ReadonlyMap<string, Any>): readonly (readonly [string, RefPeer])[] {
  const out: (readonly [string, RefPeer])[] = [
    ['host', { labels: { 'reserved:host': '' } }],
    ['remote-node', { labels: { 'reserved:remote-node': '' } }],
  ]
  for (const text of outside)
    out.push([
      text,
      {
        labels: { 'reserved:world-ipv4': '' },
        world: true,
        address: text.split('.').map(Number) as unknown as [number, number, number, number],
      },
    ])
  out.push(['192.168.0.2', { labels: { 'reserved:remote-node': '' }, address: [192, 168, 0, 2] }])
  for (const [name, object] of now) {
    if (object['kind'] !== 'Pod') continue
    const ref = refOf(world, name)
    if (ref) out.push([name, ref])
  }
  return out
}

/**
 * A pod with an identity stands for all that share it: a named port is allowed to an identity, so it is at every port
 * that any of them gives that name.
 */
function refOf(world: World, name: string): RefPeer | undefined {
  const local = world.db.by(endpoints, 'pod', name)[0]
  const identity = local?.identity ?? world.db.get(rows.ciliumEndpoints, name)?.identity
  if (identity === undefined) return undefined
  const labels = world.db.get(rows.ciliumIdentities, String(identity))?.labels ?? []
  const same = [
    ...world.db.by(endpoints, 'identity', String(identity)),
    ...world.db.by(rows.ciliumEndpoints, 'identity', String(identity)),
  ]
  const at = local?.ipv4 ?? world.db.get(rows.ciliumEndpoints, name)?.addresses[0] ?? ''
  const address = at.split('.').map(Number) as unknown as [number, number, number, number]
  return { labels: labelsFrom(labels), ports: same.flatMap((e) => e.namedPorts), address }
}

function compare(world: World, now: ReadonlyMap<string, Any>): number {
  const objects = [...now.values()].filter((object) => object['kind'] !== 'Pod')
  let asked = 0
  for (const e of world.db.all(endpoints)) {
    const subject: RefPeer = { labels: labelsFrom(e.labels), ports: e.namedPorts }
    const name = `${e.namespace}/${e.podName}`
    for (const [peerName, peer] of peers(world, now))
      for (const packet of packets) {
        const space: PortSpace | 'other' = packet.protocol
        const port = packet.protocol === 'ICMP' ? packet.port << 8 : packet.port
        for (const direction of ['ingress', 'egress'] as const) {
          const [from, to] = direction === 'ingress' ? [peerName, name] : [name, peerName]
          const got: Answer | undefined = connection(world, from, to, space, port)[direction]
          const want = reference(objects, subject, direction, peer, packet)
          asked++
          const then = reference(objects, subject, direction, peer, packet, true)
          assert.equal(
            got?.shadow ?? got?.verdict,
            then,
            `${direction} of ${name}, peer ${peerName}, ${packet.protocol} ${packet.port}, staged`,
          )
          assert.equal(
            got?.verdict,
            want,
            `${direction} of ${name}, peer ${peerName}, ${packet.protocol} ${packet.port}: ${got?.verdict} by ${got?.rule}`,
          )
        }
      }
  }
  return asked
}

test('derivation and reference give one verdict, whatever objects come in whatever order', () => {
  let asked = 0
  fc.assert(
    fc.property(history, (steps) => {
      const world = openWorld()
      const now = play(world, steps)
      asked += compare(world, now)
    }),
    { numRuns: runs },
  )
  assert.ok(asked > 1000, `only ${asked} questions were asked`)
})

test('the order in which objects come does not change a verdict', () => {
  fc.assert(
    fc.property(history, fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })), (steps, random) => {
      const world = openWorld()
      const now = play(world, steps)
      const shuffled = [...now.values()]
        .map((put) => ({ put, at: random.next().value as number }))
        .sort((a, b) => a.at - b.at)
      const other = openWorld()
      compare(other, play(other, shuffled))
    }),
    { numRuns: Math.ceil(runs / 4) },
  )
})

// --- on the way from one state to the next -------------------------------------------------------------------------

/** Every answer the kernel gives for the policies it holds: true is open. */
function openness(
  world: World,
  questions: readonly (readonly [number, number, PortSpace | 'other', number])[],
): readonly boolean[] {
  return questions.flatMap(([policy, identity, space, port]) =>
    (['ingress', 'egress'] as const).map((direction) => {
      const v = judge(world.kernel, policy, direction, identity, space, port).verdict
      return v === verdict.allow || v === verdict.audit
    }),
  )
}

test('between two states the kernel is never more open than in both of them', () => {
  let writes = 0
  fc.assert(
    fc.property(fc.oneof(history, churn), (steps) => {
      const world = openWorld()
      // Every state passed through is kept; those before and after a settling are compared with the ones between.
      let before: {
        world: readonly (readonly [number, number, PortSpace | 'other', number])[]
        open: readonly boolean[]
      }
      const between: (readonly boolean[])[] = []
      const questions = () => {
        const policies = world.db.all(policyNumbers).filter((p) => p.subject !== 'cursor')
        const identities = [0, 1, 2, 6, 9, 99999, ...world.db.all(rows.ciliumIdentities).map((i) => i.number)]
        return policies.flatMap((p) =>
          identities.flatMap((i) =>
            [80, 81, 8080]
              .map((port) => [p.policy, i, 'TCP' as const, port] as const)
              .concat([[p.policy, i, 'other' as never, 0]]),
          ),
        )
      }
      before = { world: [], open: [] }
      world.onWrite = () => {
        writes++
        if (before.world.length > 0) between.push(openness(world, before.world))
      }
      play(world, steps, () => {
        const after = openness(world, before.world)
        for (const state of between)
          for (const [i, open] of state.entries())
            assert.ok(!open || before.open[i] || after[i], `open in between: ${before.world[i >> 1]}`)
        between.length = 0
        const next = questions()
        before = { world: next, open: openness(world, next) }
      })
    }),
    { numRuns: runs * 3 },
  )
  assert.ok(writes > 100, `only ${writes} writes were looked at`)
})

test('an identity of the cluster that the kernel has not heard of is never better off than any other', () => {
  fc.assert(
    fc.property(history, (steps) => {
      const world = openWorld()
      play(world, steps)
      for (const e of world.db.all(endpoints)) {
        const policy = world.db.get(policyNumbers, subjectKey(e.identity, e.namedPorts))?.policy ?? 0
        for (const direction of ['ingress', 'egress'] as const)
          for (const identity of world.db.all(rows.ciliumIdentities).map((i) => i.number))
            for (const port of [80, 8080]) {
              const stranger = judge(world.kernel, policy, direction, 0xabcdef, 'TCP', port).verdict
              const known = judge(world.kernel, policy, direction, identity, 'TCP', port).verdict
              assert.ok(stranger !== verdict.allow || known === verdict.allow)
            }
      }
    }),
    { numRuns: Math.ceil(runs / 4) },
  )
})
