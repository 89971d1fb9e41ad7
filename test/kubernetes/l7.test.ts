// SPDX-License-Identifier: Apache-2.0
/** Rules beyond ports on a real Kubernetes: HTTP with the chart's DaemonSet cilium-envoy, names with cilium-dns-proxy. */
import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { once } from 'node:events'
import { createServer } from 'node:http'
import { after, before, describe, test } from 'node:test'
import packet from 'dns-packet'
import { build } from './build.ts'
import { down, inMachine, nodeNames, up } from './cluster.ts'
import { items, kubectl, tryKubectl } from './kubectl.ts'
import { healthy, inAgent } from './look.ts'
import { bridge, hostAddress, prefix4 } from './places.ts'
import { hasEnvoy, install, ready, upgrade } from './product.ts'
import { output, until } from './run.ts'
import { apply, pod, podInfo, podsReady, startTraffic } from './workloads.ts'

const servers = ['near', 'far']
const clients = ['client', 'distant']

const rules = (http: readonly object[]): object => ({
  apiVersion: 'cilium.io/v2',
  kind: 'CiliumNetworkPolicy',
  metadata: { name: 'http' },
  spec: {
    endpointSelector: { matchLabels: { role: 'server' } },
    ingress: [
      {
        fromEndpoints: [{ matchLabels: { role: 'client' } }],
        toPorts: [
          { ports: [{ port: '8080', protocol: 'TCP' }], rules: { http } },
          { ports: [{ port: '9000', protocol: 'TCP' }] },
        ],
      },
    ],
  },
})

/** Status and body of a request; status 0 is no answer. */
async function ask(from: string, address: string, path: string): Promise<{ status: number; body: string }> {
  const host = address.includes(':') ? `[${address}]` : address
  const { stdout } = await tryKubectl([
    ...['exec', from, '-c', 'main', '--', 'curl', '-gs', '-m', '3', '-w', '\n%{http_code}'],
    `http://${host}:8080${path}`,
  ])
  const [, body = '', status = '0'] = /^([\s\S]*)\n([0-9]+)$/.exec(stdout.trimEnd()) ?? []
  return { status: Number(status), body }
}

interface Named {
  readonly metadata: { readonly name: string; readonly deletionTimestamp?: string }
  readonly spec: { readonly nodeName: string }
}
const podsOf = (app: string): Promise<readonly Named[]> =>
  items<Named>(['-n', 'kube-system', 'get', 'pods', '-l', `k8s-app=${app}`])
const statusOn = async (node: string): Promise<string> => {
  const agent = (await podsOf('cilium')).find((p) => p.spec.nodeName === node)?.metadata.name ?? ''
  return kubectl(['-n', 'kube-system', 'exec', agent, '-c', 'cilium-agent', '--', 'cilium', 'status'])
}
const placeEnvoy = async (selector: object | null): Promise<void> => {
  const patch = { spec: { template: { spec: { nodeSelector: selector } } } }
  await kubectl(['-n', 'kube-system', 'patch', 'ds', 'cilium-envoy', '--type=merge', '-p', JSON.stringify(patch)])
}

describe('HTTP rules', { concurrency: 1, skip: hasEnvoy() ? false : 'tools/envoy.sh finds no Envoy' }, () => {
  before(async () => {
    await build()
    await up(2, () => {})
    await install(['envoy.terminationGracePeriodSeconds=20'])
    await ready()
    await kubectl(['-n', 'kube-system', 'rollout', 'status', 'daemonset/cilium-envoy', '--timeout=300s'])
    await apply([
      pod('client', 'node-1', { role: 'client' }),
      pod('distant', 'node-2', { role: 'client' }),
      pod('near', 'node-1', { role: 'server' }),
      pod('far', 'node-2', { role: 'server' }),
    ])
    await podsReady()
  })
  after(down)

  test('an Envoy that nothing needs does not matter', async () => {
    await placeEnvoy({ 'kubernetes.io/os': 'none' })
    await until('no Envoy runs', async () => (await podsOf('cilium-envoy')).length === 0)
    for (const node of nodeNames()) {
      const status = await statusOn(node)
      assert.match(status, /^Cilium: +Ok /m)
      assert.match(status, /^Proxy Status: +OK, .* 0 redirects active on ports [0-9-]+, Envoy: external$/m)
    }
    for (const server of servers)
      for (const address of (await podInfo(server)).addresses)
        assert.equal((await ask('client', address, '/hostname')).status, 200)
  })

  test('ports with HTTP rules are closed while Envoy is missing, and status says what to do', async () => {
    await apply([rules([{ method: 'GET', path: '/hostname' }])])
    for (const server of servers)
      for (const address of (await podInfo(server)).addresses)
        await until(`${address} is closed`, async () => (await ask('client', address, '/hostname')).status === 0)
    for (const node of nodeNames()) {
      const status = await statusOn(node)
      assert.match(status, /^Cilium: +Warning .*no Envoy is connected.*DaemonSet cilium-envoy/m)
      assert.match(status, /^Proxy Status: +Failure, 1 redirects are closed: no Envoy is connected/m)
    }
    await placeEnvoy({ 'kubernetes.io/os': 'linux' })
    await kubectl(['-n', 'kube-system', 'rollout', 'status', 'daemonset/cilium-envoy', '--timeout=300s'])
  })

  test('what a rule allows is answered and what it does not is denied, in both families, on a node and across', async () => {
    for (const client of clients)
      for (const server of servers)
        for (const address of (await podInfo(server)).addresses) {
          await until(`${client} gets an answer of ${address}`, async () => {
            const { status, body } = await ask(client, address, '/hostname')
            return (status === 200 && body.trim() === server) || `${status} ${body}`
          })
          assert.deepEqual(await ask(client, address, '/clientip'), { status: 403, body: 'Access denied\r\n' })
        }
    for (const node of nodeNames())
      assert.match(
        await statusOn(node),
        /^Proxy Status: +OK, .* 1 redirects active on ports [0-9-]+, Envoy: external$/m,
      )
  })

  test('the server sees the address of its client', async () => {
    await apply([rules([{ path: '/(hostname|clientip)' }])])
    for (const server of servers)
      for (const [i, address] of (await podInfo(server)).addresses.entries()) {
        const own = (await podInfo('client')).addresses[i] ?? ''
        await until('the new rule holds', async () => (await ask('client', address, '/clientip')).status === 200)
        const { body } = await ask('client', address, '/clientip')
        assert.equal(body.slice(0, body.lastIndexOf(':')).replace(/[[\]]/g, ''), own)
      }
  })

  test('an upgrade of Envoy costs no request: the new one takes over before the old one goes', async () => {
    const old = (await podsOf('cilium-envoy')).map((p) => p.metadata.name)
    const traffic = await Promise.all(
      servers.map(async (s) => startTraffic('client', (await podInfo(s)).addresses[0] as string)),
    )
    await upgrade(['envoy.podAnnotations.exchanged=yes', 'envoy.terminationGracePeriodSeconds=20'], '4')
    await kubectl(['-n', 'kube-system', 'rollout', 'status', 'daemonset/cilium-envoy', '--timeout=300s'])
    const now = (await podsOf('cilium-envoy')).filter((p) => !p.metadata.deletionTimestamp)
    assert.equal(now.length, nodeNames().length)
    assert.ok(now.every((p) => !old.includes(p.metadata.name)))
    for (const t of traffic) {
      const { made, failed, unanswered } = await t.finish()
      assert.ok(made > 20)
      assert.deepEqual({ failed, unanswered }, { failed: 0, unanswered: 0 })
    }
    const address = (await podInfo('near')).addresses[0] as string
    assert.equal((await ask('client', address, '/healthz')).status, 403)
    await apply([rules([{ path: '/(hostname|healthz)' }])])
    await until('new rules reach the new Envoy', async () => (await ask('client', address, '/healthz')).status === 200)
  })
})

describe('rules for names', { concurrency: 1 }, () => {
  const other = `${prefix4}.3`
  const names = new Map([
    ['allowed.example', hostAddress],
    ['other.example', other],
  ])
  const web = createServer((_, response) => response.end('the world'))
  const second = createServer((_, response) => response.end('another'))
  const dns = createSocket('udp4', (bytes, from) => {
    const { id, questions } = packet.decode(bytes)
    const [question] = questions ?? []
    const address = names.get(question?.name.toLowerCase() ?? '')
    const answers =
      address && question?.type === 'A' ? [{ type: 'A' as const, name: question.name, ttl: 3600, data: address }] : []
    const rcode = address ? 0 : 3
    dns.send(
      packet.encode({
        type: 'response',
        id: id ?? 0,
        flags: packet.RECURSION_AVAILABLE | rcode,
        questions: questions ?? [],
        answers,
      }),
      from.port,
      from.address,
    )
  })
  const ask = async (host: string): Promise<string> =>
    (await tryKubectl(['exec', 'asker', '-c', 'main', '--', 'curl', '-sSm3', `http://${host}:8080/`])).stdout.trim()
  const resolve = (name: string) =>
    tryKubectl(['exec', 'asker', '-c', 'main', '--', 'curl', '-sSm3', '-o', '/dev/null', `http://${name}:8080/`])

  before(async () => {
    await build()
    await up(2, () => {})
    await install()
    await ready()
    await output('ip', ['addr', 'add', `${other}/32`, 'dev', bridge])
    web.listen(8080, hostAddress)
    second.listen(8080, other)
    dns.bind(53, hostAddress)
    await Promise.all([once(web, 'listening'), once(second, 'listening'), once(dns, 'listening')])
    const asker = pod('asker', 'node-1', { role: 'asker' }) as { spec: object }
    await apply([{ ...asker, spec: { ...asker.spec, dnsPolicy: 'None', dnsConfig: { nameservers: [hostAddress] } } }])
    await podsReady('asker')
    await kubectl(['-n', 'kube-system', 'rollout', 'status', 'daemonset/cilium-dns-proxy', '--timeout=300s'])
  })
  after(async () => {
    web.close()
    second.close()
    dns.close()
    await down()
  })

  test('without a policy every name is answered and every address reached', async () => {
    assert.equal(await ask('allowed.example'), 'the world')
    assert.equal(await ask('other.example'), 'another')
  })

  test('a name in toFQDNs is reached by its name at the first attempt, others are not', async () => {
    await apply([
      {
        apiVersion: 'cilium.io/v2',
        kind: 'CiliumNetworkPolicy',
        metadata: { name: 'names' },
        spec: {
          endpointSelector: { matchLabels: { role: 'asker' } },
          egress: [
            {
              toCIDR: [`${hostAddress}/32`],
              toPorts: [{ ports: [{ port: '53', protocol: 'UDP' }], rules: { dns: [{ matchPattern: '*.example' }] } }],
            },
            { toFQDNs: [{ matchName: 'allowed.example' }], toPorts: [{ ports: [{ port: '8080', protocol: 'TCP' }] }] },
          ],
        },
      },
    ])
    await until('the policy holds', async () => (await ask(other)) === '')
    assert.equal(await ask('allowed.example'), 'the world')
    assert.equal(await ask('other.example'), '')
  })

  test('a name that no rule allows is refused, and says so', async () => {
    const { code, stderr } = await resolve('forbidden.test')
    assert.equal(code, 6, stderr)
    assert.match(stderr, /[Cc]ould not resolve host/)
  })

  test('the agent knows the address by its name', async () => {
    const list = await inAgent('node-1', ['cilium-dbg', 'fqdn', 'cache', 'list'])
    assert.match(list, new RegExp(`allowed\\.example\\.? .*${hostAddress.replaceAll('.', '\\.')}`))
  })

  test('an exchanged agent forgets no name, and the proxy answers meanwhile', async () => {
    await inMachine('node-1', ['pkill', '-9', '-f', 'build/agent.js'])
    assert.equal(await ask('allowed.example'), 'the world')
    await until('the agent is back', () => healthy('node-1'))
    assert.equal(await ask('allowed.example'), 'the world')
    assert.equal(await ask('other.example'), '')
  })
})
