// SPDX-License-Identifier: Apache-2.0
import { requestsToldKey } from '../../model/proxy.ts'
import { extension } from './clusters.ts'

type Json = { readonly [name: string]: unknown }

/** Where the network filter for names of servers says what it thought; only its shadow leaves a word there. */
const RBAC = 'envoy.filters.network.rbac'

/** While somebody listens. */
const asTold: Json = {
  runtime_filter: {
    runtime_key: requestsToldKey,
    percent_sampled: { numerator: 100 },
    use_independent_randomness: true,
  },
}

const anyOf = (...filters: readonly Json[]): Json => ({ or_filter: { filters } })

/** To the agent, with the listener's name. */
const log = (kind: 'Http' | 'Tcp', listener: string, filter: Json): Json => ({
  name: `envoy.access_loggers.${kind.toLowerCase()}_grpc`,
  filter,
  typed_config: extension(`access_loggers.grpc.v3.${kind}GrpcAccessLogConfig`, {
    common_config: {
      log_name: listener,
      transport_api_version: 'V3',
      grpc_service: { envoy_grpc: { cluster_name: 'xds' } },
      buffer_flush_interval: '0.1s',
      buffer_size_bytes: 65536,
    },
  }),
})

/** Telling of a request costs a quarter of passing it: while nobody listens only refusals are told. */
export const requestLog = (listener: string): Json =>
  log(
    'Http',
    listener,
    anyOf(
      {
        status_code_filter: { comparison: { op: 'EQ', value: { default_value: 403, runtime_key: 'cilium.refused' } } },
      },
      { grpc_status_filter: { statuses: ['PERMISSION_DENIED'] } },
      asTold,
    ),
  )

/** Of connections that no chain takes, or whose server's name no rule means. */
export const refusedLog = (listener: string): Json =>
  log(
    'Tcp',
    listener,
    anyOf(
      { response_flag_filter: { flags: ['NR'] } },
      {
        metadata_filter: {
          matcher: {
            filter: RBAC,
            path: [{ key: 'shadow_engine_result' }],
            value: { string_match: { exact: 'denied' } },
          },
          match_if_key_not_found: false,
        },
      },
    ),
  )

/** Of connections that pass as TLS. */
export const passedLog = (listener: string): Json => log('Tcp', listener, asTold)

/** Ends connections to servers that no pattern (a regular expression) of the names means. */
export function onlyServers(patterns: readonly string[]): Json {
  const rules: Json = {
    policies: {
      names: {
        permissions: patterns.map((regex) => ({ requested_server_name: { safe_regex: { regex } } })),
        principals: [{ any: true }],
      },
    },
  }
  return {
    name: RBAC,
    typed_config: extension('filters.network.rbac.v3.RBAC', { stat_prefix: 'names.', rules, shadow_rules: rules }),
  }
}
