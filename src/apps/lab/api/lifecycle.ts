// SPDX-License-Identifier: Apache-2.0
import { randomInt, randomUUID } from 'node:crypto'
import { copyJson, isMap, type KubeObject, type ObjectMeta, sameJson } from '../../../protocol/kubeapi/object.ts'
import { apiVersionOf, type Resource } from '../../../protocol/kubeapi/resources.ts'
import { badRequest, conflict, invalid, wrongValue } from '../../../protocol/kubeapi/status.ts'
import type { DeleteOptions, Draft } from './store.ts'

/** Milliseconds as Kubernetes writes a time: RFC 3339, whole seconds, UTC. */
export const timestamp = (ms: number): string => new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z')

const suffixLetters = 'bcdfghjklmnpqrstvwxz2456789'
/** A name from a generateName: five letters that spell no word. */
export const generateName = (prefix: string): string =>
  prefix.slice(0, 58) + Array.from({ length: 5 }, () => suffixLetters[randomInt(suffixLetters.length)]).join('')

function assemble(resource: Resource, metadata: ObjectMeta, draft: Draft): KubeObject {
  const { apiVersion: _, kind: __, metadata: ___, ...rest } = draft
  return {
    apiVersion: apiVersionOf(resource),
    kind: resource.kind,
    metadata: present(metadata),
    ...(present(copyJson(rest)) as object),
  }
}

/** Without the top-level fields that are null or undefined, which mean absent. */
function present<T extends object>(value: T): T {
  return Object.fromEntries(Object.entries(value).filter(([, v]) => v !== undefined && v !== null)) as T
}

/** A draft as it is first stored, before its resource version. */
export function born(resource: Resource, draft: Draft, now: number): KubeObject {
  const given = isMap(draft.metadata) ? draft.metadata : {}
  const meta = copyJson(given) as ObjectMeta
  const name = meta.name || (meta.generateName ? generateName(meta.generateName) : undefined)
  if (!name) {
    throw invalid(resource, '', [
      {
        field: 'metadata.name',
        reason: 'FieldValueRequired',
        message: 'Required value: name or generateName is required',
      },
    ])
  }
  if (meta.resourceVersion) throw badRequest('resourceVersion should not be set on objects to be created')
  const { deletionTimestamp: _, deletionGracePeriodSeconds: __, resourceVersion: ___, generation: ____, ...kept } = meta
  const object = assemble(resource, { ...kept, name, uid: randomUUID(), creationTimestamp: timestamp(now) }, draft)
  const withGeneration = resource.generation ? { ...object, metadata: { ...object.metadata, generation: 1 } } : object
  return resource.namespaced
    ? withGeneration
    : { ...withGeneration, metadata: without(withGeneration.metadata, 'namespace') }
}

function without<K extends keyof ObjectMeta>(meta: ObjectMeta, key: K): ObjectMeta {
  const { [key]: _, ...rest } = meta
  return rest as ObjectMeta
}

/** What a main or status write makes of the stored object; server-made metadata stays. Throws Conflict, Invalid. */
export function changed(
  resource: Resource,
  old: KubeObject,
  draft: Draft,
  subresource: 'status' | undefined,
): KubeObject {
  const asked = (isMap(draft.metadata) ? draft.metadata : {}) as ObjectMeta
  const name = old.metadata.name!
  if (asked.resourceVersion && asked.resourceVersion !== old.metadata.resourceVersion) throw conflict(resource, name)
  if (asked.uid && asked.uid !== old.metadata.uid) {
    throw conflict(
      resource,
      name,
      `Precondition failed: UID in precondition: ${asked.uid}, UID in object meta: ${old.metadata.uid}`,
    )
  }
  const { labels, annotations, finalizers, ownerReferences, managedFields } = asked
  const free = subresource === 'status' && resource.custom ? {} : { labels, annotations }
  const owned = subresource === 'status' ? {} : { finalizers, ownerReferences }
  const metadata = { ...old.metadata, ...free, ...owned, ...(managedFields ? { managedFields } : {}) }
  if (metadata.finalizers?.length === 0) delete (metadata as Record<string, unknown>)['finalizers']
  if (metadata.ownerReferences?.length === 0) delete (metadata as Record<string, unknown>)['ownerReferences']
  if (old.metadata.deletionTimestamp) {
    const had = old.metadata.finalizers ?? []
    const added = (metadata.finalizers ?? []).filter((f) => !had.includes(f))
    if (added.length > 0) {
      throw invalid(resource, name, [
        {
          field: 'metadata.finalizers',
          reason: 'FieldValueForbidden',
          message: `Forbidden: no new finalizers can be added if the object is being deleted, found new finalizers ${JSON.stringify(added)}`,
        },
      ])
    }
  }
  const body: Draft =
    subresource === 'status'
      ? { ...old, status: draft['status'] }
      : resource.status
        ? { ...draft, status: old['status'] }
        : draft
  return assemble(resource, copyJson(metadata) as ObjectMeta, body)
}

/** With the next generation when what is desired differs. To be asked once defaults are filled in. */
export function counted(resource: Resource, old: KubeObject, next: KubeObject): KubeObject {
  if (!resource.generation || sameDesired(resource, old, next)) return next
  return { ...next, metadata: { ...next.metadata, generation: (old.metadata.generation ?? 0) + 1 } }
}

function sameDesired(resource: Resource, old: KubeObject, next: KubeObject): boolean {
  const { metadata: _, status: oldStatus, ...a } = old
  const { metadata: __, status: nextStatus, ...b } = next
  return sameJson(a, b) && (resource.status || sameJson(oldStatus, nextStatus))
}

/** Throws Conflict unless the preconditions of a deletion hold. */
export function checkPreconditions(resource: Resource, object: KubeObject, options: DeleteOptions): void {
  const { uid, resourceVersion, name } = object.metadata
  if (options.uid && options.uid !== uid) {
    throw conflict(
      resource,
      name!,
      `Precondition failed: UID in precondition: ${options.uid}, UID in object meta: ${uid}`,
    )
  }
  if (options.resourceVersion && options.resourceVersion !== resourceVersion) {
    throw conflict(
      resource,
      name!,
      `Precondition failed: ResourceVersion in precondition: ${options.resourceVersion}, ResourceVersion in object meta: ${resourceVersion}`,
    )
  }
}

/**
 * The object as a deletion leaves it: with a deletion timestamp and what holds it, or undefined when nothing does.
 * A scheduled, living pod gets its grace period; a namespace waits for `spec.finalizers`.
 */
export function dying(
  resource: Resource,
  object: KubeObject,
  options: DeleteOptions,
  now: number,
): KubeObject | undefined {
  const isPod = resource.plural === 'pods' && resource.group === ''
  const grace = isPod ? podGrace(object, options) : 0
  const finalizers = new Set(object.metadata.finalizers)
  if (options.propagationPolicy === 'Foreground') finalizers.add('foregroundDeletion')
  if (options.propagationPolicy === 'Orphan') finalizers.add('orphan')
  const earlier = object.metadata.deletionTimestamp
  const end = timestamp(now + grace * 1000)
  const metadata = {
    ...object.metadata,
    deletionTimestamp: earlier && earlier < end ? earlier : end,
    deletionGracePeriodSeconds: Math.min(grace, object.metadata.deletionGracePeriodSeconds ?? grace),
    ...(finalizers.size > 0 ? { finalizers: [...finalizers] } : {}),
    ...(earlier === undefined && object.metadata.generation ? { generation: object.metadata.generation + 1 } : {}),
  }
  const next = { ...object, metadata }
  if (resource.plural === 'namespaces' && resource.group === '') {
    const terminating = { ...next, status: { ...(object['status'] as object | undefined), phase: 'Terminating' } }
    return released(resource, terminating) ? undefined : terminating
  }
  return grace === 0 && finalizers.size === 0 ? undefined : next
}

/** True when an object with a deletion timestamp has nothing left that holds it. */
export function released(resource: Resource, object: KubeObject): boolean {
  const { deletionTimestamp, deletionGracePeriodSeconds = 0, finalizers = [] } = object.metadata
  if (deletionTimestamp === undefined || finalizers.length > 0 || deletionGracePeriodSeconds > 0) return false
  const spec = object['spec']
  const held =
    resource.plural === 'namespaces' && isMap(spec) && Array.isArray(spec['finalizers']) ? spec['finalizers'] : []
  return held.length === 0
}

function podGrace(pod: KubeObject, options: DeleteOptions): number {
  const spec = (pod['spec'] ?? {}) as { nodeName?: string; terminationGracePeriodSeconds?: number }
  const phase = (pod['status'] as { phase?: string } | undefined)?.phase
  if (!spec.nodeName || phase === 'Succeeded' || phase === 'Failed') return 0
  const asked = options.gracePeriodSeconds ?? spec.terminationGracePeriodSeconds ?? 30
  if (asked < 0) throw invalidGrace(pod, asked)
  return asked
}

const invalidGrace = (pod: KubeObject, asked: number) =>
  invalid({ group: '', plural: 'pods', kind: 'Pod' }, pod.metadata.name!, [
    wrongValue('gracePeriodSeconds', asked, 'must be greater than or equal to 0'),
  ])
