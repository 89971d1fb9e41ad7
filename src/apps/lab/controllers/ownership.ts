// SPDX-License-Identifier: Apache-2.0
import type { KubeObject, OwnerReference } from '../../../protocol/kubeapi/object.ts'
import { type LabelSelector, matchesLabels } from '../../../protocol/kubeapi/selector.ts'
import { isReason } from '../../../protocol/kubeapi/status.ts'
import type { Store } from '../api/store.ts'

/** The owner that controls this object, if any. */
export const controllerOf = (object: KubeObject): OwnerReference | undefined =>
  object.metadata.ownerReferences?.find((r) => r.controller)

/** The reference that makes `owner` the controller of an object. */
export const controlledBy = (owner: KubeObject): OwnerReference => ({
  apiVersion: owner.apiVersion,
  kind: owner.kind,
  name: owner.metadata.name ?? '',
  uid: owner.metadata.uid ?? '',
  controller: true,
  blockOwnerDeletion: true,
})

/** The key of the controller of kind `kind`, for `Watch.keys`. */
export const controllerKey =
  (kind: string) =>
  (object: KubeObject): readonly string[] => {
    const owner = controllerOf(object)
    return owner?.kind === kind ? [`${object.metadata.namespace ?? ''}/${owner.name}`] : []
  }

/**
 * The objects that `owner` controls in its namespace. Orphans that match the selector are adopted and owned objects
 * that no longer match are let go, unless the owner is being deleted.
 */
export const claim = <T extends KubeObject>(
  store: Store,
  resource: string,
  owner: KubeObject,
  selector?: LabelSelector,
): T[] => {
  const namespace = owner.metadata.namespace ?? ''
  const claimed: T[] = []
  for (const object of store.list<T>(resource, { namespace })) {
    const controller = controllerOf(object)
    const matching = selector === undefined || matchesLabels(selector, object.metadata.labels)
    if (controller?.uid === owner.metadata.uid) {
      if (matching || owner.metadata.deletionTimestamp) claimed.push(object)
      else release(store, resource, object, owner)
    } else if (
      !controller &&
      matching &&
      selector &&
      !owner.metadata.deletionTimestamp &&
      !object.metadata.deletionTimestamp
    ) {
      const ownerReferences = [...(object.metadata.ownerReferences ?? []), controlledBy(owner)]
      claimed.push(
        store.modify<T>(resource, namespace, object.metadata.name ?? '', (o) => ({
          ...o,
          metadata: { ...o.metadata, ownerReferences },
        })),
      )
    }
  }
  return claimed
}

const release = (store: Store, resource: string, object: KubeObject, owner: KubeObject) => {
  const { namespace = '', name = '' } = object.metadata
  store.modify(resource, namespace, name, (o) => ({
    ...o,
    metadata: {
      ...o.metadata,
      ownerReferences: (o.metadata.ownerReferences ?? []).filter((r) => r.uid !== owner.metadata.uid),
    },
  }))
}

/** Deletes unless it is gone already. */
export const remove = (store: Store, resource: string, object: KubeObject): void => {
  const { namespace = '', name = '', uid } = object.metadata
  try {
    store.delete(resource, namespace, name, uid === undefined ? {} : { uid })
  } catch (error) {
    if (!isReason(error, 'NotFound') && !isReason(error, 'Conflict')) throw error
  }
}
