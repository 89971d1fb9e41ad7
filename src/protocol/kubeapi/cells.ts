// SPDX-License-Identifier: Apache-2.0
import { age } from './duration.ts'
import { fieldAt } from './fields.ts'
import { isMap, type KubeObject } from './object.ts'

/** A column of a server-side table. Priority 1 is shown with `-o wide` only. */
export interface Column {
  readonly name: string
  readonly type: 'string' | 'integer' | 'number' | 'boolean' | 'date'
  readonly priority: 0 | 1
  readonly cell: (object: KubeObject, now: number) => string | number | boolean | null
}

export type Cell = Column['cell']
export const at = (object: unknown, path: string): unknown => fieldAt(object, path.split('.'))
export const text = (object: unknown, path: string, otherwise = '<none>'): string => {
  const value = at(object, path)
  return value === undefined || value === null || value === '' ? otherwise : String(value)
}
export const count = (object: unknown, path: string): number => Number(at(object, path) ?? 0)
export const list = (object: unknown, path: string): readonly Record<string, unknown>[] => {
  const value = at(object, path)
  return Array.isArray(value) ? value.filter(isMap) : []
}
export const size = (object: unknown, path: string): number => {
  const value = at(object, path)
  return Array.isArray(value) ? value.length : isMap(value) ? Object.keys(value).length : 0
}
export const joined = (values: readonly unknown[], otherwise = '<none>'): string =>
  values.length === 0 ? otherwise : values.join(',')

export const column = (name: string, cell: Cell, type: Column['type'] = 'string'): Column => ({
  name,
  type,
  priority: 0,
  cell,
})
export const wide = (name: string, cell: Cell): Column => ({ name, type: 'string', priority: 1, cell })
export const nameColumn: Column = column('Name', (o) => o.metadata.name ?? '')
export const ageColumn: Column = column('Age', (o, now) => age(o.metadata.creationTimestamp, now))
export const createdAt = column('Created At', (o) => o.metadata.creationTimestamp ?? '<unknown>', 'date')
export const numbered = (name: string, path: string): Column => column(name, (o) => count(o, path), 'integer')
export const plain = (name: string, path: string, otherwise?: string): Column =>
  column(name, (o) => text(o, path, otherwise))

/** The condition of that type in a status. */
export const condition = (o: unknown, type: string): Record<string, unknown> | undefined =>
  list(o, 'status.conditions').find((c) => c['type'] === type)
