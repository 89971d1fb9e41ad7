// SPDX-License-Identifier: Apache-2.0
// A Kubernetes API of one collection that tests can break in every way: for tests of this room only.
import http from 'node:http'
import type { AddressInfo } from 'node:net'

export interface FakeServer {
  readonly url: string
  /** `METHOD path?query` of every request, in order. */
  readonly requests: string[]
  /** Puts an object under the next version and tells the watchers. */
  put(object: { metadata: { name: string } & Record<string, unknown> } & Record<string, unknown>): void
  remove(name: string): void
  bookmark(): void
  /** Sends raw text to all watchers. */
  raw(text: string): void
  /** Ends (or breaks) all watches. */
  cut(hard?: boolean): void
  /** Forgets history: watches from before now get 410. */
  compact(): void
  /** Answers the next requests so instead, until it returns false. */
  intercept?: ((request: http.IncomingMessage, response: http.ServerResponse) => boolean) | undefined
  close(): Promise<void>
  watchers(): number
}

type Stored = { metadata: { name: string; resourceVersion: string } }

export async function fakeServer(): Promise<FakeServer> {
  let version = 10
  let oldest = 0
  const objects = new Map<string, Stored>()
  const log: { version: number; text: string }[] = []
  const watchers = new Set<http.ServerResponse>()
  const fake: FakeServer = {
    url: '',
    requests: [],
    put(object) {
      version++
      const type = objects.has(object.metadata.name) ? 'MODIFIED' : 'ADDED'
      const stored = { ...object, metadata: { ...object.metadata, resourceVersion: String(version) } }
      objects.set(stored.metadata.name, stored)
      tell(type, stored)
    },
    remove(name) {
      const stored = objects.get(name)
      if (!stored) throw new Error(`no ${name}`)
      version++
      objects.delete(name)
      tell('DELETED', { ...stored, metadata: { ...stored.metadata, resourceVersion: String(version) } })
    },
    bookmark: () =>
      fake.raw(`${JSON.stringify({ type: 'BOOKMARK', object: { metadata: { resourceVersion: String(version) } } })}\n`),
    raw(text) {
      for (const w of watchers) w.write(text)
    },
    cut(hard = false) {
      for (const w of watchers) hard ? w.destroy() : w.end()
      watchers.clear()
    },
    compact() {
      oldest = version
      log.length = 0
      version++
    },
    watchers: () => watchers.size,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        server.closeAllConnections()
      }),
  }
  function tell(type: string, object: Stored) {
    const text = `${JSON.stringify({ type, object })}\n`
    log.push({ version, text })
    fake.raw(text)
  }
  const server = http.createServer((request, response) => {
    fake.requests.push(`${request.method} ${request.url}`)
    if (fake.intercept?.(request, response)) return
    const url = new URL(request.url ?? '/', 'http://fake')
    const send = (code: number, body: unknown) => {
      response.writeHead(code, { 'content-type': 'application/json' })
      response.end(JSON.stringify(body))
    }
    if (!url.searchParams.has('watch')) {
      const all = [...objects.values()]
      const limit = Number(url.searchParams.get('limit') ?? 0) || all.length
      const from = Number(url.searchParams.get('continue') ?? 0)
      const end = from + limit
      return send(200, {
        kind: 'List',
        metadata: { resourceVersion: String(version), ...(end < all.length ? { continue: String(end) } : {}) },
        items: all.slice(from, end),
      })
    }
    const since = Number(url.searchParams.get('resourceVersion') ?? 0)
    response.writeHead(200, { 'content-type': 'application/json' })
    response.flushHeaders()
    if (url.searchParams.has('sendInitialEvents')) {
      for (const object of objects.values()) response.write(`${JSON.stringify({ type: 'ADDED', object })}\n`)
      const metadata = { resourceVersion: String(version), annotations: { 'k8s.io/initial-events-end': 'true' } }
      response.write(`${JSON.stringify({ type: 'BOOKMARK', object: { metadata } })}\n`)
    } else if (since < oldest) {
      const object = { kind: 'Status', code: 410, reason: 'Expired', message: `too old resource version: ${since}` }
      return response.end(`${JSON.stringify({ type: 'ERROR', object })}\n`)
    } else for (const entry of log) if (entry.version > since) response.write(entry.text)
    watchers.add(response)
    response.on('close', () => watchers.delete(response))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  ;(fake as { url: string }).url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  return fake
}
