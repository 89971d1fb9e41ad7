// SPDX-License-Identifier: Apache-2.0
import type { KubeObject, OwnerReference } from '../../../protocol/kubeapi/object.ts'
import { apiVersionOf, resourceName } from '../../../protocol/kubeapi/resources.ts'
import { isReason } from '../../../protocol/kubeapi/status.ts'
import type { Store } from '../api/store.ts'
import { recorder } from './events.ts'
import type { Controller } from './queue.ts'

const FOREGROUND = 'foregroundDeletion'
const ORPHAN = 'orphan'
const CRDS = 'customresourcedefinitions.apiextensions.k8s.io'
/** The key of work that looks for kinds newly served or no longer served. */
const EVERY_KIND = '*'
/** Kinds that own nothing, are owned by nothing, and change all the time. */
const outside = new Set(['events', 'leases.coordination.k8s.io'])

interface Held {
  readonly resource: string
  readonly object: KubeObject
}

/**
 * Deletes what owners leave behind, by owner references: in the background once the owner is gone, in the foreground
 * before the owner goes, or not at all (orphan). Work keys are uids. Follows kinds as they come and go.
 */
export const garbageController = (store: Store): Controller => {
  const record = recorder(store, 'garbage-collector-controller')
  const objects = new Map<string, Held>()
  const dependents = new Map<string, Set<string>>()
  const watched = new Map<string, () => void>()
  let add: (uid: string) => void = () => {}

  const link = (uid: string, owners: readonly OwnerReference[], join: boolean) => {
    for (const { uid: owner } of owners) {
      const set = dependents.get(owner) ?? new Set()
      if (join) set.add(uid)
      else set.delete(uid)
      if (set.size === 0) dependents.delete(owner)
      else dependents.set(owner, set)
    }
  }

  const note = (resource: string, object: KubeObject, gone: boolean) => {
    const uid = object.metadata.uid ?? ''
    const before = objects.get(uid)
    if (before) link(uid, before.object.metadata.ownerReferences ?? [], false)
    const touched = [uid, ...(object.metadata.ownerReferences ?? []).map((r) => r.uid)]
    if (gone) {
      objects.delete(uid)
      touched.push(...(dependents.get(uid) ?? []))
    } else {
      objects.set(uid, { resource, object })
      link(uid, object.metadata.ownerReferences ?? [], true)
    }
    for (const t of touched) add(t)
  }

  const follow = () => {
    const now = new Set(store.resources().map(resourceName))
    for (const [name, stop] of watched) {
      if (now.has(name)) continue
      stop()
      watched.delete(name)
      for (const [, held] of objects) if (held.resource === name) note(name, held.object, true)
    }
    for (const name of now) {
      if (watched.has(name) || outside.has(name)) continue
      const stop = store.watch(name, {}, (event) => {
        if (event.type !== 'BOOKMARK') note(name, event.object, event.type === 'DELETED')
      })
      watched.set(name, stop)
    }
  }

  const exists = (dependent: Held, owner: OwnerReference): boolean => {
    if (objects.has(owner.uid)) return true
    const resource = store.resources().find((r) => r.kind === owner.kind && apiVersionOf(r) === owner.apiVersion)
    if (!resource) return true // The kind may be served later; nothing is known about its objects now.
    const namespace = resource.namespaced ? (dependent.object.metadata.namespace ?? '') : ''
    if (resource.namespaced && namespace === '') {
      record(
        dependent.object,
        'Warning',
        'OwnerRefInvalidNamespace',
        `ownerRef ${owner.kind} ${owner.name} of a cluster-scoped object is namespaced`,
      )
      return true
    }
    return store.find(resourceName(resource), namespace, owner.name)?.metadata.uid === owner.uid
  }

  const destroy = ({ resource, object }: Held, propagationPolicy?: 'Foreground' | 'Background') => {
    const { namespace = '', name = '', uid } = object.metadata
    try {
      store.delete(resource, namespace, name, {
        ...(uid ? { uid } : {}),
        ...(propagationPolicy ? { propagationPolicy } : {}),
      })
    } catch (error) {
      if (!isReason(error, 'NotFound') && !isReason(error, 'Conflict')) throw error
    }
  }

  const edit = ({ resource, object }: Held, change: (o: KubeObject) => KubeObject | undefined) => {
    const { namespace = '', name = '', uid } = object.metadata
    const found = store.find(resource, namespace, name)
    if (found?.metadata.uid === uid) store.modify(resource, namespace, name, change)
  }

  const dropFinalizer = (held: Held, finalizer: string) =>
    edit(held, (o) => ({
      ...o,
      metadata: { ...o.metadata, finalizers: (o.metadata.finalizers ?? []).filter((f) => f !== finalizer) },
    }))

  const settle = (uid: string) => {
    const held = objects.get(uid)
    if (!held) {
      // The owner is gone: its dependents are looked at one by one.
      for (const child of dependents.get(uid) ?? []) orphaned(child)
      return
    }
    const { deletionTimestamp, finalizers = [] } = held.object.metadata
    const children = [...(dependents.get(uid) ?? [])].flatMap((c) => objects.get(c) ?? [])
    if (deletionTimestamp && finalizers.includes(ORPHAN)) {
      for (const child of children)
        edit(child, (o) => ({
          ...o,
          metadata: { ...o.metadata, ownerReferences: (o.metadata.ownerReferences ?? []).filter((r) => r.uid !== uid) },
        }))
      dropFinalizer(held, ORPHAN)
      return
    }
    if (deletionTimestamp && finalizers.includes(FOREGROUND)) {
      const blocking = children.filter((c) =>
        c.object.metadata.ownerReferences?.some((r) => r.uid === uid && r.blockOwnerDeletion),
      )
      for (const child of children) if (!child.object.metadata.deletionTimestamp) destroy(child, 'Foreground')
      if (blocking.every((c) => !objects.has(c.object.metadata.uid ?? ''))) dropFinalizer(held, FOREGROUND)
      return
    }
    orphaned(uid)
  }

  /** Deletes an object none of whose owners exists; drops references to the dead when one lives. */
  const orphaned = (uid: string) => {
    const held = objects.get(uid)
    const owners = held?.object.metadata.ownerReferences ?? []
    if (!held || owners.length === 0 || held.object.metadata.deletionTimestamp) return
    const alive = owners.filter((o) => exists(held, o))
    if (alive.length === 0) destroy(held)
    else if (alive.length < owners.length)
      edit(held, (o) => ({ ...o, metadata: { ...o.metadata, ownerReferences: alive } }))
  }

  return {
    name: 'garbage',
    watches: [{ resource: CRDS, keys: () => [EVERY_KIND] }],
    feed: (queue) => {
      add = queue
      follow()
      return () => {
        for (const stop of watched.values()) stop()
      }
    },
    sync: (key) => {
      if (key === EVERY_KIND) follow()
      else settle(key)
      return undefined
    },
  }
}
