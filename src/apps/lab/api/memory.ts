// SPDX-License-Identifier: Apache-2.0
import type { Clock } from '../../../base/time.ts'
import { fieldTest } from '../../../protocol/kubeapi/fields.ts'
import { freezeJson, type KubeObject, sameJson } from '../../../protocol/kubeapi/object.ts'
import { jsonPatch, mergePatch, type Patch } from '../../../protocol/kubeapi/patch.ts'
import { type Resource, resourceName } from '../../../protocol/kubeapi/resources.ts'
import { parseLabelSelector } from '../../../protocol/kubeapi/selector.ts'
import {
  alreadyExists,
  badRequest,
  deleted,
  forbidden,
  notFound,
  StatusError,
} from '../../../protocol/kubeapi/status.ts'
import { type Change, type History, openHistory, seen } from './history.ts'
import { born, changed, checkPreconditions, counted, dying, released } from './lifecycle.ts'
import type { Admit, Draft, Filter, PatchOptions, Store, WatchEvent, WriteOptions } from './store.ts'

export interface StoreOptions {
  readonly clock: Clock
  readonly resources: readonly Resource[]
  readonly admit?: Admit
  /** Makes the patched object of a strategic or apply patch; needs the schema, which the store has not. */
  readonly patched?: (
    resource: Resource,
    current: KubeObject | undefined,
    patch: Patch,
    now: number,
    subresource?: 'status',
  ) => Draft
  /** Keeps managedFields when `manager` writes; without it they stay as they are. */
  readonly tracked?: (
    resource: Resource,
    old: KubeObject,
    next: KubeObject,
    manager: string,
    now: number,
    subresource?: 'status',
  ) => KubeObject
  /** Fields a field selector may name, of a resource that a CRD declared. */
  readonly selectableFields?: (resource: Resource) => readonly string[]
  /** Changes remembered per resource. */
  readonly history?: number
  /** A watcher's own error; it must not stop the others. */
  readonly report?: (error: unknown) => void
}

interface Kind {
  readonly resource: Resource
  readonly objects: Map<string, KubeObject>
  readonly history: History
  readonly watchers: Set<Watcher>
  /** Keys in order, until one is added or removed. */
  sorted: readonly string[] | undefined
}

interface Watcher {
  readonly matches: (object: KubeObject) => boolean
  readonly listener: (event: WatchEvent) => void
  readonly onEnd: (() => void) | undefined
  start: number
}

const keyOf = (namespace: string, name: string): string => `${namespace}/${name}`
const everything = () => true

/** An empty store that serves `resources`. */
export function openStore(options: StoreOptions): Store {
  const { clock, admit = (_, object) => object, report = () => {} } = options
  const kinds = new Map<string, Kind>()
  let revision = 1
  const queue: (() => void)[] = []

  const kindOf = (name: string): Kind => {
    const kind = kinds.get(name)
    if (!kind) throw new StatusError(404, 'NotFound', 'the server could not find the requested resource')
    return kind
  }

  /** Runs after the writer's turn, in the order of the commits. */
  const later = (work: () => void): void => {
    if (queue.push(work) > 1) return
    queueMicrotask(() => {
      for (let i = 0; i < queue.length; i++) {
        try {
          queue[i]!()
        } catch (error) {
          report(error)
        }
      }
      queue.length = 0
    })
  }

  const tell = (watcher: Watcher, event: WatchEvent): void => {
    try {
      watcher.listener(event)
    } catch (error) {
      report(error)
    }
  }

  const commit = (
    kind: Kind,
    type: Change['type'],
    draft: KubeObject,
    previous: KubeObject | undefined,
  ): KubeObject => {
    revision += 1
    const at = revision
    const object = freezeJson({ ...draft, metadata: { ...draft.metadata, resourceVersion: String(at) } })
    const key = keyOf(object.metadata.namespace ?? '', object.metadata.name!)
    if (type === 'DELETED') kind.objects.delete(key)
    else kind.objects.set(key, object)
    if (type !== 'MODIFIED') kind.sorted = undefined
    const change: Change = { type, object, previous, revision: at }
    kind.history.add(change)
    later(() => {
      for (const watcher of kind.watchers) {
        if (at <= watcher.start) continue
        const event = seen(change, watcher.matches)
        if (event) tell(watcher, event)
      }
    })
    return object
  }

  const matcher = (resource: Resource, filter: Filter): ((object: KubeObject) => boolean) => {
    const tests: ((object: KubeObject) => boolean)[] = []
    const { namespace, labels, fields } = filter
    if (namespace && resource.namespaced) tests.push((o) => o.metadata.namespace === namespace)
    if (labels) {
      const selector = parseLabelSelector(labels)
      tests.push((o) => selector(o.metadata.labels ?? {}))
    }
    if (fields) tests.push(fieldTest(resource, fields, options.selectableFields?.(resource)))
    if (tests.length === 0) return everything
    return (object) => tests.every((test) => test(object))
  }

  const sortedKeys = (kind: Kind): readonly string[] => {
    kind.sorted ??= [...kind.objects.keys()].sort()
    return kind.sorted
  }

  const listed = (kind: Kind, filter: Filter): readonly KubeObject[] => {
    const matches = matcher(kind.resource, filter)
    const out: KubeObject[] = []
    for (const key of sortedKeys(kind)) {
      const object = kind.objects.get(key)!
      if (matches(object)) out.push(object)
    }
    return out
  }

  const checkNamespace = (resource: Resource, object: KubeObject): void => {
    if (!resource.namespaced) return
    const { namespace, name } = object.metadata
    if (!namespace) throw badRequest('an empty namespace may not be set during creation')
    const home = kinds.get('namespaces')?.objects.get(keyOf('', namespace))
    if (!home) throw notFound({ group: '', plural: 'namespaces', kind: 'Namespace' }, namespace)
    if (!home.metadata.deletionTimestamp) return
    const why = `because it is being terminated`
    throw forbidden(resource, name!, `unable to create new content in namespace ${namespace} ${why}`, [
      {
        reason: 'NamespaceTerminating',
        message: `namespace ${namespace} is being terminated`,
        field: 'metadata.namespace',
      },
    ])
  }

  const replace = (
    kind: Kind,
    old: KubeObject,
    draft: Draft,
    sub: 'status' | undefined,
    { dryRun, manager }: WriteOptions,
  ): KubeObject => {
    const { resource } = kind
    const next = counted(resource, old, admit(resource, changed(resource, old, draft, sub), old, store))
    const admitted = manager && options.tracked ? options.tracked(resource, old, next, manager, clock.now(), sub) : next
    if (released(resource, admitted)) return dryRun ? admitted : commit(kind, 'DELETED', admitted, old)
    if (sameJson(admitted, old)) return old
    return dryRun ? freezeJson(admitted) : commit(kind, 'MODIFIED', admitted, old)
  }

  const store: Store = {
    get revision() {
      return revision
    },
    resources: () => [...kinds.values()].map((kind) => kind.resource),
    resource: (name) => kindOf(name).resource,
    serve(resource) {
      const name = resourceName(resource)
      const held = kinds.get(name)
      if (held) kinds.set(name, { ...held, resource })
      else {
        const history = openHistory(options.history ?? 10_000, revision)
        kinds.set(name, { resource, objects: new Map(), history, watchers: new Set(), sorted: undefined })
      }
    },
    stopServing(name) {
      const kind = kinds.get(name)
      kinds.delete(name)
      for (const watcher of kind?.watchers ?? []) watcher.onEnd?.()
    },
    get<T>(resource: string, namespace: string, name: string): T {
      const kind = kindOf(resource)
      const object = kind.objects.get(keyOf(namespace, name))
      if (!object) throw notFound(kind.resource, name)
      return object as T
    },
    find: <T>(resource: string, namespace: string, name: string): T | undefined =>
      kinds.get(resource)?.objects.get(keyOf(namespace, name)) as T | undefined,
    list: <T>(resource: string, filter: Filter = {}): readonly T[] => listed(kindOf(resource), filter) as readonly T[],
    create<T>(name: string, draft: Draft, { dryRun = false } = {}): T {
      const kind = kindOf(name)
      const object = admit(kind.resource, born(kind.resource, draft, clock.now()), undefined, store)
      checkNamespace(kind.resource, object)
      if (kind.objects.has(keyOf(object.metadata.namespace ?? '', object.metadata.name!))) {
        throw alreadyExists(kind.resource, object.metadata.name!)
      }
      return (dryRun ? freezeJson(object) : commit(kind, 'ADDED', object, undefined)) as unknown as T
    },
    update<T extends KubeObject>(name: string, draft: Draft, how: WriteOptions = {}): T {
      const kind = kindOf(name)
      const old = store.get(name, draft.metadata.namespace ?? '', draft.metadata.name ?? '')
      return replace(kind, old, draft, undefined, how) as T
    },
    updateStatus<T extends KubeObject>(name: string, draft: Draft, how: WriteOptions = {}): T {
      const kind = kindOf(name)
      const old = store.get(name, draft.metadata.namespace ?? '', draft.metadata.name ?? '')
      return replace(kind, old, draft, 'status', how) as T
    },
    patch<T extends KubeObject>(
      resource: string,
      namespace: string,
      name: string,
      patch: Patch,
      how: PatchOptions = {},
    ): T {
      const kind = kindOf(resource)
      const old = store.find(resource, namespace, name)
      if (!old && patch.type !== 'apply') throw notFound(kind.resource, name)
      const { subresource, dryRun = false, check = (draft: Draft) => draft } = how
      const made = check(makePatched(options, kind.resource, old, patch, clock.now(), subresource))
      if (!old)
        return store.create<T>(resource, { ...made, metadata: { ...made.metadata, namespace, name } }, { dryRun })
      const { manager, ...rest } = how
      return replace(kind, old, made, subresource, patch.type === 'apply' ? rest : how) as T
    },
    modify<T extends KubeObject>(
      resource: string,
      namespace: string,
      name: string,
      edit: (object: T) => Draft | undefined,
      how: WriteOptions & { readonly subresource?: 'status' } = {},
    ): T {
      const kind = kindOf(resource)
      const old = store.get<T>(resource, namespace, name)
      const draft = edit(old)
      return draft === undefined ? old : (replace(kind, old, draft, how.subresource, how) as T)
    },
    delete(resource, namespace, name, how = {}) {
      const kind = kindOf(resource)
      const old = store.get(resource, namespace, name)
      checkPreconditions(kind.resource, old, how)
      const next = dying(kind.resource, old, how, clock.now())
      if (next && sameJson(next, old)) return old
      if (next) return how.dryRun ? freezeJson(next) : commit(kind, 'MODIFIED', next, old)
      if (!how.dryRun) commit(kind, 'DELETED', old, old)
      return deleted(kind.resource, name, old.metadata.uid)
    },
    watch(resource, how, listener) {
      const kind = kindOf(resource)
      const watcher: Watcher = {
        matches: matcher(kind.resource, how),
        listener: listener as (event: WatchEvent) => void,
        onEnd: how.onEnd,
        start: revision,
      }
      const at = revision
      const { since } = how
      const missed = since === undefined ? [] : kind.history.after(since)
      const present = since === undefined ? listed(kind, how) : []
      kind.watchers.add(watcher)
      later(() => {
        const here = () => kind.watchers.has(watcher)
        for (const object of present) if (here()) tell(watcher, { type: 'ADDED', object, revision: at })
        for (const change of missed) {
          const event = here() ? seen(change, watcher.matches) : undefined
          if (event) tell(watcher, event)
        }
        if (since === undefined && here()) tell(watcher, { type: 'BOOKMARK', revision: at })
      })
      return () => void kind.watchers.delete(watcher)
    },
  }
  for (const resource of options.resources) store.serve(resource)
  return store
}

function makePatched(
  options: StoreOptions,
  resource: Resource,
  old: KubeObject | undefined,
  patch: Patch,
  now: number,
  subresource: 'status' | undefined,
): Draft {
  if (patch.type === 'json') return jsonPatch(old, patch.operations) as Draft
  if (patch.type === 'merge') return mergePatch(old, patch.body) as Draft
  if (!options.patched) throw new StatusError(415, 'UnsupportedMediaType', 'this patch type needs a schema')
  return options.patched(resource, old, patch, now, subresource)
}
