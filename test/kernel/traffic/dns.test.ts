// SPDX-License-Identifier: Apache-2.0
// The DNS proxy as a program, with this test for its agent, between a pod and name servers wherever they may be.
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { promisify } from 'node:util'
import { keepDnsSockets } from '../../../src/apps/agent/dns-sockets.ts'
import { type DnsControl, openDnsControl } from '../../../src/edge/dns/control.ts'
import { type DnsRecord, KEPT_SOCKET, type Learnt } from '../../../src/edge/dns/messages.ts'
import type { DnsListenerRow } from '../../../src/model/proxy.ts'
import { type Cluster, nodeAddress, openCluster, pods } from './topology.ts'

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms))
const root = join(import.meta.dirname, '../../..')
const run = promisify(execFile)
const PORT = 12345
const listener: DnsListenerRow = {
  name: 'l',
  port: PORT,
  refuse: 'refused',
  rules: [{ rule: 'p', dns: [{ matchPattern: '*.test' }] }],
}

describe('the DNS proxy', () => {
  let cluster: Cluster
  let control: DnsControl
  let proxy: ReturnType<Cluster['start']>
  const directory = mkdtempSync(join(tmpdir(), 'ktd-'))
  const learnt: Learnt[] = []
  const records: DnsRecord[] = []
  /** What the agent does with what is learnt. */
  let agent: () => Promise<void> = async () => {}

  const startProxy = () =>
    cluster.start('n1', process.execPath, join(root, 'build/dns-proxy.js'), '--run-dir', directory)
  const startAgent = async () => {
    control = openDnsControl({
      path: join(directory, 'dns/agent.sock'),
      absent: 'no proxy',
      sink: {
        wanted: true,
        learn(answer) {
          learnt.push(answer)
          return agent()
        },
        take: (some) => void records.push(...some),
      },
    })
    await control.serve({ ipv4: true, ipv6: true, limit: 0 })
    const came = new Promise<void>((resolve) => control.onChange(resolve))
    const target = control.target('listeners', (l) => l.name)
    const write = () => target.write([listener])
    void write()
    await came
    assert.deepEqual(await write(), [{ ok: true }])
  }
  const dig = async (...words: readonly string[]): Promise<string> => {
    const inside = [`--net=/run/netns/${cluster.space('a')}`, 'dig', '+time=4', '+tries=2']
    return (await run('nsenter', [...inside, ...words]).catch((e: { stdout: string }) => e)).stdout
  }
  const status = async (...words: readonly string[]): Promise<string> =>
    /status: ([A-Z]+)/.exec(await dig(...words))?.[1] ?? 'none'

  const keep = () => keepDnsSockets(join(directory, KEPT_SOCKET))
  type Count = Readonly<Record<'asked' | 'lost' | 'wrong' | 'ended' | 'slowest', number>>
  interface Counts {
    readonly datagrams: Count
    readonly connectionThatStays: Count
    readonly newConnections: Count
  }
  /** Asks for so long, while something happens. */
  const under = async (ms: number, happens: () => Promise<void>): Promise<Counts> => {
    const inside = [`--net=/run/netns/${cluster.space('a')}`, process.execPath]
    const asking = run('nsenter', [...inside, join(root, 'test/cluster/l7/questions.js'), String(ms), pods.c.v4])
    await sleep(700)
    await happens()
    return JSON.parse((await asking).stdout) as Counts
  }
  const end = async (one: typeof proxy, signal: NodeJS.Signals): Promise<void> => {
    const gone = once(one.child, 'exit')
    one.child.kill(signal)
    await gone
  }
  const nothingLost = (counts: Counts, enough = 20) => {
    for (const [how, c] of Object.entries(counts) as readonly (readonly [string, Count])[]) {
      assert.ok(c.asked > enough, `${how}: ${c.asked} asked`)
      assert.deepEqual([c.lost, c.wrong, c.ended], [0, 0, 0], `${how} ${JSON.stringify(c)}`)
    }
  }

  before(async () => {
    cluster = openCluster('overlay')
    cluster.proxyRoutes('n1')
    cluster.node(1).table(3, {
      columns: [
        [0, 53, 53],
        [1, 53, 53],
      ],
      cells: [
        [
          ['allow', 10],
          ['redirect', 30, 0, PORT],
          ['redirect', 30, 0, PORT],
        ],
      ],
    })
    for (const number of [1, 2] as const) cluster.node(number).policy(number + 1, 1, 1)
    cluster.node(1).policy(1, 2, 3)
    cluster.node(1).bumpEpoch()
    for (const place of ['b', 'c', 'n1', 'n2'])
      cluster.start(place, process.execPath, join(root, 'test/cluster/l7/names.js'), 'serve')
    proxy = startProxy()
    await proxy.ready
    await startAgent()
  })
  after(async () => {
    cluster?.close()
    await control?.close()
    rmSync(directory, { recursive: true, force: true })
  })

  for (const family of ['v4', 'v6'] as const)
    test(`${family}: servers in pods and on nodes are asked, by UDP and TCP, and what is refused is refused`, async () => {
      const servers = [pods.b, pods.c, nodeAddress[1], nodeAddress[2]].map((s) => `@${s[family]}`)
      for (const server of servers)
        for (const how of ['+notcp', '+tcp']) {
          assert.match(
            await dig(server, how, 'n7.test'),
            /n7\.test\.\s+60\s+IN\s+A\s+198\.18\.0\.7/,
            `${server} ${how}`,
          )
          assert.equal(await status(server, how, 'n7.example'), 'REFUSED')
        }
    })

  test('an answer is held until the agent has said that its addresses are known', async () => {
    const order: string[] = []
    agent = async () => {
      await new Promise((resolve) => setTimeout(resolve, 100))
      order.push('known')
    }
    await dig(`@${pods.b.v4}`, 'a8.test').then(() => order.push('answered'))
    agent = async () => {}
    assert.deepEqual(order, ['known', 'answered'])
    assert.deepEqual(learnt.at(-1), {
      client: pods.a.v4,
      server: pods.b.v4,
      name: 'a8.test',
      addresses: [{ address: '198.18.0.8', ttl: 60 }],
    })
    const told = records.filter((r) => r.name === 'a8.test').map((r) => [r.kind, r.verdict, r.aliases])
    assert.deepEqual(told, [
      ['request', 'forwarded', []],
      ['response', 'forwarded', ['n8.test']],
    ])
  })

  test('what the agent has no room for is not given out', async () => {
    agent = () => Promise.reject(new Error('full'))
    assert.equal(await status(`@${pods.b.v4}`, 'n9.test'), 'SERVFAIL')
    agent = async () => {}
  })

  test('while the agent is away known names are answered and new ones wait for it', async () => {
    await dig(`@${pods.b.v4}`, 'n10.test')
    await control.close()
    assert.equal(await status(`@${pods.b.v4}`, 'n10.test'), 'NOERROR')
    const waiting = status(`@${pods.b.v4}`, 'n11.test')
    await new Promise((resolve) => setTimeout(resolve, 300))
    await startAgent()
    assert.equal(await waiting, 'NOERROR')
    assert.ok(learnt.some((l) => l.name === 'n11.test'))
  })

  test('a proxy that starts again without an agent has its listeners, and refuses', async () => {
    await control.close()
    const gone = once(proxy.child, 'exit')
    proxy.child.kill('SIGTERM')
    await gone
    proxy = startProxy()
    await proxy.ready
    assert.equal(await status(`@${pods.b.v4}`, 'n7.example'), 'REFUSED')
    await startAgent()
    assert.equal(await status(`@${pods.b.v4}`, 'n12.test'), 'NOERROR')
  })

  describe('while the agent keeps its sockets', () => {
    let store: ReturnType<typeof keep>
    before(async () => {
      store = keep()
      await sleep(500)
    })
    after(() => store.close())

    test('a proxy that is exchanged for one beside it loses no question and no connection', async () => {
      const counts = await under(4_000, async () => {
        const next = startProxy()
        await next.ready
        await sleep(300)
        await end(proxy, 'SIGTERM')
        proxy = next
      })
      nothingLost(counts)
    })

    test('one that is stopped before the next one starts loses none either', async () => {
      const counts = await under(4_000, async () => {
        await end(proxy, 'SIGTERM')
        await sleep(500)
        proxy = startProxy()
        await proxy.ready
      })
      nothingLost(counts)
    })

    test('nor does an agent that is exchanged, before and between', async () => {
      const counts = await under(5_000, async () => {
        await control.close()
        store.close()
        await sleep(300)
        store = keep()
        await startAgent()
        await sleep(500)
        await end(proxy, 'SIGTERM')
        proxy = startProxy()
        await proxy.ready
      })
      nothingLost(counts)
    })

    test('one that is killed loses what it had begun, and no more', async () => {
      const counts = await under(4_000, async () => {
        await end(proxy, 'SIGKILL')
        proxy = startProxy()
        await proxy.ready
      })
      const { datagrams, connectionThatStays, newConnections } = counts
      for (const c of [datagrams, connectionThatStays, newConnections])
        assert.ok(c.lost < c.asked / 4 && c.wrong === 0, JSON.stringify(counts))
      assert.ok(connectionThatStays.ended <= 1, JSON.stringify(counts))
    })
  })
})
