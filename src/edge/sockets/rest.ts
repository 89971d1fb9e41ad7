// SPDX-License-Identifier: Apache-2.0
import http from 'node:http'
import { answerWith, type RestAnswer } from './answer.ts'

export interface RestRequest {
  /** Values of `{name}` in the path, unescapedd. */
  readonly params: { readonly [name: string]: string }
  readonly query: URLSearchParams
  readonly headers: http.IncomingHttpHeaders
  /** The parsed JSON body; undefined when there was none. */
  readonly body: unknown
}

export interface Route {
  readonly method: string
  /** `/v1/endpoint/{id}`; a parameter takes one segment, `{name...}` the rest. */
  readonly path: string
  readonly handle: (request: RestRequest) => RestAnswer | Promise<RestAnswer>
}

export interface RestOptions {
  readonly maxBodyBytes?: number
  readonly onError?: (error: Error, method: string, path: string) => void
}

/** A fault of the caller, with the status it is answered with. */
export class RestError extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

const MAX_BODY_BYTES = 4 << 20

interface Pattern extends Route {
  readonly expression: RegExp
}

/** A server that answers by the table; not listening yet. */
export function restServer(routes: readonly Route[], options: RestOptions = {}): http.Server {
  const patterns: Pattern[] = routes.map((route) => ({ ...route, expression: expressionOf(route.path) }))
  const maxBody = options.maxBodyBytes ?? MAX_BODY_BYTES
  const server = http.createServer((request, response) => {
    const method = request.method ?? 'GET'
    let path = '/'
    handle().catch((e: unknown) => {
      const error = e instanceof Error ? e : new Error(String(e))
      const status = error instanceof RestError ? error.status : 500
      if (status === 500) options.onError?.(error, method, path)
      if (response.headersSent) response.destroy()
      else {
        if (status === 413) response.setHeader('connection', 'close')
        answerWith(response, { status, body: { message: error.message } })
      }
    })

    async function handle(): Promise<void> {
      const url = urlOf(request.url)
      path = url.pathname
      const { route, params } = find(patterns, method, path)
      const body = await bodyOf(request, maxBody)
      answerWith(response, await route.handle({ params, query: url.searchParams, headers: request.headers, body }))
    }
  })
  server.headersTimeout = 10_000
  server.requestTimeout = 60_000
  server.maxConnections = 256
  server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
    if (error.code === 'ECONNRESET' || !socket.writable) return socket.destroy()
    const text = `${JSON.stringify({ message: `not an HTTP request: ${error.message}` })}\n`
    socket.end(
      `HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\ncontent-length: ${text.length}\r\nconnection: close\r\n\r\n${text}`,
    )
  })
  return server
}

function urlOf(text: string | undefined): URL {
  try {
    return new URL(text ?? '/', 'http://localhost')
  } catch {
    throw new RestError(400, `not a path: ${text}`)
  }
}

function expressionOf(path: string): RegExp {
  const source = path
    .split(/(\{[^}]+\})/)
    .map((part) => {
      const name = /^\{(.+)\}$/.exec(part)?.[1]
      if (name === undefined) return part.replace(/[.*+?^$()|[\]\\]/g, '\\$&')
      return name.endsWith('...') ? `(?<${name.slice(0, -3)}>.+)` : `(?<${name}>[^/]+)`
    })
    .join('')
  return new RegExp(`^${source}/?$`)
}

function find(patterns: readonly Pattern[], method: string, path: string) {
  let known = false
  for (const route of patterns) {
    const match = route.expression.exec(path)
    if (!match) continue
    known = true
    if (route.method !== method) continue
    return { route, params: Object.fromEntries(Object.entries(match.groups ?? {}).map(([k, v]) => [k, unescaped(v)])) }
  }
  throw known ? new RestError(405, `${method} is not possible on ${path}`) : new RestError(404, `no such path: ${path}`)
}

function unescaped(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    throw new RestError(400, `badly escaped: ${text}`)
  }
}

async function bodyOf(request: http.IncomingMessage, maxBytes: number): Promise<unknown> {
  if (Number(request.headers['content-length'] ?? 0) > maxBytes) throw tooLarge(maxBytes)
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request) {
    bytes += (chunk as Buffer).length
    if (bytes > maxBytes) throw tooLarge(maxBytes)
    chunks.push(chunk as Buffer)
  }
  if (bytes === 0) return undefined
  try {
    return JSON.parse(Buffer.concat(chunks).toString('utf8'))
  } catch (e) {
    throw new RestError(400, `the body is no JSON: ${(e as Error).message}`)
  }
}

const tooLarge = (maxBytes: number) => new RestError(413, `the body is above ${maxBytes} bytes`)
