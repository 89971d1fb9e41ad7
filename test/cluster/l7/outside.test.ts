// SPDX-License-Identifier: Apache-2.0
/** Services that other machines ask: HTTP rules on the pod behind them, and datagrams to programs of a node. */
import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import http from 'node:http'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Lab } from '../../lab.ts'
import { ran } from '../../ran.ts'
import { Cluster } from '../faults/cluster.ts'
import { type Answer, ask, getsOf, hostOf, type Pods, policyFor, startPods, until } from './pods.ts'
import { endLoads, endSoon, handOver, killEnvoys, nothingLost, startLoad } from './restarts.ts'

const hasEnvoy = (await ran('tools/envoy.sh', [])).code === 0
const root = join(import.meta.dirname, '../../..')
const name = 'l7outside'
const web = 30081
const echo = 30053

/** What this machine, which is on the nodes’ wire, gets by HTTP: by a connection of its own, or one that `agent` keeps. */
function get(address: string, path: string, agent?: http.Agent): Promise<Answer & { readonly reused: boolean }> {
  return new Promise((resolve) => {
    const url = `http://${hostOf(address)}:${web}${path}`
    const none = { status: 0, body: '', reused: false }
    const request = http.get(url, { agent: agent ?? false }, (response) => {
      let body = ''
      response.on('data', (chunk) => {
        body += chunk
      })
      response.on('end', () => resolve({ status: response.statusCode ?? 0, body, reused: request.reusedSocket }))
      response.on('error', () => resolve(none))
    })
    request.on('error', () => resolve(none))
    // Who takes the connection may take its time to answer.
    request.on('socket', (socket) => {
      const timer = setTimeout(() => request.destroy(), 2000)
      if (socket.connecting) socket.once('connect', () => clearTimeout(timer))
      else clearTimeout(timer)
      socket.once('close', () => clearTimeout(timer))
    })
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

/** The same, asked until somebody answers. */
async function answerOf(address: string): Promise<string> {
  let seen = ''
  await until(`${address} answers`, async () => {
    seen = await whoAmI(address)
    return seen !== ''
  })
  return seen
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
        policyFor(
          'guard',
          { app: 'web' },
          {
            ingress: [
              {
                fromEntities: native ? ['world', 'remote-node'] : ['world'],
                toPorts: getsOf(['/(public|a|stream)']),
              },
            ],
          },
        ),
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
        const refused = ask(lab, 'client-0', `http://${hostOf(address)}:${web}/public`)
        const passed = await get(address, '/public')
        assert.ok(![...near, ...far].includes(JSON.parse(passed.body).address), 'the server sees the client')
        assert.equal((await get(address, '/secret')).status, 403)
        const other = far[i] ?? ''
        await passes(other)
        // The node that was asked asks for the client, whom policy knows all the same (by tunnel).
        assert.equal(JSON.parse((await get(other, '/public')).body).address, other)
        assert.equal((await get(other, '/secret')).status, 403)
        assert.equal((await refused).status, 0, 'pods are not of the world')
      }
    })

    it('a request is told with the client that policy saw', async () => {
      // Its client ends the connection at once: who that was is asked when the kernel has forgotten it.
      const asked = async () => {
        for (const address of [near[0], near[1], far[0], far[1]]) {
          const agent = new http.Agent({ keepAlive: true })
          await get(address ?? '', '/public', agent)
          agent.destroy()
        }
      }
      const count = (told: string, identity: number) =>
        told.match(new RegExp(`identity ${identity}->`, 'g'))?.length ?? 0
      const told = await lab.monitor(pods.servers[0]?.node ?? '', 'l7', asked, (text) =>
        native ? count(text, 6) >= 2 : count(text, 9) >= 2 && count(text, 10) >= 2,
      )
      // By tunnel the client is known beyond the node that asks for it.
      if (!native) assert.equal(count(told, 6), 0, told)
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

    it('Envoys that hand over to others cost no request and cut no stream, asked by either node', async () => {
      await endSoon(lab)
      const cluster = await Cluster.of(lab)
      const addresses = [...near, ...far]
      for (const address of addresses) await passes(address)
      const loads = await Promise.all(addresses.map((address) => startLoad([], `http://${hostOf(address)}:${web}`)))
      for (let round = 0; round < 2; round++) await Promise.all(pods.servers.map(({ node }) => handOver(cluster, node)))
      nothingLost(await endLoads(loads))
      assert.equal((await get(near[0] ?? '', '/secret')).status, 403)
    })

    it('an Envoy that is killed ends its connections, leaves nothing open, and another serves soon', async () => {
      const node = pods.servers[0]?.node ?? ''
      const cluster = await Cluster.of(lab)
      const agent = new http.Agent({ keepAlive: true, maxSockets: 1 })
      const both = [near[0] ?? '', far[0] ?? '']
      for (const address of both) assert.equal((await get(address, '/public', agent)).status, 200)
      killEnvoys(cluster, node)
      await Promise.all(
        both.map(async (address) => {
          for (let i = 0; i < 5; i++) {
            const { status } = await get(address, '/secret', agent)
            assert.ok(status === 0 || status === 403, `a refused request got ${status}`)
          }
          await passes(address)
        }),
      )
      agent.destroy()
    })

    it('datagrams reach a program of the node, from machines and pods, and are answered by whom was asked', async () => {
      for (const [i, address] of near.entries()) {
        const other = far[i] ?? ''
        const seen = await answerOf(address)
        assert.ok(seen.endsWith(` by ${address}`) && !seen.startsWith(`${other} `), seen)
        assert.equal(await answerOf(other), `${other} by ${other}`)
        for (const client of ['client-0', 'client-1']) {
          const [program = '', ...prefix] = await lab.within(`default/${client}`)
          const words = [join(root, 'node_modules/.bin/node'), join(root, 'test/kernel/traffic/talk.ts'), 'ask']
          const questions = [address, other].map((to, n) => `${n} udp ${to} ${echo} 100 3000\n`)
          const asked = await ran(program, [...prefix, ...words], questions.join(''))
          assert.deepEqual(asked.stdout.trim().split('\n').sort(), [`0 same ${address}`, `1 same ${other}`], client)
        }
      }
    })

    it('with externalTrafficPolicy Local the other node has no answer', async () => {
      const patch = { spec: { externalTrafficPolicy: 'Local' } }
      for (const service of ['echo', 'web'])
        await lab.kubectl(['patch', 'service', service, '--type=merge', '-p', JSON.stringify(patch)])
      await Promise.all(
        far.map(async (address, i) => {
          await until(`${address} does not answer`, async () => (await whoAmI(address)) === '')
          await until('nor requests', async () => (await get(address, '/public')).status === 0)
          await answerOf(near[i] ?? '')
          assert.equal((await get(near[i] ?? '', '/public')).status, 200)
        }),
      )
    })
  })
