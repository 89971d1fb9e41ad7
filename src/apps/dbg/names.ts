// SPDX-License-Identifier: Apache-2.0
/** `cilium-dbg fqdn`. */
import { createInterface } from 'node:readline/promises'
import { type Agent, AgentError } from './agent.ts'
import { columns, print, printed } from './output.ts'

interface Lookup {
  readonly 'endpoint-id': number
  readonly 'expiration-time': string
  readonly fqdn: string
  readonly ips: readonly string[]
  readonly source: string
  readonly ttl: number
}

export interface CacheOptions {
  readonly endpoint?: string
  readonly matchpattern?: string
  readonly source?: string
  readonly output?: string
}

export async function list(agent: Agent, { endpoint, matchpattern, source, output }: CacheOptions): Promise<void> {
  const query = new URLSearchParams({ ...(matchpattern ? { matchpattern } : {}), ...(source ? { source } : {}) })
  const path = `/fqdn/cache${endpoint === undefined ? '' : `/${encodeURIComponent(endpoint)}`}`
  const found = await agent.get<readonly Lookup[]>(`${path}?${query}`).catch((e: unknown): readonly Lookup[] => {
    // Nothing is known: an empty list, unless it is the endpoint that is not there.
    if (e instanceof AgentError && e.status === 404 && !/endpoint/.test(e.message)) return []
    throw e
  })
  if (printed(found, output)) return
  const rows = found.map((l) => [
    String(l['endpoint-id']),
    l.source,
    l.fqdn,
    String(l.ttl),
    l['expiration-time'],
    l.ips.join(','),
  ])
  print(columns([['Endpoint', 'Source', 'FQDN', 'TTL', 'ExpirationTime', 'IPs'], ...rows]))
}

export interface CleanOptions {
  readonly force?: boolean
  readonly matchpattern?: string
}

export async function clean(agent: Agent, { force, matchpattern }: CleanOptions): Promise<void> {
  if (!force && !(await confirmed())) {
    print('Nothing is forgotten.')
    return
  }
  const query = new URLSearchParams(matchpattern ? { matchpattern } : {})
  await agent.send('DELETE', `/fqdn/cache?${query}`)
  print('FQDN proxy cache cleared')
}

async function confirmed(): Promise<boolean> {
  const lines = createInterface({ input: process.stdin, output: process.stdout })
  const answer = await lines.question('Forget names, with what they allow at present? (y/N) ')
  lines.close()
  return /^y(es)?$/i.test(answer.trim())
}

export async function names(agent: Agent, output: string | undefined): Promise<void> {
  const found = await agent.get<object>('/fqdn/names')
  if (!printed(found, output)) print(JSON.stringify(found, undefined, 2))
}
