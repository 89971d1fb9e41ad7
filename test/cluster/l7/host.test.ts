// SPDX-License-Identifier: Apache-2.0
/** Programs of nodes that ask pods with HTTP rules: those of the pod's own node, and of another one. */
import assert from 'node:assert/strict'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Lab } from '../../lab.ts'
import { ran } from '../../ran.ts'
import { Cluster } from '../faults/cluster.ts'
import { getsOf, hostOf, policyFor, until } from './pods.ts'
import { endLoads, endSoon, handOver, nothingLost, startLoad } from './restarts.ts'
import { http } from './talk.ts'

const hasEnvoy = (await ran('tools/envoy.sh', [])).code === 0
const root = join(import.meta.dirname, '../../..')
const name = 'l7host'

/** Lets programs of the own node ask `own`, those of others `others`, and pods nothing that anybody asks here. */
const policy = (own: readonly string[], others: readonly string[]) =>
  policyFor(
    'guard',
    { app: 'web' },
    {
      ingress: [
        ...(own.length > 0 ? [{ fromEntities: ['host'], toPorts: getsOf(own) }] : []),
        ...(others.length > 0 ? [{ fromEntities: ['remote-node'], toPorts: getsOf(others) }] : []),
        { fromEndpoints: [{ matchLabels: { role: 'client' } }], toPorts: getsOf(['/pods']) },
      ],
    },
  )
const server = [join(root, 'node_modules/.bin/node'), join(root, 'test/cluster/l7/server.js'), '80']

for (const [localhost, mode, options] of [
  ['policy', 'a tunnel', []],
  ['policy', 'native routing', ['--native-routing']],
  ['auto', 'a tunnel', []],
] as const)
  describe(`programs of nodes ask a pod with HTTP rules, allow-localhost=${localhost}, ${mode}`, {
    timeout: 300_000,
    skip: hasEnvoy ? false : 'tools/envoy.sh finds no Envoy',
  }, () => {
    let lab: Lab
    let [near, far] = ['', '']
    let addresses: readonly string[] = []
    const free = localhost === 'auto'

    const apply = (object: object) => lab.kubectl(['apply', '-f', '-'], JSON.stringify(object))
    const ask = async (node: string, address: string, path: string): Promise<number> => {
      const curl = ['curl', '-g', '-s', '--connect-timeout', '2', '-m', '10', '-o', '/dev/null']
      const [program = '', ...inside] = [...(await lab.within(node)), ...curl]
      return Number((await ran(program, [...inside, '-w', '%{http_code}', `http://${hostOf(address)}${path}`])).stdout)
    }
    const gets = (node: string, address: string, path: string, status: number) =>
      until(`${node} gets ${status} for ${path}`, async () => (await ask(node, address, path)) === status)

    before(async () => {
      lab = await Lab.up(name, ['--set', `allow-localhost=${localhost}`, ...options], 2)
      ;[near = '', far = ''] = await lab.nodes()
      await apply(policy(['/own', '/alive', '/a', '/stream'], ['/other', '/a', '/stream']))
      await apply({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'web', labels: { app: 'web' } },
        spec: {
          nodeName: near,
          containers: [
            {
              ...{ name: 'c', image: 'debian', command: server },
              readinessProbe: { httpGet: { port: 80, path: '/alive' }, periodSeconds: 1, failureThreshold: 1 },
            },
          ],
        },
      })
      await lab.ready('app=web')
      const pod = await lab.json<{ status: { podIPs: { ip: string }[] } }>(['get', 'pod', 'web'])
      addresses = pod.status.podIPs.map((a) => a.ip)
    })
    after(() => ran('bin/cilium-lab', ['down', '--name', name]))

    it('requests of each are decided by the rules for it', async () => {
      for (const address of addresses) {
        await gets(near, address, '/own', 200)
        await gets(far, address, '/other', 200)
        assert.equal(await ask(near, address, '/other'), free ? 200 : 403)
        assert.equal(await ask(far, address, '/own'), 403)
      }
    })

    if (!free)
      it('a refused request is told with the node that asked', async () => {
        await lab.monitor(
          near,
          'l7',
          () => Promise.all(addresses.map((address) => ask(near, address, '/secret'))),
          (told) => /identity 1->\d+, verdict Denied\s+GET http:\S+\/secret => 403/.test(told),
        )
      })

    it('explain says the same', async () => {
      const explain = async (...more: readonly string[]) => {
        const words = ['policy', 'explain', '--to', 'default/web', '--port', '80/TCP', ...more, '-o', 'json']
        return JSON.parse((await lab.cilium(near, words)).stdout) as {
          verdict: { ingress: string; final: string }
          ingress: { decidedBy: { rule: string } }
        }
      }
      const own = await explain('--from', 'host')
      assert.equal(own.verdict.ingress, free ? 'allow' : 'redirect', JSON.stringify(own))
      const other = await explain('--from', 'remote-node')
      assert.equal(other.verdict.ingress, 'redirect', JSON.stringify(other))
    })

    it('a connection of the node lives on while rules change and the agent is exchanged', async () => {
      const talks = addresses.map((address) => http(lab, near, `http://${hostOf(address)}`))
      const all = (path: string) => Promise.all(talks.map((t) => t.get(path)))
      const becomes = (path: string, status: string) =>
        until(`${path} gets ${status}`, async () => (await all(path)).every((s) => s === status))
      await becomes('/own', '200')
      await apply(policy(['/other', '/alive'], ['/other']))
      await becomes('/own', free ? '200' : '403')
      await becomes('/other', '200')
      const field = `spec.nodeName=${near}`
      await lab.kubectl(['-n', 'kube-system', 'delete', 'pod', '-l', 'k8s-app=cilium', '--field-selector', field])
      await lab.kubectl(['-n', 'kube-system', 'rollout', 'status', 'ds/cilium', '--timeout=60s'])
      assert.deepEqual(await all('/other'), ['200', '200'])
      for (const t of talks) {
        assert.equal(await t.connections(), 1)
        await t.stop()
      }
    })

    if (!free)
      it('Envoys that hand over to others cost them no request and cut no stream', async () => {
        await endSoon(lab)
        const cluster = await Cluster.of(lab)
        await apply(policy(['/own', '/alive', '/a', '/stream'], ['/other', '/a', '/stream']))
        for (const address of addresses)
          for (const node of [near, far]) {
            await gets(node, address, '/a', 200)
            await gets(node, address, '/secret', 403)
          }
        const asked = [near, far].flatMap((node) => addresses.map((address) => [node, address] as const))
        const loads = await Promise.all(
          asked.map(([node, address]) => startLoad(lab.inside(node), `http://${hostOf(address)}`)),
        )
        for (let round = 0; round < 2; round++) await handOver(cluster, near)
        nothingLost(await endLoads(loads))
      })

    it('kubelet’s probes pass where the host always may, else by the rules for it', async () => {
      const ready = async () =>
        (await lab.kubectl(['get', 'pod', 'web', '-o', 'jsonpath={.status.containerStatuses[0].ready}'])).trim() ===
        'true'
      await apply(policy([], ['/other']))
      if (free) {
        await gets(far, addresses[0] ?? '', '/own', 403)
        assert.equal(await ask(near, addresses[0] ?? '', '/own'), 200)
        assert.ok(await ready())
      } else {
        await until('it is not ready', async () => !(await ready()), 30_000)
        assert.equal(await ask(near, addresses[0] ?? '', '/alive'), 0)
        await apply(policy(['/alive'], ['/other']))
        await until('it is ready', ready, 30_000)
      }
    })
  })
