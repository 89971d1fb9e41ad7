// SPDX-License-Identifier: Apache-2.0
import type { ServiceRanges } from './allocation.ts'
import type { Store } from './store.ts'

/**
 * What every cluster has: its four namespaces, in each namespace (also later ones) the `default` service account and the
 * authority's certificate, and the `kubernetes` service, whose endpoint is the API server itself.
 */
export function seed(store: Store, authority: string, address: string, port: number, services: ServiceRanges): void {
  store.watch('namespaces', {}, (event) => {
    if (event.type !== 'ADDED') return
    const namespace = event.object.metadata.name!
    if (store.find('namespaces', '', namespace)?.metadata.deletionTimestamp !== undefined) return
    if (!store.find('serviceaccounts', namespace, 'default'))
      store.create('serviceaccounts', { metadata: { namespace, name: 'default' } })
    const metadata = { namespace, name: 'kube-root-ca.crt' }
    if (!store.find('configmaps', namespace, metadata.name))
      store.create('configmaps', { metadata, data: { 'ca.crt': authority } })
  })
  for (const name of ['default', 'kube-system', 'kube-public', 'kube-node-lease'])
    store.create('namespaces', { metadata: { name } })

  const metadata = {
    namespace: 'default',
    name: 'kubernetes',
    labels: { component: 'apiserver', provider: 'kubernetes' },
  }
  const ports = [{ name: 'https', protocol: 'TCP', port: 443, targetPort: port }]
  const [first] = services.ranges
  const clusterIP = first!.family === 'IPv4' ? `${first!.prefix}0.1` : `${first!.prefix}1`
  store.create('services', { metadata, spec: { type: 'ClusterIP', clusterIP, ports } })
  const endpointPorts = [{ name: 'https', protocol: 'TCP', port }]
  store.create('endpoints', { metadata, subsets: [{ addresses: [{ ip: address }], ports: endpointPorts }] })
  store.create('endpointslices.discovery.k8s.io', {
    metadata: { ...metadata, labels: { 'kubernetes.io/service-name': 'kubernetes' } },
    addressType: address.includes(':') ? 'IPv6' : 'IPv4',
    endpoints: [{ addresses: [address], conditions: { ready: true } }],
    ports: endpointPorts,
  })
}
