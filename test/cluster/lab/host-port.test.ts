// SPDX-License-Identifier: Apache-2.0
/** Ports of a node that stand for ports of a pod, as the node and its pods see them. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Lab, ran } from '../../lab.ts'
import { ask, hostOf, until } from '../l7/pods.ts'

const root = join(import.meta.dirname, '../../..')
const name = 'hostport'

interface Node {
  readonly status: { readonly addresses: readonly { readonly type: string; readonly address: string }[] }
}

describe('host ports', { timeout: 200_000 }, () => {
  let lab: Lab
  let addresses: readonly string[] = []

  before(async () => {
    lab = await Lab.up(name, [], 1)
    const [node] = (await lab.json<{ items: readonly Node[] }>(['get', 'nodes'])).items
    addresses = (node?.status.addresses ?? []).filter((a) => a.type === 'InternalIP').map((a) => a.address)
    const server = [join(root, 'node_modules/.bin/node'), join(root, 'test/cluster/l7/server.js'), '80', '81']
    const pod = (name: string, container: object, hostNetwork = false) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, labels: { test: 'hostport' } },
      spec: { hostNetwork, containers: [{ name: 'c', image: 'debian', ...container }] },
    })
    const items = [
      pod('server', { command: server, ports: [{ containerPort: 80, hostPort: 7080 }] }),
      pod('client', { command: ['sleep', 'infinity'] }),
      pod('node', { command: ['sleep', 'infinity'] }, true),
    ]
    await lab.kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
    await lab.ready('test=hostport')
  })
  after(() => ran('bin/cilium-lab', ['down', '--name', name]))

  it('lead from a pod and from the node to the pod, in both families', async () => {
    assert.equal(addresses.length, 2)
    const [node = ''] = await lab.nodes()
    for (const address of addresses) {
      const url = `http://${hostOf(address)}:7080/a`
      await until(`a pod reaches ${url}`, async () => (await ask(lab, 'client', url)).status === 200)
      // A program of the node's own, in its cgroup.
      const r = await lab.tryKubectl([
        'exec',
        'node',
        '--',
        'curl',
        '-gs',
        '-m',
        '4',
        '-w',
        '%{http_code}',
        '-o',
        '/dev/null',
        url,
      ])
      assert.equal(r.stdout, '200')
    }
    assert.match((await lab.cilium(node, ['service', 'list'])).stdout, /7080.*HostPort/)
  })

  it('are gone with the pod', async () => {
    await lab.kubectl(['delete', 'pod', 'server', '--grace-period=0', '--force'])
    const url = `http://${hostOf(addresses[0] ?? '')}:7080/a`
    await until('nobody answers', async () => (await ask(lab, 'client', url)).status === 0)
  })
})
