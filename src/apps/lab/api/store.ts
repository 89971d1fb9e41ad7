// SPDX-License-Identifier: Apache-2.0
import type { KubeObject } from '../../../protocol/kubeapi/object.ts'
import type { Patch } from '../../../protocol/kubeapi/patch.ts'
import type { Resource } from '../../../protocol/kubeapi/resources.ts'
import type { Status } from '../../../protocol/kubeapi/status.ts'

/**
 * The cluster's objects: in memory, synchronous, one resource version for all. The HTTPS server and the lab's own
 * controllers, scheduler and kubelets use the same calls. Resources are named `pods`, `deployments.apps`,
 * `ciliumnodes.cilium.io`; the namespace of a cluster-scoped object is ''. Refusals are thrown as StatusError.
 *
 * Objects handed out are frozen and shared; objects handed in are copied, defaulted, validated and frozen.
 */
export interface Store {
  /** The newest resource version. */
  readonly revision: number
  resources(): readonly Resource[]
  /** Throws NotFound when no such resource is served (any more). */
  resource(name: string): Resource
  /** Starts or stops serving a kind; stopping drops its objects and ends its watches. */
  serve(resource: Resource): void
  stopServing(name: string): void

  get<T extends KubeObject = KubeObject>(resource: string, namespace: string, name: string): T
  find<T extends KubeObject = KubeObject>(resource: string, namespace: string, name: string): T | undefined
  /** In namespace, then name order. */
  list<T extends KubeObject = KubeObject>(resource: string, filter?: Filter): readonly T[]

  create<T extends KubeObject = KubeObject>(resource: string, object: Draft, options?: WriteOptions): T
  /** Replaces; with a resourceVersion in the object, only that version (else Conflict). */
  update<T extends KubeObject = KubeObject>(resource: string, object: Draft, options?: WriteOptions): T
  /** Replaces the status alone (and, of built-in kinds, labels and annotations). */
  updateStatus<T extends KubeObject = KubeObject>(resource: string, object: Draft, options?: WriteOptions): T
  /** Creates the object when the patch is an apply and nothing is there. */
  patch<T extends KubeObject = KubeObject>(
    resource: string,
    namespace: string,
    name: string,
    patch: Patch,
    options?: PatchOptions,
  ): T
  /** Writes what `edit` makes of the stored object; `edit` may return undefined to leave it. No conflict is possible. */
  modify<T extends KubeObject = KubeObject>(
    resource: string,
    namespace: string,
    name: string,
    edit: (object: T) => Draft | undefined,
    options?: WriteOptions & { readonly subresource?: 'status' },
  ): T
  /** Answers the object while it still exists (finalizers, graceful end of a pod), else a Success Status. */
  delete(resource: string, namespace: string, name: string, options?: DeleteOptions): KubeObject | Status

  /**
   * Tells every change, in order, from a microtask: first an ADDED for each object that is there and a BOOKMARK, then
   * what happens; or, with `since`, what happened after that version (throws Expired when that is too long ago).
   * The returned function ends it.
   */
  watch<T extends KubeObject = KubeObject>(
    resource: string,
    options: WatchOptions,
    listener: (event: WatchEvent<T>) => void,
  ): () => void
}

/** What a writer hands in: an object whose server-made fields may be missing. */
export type Draft = { readonly metadata: KubeObject['metadata'] } & { readonly [field: string]: unknown }

export interface Filter {
  readonly namespace?: string
  /** A text as `kubectl -l` takes it. */
  readonly labels?: string
  /** A text as `kubectl --field-selector` takes it. */
  readonly fields?: string
}

export interface WriteOptions {
  readonly dryRun?: boolean
  /** Who writes, for managedFields. */
  readonly manager?: string
}

export interface PatchOptions extends WriteOptions {
  readonly subresource?: 'status'
  /** Sees the patched object before it is stored; may return a cleaned one or throw. */
  readonly check?: (draft: Draft) => Draft
}

export interface DeleteOptions extends WriteOptions {
  readonly gracePeriodSeconds?: number
  readonly propagationPolicy?: 'Background' | 'Foreground' | 'Orphan'
  readonly uid?: string
  readonly resourceVersion?: string
}

export interface WatchOptions extends Filter {
  readonly since?: number
  /** Called when the resource stops being served. */
  readonly onEnd?: () => void
}

export type WatchEvent<T = KubeObject> =
  | { readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'; readonly object: T; readonly revision: number }
  /** All of the state at the start has been told. */
  | { readonly type: 'BOOKMARK'; readonly revision: number }

/** What stands between a writer and the store: defaults, validation, allocation. Throws StatusError to refuse. */
export type Admit = (resource: Resource, object: KubeObject, old: KubeObject | undefined, store: Store) => KubeObject
