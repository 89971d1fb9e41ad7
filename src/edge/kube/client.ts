// SPDX-License-Identifier: Apache-2.0
import http from 'node:http'
import https from 'node:https'
import type { Access } from './access.ts'
import { type KubeObject, pathOf, type Resource } from './resource.ts'
import { errorOf } from './status.ts'

export type Query = { readonly [name: string]: string | number | boolean | undefined }

export const JSON_PATCH = 'application/json-patch+json'
export const MERGE_PATCH = 'application/merge-patch+json'
export const STRATEGIC_PATCH = 'application/strategic-merge-patch+json'

export interface ListPage<T> {
  readonly items: readonly T[]
  readonly resourceVersion: string
  readonly continue: string
}

/** One API server. Every method rejects with KubeError for an answer that is not 2xx, with Error when none came. */
export interface Kube {
  readonly server: string
  request(method: string, path: string, options?: RequestOptions): Promise<unknown>
  /** Opens a response of unknown length; resolves once the headers are there. Destroy it to end. */
  stream(path: string, query: Query, signal: AbortSignal): Promise<http.IncomingMessage>
  get<T = KubeObject>(resource: Resource, namespace: string | undefined, name: string): Promise<T>
  list<T = KubeObject>(resource: Resource, namespace?: string, query?: Query): Promise<ListPage<T>>
  create<T = KubeObject>(resource: Resource, namespace: string | undefined, object: unknown): Promise<T>
  update<T = KubeObject>(resource: Resource, object: KubeObject, subresource?: string): Promise<T>
  patch<T = KubeObject>(
    resource: Resource,
    namespace: string | undefined,
    name: string,
    patch: unknown,
    options?: PatchOptions,
  ): Promise<T>
  delete(resource: Resource, namespace: string | undefined, name: string, options?: unknown): Promise<unknown>
  close(): void
}

export interface RequestOptions {
  readonly query?: Query
  readonly body?: unknown
  readonly contentType?: string
  readonly timeoutMs?: number
}

export interface PatchOptions {
  readonly subresource?: string
  /** JSON_PATCH (default for arrays), MERGE_PATCH (default for objects) or STRATEGIC_PATCH. */
  readonly type?: string
}

export interface KubeOptions {
  readonly userAgent?: string
  readonly timeoutMs?: number
  /** Called once per answered request: for metrics. */
  readonly observe?: (method: string, code: number, ms: number) => void
}

const REQUEST_TIMEOUT_MS = 30_000
const MAX_CONNECTIONS = 8

export function openKube(access: Access, options: KubeOptions = {}): Kube {
  const base = new URL(access.server)
  const secure = base.protocol === 'https:'
  const tls = {
    ca: access.ca,
    cert: access.cert,
    key: access.key,
    rejectUnauthorized: !access.insecure,
    ...(access.serverName ? { servername: access.serverName } : {}),
  }
  const pool = { keepAlive: true, maxSockets: MAX_CONNECTIONS, keepAliveMsecs: 15_000 }
  const agent = secure ? new https.Agent({ ...pool, ...tls }) : new http.Agent(pool)
  // A watch holds its connection for minutes: it must not take a place in the pool of the short requests.
  const watchPool = { keepAlive: false, keepAliveMsecs: 15_000 }
  const watchAgent = secure ? new https.Agent({ ...watchPool, ...tls }) : new http.Agent(watchPool)
  const prefix = base.pathname.replace(/\/$/, '')
  const userAgent = options.userAgent ?? 'cilium-ts'

  const open = (method: string, path: string, how: RequestOptions, pooled: boolean, signal?: AbortSignal) =>
    new Promise<http.IncomingMessage>((resolve, reject) => {
      const body = how.body === undefined ? undefined : Buffer.from(JSON.stringify(how.body))
      const token = access.token?.()
      const request = (secure ? https : http).request({
        host: base.hostname.replace(/^\[|\]$/g, ''),
        port: base.port || (secure ? 443 : 80),
        method,
        path: prefix + path + queryText(how.query),
        agent: pooled ? agent : watchAgent,
        ...(signal ? { signal } : {}),
        headers: {
          accept: 'application/json',
          'user-agent': userAgent,
          ...(token ? { authorization: `Bearer ${token}` } : {}),
          ...(body ? { 'content-type': how.contentType ?? 'application/json', 'content-length': body.length } : {}),
        },
      })
      const timeoutMs = how.timeoutMs ?? options.timeoutMs ?? REQUEST_TIMEOUT_MS
      const timer = setTimeout(
        () => request.destroy(new Error(`${method} ${path}: no answer in ${timeoutMs} ms`)),
        timeoutMs,
      )
      // A server whose machine died says nothing: probes find that out in half a minute.
      if (!pooled) request.on('socket', (socket) => socket.setKeepAlive(true, 15_000))
      request.on('error', (e) => {
        clearTimeout(timer)
        reject(e)
      })
      request.on('response', (response) => {
        // A pooled response is short and must end in time too; a stream watches over itself.
        if (pooled) response.on('close', () => clearTimeout(timer))
        else clearTimeout(timer)
        resolve(response)
      })
      request.end(body)
    })

  const request = async (method: string, path: string, how: RequestOptions = {}): Promise<unknown> => {
    for (let attempt = 0; ; attempt++) {
      const started = performance.now()
      let response: http.IncomingMessage
      let text: string
      try {
        response = await open(method, path, how, true)
        text = await textOf(response)
      } catch (e) {
        // The server closed an idle connection in the moment we used it: nothing was processed, so ask once more.
        if (attempt === 0 && (e as NodeJS.ErrnoException).code === 'ECONNRESET' && method === 'GET') continue
        throw e
      }
      const code = response.statusCode ?? 0
      options.observe?.(method, code, performance.now() - started)
      if (code === 401 && attempt === 0 && access.token) {
        access.token(true)
        continue
      }
      const answer = parseBody(text)
      if (code < 200 || code > 299)
        throw errorOf(code, answer, `${method} ${path}`, Number(response.headers['retry-after'] ?? 0) || 0)
      return answer
    }
  }

  return {
    server: access.server,
    request,
    async stream(path, query, signal) {
      const response = await open('GET', path, { query }, false, signal)
      const code = response.statusCode ?? 0
      if (code === 200) return response
      if (code === 401) access.token?.(true)
      throw errorOf(code, parseBody(await textOf(response)), `GET ${path}`)
    },
    get: (resource, namespace, name) => request('GET', pathOf(resource, namespace, name)) as Promise<never>,
    async list<T>(resource: Resource, namespace?: string, query: Query = {}): Promise<ListPage<T>> {
      const page = (await request('GET', pathOf(resource, namespace), { query })) as {
        items?: T[]
        metadata?: { resourceVersion?: string; continue?: string }
      }
      return {
        items: page.items ?? [],
        resourceVersion: page.metadata?.resourceVersion ?? '',
        continue: page.metadata?.continue ?? '',
      }
    },
    create: (resource, namespace, object) =>
      request('POST', pathOf(resource, namespace), { body: object }) as Promise<never>,
    update: (resource, object, subresource) =>
      request('PUT', pathOf(resource, object.metadata.namespace, object.metadata.name, subresource), {
        body: object,
      }) as Promise<never>,
    patch: (resource, namespace, name, patch, how = {}) =>
      request('PATCH', pathOf(resource, namespace, name, how.subresource), {
        body: patch,
        contentType: how.type ?? (Array.isArray(patch) ? JSON_PATCH : MERGE_PATCH),
      }) as Promise<never>,
    delete: (resource, namespace, name, body) =>
      request('DELETE', pathOf(resource, namespace, name), body === undefined ? {} : { body }),
    close() {
      agent.destroy()
      watchAgent.destroy()
    },
  }
}

function queryText(query: Query = {}): string {
  const parts = Object.entries(query)
    .filter(([, value]) => value !== undefined && value !== '')
    .map(([name, value]) => `${encodeURIComponent(name)}=${encodeURIComponent(String(value))}`)
  return parts.length === 0 ? '' : `?${parts.join('&')}`
}

function parseBody(text: string): unknown {
  if (text === '') return undefined
  try {
    return JSON.parse(text)
  } catch {
    return text
  }
}

async function textOf(response: http.IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  for await (const chunk of response) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks).toString('utf8')
}
