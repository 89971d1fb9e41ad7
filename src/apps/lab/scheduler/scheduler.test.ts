// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { nodeObject, testCluster } from '../controllers/fixture.ts'
import type { Pod } from '../controllers/objects.ts'
import { quantity } from './quantity.ts'
import { scheduler } from './scheduler.ts'

const start = (...nodes: ReturnType<typeof nodeObject>[]) => {
  const c = testCluster((s) => [scheduler(s)], { place: () => undefined })
  for (const node of nodes) c.store.create('nodes', node)
  return c
}

const pod = (name: string, spec: object = {}, labels: Record<string, string> = {}) => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'default', labels },
  spec: { containers: [{ name: 'c', image: 'i' }], ...spec },
})

/** Creates the pods one after the other and says where each went, or why nowhere. */
const placed = async (c: ReturnType<typeof start>, ...pods: ReturnType<typeof pod>[]) => {
  for (const p of pods) {
    c.store.create('pods', p)
    await c.idle()
  }
  return pods.map((p) => {
    const { spec, status } = c.store.get<Pod>('pods', 'default', p.metadata.name)
    return (
      spec.nodeName ?? status?.conditions?.find((x) => x.type === 'PodScheduled')?.message?.replace(/ preemption.*/, '')
    )
  })
}

test('pods spread over the nodes by count', async () => {
  const c = start(nodeObject('a'), nodeObject('b'), nodeObject('c'))
  assert.deepEqual((await placed(c, pod('1'), pod('2'), pod('3'), pod('4'))).sort(), ['a', 'a', 'b', 'c'])
  c.close()
})

test('node selector, node affinity and taints decide; the event counts the reasons', async () => {
  const c = start(
    nodeObject('a', {}, { disk: 'ssd' }),
    nodeObject('b', { taints: [{ key: 'k', value: 'v', effect: 'NoSchedule' }] }),
  )
  const affinity = (operator: string, values: string[]) => ({
    affinity: {
      nodeAffinity: {
        requiredDuringSchedulingIgnoredDuringExecution: {
          nodeSelectorTerms: [{ matchExpressions: [{ key: 'disk', operator, values }] }],
        },
      },
    },
  })
  assert.deepEqual(
    await placed(
      c,
      pod('1', { nodeSelector: { disk: 'ssd' } }),
      pod('2', { nodeSelector: { disk: 'hdd' } }),
      pod('3', { ...affinity('NotIn', ['ssd']), tolerations: [{ key: 'k', operator: 'Exists' }] }),
      pod('4', affinity('In', ['tape'])),
    ),
    [
      'a',
      "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.",
      'b',
      "0/2 nodes are available: 2 node(s) didn't match Pod's node affinity/selector.",
    ],
  )
  const events = c.store.list('events').map((e) => `${e['reason']} ${e['message']}`)
  assert.ok(events.includes('Scheduled Successfully assigned default/1 to a'))
  assert.ok(events.some((e) => e.startsWith('FailedScheduling 0/2')))
  c.close()
})

test('a pod refused for a taint is placed once the taint is gone', async () => {
  const c = start(nodeObject('a', { taints: [{ key: 'node.kubernetes.io/not-ready', effect: 'NoSchedule' }] }))
  assert.deepEqual(await placed(c, pod('1')), [
    '0/1 nodes are available: 1 node(s) had untolerated taint {node.kubernetes.io/not-ready: }.',
  ])
  c.store.modify('nodes', '', 'a', (n) => ({ ...n, spec: {} }))
  await c.idle()
  assert.equal(c.store.get<Pod>('pods', 'default', '1').spec.nodeName, 'a')
  c.close()
})

test('affinity and anti-affinity between pods hold in both directions', async () => {
  const c = start(nodeObject('a'), nodeObject('b'), nodeObject('c'))
  const term = { labelSelector: { matchLabels: { app: 'x' } }, topologyKey: 'kubernetes.io/hostname' }
  const apart = { affinity: { podAntiAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } } }
  const near = { affinity: { podAffinity: { requiredDuringSchedulingIgnoredDuringExecution: [term] } } }
  const [first, second, third] = await placed(
    c,
    pod('1', {}, { app: 'x' }),
    pod('2', apart, { app: 'y' }),
    pod('3', near),
  )
  assert.notEqual(first, second)
  assert.equal(first, third)
  assert.deepEqual((await placed(c, pod('4', apart, { app: 'x' })))[0]?.startsWith('0/3'), false)
  assert.match(
    (await placed(c, pod('5', apart, { app: 'x' })))[0] ?? '',
    /1 node\(s\) didn't satisfy existing pods anti-affinity|didn't match pod anti-affinity rules/,
  )
  c.close()
})

test('host ports clash on a node, and requests fill it up', async () => {
  const c = start(nodeObject('a'))
  const port = { containers: [{ name: 'c', ports: [{ containerPort: 80, hostPort: 8080 }] }] }
  const cpu = (n: string) => ({ containers: [{ name: 'c', resources: { requests: { cpu: n } } }] })
  assert.deepEqual(await placed(c, pod('1', port), pod('2', port), pod('3', cpu('3500m')), pod('4', cpu('1'))), [
    'a',
    "0/1 nodes are available: 1 node(s) didn't have free ports for the requested pod ports.",
    'a',
    '0/1 nodes are available: 1 Insufficient cpu.',
  ])
  c.close()
})

test('quantities read as Kubernetes writes them', () => {
  assert.deepEqual(['250m', '1Gi', '2k', '1e3', '7', 'x'].map(quantity), [0.25, 2 ** 30, 2000, 1000, 7, 0])
})
