// SPDX-License-Identifier: Apache-2.0
import { type LabelSet, namespaceLabelsKey, podNamespaceKey } from '../../model/labels.ts'
import { child, elements, type Field, fields, isAbsent, problem, textOf, warning } from './read.ts'
import type { Requirement } from './rule.ts'

/** How a selector's keys are meant: the source and key a label would have. */
export type KeyMeaning = (key: string) => { readonly source: string; readonly key: string }

const operators = ['In', 'NotIn', 'Exists', 'DoesNotExist'] as const
const valuePattern = /^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/
const namePattern = /^([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]$/
const prefixPattern = /^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/

/** A Kubernetes LabelSelector as requirements, sorted; `{}` gives none, which everyone meets. */
export function parseSelector(at: Field, meaning: KeyMeaning): readonly Requirement[] {
  const known = ['matchLabels', 'matchExpressions']
  // Labels where their list should be.
  const bare = Object.entries(isAbsent(at) ? {} : (at.value as object)).filter(
    ([name, value]) => typeof value === 'string' && /^[a-z]+$/.test(name) && !/^match/i.test(name),
  )
  for (const [name, value] of bare)
    problem(child(at, name), 'unknown field', `labels are named as in matchLabels: { ${name}: ${value} }`)
  const found = fields(at, [...known, ...bare.map(([name]) => name)])
  const out: Requirement[] = []
  if (found['matchLabels'] !== undefined) {
    const labels = child(at, 'matchLabels')
    for (const key of Object.keys(fields(labels))) {
      const value = child(labels, key)
      checkKey(value, key)
      if (Array.isArray(value.value)) {
        const values = value.value.filter((v) => typeof v === 'string').join(', ') || '…'
        problem(
          value,
          'must be a string, not a list',
          `one of several: matchExpressions: [{key: ${key}, operator: In, values: [${values}]}]`,
        )
        continue
      }
      out.push({ ...meaning(key), operator: 'In', values: [checkedValue(value)] })
    }
  }
  for (const e of elements(child(at, 'matchExpressions'))) {
    fields(e, ['key', 'operator', 'values'])
    const key = textOf(child(e, 'key'))
    if (key === '') problem(child(e, 'key'), 'required')
    else checkKey(child(e, 'key'), key)
    const text = textOf(child(e, 'operator'))
    const operator = operators.find((o) => o === text)
    if (!operator) {
      problem(
        child(e, 'operator'),
        text === '' ? 'required' : `'${text}' is not an operator`,
        `one of: ${operators.join(', ')}`,
      )
      continue
    }
    const values = elements(child(e, 'values')).map(checkedValue)
    const needsValues = operator === 'In' || operator === 'NotIn'
    if (needsValues && values.length === 0)
      problem(child(e, 'values'), `${operator} needs at least one value`, 'as in values: [a, b]')
    if (!needsValues && values.length > 0)
      problem(child(e, 'values'), `${operator} takes no values`, 'leave values out, or use In / NotIn')
    out.push({ ...meaning(key), operator, values: [...new Set(values)].sort() })
  }
  checkContradictions(at, out)
  return sortedRequirements(out)
}

function checkKey(at: Field, key: string): void {
  const colon = key.indexOf(':')
  const unsourced = colon > 0 ? key.slice(colon + 1) : key
  const ofNamespace = `${namespaceLabelsKey}.`
  const bare = unsourced.startsWith(ofNamespace) ? unsourced.slice(ofNamespace.length) : unsourced
  const slash = bare.lastIndexOf('/')
  const name = bare.slice(slash + 1)
  const prefix = slash < 0 ? undefined : bare.slice(0, slash)
  if (
    !namePattern.test(name) ||
    name.length > 63 ||
    (prefix !== undefined && (prefix.length > 253 || !prefixPattern.test(prefix)))
  )
    problem(at, `'${key}' is not a label key`, 'letters, digits, - _ . ; an optional DNS name and / before it')
}

function checkedValue(at: Field): string {
  const value = textOf(at)
  if (value.length > 63 || !valuePattern.test(value))
    problem(at, `'${value}' is not a label value`, 'at most 63 letters, digits, - _ .')
  return value
}

/** A selector that nobody can meet is valid, and a mistake of the writer. */
function checkContradictions(at: Field, requirements: readonly Requirement[]): void {
  for (const [i, a] of requirements.entries())
    for (const b of requirements.slice(i + 1)) {
      if (a.key !== b.key || a.source !== b.source) continue
      if (contradict(a, b) || contradict(b, a))
        warning(at, `selects nobody: '${requirementText(a)}' and '${requirementText(b)}' can not both hold`)
    }
}

function contradict(a: Requirement, b: Requirement): boolean {
  if (a.operator === 'DoesNotExist') return b.operator === 'In' || b.operator === 'Exists'
  if (a.operator !== 'In') return false
  if (b.operator === 'In') return !a.values.some((v) => b.values.includes(v))
  return b.operator === 'NotIn' && a.values.every((v) => b.values.includes(v))
}

const byText = (a: Requirement, b: Requirement): number => (requirementText(a) < requirementText(b) ? -1 : 1)

/** Sorted and without repetition, so that equal selectors are equal texts. */
export function sortedRequirements(requirements: readonly Requirement[]): readonly Requirement[] {
  const byName = new Map(requirements.map((r) => [requirementText(r), r]))
  return [...byName.values()].sort(byText)
}

export function requirementText(r: Requirement): string {
  const key = `${r.source}:${r.key}`
  switch (r.operator) {
    case 'In':
      return r.values.length === 1 ? `${key}=${r.values[0]}` : `${key} in (${r.values.join(',')})`
    case 'NotIn':
      return `${key} notin (${r.values.join(',')})`
    case 'Exists':
      return `${key} exists`
    case 'DoesNotExist':
      return `${key} absent`
  }
}

export const selectorText = (requirements: readonly Requirement[]): string =>
  requirements.map(requirementText).join(', ')

/** Asked on the texts as they are: of tens of thousands of identities nothing is kept beside their labels. */
export const selects = (requirements: readonly Requirement[], labels: LabelSet): boolean =>
  requirements.every((r) => meets(r, labels))

function meets(r: Requirement, labels: LabelSet): boolean {
  switch (r.operator) {
    case 'In':
      return labels.some((text) => hasValue(r, text))
    case 'NotIn':
      return !labels.some((text) => hasValue(r, text))
    case 'Exists':
      return labels.some((text) => keyEnd(r, text) > 0)
    case 'DoesNotExist':
      return !labels.some((text) => keyEnd(r, text) > 0)
  }
}

function hasValue(r: Requirement, text: string): boolean {
  const end = keyEnd(r, text)
  if (end < 0) return false
  // After the '=', if there is one.
  const from = Math.min(end + 1, text.length)
  return r.values.some((v) => v.length === text.length - from && text.endsWith(v))
}

/** Where the key ends in a label that has the key (`source:key[=value]`); -1 where it is of another. */
function keyEnd({ source, key }: Requirement, text: string): number {
  const colon = text.indexOf(':')
  if (source !== 'any' && (source.length !== colon || !text.startsWith(source))) return -1
  const end = colon + 1 + key.length
  return text.startsWith(key, colon + 1) && (end === text.length || text[end] === '=') ? end : -1
}

/**
 * The label texts (`key=value`, or `key` alone) of which whoever is selected has at least one: where to look instead of
 * asking everybody. Undefined when nothing narrows it. The namespace is the last choice, many share it.
 */
export function anchors(requirements: readonly Requirement[]): readonly string[] | undefined {
  let best: Requirement | undefined
  for (const r of requirements)
    if ((r.operator === 'In' || r.operator === 'Exists') && (!best || cost(r) < cost(best))) best = r
  if (!best) return undefined
  const { key } = best
  return best.operator === 'In' ? best.values.map((v) => `${key}=${v}`) : [key]
}

const cost = (r: Requirement): number =>
  (r.key === podNamespaceKey ? 1000 : 0) + (r.operator === 'Exists' ? 500 : 0) + r.values.length
