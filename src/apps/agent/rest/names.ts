// SPDX-License-Identifier: Apache-2.0
import { contains, type Prefix, parseAddress, parsePrefix } from '../../../base/ip.ts'
import { endpoints } from '../../../derive/endpoints/tables.ts'
import type { NameEntry } from '../../../derive/names/cache.ts'
import { nameSelectors } from '../../../derive/policy/names.ts'
import { RestError, type Route } from '../../../edge/sockets/rest.ts'
import { type DnsRule, matchesName, nameRule, normalName, patternProblem, ruleRegex } from '../../../model/names.ts'
import type { Parts } from './parts.ts'

/** `/v1/fqdn`: the names that pods of this node asked for, and the rules that mean them. */
export function nameRoutes({ db, names }: Parts): readonly Route[] {
  const list = (query: URLSearchParams, endpoint: string | undefined) => {
    const wanted = conditionOf(query)
    const found = [...names.entries()].filter((e) => (endpoint === undefined || e.endpoint === endpoint) && wanted(e))
    if (found.length === 0 && query.size > 0) throw new RestError(404, 'no name is known that meets the conditions')
    return { body: lookups(found, (attachment) => db.get(endpoints, attachment)?.id ?? 0) }
  }
  return [
    { method: 'GET', path: '/v1/fqdn/cache', handle: ({ query }) => list(query, undefined) },
    {
      method: 'GET',
      path: '/v1/fqdn/cache/{id}',
      handle: ({ params, query }) => {
        const id = params['id'] ?? ''
        if (!/^[0-9]+$/.test(id)) throw new RestError(400, `${id} is not an endpoint id`)
        const endpoint = db.by(endpoints, 'id', id)[0]
        if (!endpoint) throw new RestError(404, `endpoint ${id} not found`)
        return list(query, endpoint.attachment)
      },
    },
    {
      method: 'DELETE',
      path: '/v1/fqdn/cache',
      handle: ({ query }) => {
        names.clean(conditionOf(query))
        return { body: undefined }
      },
    },
    {
      method: 'GET',
      path: '/v1/fqdn/names',
      handle: () => ({
        body: {
          DNSPollNames: [],
          FQDNPolicySelectors: db
            .all(nameSelectors)
            .map(({ rule }) => ({ regexString: ruleRegex(rule), selectorString: selectorString(rule) })),
        },
      }),
    },
  ]
}

export const selectorString = (rule: DnsRule): string =>
  `MatchName: ${'matchName' in rule ? rule.matchName : ''}, MatchPattern: ${'matchName' in rule ? '' : rule.matchPattern}`

const sourceOf = (e: NameEntry): string => (e.idleSince === undefined ? 'lookup' : 'connection')

/** What a query asks for. */
function conditionOf(query: URLSearchParams): (entry: NameEntry) => boolean {
  const pattern = query.get('matchpattern') ?? ''
  const wrong = pattern === '' ? undefined : patternProblem(pattern)
  if (wrong !== undefined) throw new RestError(400, `matchpattern ${wrong}`)
  const rule = pattern === '' ? undefined : nameRule(normalName(pattern))
  const cidr = query.get('cidr') ?? ''
  const within = cidr === '' ? undefined : parsePrefix(cidr)
  if (cidr !== '' && !within) throw new RestError(400, `cidr '${cidr}' is not a prefix`)
  const source = query.get('source') ?? ''
  if (!['', 'lookup', 'connection'].includes(source))
    throw new RestError(400, `source '${source}' is not one of lookup, connection`)
  return (e) =>
    (!rule || matchesName(rule, e.name)) &&
    (!within || isIn(within, e.address)) &&
    (source === '' || sourceOf(e) === source)
}

function isIn(within: Prefix, text: string): boolean {
  const address = parseAddress(text)
  return address !== undefined && contains(within, address)
}

/** Addresses of one endpoint and name that were told together are one element. */
function lookups(entries: readonly NameEntry[], idOf: (attachment: string) => number): readonly object[] {
  const out = new Map<string, NameEntry & { readonly ips: string[] }>()
  for (const e of entries) {
    const key = [e.endpoint, e.name, sourceOf(e), e.seen, e.expires, e.ttl].join(' ')
    const there = out.get(key)
    if (there) there.ips.push(e.address)
    else out.set(key, { ...e, ips: [e.address] })
  }
  const time = (seconds: number) => new Date(seconds * 1000).toISOString()
  return [...out.values()].map((e) => ({
    'endpoint-id': idOf(e.endpoint),
    'expiration-time': time(e.expires),
    fqdn: `${e.name}.`,
    ips: e.ips,
    'lookup-time': time(e.seen),
    source: sourceOf(e),
    ttl: e.ttl,
  }))
}
