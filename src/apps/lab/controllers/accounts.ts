// SPDX-License-Identifier: Apache-2.0
import type { Store } from '../api/store.ts'
import { type Controller, splitKey } from './queue.ts'

/** Gives each namespace its ServiceAccount `default` and the ConfigMap with the cluster's certificate authority. */
export const accountsController = (store: Store, ca: string): Controller => ({
  name: 'accounts',
  watches: [
    { resource: 'namespaces', keys: (o) => [`${o.metadata.name}/`] },
    { resource: 'serviceaccounts', keys: (o) => (o.metadata.name === 'default' ? [`${o.metadata.namespace}/`] : []) },
    {
      resource: 'configmaps',
      keys: (o) => (o.metadata.name === 'kube-root-ca.crt' ? [`${o.metadata.namespace}/`] : []),
    },
  ],
  sync: (key) => {
    const [namespace] = splitKey(key)
    const found = store.find('namespaces', '', namespace)
    if (!found || found.metadata.deletionTimestamp) return undefined
    if (!store.find('serviceaccounts', namespace, 'default'))
      store.create('serviceaccounts', {
        apiVersion: 'v1',
        kind: 'ServiceAccount',
        metadata: { name: 'default', namespace },
      })
    const data = { 'ca.crt': ca }
    const held = store.find('configmaps', namespace, 'kube-root-ca.crt')
    const draft = { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name: 'kube-root-ca.crt', namespace }, data }
    if (!held) store.create('configmaps', draft)
    else if ((held['data'] as Record<string, string> | undefined)?.['ca.crt'] !== ca) store.update('configmaps', draft)
    return undefined
  },
})
