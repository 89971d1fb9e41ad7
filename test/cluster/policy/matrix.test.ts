// SPDX-License-Identifier: Apache-2.0
/**
 * Who reaches whom, through real sockets: three namespaces of three pods on two nodes, TCP and UDP, two ports, both
 * families. What gets through is what `policy explain` says of the same objects, and what the table says in a number.
 */
import assert from 'node:assert/strict'
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { ask, openAsking } from '../../../src/derive/questions/ask.ts'
import { openCluster } from '../../../src/derive/questions/cluster.ts'
import { readObjects } from '../../../src/derive/questions/objects.ts'
import { Lab } from '../../lab.ts'

const root = join(import.meta.dirname, '../../..')
const peer = (...args: readonly string[]) => [
  join(root, 'node_modules/.bin/node'),
  join(root, 'test/cluster/policy/peer.js'),
  ...args,
]
const namespaces = ['x', 'y', 'z']
const names = ['a', 'b', 'c']
const ports = [7001, 7002]

interface Policy {
  readonly apiVersion: string
  readonly kind: string
  readonly metadata: { readonly name: string; readonly namespace?: string }
  readonly spec: object
}
const networkPolicy = (namespace: string, spec: object): Policy => ({
  apiVersion: 'networking.k8s.io/v1',
  kind: 'NetworkPolicy',
  metadata: { name: 'p', namespace },
  spec,
})
const ciliumPolicy = (namespace: string, spec: object): Policy => ({
  apiVersion: 'cilium.io/v2',
  kind: 'CiliumNetworkPolicy',
  metadata: { name: 'p', namespace },
  spec,
})
const a = { matchLabels: { pod: 'a' } }

/** Name, policies, and how many of the 288 questions of a family are answered. */
const table: readonly (readonly [string, readonly Policy[], number])[] = [
  ['no policy', [], 288],
  ['a namespace that lets nobody in', [networkPolicy('x', { podSelector: {} })], 288 - 3 * 32],
  [
    'one pod that is reached from its namespace on one port',
    [
      networkPolicy('x', {
        podSelector: a,
        ingress: [{ from: [{ podSelector: {} }], ports: [{ port: 7001, protocol: 'TCP' }] }],
      }),
    ],
    288 - 32 + 2,
  ],
  [
    'another namespace by its labels, UDP in a range',
    [
      networkPolicy('x', {
        podSelector: {},
        ingress: [
          {
            from: [{ namespaceSelector: { matchLabels: { 'kubernetes.io/metadata.name': 'y' } } }],
            ports: [{ port: 7000, endPort: 7001, protocol: 'UDP' }],
          },
        ],
      }),
    ],
    288 - 3 * 32 + 3 * 3,
  ],
  [
    'a namespace that lets nobody out',
    [networkPolicy('y', { podSelector: {}, policyTypes: ['Egress'] })],
    288 - 3 * 32,
  ],
  [
    'both ends of a connection have a word',
    [
      networkPolicy('x', { podSelector: a, ingress: [{ ports: [{ port: 7001, protocol: 'TCP' }] }] }),
      networkPolicy('z', {
        podSelector: a,
        policyTypes: ['Egress'],
        egress: [{ ports: [{ port: 7002, protocol: 'TCP' }] }],
      }),
    ],
    // Into x/a one of four from 7 others, out of z/a one of four to 7 others; the pair of them shares nothing.
    288 - 2 * 32 + 4 + 7 + 7,
  ],
  [
    'a denial beats what is allowed to all',
    [
      ciliumPolicy('z', {
        endpointSelector: {},
        ingress: [{ fromEntities: ['all'] }],
        ingressDeny: [
          {
            fromEndpoints: [{ matchLabels: { pod: 'b', 'k8s:io.kubernetes.pod.namespace': 'y' } }],
            toPorts: [{ ports: [{ port: '7002', protocol: 'ANY' }] }],
          },
        ],
      }),
    ],
    288 - 3 * 2,
  ],
]

describe('a matrix of connections', () => {
  let lab: Lab
  const probers = new Map<string, (questions: readonly object[]) => Promise<readonly boolean[]>>()
  const running: ChildProcessByStdio<Writable, Readable, null>[] = []
  const addresses = new Map<string, readonly string[]>()
  const pods = namespaces.flatMap((ns) => names.map((name) => `${ns}/${name}`))

  before(async () => {
    lab = await Lab.up('matrix', [], 2)
    const nodes = await lab.nodes()
    const items = namespaces.flatMap((namespace, i) => [
      { apiVersion: 'v1', kind: 'Namespace', metadata: { name: namespace } },
      ...names.map((name, j) => ({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name, namespace, labels: { pod: name } },
        spec: {
          nodeName: nodes[(i + j) % 2],
          containers: [{ name: 'c', image: 'debian', command: peer('serve', ...ports.map(String)) }],
        },
      })),
    ])
    await lab.kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
    for (const ns of namespaces)
      await lab.kubectl(['-n', ns, 'wait', '--for=condition=Ready', 'pod', '--all', '--timeout=90s'])
    for (const pod of pods) {
      const [ns = '', name = ''] = pod.split('/')
      const found = await lab.json<{ status: { podIPs: { ip: string }[] } }>(['-n', ns, 'get', 'pod', name])
      addresses.set(
        pod,
        found.status.podIPs.map((p) => p.ip),
      )
      const [program = '', ...args] = [...lab.inside(pod), ...peer('probe')]
      const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] })
      running.push(child)
      const waiting: ((line: string) => void)[] = []
      createInterface({ input: child.stdout }).on('line', (line) => waiting.shift()?.(line))
      probers.set(pod, async (questions) => {
        const line = new Promise<string>((resolve) => waiting.push(resolve))
        child.stdin.write(`${JSON.stringify(questions)}\n`)
        return JSON.parse(await line) as readonly boolean[]
      })
    }
  })
  after(async () => {
    for (const child of running) child.stdin.end()
    await lab?.down()
  })

  const protocols = ['TCP', 'UDP'] as const
  const questionsOf = (from: string) =>
    pods
      .filter((to) => to !== from)
      .flatMap((to) =>
        (addresses.get(to) ?? []).flatMap((address) =>
          ports.flatMap((port) => protocols.map((protocol) => ({ to, address, port, protocol }))),
        ),
      )

  /** What gets through, of each pod. Where an answer is expected there is time for it, on a machine with much to do. */
  async function truth(
    want: ReadonlyMap<string, readonly boolean[]>,
  ): Promise<ReadonlyMap<string, readonly boolean[]>> {
    const one = async (from: string) => {
      const questions = questionsOf(from).map((q, i) => ({ ...q, patience: want.get(from)?.[i] ? 4000 : 700 }))
      return [from, (await probers.get(from)?.(questions)) ?? []] as const
    }
    return new Map(await Promise.all(pods.map(one)))
  }

  /** The same by `policy explain`, of the objects as kubectl prints them. */
  async function explained(): Promise<ReadonlyMap<string, readonly boolean[]>> {
    const kinds = 'namespaces,nodes,pods,services,networkpolicies,ciliumnetworkpolicies'
    const { items } = await lab.json<{ items: readonly object[] }>(['get', kinds, '-A'])
    const asking = openAsking(openCluster(readObjects(items)))
    const one = (from: string, { address, port, protocol }: ReturnType<typeof questionsOf>[number]): boolean => {
      const answer = ask(asking, { from, to: address, port, protocol })
      assert.ok(answer.ok, JSON.stringify(answer))
      return answer.value.verdict.final === 'allow'
    }
    return new Map(pods.map((from) => [from, questionsOf(from).map((q) => one(from, q))]))
  }

  for (const [name, policies, answered] of table)
    it(name, async (t) => {
      const list = JSON.stringify({ apiVersion: 'v1', kind: 'List', items: policies })
      if (policies.length > 0) {
        await lab.kubectl(['apply', '-f', '-'], list)
        t.after(() => lab.kubectl(['delete', '-f', '-'], list))
      }
      const want = await explained()
      const count = (of: ReadonlyMap<string, readonly boolean[]>) => [...of.values()].flat().filter((yes) => yes).length
      // Both families alike.
      assert.equal(count(want), answered * 2, 'explain')
      await comesTrue(want)
    })

  /** What gets through is `want`: soon, not at once, and a machine under load loses a packet. */
  async function comesTrue(want: ReadonlyMap<string, readonly boolean[]>): Promise<void> {
    let wrong = different(await truth(want), want)
    for (let i = 0; i < 5 && wrong.length > 0; i++) {
      await sleep(500)
      wrong = different(await truth(want), want)
    }
    assert.deepEqual(wrong, [])
  }

  const rule = (labels: readonly string[], ingress: readonly object[]) => ({
    labels,
    endpointSelector: { matchLabels: { pod: 'b', 'k8s:io.kubernetes.pod.namespace': 'y' } },
    ingress,
  })
  /** Everything, but nothing into y/b. */
  const shut = () => new Map(pods.map((from) => [from, questionsOf(from).map(({ to }) => to !== 'y/b')]))
  const open = () => new Map(pods.map((from) => [from, questionsOf(from).map(() => true)]))
  const everywhere = async (args: readonly string[], input?: string): Promise<readonly string[]> => {
    const out: string[] = []
    for (const node of await lab.nodes()) {
      const r = await lab.cilium(node, args, input)
      assert.equal(r.code, 0, `${args.join(' ')}: ${r.stderr}`)
      out.push(r.stdout)
    }
    return out
  }
  const restart = async () => {
    await lab.kubectl(['-n', 'kube-system', 'delete', 'pod', '-l', 'k8s-app=cilium', '--wait'])
    await lab.kubectl(['-n', 'kube-system', 'rollout', 'status', 'daemonset/cilium', '--timeout=60s'])
  }

  it('a rule that is imported holds, also over a restart of the agents, until it is deleted by its label', async () => {
    const rules = JSON.stringify([rule(['name=shut'], [{}])])
    const [said = ''] = await everywhere(['policy', 'import', '-'], rules)
    assert.match(said, /^Revision: \d+\n$/)
    await everywhere(['policy', 'wait', said.replace(/\D/g, ''), '--max-wait-time', '20'])
    await comesTrue(shut())
    await restart()
    for (const text of await everywhere(['policy', 'get', 'name=shut'])) assert.match(text, /"shut"/)
    await comesTrue(shut())
    await everywhere(['policy', 'delete', 'name=shut'])
    await comesTrue(open())
  })

  it('an import that is wrong says where and how, and changes nothing', async () => {
    const [node = ''] = await lab.nodes()
    const wrong = [rule(['name=good'], [{}]), rule(['name=bad'], [{ toPorts: [{ ports: [{ port: 80 }] }] }])]
    const r = await lab.cilium(node, ['policy', 'import', '-'], JSON.stringify(wrong))
    assert.notEqual(r.code, 0)
    assert.match(r.stderr, /\[1\]\.ingress\[0\]\.toPorts\[0\]\.ports\[0\]\.port: must be a string.*in quotes: "80"/)
    assert.doesNotMatch((await lab.cilium(node, ['policy', 'get'])).stdout, /good/)
    const none = await lab.cilium(node, ['policy', 'delete', 'name=good'])
    assert.match(none.stderr, /no imported rule has the labels name=good/)
  })

  it('an endpoint in audit mode drops nothing, also after a restart of its agent', async () => {
    await everywhere(['policy', 'import', '-'], JSON.stringify([rule(['name=shut'], [{}])]))
    await comesTrue(shut())
    const name = await lab.kubectl(['-n', 'y', 'get', 'pod', 'b', '-o', 'jsonpath={.spec.nodeName}'])
    const changed = await lab.cilium(name, ['endpoint', 'config', 'pod-name:y:b', 'PolicyAuditMode=enable'])
    assert.equal(changed.code, 0, changed.stderr)
    await comesTrue(open())
    await restart()
    assert.match((await lab.cilium(name, ['endpoint', 'config', 'pod-name:y:b'])).stdout, /PolicyAuditMode +Enabled/)
    await comesTrue(open())
    await lab.cilium(name, ['endpoint', 'config', 'pod-name:y:b', 'PolicyAuditMode=disable'])
    await comesTrue(shut())
    await everywhere(['policy', 'delete', '--all'])
    await comesTrue(open())
  })

  function different(
    got: ReadonlyMap<string, readonly boolean[]>,
    want: ReadonlyMap<string, readonly boolean[]>,
  ): readonly string[] {
    return pods.flatMap((from) =>
      questionsOf(from).flatMap(({ to, address, port, protocol }, i) =>
        got.get(from)?.[i] === want.get(from)?.[i]
          ? []
          : [
              `${from} -> ${to} (${address}) ${port}/${protocol}: ${got.get(from)?.[i]}, explain: ${want.get(from)?.[i]}`,
            ],
      ),
    )
  }
})
