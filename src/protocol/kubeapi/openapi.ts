// SPDX-License-Identifier: Apache-2.0
import type { Served } from './discovery.ts'
import { type Field, findMessage, formOf, messageOf } from './schema.ts'

const reference = (name: string) => ({ $ref: `#/components/schemas/${name}` })

/** `core.v1.Pod` as OpenAPI documents of Kubernetes name it. */
const schemaName = (message: string): string =>
  message.startsWith('meta.')
    ? `io.k8s.apimachinery.pkg.apis.${message}`
    : message.startsWith('apiextensions.')
      ? `io.k8s.apiextensions-apiserver.pkg.apis.${message}`
      : `io.k8s.api.${message}`

const scalars: Readonly<Record<string, object>> = {
  s: { type: 'string' },
  b: { type: 'boolean' },
  i: { type: 'integer', format: 'int64' },
  d: { type: 'number', format: 'double' },
  y: { type: 'string', format: 'byte' },
}

const formSchema = {
  text: { type: 'string' },
  numberOrText: { 'x-kubernetes-int-or-string': true, oneOf: [{ type: 'integer' }, { type: 'string' }] },
  any: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
  schema: { type: 'object', 'x-kubernetes-preserve-unknown-fields': true },
  texts: { type: 'array', items: { type: 'string' } },
} as const

function typeSchema(type: string, reach: (message: string) => void): object {
  const plain = scalars[type]
  if (plain) return plain
  const form = formOf(type)
  if (form) return type.endsWith('Time') ? { type: 'string', format: 'date-time' } : formSchema[form]
  reach(type)
  return { allOf: [reference(schemaName(type))], default: {} }
}

function fieldSchema(field: Field, reach: (message: string) => void): object {
  const one = typeSchema(field.type, reach)
  const whole =
    field.shape === 'list'
      ? { type: 'array', items: one }
      : field.shape === 'map'
        ? { type: 'object', additionalProperties: one }
        : one
  const { patch } = field
  if (!patch) return whole
  const strategy = [
    patch.replace ? 'replace' : field.shape === 'list' ? 'merge' : '',
    patch.retainKeys ? 'retainKeys' : '',
  ].filter((s) => s !== '')
  return {
    ...whole,
    'x-kubernetes-patch-strategy': strategy.join(','),
    ...(patch.key === '' ? {} : { 'x-kubernetes-patch-merge-key': patch.key }),
  }
}

/** Schemas of the messages reached from `roots`, by schema name. */
function builtinSchemas(roots: ReadonlyMap<string, object | undefined>): Record<string, object> {
  const out: Record<string, object> = {}
  const todo = [...roots.keys()]
  const done = new Set(todo)
  for (let name = todo.shift(); name !== undefined; name = todo.shift()) {
    const reach = (message: string) => {
      if (!done.has(message)) todo.push(message)
      done.add(message)
    }
    const message = findMessage(name)!
    const kind = roots.get(name)
    const properties: Record<string, object> = kind ? { apiVersion: scalars['s']!, kind: scalars['s']! } : {}
    for (const [json, field] of message.byName) properties[json] = fieldSchema(field, reach)
    out[schemaName(name)] = {
      type: 'object',
      properties,
      ...(kind ? { 'x-kubernetes-group-version-kind': [kind] } : {}),
    }
  }
  return out
}

const query = (name: string) => ({ name, in: 'query', schema: { type: 'string', uniqueItems: true } })
const writeParameters = ['dryRun', 'fieldManager', 'fieldValidation', 'force'].map(query)
const ok = { 200: { description: 'OK' } }

function operations(r: Served, kind: object, schema: string, item: boolean, builtin: boolean): object {
  const body = { content: { '*/*': { schema: reference(schema) } } }
  const op = (action: string, more: object = {}) => ({
    operationId: `${action}${r.kind}`,
    'x-kubernetes-action': action,
    'x-kubernetes-group-version-kind': kind,
    responses: ok,
    ...more,
  })
  if (!item) return { get: op('list'), post: op('post', { parameters: writeParameters, requestBody: body }) }
  const types = [
    'json-patch+json',
    'merge-patch+json',
    ...(builtin ? ['strategic-merge-patch+json'] : []),
    'apply-patch+yaml',
  ]
  const content = Object.fromEntries(types.map((t) => [`application/${t}`, { schema: { type: 'object' } }]))
  return {
    get: op('get'),
    put: op('put', { parameters: writeParameters, requestBody: body }),
    patch: op('patch', { parameters: writeParameters, requestBody: { content } }),
    delete: op('delete'),
  }
}

/**
 * The OpenAPI v3 document of one group and version: enough for kubectl's apply, explain and validation. `custom` gives
 * the schema of a kind that a CRD declares.
 */
export function openApiDocument(
  groupVersion: string,
  kinds: readonly Served[],
  custom: (r: Served) => object | undefined,
): object {
  const paths: Record<string, object> = {}
  const schemas: Record<string, object> = {}
  const roots = new Map<string, object | undefined>()
  for (const r of kinds) {
    const gvk = { group: r.group, version: r.version, kind: r.kind }
    const message = messageOf(groupVersion, r.kind)
    const own = message ? undefined : custom(r)
    const schema = message
      ? schemaName(message.name)
      : `${r.group.split('.').reverse().join('.')}.${r.version}.${r.kind}`
    if (message) roots.set(message.name, gvk)
    else schemas[schema] = { ...customSchema(own), 'x-kubernetes-group-version-kind': [gvk] }
    if (own) roots.set('meta.v1.ObjectMeta', undefined)
    const base = `${r.group === '' ? '/api' : '/apis'}/${groupVersion}${r.namespaced ? '/namespaces/{namespace}' : ''}/${r.plural}`
    paths[base] = operations(r, gvk, schema, false, message !== undefined)
    paths[`${base}/{name}`] = operations(r, gvk, schema, true, message !== undefined)
  }
  Object.assign(schemas, builtinSchemas(roots))
  const info = { title: 'Kubernetes', version: 'v1.34.0' }
  return { openapi: '3.0.0', info, paths, components: { schemas } }
}

function customSchema(own: object | undefined): object {
  const schema = (own ?? { type: 'object', 'x-kubernetes-preserve-unknown-fields': true }) as { properties?: object }
  const meta = { allOf: [reference('io.k8s.apimachinery.pkg.apis.meta.v1.ObjectMeta')] }
  return {
    ...schema,
    properties: {
      ...schema.properties,
      apiVersion: scalars['s'],
      kind: scalars['s'],
      ...(own ? { metadata: meta } : {}),
    },
  }
}
