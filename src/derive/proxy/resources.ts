// SPDX-License-Identifier: Apache-2.0
import { fromBase64, fromUtf8 } from '../../base/bytes.ts'
import { type EnvoyResource, type EnvoyRow, proxyRole, type TlsContext } from '../../model/proxy.ts'
import { onlyServers, passedLog, refusedLog, requestLog } from './access.ts'
import { CLUSTER, clusterBody, extension, keepCase } from './clusters.ts'
import { routesOf, withSecrets } from './routes.ts'
import { type Chain, chainsOf, type Layer7Entry, materialOf, namesOf, type SecretOf } from './tls.ts'

/** Which side's rules a listener carries; `both` for connections whose two ends are on this node. */
export type Side = 'ingress' | 'egress' | 'both'

/** A listener as it is wanted, with its port and with what its sockets' marks say. */
export interface ListenerSpec {
  readonly name: string
  readonly side: Side
  readonly port: number
  /** The port that the kernel's cell names for sockets to the server: of the ingress listener, for `both`. */
  readonly decidedPort: number
  readonly rules: readonly (readonly Layer7Entry[])[]
}

type Json = { readonly [name: string]: unknown }

const LISTENER = 'envoy.config.listener.v3.Listener'
const ROUTES = 'envoy.config.route.v3.RouteConfiguration'
const ads = { ads: {}, resource_api_version: 'V3' }

const SO_MARK = 36

const roles = {
  ingress: { down: proxyRole.downstreamIngress, up: proxyRole.upstreamIngress },
  egress: { down: proxyRole.downstreamEgress, up: proxyRole.upstreamEgress },
  both: { down: proxyRole.downstreamIngress, up: proxyRole.upstreamBoth },
} as const

const clusterOf = (side: Side): 'ingress' | 'egress' => (side === 'egress' ? 'egress' : 'ingress')

/**
 * What a listener needs: itself, and its routes and secrets as resources of their own, so that they change under
 * connections. What a secret is missing for is left out, and closed.
 */
export function listenerRow(
  l: ListenerSpec,
  families: { readonly ipv4: boolean; readonly ipv6: boolean },
  secretOf: SecretOf = () => undefined,
): EnvoyRow {
  const chains = chainsOf(l.rules)
  const parts = partsOf(l, chains, secretOf)
  const role = roles[l.side]
  const asksTls = chains.length !== 1 || chains[0]?.match !== undefined
  const [first, ...more] = [...(families.ipv4 ? ['127.0.0.1'] : []), ...(families.ipv6 ? ['::1'] : [])].map(
    (address) => ({ socket_address: { address, port_value: l.port } }),
  )
  const listener: Json = {
    '@type': LISTENER,
    name: l.name,
    address: first,
    additional_addresses: more.map((address) => ({ address })),
    transparent: true,
    socket_options: [{ level: 1, name: SO_MARK, int_value: l.port * 65536 + role.down, state: 'STATE_PREBIND' }],
    listener_filters: [
      ...(asksTls ? [inspector] : []),
      {
        name: 'envoy.filters.listener.original_dst',
        typed_config: extension('filters.listener.original_dst.v3.OriginalDst'),
      },
      {
        name: 'envoy.filters.listener.original_src',
        typed_config: extension('filters.listener.original_src.v3.OriginalSrc', {
          mark: l.decidedPort * 65536 + role.up,
        }),
      },
    ],
    filter_chains: parts.chains.length > 0 ? parts.chains : [nothing],
    ...(asksTls ? { access_log: [refusedLog(l.name)] } : {}),
  }
  return {
    key: l.name,
    resources: [{ type: LISTENER, name: l.name, body: listener }, ...parts.resources],
    ...(parts.missing.length > 0 ? { missing: [...new Set(parts.missing)].join('; ') } : {}),
  }
}

const inspector = {
  name: 'envoy.filters.listener.tls_inspector',
  typed_config: extension('filters.listener.tls_inspector.v3.TlsInspector'),
}
const serversOf = (names: readonly string[]): Json => onlyServers(names.map(namesOf))

/** Takes no connection: a listener must have a chain. */
const nothing: Json = { name: 'nothing', filter_chain_match: { application_protocols: ['nothing'] }, filters: [] }

interface Parts {
  readonly chains: readonly Json[]
  readonly resources: readonly EnvoyResource[]
  readonly missing: readonly string[]
}

function partsOf(l: ListenerSpec, chains: readonly Chain[], secretOf: SecretOf): Parts {
  const resources: EnvoyResource[] = []
  const missing: string[] = []
  const out: Json[] = []
  const clusters = new Map<string, string | undefined>()
  /** The cluster that speaks TLS to servers, made when first asked for; undefined when something is missing for it. */
  const originating = (context: TlsContext): string | undefined => {
    const id = JSON.stringify(context)
    if (clusters.has(id)) return clusters.get(id)
    const name = `${l.name} tls ${clusters.size}`
    const material = materialOf(name, context, false, secretOf)
    if (typeof material === 'string') missing.push(material)
    else {
      const body = clusterBody(name, clusterOf(l.side), { common: material.common, checked: material.checked })
      resources.push(...material.secrets, { type: CLUSTER, name, body })
    }
    clusters.set(id, typeof material === 'string' ? undefined : name)
    return clusters.get(id)
  }
  const asked = (e: Layer7Entry): readonly Layer7Entry[] => {
    const http = withSecrets(e.http, (ref) => {
      const value = Object.values(secretOf(ref)?.data ?? {})
      const bytes = value.length === 1 ? fromBase64(value[0] as string) : undefined
      if (!bytes) missing.push(`secret ${ref.namespace}/${ref.name} is missing, or does not hold one value`)
      return bytes && fromUtf8(bytes)
    })
    if (!e.tls?.originating) return [{ ...e, http }]
    const cluster = originating(e.tls.originating)
    return cluster === undefined ? [] : [{ ...e, http, cluster }]
  }
  for (const c of chains) {
    const match = c.match ? { filter_chain_match: c.match } : {}
    if (c.kind === 'names') {
      const tcp = extension('filters.network.tcp_proxy.v3.TcpProxy', {
        stat_prefix: l.side,
        cluster: clusterOf(l.side),
        idle_timeout: '86400s',
        access_log: [passedLog(l.name)],
      })
      const filters = [...c.lists.map(serversOf), { name: 'tcp', typed_config: tcp }]
      out.push({ name: c.name, ...match, filters })
      continue
    }
    const socket = c.tls ? materialOf(`${l.name} ${c.name}`, c.tls, true, secretOf) : undefined
    if (typeof socket === 'string') {
      missing.push(socket)
      continue
    }
    const name = c.name === '' ? l.name : `${l.name} ${c.name}`
    const routes = routesOf(
      c.lists.map((list) => list.flatMap(asked)),
      clusterOf(l.side),
    )
    if (socket) resources.push(...socket.secrets)
    resources.push({
      type: ROUTES,
      name,
      body: {
        '@type': ROUTES,
        name,
        virtual_hosts: [{ name: l.name, domains: ['*'], routes }],
        request_headers_to_remove: ['x-forwarded-proto', 'x-envoy-external-address'],
      },
    })
    const anew = c.lists.flat().every((e) => e.tls?.originating)
    const filters = [...c.names.map(serversOf), { name: 'http', typed_config: connections(l, name) }]
    out.push({
      ...(c.name === '' ? {} : { name: c.name }),
      ...match,
      filters,
      ...(socket ? { transport_socket: downstreamTls(socket.common, socket.checked, anew) } : {}),
    })
  }
  return { chains: out, resources, missing }
}

/** `anew`: to the server goes TLS, by which HTTP/2 can be agreed; what is plain there is HTTP/1.1, as most servers speak it. */
const downstreamTls = (common: Json, checked: boolean, anew: boolean): Json => ({
  name: 'envoy.transport_sockets.tls',
  typed_config: extension('transport_sockets.tls.v3.DownstreamTlsContext', {
    common_tls_context: { ...common, alpn_protocols: [...(anew ? ['h2'] : []), 'http/1.1'] },
    ...(checked ? { require_client_certificate: true } : {}),
  }),
})

const connections = (l: ListenerSpec, routes: string): Json =>
  extension('filters.network.http_connection_manager.v3.HttpConnectionManager', {
    stat_prefix: l.side,
    codec_type: 'AUTO',
    http_protocol_options: keepCase,
    use_remote_address: true,
    skip_xff_append: true,
    generate_request_id: false,
    server_header_transformation: 'PASS_THROUGH',
    stream_idle_timeout: '0s',
    normalize_path: true,
    merge_slashes: true,
    path_with_escaped_slashes_action: 'UNESCAPE_AND_REDIRECT',
    upgrade_configs: [{ upgrade_type: 'websocket' }],
    rds: { route_config_name: routes, config_source: ads },
    http_filters: [
      {
        name: 'envoy.filters.http.router',
        typed_config: extension('filters.http.router.v3.Router', { suppress_envoy_headers: true }),
      },
    ],
    access_log: [requestLog(l.name)],
  })
