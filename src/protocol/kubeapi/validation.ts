// SPDX-License-Identifier: Apache-2.0
import { RE2JS } from 're2js'
import { isMap, sameJson } from './object.ts'
import { type FieldProblem, notSupported, required, wrongValue } from './status.ts'
import type { Schema } from './structural.ts'

/** What is wrong with a value by its schema, CEL rules excepted. Empty when all is well. */
export function validate(schema: Schema, value: unknown, path = ''): readonly FieldProblem[] {
  const problems: FieldProblem[] = []
  check(schema, value, path, problems)
  return problems
}

const nameOf = (path: string): string => (path === '' ? '<nil>' : path)

function check(schema: Schema, value: unknown, path: string, problems: FieldProblem[]): void {
  const bad = (why: string, shown: unknown = short(value)) => problems.push(wrongValue(nameOf(path), shown, why))
  if (value === null) {
    if (!schema.nullable && schema.type) bad(`${path} in body must be of type ${schema.type}: "null"`, 'null')
    return
  }
  if (!rightType(schema, value)) {
    const found = Array.isArray(value) ? 'array' : Number.isInteger(value) ? 'integer' : typeof value
    bad(
      `${path} in body must be of type ${schema['x-kubernetes-int-or-string'] ? 'integer,string' : schema.type}: "${found}"`,
      found,
    )
    return
  }
  if (schema.enum && !schema.enum.some((e) => sameJson(e, value))) {
    problems.push(notSupported(nameOf(path), value, schema.enum.map(String)))
  }
  if (typeof value === 'string') checkString(schema, value, path, problems)
  else if (typeof value === 'number') checkNumber(schema, value, path, bad)
  else if (Array.isArray(value)) checkList(schema, value, path, problems, bad)
  else if (isMap(value)) checkMap(schema, value, path, problems, bad)
  checkJunctors(schema, value, path, problems, bad)
}

const short = (value: unknown): unknown => (Array.isArray(value) ? 'array' : isMap(value) ? 'object' : value)

function rightType(schema: Schema, value: unknown): boolean {
  if (schema['x-kubernetes-int-or-string']) return typeof value === 'string' || Number.isInteger(value)
  switch (schema.type) {
    case undefined:
      return true
    case 'integer':
      return Number.isInteger(value)
    case 'array':
      return Array.isArray(value)
    case 'object':
      return isMap(value)
    default:
      return typeof value === schema.type
  }
}

const patterns = new Map<string, RE2JS>()
function matches(pattern: string, text: string): boolean {
  let compiled = patterns.get(pattern)
  if (!compiled) patterns.set(pattern, (compiled = RE2JS.compile(pattern)))
  return compiled.matcher(text).find()
}

/** Formats that Kubernetes checks; others are accepted as they are. */
const formats: Readonly<Record<string, RegExp>> = {
  ipv4: /^((25[0-5]|2[0-4]\d|1?\d?\d)(\.(?!$)|$)){4}$/,
  ipv6: /^(?=.*:)[0-9a-fA-F:]{2,39}(:(\d{1,3}\.){3}\d{1,3})?$/,
  cidr: /^([\d.]+\/\d{1,2}|[0-9a-fA-F:.]+\/\d{1,3})$/,
  'date-time': /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)$/,
  date: /^\d{4}-\d\d-\d\d$/,
  uuid: /^[0-9a-fA-F]{8}-?([0-9a-fA-F]{4}-?){3}[0-9a-fA-F]{12}$/,
  duration: /^([+-]?(\d+(\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h|d|w)?)+$/,
  byte: /^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/,
}

function checkString(schema: Schema, value: string, path: string, problems: FieldProblem[]): void {
  const bad = (why: string) => problems.push(wrongValue(nameOf(path), value, why))
  const length = schema.maxLength === undefined && schema.minLength === undefined ? 0 : [...value].length
  if (schema.maxLength !== undefined && length > schema.maxLength) {
    problems.push({
      field: nameOf(path),
      reason: 'FieldValueTooLong',
      message: `Too long: may not be more than ${schema.maxLength} bytes`,
    })
  }
  if (schema.minLength !== undefined && length < schema.minLength)
    bad(`${path} in body should be at least ${schema.minLength} chars long`)
  if (schema.pattern !== undefined && !matches(schema.pattern, value))
    bad(`${path} in body should match '${schema.pattern}'`)
  const format = schema.format === undefined ? undefined : formats[schema.format]
  if (format && !format.test(value)) bad(`${path} in body must be of type ${schema.format}: ${JSON.stringify(value)}`)
}

function checkNumber(schema: Schema, value: number, path: string, bad: (why: string) => void): void {
  const { minimum, maximum, multipleOf } = schema
  if (minimum !== undefined && (schema.exclusiveMinimum ? value <= minimum : value < minimum)) {
    bad(`${path} in body should be greater than ${schema.exclusiveMinimum ? '' : 'or equal to '}${minimum}`)
  }
  if (maximum !== undefined && (schema.exclusiveMaximum ? value >= maximum : value > maximum)) {
    bad(`${path} in body should be less than ${schema.exclusiveMaximum ? '' : 'or equal to '}${maximum}`)
  }
  if (multipleOf !== undefined && value % multipleOf !== 0) bad(`${path} in body should be a multiple of ${multipleOf}`)
}

function checkList(
  schema: Schema,
  value: readonly unknown[],
  path: string,
  problems: FieldProblem[],
  bad: (why: string, shown?: unknown) => void,
): void {
  const { minItems, maxItems, items } = schema
  if (maxItems !== undefined && value.length > maxItems) {
    problems.push({
      field: nameOf(path),
      reason: 'FieldValueTooMany',
      message: `Too many: ${value.length}: must have at most ${maxItems} items`,
    })
  }
  if (minItems !== undefined && value.length < minItems)
    bad(`${path} in body should have at least ${minItems} items`, value.length)
  if (items) for (const [i, item] of value.entries()) check(items, item, `${path}[${i}]`, problems)
  const keys = schema['x-kubernetes-list-map-keys']
  const listType = schema['x-kubernetes-list-type']
  if (listType !== 'map' && listType !== 'set' && !schema.uniqueItems) return
  const seen = new Set<string>()
  for (const [i, item] of value.entries()) {
    const key = JSON.stringify(listType === 'map' && isMap(item) ? (keys ?? []).map((k) => item[k] ?? null) : item)
    if (seen.has(key)) {
      const shown =
        listType === 'map' && isMap(item)
          ? JSON.stringify(Object.fromEntries((keys ?? []).map((k) => [k, item[k]])))
          : JSON.stringify(item)
      problems.push({ field: `${path}[${i}]`, reason: 'FieldValueDuplicate', message: `Duplicate value: ${shown}` })
    }
    seen.add(key)
  }
}

function checkMap(
  schema: Schema,
  value: Record<string, unknown>,
  path: string,
  problems: FieldProblem[],
  bad: (why: string, shown?: unknown) => void,
): void {
  const { properties = {}, additionalProperties } = schema
  const below = (key: string) => (path === '' ? key : `${path}.${key}`)
  for (const key of schema.required ?? []) if (value[key] === undefined) problems.push(required(below(key)))
  const size = Object.keys(value).length
  if (schema.maxProperties !== undefined && size > schema.maxProperties) {
    problems.push({
      field: nameOf(path),
      reason: 'FieldValueTooMany',
      message: `Too many: ${size}: must have at most ${schema.maxProperties} items`,
    })
  }
  if (schema.minProperties !== undefined && size < schema.minProperties)
    bad(`${path} in body should have at least ${schema.minProperties} properties`)
  for (const [key, held] of Object.entries(value)) {
    if (held === undefined) continue
    const part =
      (Object.hasOwn(properties, key) ? properties[key] : undefined) ??
      (isMap(additionalProperties) ? (additionalProperties as Schema) : undefined)
    if (part) check(part, held, below(key), problems)
  }
}

function checkJunctors(
  schema: Schema,
  value: unknown,
  path: string,
  problems: FieldProblem[],
  bad: (why: string) => void,
): void {
  for (const part of schema.allOf ?? []) check(part, value, path, problems)
  const valid = (parts: readonly Schema[]) => parts.filter((part) => validate(part, value, path).length === 0).length
  if (schema.anyOf && valid(schema.anyOf) === 0) bad(`${path} in body must validate at least one schema (anyOf)`)
  if (schema.oneOf) {
    const count = valid(schema.oneOf)
    if (count !== 1)
      bad(
        `${path} in body must validate one and only one schema (oneOf). ${count === 0 ? 'Found none valid' : `Found ${count} valid alternatives`}`,
      )
  }
  if (schema.not && validate(schema.not, value, path).length === 0)
    bad(`${path} in body must not validate the schema (not)`)
}
