// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fakeKube } from '../../edge/kube/fake-kube.ts'
import {
  CILIUM_ENDPOINTS,
  CILIUM_IDENTITIES,
  CILIUM_NODES,
  CRDS,
  LEASES,
  NODES,
  PODS,
  pathOf,
} from '../../edge/kube/resource.ts'
import { openDatabase } from '../../table/open.ts'
import { collectEndpoints, collectNodes, identityCollector } from './collect.ts'
import { compareVersions, registerCrds, SCHEMA_VERSION, SCHEMA_VERSION_LABEL } from './crds.ts'
import { holdLease } from './lead.ts'
import { parsePool } from './pools.ts'
import { readSettings } from './settings.ts'
import { agents, claims, derivedTables, nodes } from './tables.ts'
import { cidrTarget, nodeTarget } from './targets.ts'

const names = (kube: ReturnType<typeof fakeKube>) =>
  [...kube.objects.values()].map((o) => `${o.kind ?? ''}${o.metadata.name}`).sort()
const inDefault = (name: string) => ({ name, namespace: 'default' })

test('endpoints without a pod and nodes without a node are deleted, others stay', async () => {
  const kube = fakeKube()
  kube.put(CILIUM_ENDPOINTS, { kind: 'cep ', metadata: inDefault('a') })
  kube.put(CILIUM_ENDPOINTS, { kind: 'cep ', metadata: inDefault('gone') })
  kube.put(PODS, { kind: 'pod ', metadata: inDefault('a') })
  kube.put(CILIUM_NODES, { kind: 'cn ', metadata: { name: 'n1' } })
  kube.put(CILIUM_NODES, { kind: 'cn ', metadata: { name: 'left' } })
  kube.put(NODES, { kind: 'node ', metadata: { name: 'n1' } })
  assert.equal(await collectEndpoints(kube), 1)
  assert.equal(await collectNodes(kube), 1)
  assert.deepEqual(names(kube), ['cep a', 'cn n1', 'node n1', 'pod a'])
})

test('an identity is deleted only after it was without endpoints for the whole time', async () => {
  const kube = fakeKube()
  const collect = identityCollector(kube, 1000)
  kube.put(CILIUM_IDENTITIES, { kind: 'id ', metadata: { name: '300' } })
  kube.put(CILIUM_IDENTITIES, { kind: 'id ', metadata: { name: '301' } })
  kube.put(CILIUM_ENDPOINTS, { kind: 'cep ', metadata: inDefault('a'), status: { identity: { id: 300 } } })
  assert.equal(await collect(0), 0)
  assert.equal(await collect(999), 0)
  assert.equal(await collect(1000), 1)
  assert.deepEqual(names(kube), ['cep a', 'id 300'])
  await kube.delete(CILIUM_ENDPOINTS, 'default', 'a')
  assert.equal(await collect(5000), 0, 'idle since now')
  kube.put(CILIUM_ENDPOINTS, { kind: 'cep ', metadata: inDefault('b'), status: { identity: { id: 300 } } })
  assert.equal(await collect(5500), 0)
  await kube.delete(CILIUM_ENDPOINTS, 'default', 'b')
  assert.equal(await collect(6100), 0, 'use in between starts the time anew')
  assert.equal(await collect(7100), 1)
})

test('what changed after it was judged is not deleted', async () => {
  const kube = fakeKube()
  const endpoint = kube.put(CILIUM_ENDPOINTS, { metadata: inDefault('a') })
  const list = kube.list.bind(kube)
  kube.list = async (resource, ...rest) => {
    const page = await list(resource, ...rest)
    if (resource === PODS) kube.put(CILIUM_ENDPOINTS, endpoint)
    return page as never
  }
  assert.equal(await collectEndpoints(kube), 0)
  assert.equal(kube.objects.size, 1)
})

test('definitions are created, older ones replaced, newer ones left alone', async () => {
  const kube = fakeKube()
  const crd = (name: string, version: string) => ({ metadata: { name, labels: { [SCHEMA_VERSION_LABEL]: version } } })
  kube.put(CRDS, crd('old', '1.9.0'))
  kube.put(CRDS, crd('new', '99.0.0'))
  const done = await registerCrds(
    kube,
    ['fresh', 'old', 'new'].map((n) => crd(n, SCHEMA_VERSION)),
  )
  assert.deepEqual([...done].sort(), ['fresh created', 'old updated'])
  assert.deepEqual(await registerCrds(kube, [crd('fresh', SCHEMA_VERSION)]), [])
  assert.ok(
    compareVersions('1.9', '1.30') < 0 && compareVersions('1.30.1', '1.30') > 0 && compareVersions('2', '2.0') === 0,
  )
})

test('of two operators one leads, and the other follows when the first lets go', async () => {
  const kube = fakeKube()
  const options = { namespace: 'kube-system', name: 'lock', durationSeconds: 60, retrySeconds: 0.005 }
  const order: string[] = []
  const [first, second] = [new AbortController(), new AbortController()]
  const a = holdLease(kube, { ...options, holder: 'a' }, first.signal, () => order.push('a'))
  while (order.length < 1) await new Promise((r) => setTimeout(r, 5))
  const b = holdLease(kube, { ...options, holder: 'b' }, second.signal, () => order.push('b'))
  await new Promise((r) => setTimeout(r, 30))
  assert.deepEqual(order, ['a'])
  first.abort()
  await a
  while (order.length < 2) await new Promise((r) => setTimeout(r, 5))
  assert.deepEqual(order, ['a', 'b'])
  second.abort()
  await b
})

test('an operator that can not renew stops leading before another may start', async () => {
  const kube = fakeKube()
  let now = 0
  let led: AbortSignal | undefined
  const options = {
    namespace: 'kube-system',
    name: 'lock',
    durationSeconds: 15,
    retrySeconds: 0.005,
    holder: 'a',
    now: () => new Date(now),
  }
  const done = holdLease(kube, options, new AbortController().signal, (signal) => {
    led = signal
    kube.fault = new Error('away')
  })
  while (!led) await new Promise((r) => setTimeout(r, 5))
  now = 11_000
  await done
  assert.ok(led.aborted)
  const lease = kube.objects.get(pathOf(LEASES, 'kube-system', 'lock'))
  assert.ok(lease, 'it runs out by itself')
})

test('an operator that got no time to renew, and then finds its connection closed, renews by another and goes on', async () => {
  const kube = fakeKube()
  const stop = new AbortController()
  let now = 0
  let led: AbortSignal | undefined
  let attempts = 0
  const update: typeof kube.update = (...args) => {
    if (attempts++ === 0) throw Object.assign(new Error('socket hang up'), { code: 'ECONNRESET' })
    return kube.update(...args)
  }
  const options = { namespace: 'kube-system', name: 'lock', durationSeconds: 15, retrySeconds: 0.005, holder: 'a' }
  const done = holdLease({ ...kube, update }, { ...options, now: () => new Date(now) }, stop.signal, (signal) => {
    led = signal
    now = 11_000
  })
  while (attempts < 3) await new Promise((r) => setTimeout(r, 5))
  assert.equal(led?.aborted, false)
  stop.abort()
  await done
})

test('prefixes are granted until the CiliumNode has them; taint and condition go when the agent is ready', async () => {
  const pool = parsePool('10.0.0.0/16', 24)
  assert.ok(typeof pool !== 'string')
  const key = 'node.cilium.io/agent-not-ready'
  const { cidrGrants, nodeRepairs } = derivedTables({
    pools: [[pool]],
    removeTaints: true,
    setCondition: true,
    taintKey: key,
  })
  const db = openDatabase([claims, nodes, agents, cidrGrants, nodeRepairs])
  db.commit((tx) => {
    tx.put(claims, { name: 'n1', podCIDRs: [], created: '' })
    tx.put(nodes, { name: 'n1', taints: [{ key }, { key: 'mine' }], up: false })
    tx.put(agents, { name: 'cilium-x', node: 'n1', ready: false })
  })
  assert.deepEqual(db.all(cidrGrants), [{ node: 'n1', podCIDRs: ['10.0.0.0/24'], problem: '' }])
  assert.deepEqual(db.all(nodeRepairs), [])
  db.commit((tx) => tx.put(agents, { name: 'cilium-x', node: 'n1', ready: true }))
  const repair = db.all(nodeRepairs)[0]
  assert.deepEqual(repair, { node: 'n1', taints: [{ key }, { key: 'mine' }], condition: true })

  const kube = fakeKube()
  kube.put(CILIUM_NODES, { metadata: { name: 'n1' }, spec: {} })
  kube.put(NODES, { metadata: { name: 'n1' } })
  assert.deepEqual(await cidrTarget(kube).write(db.all(cidrGrants)), [{ ok: true }])
  assert.deepEqual(await nodeTarget(kube, key, () => 'now').write([repair!]), [{ ok: true }])
  assert.deepEqual(kube.objects.get(pathOf(CILIUM_NODES, undefined, 'n1'))?.['spec'], {
    ipam: { podCIDRs: ['10.0.0.0/24'] },
  })

  db.commit((tx) => {
    tx.put(claims, { name: 'n1', podCIDRs: ['10.0.0.0/24'], created: '' })
    tx.put(nodes, { name: 'n1', taints: [{ key: 'mine' }], up: true })
  })
  assert.deepEqual([db.count(cidrGrants), db.count(nodeRepairs)], [0, 0])
})

test('settings name the option that is wrong', () => {
  const read = (args: string[]) => readSettings({ args, env: {}, directory: () => ({ ok: true, value: [] }) })
  const bad = read(['--cluster-pool-ipv4-cidr=10.0.0.0/24', '--cluster-pool-ipv4-mask-size=16'])
  assert.match(bad.ok ? '' : bad.error.message, /--cluster-pool-ipv4-cidr: the mask size 16 does not fit/)
  const good = read(['--cluster-pool-ipv6-cidr=fd00::/48', '--cluster-pool-ipv6-mask-size=64', '--enable-ipv4=false'])
  assert.deepEqual(good.ok && good.value.pools.map((p) => p.length), [0, 1])
  const none = read(['--ipam=kubernetes'])
  assert.deepEqual(none.ok && none.value.pools.map((p) => p.length), [0, 0])
})
