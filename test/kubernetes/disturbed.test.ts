// SPDX-License-Identifier: Apache-2.0
/** What happens to clusters: agents and operators die, are upgraded, the API server is away, pods and nodes come and go. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { build, pauseImage } from './build.ts'
import { down, inMachine, nodeNames, startApi, startNode, stopApi, stopNode, up } from './cluster.ts'
import { items, json, kubectl, tryKubectl } from './kubectl.ts'
import { agentJson, healthy, held, heldAgain, settled } from './look.ts'
import { helm, install, installDns, ready, upgrade } from './product.ts'
import { until } from './run.ts'
import { answer, answers, apply, pod, podInfo, podsReady, service, startTraffic } from './workloads.ts'

/** Short enough to see an identity go that nobody uses any more. */
const values = ['operator.identityGCInterval=5s', 'operator.identityHeartbeatTimeout=15s']

before(async () => {
  await build()
  await up(2, () => {})
  await install(values)
  await ready()
  await installDns()
  await apply([
    pod('client', 'node-1', { role: 'client' }),
    pod('other', 'node-1', { role: 'other' }),
    pod('far', 'node-2', { role: 'server' }),
    service('far', 'far'),
  ])
  await podsReady()
})
after(down)

const lossless = { failed: 0, unanswered: 0 } as const
const onlyClient = {
  apiVersion: 'cilium.io/v2',
  kind: 'CiliumNetworkPolicy',
  metadata: { name: 'server' },
  spec: {
    endpointSelector: { matchLabels: { role: 'server' } },
    ingress: [{ fromEndpoints: [{ matchLabels: { role: 'client' } }] }],
  },
} as const
const farAddress = async (): Promise<string> => (await podInfo('far')).addresses[0] as string

describe('a cluster that is disturbed', { concurrency: 1 }, () => {
  test('agents and operator killed lose no connection', async () => {
    const traffic = await startTraffic('client', await farAddress())
    for (const node of nodeNames()) {
      await inMachine(node, ['pkill', '-9', '-f', 'build/agent.js'])
      await tryKillOperator(node)
      await sleep(500)
    }
    await until('agents are healthy', async () =>
      (await Promise.all(nodeNames().map((n) => healthy(n)))).every((a) => a),
    )
    await ready()
    const { made, failed, unanswered } = await traffic.finish()
    assert.ok(made > 20)
    assert.deepEqual({ failed, unanswered }, lossless)
  })

  test('helm upgrade and rollback restart agents and operator and lose no connection', async () => {
    const { spec } = await json<{ spec: { clusterIPs: string[] } }>(['get', 'service', 'far'])
    const traffic = await startTraffic('client', spec.clusterIPs[0] as string, 80)
    await upgrade([...values, 'rollOutCiliumPods=true', 'operator.rollOutPods=true', 'debug.enabled=true'], '4')
    await ready()
    await helm(['rollback', 'cilium', '--namespace', 'kube-system'])
    await ready()
    const { made, failed, unanswered } = await traffic.finish()
    assert.ok(made > 20)
    assert.deepEqual({ failed, unanswered }, lossless)
  })

  test('traffic goes on and policy holds while the API server is away for a minute, and agents follow it after', async () => {
    await apply([onlyClient])
    const far = await farAddress()
    await until('other is denied', async () => (await answer('other', far, 8080, 1)) === '')
    const traffic = await startTraffic('client', far)
    const forbidden = await startTraffic('other', far)
    await stopApi()
    await sleep(30_000)
    // A restart in the middle has nobody to ask: it goes on with what the kernel and the disk hold.
    await inMachine('node-2', ['pkill', '-9', '-f', 'build/agent.js'])
    await sleep(30_000)
    for (const node of nodeNames()) await until(`the agent of ${node} is healthy`, () => healthy(node))
    await startApi()
    const { failed, unanswered } = await traffic.finish()
    assert.deepEqual({ failed, unanswered }, lossless)
    const { made, failed: refused } = await forbidden.finish()
    assert.equal(refused, made)
    await kubectl(['delete', 'cnp', 'server'])
    await answers('other', far, 'far')
    await until('agents see all objects', async () => {
      const states = await Promise.all(
        nodeNames().map((n) => agentJson<{ kubernetes: { state: string; msg: string } }>(n, ['status'])),
      )
      return states.every((s) => s.kubernetes.state === 'Ok') || states.map((s) => s.kubernetes.msg).join('; ')
    })
    // Kubernetes' scheduler waits longer than we do: the node is named, so that only kubelet and agent have a part.
    await apply([{ ...pod('late', ''), spec: { ...(pod('late', '') as { spec: object }).spec, nodeName: 'node-2' } }])
    await podsReady('late')
    const late = (await podInfo('late')).addresses[0] as string
    await answers('client', late, 'late')
    await kubectl(['delete', 'pod', 'late'])
  })

  test('a burst of pods, created and deleted, leaves nothing behind', async () => {
    const pods = (await items(['get', 'pods', '-A', '--field-selector=metadata.namespace!=kube-system'])).length + 1
    const links = (all: readonly Readonly<Record<string, number>>[]) => all.reduce((n, h) => n + (h['links'] ?? 0), 0)
    await until('earlier pods are gone', async () => links(await Promise.all(nodeNames().map(held))) === pods)
    const earlier = await settled()
    const count = 100
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
            spec: { terminationGracePeriodSeconds: 0, containers: [{ name: 'main', image: pauseImage }] },
          },
        },
      },
      {
        ...onlyClient,
        metadata: { name: 'burst' },
        spec: { ...onlyClient.spec, endpointSelector: { matchLabels: { app: 'burst' } } },
      },
    ])
    await kubectl(['rollout', 'status', 'deployment/burst', '--timeout=300s'])
    const during = await Promise.all(nodeNames().map(held))
    assert.equal(links(during), links(earlier) + count)
    assert.equal(await identitiesOf('burst'), 1)
    await kubectl(['delete', 'cnp', 'burst'])
    await kubectl(['delete', 'deployment', 'burst', '--cascade=foreground', '--timeout=300s'])
    await until('pods are gone', async () => (await items(['get', 'pods', '-l', 'app=burst'])).length === 0)
    await until('endpoints are gone', async () => (await items(['get', 'ciliumendpoints', '-A'])).length === pods)
    await heldAgain(nodeNames(), earlier)
    await until('the identity is gone', async () => (await identitiesOf('burst')) === 0)
  })

  test('a node that is drained, cut off, deleted and back again serves pods', async () => {
    await kubectl(['drain', 'node-2', '--ignore-daemonsets', '--delete-emptydir-data', '--force', '--timeout=300s'])
    await stopNode('node-2')
    await kubectl(['delete', 'node', 'node-2'])
    await startNode(2)
    await until('the node is back', async () => (await tryKubectl(['get', 'node', 'node-2'])).code === 0)
    await ready()
    await apply([pod('far', 'node-2', { role: 'server' })])
    await podsReady('far')
    for (const address of (await podInfo('far')).addresses) await answers('client', address, 'far')
  })
})

interface IdentityObject {
  readonly 'security-labels': Readonly<Record<string, string>>
}
/** Identities of pods with a label `app`. */
const identitiesOf = async (app: string): Promise<number> =>
  (await items<IdentityObject>(['get', 'ciliumidentities'])).filter((i) => i['security-labels']['k8s:app'] === app)
    .length

/** There is one operator, on whichever node. */
async function tryKillOperator(node: string): Promise<void> {
  await inMachine(node, ['sh', '-c', 'pkill -9 -f [b]uild/operator.js || true'])
}
