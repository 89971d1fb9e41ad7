// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { openNameCache } from '../../derive/names/cache.ts'
import { parsePolicyObject } from '../../model/policy.ts'
import * as rows from '../../model/rows.ts'
import { openCni } from './cni.ts'
import { fakeNode } from './fake-node.ts'
import { openNames, restoreNames } from './names.ts'

const limits = { minTtl: 0, maxAddresses: 50, maxKept: 10000, idleGrace: 0 }

async function start(t: TestContext) {
  const node = fakeNode()
  const dir = mkdtempSync(join(tmpdir(), 'names-'))
  t.after(async () => {
    await node.scope.close()
    rmSync(dir, { recursive: true })
  })
  const cni = openCni(node.db, node.targets, { notReady: () => '', log: () => {} })
  const add = async (name: string) => {
    node.pod(name, { app: name })
    await cni.handle({
      command: 'ADD',
      containerID: `c-${name}`,
      netns: '/x',
      ifname: 'eth0',
      args: `K8S_POD_NAMESPACE=default;K8S_POD_NAME=${name};K8S_POD_UID=uid-${name}`,
      config: {},
    })
  }
  const policy = (spec: object) => {
    const object = parsePolicyObject('CiliumNetworkPolicy', {
      metadata: { name: 'p', namespace: 'default', uid: 'p' },
      spec,
    })
    assert.ok(object.ok)
    node.db.commit((tx) => tx.put(rows.ciliumNetworkPolicies, object.value))
  }
  await add('a')
  policy({ endpointSelector: {}, egress: [{ toFQDNs: [{ matchPattern: '*.io' }] }] })
  const state = { now: 1000, connected: new Set<string>() }
  const file = join(dir, 'state/names.jsonl')
  const open = () => {
    const cache = openNameCache(limits)
    restoreNames(cache, node.db, file, '', () => {})
    return openNames(cache, {
      db: node.db,
      targets: node.targets,
      connected: async () => state.connected,
      file,
      now: () => state.now,
      log: (level, text) => assert.fail(`${level}: ${text}`),
    })
  }
  const client = '10.244.0.2'
  const told = (name: string, ...addresses: string[]) => ({
    client,
    name,
    addresses: addresses.map((address) => ({ address, ttl: 5 })),
  })
  return { ...node, add, policy, state, file, open, told, dir }
}

test('what is learnt is in the kernel when the promise resolves', async (t) => {
  const { open, told, ipcache } = await start(t)
  const names = open()
  await names.learn(told('Cilium.IO.', '192.0.2.1', '2001:DB8::1'))
  assert.deepEqual([...ipcache.there.keys()].sort(), ['192.0.2.1/32', '2001:db8::1/128'])
  await names.learn(told('else.where', '192.0.2.2'))
  assert.equal(ipcache.there.size, 2)
})

test('an address that needs other tables is announced after them', async (t) => {
  const { open, told, ipcache, policies, policy } = await start(t)
  const to = (rule: object, port: string) => ({ toFQDNs: [rule], toPorts: [{ ports: [{ port, protocol: 'TCP' }] }] })
  policy({ endpointSelector: {}, egress: [to({ matchName: 'a.io' }, '80'), to({ matchPattern: '*.io' }, '443')] })
  const names = open()
  await names.learn(told('b.io', '192.0.2.1'))
  policies.state.refuse = 'not yet'
  const late = names.learn(told('a.io', '192.0.2.2'))
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual([...ipcache.there.keys()], ['192.0.2.1/32'])
  policies.state.refuse = ''
  await late
  assert.deepEqual([...ipcache.there.keys()], ['192.0.2.1/32', '192.0.2.2/32'])
})

test('answers of one turn are one commit, and known ones none', async (t) => {
  const { open, told, db } = await start(t)
  const names = open()
  let commits = 0
  db.listen(() => commits++)
  await Promise.all([1, 2, 3].map((n) => names.learn(told('a.io', `192.0.2.${n}`))))
  assert.equal(commits, 1)
  await names.learn(told('a.io', '192.0.2.1', '192.0.2.3'))
  assert.equal(commits, 1)
})

test('a full map rejects, and an address that is under way is waited for by all who were told it', async (t) => {
  const { open, told, ipcache } = await start(t)
  const names = open()
  ipcache.state.refuse = 'the map is full'
  const first = names.learn(told('a.io', '192.0.2.1'))
  const second = names.learn(told('a.io', '192.0.2.1'))
  await assert.rejects(first, /192\.0\.2\.1: the map is full/)
  await assert.rejects(second, /the map is full/)
})

test('what was learnt outlives the agent, at once and without what a crash cut off', async (t) => {
  const { open, told, ipcache, file, db } = await start(t)
  await open().learn(told('a.io', '192.0.2.1'))
  const line = readFileSync(file, 'utf8')
  writeFileSync(file, `${line}${line}`)
  db.commit((tx) => tx.replace(rows.learntNames, []))
  assert.equal(ipcache.there.size, 0)
  const again = open()
  assert.equal(ipcache.there.size, 1)
  assert.equal([...again.entries()].length, 1)
})

test('a name that was asked for again is known as long after a crash', async (t) => {
  const { open, told, state } = await start(t)
  const names = open()
  await names.learn(told('a.io', '192.0.2.1'))
  state.now += 100
  await names.learn(told('a.io', '192.0.2.1'))
  await new Promise((resolve) => setImmediate(resolve))
  assert.deepEqual([...open().entries()], [...names.entries()])
})

test('one pod can not fill the node with names', async (t) => {
  const { open, told } = await start(t)
  const names = open()
  const address = (n: number) => `20.${n >> 16}.${(n >> 8) & 255}.${n & 255}`
  const learn = (n: number, name: string) =>
    names.learn(told(name, ...Array.from({ length: 1024 }, (_, i) => address(n * 1024 + i))))
  const known = Promise.all(Array.from({ length: 64 }, (_, n) => learn(n, `n${n}.test`)))
  await assert.rejects(learn(64, 'more.test'), /10\.244\.0\.2 knows 65536 addresses by names already/)
  await known
  await learn(3, 'n3.test')
})

test('names go with their endpoint', async (t) => {
  const { open, told, ipcache, db } = await start(t)
  const names = open()
  await names.learn(told('a.io', '192.0.2.1'))
  db.commit((tx) => tx.replace(rows.endpointRequests, []))
  await new Promise((resolve) => setImmediate(resolve))
  assert.equal(ipcache.there.size, 0)
  await names.learn(told('a.io', '192.0.2.1'))
  assert.equal([...names.entries()].length, 0)
})

test('what has expired goes when nobody is connected to it any more', async (t) => {
  const { open, told, ipcache, state, file } = await start(t)
  const names = open()
  await names.learn(told('a.io', '192.0.2.1', '192.0.2.2'))
  state.connected.add('192.0.2.2')
  for (const _ of [1, 2]) {
    state.now += 60
    await names.collect()
  }
  assert.deepEqual([...ipcache.there.keys()], ['192.0.2.2/32'])
  assert.equal(readFileSync(file, 'utf8').trim().split('\n').length, 1)
  assert.equal(
    names.clean((e) => e.name === 'a.io'),
    1,
  )
  assert.equal(ipcache.there.size, 0)
})

test('names to begin with come from a file', async (t) => {
  const { db, dir, ipcache } = await start(t)
  const path = join(dir, 'pre.json')
  const expires = { 'lookup-time': '2026-01-01T00:00:00Z', 'expiration-time': '2027-01-01T00:00:00Z', ttl: 60 }
  writeFileSync(path, JSON.stringify([{ fqdn: 'A.io.', ips: ['192.0.2.9', 'no address'], ...expires }]))
  const told: string[] = []
  restoreNames(openNameCache(limits), db, join(dir, 'none'), path, (_, text) => told.push(text))
  assert.deepEqual([...ipcache.there.keys()], ['192.0.2.9/32'])
  writeFileSync(path, 'nothing')
  restoreNames(openNameCache(limits), db, join(dir, 'none'), path, (_, text) => told.push(text))
  assert.match(told.join(), /tofqdns-pre-cache .* is passed over/)
})
