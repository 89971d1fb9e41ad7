// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { once } from 'node:events'
import type { IncomingMessage } from 'node:http'
import { connect } from 'node:http2'
import { type RequestOptions, request } from 'node:https'
import { after, before, test } from 'node:test'
import { bodyLimit } from '../../../src/apps/lab/api/message.ts'
import { type Bench, openBench } from './kubectl.ts'

let bench: Bench
before(async () => {
  bench = await openBench()
})
after(() => bench.close())

interface Answer {
  readonly code: number
  readonly body: Record<string, unknown>
  readonly headers: IncomingMessage['headers']
}

function send(path: string, options: RequestOptions, body?: string | Buffer): Promise<IncomingMessage> {
  const { api } = bench
  return new Promise((resolve, reject) => {
    const headers = { authorization: `Bearer ${api.access.adminToken}`, ...options.headers }
    const outgoing = request(api.url + path, { ca: api.authority, ...options, headers }, resolve)
    outgoing.on('error', reject)
    outgoing.end(body)
  })
}

async function ask(path: string, options: RequestOptions = {}, body?: string | Buffer): Promise<Answer> {
  const incoming = await send(path, options, body)
  let text = ''
  for await (const part of incoming) text += part
  return {
    code: incoming.statusCode ?? 0,
    headers: incoming.headers,
    body: text.startsWith('{') ? JSON.parse(text) : { text },
  }
}

const post = (path: string, body: string | Buffer, type = 'application/json') =>
  ask(path, { method: 'POST', headers: { 'content-type': type } }, body)
const reason = (answer: Answer): readonly unknown[] => [answer.code, answer.body['kind'], answer.body['reason']]
const maps = '/api/v1/namespaces/default/configmaps'

test('bad requests are answered with a Status that says what is wrong', async () => {
  assert.deepEqual(reason(await ask(maps, { headers: { authorization: 'Bearer wrong' } })), [
    401,
    'Status',
    'Unauthorized',
  ])
  assert.deepEqual(reason(await ask('/api/v1/namespaces/default/nothings')), [404, 'Status', 'NotFound'])
  assert.deepEqual(reason(await ask('/nowhere')), [404, 'Status', 'NotFound'])
  assert.deepEqual(reason(await ask('/%zz')), [400, 'Status', 'BadRequest'])
  assert.deepEqual(reason(await ask(`${maps}?labelSelector=a+b`)), [400, 'Status', 'BadRequest'])
  assert.deepEqual(reason(await ask(`${maps}?continue=garbage`)), [400, 'Status', 'BadRequest'])
  assert.deepEqual(reason(await ask(maps, { method: 'TRACE' })), [405, 'Status', 'MethodNotAllowed'])
  assert.deepEqual(reason(await post(maps, '{"kind":')), [400, 'Status', 'BadRequest'])
  assert.deepEqual(reason(await post(maps, '')), [400, 'Status', 'BadRequest'])
  assert.deepEqual(reason(await post(maps, '[1]')), [400, 'Status', 'BadRequest'])
  assert.deepEqual(reason(await post(maps, '{"kind":"Pod","apiVersion":"v1"}')), [400, 'Status', 'BadRequest'])
  assert.deepEqual(reason(await post(maps, '{"metadata":{"name":"x"},"data":{"a":1}}')), [400, 'Status', 'BadRequest'])
  assert.deepEqual(reason(await post(maps, 'k8s\0\xff\xff\xff', 'application/vnd.kubernetes.protobuf')), [
    400,
    'Status',
    'BadRequest',
  ])
  assert.deepEqual(reason(await post(maps, '{}', 'application/cbor')), [415, 'Status', 'UnsupportedMediaType'])
  assert.deepEqual(reason(await post(maps, Buffer.alloc(bodyLimit + 1, 0x20))), [
    413,
    'Status',
    'RequestEntityTooLarge',
  ])
  assert.deepEqual(reason(await post('/api/v1/namespaces/nowhere/configmaps', '{"metadata":{"name":"x"}}')), [
    404,
    'Status',
    'NotFound',
  ])
  assert.deepEqual(
    reason(
      await ask(`${maps}/kube-root-ca.crt`, { method: 'PATCH', headers: { 'content-type': 'application/json' } }, '{}'),
    ),
    [415, 'Status', 'UnsupportedMediaType'],
  )
  assert.equal((await ask('/healthz', { headers: { authorization: '' } })).body['text'], 'ok')
})

test('a list is cut into pages that together are the list, at one resource version', async () => {
  for (let i = 0; i < 5; i++)
    bench.api.store.create('configmaps', { metadata: { namespace: 'kube-public', name: `m${i}` } })
  const names: unknown[] = []
  const versions = new Set<unknown>()
  let token = ''
  do {
    const { body } = await ask(`/api/v1/namespaces/kube-public/configmaps?limit=2${token && `&continue=${token}`}`)
    const metadata = body['metadata'] as { continue?: string; resourceVersion: string }
    names.push(...(body['items'] as { metadata: { name: string } }[]).map((o) => o.metadata.name))
    versions.add(metadata.resourceVersion)
    bench.api.store.create('configmaps', { metadata: { namespace: 'default', generateName: 'meanwhile-' } })
    token = metadata.continue ?? ''
  } while (token !== '')
  assert.deepEqual(names, ['kube-root-ca.crt', 'm0', 'm1', 'm2', 'm3', 'm4'])
  assert.equal(versions.size, 1)
})

/** The first `count` events of a watch. */
async function events(
  query: string,
  count: number,
  act: () => void = () => {},
): Promise<readonly Record<string, unknown>[]> {
  const incoming = await send(`${maps}?watch=true&${query}`, {})
  act()
  let text = ''
  for await (const part of incoming) {
    text += part
    if (text.split('\n').length > count) break
  }
  incoming.destroy()
  return text
    .split('\n')
    .slice(0, count)
    .map((line) => JSON.parse(line) as Record<string, unknown>)
}
const brief = (all: readonly Record<string, unknown>[]) =>
  all.map((e) => `${e['type']} ${(e['object'] as { metadata?: { name?: string } }).metadata?.name ?? ''}`.trim())

test('a watch tells what follows its version: creation, change, deletion, at rising versions', async () => {
  const { store } = bench.api
  const all = await events(`resourceVersion=${store.revision}`, 3, () => {
    store.create('configmaps', { metadata: { namespace: 'default', name: 'seen' } })
    store.modify('configmaps', 'default', 'seen', (o) => ({ ...o, data: { a: 'b' } }))
    store.delete('configmaps', 'default', 'seen')
  })
  assert.deepEqual(brief(all), ['ADDED seen', 'MODIFIED seen', 'DELETED seen'])
  const versions = all.map((e) =>
    Number((e['object'] as { metadata: { resourceVersion: string } }).metadata.resourceVersion),
  )
  assert.deepEqual(
    versions,
    versions.toSorted((a, b) => a - b),
  )
})

test('a watch with initial events marks their end, and one without bookmarks is refused', async () => {
  const streaming =
    'sendInitialEvents=true&resourceVersionMatch=NotOlderThan&fieldSelector=metadata.name%3Dkube-root-ca.crt'
  const [first, mark] = await events(`${streaming}&allowWatchBookmarks=true`, 2)
  assert.deepEqual(brief([first!, mark!]), ['ADDED kube-root-ca.crt', 'BOOKMARK'])
  assert.deepEqual((mark!['object'] as { metadata: { annotations: object } }).metadata.annotations, {
    'k8s.io/initial-events-end': 'true',
  })
  assert.deepEqual(reason(await ask(`${maps}?watch=true&${streaming}`)), [422, 'Status', 'Invalid'])
})

test('a watch from a version that is forgotten, or yet to come, gets an Expired error and ends', async () => {
  for (const version of ['1', '99999999']) {
    if (version === '1')
      for (let i = 0; i < 10_001; i++)
        bench.api.store.create('configmaps', { metadata: { namespace: 'kube-node-lease', name: `n${i}` } })
    const { code, body } = await ask(`${maps}?watch=true&resourceVersion=${version}`)
    const status = body['object'] as { code: number; reason: string }
    assert.deepEqual([code, body['type'], status.code, status.reason], [200, 'ERROR', 410, 'Expired'])
  }
})

test('metadata alone, and tables, are given to those who ask', async () => {
  const accept = (as: string) => ({ headers: { accept: `application/json;as=${as};v=v1;g=meta.k8s.io` } })
  const partial = await ask(`${maps}/kube-root-ca.crt`, accept('PartialObjectMetadata'))
  assert.equal(partial.body['kind'], 'PartialObjectMetadata')
  assert.equal(partial.body['data'], undefined)
  assert.equal((await ask(maps, accept('PartialObjectMetadataList'))).body['kind'], 'PartialObjectMetadataList')
  const table = await ask(`${maps}?fieldSelector=metadata.name%3Dkube-root-ca.crt`, accept('Table'))
  const rows = table.body['rows'] as { cells: unknown[] }[]
  assert.deepEqual(
    rows.map((r) => r.cells.slice(0, 2)),
    [['kube-root-ca.crt', 1]],
  )
})

test('discovery is given as asked, with a tag that saves sending it twice', async () => {
  for (const version of ['v2', 'v2beta1']) {
    const accept = `application/json;g=apidiscovery.k8s.io;v=${version};as=APIGroupDiscoveryList`
    const first = await ask('/apis', { headers: { accept } })
    assert.equal(first.body['apiVersion'], `apidiscovery.k8s.io/${version}`)
    assert.equal(first.headers['content-type'], accept)
    const again = await ask('/apis', { headers: { accept, 'if-none-match': first.headers.etag! } })
    assert.equal(again.code, 304)
  }
  assert.equal((await ask('/apis')).body['kind'], 'APIGroupList')
  assert.equal((await ask('/apis/apps/v1')).body['kind'], 'APIResourceList')
  assert.equal((await ask('/openapi/v2')).code, 200, 'kubectl reads it when a file holds a kind: List')
})

test('HTTP/2 clients are served on the same port', async () => {
  const session = connect(bench.api.url, { ca: bench.api.authority })
  const stream = session.request({ ':path': maps, authorization: `Bearer ${bench.api.access.adminToken}` })
  const [headers] = (await once(stream, 'response')) as [Record<string, unknown>]
  assert.equal(headers[':status'], 200)
  session.destroy()
})

test('a service account token stands for its account until it ends', async () => {
  const made = await post(
    '/api/v1/namespaces/default/serviceaccounts/default/token',
    '{"spec":{"expirationSeconds":600}}',
  )
  const { token } = made.body['status'] as { token: string }
  const self = '/apis/authentication.k8s.io/v1/selfsubjectreviews'
  const as = async (bearer: string) =>
    ask(self, { method: 'POST', headers: { authorization: `Bearer ${bearer}` } }, '{}')
  const { userInfo } = (await as(token)).body['status'] as { userInfo: { username: string } }
  assert.equal(userInfo.username, 'system:serviceaccount:default:default')
  assert.equal((await as(`${token.slice(0, -4)}AAAA`)).code, 401)
  assert.equal((await as('a.b.c')).code, 401)
})

test('an API that is away for a while loses nothing: a watch goes on from where it was', async () => {
  const { api } = bench
  const since = api.store.revision
  await api.pause()
  await assert.rejects(ask(maps))
  api.store.create('configmaps', { metadata: { namespace: 'default', name: 'while-away' } })
  await api.resume()
  assert.deepEqual(brief(await events(`resourceVersion=${since}`, 1)), ['ADDED while-away'])
})
