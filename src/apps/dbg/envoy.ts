// SPDX-License-Identifier: Apache-2.0
import { request } from 'node:http'
import { dirname, join } from 'node:path'

/** Kinds of Envoy's configuration by the names that Cilium gives them; those of the dump. */
const dumps: { readonly [kind: string]: string } = {
  all: '/config_dump?include_eds',
  clusters: '/config_dump?resource=dynamic_active_clusters',
  endpoints: '/config_dump?include_eds&resource=dynamic_endpoint_configs',
  listeners: '/config_dump?resource=dynamic_listeners',
  routes: '/config_dump?resource=dynamic_route_configs',
  secrets: '/config_dump?resource=dynamic_active_secrets',
}

const others: { readonly [what: string]: string } = {
  certs: '/certs',
  clusters: '/clusters',
  listeners: '/listeners?format=json',
  serverinfo: '/server_info',
}

/** Prints what Envoy's administration says, over its unix socket beside the agent's. */
export async function admin(agentSocket: string, what: string, kind: string, o: AdminOptions): Promise<void> {
  const socket = join(dirname(agentSocket), 'envoy/sockets/admin.sock')
  process.stdout.write(ended(await told(socket, pathOf(what, kind, o), what === 'config')))
}

export interface AdminOptions {
  /** metrics: an expression for their names. */
  readonly filter?: string
  /** config: an expression for the names of what is shown. */
  readonly name?: string
}

function pathOf(what: string, kind: string, { filter, name }: AdminOptions): string {
  if (what === 'config') {
    if (kind === 'networkpolicies') throw new Error('a stock Envoy has no network policies: its routes are the rules')
    const path = dumps[kind]
    if (path === undefined)
      throw new Error(`no configuration is called ${kind}: one of ${Object.keys(dumps).join(', ')}`)
    return name === undefined ? path : `${path}&name_regex=${encodeURIComponent(name)}`
  }
  if (what === 'metrics') return `/stats${filter === undefined ? '' : `?filter=${encodeURIComponent(filter)}`}`
  return others[what] as string
}

async function told(socketPath: string, path: string, isConfig: boolean): Promise<string> {
  const text = await new Promise<string>((resolve, reject) => {
    const asked = request({ socketPath, path }, (response) => {
      let body = ''
      response.setEncoding('utf8')
      response.on('data', (chunk: string) => {
        body += chunk
      })
      response.on('end', () =>
        response.statusCode === 200
          ? resolve(body)
          : reject(new Error(`Envoy: HTTP ${response.statusCode}: ${body.trim()}`)),
      )
      response.on('error', reject)
    })
    asked.on('error', (e: NodeJS.ErrnoException) =>
      reject(
        new Error(
          e.code === 'ENOENT' || e.code === 'ECONNREFUSED'
            ? `no Envoy answers at ${socketPath}: is DaemonSet cilium-envoy running on this node?`
            : `${socketPath}: ${e.message}`,
        ),
      ),
    )
    asked.end()
  })
  return isConfig ? JSON.stringify(withoutSecrets(JSON.parse(text)), undefined, 1) : text
}

/** Keys Envoy leaves out itself; values that headers are compared with or mended by may come from secrets. */
export function withoutSecrets(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(withoutSecrets)
  if (typeof value !== 'object' || value === null) return value
  const of = value as { readonly [name: string]: unknown }
  const match = of['string_match'] as { readonly exact?: string } | undefined
  if (match?.exact !== undefined && !String(of['name']).startsWith(':'))
    return { ...of, string_match: { ...match, exact: '[redacted]' } }
  if (typeof of['key'] === 'string' && typeof of['value'] === 'string') return { ...of, value: '[redacted]' }
  return Object.fromEntries(Object.entries(of).map(([name, inner]) => [name, withoutSecrets(inner)]))
}

const ended = (text: string): string => (text.endsWith('\n') ? text : `${text}\n`)
