// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { endpoints } from '../../derive/endpoints/tables.ts'
import * as rows from '../../model/rows.ts'
import { type CniOptions, openCni } from './cni.ts'
import { fakeNode, podRow } from './fake-node.ts'

interface Answer {
  readonly code?: number
  readonly msg?: string
  readonly details?: string
  readonly ips?: readonly { readonly address: string; readonly gateway: string; readonly version?: string }[]
  readonly interfaces?: readonly { readonly name: string; readonly sandbox?: string }[]
  readonly routes?: readonly { readonly dst: string; readonly gw?: string; readonly mtu?: number }[]
}

function agent(t: TestContext, readyMs = 5_000, findPod?: CniOptions['findPod']) {
  const node = fakeNode()
  t.after(() => node.scope.close())
  const state = { notReady: '' }
  const cni = openCni(node.db, node.targets, {
    ...{
      notReady: () => state.notReady,
      log: () => {},
      readyMs,
      addressMs: 50,
      netnsThere: (path: string) => path !== '/gone',
    },
    ...(findPod ? { findPod } : {}),
  })
  const ask = async (
    command: string,
    pod: string,
    fields: object = {},
    config: object = {},
  ): Promise<Answer | undefined> =>
    cni.handle({
      command,
      containerID: `c-${pod}`,
      netns: `/var/run/netns/${pod}`,
      ifname: 'eth0',
      args: `IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=${pod};K8S_POD_UID=uid-${pod}`,
      config: { cniVersion: '1.1.0', name: 'cilium', ...config },
      ...fields,
    })
  return { ...node, state, cni, ask }
}

test('ADD answers with addresses, routes and devices once everything is in the kernel and on disk', async (t) => {
  const { ask, pod, owners, interfaces, stored } = agent(t)
  pod('a')
  const answer = await ask('ADD', 'a')
  assert.equal(answer?.code, undefined, answer?.msg)
  assert.deepEqual(answer?.ips, [
    { address: '10.244.0.2/32', gateway: '10.244.0.1', interface: 0 },
    { address: 'fd00:10:244::2/128', gateway: 'fd00:10:244::1', interface: 0 },
  ])
  assert.deepEqual(
    answer?.interfaces?.map((i) => i.sandbox ?? ''),
    ['/var/run/netns/a', ''],
  )
  assert.ok(answer?.routes?.some((r) => r.dst === '0.0.0.0/0' && r.gw === '10.244.0.1' && r.mtu === 1450))
  const owner = owners.there.get('10.244.0.2')
  assert.ok(owner && owner.identity >= 256 && owner.policy > 0)
  assert.equal(interfaces.there.size, 1)
  assert.equal(stored.there.get('c-a:eth0')?.held?.ipv4, '10.244.0.2')
})

test('results are in the form of the version asked for', async (t) => {
  const { ask, pod } = agent(t)
  pod('a')
  const old = await ask('ADD', 'a', {}, { cniVersion: '0.4.0' })
  assert.equal(old?.ips?.[0]?.version, '4')
  const again = await ask('ADD', 'a', {}, { cniVersion: '1.0.0' })
  assert.equal(again?.ips?.[0]?.version, undefined)
  assert.deepEqual(
    again?.ips?.map((ip) => ip.address),
    old?.ips?.map((ip) => ip.address),
    'asked again, the pod keeps its addresses',
  )
})

test('ADD waits for a pod that is not known yet', async (t) => {
  const { ask, pod } = agent(t)
  const answer = ask('ADD', 'late')
  await new Promise((r) => setTimeout(r, 20))
  pod('late')
  assert.equal((await answer)?.code, undefined)
})

test('an ADD that gets nowhere fails with code 11, says what is missing, and leaves nothing', async (t) => {
  const { ask, db, pods } = agent(t, 30)
  const answer = await ask('ADD', 'unknown')
  assert.equal(answer?.code, 11)
  assert.match(answer?.msg ?? '', /the pod is not known yet/)
  assert.equal(db.count(rows.endpointRequests), 0)
  assert.equal(pods.there.size, 0)
})

test('a pod of which the watch has not told is asked for, and what the watch says later counts', async (t) => {
  const { ask, pod, db } = agent(t, 5_000, async (_, name) => podRow(name, { app: 'asked' }))
  assert.equal((await ask('ADD', 'a'))?.code, undefined)
  const labels = () => db.all(endpoints)[0]?.labels ?? []
  assert.ok(labels().includes('k8s:app=asked'))
  pod('a', { app: 'watched' })
  await new Promise((r) => setTimeout(r, 20))
  assert.ok(labels().includes('k8s:app=watched'))
  assert.equal(db.all(rows.endpointRequests)[0]?.seen, undefined)
})

test('a pod that the API server does not know, or knows as another, fails at once with code 11', async (t) => {
  const { ask, db } = agent(t, 60_000, async (_, name) => (name === 'other' ? podRow(name, {}, 'uid-2') : undefined))
  const unknown = await ask('ADD', 'a')
  assert.deepEqual([unknown?.code, unknown?.msg], [11, 'there is no pod default/a'])
  const other = await ask('ADD', 'other')
  assert.deepEqual([other?.code, other?.msg], [11, 'there is no pod default/other with the UID uid-other any more'])
  assert.equal(db.count(rows.endpointRequests), 0)
})

test('an API server that does not answer is no reason to refuse: the watch may tell yet', async (t) => {
  const { ask, pod } = agent(t, 5_000, () => Promise.reject(new Error('away')))
  const answer = ask('ADD', 'late')
  await new Promise((r) => setTimeout(r, 20))
  pod('late')
  assert.equal((await answer)?.code, undefined)
})

test('a pod of a manifest of its node is known by the number its kubelet gave it', async (t) => {
  const { ask } = agent(t, 5_000, async (_, name) => ({
    ...podRow(name, {}, 'uid-of-the-object'),
    annotations: { 'kubernetes.io/config.mirror': `uid-${name}` },
  }))
  assert.equal((await ask('ADD', 'static'))?.code, undefined)
})

test('a container that is no pod gets an address and the identity of those without labels', async (t) => {
  const { ask, db, owners } = agent(t)
  const answer = await ask('ADD', 'a', { args: '' })
  assert.equal(answer?.code, undefined, answer?.msg)
  const endpoint = db.all(endpoints)[0]
  assert.deepEqual([endpoint?.identity, endpoint?.labels], [5, ['reserved:init']])
  assert.equal(owners.there.get('10.244.0.2')?.identity, 5)
  assert.ok((owners.there.get('10.244.0.2')?.policy ?? 0) > 0, 'policy decides about it')
  assert.equal(await ask('CHECK', 'a', {}, { prevResult: answer }), undefined)
  assert.equal(await ask('DEL', 'a'), undefined)
})

test('a device that can not be made is the reason the ADD gives', async (t) => {
  const { ask, pod, pods } = agent(t, 30)
  pods.state.refuse = 'the network namespace is gone'
  pod('a')
  assert.match((await ask('ADD', 'a'))?.msg ?? '', /the network namespace is gone/)
})

test('without a free address ADD fails with code 11 and names the pool', async (t) => {
  const { ask, pod } = agent(t)
  const names = ['a', 'b', 'c', 'd', 'e']
  for (const name of names) {
    pod(name)
    assert.equal((await ask('ADD', name))?.code, undefined)
  }
  pod('f')
  const full = await ask('ADD', 'f')
  assert.equal(full?.code, 11)
  assert.match(full?.msg ?? '', /no IPv4 address: the pool is empty \(10\.244\.0\.0\/29/)
  await ask('DEL', 'a')
  pod('g')
  assert.equal((await ask('ADD', 'g'))?.code, undefined, 'a deleted pod gives its address back')
})

test('DEL removes everything, and is content when there is nothing', async (t) => {
  const { ask, pod, owners, interfaces, stored, pods } = agent(t)
  pod('a')
  await ask('ADD', 'a')
  assert.equal(await ask('DEL', 'a', { netns: '' }), undefined)
  assert.equal(owners.there.get('10.244.0.2'), undefined)
  assert.deepEqual([interfaces.there.size, stored.there.size, pods.there.size], [0, 0, 0])
  assert.equal(await ask('DEL', 'a'), undefined)
  assert.equal(await ask('DEL', 'never'), undefined)
})

test('deletions that come together are one change', async (t) => {
  const { ask, pod, db } = agent(t)
  for (const name of ['a', 'b', 'c']) {
    pod(name)
    await ask('ADD', name)
  }
  const revision = db.revision
  let commits = 0
  db.listen((changed) => {
    if (changed.has('endpointRequests')) commits++
  })
  await Promise.all(['a', 'b', 'c'].map((name) => ask('DEL', name)))
  assert.equal(commits, 1)
  assert.ok(db.revision > revision)
})

test('a pod deleted while it is added ends the ADD with a reason', async (t) => {
  const { ask } = agent(t)
  const adding = ask('ADD', 'a')
  await new Promise((r) => setTimeout(r, 10))
  await ask('DEL', 'a')
  const answer = await adding
  assert.equal(answer?.code, 11)
  assert.match(answer?.msg ?? '', /deleted while it was added/)
})

test('a pod that comes again under its name with another sandbox gets its own endpoint', async (t) => {
  const { ask, pod, db } = agent(t)
  pod('a')
  const first = await ask('ADD', 'a')
  const second = await ask('ADD', 'a', { containerID: 'other' })
  assert.notDeepEqual(first?.ips, second?.ips)
  assert.equal(db.count(rows.endpointRequests), 2)
  await ask('DEL', 'a')
  assert.equal(db.count(rows.endpointRequests), 1)
})

test('requests without container, a whole pod or a known command are refused with code 4', async (t) => {
  const { ask } = agent(t)
  for (const fields of [
    { containerID: '' },
    { netns: '' },
    { netns: '/gone' },
    { ifname: '' },
    { args: 'nonsense;=;K8S_POD_NAME' },
    { args: 'K8S_POD_NAME=a' },
    { args: 'K8S_POD_NAMESPACE=default;IgnoreUnknown=1' },
  ])
    assert.equal((await ask('ADD', 'a', fields))?.code, 4, JSON.stringify(fields))
  assert.equal((await ask('MAYBE', 'a'))?.code, 4)
})

test('CHECK finds the endpoint well, or says what is not', async (t) => {
  const { ask, pod } = agent(t)
  pod('a')
  const added = await ask('ADD', 'a')
  assert.equal(await ask('CHECK', 'a', {}, { prevResult: added }), undefined)
  const wrong = await ask('CHECK', 'a', {}, { prevResult: { ips: [{ address: '10.9.9.9/32' }] } })
  assert.match(wrong?.msg ?? '', /does not have the address 10\.9\.9\.9/)
  assert.equal((await ask('CHECK', 'never'))?.code, 7)
})

test('GC removes what the runtime does not know', async (t) => {
  const { ask, pod, db } = agent(t)
  for (const name of ['a', 'b']) {
    pod(name)
    await ask('ADD', name)
  }
  assert.equal((await ask('GC', ''))?.code, 7, 'without a list nothing is removed')
  assert.equal(db.count(rows.endpointRequests), 2)
  await ask('GC', '', {}, { 'cni.dev/valid-attachments': [{ containerID: 'c-b', ifname: 'eth0' }] })
  assert.deepEqual(
    db.all(rows.endpointRequests).map((r) => r.podName),
    ['b'],
  )
})

test('STATUS is silent when pods can be started and says why when not', async (t) => {
  const { ask, state } = agent(t)
  assert.equal(await ask('STATUS', ''), undefined)
  state.notReady = 'no pod prefix yet'
  const answer = await ask('STATUS', '')
  assert.deepEqual([answer?.code, answer?.details], [50, 'no pod prefix yet'])
})
