// SPDX-License-Identifier: Apache-2.0
import { RE2JS } from 're2js'
import { DENIED } from './routes.ts'

/** A request as a client sends it; names of headers in lower case. */
export interface HttpRequest {
  readonly method: string
  /** With the query, if any. */
  readonly path: string
  readonly host: string
  readonly headers: Headers
}

/** Each line's value of each name. */
export type Headers = { readonly [name: string]: readonly string[] }

export interface Routed {
  /** Name of the route: of the rules that let it pass, or `DENIED`. */
  readonly name: string
  /** As they go on to the server. */
  readonly headers: Headers
}

type Json = { readonly [name: string]: unknown }
const jsons = (value: unknown): readonly Json[] => (Array.isArray(value) ? value : [])
const texts = (value: unknown): readonly string[] => (Array.isArray(value) ? value : [])

/** What Envoy does with a request under these routes: as much of its router as `routesOf` uses. */
export function routerOf(routes: readonly Json[]): (request: HttpRequest) => Routed {
  const matchers = routes.map((route) => {
    const { prefix, headers } = route['match'] as { readonly prefix?: string; readonly headers?: unknown }
    return { route, prefix, tests: jsons(headers).map(testOf) }
  })
  return (request) => {
    const path = normalPath(request.path)
    const all = { ...request.headers, ':method': [request.method], ':path': [path], ':authority': [request.host] }
    const found =
      request.method === 'CONNECT'
        ? undefined
        : matchers.find(
            ({ prefix, tests }) => prefix !== undefined && path.startsWith(prefix) && tests.every((t) => t(all)),
          )
    if (!found) return { name: DENIED, headers: request.headers }
    return { name: String(found.route['name']), headers: mended(found.route, request.headers) }
  }
}

function testOf(match: Json): (headers: Headers) => boolean {
  const name = String(match['name'])
  const how = match['string_match'] as { readonly exact?: string; readonly safe_regex?: { regex: string } } | undefined
  if (how === undefined) return (headers) => headers[name] !== undefined
  const { exact, safe_regex } = how
  if (exact !== undefined) return (headers) => headers[name]?.includes(exact) === true
  const pattern = RE2JS.compile(safe_regex?.regex ?? '')
  return (headers) => headers[name]?.some((value) => pattern.matches(value)) === true
}

function mended(route: Json, headers: Headers): Headers {
  const out: { [name: string]: readonly string[] } = { ...headers }
  for (const name of texts(route['request_headers_to_remove'])) delete out[name]
  for (const add of jsons(route['request_headers_to_add'])) {
    const { key, value } = add['header'] as { readonly key: string; readonly value: string }
    out[key] = add['append_action'] === 'APPEND_IF_EXISTS_OR_ADD' ? [...(out[key] ?? []), value] : [value]
  }
  return out
}

/** A path as the listeners make it before rules are asked: no `.`, `..`, `//` or needless escapes (RFC 3986, 6.2.2). */
export function normalPath(path: string): string {
  const [, before = '', query = ''] = /^([^?]*)(.*)$/s.exec(path) ?? []
  if (!before.startsWith('/')) return path
  const plain = before
    .replace(/%([0-9a-fA-F]{2})/g, (escaped, hex: string) => {
      const char = String.fromCharCode(Number.parseInt(hex, 16))
      // An escaped slash sends the client to the path with a slash.
      return /[-A-Za-z0-9._~/\\]/.test(char) ? char : escaped.toUpperCase()
    })
    .replaceAll('\\', '/')
  // Of a path of slashes alone Envoy leaves two.
  if (/^\/{2,}$/.test(plain)) return `//${query}`
  const out: string[] = []
  const parts = plain.split('/').slice(1)
  for (const [i, part] of parts.entries()) {
    const last = i === parts.length - 1
    if (part === '..') out.pop()
    if (part === '.' || part === '..' || (part === '' && !last)) {
      if (last) out.push('')
      continue
    }
    out.push(part)
  }
  return `/${out.join('/')}${query}`
}
