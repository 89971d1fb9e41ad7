// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { endpoints } from '../../src/derive/endpoints/tables.ts'
import { answerOf, ask, openAsking } from '../../src/derive/questions/ask.ts'
import { learn, openCluster } from '../../src/derive/questions/cluster.ts'
import { compare, withPolicies } from '../../src/derive/questions/compare.ts'
import { readObjects } from '../../src/derive/questions/objects.ts'
import { everybody, openReach, stretches } from '../../src/derive/questions/reach.ts'
import { reasonsOf } from '../../src/derive/questions/reasons.ts'
import { idleRules } from '../../src/derive/questions/shadowed.ts'
import * as rows from '../../src/model/rows.ts'
import { defaultSettings } from '../../src/model/settings.ts'
import { openWorld } from '../scenarios/world.ts'
import { type Any, history, type Step } from './policy-objects.ts'
import { reference } from './policy-reference.ts'
import { namespaces as labelled, play, questions } from './policy-worlds.ts'

/** Answers to questions against the reference model, and against each other. */
const namespaces = ['red', 'blue']
const labels = fc.record({ a: fc.constantFrom('x', 'y'), b: fc.constantFrom('x', 'y') }, { requiredKeys: [] })
const pods = fc.uniqueArray(fc.record({ namespace: fc.constantFrom(...namespaces), n: fc.nat(2), labels }), {
  minLength: 2,
  maxLength: 4,
  selector: (p) => `${p.namespace}/${p.n}`,
})
const selector = fc.oneof(
  fc.constant({}),
  fc.record({ matchLabels: labels }),
  fc.record({ matchExpressions: fc.constant([{ key: 'b', operator: 'DoesNotExist' }]) }),
)
const port = fc.constantFrom('80', '443')
const kubernetesRule = (side: 'from' | 'to') =>
  fc.record(
    {
      [side]: fc.array(
        fc.oneof(
          fc.record({ podSelector: selector }),
          fc.record({
            namespaceSelector: fc.constantFrom({}, { matchLabels: { 'kubernetes.io/metadata.name': 'red' } }),
          }),
        ),
        { maxLength: 2 },
      ),
      ports: fc.array(fc.record({ port: port.map(Number) }), { maxLength: 2 }),
    },
    { requiredKeys: [] },
  )
const ciliumRule = (side: 'from' | 'to') =>
  fc.record(
    {
      [`${side}Endpoints`]: fc.array(selector, { maxLength: 2 }),
      toPorts: fc.array(
        fc.record({
          ports: fc.array(fc.record({ port, protocol: fc.constantFrom('TCP', 'ANY') }), { minLength: 1, maxLength: 2 }),
        }),
        {
          minLength: 1,
          maxLength: 1,
        },
      ),
    },
    { requiredKeys: [] },
  )
const few = <T>(of: fc.Arbitrary<T>) => fc.array(of, { maxLength: 2 })
const spec = fc.oneof(
  fc.record({
    kind: fc.constant('NetworkPolicy'),
    spec: fc.record(
      { podSelector: selector, ingress: few(kubernetesRule('from')), egress: few(kubernetesRule('to')) },
      { requiredKeys: ['podSelector'] },
    ),
  }),
  fc.record({
    kind: fc.constant('CiliumNetworkPolicy'),
    spec: fc.record(
      {
        endpointSelector: selector,
        ingress: few(ciliumRule('from')),
        egress: few(ciliumRule('to')),
        ingressDeny: few(ciliumRule('from')),
        egressDeny: few(ciliumRule('to')),
      },
      { requiredKeys: ['endpointSelector'] },
    ),
  }),
)
const policies = fc
  .array(fc.record({ namespace: fc.constantFrom(...namespaces), of: spec }), { minLength: 1, maxLength: 4 })
  .map((all) =>
    all.map(({ namespace, of }, i) => ({
      kind: of.kind,
      metadata: { name: `p${i}`, namespace, uid: `p${i}` },
      spec: of.spec,
    })),
  )
const packet = fc.constantFrom('80/TCP', '443/TCP', '8080/TCP', '80/UDP')
const world = fc.record({ pods, policies, ports: fc.array(packet, { minLength: 1, maxLength: 2 }) })

type World = typeof world extends fc.Arbitrary<infer T> ? T : never
type PodOf = World['pods'][number]

const podObject = (p: PodOf) => ({
  kind: 'Pod',
  metadata: { name: `p${p.n}`, namespace: p.namespace, labels: p.labels },
  spec: { containers: [{ name: 'main' }] },
})
const nameOf = (p: PodOf): string => `${p.namespace}/p${p.n}`
const clusterOf = (w: Pick<World, 'pods' | 'policies'>) =>
  openCluster(readObjects([...w.pods.map(podObject), ...w.policies]))

const peerOf = (p: PodOf) => ({
  labels: {
    ...Object.fromEntries(Object.entries(p.labels).map(([k, v]) => [`k8s:${k}`, v])),
    'k8s:io.kubernetes.pod.namespace': p.namespace,
    'k8s:io.cilium.k8s.namespace.labels.kubernetes.io/metadata.name': p.namespace,
    'k8s:io.cilium.k8s.policy.cluster': 'default',
    'k8s:io.cilium.k8s.policy.serviceaccount': 'default',
  },
})

/** A rule's or field's path, followed into the object. */
function valueAt(object: unknown, path: string): unknown {
  let at: unknown = object
  for (const [, name, index] of path.matchAll(/([^.[\]]+)|\[(\d+)\]/g))
    at = (at as { [key: string]: unknown } | undefined)?.[name ?? index ?? '']
  return at
}

const pairs = (w: World) => w.pods.flatMap((from) => w.pods.map((to) => [from, to] as const))

test('an answer is what the specifications say, and names a field that is there', () => {
  fc.assert(
    fc.property(world, (w) => {
      const cluster = clusterOf(w)
      const asking = openAsking(cluster)
      for (const [from, to] of pairs(w))
        for (const port of w.ports) {
          const answer = ask(asking, { from: nameOf(from), to: nameOf(to), port })
          assert(answer.ok, JSON.stringify(answer))
          const [number = '', protocol] = port.split('/')
          const sent = { protocol: protocol as 'TCP', port: Number(number) }
          const word = (v: string) => (v === 'allow' ? 'allow' : 'deny')
          const egress = reference(w.policies, defaultSettings, peerOf(from), 'egress', peerOf(to), sent)
          const ingress = reference(w.policies, defaultSettings, peerOf(to), 'ingress', peerOf(from), sent)
          assert.equal(answer.value.egress.verdict, word(egress))
          assert.equal(answer.value.ingress.verdict, word(ingress))
          assert.equal(answer.value.verdict.final, egress === 'allow' && ingress === 'allow' ? 'allow' : 'deny')
          for (const { decidedBy } of [answer.value.egress, answer.value.ingress]) {
            if (decidedBy.kind === '') continue
            const object = w.policies.find((p) => p.metadata.name === decidedBy.name)
            assert.notEqual(valueAt(object, decidedBy.field), undefined, decidedBy.field)
            if (decidedBy.rule !== 'default deny') assert.notEqual(valueAt(object, decidedBy.rule), undefined)
          }
        }
    }),
    { numRuns: 300 },
  )
})

test('what an answer says of a removed rule comes true', () => {
  fc.assert(
    fc.property(world, (w) => {
      const cluster = clusterOf(w)
      const asking = openAsking(cluster)
      for (const [from, to] of pairs(w)) {
        const question = { from: nameOf(from), to: nameOf(to), port: w.ports[0] ?? '80' }
        const answer = ask(asking, question)
        assert(answer.ok)
        for (const change of reasonsOf(cluster, answer.value).changes) {
          if (change.change !== 'remove') continue
          const without = structuredClone(w.policies.find((p) => p.metadata.name === change.name)) as unknown as {
            spec: { [list: string]: unknown[] }
          }
          const [, list = '', index] = /^spec\.(\w+)\[(\d+)\]$/.exec(change.rule) ?? []
          // What asks for the default deny stays: a list that was there does not become empty.
          const nobody = { fromEndpoints: [], toEndpoints: [] }
          const end = list.startsWith('ingress')
            ? { fromEndpoints: nobody.fromEndpoints }
            : { toEndpoints: nobody.toEndpoints }
          if (change.kind !== 'CiliumNetworkPolicy') continue
          without.spec[list]?.splice(Number(index), 1, end)
          const after = openAsking(withPolicies(cluster, readObjects([without]).policies, []))
          const then = ask(after, question)
          assert(then.ok)
          assert.equal(then.value[change.direction].verdict, change.verdict)
        }
      }
    }),
    { numRuns: 200 },
  )
})

test('the matrix, single questions and what-if agree on every pair', () => {
  fc.assert(
    fc.property(world, policies, (w, others) => {
      const before = clusterOf(w)
      const after = withPolicies(before, readObjects(others).policies, before.objects.policies)
      const comparison = compare(before, after)
      const changed = new Set(
        comparison.differences.flatMap((d) => d.pairs.map((p) => `${p.from} ${p.to} ${d.before} ${d.after}`)),
      )
      const [then, now] = [openAsking(before), openAsking(after)]
      const reach = openReach(after)
      for (const from of everybody(before))
        for (const to of everybody(before)) {
          if (!from.party.group && !to.party.group) continue
          for (const s of stretches(reach, from.party, to.party)) {
            const port = { space: s.space, number: s.first }
            const [was, is] = [then, now].map((a) => answerOf(a, from.party, to.party, port).verdict.final)
            assert.equal(is === 'allow', s.passes)
            if (was !== is) assert(changed.has(`${from.name} ${to.name} ${was} ${is}`), `${from.name} ${to.name}`)
          }
        }
    }),
    { numRuns: 150 },
  )
})

test('a rule that is said to decide nothing can go without any verdict changing', () => {
  fc.assert(
    fc.property(world, (w) => {
      const cluster = clusterOf(w)
      for (const idle of idleRules(cluster)) {
        const [, , name] = idle.policy.split('/')
        const [, list = '', index] = /^spec\.(\w+)\[(\d+)\]$/.exec(idle.field) ?? []
        const written = w.policies.find((p) => p.metadata.name === name)
        if (list === '' || written?.kind !== 'CiliumNetworkPolicy') continue
        const without = structuredClone(written) as unknown as { spec: { [list: string]: unknown[] } }
        without.spec[list]?.splice(
          Number(index),
          1,
          list.startsWith('ingress') ? { fromEndpoints: [] } : { toEndpoints: [] },
        )
        assert.deepEqual(compare(cluster, withPolicies(cluster, readObjects([without]).policies, [])).differences, [])
      }
    }),
    { numRuns: 200 },
  )
})

const nodes = ['n1', 'n2'].map((name, i) => ({
  kind: 'Node',
  metadata: { name },
  status: {
    addresses: [`192.168.0.${i + 1}`, `fd00:c0::${i + 1}`].map((address) => ({ type: 'InternalIP', address })),
  },
}))

const ownAddresses = ['192.168.0.1', 'fd00:c0::1']

/** What `configure` steps are to an agent. */
const configMap = (steps: readonly Step[]): Any => ({
  kind: 'ConfigMap',
  metadata: { name: 'cilium-config', namespace: 'kube-system' },
  data: Object.fromEntries(
    Object.entries(Object.assign({}, ...steps.map((s) => s.configure ?? {})) as Any).map(([name, value]) => [
      name.replace(/[A-Z]/g, (c) => `-${c.toLowerCase()}`),
      Array.isArray(value) ? value.join(',') : String(value),
    ]),
  ),
})

test('explain says of a whole cluster what the specifications say, and what staged policies would change', () => {
  let asked = 0
  fc.assert(
    fc.property(history, (steps) => {
      const world = openWorld()
      const now = play(world, steps)
      const addressed = [...now].map(([key, object]): Any => {
        const at = object['kind'] === 'Pod' ? world.db.by(endpoints, 'pod', key)[0] : undefined
        return at ? { ...object, status: { podIPs: [{ ip: at.ipv4 }, { ip: at.ipv6 }] } } : object
      })
      const all = [...labelled, ...nodes, ...addressed, configMap(steps)]
      const cluster = openCluster(readObjects(structuredClone(all)))
      learn(cluster, world.db.all(rows.learntNames))
      const asking = openAsking(cluster)
      for (const { subject, direction, peer, packet, want, staged, text } of questions(world, now)) {
        // By its address a node is asked as all others see it.
        if (ownAddresses.includes(peer)) continue
        const name = subject.name === 'host' ? 'node:n1' : subject.name
        const [from, to] = direction === 'ingress' ? [peer, name] : [name, peer]
        const { protocol, port } = packet
        const answer = ask(asking, {
          ...{ from, to, protocol },
          ...(protocol.startsWith('ICMP') ? { icmpType: port } : { port }),
        })
        assert(answer.ok, `${text}: ${JSON.stringify(answer)}`)
        const side = answer.value[direction]
        const word = (v: string) => (v === 'none' ? 'deny' : v)
        assert.equal(side.verdict, word(want), text)
        assert.equal(side.would?.verdict ?? side.verdict, word(staged), `${text}, staged`)
        asked++
      }
    }),
    { numRuns: Number(process.env['POLICY_RUNS'] ?? 30) },
  )
  assert.ok(asked > 1000, `only ${asked} questions were asked`)
})
