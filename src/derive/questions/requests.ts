// SPDX-License-Identifier: Apache-2.0
import { fail, ok, type Result } from '../../base/result.ts'
import { object } from '../../model/json.ts'
import { type DnsRule, matchesName, nameProblem, normalName, ruleText } from '../../model/names.ts'
import type { HeaderMatch, HttpRule, Layer7, TlsRule } from '../../model/proxy.ts'
import type { Redirect } from '../policy/evaluate.ts'
import { type Headers, type HttpRequest, normalPath, routerOf } from '../proxy/router.ts'
import { DENIED, routesOf } from '../proxy/routes.ts'
import { meansServer } from '../proxy/tls.ts'

/** The request of a question; what is left out is GET, `/`, no host and no headers. */
export interface AskedRequest {
  readonly method?: string
  readonly path?: string
  readonly host?: string
  /** `{"x-token": "1"}` or `["X-Token: 1"]`. */
  readonly headers?: { readonly [name: string]: string } | readonly string[]
  /** The name that TLS is spoken to; absent: no TLS. */
  readonly sni?: string
  /** Instead of all that: the name that a question of the DNS is about. */
  readonly dns?: string
}

/** What is asked of rules beyond ports. */
export type Request =
  | ({ readonly kind: 'http'; readonly sni?: string } & HttpRequest)
  | { readonly kind: 'dns'; readonly name: string }

const httpFields = ['method', 'path', 'host', 'headers', 'sni'] as const
export const requestFields = [...httpFields, 'dns'] as const

/** The request, or undefined when the question is about the connection alone. */
export function requestOf(asked: AskedRequest): Result<Request | undefined> {
  const http = httpFields.find((name) => asked[name] !== undefined)
  if (asked.dns !== undefined) {
    if (http) return wrong(http, 'can not go with dns', 'ask two questions')
    const problem = typeof asked.dns === 'string' ? nameProblem(asked.dns) : 'must be a text'
    if (problem !== undefined) return wrong('dns', problem, 'as in example.com')
    return ok({ kind: 'dns', name: normalName(asked.dns) })
  }
  if (http === undefined) return ok(undefined)
  const { method = 'GET', path = '/', host = '', headers = {} } = asked
  for (const [name, value] of Object.entries({ method, path, host }))
    if (typeof value !== 'string') return wrong(name, 'must be a text', "as in 'GET', '/public', 'example.com'")
  if (!/^[-!#$%&'*+.^_`|~0-9A-Za-z]+$/.test(method)) return wrong('method', `'${method}' is not a method`, 'as in GET')
  if (!path.startsWith('/') && path !== '*') return wrong('path', `'${path}' is not a path`, `'/${path}'`)
  const given = Array.isArray(headers)
    ? headers.map((line): readonly [string, unknown] => {
        const [, name = '', value = ''] = /^([^:]*):?\s*(.*)$/s.exec(String(line)) ?? []
        return [name, value]
      })
    : Object.entries(object(headers))
  const out: { [name: string]: readonly string[] } = {}
  for (const [raw, value] of given) {
    const name = raw.trim().toLowerCase()
    if (!/^[-!#$%&'*+.^_`|~0-9a-z]+$/.test(name) || typeof value !== 'string')
      return wrong('headers', `'${raw}' names no header, or its value is no text`, "as in 'X-Token: secret'")
    out[name] = [...(out[name] ?? []), value.trim()]
  }
  const { sni } = asked
  if (sni === undefined) return ok({ kind: 'http', method, path, host, headers: out })
  if (typeof sni !== 'string' || nameProblem(sni) !== undefined)
    return wrong('sni', `'${sni}' is not the name of a server`, 'as in example.com')
  return ok({ kind: 'http', method, path, host, headers: out, sni: normalName(sni) })
}

const wrong = (field: string, message: string, fix: string): Result<never> => fail({ field, message, fix })

/** One element of the rules that are asked. */
export interface AskedRule {
  /** Key of the rule. */
  readonly rule: string
  /** `spec.ingress[0].toPorts[0].rules.http[1]`. */
  readonly field: string
  /** In words, what it asks for: `method GET, path /public`. */
  readonly asks: string
  /** Of that, what the request does not have. */
  readonly lacks: readonly string[]
}

export interface RequestAnswer {
  /** The element that lets the request pass; undefined when none does. */
  readonly by: AskedRule | undefined
  readonly asked: readonly AskedRule[]
  /** What is done to headers of a request that passes. */
  readonly changes: readonly string[]
}

/**
 * What the rules of a redirection say of requests: by the very routes and names of servers that Envoy gets, and the DNS
 * proxy's own words. Where two rules end TLS in two ways for one name, both are asked.
 */
export function requestAnswerer({ rules }: Pick<Redirect, 'rules'>): (request: Request) => RequestAnswer {
  const elements = rules.flatMap(({ rule, layer7 }) =>
    elementsOf(layer7).map((element) => {
      const name = element.field === '' ? rule : `${rule}.${element.field}`
      return { ...element, name, said: { rule, field: name.slice(name.indexOf('#') + 1), asks: element.asks } }
    }),
  )
  const routers = new Map<string, ReturnType<typeof routerOf>>()
  /** Of those rules whose TLS the client speaks. */
  const routerFor = (sni: string | undefined) => {
    const key = sni ?? ' '
    const known = routers.get(key)
    if (known) return known
    const entries = rules.flatMap(({ rule, layer7 }) =>
      layer7.kind === 'http' && tlsFits(layer7.tls, sni) ? [{ rule, http: layer7.http }] : [],
    )
    const made = routerOf(routesOf([entries], ''))
    if (routers.size >= 1000) routers.clear()
    routers.set(key, made)
    return made
  }
  return (request) => {
    const asked = elements.map(({ said, lacks }) => ({ ...said, lacks: lacks(request) }))
    // What passes as TLS is not looked into.
    const whole = asked.find((a, i) => a.lacks.length === 0 && !elements[i]?.routed)
    if (request.kind === 'dns' || whole) return { by: whole, asked, changes: [] }
    const { name, headers } = routerFor(request.sni)(request)
    const by = asked[elements.findIndex((e) => e.name === name)]
    return { by, asked, changes: by ? changesOf(request.headers, headers) : [] }
  }
}

const isPassing = ({ http, tls }: Layer7 & { readonly kind: 'http' }): boolean =>
  tls !== undefined && !tls.terminating && http.length === 0

const asksNothing = (layer7: Layer7): boolean =>
  layer7.kind === 'dns' ? layer7.dns.length === 0 : layer7.http.length === 0 && layer7.tls === undefined

function tlsFits(tls: TlsRule | undefined, sni: string | undefined): boolean {
  if (!tls?.terminating) return sni === undefined
  return sni !== undefined && (tls.serverNames.length === 0 || tls.serverNames.some((p) => meansServer(p, sni)))
}

function elementsOf(layer7: Layer7): readonly Element[] {
  if (asksNothing(layer7)) return [{ field: '', routed: layer7.kind === 'http', asks: 'nothing', lacks: () => [] }]
  if (layer7.kind === 'dns') return layer7.dns.map(dnsElement)
  const { tls } = layer7
  if (isPassing(layer7)) return [namesElement(tls?.serverNames ?? [])]
  const spoken = tls?.terminating ? `TLS${tls.serverNames.length > 0 ? ` to ${tls.serverNames.join(', ')}` : ''}` : ''
  return layer7.http.map((h, i) => {
    const { asks, lacks } = httpElement(h)
    return {
      field: `rules.http[${i}]`,
      routed: true,
      asks: spoken === '' ? asks : `${spoken}, ${asks}`,
      lacks: (request) => [
        ...(request.kind !== 'http' || tlsFits(tls, request.sni) ? [] : [spoken === '' ? 'HTTP without TLS' : spoken]),
        ...lacks(request),
      ],
    }
  })
}

const namesElement = (names: readonly string[]): Element => ({
  field: 'serverNames',
  routed: false,
  asks: `TLS to ${names.join(', ')}`,
  lacks: (request) =>
    request.kind === 'http' && request.sni !== undefined && names.some((p) => meansServer(p, request.sni ?? ''))
      ? []
      : [`TLS to ${names.join(', ')}`],
})

/** One element of a list of rules: what it asks in words, and what of that a request lacks. */
interface Element {
  /** In the toPorts element. */
  readonly field: string
  /** Whether a route of Envoy stands for it. */
  readonly routed: boolean
  readonly asks: string
  readonly lacks: (request: Request) => readonly string[]
}

const dnsElement = (rule: DnsRule, i: number): Element => ({
  field: `rules.dns[${i}]`,
  routed: false,
  asks: `name ${ruleText(rule)}`,
  lacks: (request) => (request.kind === 'dns' && matchesName(rule, request.name) ? [] : [`name ${ruleText(rule)}`]),
})

function httpElement(rule: HttpRule): Pick<Element, 'asks' | 'lacks'> {
  const parts = partsOf(rule).map(({ text, alone }) => ({ text, router: aloneRouter(alone) }))
  return {
    asks: parts.map((p) => p.text).join(', ') || 'nothing',
    lacks: (request) =>
      request.kind === 'http' ? parts.filter((p) => p.router(request).name === DENIED).map((p) => p.text) : ['HTTP'],
  }
}

const nothing: HttpRule = { method: '', path: '', host: '', headers: [] }
const aloneRouter = (alone: Partial<HttpRule>) =>
  routerOf(routesOf([[{ rule: '', http: [{ ...nothing, ...alone }] }]], ''))

interface Part {
  readonly text: string
  readonly alone: Partial<HttpRule>
}

function partsOf({ method, path, host, headers }: HttpRule): readonly Part[] {
  return [
    ...(method === '' ? [] : [{ text: `method ${method}`, alone: { method } }]),
    ...(path === '' ? [] : [{ text: `path ${path}`, alone: { path } }]),
    ...(host === '' ? [] : [{ text: `host ${host}`, alone: { host } }]),
    ...headers.map((h) => ({ text: headerText(h), alone: { headers: [h] } })),
  ]
}

const headerText = ({ name, value, mismatch }: HeaderMatch): string =>
  `header ${name}${value === '' ? '' : `: ${value}`}${mismatch === '' ? '' : ` (else ${mismatch})`}`

function changesOf(before: Headers, after: Headers): readonly string[] {
  const gone = Object.keys(before).filter((name) => after[name] === undefined)
  const set = Object.entries(after)
    .map(([name, values]) => [name, values.join(',')] as const)
    .filter(([name, value]) => before[name]?.join(',') !== value)
  return [
    ...gone.map((name) => `removes header ${name}`),
    ...set.map(([name, value]) => `sets header ${name}: ${value}`),
  ]
}

/** `GET example.com/public`. */
export const requestText = (r: Request): string =>
  r.kind === 'dns'
    ? `DNS ${r.name}`
    : `${r.sni === undefined ? '' : `TLS to ${r.sni}, `}${r.method} ${r.host}${normalPath(r.path)}`

/** What rules ask, as one text: equal texts ask the same. */
export const rulesText = ({ rules }: Pick<Redirect, 'rules'>): string =>
  rules.map(({ rule, layer7 }) => `${rule} ${JSON.stringify(layer7)}`).join(' ')
