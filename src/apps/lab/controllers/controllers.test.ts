// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { scheduler } from '../scheduler/scheduler.ts'
import { accountsController } from './accounts.ts'
import { nextTime } from './cron.ts'
import { daemonSetController } from './daemonset.ts'
import { endpointsController } from './endpoints.ts'
import { nodeObject, testCluster } from './fixture.ts'
import { garbageController } from './garbage.ts'
import { jobController } from './job.ts'
import { namespaceController } from './namespaces.ts'
import { nodeController } from './nodes.ts'
import type { DaemonSet, EndpointSlice, Endpoints, Job, Node, Pod, Service, StatefulSet } from './objects.ts'
import { podCidrController } from './podcidrs.ts'
import { statefulSetController } from './statefulset.ts'

const template = (image: string, more: object = {}) => ({
  metadata: { labels: { app: 'a' } },
  spec: { containers: [{ name: 'c', image, ports: [{ name: 'web', containerPort: 8080 }] }], ...more },
})
const selector = { matchLabels: { app: 'a' } }
const never = { place: () => undefined }

test('a daemon set runs once on each node that it tolerates and follows nodes as they come and go', async () => {
  const c = testCluster((s) => [daemonSetController(s), scheduler(s), nodeController(s)], never)
  for (const name of ['n1', 'n2']) c.store.create('nodes', nodeObject(name))
  c.store.create('nodes', nodeObject('tainted', { taints: [{ key: 'k', effect: 'NoSchedule' }] }))
  c.store.create('daemonsets.apps', {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name: 'd', namespace: 'default' },
    spec: { selector, template: template('one') },
  })
  await c.idle()
  const where = () =>
    c.store
      .list<Pod>('pods')
      .map((p) => p.spec.nodeName)
      .sort()
  assert.deepEqual(where(), ['n1', 'n2'])
  c.store.create('nodes', nodeObject('n3'))
  await c.idle()
  assert.deepEqual(where(), ['n1', 'n2', 'n3'])
  c.store.delete('nodes', '', 'n1')
  await c.idle()
  assert.deepEqual(where(), ['n2', 'n3'])
  const { status } = c.store.get<DaemonSet>('daemonsets.apps', 'default', 'd')
  assert.deepEqual(
    [status?.['desiredNumberScheduled'], status?.['numberAvailable'], status?.['updatedNumberScheduled']],
    [2, 2, 2],
  )
  assert.deepEqual(c.errors, [])
  c.close()
})

test('a daemon set replaces its pods one node at a time and remembers the old template', async () => {
  const c = testCluster((s) => [daemonSetController(s), scheduler(s)], never)
  for (const name of ['n1', 'n2', 'n3']) c.store.create('nodes', nodeObject(name))
  c.store.create('daemonsets.apps', {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name: 'd', namespace: 'default' },
    spec: { selector, template: template('one') },
  })
  await c.idle()
  let least = 3
  c.store.watch<Pod>('pods', {}, () => {
    least = Math.min(
      least,
      c.store.list<Pod>('pods').filter((p) => !p.metadata.deletionTimestamp && p.status?.phase === 'Running').length,
    )
  })
  c.store.modify<DaemonSet>('daemonsets.apps', 'default', 'd', (d) => ({
    ...d,
    spec: { ...d.spec, template: template('two') },
  }))
  await c.idle()
  assert.deepEqual(
    c.store.list<Pod>('pods').map((p) => p.spec.containers[0]?.image),
    ['two', 'two', 'two'],
  )
  assert.equal(least, 2)
  assert.equal(c.store.list('controllerrevisions.apps').length, 2)
  c.close()
})

test('a daemon set that surges starts the new pod beside the old one, which goes once the new one is ready', async () => {
  let ready = true
  let least = 2
  const c = testCluster((s) => [daemonSetController(s), scheduler(s)], { ...never, ready: () => ready })
  for (const name of ['n1', 'n2']) c.store.create('nodes', nodeObject(name))
  c.store.create('daemonsets.apps', {
    apiVersion: 'apps/v1',
    kind: 'DaemonSet',
    metadata: { name: 'd', namespace: 'default' },
    spec: {
      selector,
      template: template('one'),
      updateStrategy: { type: 'RollingUpdate', rollingUpdate: { maxSurge: 1, maxUnavailable: 0 } },
    },
  })
  await c.idle()
  const images = () => c.store.list<Pod>('pods').map((p) => p.spec.containers[0]?.image)
  c.store.watch<Pod>('pods', {}, () => {
    const running = c.store
      .list<Pod>('pods')
      .filter((p) => !p.metadata.deletionTimestamp && p.status?.phase === 'Running')
    least = Math.min(least, running.length)
  })
  const change = (image: string) =>
    c.store.modify<DaemonSet>('daemonsets.apps', 'default', 'd', (d) => ({
      ...d,
      spec: { ...d.spec, template: template(image) },
    }))
  change('two')
  await c.idle()
  assert.deepEqual([images(), least], [['two', 'two'], 2])
  ready = false
  change('three')
  await c.idle()
  assert.deepEqual(images().sort(), ['three', 'two', 'two'])
  assert.deepEqual(c.errors, [])
  c.close()
})

test('a stateful set numbers its pods, makes them in order and replaces them from the top', async () => {
  const c = testCluster((s) => [statefulSetController(s)])
  const seen: string[] = []
  c.store.watch<Pod>('pods', {}, (e) => {
    if (e.type === 'ADDED') seen.push(`${e.object.metadata.name} ${e.object.spec.containers[0]?.image}`)
  })
  c.store.create('statefulsets.apps', {
    apiVersion: 'apps/v1',
    kind: 'StatefulSet',
    metadata: { name: 's', namespace: 'default' },
    spec: { serviceName: 'db', replicas: 3, selector, template: template('one') },
  })
  await c.idle()
  const pod = c.store.get<Pod>('pods', 'default', 's-1')
  assert.deepEqual([pod.spec.hostname, pod.spec.subdomain], ['s-1', 'db'])
  c.store.modify<StatefulSet>('statefulsets.apps', 'default', 's', (s) => ({
    ...s,
    spec: { ...s.spec, template: template('two') },
  }))
  await c.idle()
  assert.deepEqual(seen, ['s-0 one', 's-1 one', 's-2 one', 's-2 two', 's-1 two', 's-0 two'])
  c.store.modify<StatefulSet>('statefulsets.apps', 'default', 's', (s) => ({ ...s, spec: { ...s.spec, replicas: 1 } }))
  await c.idle()
  assert.deepEqual(
    c.store.list('pods').map((p) => p.metadata.name),
    ['s-0'],
  )
  const { status } = c.store.get<StatefulSet>('statefulsets.apps', 'default', 's')
  assert.deepEqual([status?.readyReplicas, status?.currentRevision], [1, status?.updateRevision])
  c.close()
})

const end = (c: ReturnType<typeof testCluster>, phase: 'Succeeded' | 'Failed') => {
  for (const p of c.store.list<Pod>('pods').filter((x) => x.status?.phase === 'Running'))
    c.store.modify<Pod>(
      'pods',
      'default',
      p.metadata.name,
      (x) => ({ ...x, status: { ...x.status, phase, conditions: [] } }),
      { subresource: 'status' },
    )
}

test('a job runs as many pods at once as it may until enough succeeded', async () => {
  const c = testCluster((s) => [jobController(s)])
  c.store.create('jobs.batch', {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'j', namespace: 'default' },
    spec: {
      parallelism: 2,
      completions: 3,
      completionMode: 'Indexed',
      template: template('one', { restartPolicy: 'Never' }),
    },
  })
  await c.idle()
  assert.equal(c.store.list('pods').length, 2)
  end(c, 'Succeeded')
  await c.idle()
  end(c, 'Succeeded')
  await c.idle()
  const { status } = c.store.get<Job>('jobs.batch', 'default', 'j')
  assert.deepEqual([status?.succeeded, status?.['completedIndexes'], status?.active], [3, '0-2', 0])
  assert.ok(status?.conditions?.some((x) => x.type === 'Complete' && x.status === 'True'))
  c.close()
})

test('a job whose pods keep failing ends as failed after its back-off limit', async () => {
  const c = testCluster((s) => [jobController(s)])
  c.store.create('jobs.batch', {
    apiVersion: 'batch/v1',
    kind: 'Job',
    metadata: { name: 'j', namespace: 'default' },
    spec: { backoffLimit: 1, completions: 1, template: template('one', { restartPolicy: 'Never' }) },
  })
  for (let i = 0; i < 3; i++) {
    await c.idle()
    end(c, 'Failed')
  }
  await c.idle()
  const { status } = c.store.get<Job>('jobs.batch', 'default', 'j')
  assert.deepEqual([status?.failed, status?.conditions?.at(-1)?.reason], [2, 'BackoffLimitExceeded'])
  c.close()
})

test('a service has slices of each family and Endpoints, with named ports resolved and only ready pods ready', async () => {
  const c = testCluster((s) => [endpointsController(s)], { ready: (p) => p.metadata.name !== 'late' })
  const pod = (name: string) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default', labels: { app: 'a' } },
    spec: template('one').spec,
  })
  c.store.create('services', {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace: 'default', uid: 'u' },
    spec: { selector: { app: 'a' }, ipFamilies: ['IPv4', 'IPv6'], ports: [{ port: 80, targetPort: 'web' }] },
  })
  c.store.create('pods', pod('early'))
  c.store.create('pods', pod('late'))
  await c.idle()
  const slices = () =>
    c.store.list<EndpointSlice>('endpointslices.discovery.k8s.io', { labels: 'kubernetes.io/service-name=web' })
  assert.deepEqual(
    slices()
      .map((s) => [s.addressType, s.ports?.[0]?.port, s.endpoints.map((e) => [e.targetRef?.name, e.conditions?.ready])])
      .sort(),
    [
      [
        'IPv4',
        8080,
        [
          ['early', true],
          ['late', false],
        ],
      ],
      [
        'IPv6',
        8080,
        [
          ['early', true],
          ['late', false],
        ],
      ],
    ],
  )
  const endpoints = c.store.get<Endpoints>('endpoints', 'default', 'web')
  assert.deepEqual(
    [endpoints.subsets?.[0]?.addresses?.length, endpoints.subsets?.[0]?.notReadyAddresses?.length],
    [1, 1],
  )
  c.store.delete('pods', 'default', 'early')
  await c.idle()
  assert.deepEqual(
    slices().map((s) => s.endpoints.length),
    [1, 1],
  )
  c.store.delete('services', 'default', 'web')
  await c.idle()
  assert.deepEqual([slices().length, c.store.find('endpoints', 'default', 'web')], [0, undefined])
  assert.deepEqual(c.errors, [])
  c.close()
})

test('endpoints of a service that asks for near ones say for which zone and node they are', async () => {
  const c = testCluster((s) => [endpointsController(s)])
  c.store.create('nodes', nodeObject('node-1', {}, { 'topology.kubernetes.io/zone': 'a' }))
  c.store.create('services', {
    apiVersion: 'v1',
    kind: 'Service',
    metadata: { name: 'web', namespace: 'default', uid: 'u' },
    spec: { selector: { app: 'a' }, ports: [{ port: 80 }] },
  })
  c.store.create('pods', {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'default', labels: { app: 'a' } },
    spec: template('one').spec,
  })
  const said = async (trafficDistribution?: string) => {
    c.store.modify<Service>('services', 'default', 'web', (s) => ({
      ...s,
      spec: { ...s.spec, ...(trafficDistribution ? { trafficDistribution } : {}) },
    }))
    await c.idle()
    const [slice] = c.store.list<EndpointSlice>('endpointslices.discovery.k8s.io')
    return [slice?.endpoints[0]?.zone, slice?.endpoints[0]?.hints]
  }
  const forZones = [{ name: 'a' }]
  assert.deepEqual(await said(), ['a', undefined])
  assert.deepEqual(await said('PreferClose'), ['a', { forZones }])
  assert.deepEqual(await said('PreferSameNode'), ['a', { forZones, forNodes: [{ name: 'node-1' }] }])
  c.store.modify<Node>('nodes', '', 'node-1', (n) => ({ ...n, metadata: { ...n.metadata, labels: {} } }))
  assert.deepEqual(await said('PreferClose'), [undefined, undefined])
  assert.deepEqual(c.errors, [])
  c.close()
})

test('a namespace gets its account and certificate, and takes all its contents with it', async () => {
  const c = testCluster((s) => [namespaceController(s), accountsController(s, 'PEM'), garbageController(s)])
  c.store.create('namespaces', {
    apiVersion: 'v1',
    kind: 'Namespace',
    metadata: { name: 'x' },
    spec: { finalizers: ['kubernetes'] },
  })
  await c.idle()
  assert.ok(c.store.find('serviceaccounts', 'x', 'default'))
  assert.deepEqual(c.store.get('configmaps', 'x', 'kube-root-ca.crt')['data'], { 'ca.crt': 'PEM' })
  c.store.create('pods', {
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: 'p', namespace: 'x' },
    spec: template('one').spec,
  })
  await c.idle()
  c.store.delete('namespaces', '', 'x')
  await new Promise<void>((resolve) => {
    c.store.watch('namespaces', { fields: 'metadata.name=x' }, (e) => {
      if (e.type === 'DELETED') resolve()
    })
  })
  assert.deepEqual(
    [c.store.list('pods', { namespace: 'x' }).length, c.store.list('configmaps', { namespace: 'x' }).length],
    [0, 0],
  )
  assert.deepEqual(c.errors, [])
  c.close()
})

test('foreground deletion waits for dependents and orphaning lets them go', async () => {
  const c = testCluster((s) => [garbageController(s)])
  const owned = (name: string, owner: string, uid: string) => ({
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: {
      name,
      namespace: 'default',
      ownerReferences: [
        { apiVersion: 'v1', kind: 'ConfigMap', name: owner, uid, controller: true, blockOwnerDeletion: true },
      ],
    },
  })
  const make = (name: string) =>
    c.store.create('configmaps', { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, namespace: 'default' } })
  const [first, second] = [make('first'), make('second')]
  c.store.create('configmaps', owned('a', 'first', first.metadata.uid ?? ''))
  c.store.create('configmaps', owned('b', 'second', second.metadata.uid ?? ''))
  const order: string[] = []
  c.store.watch('configmaps', {}, (e) => {
    if (e.type === 'DELETED') order.push(e.object.metadata.name ?? '')
  })
  await c.idle()
  c.store.delete('configmaps', 'default', 'first', { propagationPolicy: 'Foreground' })
  c.store.delete('configmaps', 'default', 'second', { propagationPolicy: 'Orphan' })
  await c.idle()
  assert.deepEqual(order.sort(), ['a', 'first', 'second'])
  assert.deepEqual(c.store.get('configmaps', 'default', 'b').metadata.ownerReferences ?? [], [])
  c.store.create('configmaps', owned('late', 'never', 'no-such-uid'))
  await c.idle()
  assert.equal(c.store.find('configmaps', 'default', 'late'), undefined)
  c.close()
})

test('a node that is not ready is tainted, and pods that do not bear it are moved away', async () => {
  const c = testCluster((s) => [nodeController(s)])
  c.store.create('nodes', nodeObject('node-1'))
  const pod = (name: string, tolerations: readonly object[]) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name, namespace: 'default' },
    spec: { ...template('one').spec, tolerations },
  })
  c.store.create('pods', pod('short', []))
  c.store.create('pods', pod('long', [{ operator: 'Exists' }]))
  await c.idle()
  const set = (status: 'True' | 'False') =>
    c.store.modify<Node>(
      'nodes',
      '',
      'node-1',
      (n) => ({ ...n, status: { ...n.status, conditions: [{ type: 'Ready', status }] } }),
      { subresource: 'status' },
    )
  set('False')
  await c.idle()
  const taints = () => c.store.get<Node>('nodes', '', 'node-1').spec?.taints?.map((t) => `${t.key}:${t.effect}`)
  assert.deepEqual(taints(), ['node.kubernetes.io/not-ready:NoSchedule', 'node.kubernetes.io/not-ready:NoExecute'])
  assert.deepEqual(
    c.store.list('pods').map((p) => p.metadata.name),
    ['long'],
  )
  set('True')
  await c.idle()
  assert.deepEqual(taints(), [])
  c.close()
})

test('a cron schedule names its next time, and nonsense names none', () => {
  const at = (text: string) => Date.parse(text)
  assert.equal(nextTime('*/15 3 * * *', at('2026-01-01T03:20:30Z')), at('2026-01-01T03:30:00Z'))
  assert.equal(nextTime('0 0 29 2 *', at('2026-01-01T00:00:00Z')), at('2028-02-29T00:00:00Z'))
  assert.equal(nextTime('0 12 * * 7', at('2026-01-01T00:00:00Z')), at('2026-01-04T12:00:00Z'))
  assert.equal(nextTime('61 * * * *', 0), undefined)
  assert.equal(nextTime('0 0 31 2 *', 0), undefined)
})

test('each node gets the first free prefix of every family and keeps it', async () => {
  const c = testCluster((s) => [podCidrController(s, [(n) => `10.244.${n}.0/24`, (n) => `fd00:10:244:${n}::/64`])])
  for (const name of ['a', 'b', 'c']) c.store.create('nodes', nodeObject(name))
  await c.idle()
  c.store.delete('nodes', '', 'b')
  await c.idle()
  c.store.create('nodes', nodeObject('d'))
  await c.idle()
  assert.deepEqual(
    c.store.list<Node>('nodes').map((n) => [n.metadata.name, n.spec?.podCIDR, n.spec?.podCIDRs?.[1]]),
    [
      ['a', '10.244.0.0/24', 'fd00:10:244:0::/64'],
      ['c', '10.244.2.0/24', 'fd00:10:244:2::/64'],
      ['d', '10.244.1.0/24', 'fd00:10:244:1::/64'],
    ],
  )
  c.close()
})
