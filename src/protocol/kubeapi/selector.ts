// SPDX-License-Identifier: Apache-2.0
import { badRequest } from './status.ts'

/** A parsed selector: true for labels (or fields) that match. */
export type Selector = (values: Readonly<Record<string, string>>) => boolean

const requirement =
  /^\s*(?:(!)\s*([^\s=!,()]+)|([^\s=!,()<>]+)(?:\s*(==|=|!=|>|<)\s*([^=,()\s]*)|\s+(in|notin)\s*\(([^()]*)\))?)\s*$/

/** `a=b,c!=d,e in (f,g),h notin (i),j,!k`, as in `kubectl -l`. An empty text selects all. Throws BadRequest. */
export function parseLabelSelector(text: string): Selector {
  const tests = splitOutsideParentheses(text).map((part): Selector => {
    const m = requirement.exec(part)
    if (!m) throw badRequest(`unable to parse requirement: found '${part.trim()}', expected: identifier`)
    const [, , absent, key = '', operator, value = '', set, list = ''] = m
    if (absent !== undefined) return (v) => v[absent] === undefined
    if (set !== undefined) {
      const wanted = new Set(list.split(',').map((s) => s.trim()))
      return set === 'in'
        ? (v) => v[key] !== undefined && wanted.has(v[key])
        : (v) => v[key] === undefined || !wanted.has(v[key])
    }
    switch (operator) {
      case undefined:
        return (v) => v[key] !== undefined
      case '!=':
        return (v) => v[key] !== value
      case '>':
        return (v) => v[key] !== undefined && Number(v[key]) > Number(value)
      case '<':
        return (v) => v[key] !== undefined && Number(v[key]) < Number(value)
      default:
        return (v) => v[key] === value
    }
  })
  return (values) => tests.every((test) => test(values))
}

function splitOutsideParentheses(text: string): readonly string[] {
  if (text.trim() === '') return []
  const parts: string[] = []
  let depth = 0
  let from = 0
  for (let i = 0; i <= text.length; i++) {
    const c = text[i]
    if (c === '(') depth++
    else if (c === ')') depth--
    else if ((c === ',' && depth === 0) || c === undefined) {
      parts.push(text.slice(from, i))
      from = i + 1
    }
  }
  return parts
}

export interface FieldRequirement {
  readonly field: string
  readonly value: string
  readonly equal: boolean
}

/** `metadata.name=a,status.phase!=Running`. Throws BadRequest. */
export function parseFieldSelector(text: string): readonly FieldRequirement[] {
  return text
    .split(',')
    .filter((part) => part.trim() !== '')
    .map((part) => {
      const m = /^\s*([^=!\s]+)\s*(==|=|!=)\s*(.*?)\s*$/.exec(part)
      if (!m) throw badRequest(`invalid selector: '${part}'; can't understand '${part}'`)
      return { field: m[1]!, equal: m[2] !== '!=', value: m[3]! }
    })
}

/** `meta/v1.LabelSelector`; undefined selects nothing, `{}` everything. */
export interface LabelSelector {
  readonly matchLabels?: Readonly<Record<string, string>>
  readonly matchExpressions?: readonly {
    readonly key: string
    readonly operator: 'In' | 'NotIn' | 'Exists' | 'DoesNotExist'
    readonly values?: readonly string[]
  }[]
}

export function matchesLabels(
  selector: LabelSelector | undefined,
  labels: Readonly<Record<string, string>> = {},
): boolean {
  if (!selector) return false
  for (const [key, value] of Object.entries(selector.matchLabels ?? {})) if (labels[key] !== value) return false
  return (selector.matchExpressions ?? []).every(({ key, operator, values = [] }) => {
    const held = labels[key]
    switch (operator) {
      case 'In':
        return held !== undefined && values.includes(held)
      case 'NotIn':
        return held === undefined || !values.includes(held)
      case 'Exists':
        return held !== undefined
      case 'DoesNotExist':
        return held === undefined
      default:
        return false
    }
  })
}

/** A LabelSelector in the text form of `-l`, as tables and scale status print it. `<none>` for an empty one. */
export function printLabelSelector(selector: LabelSelector | undefined): string {
  const parts = [
    ...Object.entries(selector?.matchLabels ?? {}).map(([k, v]) => `${k}=${v}`),
    ...(selector?.matchExpressions ?? []).map(({ key, operator, values = [] }) => {
      if (operator === 'Exists') return key
      if (operator === 'DoesNotExist') return `!${key}`
      return `${key} ${operator.toLowerCase()} (${[...values].sort().join(',')})`
    }),
  ].sort()
  return parts.length === 0 ? '<none>' : parts.join(',')
}
