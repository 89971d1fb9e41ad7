// SPDX-License-Identifier: Apache-2.0
/** Names as users see them: who may ask for what, what follows from the answers, and what restarts cost. */
import assert from 'node:assert/strict'
import { type ChildProcess, execFileSync, spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Lab } from '../../lab.ts'
import { ran } from '../../ran.ts'
import { hostOf, inPod, until } from './pods.ts'

const root = join(import.meta.dirname, '../../..')
const program = 'test/cluster/l7/names.js'
const node = join(root, 'node_modules/.bin/node')
/** Where the names lead: addresses outside of the cluster, which are this machine's during the test. */
const world = ['198.18.0.0/16', '2001:db8:7::/64']
const PORT = 7007

interface Look {
  readonly asked: number
  readonly failed: number
  readonly lost: number
  readonly slowest: number
  readonly errors: Readonly<Record<string, number>>
}

describe('rules for names', { timeout: 400_000 }, () => {
  let lab: Lab
  let echo: ChildProcess
  let servers: readonly string[]
  let clientNode: string

  const policy = (dns: readonly object[], toFQDNs: readonly object[]) =>
    JSON.stringify({
      apiVersion: 'cilium.io/v2',
      kind: 'CiliumNetworkPolicy',
      metadata: { name: 'names' },
      spec: {
        endpointSelector: { matchLabels: { app: 'client' } },
        egress: [
          {
            toEndpoints: [{ matchLabels: { app: 'names' } }],
            toPorts: [{ ports: [{ port: '53', protocol: 'ANY' }], rules: { dns } }],
          },
          ...(toFQDNs.length > 0 ? [{ toFQDNs }] : []),
        ],
      },
    })
  const apply = (text: string) => lab.kubectl(['apply', '-f', '-'], text)

  const dig = async (client: string, ...words: readonly string[]): Promise<string> => {
    const [first = '', ...prefix] = await lab.within(`default/${client}`)
    return (await ran(first, [...prefix, 'dig', '+time=3', '+tries=2', ...words])).stdout
  }
  const statusOf = (text: string): string => /status: ([A-Z]+)/.exec(text)?.[1] ?? 'none'
  const one = (text: string): Look => JSON.parse(text) as Look

  /** Look-ups of so many names from one on, or of some names again and again until `finish`. */
  const looking = (client: string, first: number, count: number | '-', server: string) => {
    const words = ['look', String(first), String(count), '3000', String(PORT), hostOf(server)]
    const { finish } = inPod(lab, client, program, words)
    return { finish: async () => one(await finish()) }
  }
  const look = (client: string, first: number, count: number, server = servers[0] ?? '') =>
    looking(client, first, count, server).finish()
  /** The newest. */
  const podOf = async (app: string): Promise<string> =>
    (
      await lab.kubectl([
        ...['-n', 'kube-system', 'get', 'pods', '-l', `k8s-app=${app}`],
        ...['--field-selector', `spec.nodeName=${clientNode}`, '--sort-by=.metadata.creationTimestamp', '-o', 'name'],
      ])
    )
      .trim()
      .split('\n')
      .at(-1) ?? ''
  const kill = async (app: string): Promise<void> => {
    const before = await podOf(app)
    await lab.kubectl(['-n', 'kube-system', 'delete', before, '--grace-period=0', '--force', '--wait=false'])
    await until(`another ${app}`, async () => {
      const now = await podOf(app)
      return now !== '' && now !== before
    })
  }

  before(async () => {
    for (const prefix of world) execFileSync('ip', ['route', 'replace', 'local', prefix, 'dev', 'lo'])
    echo = spawn(node, [join(root, 'test/cluster/l7/echo.ts'), String(PORT)], { stdio: ['ignore', 'pipe', 'inherit'] })
    await once(echo.stdout as NodeJS.EventEmitter, 'data')
    lab = await Lab.up('l7dns', [], 2)
    const nodes = await lab.nodes()
    clientNode = nodes[0] ?? ''
    const pod = (name: string, app: string, on: number, command: readonly string[]) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, labels: { app } },
      spec: { nodeName: nodes[on], containers: [{ name: 'c', image: 'debian', command }] },
    })
    const serve = [node, join(root, program), 'serve']
    const items = [
      pod('names-0', 'names', 0, serve),
      pod('names-1', 'names', 1, serve),
      pod('client', 'client', 0, ['sleep', 'infinity']),
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'names' },
        spec: {
          selector: { app: 'names' },
          ports: [
            { name: 'dns', port: 53, protocol: 'UDP' },
            { name: 'dns-tcp', port: 53, protocol: 'TCP' },
          ],
        },
      },
    ]
    await lab.kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
    await lab.ready('app in (names,client)')
    const addresses = async (path: string, of: string) =>
      (await lab.kubectl(['get', of, '-o', `jsonpath=${path}`])).trim().split(' ')
    servers = [
      (await addresses('{.status.podIPs[*].ip}', 'pod/names-0'))[0] ?? '',
      ...(await addresses('{.status.podIPs[*].ip}', 'pod/names-1')),
      ...(await addresses('{.spec.clusterIPs[*]}', 'service/names')),
    ]
    await apply(policy([{ matchPattern: '*.test' }], [{ matchPattern: 'n*.test' }, { matchName: 'a7.test' }]))
    await until('refusal', async () => statusOf(await dig('client', `@${servers[0]}`, 'n1.example')) === 'REFUSED')
  })
  after(async () => {
    echo?.kill('SIGKILL')
    for (const prefix of world) await ran('ip', ['route', 'del', 'local', prefix, 'dev', 'lo'])
    await ran('bin/cilium-lab', ['down', '--name', 'l7dns'])
  })

  it('a name that a rule allows is answered, of the same node and another, by service, in both families and by TCP', async () => {
    for (const server of servers)
      for (const tcp of [[], ['+tcp']]) {
        const text = await dig('client', ...tcp, `@${server}`, 'n5.test', 'A')
        assert.match(text, /n5\.test\.\s+60\s+IN\s+A\s+198\.18\.0\.5/, `${server} ${text}`)
        assert.ok(text.includes(`SERVER: ${server}#53`), text)
      }
  })

  it('one that no rule allows is refused, in whatever case and form it is asked', async () => {
    for (const words of [
      ['other.example'],
      ['OTHER.eXample.'],
      ['+tcp', 'n1.test.example'],
      ['+noedns', 'test'],
      ['-t', 'TXT', 'x.y.test'],
    ])
      assert.equal(statusOf(await dig('client', `@${servers[1]}`, ...words)), 'REFUSED', words.join(' '))
    const spelled = await dig('client', `@${servers[0]}`, 'N6.TeSt')
    assert.match(spelled, /N6\.TeSt\.\s+60\s+IN\s+A\s+198\.18\.0\.6/, 'and allowed ones keep their spelling')
  })

  it('what is too long for a datagram comes by TCP, and questions in one connection are answered as they are ready', async () => {
    const text = await dig('client', `@${servers[1]}`, 'big.test')
    assert.match(text, /ANSWER: 200/)
    assert.match(text, /Truncated, retrying in TCP mode/)
    const many = await dig(
      'client',
      '+tcp',
      '+keepopen',
      `@${servers[1]}`,
      'n10.test',
      'n11.test',
      'n12.test',
      '+short',
    )
    assert.deepEqual(many.trim().split('\n'), ['198.18.0.10', '198.18.0.11', '198.18.0.12'])
  })

  it('an address is reached once its name was asked for, and not before', async () => {
    const [first = '', ...prefix] = lab.inside('default/client')
    const reach = async (): Promise<boolean> => {
      const script = `const s=require('dgram').createSocket('udp4',()=>process.exit(0));s.send('x',${PORT},'198.18.0.20');setTimeout(()=>process.exit(1),1500)`
      return (await ran(first, [...prefix, node, '-e', script])).code === 0
    }
    assert.equal(await reach(), false)
    await dig('client', `@${servers[0]}`, 'n20.test')
    assert.equal(await reach(), true)
    const listed = (await lab.cilium(clientNode, ['fqdn', 'cache', 'list'])).stdout
    assert.match(listed, /n20\.test\.\s+60\s+\S+\s+198\.18\.0\.20/)
  })

  it('an answer is released only when the kernel knows its addresses: no first datagram is lost', async () => {
    const results = [await look('client', 200, 500), await look('client', 700, 500, servers[1])]
    for (const r of results) assert.deepEqual([r.asked, r.failed, r.lost], [500, 0, 0], JSON.stringify(r))
  })

  it('names are answered while the agent is exchanged', async () => {
    const known = await look('client', 0, 200)
    assert.deepEqual([known.failed, known.lost], [0, 0], JSON.stringify(known))
    const constant = looking('client', 0, '-', servers[1] ?? '')
    await sleep(1000)
    await kill('cilium')
    await until(
      'the agent answers',
      async () => (await lab.cilium(clientNode, ['status', '--brief'])).code === 0,
      60_000,
    )
    await sleep(2000)
    const r = await constant.finish()
    assert.ok(r.asked > 200, JSON.stringify(r))
    assert.deepEqual([r.failed, r.lost, r.errors], [0, 0, {}], JSON.stringify(r))
  })

  /** Asks in all ways while something happens, from before until after; what has no answer after `wait` ms is lost. */
  const under = async (happens: () => Promise<void>, wait = 5_000) => {
    const asking = inPod(lab, 'client', 'test/cluster/l7/questions.js', ['-', servers[1] ?? '', String(wait)])
    await sleep(1000)
    await happens()
    await sleep(1000)
    const counts = JSON.parse(await asking.finish())
    return Object.entries(counts as Record<string, Record<'asked' | 'lost' | 'wrong' | 'ended', number>>)
  }

  it('no question is lost when the proxy is exchanged, nor when its pod is deleted', async () => {
    const counts = await under(async () => {
      await lab.kubectl(['-n', 'kube-system', 'rollout', 'restart', 'daemonset/cilium-dns-proxy'])
      await lab.kubectl(['-n', 'kube-system', 'rollout', 'status', 'daemonset/cilium-dns-proxy', '--timeout=60s'])
      await lab.kubectl(['-n', 'kube-system', 'delete', await podOf('cilium-dns-proxy')])
      await sleep(5000) // who asks by a new connection each time asks seldom
      // A machine with too much to do answers late; that is not lost.
    }, 20_000)
    assert.equal(counts.length, 3)
    for (const [how, c] of counts) {
      assert.ok(c.asked > 100, `${how} ${JSON.stringify(c)}`)
      assert.deepEqual([c.lost, c.wrong, c.ended], [0, 0, 0], `${how} ${JSON.stringify(c)}`)
    }
  })

  it('a program of the proxy that is killed is started again at once, in the same container', async () => {
    const pod = await podOf('cilium-dns-proxy')
    const inside = (script: string) => lab.kubectl(['-n', 'kube-system', 'exec', pod, '--', 'sh', '-c', script])
    const child = 'cat /proc/1/task/1/children'
    const before = await inside(child)
    const killed = await under(async () => void (await inside(`kill -9 $(${child})`)))
    for (const [how, c] of killed) assert.ok(c.asked > c.lost + c.wrong, `${how} ${JSON.stringify(c)}`)
    assert.notEqual(await inside(child), before)
    await until('an answer', async () => statusOf(await dig('client', `@${servers[1]}`, 'n1.test')) === 'NOERROR')
    for (const [how, c] of await under(async () => {}))
      assert.deepEqual([c.lost, c.wrong], [0, 0], `${how} ${JSON.stringify(c)}`)
  })

  it('a proxy that is killed comes back by itself, and resolvers ask again', async () => {
    await kill('cilium-dns-proxy')
    await until('an answer', async () => statusOf(await dig('client', `@${servers[0]}`, 'n30.test')) === 'NOERROR')
    assert.equal(statusOf(await dig('client', `@${servers[0]}`, 'other.example')), 'REFUSED')
    const r = await look('client', 0, 100)
    assert.deepEqual([r.failed, r.lost], [0, 0], JSON.stringify(r))
  })

  it('rules that change count for the next question', async () => {
    await apply(policy([{ matchName: 'n40.test' }], [{ matchName: 'n40.test' }]))
    await until('refusal', async () => statusOf(await dig('client', `@${servers[0]}`, 'n41.test')) === 'REFUSED')
    assert.equal(statusOf(await dig('client', `@${servers[0]}`, 'n40.test')), 'NOERROR')
  })

  it('questions and answers are told to whoever listens', async () => {
    const all = [
      /Request dns from .* verdict Forwarded DNS Query: n40\.test\. A \(by CiliumNetworkPolicy\/default\/names#/,
      /Response dns from .* verdict Forwarded DNS Proxy: n40\.test\. A TTL: 60 Answer: '198\.18\.0\.40'/,
      /verdict Denied DNS Query: q\.example\. A RCode: 5/,
    ]
    const asked = () => dig('client', '+short', `@${servers[0]}`, 'n40.test', 'q.example')
    await lab.monitor(clientNode, 'l7', asked, (told) => all.every((line) => line.test(told)))
  })
})
