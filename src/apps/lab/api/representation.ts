// SPDX-License-Identifier: Apache-2.0
import type { Column } from '../../../protocol/kubeapi/cells.ts'
import type { KubeObject } from '../../../protocol/kubeapi/object.ts'
import { columnDefinitions, metadataOnly } from '../../../protocol/kubeapi/table.ts'

/** How a client wants objects: whole, as rows of a table, or their metadata alone. */
export type Form = 'object' | 'table' | 'metadata'

/** The first form in the Accept header that we can give. */
export function formOf(accept: string): Form {
  for (const part of accept.split(',')) {
    const as = /;\s*as=(\w+)/.exec(part)?.[1]
    if (as === undefined && /json|\*\/\*|protobuf/.test(part)) return 'object'
    if (as === 'Table' && /json/.test(part)) return 'table'
    if ((as === 'PartialObjectMetadata' || as === 'PartialObjectMetadataList') && /json/.test(part)) return 'metadata'
  }
  return 'object'
}

const texts = new WeakMap<KubeObject, string>()
const metadataTexts = new WeakMap<KubeObject, string>()

/** An object's JSON, made once for all who ask. */
export function jsonOf(object: KubeObject): string {
  let text = texts.get(object)
  if (text === undefined) texts.set(object, (text = JSON.stringify(object)))
  return text
}

/** The object's PartialObjectMetadata as JSON, made once. */
export function metadataJsonOf(object: KubeObject): string {
  let text = metadataTexts.get(object)
  if (text === undefined) metadataTexts.set(object, (text = JSON.stringify(metadataOnly(object))))
  return text
}

export interface TableOptions {
  readonly columns: readonly Column[]
  readonly now: number
  /** `includeObject`: Metadata (the default), Object or None. */
  readonly include: string
}

function row(object: KubeObject, { columns, now, include }: TableOptions): string {
  const cells = JSON.stringify(columns.map((c) => c.cell(object, now)))
  const shown = include === 'None' ? 'null' : include === 'Object' ? jsonOf(object) : metadataJsonOf(object)
  return `{"cells":${cells},"object":${shown}}`
}

/** A Table of the objects as JSON; `metadata` is its ListMeta. */
export const tableJson = (objects: readonly KubeObject[], metadata: object, options: TableOptions): string =>
  `{"kind":"Table","apiVersion":"meta.k8s.io/v1","metadata":${JSON.stringify(metadata)},"columnDefinitions":${JSON.stringify(
    columnDefinitions(options.columns),
  )},"rows":[${objects.map((o) => row(o, options)).join(',')}]}`
