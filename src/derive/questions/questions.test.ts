// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ask, openAsking, type Question } from './ask.ts'
import { addMember, openCluster } from './cluster.ts'
import { compare, withPolicies } from './compare.ts'
import { matrixOf } from './matrix.ts'
import { type Member, readObjects } from './objects.ts'
import { portOf } from './ports.ts'
import { somePortsText } from './reach.ts'
import { decidedByText, reasonsOf } from './reasons.ts'
import { idleRules } from './shadowed.ts'

const template = (labels: object, ports: readonly object[] = []) => ({
  metadata: { labels },
  spec: { containers: [{ name: 'main', ports }] },
})
const deployment = (name: string, labels: object, ports: readonly object[] = []) => ({
  kind: 'Deployment',
  metadata: { name },
  spec: { template: template(labels, ports) },
})
const pod = (name: string, labels: object, more: object = {}) => ({
  kind: 'Pod',
  metadata: { name, labels, ...more },
  spec: { containers: [{ name: 'main' }] },
})
const policy = (name: string, spec: object, more: object = {}) => ({
  kind: 'CiliumNetworkPolicy',
  metadata: { name, ...more },
  spec,
})
const onlyWeb = policy('only-web', {
  endpointSelector: { matchLabels: { app: 'api' } },
  ingress: [
    { fromEndpoints: [{ matchLabels: { app: 'web' } }], toPorts: [{ ports: [{ port: '8080', protocol: 'TCP' }] }] },
  ],
})
const shop = [
  deployment('web', { app: 'web' }),
  deployment('api', { app: 'api' }, [{ name: 'http', containerPort: 8080 }]),
  {
    kind: 'Service',
    metadata: { name: 'front' },
    spec: { selector: { app: 'api' }, ports: [{ port: 80, targetPort: 'http' }] },
  },
]
const open = (...objects: readonly object[]) => openCluster(readObjects(objects))

function answer(objects: readonly object[], question: Question) {
  const found = ask(openAsking(open(...objects)), question)
  assert(found.ok, JSON.stringify(found))
  return found.value
}
const said = (objects: readonly object[], question: Question): string => {
  const { verdict, decidedBy } = answer(objects, question)
  return `${verdict.final}: ${decidedByText(decidedBy)}`
}
function refusal(objects: readonly object[], question: Question): string {
  const found = ask(openAsking(open(...objects)), question)
  assert(!found.ok)
  return `${found.error.message}${found.error.fix ? ` (${found.error.fix})` : ''}`
}

test('workloads stand for their pods, and pods that are there say which workload they belong to', () => {
  const owned = pod(
    'web-5d9-x',
    { app: 'web', 'pod-template-hash': '5d9' },
    {
      ownerReferences: [{ kind: 'ReplicaSet', name: 'web-5d9', controller: true }],
    },
  )
  const { members } = readObjects([
    ...shop,
    owned,
    {
      kind: 'ReplicaSet',
      metadata: { name: 'web-5d9', ownerReferences: [{ kind: 'Deployment', name: 'web' }] },
      spec: { template: template({ app: 'web' }) },
    },
    {
      kind: 'CronJob',
      metadata: { name: 'backup' },
      spec: { jobTemplate: { spec: { template: template({ app: 'backup' }) } } },
    },
    { ...pod('done', { app: 'done' }), status: { phase: 'Succeeded' } },
  ])
  assert.deepEqual(members.map((m) => `${m.workload} ${m.pod.name} ${m.pod.serviceAccount}`).sort(), [
    'CronJob/backup backup default',
    'Deployment/api api default',
    'Deployment/web web default',
    'Deployment/web web-5d9-x default',
  ])
})

test('pods that policy can not tell apart are one group', () => {
  const cluster = open(...shop, pod('web-1', { app: 'web' }), pod('web-2', { app: 'web', 'pod-template-hash': 'abc' }))
  assert.equal(cluster.ofPod.get('default/web-1'), cluster.ofPod.get('default/web-2'))
  assert.equal(cluster.groups.size, 2)
  const before = cluster.db.revision
  addMember(cluster, readObjects([pod('web-3', { app: 'web' })]).members[0] as Member)
  assert.equal(cluster.db.revision, before, 'one more of the same changes nothing that is derived')
})

test('a namespace that is only mentioned has the label Kubernetes gives it', () => {
  const { namespaces } = readObjects([
    pod('p', {}, { namespace: 'blue' }),
    { kind: 'Namespace', metadata: { name: 'red', labels: { team: 'x' } } },
  ])
  assert.deepEqual(
    namespaces.map((n) => [n.name, n.labels]),
    [
      ['blue', { 'kubernetes.io/metadata.name': 'blue' }],
      ['default', { 'kubernetes.io/metadata.name': 'default' }],
      ['red', { 'kubernetes.io/metadata.name': 'red', team: 'x' }],
    ],
  )
})

test('objects that can not be read are told by their place, and kinds without a word on policy are counted', () => {
  const { problems, ignored } = readObjects([
    { kind: 'Pod', metadata: {} },
    { metadata: { name: 'x' } },
    { kind: 'Secret' },
    { kind: 'Secret' },
  ])
  assert.deepEqual(
    problems.map((p) => [p.object, p.field]),
    [
      [0, 'metadata.name'],
      [1, 'kind'],
    ],
  )
  assert.deepEqual([...ignored], [['Secret', 2]])
})

test('ends are pods, workloads, services, labels, entities, addresses and prefixes', () => {
  const objects = [...shop, onlyWeb]
  const rule = 'CiliumNetworkPolicy default/only-web spec.ingress[0].fromEndpoints[0]'
  assert.equal(said(objects, { from: 'web', to: 'default/api', port: 8080 }), `allow: ${rule}`)
  assert.equal(said(objects, { from: 'pod:web', to: 'service:front', port: 80 }), `allow: ${rule}`)
  assert.equal(said(objects, { from: 'app=web,tier=any', to: 'api', port: 'http' }), `allow: ${rule}`)
  const denied = 'deny: CiliumNetworkPolicy default/only-web default deny'
  assert.equal(said(objects, { from: 'other/app=web', to: 'api', port: 8080 }), denied)
  assert.equal(said(objects, { from: 'reserved:world', to: 'api', port: 8080 }), denied)
  assert.equal(said(objects, { from: '198.51.100.7', to: 'api', port: 8080 }), denied)
  assert.equal(said(objects, { from: '198.51.100.0/24', to: 'api', port: 8080 }), denied)
  assert.equal(said(objects, { from: 'api', to: 'world', port: 443 }), 'allow: no policy')
  assert.equal(said(objects, { from: 'host', to: 'api', port: 8080 }), 'allow: allow-localhost')
})

test('ends may be written as other tools write them, and whole identities as they were copied', () => {
  const objects = [...shop, onlyWeb]
  const from = (text: string) => said(objects, { from: text, to: 'api', port: 'http' }).split(':')[0]
  const identity = answer(objects, { from: 'web', to: 'api', port: 80 }).from.group?.labels ?? []
  assert.ok(identity.includes('k8s:io.cilium.k8s.policy.cluster=default'))
  for (const text of ['Deployment/default/web', 'k8s:app=web', identity.join(','), identity.join(', ')])
    assert.equal(from(text), 'allow', text)
  for (const text of [
    'entity:world',
    'cidr:198.51.100.0/24',
    'ip:198.51.100.1',
    '198.51.100.1:40000',
    '[2001:db8::1]:40000',
    'k8s:app',
  ])
    assert.equal(from(text), 'deny')
  // A pod of the same labels says what its ports are called.
  const [api = []] = [answer(objects, { from: 'web', to: 'api', port: 80 }).to.group?.labels]
  assert.equal(said(objects, { from: 'web', to: api.join(','), port: 'http' }).split(':')[0], 'allow')
})

test('who is meant is said with what would have been there', () => {
  assert.equal(
    refusal(shop, { from: 'wep', to: 'api', port: 80 }),
    "'wep': there is no such pod, workload or service (there is default/web, default/api, default/front)",
  )
  assert.match(refusal(shop, { from: 'reserved:earth', to: 'api', port: 80 }), /is not an entity \(one of: host, world/)
  assert.match(
    refusal(shop, { from: 'io.cilium.k8s.namespace.labels.team=x', to: 'api', port: 80 }),
    /come from the Namespace object/,
  )
})

test('ports are numbers, names of the destination and types of ICMP', () => {
  const named = [{ name: 'dns', port: 53, protocol: 'UDP' as const }]
  const read = (asked: Parameters<typeof portOf>[0]) => {
    const found = portOf(asked, named)
    return found.ok ? `${found.value.space} ${found.value.number}` : found.error.message
  }
  assert.equal(read({ port: 80 }), 'TCP 80')
  assert.equal(read({ port: '53/udp' }), 'UDP 53')
  assert.equal(read({ port: 'dns' }), 'UDP 53')
  assert.equal(read({ port: 'dns', protocol: 'TCP' }), "the destination has no port named 'dns'")
  assert.equal(read({ icmpType: 8 }), `ICMP ${8 << 8}`)
  assert.equal(read({ port: '128/ICMPv6' }), `ICMPv6 ${128 << 8}`)
  assert.equal(read({ icmpType: 3, icmpCode: 4 }), `ICMP ${(3 << 8) | 4}`)
  assert.equal(read({ protocol: 'other' }), 'other 0')
  assert.equal(read({ port: '80', protocol: '6' }), 'TCP 80')
  assert.equal(read({ protocol: 'icmp', icmpType: 'EchoReply' }), 'ICMP 0')
  assert.equal(read({ protocol: 'ICMPv6', icmpType: '129' }), `ICMPv6 ${129 << 8}`)
  assert.equal(read({ protocol: 'ICMP', icmpType: 'PacketTooBig' }), 'type and code are 0 to 255')
  assert.equal(read({ port: '80/GRE' }), "'GRE' is not a protocol")
  assert.equal(read({ port: 70000 }), 'port 70000 is out of range')
  assert.equal(read({}), 'required')
})

test('an address belongs to the narrowest prefix that a policy names', () => {
  const out = policy('out', {
    endpointSelector: { matchLabels: { app: 'web' } },
    egress: [{ toCIDRSet: [{ cidr: '192.0.2.0/24', except: ['192.0.2.128/25'] }] }],
  })
  const to = (address: string) => answer([...shop, out], { from: 'web', to: address, port: 443 })
  assert.equal(to('192.0.2.1').verdict.final, 'allow')
  assert.equal(to('192.0.2.129').verdict.final, 'deny')
  assert.equal(to('192.0.2.0/26').verdict.final, 'allow')
  assert.deepEqual(to('192.0.2.0/24').to.notes, [
    'policies tell parts of 192.0.2.0/24 apart: 192.0.2.128/25; the answer is for the rest',
  ])
})

test('a refusal names the rules that come nearest, and what the peer lacks', () => {
  const changes = (question: Question) => {
    const cluster = open(...shop, onlyWeb)
    const found = ask(openAsking(cluster), question)
    assert(found.ok)
    return reasonsOf(cluster, found.value).changes.map((c) => `${c.change}: ${c.text}`)
  }
  const at = 'CiliumNetworkPolicy default/only-web spec.ingress[0]'
  assert.deepEqual(changes({ from: 'web', to: 'api', port: 80 }), [
    `port: ${at} allows default/web on 8080/TCP: add 80/TCP`,
  ])
  assert.deepEqual(changes({ from: 'app=job', to: 'api', port: 8080 }), [
    `peer: ${at} allows 8080/TCP from app=web, namespace default; app=job lacks app=web (has app=job)`,
  ])
  assert.match(
    changes({ from: 'app=job', to: 'api', port: 81 })[0] ?? '',
    /^rule: no rule of .*only-web speaks of app=job/,
  )
})

test('runners-up are the other rules that speak of the packet', () => {
  const never = policy('never', {
    endpointSelector: {},
    ingressDeny: [{ fromEndpoints: [{ matchLabels: { app: 'web' } }] }],
  })
  const cluster = open(...shop, onlyWeb, never)
  const found = ask(openAsking(cluster), { from: 'web', to: 'api', port: 8080 })
  assert(found.ok)
  assert.equal(found.value.decidedBy.name, 'never')
  assert.deepEqual(
    reasonsOf(cluster, found.value).runnersUp.map((r) => `${r.verdict} ${decidedByText(r.decidedBy)}`),
    ['allow CiliumNetworkPolicy default/only-web spec.ingress[0].fromEndpoints[0]', 'allow allow-localhost'].slice(
      0,
      1,
    ),
  )
})

test('rules that decide nothing are told with the reason', () => {
  const idle = (spec: object) =>
    idleRules(open(...shop, onlyWeb, policy('it', spec))).flatMap((i) =>
      i.policy.endsWith('/it') ? [`${i.field} ${i.reason}`] : [],
    )
  const api = { matchLabels: { app: 'api' } }
  assert.deepEqual(idle({ endpointSelector: { matchLabels: { app: 'apl' } }, ingress: [{}] }), [
    'spec.endpointSelector subject',
  ])
  assert.deepEqual(idle({ endpointSelector: api, ingress: [{ fromEndpoints: [{ matchLabels: { app: 'x' } }] }] }), [
    'spec.ingress[0] peers',
  ])
  assert.deepEqual(
    idle({
      endpointSelector: api,
      ingress: [{ fromEndpoints: [{}], toPorts: [{ ports: [{ port: 'sql', protocol: 'TCP' }] }] }],
    }),
    ['spec.ingress[0] ports'],
  )
  assert.deepEqual(
    idle({
      endpointSelector: api,
      ingress: [{ fromEndpoints: [{ matchLabels: { app: 'web' } }] }],
      ingressDeny: [{ fromEndpoints: [{}] }],
    }),
    ['spec.ingress[0] shadowed'],
  )
  assert.deepEqual(idle({ endpointSelector: api, ingress: [{ fromEndpoints: [{ matchLabels: { app: 'web' } }] }] }), [])
})

test('what a policy changes is folded by the rule that changes it', () => {
  const before = open(...shop)
  const { differences } = compare(before, withPolicies(before, readObjects([onlyWeb]).policies, []))
  assert.equal(differences.length, 1)
  const [d] = differences
  assert.equal(
    `${d?.before} ${d?.after} ${d?.direction} ${d?.decidedBy.name} ${d?.was.rule}`,
    'allow deny ingress only-web no policy',
  )
  assert.deepEqual(
    d?.pairs.filter((p) => p.from.startsWith('default/')),
    [
      { from: 'default/api', to: 'default/api', ports: 'all' },
      { from: 'default/web', to: 'default/api', ports: 'all but 8080/TCP' },
    ],
  )
})

test('the matrix leaves out nodes and prefixes that are treated as the world is', () => {
  const { parties, cells } = matrixOf(open(...shop, onlyWeb))
  assert.deepEqual(
    parties.map((p) => p.name),
    ['default/api', 'default/web', 'world', 'host'],
  )
  assert.deepEqual(cells[1], ['8080/TCP', 'all', 'all', 'all'])
  assert.deepEqual(cells[2], ['none', 'all', '', ''])
})

test('lists of ports say what is whole', () => {
  const s = (space: 'TCP' | 'UDP', first: number, last: number) => ({ space, first, last, passes: true, by: '' })
  assert.equal(somePortsText([s('TCP', 80, 80), s('TCP', 81, 90), s('UDP', 0, 65535)]), '80-90/TCP, all UDP')
  assert.equal(somePortsText([]), 'none')
})

const at = (name: string, labels: object, ip: string) => ({ ...pod(name, labels), status: { podIPs: [{ ip }] } })

test('ipBlock means whoever has the address: pods of equal labels are told apart by theirs', () => {
  const block = {
    kind: 'NetworkPolicy',
    metadata: { name: 'block' },
    spec: { podSelector: { matchLabels: { app: 'api' } }, ingress: [{ from: [{ ipBlock: { cidr: '10.0.1.0/24' } }] }] },
  }
  const objects = [...shop, at('a', { app: 'x' }, '10.0.1.5'), at('b', { app: 'x' }, '10.0.2.5')]
  assert.equal(
    said([...objects, block], { from: 'a', to: 'api', port: 80 }),
    'allow: NetworkPolicy default/block spec.ingress[0].from[0]',
  )
  assert.equal(
    said([...objects, block], { from: 'b', to: 'api', port: 80 }),
    'deny: NetworkPolicy default/block default deny',
  )
  assert.equal(
    said([...objects, block], { from: '10.0.1.5', to: 'api', port: 80 }),
    'allow: NetworkPolicy default/block spec.ingress[0].from[0]',
  )
  const before = open(...objects)
  const { differences } = compare(before, withPolicies(before, readObjects([block]).policies, []))
  const from = differences.flatMap((d) => d.pairs.map((p) => p.from)).filter((n) => n.startsWith('default/'))
  assert.deepEqual(from, ['default/api', 'default/b', 'default/web'])
  assert.equal(matrixOf(open(...objects, block)).parties.filter((p) => p.pods > 0).length, 4)
})

test('an address is asked as it is written, and a pod whose addresses policies tell apart says so', () => {
  const block = {
    kind: 'NetworkPolicy',
    metadata: { name: 'block' },
    spec: { podSelector: { matchLabels: { app: 'api' } }, ingress: [{ from: [{ ipBlock: { cidr: 'fd00:1::/64' } }] }] },
  }
  const dual = { ...pod('a', { app: 'x' }), status: { podIPs: [{ ip: '10.0.1.5' }, { ip: 'fd00:1::5' }] } }
  const objects = [...shop, dual, block]
  const verdicts = ['a', '10.0.1.5', 'fd00:1::5'].map((from) => said(objects, { from, to: 'api', port: 80 }))
  assert.deepEqual(
    verdicts.map((v) => v.split(':')[0]),
    ['deny', 'deny', 'allow'],
  )
  const { from } = answer(objects, { from: 'a', to: 'api', port: 80 })
  assert.deepEqual(from.notes, [
    'policies tell the addresses of default/a apart: this is about 10.0.1.5; ask about fd00:1::5 too',
  ])
})

test('policy-cidr-match-mode gives the way of Cilium: prefixes mean the world, nodes or pods as it says', () => {
  const block = {
    kind: 'NetworkPolicy',
    metadata: { name: 'block' },
    spec: { podSelector: { matchLabels: { app: 'api' } }, ingress: [{ from: [{ ipBlock: { cidr: '10.0.0.0/8' } }] }] },
  }
  const node = {
    kind: 'Node',
    metadata: { name: 'n' },
    status: { addresses: [{ type: 'InternalIP', address: '10.9.0.1' }] },
  }
  const verdicts = (mode: string) => {
    const config = { kind: 'ConfigMap', metadata: { name: 'cilium-config' }, data: { 'policy-cidr-match-mode': mode } }
    const objects = [...shop, at('a', { app: 'x' }, '10.0.1.5'), node, block, config]
    return ['a', '10.9.0.1', '10.8.0.1'].map((from) => answer(objects, { from, to: 'api', port: 80 }).verdict.final)
  }
  assert.deepEqual(verdicts(''), ['allow', 'allow', 'allow'])
  assert.deepEqual(verdicts('none'), ['deny', 'deny', 'allow'])
  assert.deepEqual(verdicts('nodes'), ['deny', 'allow', 'allow'])
  assert.deepEqual(verdicts('nodes pods'), ['allow', 'allow', 'allow'])
})

test('policies for nodes answer for a node by its name, its address and its pods, where nodes have a firewall', () => {
  const node = {
    kind: 'Node',
    metadata: { name: 'n1', labels: { role: 'db' } },
    status: { addresses: [{ type: 'InternalIP', address: '192.168.0.1' }] },
  }
  const onNode = {
    kind: 'Pod',
    metadata: { name: 'agent' },
    spec: { hostNetwork: true, nodeName: 'n1', containers: [{ name: 'c' }] },
  }
  const guard = {
    kind: 'CiliumClusterwideNetworkPolicy',
    metadata: { name: 'guard' },
    spec: {
      nodeSelector: { matchLabels: { role: 'db' } },
      ingress: [{ fromEndpoints: [{ matchLabels: { app: 'web' } }] }],
    },
  }
  const config = { kind: 'ConfigMap', metadata: { name: 'cilium-config' }, data: { 'enable-host-firewall': 'true' } }
  const objects = [...shop, node, onNode, guard]
  for (const to of ['node:n1', '192.168.0.1', 'agent']) {
    const by = (from: string, ...more: object[]) => said([...objects, ...more], { from, to, port: 5432 })
    assert.equal(by('web', config), 'allow: CiliumClusterwideNetworkPolicy guard spec.ingress[0].fromEndpoints[0]')
    assert.equal(by('api', config), 'deny: CiliumClusterwideNetworkPolicy guard default deny')
    assert.match(by('api'), /^allow/)
  }
  assert.equal(
    refusal(objects, { from: 'node:n2', to: 'api', port: 80 }),
    "'node:n2': there is no such node (there is n1)",
  )
  const before = open(...shop, node, config)
  const after = withPolicies(before, readObjects([guard]).policies, [])
  const { differences } = compare(before, after)
  const closed = differences.flatMap((d) =>
    d.pairs.filter((p) => p.to === 'node:n1').map((p) => `${p.from} ${d.after}`),
  )
  assert.ok(
    closed.includes('default/api deny') && closed.includes('world deny') && !closed.includes('default/web deny'),
  )
  assert.equal(matrixOf(after).parties.filter((p) => p.name === 'node:n1').length, 1)
  const idle = (labels: object, ...more: object[]) =>
    idleRules(open(...shop, { ...node, metadata: { name: 'n1', labels } }, guard, ...more)).map(
      (i) => `${i.field} ${i.message}`,
    )
  assert.deepEqual(idle({ role: 'db' }, config), [])
  assert.deepEqual(idle({ role: 'web' }, config), ['spec.nodeSelector selects no node'])
})

test('rules of tiers and groups of prefixes are named as the others are', () => {
  const admin = {
    kind: 'ClusterNetworkPolicy',
    metadata: { name: 'first' },
    spec: {
      tier: 'Admin',
      priority: 1,
      subject: { namespaces: {} },
      ingress: [
        { action: 'Pass', from: [{ pods: { namespaceSelector: {}, podSelector: { matchLabels: { app: 'web' } } } }] },
        { action: 'Deny', from: [{ namespaces: {} }], protocols: [{ tcp: { destinationPort: { number: 8080 } } }] },
      ],
    },
  }
  const group = { kind: 'CiliumCIDRGroup', metadata: { name: 'partners' }, spec: { externalCIDRs: ['192.0.2.0/24'] } }
  const out = policy('out', {
    endpointSelector: { matchLabels: { app: 'web' } },
    egress: [{ toCIDRSet: [{ cidrGroupRef: 'partners' }] }, { toEndpoints: [{}] }],
  })
  const objects = [...shop, onlyWeb, admin, group, out]
  assert.equal(
    said(objects, { from: 'app=job', to: 'api', port: 8080 }),
    'deny: ClusterNetworkPolicy first spec.ingress[1].from[0]',
  )
  assert.equal(
    said(objects, { from: 'web', to: 'api', port: 8080 }),
    'allow: CiliumNetworkPolicy default/only-web spec.ingress[0].fromEndpoints[0]',
  )
  assert.equal(
    said(objects, { from: 'web', to: '192.0.2.9', port: 1 }),
    'allow: CiliumNetworkPolicy default/out spec.egress[0].toCIDRSet[0]',
  )
  const cluster = open(...objects)
  const found = ask(openAsking(cluster), { from: 'web', to: 'api', port: 8080 })
  assert(found.ok)
  assert.deepEqual(
    reasonsOf(cluster, found.value)
      .runnersUp.filter((r) => r.direction === 'ingress')
      .map((r) => r.verdict),
    ['pass', 'deny'],
  )
})

test('a staged policy decides nothing, and the answer says what it would have decided', () => {
  const staged = policy(
    'staged',
    { endpointSelector: { matchLabels: { app: 'api' } }, ingressDeny: [{ fromEndpoints: [{}] }] },
    { annotations: { 'cilium-ts.io/policy-mode': 'staged' } },
  )
  const { verdict, ingress } = answer([...shop, onlyWeb, staged], { from: 'web', to: 'api', port: 8080 })
  assert.equal(verdict.final, 'allow')
  assert.equal(`${ingress.would?.verdict} ${ingress.would?.decidedBy.name}`, 'deny staged')
})

const landing = (http: readonly object[]) =>
  policy('landing', {
    endpointSelector: { matchLabels: { app: 'api' } },
    ingress: [
      {
        fromEndpoints: [{ matchLabels: { app: 'web' } }],
        toPorts: [{ ports: [{ port: '8080', protocol: 'TCP' }], rules: { http } }],
      },
    ],
  })

test('a request is answered by the element that lets it pass, or with those that were asked', () => {
  const objects = [
    ...shop,
    landing([
      { method: 'GET', path: '/public/.*' },
      { method: 'POST', path: '/orders', headers: ['X-Token: secret'], host: 'api[.]shop' },
    ]),
  ]
  const to = { from: 'web', to: 'service:front', port: 80 }
  const at = (more: object) => said(objects, { ...to, ...more })
  const rule = 'CiliumNetworkPolicy default/landing spec.ingress[0].toPorts[0].rules.http'
  assert.equal(at({ path: '/public/a' }), `allow: ${rule}[0]`)
  assert.equal(at({ path: '/public/../admin' }), `deny: ${rule}`)
  assert.equal(at({ method: 'PUT', path: '/public/a' }), `deny: ${rule}`)
  const order = { method: 'POST', path: '/orders', host: 'api.shop' }
  assert.equal(at({ ...order, headers: ['X-Token:  secret'] }), `allow: ${rule}[1]`)
  const { ingress, verdict } = answer(objects, { ...to, ...order, headers: { 'X-Token': 'guess' } })
  assert.deepEqual(verdict, { ingress: 'deny', egress: 'allow', final: 'deny' })
  assert.deepEqual(
    ingress.request?.asked.map((a) => a.lacks),
    [['method GET', 'path /public/.*'], ['header x-token: secret']],
  )
  assert.equal(answer(objects, to).verdict.ingress, 'redirect', 'a connection alone is not refused')
  assert.match(said(objects, { ...to, from: 'world', path: '/public/a' }), /deny: .* default deny/)
  assert.equal(refusal(objects, { ...to, path: 'public' }), "'public' is not a path ('/public')")
  assert.equal(refusal(objects, { ...to, path: '/', dns: 'a.b' }), 'can not go with dns (ask two questions)')
})

test('what a rule does to headers of a request is told', () => {
  const mend = { path: '/', headerMatches: [{ name: 'X-Team', value: 'shop', mismatch: 'REPLACE' }] }
  const found = answer([...shop, landing([mend])], { from: 'web', to: 'api', port: 8080, headers: { 'X-Team': 'x' } })
  assert.deepEqual(found.ingress.request?.changes, ['sets header x-team: shop'])
})

test('rules of the agent’s own API count like objects', () => {
  const rule = { labels: ['name=shut'], endpointSelector: { matchLabels: { app: 'api' } }, ingress: [{}] }
  assert.equal(
    said([...shop, rule], { from: 'web', to: 'api', port: 8080 }),
    'deny: CiliumClusterwideNetworkPolicy imported:shut-3 default deny',
  )
})

test('names of servers are asked of TLS, and requests where it ends', () => {
  const secret = { secret: { name: 's', namespace: 'default' } }
  const rules = [
    { ports: [{ port: '443', protocol: 'TCP' }], serverNames: ['*.example.com'] },
    {
      ports: [{ port: '443', protocol: 'TCP' }],
      serverNames: ['api.example.org'],
      terminatingTLS: secret,
      rules: { http: [{ path: '/public' }] },
    },
  ]
  const tls = policy('tls', { endpointSelector: { matchLabels: { app: 'web' } }, egress: [{ toPorts: rules }] })
  const at = (more: object) => said([...shop, tls], { from: 'web', to: '192.0.2.1', port: 443, ...more })
  const rule = 'CiliumNetworkPolicy default/tls spec.egress[0].toPorts'
  assert.equal(at({ sni: 'www.example.com' }), `allow: ${rule}[0].serverNames`)
  assert.match(at({ sni: 'www.example.net' }), /^deny: /)
  assert.match(at({ path: '/public' }), /^deny: /, 'no TLS at all')
  assert.equal(at({ sni: 'api.example.org', path: '/public' }), `allow: ${rule}[1].rules.http[0]`)
  assert.match(at({ sni: 'api.example.org', path: '/private' }), /^deny: /)
})

test('names are asked of name servers, each end by its own rules', () => {
  const dns = policy('names', {
    endpointSelector: { matchLabels: { app: 'web' } },
    egress: [
      {
        toEndpoints: [{ matchLabels: { app: 'api' } }],
        toPorts: [{ ports: [{ port: '53', protocol: 'ANY' }], rules: { dns: [{ matchPattern: '*.example.com' }] } }],
      },
    ],
  })
  const at = (name: string, more: object = {}) => said([...shop, dns], { from: 'web', to: 'api', dns: name, ...more })
  const rule = 'CiliumNetworkPolicy default/names spec.egress[0].toPorts[0].rules.dns'
  assert.equal(at('WWW.example.com.'), `allow: ${rule}[0]`)
  assert.equal(at('example.com'), `deny: ${rule}`)
  assert.match(at('www.example.com', { port: 80 }), /^deny: .* default deny$/)
  assert.match(refusal([...shop, dns], { from: 'web', to: 'api', dns: 'a b' }), /'a b' is not a name of the DNS/)
})

test('what-if tells what is asked of requests anew, and of one request whether it passes', () => {
  const before = open(...shop, landing([{ path: '/a' }]))
  const changed = readObjects([landing([{ path: '/b' }])]).policies
  const pairs = (request?: Parameters<typeof compare>[2]) =>
    compare(before, withPolicies(before, changed, []), request).differences.map(
      (d) => `${d.before} -> ${d.after} ${d.direction} ${d.pairs.map((p) => `${p.from} -> ${p.to} ${p.ports}`).join()}`,
    )
  const get = (path: string) => ({ kind: 'http', method: 'GET', path, host: '', headers: {} }) as const
  assert.deepEqual(pairs(), ['redirect -> redirect ingress default/web -> default/api 8080/TCP'])
  assert.deepEqual(pairs(get('/a')), ['allow -> deny ingress default/web -> default/api 8080/TCP'])
  assert.deepEqual(pairs(get('/b')), ['deny -> allow ingress default/web -> default/api 8080/TCP'])
  assert.deepEqual(pairs(get('/c')), [])
})

test('a rule for names without any that lets the questions of its pods be seen says so', () => {
  const names = { toFQDNs: [{ matchName: 'www.cilium.io' }] }
  const of = (name: string, app: string, ...egress: readonly object[]) =>
    policy(name, { endpointSelector: { matchLabels: { app } }, egress })
  const dns = {
    toPorts: [{ ports: [{ port: '53', protocol: 'ANY' }], rules: { dns: [{ matchPattern: '*' }] } }],
  }
  const unseen = (...policies: readonly object[]) =>
    idleRules(open(...shop, ...policies)).filter((i) => i.reason === 'unseen')
  assert.deepEqual(
    unseen(of('names', 'web', names), of('others', 'api', dns)).map((i) => `${i.policy} ${i.field}`),
    ['CiliumNetworkPolicy/default/names spec.egress[0]'],
  )
  assert.deepEqual(unseen(of('names', 'web', names, dns)), [])
  assert.deepEqual(unseen(of('names', 'web', names), of('questions', 'web', dns)), [])
})

test('a name stands for the addresses that pods were told for it, whichever rules mean them', () => {
  const objects = [
    ...shop,
    policy('names', {
      endpointSelector: { matchLabels: { app: 'web' } },
      egress: [
        { toFQDNs: [{ matchName: 'www.cilium.io' }], toPorts: [{ ports: [{ port: '443', protocol: 'TCP' }] }] },
        { toFQDNs: [{ matchPattern: '*.cilium.io' }], toPorts: [{ ports: [{ port: '80', protocol: 'TCP' }] }] },
        { toCIDRSet: [{ cidr: '0.0.0.0/0', except: ['192.0.2.0/24'] }], toPorts: [{ ports: [{ port: '25' }] }] },
      ],
    }),
  ]
  const at = (name: string, port: number) => said(objects, { from: 'web', to: `fqdn:${name}`, port })
  const rule = 'allow: CiliumNetworkPolicy default/names spec.egress'
  assert.equal(at('WWW.cilium.io.', 443), `${rule}[0].toFQDNs[0]`)
  assert.equal(at('www.cilium.io', 80), `${rule}[1].toFQDNs[0]`)
  assert.equal(at('docs.cilium.io', 80), `${rule}[1].toFQDNs[0]`)
  assert.equal(at('*.cilium.io', 80), `${rule}[1].toFQDNs[0]`)
  const denied = 'deny: CiliumNetworkPolicy default/names default deny'
  assert.equal(at('docs.cilium.io', 443), denied)
  assert.equal(at('example.com', 80), denied)
  assert.equal(at('docs.cilium.io', 25), `${rule}[2].toCIDRSet[0]`)
  assert.match(answer(objects, { from: 'web', to: '192.0.2.1', port: 80 }).to.notes.join(), /ask about fqdn:NAME too/)
  assert.match(refusal(objects, { from: 'web', to: 'fqdn:a b', port: 80 }), /'a b' is not a name of the DNS/)
})
