// SPDX-License-Identifier: Apache-2.0
import { type EnvoyResource, type EnvoyRow, proxyRole, requestsToldKey } from '../../model/proxy.ts'
import { type HttpEntry, routesOf } from './routes.ts'

/** Which side's rules a listener carries; `both` for connections whose two ends are on this node. */
export type Side = 'ingress' | 'egress' | 'both'

/** A listener as it is wanted, with its port and with what its sockets' marks say. */
export interface ListenerSpec {
  readonly name: string
  readonly side: Side
  readonly port: number
  /** The port that the kernel's cell names for sockets to the server: of the ingress listener, for `both`. */
  readonly decidedPort: number
  readonly rules: readonly (readonly HttpEntry[])[]
}

type Json = { readonly [name: string]: unknown }

const LISTENER = 'envoy.config.listener.v3.Listener'
const ROUTES = 'envoy.config.route.v3.RouteConfiguration'
const CLUSTER = 'envoy.config.cluster.v3.Cluster'
const extension = (type: string, config: Json = {}): Json => ({ '@type': `envoy.extensions.${type}`, ...config })
const ads = { ads: {}, resource_api_version: 'V3' }

/**
 * Source ports of connections to servers. Not those that pods' kernels take (32768 and up), and not the same for both
 * sides: at a server's node the client's proxy and its own must not meet in one port.
 */
const sourcePorts = { ingress: [20001, 24999], egress: [25000, 29999] } as const
const IP_LOCAL_PORT_RANGE = 51
const SO_MARK = 36

const roles = {
  ingress: { down: proxyRole.downstreamIngress, up: proxyRole.upstreamIngress },
  egress: { down: proxyRole.downstreamEgress, up: proxyRole.upstreamEgress },
  both: { down: proxyRole.downstreamIngress, up: proxyRole.upstreamBoth },
} as const

const clusterOf = (side: Side): 'ingress' | 'egress' => (side === 'egress' ? 'egress' : 'ingress')

/** What a listener needs: itself, and its routes as a resource of their own, so that rules change under connections. */
export function listenerRow(l: ListenerSpec, families: { readonly ipv4: boolean; readonly ipv6: boolean }): EnvoyRow {
  const role = roles[l.side]
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
    filter_chains: [{ filters: [{ name: 'http', typed_config: connections(l) }] }],
  }
  const routes: Json = {
    '@type': ROUTES,
    name: l.name,
    virtual_hosts: [{ name: l.name, domains: ['*'], routes: routesOf(l.rules, clusterOf(l.side)) }],
    request_headers_to_remove: ['x-forwarded-proto', 'x-envoy-external-address'],
  }
  return {
    key: l.name,
    resources: [
      { type: LISTENER, name: l.name, body: listener },
      { type: ROUTES, name: l.name, body: routes },
    ],
  }
}

const keepCase = {
  header_key_format: {
    stateful_formatter: {
      name: 'preserve_case',
      typed_config: extension('http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig'),
    },
  },
}

/** Telling of a request costs a quarter of passing it: while nobody listens only refusals are told. */
const told: Json = {
  or_filter: {
    filters: [
      {
        status_code_filter: { comparison: { op: 'EQ', value: { default_value: 403, runtime_key: 'cilium.refused' } } },
      },
      { grpc_status_filter: { statuses: ['PERMISSION_DENIED'] } },
      {
        runtime_filter: {
          runtime_key: requestsToldKey,
          percent_sampled: { numerator: 100 },
          use_independent_randomness: true,
        },
      },
    ],
  },
}

const connections = (l: ListenerSpec): Json =>
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
    rds: { route_config_name: l.name, config_source: ads },
    http_filters: [
      {
        name: 'envoy.filters.http.router',
        typed_config: extension('filters.http.router.v3.Router', { suppress_envoy_headers: true }),
      },
    ],
    access_log: [
      {
        name: 'envoy.access_loggers.http_grpc',
        filter: told,
        typed_config: extension('access_loggers.grpc.v3.HttpGrpcAccessLogConfig', {
          common_config: {
            log_name: l.name,
            transport_api_version: 'V3',
            grpc_service: { envoy_grpc: { cluster_name: 'xds' } },
            buffer_flush_interval: '0.1s',
            buffer_size_bytes: 65536,
          },
        }),
      },
    ],
  })

/** Where listeners send what passes: to where the client wanted, in the client's name. */
export const clusterRows: readonly EnvoyRow[] = (['ingress', 'egress'] as const).map((name): EnvoyRow => {
  const [low, high] = sourcePorts[name]
  const body: Json = {
    '@type': CLUSTER,
    name,
    type: 'ORIGINAL_DST',
    lb_policy: 'CLUSTER_PROVIDED',
    connect_timeout: '2s',
    cleanup_interval: '60s',
    // A connection to the server lives and dies with one from a client: rules asked when it began hold for it.
    connection_pool_per_downstream_connection: true,
    upstream_bind_config: {
      source_address: { address: '0.0.0.0', port_value: 0 },
      socket_options: [{ level: 0, name: IP_LOCAL_PORT_RANGE, int_value: high * 65536 + low, state: 'STATE_PREBIND' }],
    },
    typed_extension_protocol_options: {
      'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': extension('upstreams.http.v3.HttpProtocolOptions', {
        common_http_protocol_options: { idle_timeout: '60s' },
        use_downstream_protocol_config: { http_protocol_options: keepCase, http2_protocol_options: {} },
      }),
    },
  }
  const resource: EnvoyResource = { type: CLUSTER, name, body }
  return { key: `cluster ${name}`, resources: [resource] }
})
