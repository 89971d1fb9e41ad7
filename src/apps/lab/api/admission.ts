// SPDX-License-Identifier: Apache-2.0
import { serverSideApply, trackUpdate } from '../../../protocol/kubeapi/apply.ts'
import { builtinProblems, metadataProblems } from '../../../protocol/kubeapi/builtinvalidation.ts'
import { celProblems } from '../../../protocol/kubeapi/cel.ts'
import { setDefaults } from '../../../protocol/kubeapi/defaults.ts'
import { messageShape, type Shape, schemaShape } from '../../../protocol/kubeapi/fieldset.ts'
import { copyJson, type KubeObject, sameJson } from '../../../protocol/kubeapi/object.ts'
import type { Patch } from '../../../protocol/kubeapi/patch.ts'
import { apiVersionOf, type Resource } from '../../../protocol/kubeapi/resources.ts'
import { messageOf } from '../../../protocol/kubeapi/schema.ts'
import { type FieldProblem, invalid, StatusError } from '../../../protocol/kubeapi/status.ts'
import { strategicPatch } from '../../../protocol/kubeapi/strategic.ts'
import { type Schema, withDefaults } from '../../../protocol/kubeapi/structural.ts'
import { validate } from '../../../protocol/kubeapi/validation.ts'
import { allocateService, type ServiceRanges } from './allocation.ts'
import type { Crds } from './crds.ts'
import { generateName, timestamp } from './lifecycle.ts'
import type { Draft, Store } from './store.ts'

/** What the store asks of the schemas: defaults, validation, allocation, and how patches merge. */
export interface Admission {
  admit(resource: Resource, object: KubeObject, old: KubeObject | undefined, store: Store): KubeObject
  patched(resource: Resource, current: KubeObject | undefined, patch: Patch, now: number, subresource?: 'status'): Draft
  tracked(
    resource: Resource,
    old: KubeObject,
    next: KubeObject,
    manager: string,
    now: number,
    subresource?: 'status',
  ): KubeObject
}

/** `crds` is asked late: the definitions are opened on the store that uses this. */
export function openAdmission(ranges: ServiceRanges, crds: () => Crds | undefined): Admission {
  const schemaOf = (resource: Resource) => crds()?.version(resource, resource.version)?.schema?.openAPIV3Schema
  const messageFor = (resource: Resource) => messageOf(apiVersionOf(resource), resource.kind)
  const shapeOf = (resource: Resource): Shape => {
    const message = resource.custom ? undefined : messageFor(resource)
    return message ? messageShape(message) : schemaShape(schemaOf(resource))
  }
  return {
    admit(resource, object, old, store) {
      const admitted = resource.custom ? custom(object) : builtin(object, old, store)
      const problems: FieldProblem[] = [...metadataProblems(resource, admitted)]
      if (resource.custom) {
        const schema = schemaOf(resource)
        if (schema && !sameBody(admitted, old)) problems.push(...customProblems(schema, admitted, old))
      } else if (!sameBody(admitted, old)) problems.push(...builtinProblems(admitted, old))
      if (problems.length > 0) throw invalid(resource, admitted.metadata.name!, problems)
      return admitted

      function custom(o: KubeObject): KubeObject {
        const schema = schemaOf(resource)
        return schema ? (withDefaults(schema, o) as KubeObject) : o
      }
      function builtin(o: KubeObject, before: KubeObject | undefined, at: Store): KubeObject {
        const draft = copyJson(o) as unknown as Record<string, unknown>
        setDefaults(o.kind, draft, before === undefined, generateName(''))
        const filled = draft as unknown as KubeObject
        return o.kind === 'Service' ? allocateService(ranges, filled, before, at) : filled
      }
    },
    patched(resource, current, patch, now, subresource) {
      if (patch.type === 'strategic') {
        return strategicPatch(messageFor(resource), { ...current }, { ...patch.body }) as unknown as Draft
      }
      if (patch.type !== 'apply') throw new StatusError(415, 'UnsupportedMediaType', 'the patch type is not known')
      const { apiVersion, kind, metadata, status } = patch.body
      const body = subresource ? { apiVersion, kind, metadata, status } : patch.body
      return serverSideApply(shapeOf(resource), current, {
        body,
        manager: patch.manager,
        force: patch.force,
        apiVersion: apiVersionOf(resource),
        time: timestamp(now),
        ...(subresource ? { subresource } : {}),
      }) as unknown as Draft
    },
    tracked(resource, old, next, manager, now, subresource) {
      const managed = old.metadata.managedFields
      const applied = managed?.some((m) => m.operation === 'Apply')
      // Ownership is kept from an object's first apply on; before that no one's claim could be disputed.
      if (!applied || !sameJson(managed, next.metadata.managedFields)) return next
      const managedFields = trackUpdate(shapeOf(resource), old, next, manager, timestamp(now), subresource)
      return { ...next, metadata: { ...next.metadata, managedFields } }
    },
  }
}

/** Rules are asked of what is well-formed only. */
function customProblems(schema: Schema, object: KubeObject, old: KubeObject | undefined): readonly FieldProblem[] {
  const problems = validate(schema, object)
  return problems.length > 0 ? problems : celProblems(schema, object, old)
}

/** True when nothing but metadata differs, so that what was valid still is. */
function sameBody(object: KubeObject, old: KubeObject | undefined): boolean {
  if (!old) return false
  const { metadata: _, ...a } = object
  const { metadata: __, ...b } = old
  return sameJson(a, b)
}
