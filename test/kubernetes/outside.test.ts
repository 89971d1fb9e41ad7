// SPDX-License-Identifier: Apache-2.0
/** What other machines get of nodes: ports that stand for pods and services, and what the host firewall leaves. */
import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { after, before, describe, test } from 'node:test'
import { ran } from '../ran.ts'
import { build } from './build.ts'
import { down, inMachine, up } from './cluster.ts'
import { kubectl, tryKubectl } from './kubectl.ts'
import { agentJson, inAgent } from './look.ts'
import { hostAddress, machine, prefix6 } from './places.ts'
import { hasEnvoy, install, ready } from './product.ts'
import { until } from './run.ts'
import { answers, apply, pod, podsReady } from './workloads.ts'

const hostPort = 7080
const nodePort = 30080
const datagrams = 8091
const datagramPort = 30091
const [near, far] = [machine(1), machine(2)]
const hostOf = (address: string): string => (address.includes(':') ? `[${address}]` : address)
const nodePortService = (externalTrafficPolicy: 'Cluster' | 'Local'): object => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name: 'server' },
  spec: {
    type: 'NodePort',
    externalTrafficPolicy,
    ipFamilyPolicy: 'RequireDualStack',
    selector: { app: 'server' },
    ports: [{ port: 80, targetPort: 8080, nodePort }],
  },
})

/** What this machine, which is no node, gets by HTTP; '' for nothing. */
async function outside(address: string, port: number, path = 'hostname'): Promise<string> {
  const r = await ran('curl', ['-gsm3', `http://${hostOf(address)}:${port}/${path}`])
  return r.code === 0 ? r.stdout.trim() : ''
}
const clientOf = async (address: string, port: number): Promise<string> =>
  (await outside(address, port, 'clientip')).replace(/:[0-9]+$/, '').replace(/[[\]]/g, '')
/** The same by a datagram. */
function datagramClient(address: string): Promise<string> {
  return new Promise((resolve) => {
    const socket = createSocket(address.includes(':') ? 'udp6' : 'udp4')
    const say = (text: string) => {
      clearTimeout(timer)
      socket.close()
      resolve(
        text
          .trim()
          .replace(/:[0-9]+$/, '')
          .replace(/[[\]]/g, ''),
      )
    }
    const timer = setTimeout(() => say(''), 1000)
    socket.on('error', () => say(''))
    socket.on('message', (answer) => say(answer.toString()))
    socket.connect(datagramPort, address, () => socket.send('clientip'))
  })
}
/** Whether anything answers on kubelet's port, to this machine. */
const kubeletAnswers = async (address: string): Promise<boolean> =>
  (await ran('curl', ['-gskm3', '-o', '/dev/null', `https://${hostOf(address)}:10250/`])).code === 0

before(async () => {
  await build()
  await up(2, () => {})
  await install(['hostFirewall.enabled=true'])
  await ready()
  const server = pod('server', 'node-1') as { spec: { containers: object[] } }
  const [main, ...others] = server.spec.containers
  const ports = [{ containerPort: 8080, hostPort }]
  await apply([
    { ...server, spec: { ...server.spec, containers: [{ ...main, ports }, ...others] } },
    pod('client', 'node-2'),
    nodePortService('Cluster'),
  ])
  await podsReady()
})
after(down)

describe('from beyond the wire', { concurrency: 1 }, () => {
  test('a host port answers to pods and programs of other nodes and to other machines', async () => {
    for (const address of [near.ipv4, near.ipv6]) {
      await answers('client', address, 'server', hostPort)
      const line = ['curl', '-gsm3', `http://${hostOf(address)}:${hostPort}/hostname`]
      await until('another node gets an answer', async () => (await inMachine('node-2', line)).trim() === 'server')
      await until('another machine gets an answer', async () => (await outside(address, hostPort)) === 'server')
      assert.equal(await clientOf(address, hostPort), address === near.ipv4 ? hostAddress : `${prefix6}:1`)
    }
    assert.equal(await outside(far.ipv4, hostPort), '')
  })

  test('a node port answers on every node, with externalTrafficPolicy Local only where a server is', async () => {
    for (const [here, there] of [
      [near.ipv4, far.ipv4],
      [near.ipv6, far.ipv6],
    ] as const) {
      for (const address of [here, there])
        await until(`${address} answers`, async () => (await outside(address, nodePort)) === 'server')
      assert.equal(await clientOf(there, nodePort), there, 'the node asks for the client')
      assert.equal(await clientOf(here, nodePort), here === near.ipv4 ? hostAddress : `${prefix6}:1`)
    }
    await apply([nodePortService('Local')])
    for (const address of [far.ipv4, far.ipv6])
      await until(`${address} does not answer`, async () => (await outside(address, nodePort)) === '')
    for (const address of [near.ipv4, near.ipv6]) assert.equal(await outside(address, nodePort), 'server')
    await answers('client', far.ipv4, 'server', nodePort)
  })

  test('a node port leads datagrams to a program of a node, which sees who asks there', async () => {
    const node = pod('datagrams', 'node-1') as { spec: { containers: object[] } }
    const args = ['netexec', '--http-port=8090', `--udp-port=${datagrams}`]
    const main = { ...node.spec.containers[0], args, readinessProbe: { httpGet: { path: '/healthz', port: 8090 } } }
    const ports = [{ port: 53, targetPort: datagrams, nodePort: datagramPort, protocol: 'UDP' }]
    await apply([
      { ...node, spec: { ...node.spec, hostNetwork: true, containers: [main] } },
      {
        ...{ apiVersion: 'v1', kind: 'Service', metadata: { name: 'datagrams' } },
        spec: { type: 'NodePort', ipFamilyPolicy: 'RequireDualStack', selector: { app: 'datagrams' }, ports },
      },
    ])
    await podsReady('datagrams')
    for (const [here, there, outsider] of [
      [near.ipv4, far.ipv4, hostAddress],
      [near.ipv6, far.ipv6, `${prefix6}:1`],
    ] as const) {
      for (const address of [here, there])
        await until(`${address} answers`, async () => (await datagramClient(address)) !== '')
      assert.equal(await datagramClient(here), outsider)
      assert.equal(await datagramClient(there), there, 'the node asks for the client')
    }
    await kubectl(['delete', 'pod,service', 'datagrams', '--now'])
  })

  test('rules for requests hold for what other machines ask, here and by another node', {
    skip: hasEnvoy() ? false : 'tools/envoy.sh finds no Envoy',
  }, async () => {
    await apply([
      nodePortService('Cluster'),
      {
        apiVersion: 'cilium.io/v2',
        kind: 'CiliumNetworkPolicy',
        metadata: { name: 'requests' },
        spec: {
          endpointSelector: { matchLabels: { app: 'server' } },
          ingress: [
            {
              fromEntities: ['world'],
              toPorts: [{ ports: [{ port: '8080', protocol: 'TCP' }], rules: { http: [{ path: '/hostname' }] } }],
            },
          ],
        },
      },
    ])
    for (const [address, port] of [
      [near.ipv4, nodePort],
      [near.ipv6, nodePort],
      [far.ipv4, nodePort],
      [far.ipv6, nodePort],
      [near.ipv4, hostPort],
      [near.ipv6, hostPort],
    ] as const) {
      await until('it is asked', async () => (await outside(address, port, 'clientip')).includes('Access denied'))
      await until('it passes', async () => (await outside(address, port)) === 'server')
    }
    await kubectl(['delete', 'cnp', 'requests'])
    await until('nobody asks any more', async () => (await clientOf(near.ipv4, nodePort)) === hostAddress)
  })

  test('a policy for a node closes its ports to other machines, and not to the cluster', async () => {
    for (const node of [near, far]) assert.equal(await kubeletAnswers(node.ipv4), true)
    await kubectl(['label', 'node', 'node-1', 'role=guarded'])
    await apply([
      {
        apiVersion: 'cilium.io/v2',
        kind: 'CiliumClusterwideNetworkPolicy',
        metadata: { name: 'guarded' },
        spec: {
          nodeSelector: { matchLabels: { role: 'guarded' } },
          ingress: [{ fromEntities: ['cluster'] }],
        },
      },
    ])
    for (const address of [near.ipv4, near.ipv6])
      await until(`${address} is closed`, async () => !(await kubeletAnswers(address)))
    assert.equal(await kubeletAnswers(far.ipv4), true, 'the other node is not selected')
    // The API server is part of the cluster: it still reaches kubelet, and kubelet it and its pods.
    assert.equal((await tryKubectl(['exec', 'server', '-c', 'main', '--', 'true'])).code, 0)
    await inMachine('node-2', ['curl', '-gskm3', '-o', '/dev/null', `https://${near.ipv4}:10250/`])
    await apply([pod('late', 'node-1')])
    await podsReady('late')
    await kubectl(['wait', '--for=condition=Ready', 'node', '--all', '--timeout=60s'])
    // Ports that stand for pods are the pods' own affair.
    assert.equal(await outside(near.ipv4, hostPort), 'server')
    const { cilium } = await agentJson<{ cilium: { state: string; msg: string } }>('node-1', ['status'])
    assert.equal(cilium.state, 'Ok', cilium.msg)
    assert.match(await inAgent('node-1', ['cilium-dbg', 'endpoint', 'list']), /reserved:host/)
    await kubectl(['delete', 'ccnp', 'guarded'])
    await until('it is open again', () => kubeletAnswers(near.ipv4))
  })
})
