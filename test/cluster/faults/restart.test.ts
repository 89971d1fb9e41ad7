// SPDX-License-Identifier: Apache-2.0
/**
 * Parts die, are cut off and come back under constant traffic and policy. `RESTARTS=100` restarts the agents that
 * often; the default is a few, since each takes a second.
 */
import assert from 'node:assert/strict'
import { rmSync } from 'node:fs'
import { after, before, describe, it } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { Cluster, documents, faultsOf, pod, policy, port, type Seen } from './cluster.ts'

const restarts = Number(process.env['RESTARTS'] ?? 4)

/** Nothing lost, reset, refused, stalled or sent twice, and there was traffic to lose. */
function unharmed(seen: readonly Seen[], expected: number): void {
  assert.equal(seen.length, expected)
  for (const s of seen) {
    assert.equal(faultsOf(s), 0, JSON.stringify(s))
    assert.ok(s.long > 10 && s.short > 10 && s.udp > 10, JSON.stringify(s))
  }
}

describe('traffic', { timeout: 120_000 + restarts * 6_000 }, () => {
  let cluster: Cluster
  let ways: readonly string[]
  before(async () => {
    cluster = await Cluster.up('restart')
    ways = await cluster.everyWay()
    assert.equal(ways.length, 8, 'two servers and their services, each with two families')
  })
  after(() => cluster?.lab.down())

  const answered = async (from: string, to: readonly string[], ms: number): Promise<number> => {
    const probe = await cluster.probe(from, to)
    await sleep(ms)
    const seen = await probe.stop()
    for (const s of seen) assert.ok(s.asked > 0)
    return seen.reduce((sum, s) => sum + s.answered, 0)
  }

  it('loses nothing when agents are killed and started again, on either side and on one node', async () => {
    const talks = [await cluster.client(ways), await cluster.client(ways, 'namespace')]
    const strangers = await cluster.probe('stranger', ways)
    for (let i = 0; i < restarts; i++) await cluster.restartAgent(i % 2 === 0 ? 'node-1' : 'node-2')
    for (const talk of talks) unharmed(await talk.stop(), ways.length)
    for (const s of await strangers.stop()) assert.equal(s.answered, 0, 'what policy denies stays denied')
  })

  it('is never more open while an agent of another version makes the decision tables anew; connections live on', async () => {
    const talk = await cluster.client(ways)
    const strangers = [await cluster.probe('stranger', ways), await cluster.probe('outsider', ways)]
    // As an agent leaves it that had no such map.
    for (const node of ['node-1', 'node-2']) {
      rmSync(`/proc/${cluster.nodes.get(node)}/root/sys/fs/bpf/tc/globals/cilium_class_pages`)
      await cluster.restartAgent(node)
    }
    await sleep(1000)
    for (const s of await talk.stop()) {
      // New connections wait, and what is sent meanwhile may be sent again.
      assert.deepEqual([s.reset, s.refused], [0, 0], JSON.stringify(s))
      assert.ok(s.long > 10 && s.short > 10 && s.udp > 10, JSON.stringify(s))
    }
    for (const probe of strangers) for (const s of await probe.stop()) assert.equal(s.answered, 0)
  })

  it('goes on without an operator, which comes back by itself; pods start meanwhile', async () => {
    const talk = await cluster.client(ways)
    const operators = [...cluster.nodes.keys()].flatMap((node) => cluster.processes(node, 'build/operator.js'))
    assert.equal(operators.length, 1)
    for (const pid of operators) process.kill(pid, 'SIGKILL')
    await cluster.lab.kubectl(['create', '-f', '-'], documents([pod('meanwhile', 'node-2', ['sleep', 'infinity'])]))
    await cluster.lab.ready('app=meanwhile')
    await cluster.lab.kubectl(['-n', 'kube-system', 'rollout', 'status', 'deployment/cilium-operator', '--timeout=30s'])
    await cluster.lab.kubectl(['delete', 'pod', 'meanwhile', '--wait=false'])
    unharmed(await talk.stop(), ways.length)
  })

  it('goes on while nodes can not reach the API server, an agent restarted then too; changes arrive after', async () => {
    const { host, port: apiPort } = new URL(
      await cluster.lab.kubectl(['config', 'view', '-o', 'jsonpath={.clusters[0].cluster.server}']),
    ).host.match(/^(?<host>.*):(?<port>\d+)$/)!.groups as { host: string; port: string }
    // What was sent on old connections is lost in silence, new ones are refused: both ways for a server to be away.
    const cut = `table inet fault {
      chain out {
        type filter hook output priority 0
        ip daddr ${host} tcp dport ${apiPort} reject with tcp reset
      }
      chain in {
        type filter hook input priority 0
        ip saddr ${host} tcp sport ${apiPort} drop
      }
    }\n`
    const talk = await cluster.client(ways)
    const nodes = [...cluster.nodes.keys()]
    try {
      for (const node of nodes) assert.equal((await cluster.inside(node, ['nft', '-f', '-'], cut)).code, 0)
      await cluster.killAgent('node-1')
      const allowStranger = policy('strangers', [
        { fromEndpoints: [{ matchLabels: { app: 'stranger' } }], toPorts: [{ ports: [{ port: String(port) }] }] },
      ])
      await cluster.lab.kubectl(
        ['create', '-f', '-'],
        documents([allowStranger, pod('late', 'node-1', ['sleep', 'infinity'])]),
      )
      const before = await cluster.podIPs('server')
      assert.equal(await answered('stranger', ways, 1000), 0)
      assert.deepEqual(await cluster.podIPs('server'), before)
      assert.deepEqual(await cluster.podIPs('late'), [], 'nobody can tell its labels now')
    } finally {
      for (const node of nodes) await cluster.inside(node, ['nft', 'delete', 'table', 'inet', 'fault'])
    }
    for (const node of nodes) await cluster.agentReady(node)
    await cluster.until('the policy', async () => (await answered('stranger', ways, 100)) > 0)
    await cluster.lab.ready('app=late')
    await cluster.lab.kubectl(['delete', 'cnp', 'strangers'])
    await cluster.lab.kubectl(['delete', 'pod', 'late', '--wait=false'])
    for (const node of nodes) await cluster.enforcedWithout(node, 'strangers')
    assert.equal(await answered('stranger', ways, 300), 0)
    unharmed(await talk.stop(), ways.length)
  })

  it('is never more open than both policies while one is exchanged for the other', async () => {
    const from = (app: string, ...extra: readonly object[]) => ({
      fromEndpoints: [{ matchLabels: { app } }, ...extra],
      toPorts: [{ ports: [{ port: '7000', endPort: 7999, protocol: 'TCP' }] }],
    })
    const variants = [
      policy('servers', [from('nobody')]),
      policy('servers', [
        from('somebody', { matchExpressions: [{ key: 'tier', operator: 'Exists' }] }),
        { fromEntities: ['health'] },
      ]),
    ]
    const talk = await cluster.client(ways)
    const strangers = [await cluster.probe('stranger', ways), await cluster.probe('outsider', ways)]
    for (let i = 0; i < 16; i++) {
      await cluster.lab.kubectl(['replace', '-f', '-'], documents([variants[i % 2] as object]))
      // A second policy that comes and goes changes which tables there are, not what they say of strangers.
      if (i % 4 === 0) await cluster.lab.kubectl(['create', '-f', '-'], documents([policy('second', [from('third')])]))
      if (i % 4 === 2) await cluster.lab.kubectl(['delete', 'cnp', 'second'])
    }
    unharmed(await talk.stop(), ways.length)
    for (const probe of strangers)
      for (const s of await probe.stop()) {
        assert.ok(s.asked > 100)
        assert.equal(s.answered, 0)
      }
  })
})
