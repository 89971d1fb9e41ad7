// SPDX-License-Identifier: Apache-2.0
import { type CelInput, CelScalar, celEnv, celFunc, celMethod, isCelError, listType, parse, plan } from '@bufbuild/cel'
import { strings } from '@bufbuild/cel/ext'
import { RE2JS } from 're2js'
import { isMap, sameJson } from './object.ts'
import type { FieldProblem } from './status.ts'
import type { CelRule, Schema } from './structural.ts'

const { BOOL, DYN, INT, STRING } = CelScalar
const address = /^(\d{1,3}(\.\d{1,3}){3}|[0-9a-fA-F:]*:[0-9a-fA-F:.]*)$/
const isIp = (text: string): boolean =>
  address.test(text) && (text.includes(':') || text.split('.').every((part) => Number(part) < 256))
const isCidr = (text: string): boolean => {
  const [ip = '', bits = '', more] = text.split('/')
  return more === undefined && isIp(ip) && /^\d{1,3}$/.test(bits) && Number(bits) <= (ip.includes(':') ? 128 : 32)
}
const items = (list: Iterable<unknown>): readonly unknown[] => [...list]
const sum = (list: readonly unknown[]): bigint | number =>
  list.every((v) => typeof v === 'bigint')
    ? (list as bigint[]).reduce((a, b) => a + b, 0n)
    : list.reduce<number>((a, b) => a + Number(b), 0)
const least = (list: readonly unknown[], sign: 1 | -1): CelInput => {
  if (list.length === 0) throw new Error('the list is empty')
  return list.reduce((a, b) => ((a as bigint) < (b as bigint) === (sign === 1) ? a : b)) as CelInput
}
const find = (text: string, pattern: string): string => {
  const matcher = RE2JS.compile(pattern).matcher(text)
  return matcher.find() ? (matcher.group() ?? '') : ''
}
const list = listType(DYN)

/** Kubernetes' own functions, as far as CRDs in the field use them. */
const functions = [
  ...strings,
  celFunc('isIP', [STRING], BOOL, isIp),
  celFunc('isCIDR', [STRING], BOOL, isCidr),
  celFunc('isURL', [STRING], BOOL, (text) => /^[a-z][a-z0-9+.-]*:\/\/[^\s/]/i.test(text)),
  celMethod('find', STRING, [STRING], STRING, function (pattern) {
    return find(String(this), pattern)
  }),
  celMethod('sum', list, [], DYN, function () {
    return sum(items(this as Iterable<unknown>)) as CelInput
  }),
  celMethod('min', list, [], DYN, function () {
    return least(items(this as Iterable<unknown>), 1)
  }),
  celMethod('max', list, [], DYN, function () {
    return least(items(this as Iterable<unknown>), -1)
  }),
  celMethod('indexOf', list, [DYN], INT, function (wanted) {
    return BigInt(items(this as Iterable<unknown>).indexOf(wanted))
  }),
  celMethod('isSorted', list, [], BOOL, function () {
    return items(this as Iterable<unknown>).every((v, i, all) => i === 0 || (all[i - 1] as bigint) <= (v as bigint))
  }),
]

const re2 = {
  compile: (pattern: string) => {
    const compiled = RE2JS.compile(pattern)
    return { test: (text: string) => compiled.matcher(text).find() }
  },
}

const env = celEnv({ funcs: functions, variables: { self: DYN, oldSelf: DYN }, re2 })

type Evaluate = (bindings: { self: CelInput; oldSelf: CelInput }) => unknown
const plans = new Map<string, Evaluate | string>()

/** The compiled expression, or why it can not be compiled. */
function compiled(text: string): Evaluate | string {
  let held = plans.get(text)
  if (held === undefined) {
    try {
      held = plan(env, parse(text)) as unknown as Evaluate
    } catch (error) {
      held = (error as Error).message
    }
    plans.set(text, held)
  }
  return held
}

const reserved = new Set([
  'true',
  'false',
  'null',
  'in',
  'as',
  'break',
  'const',
  'continue',
  'else',
  'for',
  'function',
  'if',
  'import',
  'let',
  'loop',
  'package',
  'namespace',
  'return',
  'var',
  'void',
  'while',
])

/** A property's name as expressions write it. */
const escaped = (name: string): string =>
  reserved.has(name)
    ? `__${name}__`
    : name
        .replaceAll('__', '__underscores__')
        .replaceAll('.', '__dot__')
        .replaceAll('-', '__dash__')
        .replaceAll('/', '__slash__')

/** A JSON value as its CEL type by the schema: whole numbers where the schema says integer, doubles elsewhere. */
function toCel(schema: Schema | undefined, value: unknown): CelInput {
  if (typeof value === 'number') {
    const whole = schema?.type === 'integer' || (schema?.['x-kubernetes-int-or-string'] && Number.isInteger(value))
    return whole ? BigInt(value) : value
  }
  if (Array.isArray(value)) return value.map((item) => toCel(schema?.items, item))
  if (!isMap(value)) return value as CelInput
  const { properties = {}, additionalProperties } = schema ?? {}
  const out = new Map<string, CelInput>()
  for (const [key, held] of Object.entries(value)) {
    const own = Object.hasOwn(properties, key) ? properties[key] : undefined
    if (own) out.set(escaped(key), toCel(own, held))
    else out.set(key, toCel(isMap(additionalProperties) ? (additionalProperties as Schema) : undefined, held))
  }
  return out
}

const unset = Symbol('unset')

/**
 * Problems that the `x-kubernetes-validations` of a schema find in a value. Rules over `oldSelf` are asked only where an
 * old value is there; parts that did not change are not asked again.
 */
export function celProblems(schema: Schema, value: unknown, old: unknown = unset, path = ''): readonly FieldProblem[] {
  const problems: FieldProblem[] = []
  walk(schema, value, old, path, problems)
  return problems
}

const rulesBelow = new WeakMap<Schema, boolean>()
/** True when the schema or a part of it has rules, so that the rest is not walked. */
function hasRules(schema: Schema): boolean {
  let held = rulesBelow.get(schema)
  if (held === undefined) {
    const { properties = {}, additionalProperties, items: item } = schema
    const parts = [
      ...Object.values(properties),
      ...(item ? [item] : []),
      ...(isMap(additionalProperties) ? [additionalProperties as Schema] : []),
    ]
    held = (schema['x-kubernetes-validations']?.length ?? 0) > 0 || parts.some(hasRules)
    rulesBelow.set(schema, held)
  }
  return held
}

function walk(schema: Schema, value: unknown, old: unknown, path: string, problems: FieldProblem[]): void {
  if (value === undefined || value === null || !hasRules(schema)) return
  if (old !== unset && sameJson(old, value)) return
  for (const rule of schema['x-kubernetes-validations'] ?? []) {
    const problem = ask(rule, schema, value, old, path)
    if (problem) problems.push(problem)
  }
  const before = (key: string): unknown => (isMap(old) && old[key] !== undefined ? old[key] : unset)
  const { properties = {}, additionalProperties, items: item } = schema
  if (Array.isArray(value) && item) {
    const keys = schema['x-kubernetes-list-map-keys']
    for (const [i, v] of value.entries()) {
      const match =
        keys && Array.isArray(old)
          ? old.find((o) => isMap(o) && isMap(v) && keys.every((k) => sameJson(o[k], v[k])))
          : undefined
      walk(item, v, match ?? unset, `${path}[${i}]`, problems)
    }
  } else if (isMap(value)) {
    for (const [key, v] of Object.entries(value)) {
      const part =
        (Object.hasOwn(properties, key) ? properties[key] : undefined) ??
        (isMap(additionalProperties) ? (additionalProperties as Schema) : undefined)
      if (part) walk(part, v, before(key), path === '' ? key : `${path}.${key}`, problems)
    }
  }
}

function ask(rule: CelRule, schema: Schema, value: unknown, old: unknown, path: string): FieldProblem | undefined {
  if (old === unset && /\boldSelf\b/.test(rule.rule) && !rule.optionalOldSelf) return undefined
  const field = (path + (rule.fieldPath ?? '')).replace(/^\./, '') || '<nil>'
  const evaluate = compiled(rule.rule)
  const shown = Array.isArray(value) ? 'array' : isMap(value) ? 'object' : value
  const bad = (why: string): FieldProblem => ({
    field,
    reason: rule.reason ?? 'FieldValueInvalid',
    message:
      rule.reason === 'FieldValueForbidden' ? `Forbidden: ${why}` : `Invalid value: ${JSON.stringify(shown)}: ${why}`,
  })
  if (typeof evaluate === 'string') return bad(`rule compile error: ${evaluate}`)
  const bindings = { self: toCel(schema, value), oldSelf: old === unset ? null : toCel(schema, old) }
  const result = evaluate(bindings)
  if (result === true) return undefined
  if (isCelError(result)) return bad(`rule evaluation error: ${result.message}`)
  return bad(messageOf(rule, bindings))
}

function messageOf(rule: CelRule, bindings: { self: CelInput; oldSelf: CelInput }): string {
  const expression = rule.messageExpression ? compiled(rule.messageExpression) : undefined
  const text = typeof expression === 'function' ? expression(bindings) : undefined
  return typeof text === 'string' && text.trim() !== '' ? text : (rule.message ?? `failed rule: ${rule.rule.trim()}`)
}
