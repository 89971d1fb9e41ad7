// SPDX-License-Identifier: Apache-2.0
import { isMap } from './object.ts'

type Step =
  | { readonly key: string }
  | { readonly index: number }
  | { readonly all: true }
  | { readonly where: readonly string[]; readonly equals: unknown }

/** A path as printer columns and selectable fields write it: `.a.b\.c[0].d[?(@.type=="X")].ip`, `['a']`, `[*]`. */
export function parseJsonPath(text: string): readonly Step[] {
  const steps: Step[] = []
  const token =
    /\[\?\(@((?:\.[\w-]+)+)\s*==\s*("[^"]*"|'[^']*'|[\w.-]+)\s*\)\]|\[(\d+)\]|\[\*\]|\['((?:[^'\\]|\\.)*)'\]|\.((?:[^.[\]\\]|\\.)+)/y
  while (token.lastIndex < text.length) {
    const m = token.exec(text)
    if (!m) return []
    const [whole, where, equals = '', index, quoted, key] = m
    if (where !== undefined) steps.push({ where: where.slice(1).split('.'), equals: literal(equals) })
    else if (index !== undefined) steps.push({ index: Number(index) })
    else if (whole === '[*]' || key === '*') steps.push({ all: true })
    else steps.push({ key: (quoted ?? key ?? '').replace(/\\(.)/g, '$1') })
  }
  return steps
}

const literal = (text: string): unknown =>
  /^["']/.test(text) ? text.slice(1, -1) : /^-?\d/.test(text) ? Number(text) : text === 'true'

/** All values at the path. */
export function atPath(value: unknown, steps: readonly Step[]): readonly unknown[] {
  let found: unknown[] = [value]
  for (const step of steps) found = found.flatMap((v) => take(v, step))
  return found
}

function take(value: unknown, step: Step): unknown[] {
  if ('key' in step) return isMap(value) && value[step.key] !== undefined ? [value[step.key]] : []
  if ('index' in step) return Array.isArray(value) && step.index < value.length ? [value[step.index]] : []
  const items = Array.isArray(value) ? value : isMap(value) ? Object.values(value) : []
  if ('all' in step) return items
  return items.filter(
    (item) =>
      atPath(
        item,
        step.where.map((key) => ({ key })),
      )[0] === step.equals,
  )
}
