// SPDX-License-Identifier: Apache-2.0
import { canonicalAddress } from '../../base/ip.ts'
import { objectKey } from '../../model/meta.ts'
import { endpointSlices, services, settings } from '../../model/rows.ts'
import type { Service } from '../../model/service.ts'
import { deriveEach } from '../../table/definition.ts'
import { isOurs } from './frontends.ts'

/** What a load balancer is told that asks this node for a service with `externalTrafficPolicy: Local`. */
export interface HealthCheck {
  readonly namespace: string
  readonly name: string
  readonly port: number
  /** Ready endpoints on this node; those on their way out are none, so that a load balancer turns away in time. */
  readonly localEndpoints: number
}

export const healthChecks = deriveEach<Service, HealthCheck>(
  'healthChecks',
  services,
  {
    key: (h) => `${h.namespace}/${h.name}`,
    columns: [
      ['SERVICE', (h) => `${h.namespace}/${h.name}`],
      ['PORT', (h) => String(h.port)],
      ['ENDPOINTS', (h) => String(h.localEndpoints)],
    ],
  },
  (service, read) => {
    const config = read.get(settings, 'settings')
    // A kube-proxy beside us listens there itself.
    if (!config?.enableHealthCheckNodeport || !config.kubeProxyReplacement) return []
    if (service.healthCheckNodePort === 0 || !isOurs(service, read)) return []
    const addresses = new Set(
      read
        .by(endpointSlices, 'service', objectKey(service))
        .flatMap((s) => s.endpoints)
        .filter((e) => e.ready && e.nodeName === config.nodeName)
        .flatMap((e) => e.addresses.flatMap((a) => canonicalAddress(a) ?? [])),
    )
    // A pod with two families is one.
    const ipv6 = [...addresses].filter((a) => a.includes(':')).length
    const localEndpoints = Math.max(ipv6, addresses.size - ipv6)
    return [{ namespace: service.namespace, name: service.name, port: service.healthCheckNodePort, localEndpoints }]
  },
)
