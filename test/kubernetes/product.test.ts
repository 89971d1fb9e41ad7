// SPDX-License-Identifier: Apache-2.0
/** The product on a real Kubernetes: installed from its chart, used, disturbed, removed. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { build } from './build.ts'
import { down, inMachine, nodeNames, startApi, startNode, stopApi, stopNode, up } from './cluster.ts'
import { items, json, kubectl, tryKubectl } from './kubectl.ts'
import { hostAddress } from './places.ts'
import { helm, install, installDns, nativeValues, ready, uninstall, upgrade } from './product.ts'
import { until } from './run.ts'
import { answer, apply, pod, podInfo, service, startTraffic } from './workloads.ts'

const nodes = Number(process.env['NODES'] ?? 2)

before(async () => {
  await build()
  await up(nodes, () => {})
})
after(down)

interface AgentPod {
  readonly metadata: { readonly name: string }
  readonly spec: { readonly nodeName: string }
}
const agentOn = async (node: string): Promise<string> => {
  const agents = await items<AgentPod>(['-n', 'kube-system', 'get', 'pods', '-l', 'k8s-app=cilium'])
  const found = agents.find((a) => a.spec.nodeName === node)
  assert.ok(found, `an agent runs on ${node}`)
  return found.metadata.name
}
const inAgent = async (node: string, command: readonly string[]): Promise<string> =>
  kubectl(['-n', 'kube-system', 'exec', await agentOn(node), '-c', 'cilium-agent', '--', ...command])

/** What a node holds that grows with pods. */
async function held(node: string): Promise<Readonly<Record<string, number>>> {
  const count = async (map: string) =>
    (
      JSON.parse(
        await inAgent(node, ['bpftool', '-j', 'map', 'dump', 'pinned', `/sys/fs/bpf/tc/globals/${map}`]),
      ) as unknown[]
    ).length
  const links = await inMachine(node, ['ip', '-o', 'link'])
  const routes = await inMachine(node, ['ip', 'route'])
  const status = JSON.parse(await inAgent(node, ['cilium', 'status', '-o', 'json'])) as { ipam?: { ipv4?: string[] } }
  return {
    links: links.split('\n').filter((l) => /lxc/.test(l)).length,
    routes: routes.split('\n').filter((l) => /lxc/.test(l)).length,
    owners: await count('cilium_owners'),
    interfaces: await count('cilium_interfaces'),
    addresses: status.ipam?.ipv4?.length ?? 0,
    pins: (await inAgent(node, ['ls', '/sys/fs/bpf/cilium/links'])).split('\n').length,
  }
}

describe('on a cluster without kube-proxy', { concurrency: 1 }, () => {
  test('the chart refuses values that are not supported', async () => {
    await assert.rejects(install(['encryption.enabled=true']), /encryption/)
    await assert.rejects(install(['routingMod=native']), /routingMod/)
    await assert.rejects(install(['routingMod=native'], '4'), /routingMod/)
  })

  test('the chart installs and every node becomes ready', async () => {
    await install()
    await ready()
    await installDns()
    for (const node of nodeNames()) assert.match(await inAgent(node, ['cilium', 'status', '--brief']), /^OK/)
    const ds = await json<{
      spec: { template: { spec: { containers: { securityContext: { privileged: boolean } }[] } } }
    }>(['-n', 'kube-system', 'get', 'ds', 'cilium'])
    assert.equal(ds.spec.template.spec.containers[0]?.securityContext.privileged, false)
  })

  test('pods and services are made', async () => {
    await apply([
      pod('client', 'node-1', { role: 'client' }),
      pod('other', 'node-1', { role: 'other' }),
      pod('near', 'node-1', { role: 'server' }),
      pod('far', 'node-2', { role: 'server' }),
      service('near', 'near'),
      service('far', 'far'),
    ])
    await kubectl(['wait', '--for=condition=Ready', 'pod', '--all', '--timeout=60s'])
    for (const name of ['client', 'near', 'far']) assert.equal((await podInfo(name)).addresses.length, 2)
  })

  for (const mode of ['tunnel', 'native'] as const)
    describe(`in ${mode} mode`, { concurrency: 1 }, () => {
      before(async () => {
        if (mode === 'tunnel') return
        await upgrade([...nativeValues, 'rollOutCiliumPods=true'])
        await ready()
      })

      test('pods reach pods of their node and of others in both families', async () => {
        for (const name of ['near', 'far'])
          for (const address of (await podInfo(name)).addresses) assert.equal(await answer('client', address), name)
        for (const address of (await podInfo('client')).addresses) assert.equal(await answer('far', address), 'client')
      })

      test('the node reaches its pods and pods reach the world', async () => {
        for (const address of (await podInfo('near')).addresses) {
          const host = address.includes(':') ? `[${address}]` : address
          assert.equal(await inMachine('node-1', ['curl', '-gsm3', `http://${host}:8080/hostname`]), 'near')
        }
        await kubectl(['exec', 'client', '-c', 'main', '--', 'ping', '-c1', '-W2', hostAddress])
      })

      test('services answer under their names and addresses', async () => {
        for (const name of ['near', 'far']) {
          const { spec } = await json<{ spec: { clusterIPs: string[] } }>(['get', 'service', name])
          for (const address of spec.clusterIPs) assert.equal(await answer('client', address, 80), name)
          assert.equal(await answer('client', `${name}.default.svc.cluster.local`, 80), name)
        }
      })

      test('a pod reaches itself through its own service', async () => {
        const { spec } = await json<{ spec: { clusterIPs: string[] } }>(['get', 'service', 'near'])
        for (const address of spec.clusterIPs) assert.equal(await answer('near', address, 80), 'near')
      })

      const from = (kind: string, selector: string, rule: object): object => ({
        apiVersion: kind === 'NetworkPolicy' ? 'networking.k8s.io/v1' : 'cilium.io/v2',
        kind,
        metadata: { name: 'server' },
        spec: { [selector]: { matchLabels: { role: 'server' } }, ingress: [rule] },
      })
      for (const policy of [
        from('NetworkPolicy', 'podSelector', { from: [{ podSelector: { matchLabels: { role: 'client' } } }] }),
        from('CiliumNetworkPolicy', 'endpointSelector', { fromEndpoints: [{ matchLabels: { role: 'client' } }] }),
      ]) {
        const kind = (policy as { kind: string }).kind
        test(`a ${kind} lets in whom it names, and nobody else, until it is deleted`, async () => {
          await apply([policy])
          for (const name of ['near', 'far'])
            for (const address of (await podInfo(name)).addresses) {
              await until(
                `other is denied at ${name}`,
                async () => (await answer('other', address, 8080, 1)) === '',
                15,
              )
              assert.equal(await answer('client', address), name)
            }
          await kubectl(['delete', kind, 'server'])
          for (const name of ['near', 'far'])
            for (const address of (await podInfo(name)).addresses)
              await until(`other is let in at ${name}`, async () => (await answer('other', address)) === name, 15)
        })
      }
    })

  test('agents killed and restarted lose no connection', async () => {
    const far = (await podInfo('far')).addresses[0] as string
    const traffic = await startTraffic('client', far)
    for (const node of ['node-1', 'node-2']) {
      await inMachine(node, ['pkill', '-9', '-f', 'build/agent.js'])
      await sleep(500)
    }
    await until('agents are ready', async () => {
      const answers = await Promise.all(['node-1', 'node-2'].map((n) => tryHealth(n)))
      return answers.every((a) => a)
    })
    await ready()
    const { made, failed, unanswered } = await traffic.finish()
    assert.ok(made > 20)
    assert.deepEqual({ failed, unanswered }, { failed: 0, unanswered: 0 })
  })

  test('helm upgrade and rollback restart the agents and lose no connection', async () => {
    const { spec } = await json<{ spec: { clusterIPs: string[] } }>(['get', 'service', 'far'])
    const traffic = await startTraffic('client', spec.clusterIPs[0] as string, 80)
    await upgrade([...nativeValues, 'rollOutCiliumPods=true', 'debug.enabled=true'], '4')
    await ready()
    await helm(['rollback', 'cilium', '--namespace', 'kube-system'])
    await ready()
    const { made, failed, unanswered } = await traffic.finish()
    assert.ok(made > 20)
    assert.deepEqual({ failed, unanswered }, { failed: 0, unanswered: 0 })
  })

  test('traffic goes on while the API server is away, and agents follow it again after', async () => {
    const far = (await podInfo('far')).addresses[0] as string
    const traffic = await startTraffic('client', far)
    await stopApi()
    await sleep(30_000)
    for (const node of nodeNames()) assert.equal(await tryHealth(node), true)
    await startApi()
    const { failed, unanswered } = await traffic.finish()
    assert.deepEqual({ failed, unanswered }, { failed: 0, unanswered: 0 })
    await apply([pod('late', 'node-2')])
    await kubectl(['wait', '--for=condition=Ready', 'pod/late', '--timeout=60s'])
    await until(
      'the new pod answers',
      async () => (await answer('client', (await podInfo('late')).addresses[0] as string)) === 'late',
    )
    await kubectl(['delete', 'pod', 'late'])
  })

  test('a burst of pods, created and deleted, leaves nothing behind', async () => {
    const pods = (await items(['get', 'pods', '-A', '--field-selector=metadata.namespace!=kube-system'])).length + 1
    await until('earlier pods are gone', async () => {
      const now = await Promise.all(nodeNames().map(held))
      return now.reduce((sum, h) => sum + (h['links'] ?? 0), 0) === pods
    })
    const before = await Promise.all(nodeNames().map(held))
    const count = 60
    await apply([
      {
        apiVersion: 'apps/v1',
        kind: 'Deployment',
        metadata: { name: 'burst' },
        spec: {
          replicas: count,
          selector: { matchLabels: { app: 'burst' } },
          template: {
            metadata: { labels: { app: 'burst' } },
            spec: {
              terminationGracePeriodSeconds: 0,
              containers: [{ name: 'main', image: 'registry.k8s.io/pause:3.10.1' }],
            },
          },
        },
      },
    ])
    await kubectl(['rollout', 'status', 'deployment/burst', '--timeout=180s'])
    const during = await Promise.all(nodeNames().map(held))
    assert.equal(
      during.reduce((sum, h) => sum + (h['links'] ?? 0), 0),
      before.reduce((sum, h) => sum + (h['links'] ?? 0), 0) + count,
    )
    await kubectl(['delete', 'deployment', 'burst', '--cascade=foreground', '--timeout=120s'])
    await until('pods are gone', async () => (await items(['get', 'pods', '-l', 'app=burst'])).length === 0)
    await until('endpoints are gone', async () => (await items(['get', 'ciliumendpoints', '-A'])).length <= 6)
    await until(
      'nodes hold what they held before',
      async () => {
        const now = await Promise.all(nodeNames().map(held))
        return JSON.stringify(now) === JSON.stringify(before) || JSON.stringify({ before, now })
      },
      30,
    )
  })

  test('a node that is drained, cut off, deleted and back again serves pods', async () => {
    await kubectl(['drain', 'node-2', '--ignore-daemonsets', '--delete-emptydir-data', '--force', '--timeout=60s'])
    await stopNode('node-2')
    await kubectl(['delete', 'node', 'node-2'])
    await startNode(2)
    await until('the node is back', async () => (await tryKubectl(['get', 'node', 'node-2'])).code === 0)
    await ready(120)
    await apply([pod('far', 'node-2', { role: 'server' })])
    await kubectl(['wait', '--for=condition=Ready', 'pod/far', '--timeout=60s'])
    for (const address of (await podInfo('far')).addresses)
      await until('the new pod answers', async () => (await answer('client', address)) === 'far')
  })

  test('uninstalling leaves running pods alone and nothing new to start without a network', async () => {
    const near = (await podInfo('near')).addresses[0] as string
    await upgrade([...nativeValues, 'rollOutCiliumPods=true', 'cni.uninstall=true'])
    await ready()
    await uninstall()
    assert.equal((await tryKubectl(['-n', 'kube-system', 'get', 'ds', 'cilium'])).code, 1)
    assert.equal((await tryKubectl(['get', 'clusterrole', 'cilium'])).code, 1)
    // Helm does not wait for the agents themselves, and it is they who tidy up when they end.
    for (const node of nodeNames())
      await until(
        `${node} has no configuration of ours`,
        async () => (await inMachine(node, ['ls', '/etc/cni/net.d'])).trim() === '',
      )
    assert.equal(await answer('client', near), 'near')
  })
})

async function tryHealth(node: string): Promise<boolean> {
  try {
    return (await inMachine(node, ['curl', '-sfm2', 'http://127.0.0.1:9879/healthz'])).trim() === 'OK'
  } catch {
    return false
  }
}
