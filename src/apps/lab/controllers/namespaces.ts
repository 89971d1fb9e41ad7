// SPDX-License-Identifier: Apache-2.0
import type { KubeObject } from '../../../protocol/kubeapi/object.ts'
import { resourceName } from '../../../protocol/kubeapi/resources.ts'
import type { Store } from '../api/store.ts'
import { timestamp } from './events.ts'
import { remove } from './ownership.ts'
import type { Controller } from './queue.ts'

interface Namespace extends KubeObject {
  readonly spec?: { readonly finalizers?: readonly string[] }
}

/** How soon a namespace that still has contents is looked at again. */
const again = 100

/** Empties a namespace that is being deleted, then lets it go. */
export const namespaceController = (store: Store, now: () => number = Date.now): Controller => ({
  name: 'namespace',
  watches: [{ resource: 'namespaces', keys: (o) => [o.metadata.name ?? ''] }],
  sync: (name) => {
    const namespace = store.find<Namespace>('namespaces', '', name)
    if (!namespace?.metadata.deletionTimestamp) return undefined
    const left = new Map<string, number>()
    for (const resource of store.resources().filter((r) => r.namespaced)) {
      const kind = resourceName(resource)
      for (const object of store.list(kind, { namespace: name }))
        if (!object.metadata.deletionTimestamp) remove(store, kind, object)
      const count = store.list(kind, { namespace: name }).length
      if (count > 0) left.set(kind, count)
    }
    if (left.size > 0) {
      const text = [...left].map(([kind, count]) => `${kind} has ${count} resource instances`).join(', ')
      const lastTransitionTime = timestamp(now())
      const condition = {
        type: 'NamespaceContentRemaining',
        status: 'True',
        reason: 'SomeResourcesRemain',
        message: `Some resources are remaining: ${text}`,
        lastTransitionTime,
      }
      store.modify(
        'namespaces',
        '',
        name,
        (n) => ({ ...n, status: { phase: 'Terminating', conditions: [condition] } }),
        { subresource: 'status' },
      )
      return again
    }
    store.modify<Namespace>('namespaces', '', name, (n) => ({
      ...n,
      spec: { ...n.spec, finalizers: (n.spec?.finalizers ?? []).filter((f) => f !== 'kubernetes') },
    }))
    return undefined
  },
})
