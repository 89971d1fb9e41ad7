// SPDX-License-Identifier: Apache-2.0
import type { EnvoyResource, EnvoyRow } from '../../model/proxy.ts'

type Json = { readonly [name: string]: unknown }

export const CLUSTER = 'envoy.config.cluster.v3.Cluster'
export const extension = (type: string, config: Json = {}): Json => ({ '@type': `envoy.extensions.${type}`, ...config })

/**
 * Source ports of connections to servers. Not those that pods' kernels take (32768 and up), and not the same for both
 * sides: at a server's node the client's proxy and its own must not meet in one port.
 */
const sourcePorts = { ingress: [20001, 24999], egress: [25000, 29999] } as const
const IP_LOCAL_PORT_RANGE = 51

/**
 * A connection to a server outlives that of its client until it has been idle for so long, and keeps one of some thousand
 * source ports. A client that asks no more for as long costs a new connection when it asks again.
 */
const IDLE = '1s'

/** Names of headers reach the other side as they were written. */
export const keepCase = {
  header_key_format: {
    stateful_formatter: {
      name: 'preserve_case',
      typed_config: extension('http.header_formatters.preserve_case.v3.PreserveCaseFormatterConfig'),
    },
  },
}

/** Where a listener sends what passes: to where the client wanted, in the client's name; by TLS if that is given. */
export function clusterBody(
  name: string,
  side: 'ingress' | 'egress',
  tls?: { readonly common: Json; readonly checked: boolean },
): Json {
  const [low, high] = sourcePorts[side]
  const protocols = { http_protocol_options: keepCase, http2_protocol_options: {} }
  return {
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
        common_http_protocol_options: { idle_timeout: IDLE },
        ...(tls
          ? {
              auto_config: protocols,
              // The server must be whom the client asked for, by the name in its certificate.
              upstream_http_protocol_options: { auto_sni: true, ...(tls.checked ? { auto_san_validation: true } : {}) },
            }
          : { use_downstream_protocol_config: protocols }),
      }),
    },
    ...(tls
      ? {
          transport_socket: {
            name: 'envoy.transport_sockets.tls',
            typed_config: extension('transport_sockets.tls.v3.UpstreamTlsContext', { common_tls_context: tls.common }),
          },
        }
      : {}),
  }
}

export const clusterRows: readonly EnvoyRow[] = (['ingress', 'egress'] as const).map((name): EnvoyRow => {
  const resource: EnvoyResource = { type: CLUSTER, name, body: clusterBody(name, name) }
  return { key: `cluster ${name}`, resources: [resource] }
})
