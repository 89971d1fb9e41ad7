// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { inClusterAccess, kubeconfigAccess, tokenFile } from './access.ts'
import { openKube } from './client.ts'
import { fakeServer } from './fake-server.ts'
import { frameSplitter } from './frames.ts'
import { reflect } from './reflector.ts'
import { CILIUM_IDENTITIES, type KubeObject, PODS, pathOf } from './resource.ts'
import { isNotFound, KubeError } from './status.ts'

async function until(what: string, condition: () => boolean): Promise<void> {
  for (let i = 0; i < 1000; i++) {
    if (condition()) return
    await new Promise((r) => setTimeout(r, 5))
  }
  assert.fail(`never: ${what}`)
}

async function watching(t: TestContext, options: { streamList?: boolean; pageSize?: number; idleMs?: number } = {}) {
  const server = await fakeServer()
  const kube = openKube({ server: server.url })
  const seen = new Map<string, KubeObject>()
  const state = { lists: 0, errors: [] as Error[] }
  const ending = new AbortController()
  let done: Promise<void> = Promise.resolve()
  const start = () => {
    done = reflect(
      kube,
      { resource: PODS, backoffMs: [1, 8], ...options },
      {
        replaced(objects) {
          state.lists++
          seen.clear()
          for (const o of objects) seen.set(o.metadata.name, o)
        },
        changed(events) {
          for (const e of events)
            if (e.type === 'put') seen.set(e.object.metadata.name, e.object)
            else seen.delete(e.object.metadata.name)
        },
        health: (e) => e && state.errors.push(e),
      },
      ending.signal,
    )
  }
  t.after(async () => {
    ending.abort()
    await done
    kube.close()
    await server.close()
  })
  const lists = () => server.requests.filter((r) => !r.includes('watch=')).length
  return { server, kube, seen, state, start, lists }
}
const pod = (name: string, fields: object = {}) => ({ metadata: { name }, ...fields })

test('a reflector lists once and then follows additions, changes and removals', async (t) => {
  const { server, seen, start, lists } = await watching(t)
  server.put(pod('a'))
  start()
  await until('list', () => seen.has('a') && server.watchers() === 1)
  server.put(pod('b'))
  server.put(pod('a', { spec: 2 }))
  server.remove('b')
  await until('follow', () => seen.get('a')?.['spec'] === 2 && !seen.has('b'))
  assert.equal(lists(), 1)
})

test('what is read of an object is all that a listener is told of it, in lists, changes and removals', async (t) => {
  const server = await fakeServer()
  const kube = openKube({ server: server.url })
  const ending = new AbortController()
  const told: string[] = []
  server.put(pod('a'))
  const done = reflect(
    kube,
    { resource: PODS, backoffMs: [1, 8], read: (o) => o.metadata.name },
    {
      replaced: (names) => void told.push(`all ${names.join()}`),
      changed: (events) => void told.push(...events.map(({ type, object }) => `${type} ${object}`)),
    },
    ending.signal,
  )
  t.after(async () => {
    ending.abort()
    await done
    kube.close()
    await server.close()
  })
  await until('list', () => told.length === 1 && server.watchers() === 1)
  server.put(pod('b'))
  server.remove('a')
  await until('changes', () => told.length === 3)
  assert.deepEqual(told, ['all a', 'put b', 'remove a'])
})

test('a watch that ends or breaks is resumed at the last version without a new list', async (t) => {
  const { server, seen, start, lists } = await watching(t)
  start()
  await until('watch', () => server.watchers() === 1)
  for (const hard of [false, true]) {
    server.put(pod(`before-${hard}`))
    await until('before', () => seen.has(`before-${hard}`))
    server.cut(hard)
    server.put(pod(`between-${hard}`))
    await until('between', () => seen.has(`between-${hard}`))
    await until('again', () => server.watchers() === 1)
  }
  assert.equal(lists(), 1)
})

test('a bookmark moves the place a watch is resumed at', async (t) => {
  const { server, start, lists } = await watching(t)
  start()
  await until('watch', () => server.watchers() === 1)
  server.compact()
  server.bookmark()
  await new Promise((r) => setTimeout(r, 20))
  server.cut()
  await until('again', () => server.watchers() === 1)
  assert.equal(lists(), 1, 'without the bookmark the server would have answered 410')
})

test('after 410 there is one new list, and what vanished meanwhile is gone', async (t) => {
  const { server, seen, start, lists, state } = await watching(t)
  server.put(pod('gone'))
  start()
  await until('watch', () => seen.has('gone') && server.watchers() === 1)
  server.cut()
  server.remove('gone')
  server.put(pod('new'))
  server.compact()
  await until('relist', () => seen.has('new') && !seen.has('gone'))
  assert.equal(lists(), 2)
  assert.equal(state.lists, 2)
  assert.ok(
    server.requests
      .filter((r) => !r.includes('watch='))
      .at(-1)
      ?.includes('resourceVersion') === false,
  )
})

test('an API server that is away for a while costs no list', async (t) => {
  const { server, seen, start, lists } = await watching(t)
  start()
  await until('watch', () => server.watchers() === 1)
  let refused = 0
  server.intercept = (_, response) => {
    response.destroy()
    return ++refused < 6
  }
  server.cut(true)
  await until('refusals', () => refused >= 5)
  server.intercept = undefined
  server.put(pod('later'))
  await until('later', () => seen.has('later'))
  assert.equal(lists(), 1)
})

test('errors of the server are told with the request they belong to, again and again until it recovers', async (t) => {
  const { server, start, state } = await watching(t)
  server.intercept = (_, response) => {
    response.writeHead(500)
    response.end('no')
    return true
  }
  start()
  await until('errors', () => state.errors.length >= 6)
  assert.match(state.errors[0]?.message ?? '', /GET \/api\/v1\/pods: HTTP 500: no/)
  server.intercept = undefined
})

test('garbage in a watch ends that watch and loses nothing', async (t) => {
  const { server, seen, start, lists, state } = await watching(t)
  start()
  await until('watch', () => server.watchers() === 1)
  server.raw('{"type":"ADDED",\n')
  await until('error', () => state.errors.length === 1)
  server.put(pod('after'))
  await until('after', () => seen.has('after'))
  assert.equal(lists(), 1)
})

test('a silent watch is taken for dead and resumed', async (t) => {
  const { server, start, lists } = await watching(t, { idleMs: 30 })
  start()
  const watches = () => server.requests.filter((r) => r.includes('watch=')).length
  await until('second watch', () => watches() >= 2)
  assert.equal(lists(), 1)
})

test('a list comes in pages', async (t) => {
  const { server, seen, start, lists, state } = await watching(t, { pageSize: 2 })
  for (const name of ['a', 'b', 'c', 'd', 'e']) server.put(pod(name))
  start()
  await until('all', () => seen.size === 5)
  assert.equal(lists(), 3)
  assert.equal(state.lists, 1)
})

test('the initial objects can come by the watch itself', async (t) => {
  const { server, seen, start, lists, state } = await watching(t, { streamList: true })
  server.put(pod('a'))
  server.put(pod('b'))
  start()
  await until('initial', () => seen.size === 2)
  server.put(pod('c'))
  await until('live', () => seen.size === 3)
  assert.equal(lists(), 0)
  assert.equal(state.lists, 1)
})

test('a server without sendInitialEvents gets a list instead', async (t) => {
  const { server, seen, start, lists } = await watching(t, { streamList: true })
  server.put(pod('a'))
  server.intercept = (request, response) => {
    if (!request.url?.includes('sendInitialEvents')) return false
    response.writeHead(422, { 'content-type': 'application/json' })
    response.end(
      JSON.stringify({ kind: 'Status', code: 422, reason: 'Invalid', message: 'sendInitialEvents is forbidden' }),
    )
    return true
  }
  start()
  await until('list', () => seen.has('a'))
  assert.equal(lists(), 1)
})

test('frames survive any cut of the bytes', () => {
  const text = `${JSON.stringify({ a: 'ä€𝄞' })}\n\n${JSON.stringify({ b: [1, 2] })}\n`
  const bytes = Buffer.from(text)
  for (let at = 0; at <= bytes.length; at++) {
    const split = frameSplitter()
    assert.deepEqual([...split(bytes.subarray(0, at)), ...split(bytes.subarray(at))], [{ a: 'ä€𝄞' }, { b: [1, 2] }])
  }
  const small = frameSplitter(10)
  assert.throws(() => small(Buffer.from('"12345678901234')), /a frame above 10 bytes/)
})

test('an answer that is not 2xx is the Status it carries', async (t) => {
  const { server, kube } = await watching(t)
  server.intercept = (_, response) => {
    response.writeHead(404, { 'content-type': 'application/json' })
    response.end(JSON.stringify({ kind: 'Status', code: 404, reason: 'NotFound', message: 'pods "x" not found' }))
    return true
  }
  await assert.rejects(
    kube.get(PODS, 'default', 'x'),
    (e) => isNotFound(e) && (e as KubeError).message === 'pods "x" not found',
  )
})

test('an expired token is read again and the request repeated once', async (t) => {
  const server = await fakeServer()
  let token = 'old'
  const kube = openKube({ server: server.url, token: (fresh) => (fresh ? (token = 'new') : token) })
  t.after(async () => {
    kube.close()
    await server.close()
  })
  const used: (string | undefined)[] = []
  server.intercept = (request, response) => {
    used.push(request.headers.authorization)
    const good = request.headers.authorization === 'Bearer new'
    response.writeHead(good ? 200 : 401)
    response.end('{}')
    return true
  }
  await kube.get(PODS, 'default', 'x')
  assert.deepEqual(used, ['Bearer old', 'Bearer new'])
  server.intercept = (_, response) => {
    response.writeHead(401)
    response.end()
    return true
  }
  await assert.rejects(kube.get(PODS, 'default', 'x'), (e) => e instanceof KubeError && e.code === 401)
})

test('bodies and patches carry their content type', async (t) => {
  const { server, kube } = await watching(t)
  const got: string[] = []
  server.intercept = (request, response) => {
    let text = ''
    request.on('data', (c) => (text += c))
    request.on('end', () => {
      got.push(`${request.method} ${request.url} ${request.headers['content-type']} ${text}`)
      response.writeHead(200)
      response.end('{}')
    })
    return true
  }
  await kube.create(CILIUM_IDENTITIES, undefined, { a: 1 })
  await kube.patch(PODS, 'ns', 'p', [{ op: 'remove', path: '/x' }], { subresource: 'status' })
  await kube.patch(PODS, 'ns', 'p', { spec: null })
  await kube.update(PODS, { metadata: { name: 'p', namespace: 'ns' } }, 'status')
  assert.deepEqual(got, [
    'POST /apis/cilium.io/v2/ciliumidentities application/json {"a":1}',
    'PATCH /api/v1/namespaces/ns/pods/p/status application/json-patch+json [{"op":"remove","path":"/x"}]',
    'PATCH /api/v1/namespaces/ns/pods/p application/merge-patch+json {"spec":null}',
    'PUT /api/v1/namespaces/ns/pods/p/status application/json {"metadata":{"name":"p","namespace":"ns"}}',
  ])
})

test('a server that never answers is an error that says so', async (t) => {
  const server = await fakeServer()
  const kube = openKube({ server: server.url }, { timeoutMs: 20 })
  t.after(async () => {
    kube.close()
    await server.close()
  })
  server.intercept = () => true
  await assert.rejects(kube.get(PODS, 'default', 'x'), /no answer in 20 ms/)
})

test('credentials come from a kubeconfig, with files relative to it', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'kube-access-'))
  t.after(() => rmSync(dir, { recursive: true }))
  writeFileSync(join(dir, 'ca'), 'CA')
  const config = {
    'current-context': 'one',
    contexts: [{ name: 'one', context: { cluster: 'c', user: 'u', namespace: 'n' } }],
    clusters: [{ name: 'c', cluster: { server: 'https://h:6443/', 'certificate-authority': 'ca' } }],
    users: [{ name: 'u', user: { token: 'secret' } }],
  }
  const path = join(dir, 'config')
  writeFileSync(path, JSON.stringify(config))
  const access = kubeconfigAccess(path)
  assert.equal(access.server, 'https://h:6443')
  assert.equal(access.ca?.toString(), 'CA')
  assert.equal(access.token?.(), 'secret')
  assert.equal(access.namespace, 'n')
  writeFileSync(path, JSON.stringify({ ...config, 'current-context': 'two' }))
  assert.throws(() => kubeconfigAccess(path), /contexts has no entry "two"/)
})

test('credentials of a pod come from its service account, and the token is read again after a minute', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'kube-access-'))
  t.after(() => rmSync(dir, { recursive: true }))
  writeFileSync(join(dir, 'ca.crt'), 'CA')
  writeFileSync(join(dir, 'token'), 'one\n')
  const access = inClusterAccess({ KUBERNETES_SERVICE_HOST: 'fd00::1', KUBERNETES_SERVICE_PORT: '443' }, undefined, dir)
  assert.equal(access.server, 'https://[fd00::1]:443')
  let now = 0
  const token = tokenFile(join(dir, 'token'), () => now)
  assert.equal(token(), 'one')
  writeFileSync(join(dir, 'token'), 'two\n')
  assert.equal(token(), 'one')
  now = 61_000
  assert.equal(token(), 'two')
  assert.throws(() => inClusterAccess({}, undefined, dir), /KUBERNETES_SERVICE_HOST/)
})

test('paths name group, namespace, object and subresource, escaped', () => {
  assert.equal(pathOf(PODS, 'a b', 'c/d', 'status'), '/api/v1/namespaces/a%20b/pods/c%2Fd/status')
  assert.equal(pathOf(CILIUM_IDENTITIES, undefined, '7'), '/apis/cilium.io/v2/ciliumidentities/7')
  assert.equal(pathOf(PODS), '/api/v1/pods')
})
