// SPDX-License-Identifier: Apache-2.0
/** Services that other machines ask: HTTP rules on the pod behind them, and datagrams to programs of a node. */
import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import http from 'node:http'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Lab } from '../../lab.ts'
import { ran } from '../../ran.ts'
import { type Answer, ask, hostOf, type Pods, startPods, until } from './pods.ts'

const hasEnvoy = (await ran('tools/envoy.sh', [])).code === 0
const root = join(import.meta.dirname, '../../..')
const name = 'l7outside'
const web = 30081
const echo = 30053

/** What this machine, which is on the nodes' wire, gets by HTTP; a connection of `agent` is kept. */
function get(address: string, path: string, agent?: http.Agent): Promise<Answer & { readonly reused: boolean }> {
  return new Promise((resolve) => {
    const url = `http://${hostOf(address)}:${web}${path}`
    const none = { status: 0, body: '', reused: false }
    const request = http.get(url, { timeout: 3000, ...(agent ? { agent } : {}) }, (response) => {
      let body = ''
      response.on('data', (chunk) => {
        body += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body, reused: request.reusedSocket }))
      response.on('error', () => resolve(none))
    })
    request.on('error', () => resolve(none))
    request.on('timeout', () => request.destroy())
  })
}

/** Whom the server says it sees, and who answers; '' for nobody. */
function whoAmI(address: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
    const say = (text: string) => {
      clearTimeout(timer)
      socket.close()
      resolve(text)
    }
    const timer = setTimeout(() => say(''), 1000)
    socket.on('error', (error) => say(error.message))
    socket.on('message', (seen, from) => say(`${seen} by ${from.address}`))
    socket.connect(echo, address, () => socket.send('whoami'))
  })
}

for (const native of [false, true])
  describe(`services that other machines ask, ${native ? 'native routing' : 'tunnel'}`, {
    timeout: 300_000,
    skip: hasEnvoy ? false : 'tools/envoy.sh finds no Envoy',
  }, () => {
    let lab: Lab
    let pods: Pods
    /** Of the node with the server, and of the other one; IPv4 first. */
    let near: readonly string[] = []
    let far: readonly string[] = []

    before(async () => {
      lab = await Lab.up(name, native ? ['--native-routing'] : [], 2)
      pods = await startPods(lab)
      const { items } = await lab.json<{
        items: { metadata: { name: string }; status: { addresses: { type: string; address: string }[] } }[]
      }>(['get', 'nodes'])
      const addresses = (node: string | undefined) =>
        items
          .find((n) => n.metadata.name === node)
          ?.status.addresses.filter((a) => a.type === 'InternalIP')
          .map((a) => a.address) ?? []
      near = addresses(pods.servers[0]?.node)
      far = addresses(pods.servers[1]?.node)
      await lab.kubectl(['label', 'pod', pods.servers[0]?.name ?? '', 'app=web'])
      const service = (of: string, port: object) => ({
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: of },
        spec: { type: 'NodePort', ipFamilyPolicy: 'RequireDualStack', selector: { app: of }, ports: [port] },
      })
      // A program on all addresses would answer pods from the one that is nearest to them, as on any Linux.
      const listens = [join(root, 'node_modules/.bin/node'), join(root, 'test/kernel/traffic/talk.ts'), 'serve']
      const echoCommand = [...listens, ...near.map((address) => `9053@${address}`)]
      const list = [
        service('web', { port: 80, nodePort: web }),
        service('echo', { port: 53, targetPort: 9053, nodePort: echo, protocol: 'UDP' }),
        {
          apiVersion: 'v1',
          kind: 'Pod',
          metadata: { name: 'echo', labels: { app: 'echo' } },
          spec: {
            nodeName: pods.servers[0]?.node,
            hostNetwork: true,
            containers: [{ name: 'c', image: 'debian', command: echoCommand }],
          },
        },
        {
          apiVersion: 'cilium.io/v2',
          kind: 'CiliumNetworkPolicy',
          metadata: { name: 'guard' },
          spec: {
            endpointSelector: { matchLabels: { app: 'web' } },
            ingress: [
              {
                fromEntities: native ? ['world', 'remote-node'] : ['world'],
                toPorts: [
                  { ports: [{ port: '80', protocol: 'TCP' }], rules: { http: [{ method: 'GET', path: '/public' }] } },
                ],
              },
            ],
          },
        },
      ]
      await lab.kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: list }))
      await lab.ready('app=echo')
    })
    after(() => ran('bin/cilium-lab', ['down', '--name', name]))

    const passes = (address: string) =>
      until(
        `${address} answers by rules`,
        async () => (await get(address, '/secret')).status === 403 && (await get(address, '/public')).status === 200,
      )

    it('rules for requests hold for them, on the node of the pod and on another', async () => {
      for (const [i, address] of near.entries()) {
        await passes(address)
        const passed = await get(address, '/public')
        assert.ok(![...near, ...far].includes(JSON.parse(passed.body).address), 'the server sees the client')
        assert.equal((await get(address, '/secret')).status, 403)
        const other = far[i] ?? ''
        await passes(other)
        // The node that was asked asks for the client, whom policy knows all the same (by tunnel).
        assert.equal(JSON.parse((await get(other, '/public')).body).address, other)
        assert.equal((await get(other, '/secret')).status, 403)
        assert.equal((await ask(lab, 'client-0', `http://${hostOf(address)}:${web}/public`)).status, 0)
      }
    })

    it('a request is told with the client that policy saw', async () => {
      await until(
        'they are told',
        async () => {
          const monitor = lab.cilium(pods.servers[0]?.node ?? '', ['monitor', '--type', 'l7', '--timeout', '4'])
          await new Promise((resolve) => setTimeout(resolve, 1500))
          for (const address of [near[0], near[1], far[0], far[1]]) await get(address ?? '', '/public')
          const { stdout } = await monitor
          const count = (identity: number) => stdout.match(new RegExp(`identity ${identity}->`, 'g'))?.length ?? 0
          return native ? count(6) >= 2 : count(9) >= 1 && count(10) >= 1 && count(6) === 0
        },
        60_000,
      )
    })

    it('a connection lives on while the agent is exchanged', async () => {
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
      const [address = ''] = near
      assert.equal((await get(address, '/public', agent)).status, 200)
      const field = `spec.nodeName=${pods.servers[0]?.node}`
      await lab.kubectl(['-n', 'kube-system', 'delete', 'pod', '-l', 'k8s-app=cilium', '--field-selector', field])
      await lab.kubectl(['-n', 'kube-system', 'rollout', 'status', 'ds/cilium', '--timeout=60s'])
      const again = await get(address, '/public', agent)
      assert.deepEqual([again.status, again.reused], [200, true])
      assert.equal((await get(address, '/secret', agent)).status, 403)
      agent.destroy()
    })

    it('datagrams reach a program of the node, from machines and pods, and are answered by whom was asked', async () => {
      for (const [i, address] of near.entries()) {
        const other = far[i] ?? ''
        await until(`${address} answers`, async () => (await whoAmI(address)) !== '')
        const seen = await whoAmI(address)
        assert.ok(seen.endsWith(` by ${address}`) && !seen.startsWith(`${other} `), seen)
        await until(`${other} answers`, async () => (await whoAmI(other)) !== '')
        assert.equal(await whoAmI(other), `${other} by ${other}`)
        for (const client of ['client-0', 'client-1'])
          for (const to of [address, other]) {
            const [program = '', ...prefix] = lab.inside(`default/${client}`)
            const words = [join(root, 'node_modules/.bin/node'), join(root, 'test/kernel/traffic/talk.ts'), 'ask']
            const asked = await ran(program, [...prefix, ...words], `1 udp ${to} ${echo} 100 3000\n`)
            assert.equal(asked.stdout.trim(), `1 same ${to}`, client)
          }
      }
    })

    it('with externalTrafficPolicy Local the other node has no answer', async () => {
      const patch = { spec: { externalTrafficPolicy: 'Local' } }
      for (const service of ['echo', 'web'])
        await lab.kubectl(['patch', 'service', service, '--type=merge', '-p', JSON.stringify(patch)])
      for (const [i, address] of far.entries()) {
        await until(`${address} does not answer`, async () => (await whoAmI(address)) === '')
        assert.equal((await get(address, '/public')).status, 0)
        assert.notEqual(await whoAmI(near[i] ?? ''), '')
        assert.equal((await get(near[i] ?? '', '/public')).status, 200)
      }
    })
  })
