// SPDX-License-Identifier: Apache-2.0
/** Egress rules of pods towards programs of nodes: of their own one, whose answers are for the proxy, and of another one. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Lab } from '../../lab.ts'
import { ran } from '../../ran.ts'
import { Cluster } from '../faults/cluster.ts'
import { ask, getsOf, hostOf, type Pods, policyFor, startPods, until } from './pods.ts'
import { endLoads, endSoon, handOver, nothingLost, startLoad } from './restarts.ts'
import { http } from './talk.ts'

const hasEnvoy = (await ran('tools/envoy.sh', [])).code === 0
const root = join(import.meta.dirname, '../../..')
const name = 'l7own'
/** Of the programs of nodes, and one where nobody listens. */
const [port, silent] = ['8088', '8089']
const program = [join(root, 'node_modules/.bin/node'), join(root, 'test/cluster/l7/server.js'), port, '8090']

/** Lets clients ask programs of their own node for some paths, and those of other nodes for others. */
const policy = (own: readonly string[], others: readonly string[]) => {
  const toPorts = (paths: readonly string[]) => [...getsOf(paths, port), ...getsOf(paths, silent)]
  return policyFor(
    'guard',
    { role: 'client' },
    {
      egress: [
        { toEntities: ['host'], toPorts: toPorts(own) },
        { toEntities: ['remote-node'], toPorts: toPorts(others) },
      ],
    },
  )
}

for (const native of [false, true])
  describe(`pods with HTTP rules ask programs of nodes, ${native ? 'native routing' : 'tunnel'}`, {
    timeout: 300_000,
    skip: hasEnvoy ? false : 'tools/envoy.sh finds no Envoy',
  }, () => {
    let lab: Lab
    let pods: Pods
    /** Of the node with the program, and of the service before it; IPv4 first. */
    let [node, addresses, service]: [string, readonly string[], readonly string[]] = ['', [], []]

    const apply = (object: object) => lab.kubectl(['apply', '-f', '-'], JSON.stringify(object))
    const get = (client: string, address: string, path: string, at = port) =>
      ask(lab, client, `http://${hostOf(address)}:${at}${path}`)
    const gets = (client: string, address: string, path: string, status: number) =>
      until(`${client} gets ${status} for ${path}`, async () => (await get(client, address, path)).status === status)

    before(async () => {
      lab = await Lab.up(name, native ? ['--native-routing'] : [], 2)
      pods = await startPods(lab)
      node = pods.clients[0]?.node ?? ''
      await apply({
        apiVersion: 'v1',
        kind: 'List',
        items: [
          {
            apiVersion: 'v1',
            kind: 'Pod',
            metadata: { name: 'program', labels: { app: 'program' } },
            spec: {
              nodeName: node,
              hostNetwork: true,
              containers: [{ name: 'c', image: 'debian', command: program }],
            },
          },
          {
            apiVersion: 'v1',
            kind: 'Service',
            metadata: { name: 'program' },
            spec: {
              ipFamilyPolicy: 'RequireDualStack',
              selector: { app: 'program' },
              ports: [{ port: 80, targetPort: Number(port) }],
            },
          },
        ],
      })
      await lab.ready('app=program')
      const pod = await lab.json<{ status: { podIPs: { ip: string }[] } }>(['get', 'pod', 'program'])
      addresses = pod.status.podIPs.map((a) => a.ip)
      const found = await lab.json<{ spec: { clusterIPs: string[] } }>(['get', 'service', 'program'])
      service = found.spec.clusterIPs
      await apply(policy(['/own', '/a', '/stream'], ['/other', '/a', '/stream']))
    })
    after(() => ran('bin/cilium-lab', ['down', '--name', name]))

    it('requests to the own node and to others are decided by the rules for each', async () => {
      for (const [family, address] of addresses.entries()) {
        await gets('client-0', address, '/other', 403)
        await gets('client-1', address, '/own', 403)
        const own = await get('client-0', address, '/own')
        assert.equal(own.status, 200)
        assert.equal(JSON.parse(own.body).address, pods.clients[0]?.addresses[family], 'the program sees the pod')
        assert.equal((await get('client-1', address, '/other')).status, 200)
        assert.deepEqual(await get('client-0', address, '/secret'), { status: 403, body: 'Access denied\r\n' })
      }
    })

    it('so are those to a service before the program', async () => {
      for (const address of service) {
        assert.equal((await get('client-0', address, '/own', '80')).status, 200)
        assert.equal((await get('client-0', address, '/other', '80')).status, 403)
        assert.equal((await get('client-1', address, '/other', '80')).status, 200)
        assert.equal((await get('client-1', address, '/own', '80')).status, 403)
      }
    })

    it('requests are told with both identities', async () => {
      const endpoint = await lab.json<{ status: { identity: { id: number } } }>(['get', 'cep', 'client-0'])
      const { id } = endpoint.status.identity
      const told = (text: string, status: number) =>
        addresses.every((address) =>
          text
            .split('\n')
            .some((line) =>
              [`identity ${id}->1, `, `http://${hostOf(address)}`, `=> ${status} `].every((part) =>
                line.includes(part),
              ),
            ),
        )
      const paths = ['/own', '/secret']
      await lab.monitor(
        node,
        'l7',
        () => Promise.all(addresses.flatMap((address) => paths.map((path) => get('client-0', address, path)))),
        (text) => told(text, 200) && told(text, 403),
      )
    })

    it('where nobody listens the client hears it from the proxy', async () => {
      for (const address of addresses) assert.equal((await get('client-0', address, '/own', silent)).status, 503)
    })

    it('a connection lives on while rules change and the agent is exchanged', async () => {
      const talks = addresses.map((address) => http(lab, 'default/client-0', `http://${hostOf(address)}:${port}`))
      const all = (path: string) => Promise.all(talks.map((t) => t.get(path)))
      const becomes = (path: string, status: string) =>
        until(`${path} gets ${status}`, async () => (await all(path)).every((s) => s === status))
      await becomes('/own', '200')
      await apply(policy(['/other'], ['/other']))
      await becomes('/own', '403')
      await becomes('/other', '200')
      const field = `spec.nodeName=${node}`
      await lab.kubectl(['-n', 'kube-system', 'delete', 'pod', '-l', 'k8s-app=cilium', '--field-selector', field])
      await lab.kubectl(['-n', 'kube-system', 'rollout', 'status', 'ds/cilium', '--timeout=60s'])
      assert.deepEqual(await all('/other'), ['200', '200'])
      for (const t of talks) {
        assert.equal(await t.connections(), 1)
        await t.stop()
      }
    })

    it('Envoys that hand over to others cost them no request and cut no stream', async () => {
      await endSoon(lab)
      const cluster = await Cluster.of(lab)
      await apply(policy(['/own', '/a', '/stream'], ['/other', '/a', '/stream']))
      for (const address of addresses) {
        await gets('client-0', address, '/a', 200)
        await gets('client-0', address, '/secret', 403)
      }
      const loads = await Promise.all(
        addresses.map((address) => startLoad(lab.inside('default/client-0'), `http://${hostOf(address)}:${port}`)),
      )
      for (let round = 0; round < 2; round++) await handOver(cluster, node)
      nothingLost(await endLoads(loads))
    })

    it('without its policy the pod asks the program itself', async () => {
      await lab.kubectl(['delete', 'cnp', 'guard'])
      for (const address of addresses) await gets('client-0', address, '/secret', 200)
    })
  })
