// SPDX-License-Identifier: Apache-2.0

/** A plain proxy on `port`: HTTP in, path `/bench` and method GET asked for, HTTP out to one place. */
export const plainProxy = (port: number, server: string, serverPort: number): object => ({
  static_resources: {
    listeners: [
      {
        name: 'plain',
        address: { socket_address: { address: '0.0.0.0', port_value: port } },
        filter_chains: [
          {
            filters: [
              {
                name: 'http',
                typed_config: {
                  '@type':
                    'type.googleapis.com/envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager',
                  stat_prefix: 'plain',
                  generate_request_id: false,
                  route_config: {
                    virtual_hosts: [
                      {
                        name: 'all',
                        domains: ['*'],
                        routes: [
                          {
                            match: {
                              prefix: '/',
                              headers: [
                                { name: ':path', string_match: { exact: '/bench' } },
                                { name: ':method', string_match: { exact: 'GET' } },
                              ],
                            },
                            route: { cluster: 'to', timeout: '0s' },
                          },
                        ],
                      },
                    ],
                  },
                  http_filters: [
                    {
                      name: 'router',
                      typed_config: { '@type': 'type.googleapis.com/envoy.extensions.filters.http.router.v3.Router' },
                    },
                  ],
                },
              },
            ],
          },
        ],
      },
    ],
    clusters: [
      {
        name: 'to',
        type: 'STATIC',
        connection_pool_per_downstream_connection: true,
        load_assignment: {
          cluster_name: 'to',
          endpoints: [
            {
              lb_endpoints: [
                { endpoint: { address: { socket_address: { address: server, port_value: serverPort } } } },
              ],
            },
          ],
        },
      },
    ],
  },
})
