// SPDX-License-Identifier: Apache-2.0
import { isMap, type KubeObject } from './object.ts'
import { type Resource, resourceName } from './resources.ts'
import { type FieldRequirement, parseFieldSelector } from './selector.ts'
import { badRequest } from './status.ts'

/** Fields that a field selector may name, beside metadata.name and metadata.namespace. */
const selectable: Readonly<Record<string, readonly string[]>> = {
  pods: [
    'spec.nodeName',
    'spec.restartPolicy',
    'spec.schedulerName',
    'spec.serviceAccountName',
    'spec.hostNetwork',
    'status.phase',
    'status.podIP',
    'status.nominatedNodeName',
  ],
  events: [
    'involvedObject.kind',
    'involvedObject.namespace',
    'involvedObject.name',
    'involvedObject.uid',
    'involvedObject.apiVersion',
    'involvedObject.resourceVersion',
    'involvedObject.fieldPath',
    'reason',
    'reportingComponent',
    'source.component',
    'type',
  ],
  secrets: ['type'],
  services: ['spec.clusterIP', 'spec.type'],
  namespaces: ['status.phase'],
  nodes: ['spec.unschedulable'],
  'jobs.batch': ['status.successful'],
  'replicasets.apps': ['status.replicas'],
}

const absent: Readonly<Record<string, string>> = { 'spec.hostNetwork': 'false', 'spec.unschedulable': 'false' }

/** The value at a dotted path, or undefined. Keys with dots are not reachable this way. */
export function fieldAt(object: unknown, path: readonly string[]): unknown {
  let at: unknown = object
  for (const key of path) {
    if (!isMap(at)) return undefined
    at = at[key]
  }
  return at
}

/** The field selector as a test. `extra` are the fields a CRD declares. Throws BadRequest for a field that is not selectable. */
export function fieldTest(
  resource: Resource,
  text: string,
  extra: readonly string[] = [],
): (object: KubeObject) => boolean {
  const requirements = parseFieldSelector(text)
  const known = [...(selectable[resourceName(resource)] ?? []), ...extra, 'metadata.name', 'metadata.namespace']
  for (const r of requirements) {
    if (!known.includes(r.field)) throw badRequest(`field label not supported: ${r.field}`)
  }
  return (object) => requirements.every((r) => holds(object, r))
}

function holds(object: KubeObject, { field, value, equal }: FieldRequirement): boolean {
  const found = fieldAt(object, field.split('.'))
  return (String(found ?? absent[field] ?? '') === value) === equal
}
