// SPDX-License-Identifier: Apache-2.0
import { fail, ok, type Result } from '../base/result.ts'
import { number, object, text, textMap } from './json.ts'

/** The part of Kubernetes' metadata that rows keep. */
export interface Meta {
  /** '' for objects of the cluster. */
  readonly namespace: string
  readonly name: string
  readonly uid: string
  readonly resourceVersion: string
  readonly generation: number
  readonly labels: { readonly [key: string]: string }
  readonly annotations: { readonly [key: string]: string }
  readonly deleting: boolean
}

export function parseMeta(object_: unknown): Result<Meta> {
  const m = object(object(object_)['metadata'])
  const name = text(m['name'])
  if (name === '') return fail({ field: 'metadata.name', message: 'required' })
  return ok({
    namespace: text(m['namespace']),
    name,
    uid: text(m['uid']),
    resourceVersion: text(m['resourceVersion']),
    generation: number(m['generation']),
    labels: textMap(m['labels']),
    annotations: textMap(m['annotations']),
    deleting: text(m['deletionTimestamp']) !== '',
  })
}

/** `namespace/name`, or the bare name for objects of the cluster. */
export const objectKey = (o: { readonly namespace: string; readonly name: string }): string =>
  o.namespace === '' ? o.name : `${o.namespace}/${o.name}`
