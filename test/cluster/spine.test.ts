// SPDX-License-Identifier: Apache-2.0
/** The walk a new user takes, with two versions of the real kubectl, on a lab of three nodes. */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { Lab } from '../lab.ts'
import { ran } from '../ran.ts'
import { until } from './l7/pods.ts'

const land = [
  'curl',
  '-s',
  '--connect-timeout',
  '2',
  '-XPOST',
  'deathstar.default.svc.cluster.local/v1/request-landing',
]

interface Endpoint {
  readonly status: {
    readonly state: string
    readonly identity: { readonly id: number; readonly labels: readonly string[] }
    readonly policy: { readonly realized: { readonly 'policy-enabled': string; readonly 'policy-revision': number } }
    readonly networking: { readonly addressing: readonly { readonly ipv4: string; readonly ipv6: string }[] }
  }
}

describe('a lab of three nodes', () => {
  let lab: Lab
  let nodes: readonly string[]
  before(async () => {
    lab = await Lab.up('spine', [], 3)
    nodes = await lab.nodes()
  })
  after(async () => {
    await lab.down()
    // In brackets, so that the shell's own command line is not found.
    const left = await ran('/bin/sh', [
      '-c',
      "ip -br link show | grep '[c]lab-spine'; pgrep -af '[c]ilium-lab/spine'; ls -d /run/cilium-lab/[s]pine /sys/fs/cgroup/unified/cilium-lab/[s]pine 2>/dev/null",
    ])
    assert.equal(left.stdout, '', 'down leaves nothing')
  })

  const endpoints = async (): Promise<readonly Endpoint[]> => {
    const of = async (node: string) => {
      const r = await lab.cilium(node, ['endpoint', 'list', '-o', 'json'])
      assert.equal(r.code, 0, r.stderr)
      return JSON.parse(r.stdout) as Endpoint[]
    }
    return (await Promise.all(nodes.map(of))).flat()
  }
  const lands = async (ship: string): Promise<string> =>
    (await lab.tryKubectl(['exec', ship, '--', ...land])).stdout.trim()

  it('shows an agent on each node, an operator and a DNS server, all Running', async () => {
    assert.equal(nodes.length, 3)
    const pods = await lab.json<{
      items: { metadata: { labels: Record<string, string> }; status: { phase: string } }[]
    }>(['get', 'pods', '-n', 'kube-system'])
    for (const p of pods.items) assert.equal(p.status.phase, 'Running')
    const count = (label: string, value: string): number =>
      pods.items.filter((p) => p.metadata.labels[label] === value).length
    assert.equal(count('k8s-app', 'cilium'), 3)
    assert.ok(count('name', 'cilium-operator') >= 1)
    assert.ok(count('k8s-app', 'kube-dns') >= 1)
  })

  it('takes the manifests with kubectl create, and everyone lands without a policy', async () => {
    await lab.kubectl(['create', '-f', 'examples/star-wars/app.yaml'])
    await lab.kubectl(['rollout', 'status', 'deployment/deathstar', '--timeout=60s'])
    await lab.kubectl(['wait', '--for=condition=Ready', 'pod/tiefighter', 'pod/xwing', '--timeout=60s'])
    assert.equal(await lands('xwing'), 'Ship landed')
    assert.equal(await lands('tiefighter'), 'Ship landed')
  })

  it('describes pods and shows their logs and services', async () => {
    assert.match(await lab.kubectl(['describe', 'pod', 'xwing']), /Started/)
    assert.match(await lab.kubectl(['get', 'pods,svc', '-o', 'wide']), /deathstar/)
    await lab.kubectl(['logs', 'deployment/deathstar'])
  })

  it('lets only the empire land once the policy is there', async () => {
    await lab.kubectl(['create', '-f', 'examples/star-wars/policy-l3-l4.yaml'])
    await until('the alliance does not land', async () => (await lands('xwing')) === '')
    const refused = await lab.tryKubectl(['exec', 'xwing', '--', ...land])
    assert.equal(refused.stdout, '')
    assert.match(refused.stderr, /exit code 28/, 'curl timed out: the packet was dropped')
    assert.equal(await lands('tiefighter'), 'Ship landed')
  })

  it('reports enforcement on the deathstar alone, with identities and both addresses', async () => {
    for (const e of await endpoints()) {
      const deathstar = e.status.identity.labels.includes('k8s:class=deathstar')
      assert.equal(e.status.state, 'ready')
      assert.equal(e.status.policy.realized['policy-enabled'], deathstar ? 'ingress' : 'none')
      assert.ok(e.status.networking.addressing[0]?.ipv4.startsWith('10.244.'))
      assert.ok(e.status.networking.addressing[0]?.ipv6.startsWith('fd00:'))
    }
  })

  it('names the rule that dropped a packet', async () => {
    const node = await lab.kubectl(['get', 'pods', '-l', 'class=deathstar', '-o', 'jsonpath={.items[0].spec.nodeName}'])
    const ip = await lab.kubectl(['get', 'pods', '-l', 'class=deathstar', '-o', 'jsonpath={.items[0].status.podIP}'])
    const refused = () =>
      lab.tryKubectl(['exec', 'xwing', '--', 'curl', '-s', '--connect-timeout', '1', `http://${ip}/`])
    await lab.monitor(node, 'drop', refused, (told) => /drop \(Policy denied\).*default\/rule1/.test(told))
  })

  const commands: readonly (readonly [args: readonly string[], expected: RegExp])[] = [
    [['status'], /Cilium:\s+Ok/],
    [['status', '--brief'], /^OK$/m],
    [['identity', 'list'], /reserved:host/],
    [['policy', 'get'], /rule1[\s\S]*Revision: \d+/],
    [['policy', 'selectors'], /SELECTOR/],
    [['bpf', 'ipcache', 'list'], /identity=/],
    [['bpf', 'ct', 'list', 'global'], /(TCP|UDP) (OUT|IN) \S+ -> \S+ Packets=/],
    [['bpf', 'lb', 'list'], /SERVICE ADDRESS/],
    [['map', 'list'], /Num entries/],
    [['config'], /Read-write configurations/],
    [['node', 'list'], /Endpoint CIDR/],
    [['debuginfo'], /debug information/],
  ]
  for (const [args, expected] of commands)
    it(`answers cilium ${args.join(' ')} without a word on stderr`, async () => {
      const r = await lab.cilium(nodes[0] as string, args)
      assert.equal(r.code, 0, r.stderr)
      assert.equal(r.stderr, '')
      assert.match(r.stdout, expected)
    })

  it('prints the decisions of one endpoint', async () => {
    const node = await lab.kubectl(['get', 'pods', '-l', 'class=deathstar', '-o', 'jsonpath={.items[0].spec.nodeName}'])
    const list = JSON.parse((await lab.cilium(node, ['endpoint', 'list', '-o', 'json'])).stdout) as (Endpoint & {
      id: number
    })[]
    const id = list.find((e) => e.status.identity.labels.includes('k8s:class=deathstar'))?.id
    const r = await lab.cilium(node, ['bpf', 'policy', 'get', String(id)])
    assert.match(r.stdout, /Allow\s+Ingress\s+.*80\/TCP/s)
  })

  it('lists its own kinds with both versions of kubectl', async () => {
    for (const version of ['1.32', '1.34']) {
      const k = await Lab.of('spine', version)
      const text = await k.kubectl(['get', 'cnp,cep,ciliumidentities,ciliumnodes', '-A'])
      for (const kind of ['ciliumnetworkpolicy', 'ciliumendpoint', 'ciliumidentity', 'ciliumnode'])
        assert.match(text, new RegExp(`${kind}\\.cilium\\.io/`))
      assert.match(await k.kubectl(['describe', 'cnp', 'rule1']), /Type:\s+Valid/)
    }
  })

  it('makes a bad policy a condition on itself and an event, and nothing else', async () => {
    const before = (await endpoints()).map((e) => e.status.policy.realized['policy-enabled'])
    const bad = readFileSync('examples/star-wars/policy-l3-l4.yaml', 'utf8')
      .replace('name: rule1', 'name: bad')
      .replace('"80"', '"eighty two"')
    const refused = await lab.tryKubectl(['create', '-f', '-'], bad)
    if (refused.code !== 0) assert.match(refused.stderr, /port/, 'refused by the schema, which names the field')
    else {
      await lab.kubectl(['wait', '--for=condition=Valid=false', 'cnp/bad', '--timeout=30s'])
      assert.match(await lab.kubectl(['describe', 'cnp', 'bad']), /spec\.ingress\[0\]\.toPorts\[0\]\.ports\[0\]\.port/)
    }
    assert.deepEqual(
      (await endpoints()).map((e) => e.status.policy.realized['policy-enabled']),
      before,
    )
    await lab.tryKubectl(['delete', 'cnp', 'bad'])
  })

  it('lets the alliance land again when the policy is deleted', async () => {
    await lab.kubectl(['delete', 'cnp', 'rule1'])
    await until('it lands', async () => (await lands('xwing')) === 'Ship landed')
  })

  it('runs a host program inside a pod and inside a node', async () => {
    const [program, ...args] = lab.inside('default/xwing') as [string, ...string[]]
    assert.match((await ran(program, [...args, 'ip', 'addr'])).stdout, /10\.244\./)
    const [p2, ...a2] = lab.inside(nodes[0] as string) as [string, ...string[]]
    assert.match((await ran(p2, [...a2, 'ip', '-br', 'link'])).stdout, /cilium_host/)
  })
})
