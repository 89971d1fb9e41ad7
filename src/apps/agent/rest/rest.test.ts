// SPDX-License-Identifier: Apache-2.0

import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import type { LoadedObject } from '../../../edge/kernel/object.ts'
import type { RestRequest } from '../../../edge/sockets/rest.ts'
import { RestError } from '../../../edge/sockets/rest.ts'
import { eventCounter } from '../../../flow/count.ts'
import { parsePolicyObject } from '../../../model/policy.ts'
import * as rows from '../../../model/rows.ts'
import { openCni } from '../cni.ts'
import type { Datapath } from '../datapath.ts'
import { endpointLog } from '../endpoint-log.ts'
import { fakeNode, podRow } from '../fake-node.ts'
import { requestLog } from '../requests.ts'
import { countRevisions } from '../revisions.ts'
import { readSettings } from '../settings.ts'
import type { Parts } from './parts.ts'
import { healthRoutes, routes } from './routes.ts'

const noMaps = {
  maps: new Map(),
  programs: new Map(),
  map: () => 0,
  program: () => 0,
  close() {},
} as unknown as LoadedObject

async function start(t: TestContext) {
  const node = fakeNode()
  t.after(() => node.scope.close())
  const settings = readSettings({
    args: [],
    env: { K8S_NODE_NAME: 'node-1' },
    directory: () => ({ ok: true, value: [] }),
  })
  assert.ok(settings.ok)
  const state = { notReady: '', ill: '', drift: '' }
  const parts: Parts = {
    version: 'test',
    settings: settings.value,
    db: node.db,
    targets: node.targets,
    scope: node.scope,
    maps: noMaps,
    datapath: {} as Datapath,
    places: { objects: '/o', maps: '/m', links: '/l', cgroup: '' },
    kube: undefined,
    kubeHealth: undefined,
    cni: openCni(node.db, node.targets, { notReady: () => state.notReady, log: () => {} }),
    monitor: {
      counter: eventCounter(),
      follow: () => () => {},
      followers: 0,
      fill: () => ({ waiting: 0, size: 4096 }),
      lost: () => 0,
    },
    envoy: undefined,
    dns: undefined,
    requests: requestLog(node.db),
    names: {
      learn: async () => {},
      clean: () => 0,
      collect: async () => {},
      close() {},
      entries: () => [],
      deleted: 0,
    },
    revisions: countRevisions(node.db, node.targets),
    endpointLog: endpointLog(node.db),
    sweeps: { runs: 0, last: { flows: 0, deleted: 0, ms: 0 } },
    notReady: (withKube = true) => (withKube ? state.notReady : state.ill),
    log: () => {},
    started: 0,
    calls: { ok: 0, failed: 0 },
    drift: () => ({ options: [], problem: state.drift }),
  }
  const table = [...routes(parts), ...healthRoutes(parts)]
  const ask = async <T = Record<string, never>>(
    path: string,
    params: RestRequest['params'] = {},
    headers = {},
  ): Promise<T> => {
    const route = table.find((r) => r.method === 'GET' && r.path === path)
    assert.ok(route, `no route ${path}`)
    return (await route.handle({ params, query: new URLSearchParams(), headers, body: undefined })).body as T
  }
  const add = async (name: string, labels: Record<string, string>) => {
    node.pod(name, labels)
    await parts.cni.handle({
      command: 'ADD',
      containerID: `c-${name}`,
      netns: '/x',
      ifname: 'eth0',
      args: `K8S_POD_NAMESPACE=default;K8S_POD_NAME=${name};K8S_POD_UID=uid-${name}`,
      config: {},
    })
  }
  const policy = (name: string, spec: object) => {
    const object = parsePolicyObject('CiliumNetworkPolicy', {
      metadata: { name, namespace: 'default', uid: name },
      spec,
    })
    assert.ok(object.ok)
    node.db.commit((tx) => tx.put(rows.ciliumNetworkPolicies, object.value))
  }
  return { ...node, parts, table, ask, add, policy, state }
}

interface EndpointModel {
  readonly id: number
  readonly status: {
    readonly state: string
    readonly identity: { readonly id: number; readonly labels: readonly string[] }
    readonly networking: { readonly addressing: readonly { readonly ipv4?: string; readonly ipv6?: string }[] }
    readonly policy: {
      readonly realized: {
        readonly 'policy-enabled': string
        readonly 'policy-revision': number
        readonly 'allowed-ingress-identities': readonly number[]
      }
    }
    readonly health: { readonly overallHealth: string }
  }
}

test('endpoints are told in the form clients of Cilium read, and found by every identifier', async (t) => {
  const { ask, add } = await start(t)
  await add('a', { app: 'a' })
  const [one] = await ask<EndpointModel[]>('/v1/endpoint')
  assert.ok(one)
  assert.equal(one.status.state, 'ready')
  assert.equal(one.status.health.overallHealth, 'OK')
  assert.ok(one.status.identity.id >= 256 && one.status.identity.labels.includes('k8s:app=a'))
  assert.deepEqual(one.status.networking.addressing, [{ ipv4: '10.244.0.2', ipv6: 'fd00:10:244::2' }])
  assert.equal(one.status.policy.realized['policy-enabled'], 'none')
  for (const id of [
    String(one.id),
    `cilium-local:${one.id}`,
    'ipv4:10.244.0.2',
    'ipv6:fd00:10:244::2',
    'pod-name:default:a',
    'container-id:c-a',
    'cni-attachment-id:c-a:eth0',
  ])
    assert.equal((await ask<EndpointModel>('/v1/endpoint/{id}', { id })).id, one.id, id)
  await assert.rejects(ask('/v1/endpoint/{id}', { id: '0' }), (e) => e instanceof RestError && e.status === 404)
  await assert.rejects(
    ask('/v1/endpoint/{id}', { id: 'nonsense:1' }),
    (e) => e instanceof RestError && e.status === 400,
  )
})

test('a policy shows in the endpoint it selects, with who is allowed and at which revision', async (t) => {
  const { ask, add, policy } = await start(t)
  await add('server', { app: 'server' })
  await add('friend', { app: 'friend' })
  const before = (await ask<{ revision: number }>('/v1/policy')).revision
  policy('p', {
    endpointSelector: { matchLabels: { app: 'server' } },
    ingress: [{ fromEndpoints: [{ matchLabels: { app: 'friend' } }] }],
  })
  const after = await ask<{ revision: number; policy: string }>('/v1/policy')
  assert.equal(after.revision, before + 1)
  assert.equal(JSON.parse(after.policy)[0].labels[1].value, 'p')
  const endpoints = await ask<EndpointModel[]>('/v1/endpoint')
  const of = (name: string) => endpoints.find((e) => e.status.identity.labels.includes(`k8s:app=${name}`))
  const realized = of('server')?.status.policy.realized
  assert.equal(realized?.['policy-enabled'], 'ingress')
  assert.equal(realized?.['policy-revision'], after.revision)
  assert.ok(realized?.['allowed-ingress-identities'].includes(of('friend')?.status.identity.id ?? 0))
  assert.equal(of('friend')?.status.policy.realized['policy-enabled'], 'none')
  const selectors = await ask<{ selector: string; identities: number[] }[]>('/v1/policy/selectors')
  assert.ok(selectors.some((s) => s.selector.includes('app=friend') && s.identities.length === 1))
})

test('the audit mode of an endpoint is its own, is kept, and goes with it; that of the node is everybody’s', async (t) => {
  const { ask, add, table, storedOptions, db, parts } = await start(t)
  await add('app', { id: 'app1' })
  await add('other', { id: 'app1' })
  const patch = async (path: string, body: unknown, params: RestRequest['params'] = {}) => {
    const route = table.find((r) => r.method === 'PATCH' && r.path === path)
    assert.ok(route)
    return (await route.handle({ params, query: new URLSearchParams(), headers: {}, body })).status
  }
  const shut = { endpointSelector: { matchLabels: { id: 'app1' } }, ingress: [{}], labels: ['name=shut'] }
  const put = table.find((r) => r.method === 'PUT' && r.path === '/v1/policy')
  await put?.handle({ params: {}, query: new URLSearchParams(), headers: {}, body: [shut] })
  const [first] = await ask<{ id: number }[]>('/v1/endpoint')
  const id = String(first?.id)
  const enabled = async () => {
    const all = [...(await ask<EndpointModel[]>('/v1/endpoint'))].sort((a) => (a.id === Number(id) ? -1 : 1))
    return all.map((e) => e.status.policy.realized['policy-enabled'])
  }
  assert.deepEqual(await enabled(), ['ingress', 'ingress'])
  const path = '/v1/endpoint/{id}/config'
  const options = async () =>
    (await ask<{ realized: { options: Record<string, string> } }>(path, { id })).realized.options
  assert.equal(await patch(path, { options: { policyauditmode: 'enable', Debug: 'Disabled' } }, { id }), 200)
  assert.equal((await options())['PolicyAuditMode'], 'Enabled')
  assert.deepEqual(await enabled(), ['audit-ingress', 'ingress'])
  assert.deepEqual(
    [...storedOptions.there.values()].map((o) => o.policyAuditMode),
    [true],
  )
  const wrong = (body: unknown, message: RegExp, at = path) =>
    assert.rejects(
      patch(at, body, { id }),
      (e) => e instanceof RestError && e.status === 400 && message.test(e.message),
    )
  await wrong({ options: { PolicyAudit: 'on' } }, /options\.PolicyAudit: there is no such option .*PolicyAuditMode/)
  await wrong({ options: { PolicyAuditMode: 'perhaps' } }, /'perhaps' is neither enable nor disable/)
  await wrong({ options: { Debug: 'enable' } }, /options\.Debug: is fixed at Disabled/)
  await wrong({ 'policy-enforcement': 'sometimes' }, /policy-enforcement: 'sometimes'/, '/v1/config')
  assert.equal(await patch('/v1/config', { options: { PolicyAuditMode: 'Enabled' } }), 200)
  assert.deepEqual(await enabled(), ['audit-ingress', 'audit-ingress'])
  await wrong({ options: { PolicyAuditMode: 'disable' } }, /enabled for the whole node/)
  await patch('/v1/config', { options: { PolicyAuditMode: 'off' } })
  assert.equal(await patch(path, { options: { PolicyAuditMode: 'off' } }, { id }), 200)
  assert.deepEqual(await enabled(), ['ingress', 'ingress'])
  await patch('/v1/config', { 'policy-enforcement': 'never' })
  assert.deepEqual(await enabled(), ['none', 'none'])
  for (const name of ['app', 'other'])
    await parts.cni.handle({
      ...{ command: 'DEL', containerID: `c-${name}`, netns: '/x', ifname: 'eth0' },
      ...{ args: '', config: {} },
    })
  assert.equal(db.count(rows.endpointRequests), 0)
  assert.equal(storedOptions.there.size, 0)
})

test('imported rules are enforced, shown, kept and deleted by their labels', async (t) => {
  const { ask, add, table, storedRules, db } = await start(t)
  await add('app', { id: 'app1' })
  const send = async (method: string, body: unknown, query = '') => {
    const route = table.find((r) => r.method === method && r.path === '/v1/policy')
    assert.ok(route)
    const answer = await route.handle({ params: {}, query: new URLSearchParams(query), headers: {}, body })
    return (answer.body as { readonly revision: number }).revision
  }
  const rule = {
    labels: [{ key: 'name', value: 'l3-rule' }],
    endpointSelector: { matchLabels: { id: 'app1' } },
    ingress: [{ fromEndpoints: [{ matchLabels: { id: 'app2' } }] }],
  }
  const before = (await ask<{ revision: number }>('/v1/policy')).revision
  const enabled = async () => (await ask<EndpointModel[]>('/v1/endpoint'))[0]?.status.policy.realized['policy-enabled']
  assert.equal(await send('PUT', [rule]), before + 1)
  assert.equal(await enabled(), 'ingress')
  assert.equal(await send('PUT', [rule]), before + 1, 'what is there already is not there twice')
  await send('PUT', [{ ...rule, labels: ['name=other', 'k8s:team=x'] }])
  assert.equal(storedRules.there.size, 2)
  const shown = JSON.parse((await ask<{ policy: string }>('/v1/policy')).policy) as { labels: object[] }[]
  assert.deepEqual(
    shown.flatMap((r) => r.labels),
    [
      { key: 'name', value: 'l3-rule', source: 'unspec' },
      { key: 'name', value: 'other', source: '' },
      { key: 'team', value: 'x', source: 'k8s' },
    ].map((l) => ({ ...l, source: l.source || 'unspec' })),
  )
  const bad = { ...rule, ingres: [], egress: [{ toEntities: ['moon'] }] }
  await assert.rejects(
    send('PUT', [{ ...rule, labels: ['name=third'] }, bad]),
    (e) => e instanceof RestError && e.status === 400 && /\[1\]\.ingres: .*\[1\]\.egress\[0\]/.test(e.message),
  )
  await assert.rejects(send('PUT', { rules: [] }), (e) => e instanceof RestError && e.status === 400)
  assert.equal(db.count(rows.importedRules), 2, 'all or nothing')
  await assert.rejects(send('DELETE', undefined, 'labels=name=none'), (e) => e instanceof RestError && e.status === 404)
  await send('DELETE', undefined, 'labels=name=l3-rule')
  assert.equal(await enabled(), 'ingress')
  await send('PUT', [{ ...rule, labels: ['name=new'] }], 'replace-with-labels=k8s:team=x')
  await send('PUT', [rule], 'replace=true')
  assert.equal(db.count(rows.importedRules), 1, 'the others are replaced')
  await send('DELETE', undefined)
  assert.equal(await enabled(), 'none')
  assert.equal(storedRules.there.size, 0)
  storedRules.state.refuse = 'the disk is full'
  await assert.rejects(send('PUT', [rule]), (e) => e instanceof RestError && /the disk is full/.test(e.message))
  assert.equal(db.count(rows.importedRules), 0)
})

test('status says Ok, or what is missing, and answers probes', async (t) => {
  const { ask, state, table } = await start(t)
  const status = await ask<{
    cilium: { state: string }
    kubernetes: { state: string }
    'kube-proxy-replacement': { features: { nodePort: { enabled: boolean } } }
  }>('/v1/healthz')
  assert.equal(status.cilium.state, 'Ok')
  assert.equal(status['kube-proxy-replacement'].features.nodePort.enabled, true)
  state.notReady = 'no pod prefix yet'
  assert.deepEqual((await ask<{ cilium: object }>('/v1/healthz')).cilium, {
    state: 'Failure',
    msg: 'no pod prefix yet',
  })
  const probe = table.find((r) => r.path === '/healthz')
  const asked = (headers: object) =>
    probe?.handle({ params: {}, query: new URLSearchParams(), headers: { brief: 'true', ...headers }, body: undefined })
  assert.deepEqual(await asked({}), { status: 503, text: 'no pod prefix yet\n' })
  const alone = { 'require-k8s-connectivity': 'false' }
  assert.deepEqual(await asked(alone), { text: 'OK\n' }, 'what Kubernetes has yet to say is no reason to kill it')
  state.ill = 'the programs are not loaded'
  assert.deepEqual(await asked(alone), { status: 503, text: 'the programs are not loaded\n' })
})

test('rows that can not be made so are a warning that names their table', async (t) => {
  const { ask, add, owners } = await start(t)
  owners.state.refuse = 'cilium_owners is full'
  void add('a', { app: 'a' })
  await new Promise((r) => setTimeout(r, 50))
  const status = await ask<{ cilium: { state: string; msg: string }; conditions: { name: string }[] }>('/v1/healthz')
  assert.equal(status.cilium.state, 'Warning')
  assert.match(status.cilium.msg, /rows of owners could not be made so: cilium_owners is full/)
  assert.deepEqual(
    status.conditions.map((c) => c.name),
    ['owners'],
  )
})

test('status names pods without an endpoint of ours, and a configuration that was changed', async (t) => {
  const { ask, add, db, state } = await start(t)
  await add('a', { app: 'a' })
  const running = { phase: 'Running', podIPs: ['10.0.0.7'] }
  db.commit((tx) => {
    tx.put(rows.pods, { ...podRow('a', { app: 'a' }), ...running })
    tx.put(rows.pods, { ...podRow('old'), ...running })
    tx.put(rows.pods, { ...podRow('agent'), ...running, hostNetwork: true })
    tx.put(rows.pods, podRow('starting'))
  })
  state.drift = 'mtu is not a number'
  const status = await ask<{ 'unmanaged-pods': { pod: string; reason: string }[]; conditions: { name: string }[] }>(
    '/v1/healthz',
  )
  assert.deepEqual(status['unmanaged-pods'], [
    { pod: 'default/agent', reason: 'in the network of the node' },
    { pod: 'default/old', reason: 'started before this agent or by another plugin' },
  ])
  assert.deepEqual(
    status.conditions.map((c) => c.name),
    ['configuration'],
  )
})

test('every list of the debug CLI answers, and debuginfo holds them all', async (t) => {
  const { ask, add, table } = await start(t)
  await add('a', { app: 'a' })
  const lists = table.filter(
    (r) =>
      r.method === 'GET' &&
      !r.path.includes('{') &&
      !['/v1/monitor', '/v1/debuginfo', '/v1/metrics/', '/healthz'].includes(r.path),
  )
  for (const r of lists) assert.notEqual(await ask(r.path), undefined, r.path)
  const identities = await ask<{ id: number; labels: string[] }[]>('/v1/identity')
  assert.ok(identities.some((i) => i.id === 1 && i.labels[0] === 'reserved:host'))
  const addresses = await ask<{ cidr: string; identity: number }[]>('/v1/ip')
  assert.ok(addresses.some((a) => a.cidr === '10.244.0.2/32' && a.identity >= 256))
  const config = await ask<{ status: { daemonConfigurationMap: Record<string, unknown> } }>('/v1/config')
  assert.match(String(config.status.daemonConfigurationMap['Version']), /^\d+\.\d+\.\d+$/)
  const tables = await ask<{ name: string; rows: number }[]>('/v1/statedb')
  assert.ok(tables.some((s) => s.name === 'endpoints' && s.rows === 1))
})
