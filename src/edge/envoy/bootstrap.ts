// SPDX-License-Identifier: Apache-2.0
import type { EnvoyResource } from '../../model/proxy.ts'

/** Where the agent and its Envoy meet, as Cilium has them. */
export const sockets = (runDir: string) => ({
  xds: `${runDir}/envoy/sockets/xds.sock`,
  admin: `${runDir}/envoy/sockets/admin.sock`,
})

const RUNTIME = 'agent'

/** Values that Envoy takes while it runs. */
export const runtimeResource = (values: { readonly [key: string]: number }): EnvoyResource => ({
  type: 'envoy.service.runtime.v3.Runtime',
  name: RUNTIME,
  body: { '@type': 'envoy.service.runtime.v3.Runtime', name: RUNTIME, layer: values },
})

/**
 * What Envoy is started with: how to reach the agent, and nothing else. The administration listens on a unix socket
 * that no workload can reach. A new Envoy beside an old one serves only after it has got its configuration, however long
 * that takes.
 */
export function bootstrap(runDir: string, node: string): object {
  const { xds, admin } = sockets(runDir)
  const service = { ads: {}, initial_fetch_timeout: '0s', resource_api_version: 'V3' }
  return {
    node: { id: `host~${node}`, cluster: 'cilium' },
    admin: { address: { pipe: { path: admin, mode: 0o600 } } },
    dynamic_resources: {
      ads_config: {
        api_type: 'DELTA_GRPC',
        transport_api_version: 'V3',
        set_node_on_first_message_only: true,
        grpc_services: [
          {
            envoy_grpc: {
              cluster_name: 'xds',
              retry_policy: { retry_back_off: { base_interval: '0.05s', max_interval: '0.5s' } },
            },
          },
        ],
      },
      lds_config: service,
      cds_config: service,
    },
    static_resources: {
      clusters: [
        {
          name: 'xds',
          type: 'STATIC',
          connect_timeout: '1s',
          load_assignment: {
            cluster_name: 'xds',
            endpoints: [{ lb_endpoints: [{ endpoint: { address: { pipe: { path: xds } } } }] }],
          },
          typed_extension_protocol_options: {
            'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': {
              '@type': 'type.googleapis.com/envoy.extensions.upstreams.http.v3.HttpProtocolOptions',
              explicit_http_config: { http2_protocol_options: {} },
            },
          },
        },
      ],
    },
    // Regular expressions of policies may be long; the limit of 100 is for those that come from strangers.
    layered_runtime: {
      layers: [
        { name: 'static', static_layer: { re2: { max_program_size: { error_level: 1_000_000 } } } },
        { name: 'agent', rtds_layer: { name: RUNTIME, rtds_config: service } },
      ],
    },
    stats_config: {
      stats_matcher: {
        inclusion_list: {
          patterns: ['server.', 'http.', 'listener_manager.', 'cluster.', 'cluster_manager.'].map((prefix) => ({
            prefix,
          })),
        },
      },
    },
  }
}
