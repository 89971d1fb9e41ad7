// SPDX-License-Identifier: Apache-2.0
/** The life of nodes: when pods may start on them, what came before the agent, reboots, probes, agents that start together. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { build, buildReference } from './build.ts'
import { audited, down, inMachine, nodeNames, startNode, stopNode, up } from './cluster.ts'
import { items, kubectl, tryKubectl } from './kubectl.ts'
import { agentJson, agentOn, healthy, heldAgain, inAgent, nodeObject, settled } from './look.ts'
import { install, ready, upgrade } from './product.ts'
import { until } from './run.ts'
import { answer, answers, apply, pod, podInfo, podsReady } from './workloads.ts'

const taint = 'node.cilium.io/agent-not-ready'
const conf = '/etc/cni/net.d/05-cilium.conflist'
const confs = async (node: string): Promise<string> =>
  (await inMachine(node, ['ls', '/etc/cni/net.d'])).trim().split('\n').join(' ')

/** Another plugin on a node, as if the cluster had used it until now. */
async function installOther(node: string): Promise<void> {
  const plugins = buildReference()
  const other = {
    cniVersion: '0.3.1',
    name: 'other',
    plugins: [
      { type: 'bridge', bridge: 'other0', isGateway: true, ipam: { type: 'host-local', subnet: '10.99.0.0/24' } },
    ],
  }
  await inMachine(
    node,
    [
      'sh',
      '-c',
      `mkdir -p /opt/cni/bin /etc/cni/net.d && cp ${plugins}/* /opt/cni/bin/ && cat >/etc/cni/net.d/10-other.conflist`,
    ],
    JSON.stringify(other),
  )
}

before(async () => {
  await build()
  await up(2, () => {})
})
after(down)

describe('nodes', { concurrency: 1 }, () => {
  test('before an agent is ready there is no CNI configuration of ours, the taint stays, and nothing is taken away', async () => {
    await installOther('node-1')
    await until('node-1 is ready with the other plugin', async () =>
      (await nodeObject('node-1')).status.conditions.some((c) => c.type === 'Ready' && c.status === 'True'),
    )
    await apply([pod('old', 'node-1')])
    await podsReady('old')
    await kubectl(['taint', 'node', 'node-2', `${taint}=true:NoSchedule`])
    // Nobody gives prefixes to nodes: agents run and can not become ready.
    await install(['operator.enabled=false'])
    await until('agents answer that they are not ready', async () => {
      const all = nodeNames().map((n) => agentJson<{ cilium: { state: string } }>(n, ['status']))
      return (await Promise.all(all)).every((s) => s.cilium.state === 'Failure')
    })
    for (const node of nodeNames()) await until(`there is no reason to kill the agent of ${node}`, () => healthy(node))
    assert.equal(await confs('node-1'), '10-other.conflist')
    assert.equal((await inMachine('node-2', ['sh', '-c', 'ls /etc/cni/net.d 2>/dev/null || true'])).trim(), '')
    assert.ok((await nodeObject('node-2')).spec.taints?.some((t) => t.key === taint))
  })

  test('a ready agent writes it, puts others aside, and the operator opens the node', async () => {
    await upgrade()
    await ready()
    for (const node of nodeNames()) {
      await until(`${conf} is on ${node}`, async () => (await inMachine(node, ['cat', conf])).includes('cilium-cni'))
      await until(`${node} is open`, async () => {
        const { spec, status } = await nodeObject(node)
        const network = status.conditions.find((c) => c.type === 'NetworkUnavailable')
        return (
          !spec.taints?.some((t) => t.key === taint) && network?.status === 'False' && network.reason === 'CiliumIsUp'
        )
      })
    }
    assert.equal(await confs('node-1'), '05-cilium.conflist 10-other.conflist.cilium_bak')
  })

  test('pods that another plugin made are named as unmanaged, new ones are managed', async () => {
    await apply([pod('new', 'node-1'), pod('client', 'node-2', { role: 'client' })])
    await podsReady()
    const unmanaged = async (): Promise<readonly string[]> =>
      (await agentJson<{ 'unmanaged-pods': { pod: string }[] }>('node-1', ['status']))['unmanaged-pods'].map(
        (p) => p.pod,
      )
    const agent = `kube-system/${await agentOn('node-1')}`
    let names: readonly string[] = []
    await until('they are named', async () => {
      names = await unmanaged()
      return (names.includes('default/old') && names.includes(agent)) || names.join(' ')
    })
    assert.ok(!names.includes('default/new'))
    assert.match(await inAgent('node-1', ['cilium-dbg', 'status']), /Unmanaged pods: +default\/old \(started before/)
    await kubectl(['delete', 'pod', 'old'])
  })

  test("kubelet's probes pass whatever policy says, and nobody else does", async () => {
    await apply([
      {
        apiVersion: 'cilium.io/v2',
        kind: 'CiliumNetworkPolicy',
        metadata: { name: 'closed' },
        spec: { endpointSelector: { matchLabels: { role: 'closed' } }, ingress: [{}] },
      },
      pod('closed', 'node-1', { role: 'closed' }),
    ])
    await podsReady('closed')
    for (const address of (await podInfo('closed')).addresses)
      for (const from of ['client', 'new'])
        await until(`${from} is denied`, async () => (await answer(from, address, 8080, 1)) === '')
    await kubectl(['delete', 'cnp', 'closed'])
  })

  test('a node that is rebooted starts its pods again, and holds nothing of the time before', async () => {
    const boots = ['client', 'second']
    await apply([pod('second', 'node-2')])
    await podsReady('second')
    const earlier = await settled(['node-2'])
    const sandboxes = async (): Promise<string> =>
      kubectl(['get', 'pod', ...boots, '-o', 'jsonpath={.items[*].status.containerStatuses[*].containerID}'])
    const ids = (await sandboxes()).split(' ')
    await stopNode('node-2', false)
    await startNode(2)
    await until('its pods were started anew', async () => {
      const now = (await sandboxes()).split(' ')
      return now.length === ids.length && now.every((id) => id !== '' && !ids.includes(id))
    })
    await ready()
    await podsReady(...boots)
    for (const name of boots) for (const address of (await podInfo(name)).addresses) await answers('new', address, name)
    await heldAgain(['node-2'], earlier)
  })

  test('agents that start together list every kind out of the cache of the API server, once', async () => {
    const since = new Date().toISOString()
    const old = (
      await items<{ metadata: { name: string } }>(['-n', 'kube-system', 'get', 'pods', '-l', 'k8s-app=cilium'])
    ).map((p) => p.metadata.name)
    await kubectl(['-n', 'kube-system', 'delete', 'pod', '-l', 'k8s-app=cilium'])
    await until(
      'agents are new',
      async () => (await tryKubectl(['-n', 'kube-system', 'get', 'pod', ...old])).code !== 0,
    )
    await ready()
    const podName = 'authentication.kubernetes.io/pod-name'
    let asked: ReturnType<typeof audited> = []
    const lists = new Map<string, string[]>()
    await until('both have listed every kind', () => {
      asked = audited().filter(
        (e) =>
          e.requestReceivedTimestamp > since &&
          /:cilium$/.test(e.user.username) &&
          !old.includes(e.user.extra?.[podName]?.[0] ?? ''),
      )
      lists.clear()
      for (const e of asked.filter((a) => a.verb === 'list')) {
        const key = `${e.user.extra?.[podName]?.[0]} ${e.objectRef?.apiGroup ?? ''}/${e.objectRef?.resource}`
        lists.set(key, [...(lists.get(key) ?? []), e.requestURI])
      }
      return lists.size >= 2 * 10 || `lists: ${[...lists.keys()].join(', ')}`
    })
    for (const [who, uris] of lists) {
      assert.equal(uris.length, 1, `${who}: ${uris.join(' ')}`)
      for (const uri of uris) assert.match(uri, /resourceVersion=0/)
    }
    assert.deepEqual(
      asked.filter((a) => a.responseStatus?.code === 429),
      [],
    )
  })
})
