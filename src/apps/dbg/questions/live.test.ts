// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { readObjects } from '../../../derive/questions/objects.ts'
import { importedRules, readLive } from './live.ts'

/** An API server that knows pods, in two pages, and no other kind. */
async function withServer(work: (kubeconfig: string) => Promise<void>): Promise<void> {
  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '/', 'http://server')
    const page = url.searchParams.get('continue') ?? ''
    const name = page === '' ? 'first' : 'second'
    const found = url.pathname === '/api/v1/pods'
    const items = [{ metadata: { name, namespace: 'x' }, spec: { containers: [] } }]
    response.writeHead(found ? 200 : 404, { 'content-type': 'application/json' })
    response.end(
      JSON.stringify(
        found
          ? { kind: 'PodList', metadata: { continue: page === '' ? 'more' : '' }, items }
          : {
              kind: 'Status',
              code: 404,
              reason: 'NotFound',
              message: 'the server could not find the requested resource',
            },
      ),
    )
  })
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening))
  const folder = mkdtempSync(join(tmpdir(), 'kubeconfig-'))
  const path = join(folder, 'config')
  const { port } = server.address() as AddressInfo
  const cluster = { server: `http://127.0.0.1:${port}` }
  writeFileSync(
    path,
    JSON.stringify({
      'current-context': 'it',
      contexts: [{ name: 'it', context: { cluster: 'it' } }],
      clusters: [{ name: 'it', cluster }],
    }),
  )
  try {
    await work(path)
  } finally {
    rmSync(folder, { recursive: true })
    server.closeAllConnections()
    await new Promise((closed) => server.close(closed))
  }
}

test('the live cluster is read page by page, and kinds it does not have are not there', () =>
  withServer(async (kubeconfig) => {
    const { found } = await readLive({ kubeconfig })
    const { members, problems } = readObjects(found.map((f) => f.object))
    assert.deepEqual(problems, [])
    assert.deepEqual(
      members.map((m) => `${m.pod.namespace}/${m.pod.name}`),
      ['x/first', 'x/second'],
    )
    assert.equal(found[0]?.file, 'Pod x/first')
  }))

test('without any credentials the sentence names the way out', async () => {
  await assert.rejects(
    readLive({ kubeconfig: '/nowhere/config' }),
    /can not be asked \(.*\/nowhere\/config.*\); give --cluster DIR/,
  )
})

test('rules that were imported into the agent of this node are asked too, without those it has from Kubernetes', async (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'agent-'))
  const label = (key: string, value: string) => ({ key, value, source: 'unspec' })
  const rules = [
    { endpointSelector: {}, labels: [label('io.cilium.k8s.policy.name', 'p')] },
    { endpointSelector: {}, labels: [label('name', 'mine')] },
  ]
  const server = createServer((_, response) => {
    response.end(JSON.stringify({ policy: JSON.stringify(rules), revision: 2 }))
  })
  const socket = join(dir, 'cilium.sock')
  await new Promise<void>((resolve) => server.listen(socket, resolve))
  t.after(() => {
    server.close()
    rmSync(dir, { recursive: true })
  })
  const found = await importedRules(socket)
  assert.deepEqual(
    found.map((f) => f.object),
    [rules[1]],
  )
  assert.deepEqual(await importedRules(join(dir, 'nobody')), [])
})
