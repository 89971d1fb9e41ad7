// SPDX-License-Identifier: Apache-2.0
/** What requests under L7 rules notice when the agent or Envoy goes and comes back. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Lab, ran } from '../../lab.ts'
import { ask, hostOf, httpPolicy, inPod, type Pods, startPods, until } from './pods.ts'

const hasEnvoy = (await ran('tools/envoy.sh', [])).code === 0

interface Load {
  readonly asked: number
  readonly failed: number
  readonly errors: Readonly<Record<string, number>>
  readonly slowest: number
  readonly streamed: number
  readonly streamsCut: number
}

describe('restarts under L7 rules', {
  timeout: 300_000,
  skip: hasEnvoy ? false : 'tools/envoy.sh finds no Envoy',
}, () => {
  let lab: Lab
  let pods: Pods
  before(async () => {
    lab = await Lab.up('l7restart', [], 2)
    pods = await startPods(lab)
    await lab.kubectl(['apply', '-f', '-'], httpPolicy('one', 'ingress', [{ path: '/(a|stream)' }]))
    for (const client of pods.clients)
      for (const server of pods.servers)
        await until('the rules hold', async () => {
          const url = `http://${hostOf(server.addresses[0] ?? '')}`
          return (await ask(lab, client.name, `${url}/b`)).status === 403
        })
  })
  after(() => ran('bin/cilium-lab', ['down', '--name', 'l7restart']))

  /** Requests from every client to the server of the first node, in both families, for some seconds. */
  async function underLoad(seconds: number, disturb: () => Promise<void>): Promise<readonly Load[]> {
    const results: Load[] = []
    const loads = pods.clients.flatMap((client) =>
      (pods.servers[0]?.addresses ?? []).map((address) =>
        inPod(
          lab,
          client.name,
          'test/cluster/l7/talker.js',
          ['load', `http://${hostOf(address)}`, String(seconds)],
          (line) => results.push(JSON.parse(line) as Load),
        ),
      ),
    )
    await new Promise((resolve) => setTimeout(resolve, 1500))
    await disturb()
    await Promise.all(loads.map((l) => l.ended))
    assert.equal(results.length, loads.length)
    for (const r of results) assert.ok(r.asked > 50 && r.streamed > 5, JSON.stringify(r))
    return results
  }
  const unharmed = (results: readonly Load[]) => {
    for (const r of results)
      assert.deepEqual({ failed: r.failed, errors: r.errors, cut: r.streamsCut }, { failed: 0, errors: {}, cut: 0 })
  }
  const podOf = async (app: string, node: string): Promise<string> =>
    (
      await lab.kubectl([
        '-n',
        'kube-system',
        'get',
        'pods',
        '-l',
        `k8s-app=${app}`,
        '--field-selector',
        `spec.nodeName=${node}`,
        '-o',
        'name',
      ])
    ).trim()
  const node = () => pods.servers[0]?.node ?? ''

  it('an agent that is killed and comes back costs no request and cuts no stream', async () => {
    const before = await podOf('cilium', node())
    unharmed(
      await underLoad(12, async () => {
        await lab.kubectl(['-n', 'kube-system', 'delete', before, '--grace-period=0', '--force', '--wait=false'])
        await until('another agent', async () => {
          const now = await podOf('cilium', node())
          return now !== '' && now !== before
        })
        await lab.kubectl([
          '-n',
          'kube-system',
          'wait',
          '--for=condition=Ready',
          await podOf('cilium', node()),
          '--timeout=60s',
        ])
      }),
    )
    assert.equal((await ask(lab, 'client-0', `http://${pods.servers[0]?.addresses[0]}/b`)).status, 403)
  })

  it('an Envoy that takes over from another costs no request and cuts no stream', async () => {
    const envoy = await podOf('cilium-envoy', node())
    const exec = (command: string) => lab.kubectl(['-n', 'kube-system', 'exec', envoy, '--', 'sh', '-c', command])
    const first = await exec('cat /var/run/cilium/envoy/pid')
    unharmed(
      await underLoad(10, async () => {
        await exec('kill -HUP 1')
      }),
    )
    assert.notEqual(await exec('cat /var/run/cilium/envoy/pid'), first)
    await lab.kubectl(['apply', '-f', '-'], httpPolicy('one', 'ingress', [{ path: '/(a|stream|c)' }]))
    await until(
      'new rules reach the new Envoy',
      async () => (await ask(lab, 'client-0', `http://${pods.servers[0]?.addresses[0]}/c`)).status === 200,
    )
  })

  it('an Envoy that is killed leaves nothing open, and another serves soon', async () => {
    const url = `http://${pods.servers[0]?.addresses[0]}`
    const envoy = await podOf('cilium-envoy', node())
    await lab.tryKubectl(['-n', 'kube-system', 'exec', envoy, '--', 'sh', '-c', 'kill -9 $(pidof envoy); kill -9 1'])
    for (let i = 0; i < 20; i++) {
      const { status } = await ask(lab, 'client-1', `${url}/b`, ['-m', '1'])
      assert.ok(status === 0 || status === 403, `a refused request got ${status}`)
    }
    await until('requests pass again', async () => (await ask(lab, 'client-1', `${url}/a`)).status === 200, 60_000)
    assert.equal((await ask(lab, 'client-1', `${url}/b`)).status, 403)
  })

  it('without any Envoy what it would have to ask is dropped, and the status says how to get one', async () => {
    const url = `http://${pods.servers[0]?.addresses[0]}`
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
