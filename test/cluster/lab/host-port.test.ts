// SPDX-License-Identifier: Apache-2.0
/** Ports of nodes that stand for ports of pods: as the node and its pods see them, another node's, and other machines. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Lab } from '../../lab.ts'
import { ran } from '../../ran.ts'
import { ask, hostOf, until } from '../l7/pods.ts'

const root = join(import.meta.dirname, '../../..')
const name = 'hostport'

interface Node {
  readonly metadata: { readonly name: string }
  readonly status: { readonly addresses: readonly { readonly type: string; readonly address: string }[] }
}
const nodePort = 30080

describe('ports of nodes', { timeout: 200_000 }, () => {
  let lab: Lab
  /** Of the node with the server, and of the other one; IPv4 first. */
  let addresses: readonly string[] = []
  let others: readonly string[] = []

  before(async () => {
    lab = await Lab.up(name, [], 2)
    const { items: nodes } = await lab.json<{ items: readonly Node[] }>(['get', 'nodes'])
    const [own, other] = nodes.map((n) =>
      n.status.addresses.filter((a) => a.type === 'InternalIP').map((a) => a.address),
    )
    addresses = own ?? []
    others = other ?? []
    const server = [join(root, 'node_modules/.bin/node'), join(root, 'test/cluster/l7/server.js'), '80', '81']
    const pod = (name: string, node: number, container: object, hostNetwork = false) => ({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, labels: { test: 'hostport', app: name } },
      spec: {
        nodeName: nodes[node]?.metadata.name,
        hostNetwork,
        containers: [{ name: 'c', image: 'debian', ...container }],
      },
    })
    const sleep = { command: ['sleep', 'infinity'] }
    const items = [
      pod('server', 0, { command: server, ports: [{ containerPort: 80, hostPort: 7080 }] }),
      pod('client', 0, sleep),
      pod('far', 1, sleep),
      pod('node', 0, sleep, true),
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'server' },
        spec: {
          type: 'NodePort',
          ipFamilyPolicy: 'RequireDualStack',
          selector: { app: 'server' },
          ports: [{ port: 80, nodePort }],
        },
      },
    ]
    await lab.kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
    await lab.ready('test=hostport')
  })
  after(() => ran('bin/cilium-lab', ['down', '--name', name]))

  /** What this machine, which is on the nodes' wire, gets: the client's address as the server saw it, '' for no answer. */
  const fromOutside = async (address: string, port: number): Promise<string> => {
    const r = await ran('curl', ['-gs', '--connect-timeout', '2', '-m', '10', `http://${hostOf(address)}:${port}/`])
    return r.code === 0 ? (JSON.parse(r.stdout) as { address: string }).address : ''
  }

  it('lead from a pod and from the node to the pod, in both families', async () => {
    assert.equal(addresses.length, 2)
    const [node = ''] = await lab.nodes()
    for (const address of [...addresses, '127.0.0.1', '::1']) {
      const url = `http://${hostOf(address)}:7080/a`
      const status = async () => (await ask(lab, 'client', url)).status
      if (addresses.includes(address)) await until(`a pod reaches ${url}`, async () => (await status()) === 200)
      else assert.equal(await status(), 0, 'the loopback of a pod is its own')
      // A program of the node's own, in its cgroup.
      const line = ['curl', '-gs', '-m', '4', '-w', '%{http_code}', '-o', '/dev/null', url]
      assert.equal((await lab.tryKubectl(['exec', 'node', '--', ...line])).stdout, '200')
    }
    assert.match((await lab.cilium(node, ['service', 'list'])).stdout, /7080.*HostPort/)
  })

  it('lead there from pods of other nodes and from other machines', async () => {
    for (const address of addresses)
      for (const port of [7080, nodePort]) {
        const url = `http://${hostOf(address)}:${port}/a`
        await until(`a pod of another node reaches ${url}`, async () => (await ask(lab, 'far', url)).status === 200)
        await until(`another machine reaches ${url}`, async () => (await fromOutside(address, port)) !== '')
      }
    assert.equal(await fromOutside(others[0] ?? '', 7080), '', 'the other node has no such pod')
  })

  it('a NodePort is on every node; the server sees the client where it is, and a node where it is not', async () => {
    for (const [i, address] of others.entries()) {
      await until(`another machine reaches ${address}`, async () => (await fromOutside(address, nodePort)) !== '')
      assert.equal(await fromOutside(address, nodePort), address)
      const client = await fromOutside(addresses[i] ?? '', nodePort)
      assert.ok(![...addresses, ...others].includes(client), client)
    }
  })

  it('with externalTrafficPolicy Local only nodes with a server answer, and all answer to pods', async () => {
    const patch = { spec: { externalTrafficPolicy: 'Local' } }
    await lab.kubectl(['patch', 'service', 'server', '--type=merge', '-p', JSON.stringify(patch)])
    for (const address of others) {
      await until(`${address} does not answer`, async () => (await fromOutside(address, nodePort)) === '')
      const url = `http://${hostOf(address)}:${nodePort}/a`
      assert.equal((await ask(lab, 'far', url)).status, 200)
    }
    for (const address of addresses) assert.notEqual(await fromOutside(address, nodePort), '')
  })

  it('tell load balancers on a healthCheckNodePort whether a server is there', async () => {
    const port = 32_080
    const spec = { type: 'LoadBalancer', externalTrafficPolicy: 'Local', healthCheckNodePort: port }
    const patch = (more: object): Promise<unknown> =>
      lab.kubectl(['patch', 'service', 'server', '--type=merge', '-p', JSON.stringify({ spec: more })])
    /** Status and body, `000` when nobody listens. */
    const asked = async (address: string): Promise<string> =>
      (await ran('curl', ['-gs', '-m', '5', '-w', '%{http_code}', `http://${hostOf(address)}:${port}/`])).stdout
    const says = (localEndpoints: number): string =>
      `${JSON.stringify({ service: { namespace: 'default', name: 'server' }, localEndpoints })}\n`
    await patch(spec)
    for (const address of addresses)
      await until(`${address} has a server`, async () => (await asked(address)) === `${says(1)}200`)
    for (const address of others)
      await until(`${address} has none`, async () => (await asked(address)) === `${says(0)}503`)
    await patch({ externalTrafficPolicy: 'Cluster', healthCheckNodePort: null })
    for (const address of [...addresses, ...others])
      await until(`${address} says nothing any more`, async () => (await asked(address)) === '000')
  })

  it('are gone with the pod', async () => {
    await lab.kubectl(['delete', 'pod', 'server', '--grace-period=0', '--force'])
    const address = addresses[0] ?? ''
    const url = `http://${hostOf(address)}:7080/a`
    await until('nobody answers', async () => (await ask(lab, 'client', url)).status === 0)
    await until('nor to another machine', async () => (await fromOutside(address, 7080)) === '')
  })
})
