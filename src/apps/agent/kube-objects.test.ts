// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { ciliumEndpointObjects } from '../../derive/status/tables.ts'
import { fakeKube } from '../../edge/kube/fake-kube.ts'
import { CILIUM_ENDPOINTS, CILIUM_IDENTITIES, CILIUM_NODES, pathOf } from '../../edge/kube/resource.ts'
import * as rows from '../../model/rows.ts'
import { openCni } from './cni.ts'
import { fakeNode, NODE } from './fake-node.ts'
import { ciliumEndpointTarget, ciliumNodeTarget, identityTarget, nodeDeeds } from './kube-objects.ts'

function start(t: TestContext) {
  const node = fakeNode()
  t.after(() => node.scope.close())
  const cni = openCni(node.db, node.targets, { notReady: () => '', log: () => {} })
  const add = async (name: string) => {
    node.pod(name)
    await cni.handle({
      command: 'ADD',
      containerID: `c-${name}`,
      netns: '/x',
      ifname: 'eth0',
      args: `K8S_POD_NAMESPACE=default;K8S_POD_NAME=${name};K8S_POD_UID=uid-${name}`,
      config: {},
    })
    const object = node.db.by(ciliumEndpointObjects, 'pod', `default/${name}`)[0]
    assert.ok(object, `no object for ${name}`)
    return object
  }
  return { ...node, kube: fakeKube(), add }
}
const labels = ['k8s:app=a', 'k8s:io.kubernetes.pod.namespace=default']

test('an identity is created with its labels and known at once', async (t) => {
  const { db, kube } = start(t)
  const target = identityTarget(kube, db)
  assert.deepEqual(await target.write([{ number: 777, labels }]), [{ ok: true }])
  const object = kube.objects.get(pathOf(CILIUM_IDENTITIES, undefined, '777'))
  assert.deepEqual(object?.['security-labels'], { 'k8s:app': 'a', 'k8s:io.kubernetes.pod.namespace': 'default' })
  assert.deepEqual(db.get(rows.ciliumIdentities, '777')?.labels, labels)
})

test('a number somebody else was faster with is learnt, with the labels it has', async (t) => {
  const { db, kube } = start(t)
  kube.put(CILIUM_IDENTITIES, { metadata: { name: '777' }, 'security-labels': { 'k8s:app': 'other' } })
  assert.deepEqual(await identityTarget(kube, db).write([{ number: 777, labels }]), [{ ok: true }])
  assert.deepEqual(db.get(rows.ciliumIdentities, '777')?.labels, ['k8s:app=other'])
})

test('with the API server away the identity stays owed', async (t) => {
  const { db, kube } = start(t)
  kube.fault = new Error('connect ECONNREFUSED')
  assert.deepEqual(await identityTarget(kube, db).write([{ number: 777, labels }]), [
    { ok: false, error: 'connect ECONNREFUSED' },
  ])
})

test('a CiliumEndpoint is created for its pod, patched when it changes, and deleted with it', async (t) => {
  const { db, kube, add } = start(t)
  const target = ciliumEndpointTarget(kube, db)
  const row = await add('a')
  await target.write([row])
  const path = pathOf(CILIUM_ENDPOINTS, 'default', 'a')
  const object = kube.objects.get(path) as { status?: { state?: string; networking?: unknown } } | undefined
  assert.equal(object?.status?.state, 'ready')
  assert.deepEqual(object?.status?.networking, {
    addressing: [{ ipv4: '10.244.0.2', ipv6: 'fd00:10:244::2' }],
    node: '172.30.0.2',
  })
  assert.equal(kube.objects.get(path)?.metadata.ownerReferences?.[0]?.uid, 'uid-a')
  await target.write([row])
  assert.deepEqual(kube.calls, [`POST ${path}`], 'what was written is not written again')
  db.commit((tx) => tx.remove(rows.endpointRequests, 'c-a:eth0'))
  await target.remove([row])
  assert.equal(kube.objects.has(path), false)
  assert.deepEqual(await target.remove([row]), [{ ok: true }], 'what is gone already is no error')
})

test('an object that is there from another life is taken over', async (t) => {
  const { db, kube, add } = start(t)
  kube.put(CILIUM_ENDPOINTS, {
    metadata: { name: 'a', namespace: 'default' },
    status: { state: 'ready', 'named-ports': [{ name: 'x' }] },
  })
  const row = await add('a')
  assert.deepEqual(await ciliumEndpointTarget(kube, db).write([row]), [{ ok: true }])
  const object = kube.objects.get(pathOf(CILIUM_ENDPOINTS, 'default', 'a')) as
    | { status?: Record<string, unknown> }
    | undefined
  assert.equal('named-ports' in (object?.status ?? {}), false)
})

test('after a restart objects of pods that are gone are strays, those that agree are left alone', async (t) => {
  const { db, kube, add } = start(t)
  const row = await add('a')
  const status = row.status as { identity: { id: number } }
  const of = (name: string, identity: number, node = '172.30.0.2') => ({
    namespace: 'default',
    name,
    uid: name,
    resourceVersion: '1',
    identity,
    addresses: [],
    node,
    state: 'ready',
    namedPorts: [],
  })
  db.commit((tx) => {
    tx.put(rows.ciliumEndpoints, of('a', status.identity.id))
    tx.put(rows.ciliumEndpoints, of('gone', 4711))
    tx.put(rows.ciliumEndpoints, of('elsewhere', 4711, '172.30.0.9'))
  })
  const loaded = await ciliumEndpointTarget(kube, db).load()
  assert.deepEqual(loaded.map((r) => r.name).sort(), ['a', 'gone'])
})

test("this node's CiliumNode is created, or completed where the operator was faster", async (t) => {
  const { db, kube } = start(t)
  const deed = db.get(nodeDeeds, NODE)
  assert.ok(deed)
  const target = ciliumNodeTarget(kube)
  const path = pathOf(CILIUM_NODES, undefined, NODE)
  assert.deepEqual(await target.write([{ ...deed, exists: false }]), [{ ok: true }])
  assert.equal(kube.objects.get(path)?.metadata.ownerReferences?.[0]?.kind, 'Node')
  kube.put(CILIUM_NODES, { metadata: { name: NODE }, spec: { ipam: { podCIDRs: ['10.1.0.0/24'] } } })
  assert.deepEqual(await target.write([{ ...deed, exists: false }]), [{ ok: true }])
  const spec = kube.objects.get(path)?.['spec'] as { ipam?: unknown; addresses?: unknown[] }
  assert.deepEqual(spec.ipam, { podCIDRs: ['10.1.0.0/24'] })
  assert.equal(spec.addresses?.length, 3)
})
