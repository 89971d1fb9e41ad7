// SPDX-License-Identifier: Apache-2.0
import type { Column } from '../../../protocol/kubeapi/cells.ts'
import { type Served, servedOf, servedReviews } from '../../../protocol/kubeapi/discovery.ts'
import type { KubeObject } from '../../../protocol/kubeapi/object.ts'
import { apiVersionOf, type Resource, resourceName } from '../../../protocol/kubeapi/resources.ts'
import { conform, messageOf } from '../../../protocol/kubeapi/schema.ts'
import { badRequest, StatusError } from '../../../protocol/kubeapi/status.ts'
import { prune, type Schema } from '../../../protocol/kubeapi/structural.ts'
import { columnsOf } from '../../../protocol/kubeapi/table.ts'
import type { Crds } from './crds.ts'
import { eventsResource, fromNewEvent, toNewEvent } from './events.ts'
import type { Store } from './store.ts'

/** A kind as one request sees it: the stored resource at the version asked for. */
export interface Kind {
  /** The resource in the store. */
  readonly resource: Resource
  /** As the client names it. */
  readonly group: string
  readonly version: string
  readonly apiVersion: string
  readonly columns: readonly Column[]
  readonly schema: Schema | undefined
  /** A stored object at this version. */
  out(object: KubeObject): KubeObject
  /** A client's object as it is stored; the path of each field that the kind has not goes to `unknown`. */
  read(body: Record<string, unknown>, unknown: (path: string) => void): Record<string, unknown>
}

/** Everything served now, for discovery and OpenAPI. */
export function servedKinds(store: Store): readonly Served[] {
  return [...store.resources().flatMap(servedOf), ...servedOf(eventsResource), ...servedReviews]
}

/** Throws NotFound when nothing of that name is served at that version. */
export function findKind(store: Store, crds: Crds, group: string, version: string, plural: string): Kind {
  if (group === eventsResource.group && plural === 'events') return eventsKind(store)
  const resource = store.resource(resourceName({ group, plural, kind: '' }))
  if (!resource.versions.includes(version))
    throw new StatusError(404, 'NotFound', 'the server could not find the requested resource')
  const apiVersion = apiVersionOf({ group, version })
  const declared = resource.custom ? crds.version(resource, version) : undefined
  const schema = declared?.schema?.openAPIV3Schema
  return {
    resource,
    group,
    version,
    apiVersion,
    columns: columnsOf(resource, declared?.additionalPrinterColumns),
    schema,
    out: version === resource.version ? (object) => object : (object) => ({ ...object, apiVersion }),
    read(body, unknown) {
      checkKind(body, resource.kind, apiVersion)
      if (resource.custom) return (schema ? prune(schema, body, unknown) : body) as Record<string, unknown>
      const message = messageOf(apiVersion, resource.kind)
      return message ? conform(message, body, unknown) : body
    },
  }
}

function checkKind(body: Record<string, unknown>, kind: string, apiVersion: string): void {
  if (body['kind'] !== undefined && body['kind'] !== kind) {
    throw badRequest(`${body['kind']} in version "${body['apiVersion']}" cannot be handled as a ${kind}`)
  }
  if (body['apiVersion'] !== undefined && body['apiVersion'] !== apiVersion) {
    throw badRequest(
      `the API version in the data (${body['apiVersion']}) does not match the expected API version (${apiVersion})`,
    )
  }
}

/** `events.k8s.io/v1` is another view of the same events. */
function eventsKind(store: Store): Kind {
  const message = messageOf('events.k8s.io/v1', 'Event')!
  return {
    resource: store.resource('events'),
    group: 'events.k8s.io',
    version: 'v1',
    apiVersion: 'events.k8s.io/v1',
    columns: columnsOf(store.resource('events'), undefined),
    schema: undefined,
    out: toNewEvent,
    read: (body, unknown) => fromNewEvent(conform(message, body, unknown)),
  }
}
