// SPDX-License-Identifier: Apache-2.0
import { ageColumn, type Column, nameColumn } from './cells.ts'
import { builtinColumns } from './columns.ts'
import { age } from './duration.ts'
import { atPath, parseJsonPath } from './jsonpath.ts'
import type { KubeObject } from './object.ts'
import { type Resource, resourceName } from './resources.ts'

/** `additionalPrinterColumns` of a CRD's version. */
export interface PrinterColumn {
  readonly name: string
  readonly type: string
  readonly jsonPath: string
  readonly priority?: number
}

const fallback: readonly Column[] = [nameColumn, ageColumn]

/** The columns a resource prints; `declared` are those of a CRD. */
export function columnsOf(resource: Resource, declared: readonly PrinterColumn[] | undefined): readonly Column[] {
  if (!resource.custom) return builtinColumns[resourceName(resource)] ?? fallback
  if (!declared || declared.length === 0) return fallback
  return [nameColumn, ...declared.map(printerColumn)]
}

function printerColumn({ name, type, jsonPath, priority = 0 }: PrinterColumn): Column {
  const path = parseJsonPath(jsonPath)
  const cell = (object: KubeObject, now: number) => {
    // Of several results Kubernetes shows the first.
    const [first] = atPath(object, path)
    if (first === undefined || first === null) return type === 'date' ? '<unknown>' : type === 'string' ? '' : null
    if (type === 'date') return age(first, now)
    if (type === 'string') return typeof first === 'string' ? first : JSON.stringify(first)
    return first as string | number | boolean
  }
  return { name, type: type as Column['type'], priority: priority > 0 ? 1 : 0, cell }
}

/** The column definitions of a `meta.k8s.io/v1` Table. */
export const columnDefinitions = (columns: readonly Column[]): readonly object[] =>
  columns.map((c) => ({
    name: c.name,
    type: c.type,
    format: c === nameColumn ? 'name' : '',
    description: '',
    priority: c.priority,
  }))

/** The metadata of an object alone, as `meta.k8s.io/v1` PartialObjectMetadata. */
export const metadataOnly = (object: KubeObject): KubeObject => ({
  kind: 'PartialObjectMetadata',
  apiVersion: 'meta.k8s.io/v1',
  metadata: object.metadata,
})
