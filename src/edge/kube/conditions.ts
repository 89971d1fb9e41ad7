// SPDX-License-Identifier: Apache-2.0
import { type Json, list, object, text } from '../../model/json.ts'
import type { Kube } from './client.ts'
import type { KubeObject, Resource } from './resource.ts'
import { isConflict, isNotFound } from './status.ts'

export interface Condition {
  readonly type: string
  readonly status: 'True' | 'False'
  readonly reason: string
  readonly message: string
  readonly lastTransitionTime: string
}

/** What an object's status says under a type. */
export const conditionOf = (of: KubeObject, type: string): Partial<Condition> | undefined =>
  list(object(of['status'])['conditions'])
    .map(object)
    .find((c) => text(c['type']) === type) as Partial<Condition> | undefined

const TRIES = 8

/**
 * Puts one condition into an object's status, or takes that of a type out of it; others, which have other writers, stay.
 * An object that is gone is none to say anything about.
 */
export async function putCondition(
  kube: Kube,
  resource: Resource,
  namespace: string | undefined,
  name: string,
  wanted: Condition | { readonly type: string; readonly status?: undefined },
): Promise<void> {
  for (let left = TRIES; ; left--)
    try {
      const now = await kube.get(resource, namespace, name)
      const before: readonly Json[] = list(object(now['status'])['conditions'])
      const others = before.filter((c) => text(object(c)['type']) !== wanted.type)
      if (wanted.status === undefined && others.length === before.length) return
      const conditions = wanted.status === undefined ? others : [...others, wanted]
      const patch = { metadata: { resourceVersion: now.metadata.resourceVersion }, status: { conditions } }
      await kube.patch(resource, namespace, name, patch, { subresource: 'status' })
      return
    } catch (e) {
      if (isNotFound(e)) return
      if (!isConflict(e) || left === 0) throw e
    }
}
