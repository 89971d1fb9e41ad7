// SPDX-License-Identifier: Apache-2.0
/** What requests under L7 rules notice when the agent or Envoy goes and comes back. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Lab } from '../../lab.ts'
import { ran } from '../../ran.ts'
import { ask, httpPolicy, type Pods, until } from './pods.ts'
import { killEnvoys, launcherOf, nothingLost, Restarts } from './restarts.ts'

const hasEnvoy = (await ran('tools/envoy.sh', [])).code === 0

/** `make bench ONLY=restarts` does it a hundred times. */
const ROUNDS = 5

describe('restarts under L7 rules', {
  timeout: 300_000,
  skip: hasEnvoy ? false : 'tools/envoy.sh finds no Envoy',
}, () => {
  let lab: Lab
  let pods: Pods
  let restarts: Restarts
  before(async () => {
    lab = await Lab.up('l7restart', [], 2)
    restarts = await Restarts.in(lab)
    pods = restarts.pods
  })
  after(() => ran('bin/cilium-lab', ['down', '--name', 'l7restart']))

  const underLoad = async (disturb: () => Promise<void>): Promise<void> => {
    const load = await restarts.load()
    await disturb()
    nothingLost(await load.stop())
  }
  const node = () => pods.servers[0]?.node ?? ''

  it('agents that are killed and come back cost no request and cut no stream', async () => {
    await underLoad(async () => {
      for (let i = 0; i < ROUNDS; i++) await restarts.cluster.restartAgent(i % 2 === 0 ? 'node-1' : 'node-2')
    })
    await restarts.enforced('/b')
  })

  it('Envoys that hand over to others cost no request and cut no stream', async () => {
    await underLoad(async () => {
      await Promise.all(
        ['node-1', 'node-2'].map(async (at) => {
          for (let i = 0; i < ROUNDS; i++) await restarts.handOver(at)
        }),
      )
    })
    for (const side of ['ingress', 'egress'] as const)
      await lab.kubectl(['apply', '-f', '-'], httpPolicy(side, side, [{ path: '/(a|c)' }]))
    await until(
      'new rules reach the new Envoys',
      async () => (await ask(lab, 'client-1', `http://${pods.servers[0]?.addresses[0]}/c`)).status === 200,
    )
  })

  it('an Envoy that is told again while it takes over hands over once it has', async () => {
    const launcher = () => launcherOf(restarts.cluster, node())
    const [before, first] = [launcher(), restarts.envoys(node())]
    process.kill(before, 'SIGHUP')
    await restarts.cluster.until('a second Envoy', async () => restarts.envoys(node()).length === 2)
    const second = restarts.envoys(node()).filter((pid) => !first.includes(pid))
    process.kill(before, 'SIGHUP')
    await restarts.cluster.until('a third Envoy alone', async () => {
      const now = restarts.envoys(node())
      return now.length === 1 && !first.includes(now[0] ?? 0) && !second.includes(now[0] ?? 0)
    })
    assert.equal(launcher(), before)
  })

  it('an Envoy that is killed leaves nothing open, and another serves soon', async () => {
    const url = `http://${pods.servers[0]?.addresses[0]}`
    killEnvoys(restarts.cluster, node())
    for (let i = 0; i < 20; i++) {
      const { status } = await ask(lab, 'client-1', `${url}/b`, ['-m', '1'])
      assert.ok(status === 0 || status === 403, `a refused request got ${status}`)
    }
    await until('requests pass again', async () => (await ask(lab, 'client-1', `${url}/a`)).status === 200, 60_000)
    assert.equal((await ask(lab, 'client-1', `${url}/b`)).status, 403)
  })

  it('without any Envoy what it would have to ask is dropped, and the status says how to get one', async () => {
    const url = `http://${pods.servers[0]?.addresses[0]}`
    await lab.kubectl(['delete', 'cnp', 'egress'])
    await lab.kubectl(['-n', 'kube-system', 'delete', 'daemonset', 'cilium-envoy', '--wait=true'])
    await until('Envoy is gone', async () => (await ask(lab, 'client-1', `${url}/a`, ['-m', '1'])).status === 0, 60_000)
    const { stdout } = await lab.cilium(node(), ['status'])
    assert.match(stdout, /Proxy Status: .*no Envoy is connected.*run DaemonSet cilium-envoy/)
    // What nobody asks anything goes on, and rules made meanwhile are closed too.
    await lab.kubectl(['apply', '-f', '-'], httpPolicy('plain', 'ingress', [], '50051'))
    const plain = () => ask(lab, 'client-1', `${url}:50051/`, ['--http2-prior-knowledge'])
    await until('a port without rules is open', async () => (await plain()).status === 200)
    await lab.kubectl(['apply', '-f', '-'], httpPolicy('two', 'egress', [{ path: '/a' }], '50051'))
    await until('a port with rules is closed', async () => (await plain()).status === 0)
  })
})
