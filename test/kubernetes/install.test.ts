// SPDX-License-Identifier: Apache-2.0
/** The product on a real Kubernetes of three nodes: installed from its chart, used in both modes, removed. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { build } from './build.ts'
import { down, inMachine, nodeNames, up } from './cluster.ts'
import { json, kubectl, tryKubectl } from './kubectl.ts'
import { agentsGone, inAgent, left } from './look.ts'
import { hostAddress } from './places.ts'
import { agentImage, install, installDns, nativeValues, ready, uninstall, upgrade } from './product.ts'
import { until } from './run.ts'
import { answer, answers, apply, pod, podInfo, podsReady, service } from './workloads.ts'

let found: readonly Awaited<ReturnType<typeof left>>[]
before(async () => {
  await build()
  await up(3, () => {})
  found = await Promise.all(nodeNames().map(left))
})
after(down)

describe('a cluster without kube-proxy', { concurrency: 1 }, () => {
  test('the chart refuses values that are not supported', async () => {
    await assert.rejects(install(['encryption.enabled=true']), /encryption/)
    await assert.rejects(install(['routingMod=native']), /routingMod/)
    await assert.rejects(install(['routingMod=native'], '4'), /routingMod/)
  })

  test('the chart installs and every node becomes ready', async () => {
    await install()
    await ready()
    await installDns()
    for (const node of nodeNames())
      await until(`the agent of ${node} is well`, async () => {
        const said = await inAgent(node, ['cilium', 'status', '--brief'])
        return said.startsWith('OK') || said
      })
    const ds = await json<{
      spec: { template: { spec: { containers: { securityContext: { privileged: boolean } }[] } } }
    }>(['-n', 'kube-system', 'get', 'ds', 'cilium'])
    assert.equal(ds.spec.template.spec.containers[0]?.securityContext.privileged, false)
    // Its own /sys is read-only, and without the switch each pod waits two grace periods of the kernel.
    await inAgent('node-1', ['sh', '-c', ': >>/host/sys/kernel/rcu_expedited'])
  })

  test('pods and services are made', async () => {
    await apply([
      pod('client', 'node-1', { role: 'client' }),
      pod('other', 'node-1', { role: 'other' }),
      pod('near', 'node-1', { role: 'server' }),
      pod('far', 'node-2', { role: 'server' }),
      pod('third', 'node-3', { role: 'server' }),
      service('near', 'near'),
      service('far', 'far'),
    ])
    await podsReady()
    for (const name of ['client', 'near', 'far', 'third']) assert.equal((await podInfo(name)).addresses.length, 2)
  })

  for (const mode of ['tunnel', 'native'] as const)
    describe(`in ${mode} mode`, { concurrency: 1 }, () => {
      before(async () => {
        if (mode === 'tunnel') return
        await upgrade([...nativeValues, 'rollOutCiliumPods=true'])
        await ready()
      })

      test('pods reach pods of their node and of others in both families', async () => {
        for (const name of ['near', 'far', 'third'])
          for (const address of (await podInfo(name)).addresses) await answers('client', address, name)
        for (const address of (await podInfo('client')).addresses) await answers('far', address, 'client')
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
          for (const address of spec.clusterIPs) await answers('client', address, name, 80)
          await answers('client', `${name}.default.svc.cluster.local`, name, 80)
        }
      })

      test('a pod reaches itself through its own service', async () => {
        const { spec } = await json<{ spec: { clusterIPs: string[] } }>(['get', 'service', 'near'])
        for (const address of spec.clusterIPs) await answers('near', address, 'near', 80)
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
              await until(`other is denied at ${name}`, async () => (await answer('other', address, 8080, 1)) === '')
              assert.equal(await answer('client', address), name)
            }
          await kubectl(['delete', kind, 'server'])
          for (const name of ['near', 'far'])
            for (const address of (await podInfo(name)).addresses) await answers('other', address, name)
        })
      }
    })

  test('uninstalling leaves running pods alone and nothing new to start without a network', async () => {
    const near = (await podInfo('near')).addresses[0] as string
    await upgrade([...nativeValues, 'rollOutCiliumPods=true', 'cni.uninstall=true'])
    await ready()
    await uninstall()
    assert.equal((await tryKubectl(['-n', 'kube-system', 'get', 'ds', 'cilium'])).code, 1)
    assert.equal((await tryKubectl(['get', 'clusterrole', 'cilium'])).code, 1)
    await agentsGone()
    for (const node of nodeNames()) assert.equal((await left(node))['configuration'], '')
    assert.equal(await answer('client', near), 'near')
  })

  test('cilium-dbg post-uninstall-cleanup leaves the nodes as they were found', async () => {
    await kubectl(['delete', 'pod', '--all', '--grace-period=0', '--force'])
    await apply(
      nodeNames().map((node) => ({
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: `cleanup-${node}` },
        spec: {
          nodeName: node,
          hostNetwork: true,
          restartPolicy: 'Never',
          containers: [
            {
              name: 'cleanup',
              image: agentImage,
              imagePullPolicy: 'Never',
              command: ['cilium-dbg', 'post-uninstall-cleanup', '--force', '--root=/host'],
              securityContext: { privileged: true },
              volumeMounts: [{ name: 'host', mountPath: '/host' }],
            },
          ],
          volumes: [{ name: 'host', hostPath: { path: '/' } }],
        },
      })),
    )
    for (const node of nodeNames())
      await until(`cleanup of ${node}`, async () => {
        const { status } = await json<{ status: { phase: string } }>(['get', 'pod', `cleanup-${node}`])
        return status.phase === 'Succeeded' || kubectl(['logs', `cleanup-${node}`])
      })
    const now = await Promise.all(nodeNames().map(left))
    // Kubernetes' own loopback plugin is there now because nobody else had brought one.
    assert.deepEqual(
      now.map((n) => ({ ...n, plugin: '' })),
      found.map((n) => ({ ...n, plugin: '' })),
    )
    for (const n of now) assert.equal(n['plugin'], 'loopback')
  })
})
