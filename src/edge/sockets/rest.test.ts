// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import http from 'node:http'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { listenOnSocket } from './listen.ts'
import { RestError, type Route, restServer } from './rest.ts'

function scratch(t: TestContext): string {
  const dir = mkdtempSync(join(tmpdir(), 'rest-'))
  t.after(() => rmSync(dir, { recursive: true, force: true }))
  return join(dir, 'api.sock')
}

async function serve(t: TestContext, routes: readonly Route[], maxBodyBytes = 1000) {
  const path = scratch(t)
  const errors: string[] = []
  const close = await listenOnSocket(restServer(routes, { maxBodyBytes, onError: (e) => errors.push(e.message) }), path)
  t.after(close)
  return { path, errors, close }
}

function ask(
  socketPath: string,
  method: string,
  path: string,
  body?: string,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const request = http.request({ socketPath, method, path }, (response) => {
      let text = ''
      response.on('data', (c) => (text += c))
      response.on('end', () => resolve({ status: response.statusCode ?? 0, text }))
    })
    request.on('error', reject)
    request.end(body)
  })
}

function raw(path: string, bytes: string | Buffer): Promise<string> {
  return new Promise((resolve) => {
    const socket = net.connect(path)
    let text = ''
    socket.on('data', (c) => (text += c))
    socket.on('error', () => {})
    socket.on('close', () => resolve(text))
    socket.write(bytes)
  })
}

const routes: Route[] = [
  {
    method: 'GET',
    path: '/v1/thing/{id}',
    handle: ({ params, query }) => ({ body: { id: params['id'], q: query.get('q') } }),
  },
  { method: 'PUT', path: '/v1/thing/{id}', handle: ({ body }) => ({ status: 201, body }) },
  { method: 'GET', path: '/v1/fault', handle: () => Promise.reject(new Error('disk on fire')) },
  { method: 'GET', path: '/v1/refused', handle: () => Promise.reject(new RestError(409, 'taken')) },
  { method: 'GET', path: '/v1/text', handle: () => ({ text: 'plain' }) },
]

test('routes take parameters, queries and JSON bodies', async (t) => {
  const { path } = await serve(t, routes)
  assert.deepEqual(await ask(path, 'GET', '/v1/thing/a%2Fb?q=x%20y'), { status: 200, text: '{"id":"a/b","q":"x y"}\n' })
  assert.deepEqual(await ask(path, 'PUT', '/v1/thing/1', '{"a":[1]}'), { status: 201, text: '{"a":[1]}\n' })
  assert.deepEqual(await ask(path, 'GET', '/v1/text'), { status: 200, text: 'plain' })
})

test('faults of the caller and of the handler are answered with a sentence, and the server goes on', async (t) => {
  const { path, errors } = await serve(t, routes)
  assert.deepEqual(await ask(path, 'GET', '/v1/nothing'), {
    status: 404,
    text: '{"message":"no such path: /v1/nothing"}\n',
  })
  assert.equal((await ask(path, 'DELETE', '/v1/thing/1')).status, 405)
  assert.equal((await ask(path, 'PUT', '/v1/thing/1', '{nonsense')).status, 400)
  assert.equal((await ask(path, 'GET', '/v1/thing/%E0%A4%A')).status, 400)
  assert.deepEqual(await ask(path, 'GET', '/v1/refused'), { status: 409, text: '{"message":"taken"}\n' })
  assert.deepEqual(await ask(path, 'GET', '/v1/fault'), { status: 500, text: '{"message":"disk on fire"}\n' })
  assert.deepEqual(errors, ['disk on fire'])
  assert.equal((await ask(path, 'GET', '/v1/text')).status, 200)
})

test('a body above the limit is answered 413, announced or not', async (t) => {
  const { path } = await serve(t, routes)
  assert.equal((await ask(path, 'PUT', '/v1/thing/1', `"${'x'.repeat(2000)}"`)).status, 413)
  const chunked = `PUT /v1/thing/1 HTTP/1.1\r\nhost: x\r\ntransfer-encoding: chunked\r\n\r\n${'400\r\n'}${'x'.repeat(1024)}\r\n0\r\n\r\n`
  assert.match(await raw(path, chunked), /^HTTP\/1.1 413 /)
})

test('garbage on the socket is answered 400', async (t) => {
  const { path } = await serve(t, routes)
  for (const bytes of [
    'hello\r\n\r\n',
    Buffer.from([0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc, 3, 3]),
    `GET /${'x'.repeat(100_000)} HTTP/1.1\r\n\r\n`,
  ])
    assert.match(await raw(path, bytes), /^HTTP\/1.1 (400|431) /)
  assert.equal((await ask(path, 'GET', '/v1/text')).status, 200)
})

test('a stream goes on until its reader leaves', async (t) => {
  let left = false
  const { path } = await serve(t, [
    {
      method: 'GET',
      path: '/v1/lines',
      handle: () => ({
        stream: (sink) => {
          sink.line('one')
          const timer = setInterval(() => sink.line('more'), 5)
          return () => {
            clearInterval(timer)
            left = true
          }
        },
      }),
    },
  ])
  await new Promise<void>((resolve) => {
    const request = http.get({ socketPath: path, path: '/v1/lines' }, (response) => {
      let text = ''
      response.on('data', (c) => {
        text += c
        if (text.includes('one\nmore\nmore')) request.destroy()
      })
      response.on('close', resolve)
      response.on('error', () => {})
    })
  })
  for (let i = 0; i < 200 && !left; i++) await new Promise((r) => setTimeout(r, 5))
  assert.ok(left)
})

test('the socket is for root only, replaces a dead one, refuses a live one, and is gone after closing', async (t) => {
  const path = scratch(t)
  writeFileSync(path, 'left over')
  const close = await listenOnSocket(restServer(routes), path)
  assert.equal(statSync(path).mode & 0o777, 0o600)
  await assert.rejects(listenOnSocket(restServer(routes), path), /another process listens here/)
  await close()
  assert.ok(!existsSync(path))
})
