// SPDX-License-Identifier: Apache-2.0
import { readdirSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { type Document, isMap, isScalar, isSeq, LineCounter, type Node, parseAllDocuments, type ScalarTag } from 'yaml'
import { isRule } from '../../../derive/policy/imported.ts'
import type { LearntAddress } from '../../../model/names.ts'

/** A place in a file; lines and columns count from 1. */
export interface Place {
  readonly file: string
  readonly line: number
  readonly column: number
}

/** An object of a manifest, and where each of its fields is written. */
export interface Located {
  readonly object: unknown
  readonly file: string
  /** Of a field path as findings give it: `spec.ingress[0].from`; of a missing field, where it should have been. */
  readonly place: (path: string) => Place
}

export interface Manifests {
  readonly found: readonly Located[]
  /** What answers of the DNS have told pods, as the agent of this node knows it. */
  readonly learnt?: readonly LearntAddress[]
  /** Text that is no YAML. */
  readonly problems: readonly (Place & { readonly message: string })[]
}

export const placeText = ({ file, line, column }: Place): string => `${file}:${line}:${column}`

/** A file of test cases among manifests is none of them. */
export const withoutCases = ({ found, problems }: Manifests): Manifests => ({
  found: found.filter(({ object }) => !Array.isArray((object as { readonly cases?: unknown } | null)?.cases)),
  problems,
})

/** All objects of files, and of *.yaml, *.yml and *.json below folders; `-` is standard input. Lists are taken apart, those of rules too. */
export function readManifests(paths: readonly string[]): Manifests {
  const found: Located[] = []
  const problems: (Place & { message: string })[] = []
  for (const path of paths)
    for (const file of filesOf(path)) {
      const text = readFileSync(file === '-' ? 0 : file, 'utf8')
      if (!readJson(file, text, found)) readYaml(file, text, found, problems)
    }
  return { found, problems }
}

function filesOf(path: string): readonly string[] {
  if (path === '-') return [path]
  const stat = statSync(path, { throwIfNoEntry: false })
  if (!stat) throw new Error(`${path}: there is no such file or folder`)
  if (!stat.isDirectory()) return [path]
  const entries = readdirSync(path, { recursive: true, withFileTypes: true })
  return entries
    .filter((e) => e.isFile() && /\.(ya?ml|json)$/.test(e.name))
    .map((e) => join(e.parentPath, e.name))
    .sort()
}

/** JSON is YAML too, but a cluster's worth of it is read much faster as what it is. */
function readJson(file: string, text: string, found: Located[]): boolean {
  if (!/^\s*\{/.test(text)) return false
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    return false
  }
  let parsed: readonly Located[] | undefined
  const inYaml = (i: number): Located | undefined => {
    if (!parsed) {
      const all: Located[] = []
      readYaml(file, text, all, [])
      parsed = all
    }
    return parsed[i]
  }
  const objects = itemsOf(value) ?? [value]
  for (const [i, object] of objects.entries())
    found.push({ object, file, place: (path) => inYaml(i)?.place(path) ?? { file, line: 1, column: 1 } })
  return true
}

/** The objects of a list. Those of `NetworkPolicyList` and its like need not say what they are. */
const itemsOf = (value: unknown): readonly unknown[] | undefined => {
  const { apiVersion, kind, items } = value as { readonly [name: string]: unknown }
  if (typeof kind !== 'string' || !kind.endsWith('List') || !Array.isArray(items)) return undefined
  if (kind === 'List') return items
  return items.map((item) => ({ apiVersion, kind: kind.slice(0, -'List'.length), ...item }))
}

/** kubectl reads these words as YAML 1.1 does. */
const flag: ScalarTag = {
  tag: 'tag:yaml.org,2002:bool',
  default: true,
  test: /^(y|yes|n|no|on|off)$/i,
  resolve: (text) => /^(y|yes|on)$/i.test(text),
}

/** The documents of a text; what is nested deeper than any object can be is no document. */
function documentsOf(text: string, lineCounter: LineCounter, failed: (message: string) => void): readonly Document[] {
  try {
    return parseAllDocuments(text, { lineCounter, customTags: (tags) => [flag, ...tags] }) as readonly Document[]
  } catch (e) {
    failed(e instanceof RangeError ? 'is nested too deeply' : e instanceof Error ? e.message : String(e))
    return []
  }
}

function readYaml(file: string, text: string, found: Located[], problems: (Place & { message: string })[]): void {
  const lines = new LineCounter()
  const at = (offset: number): Place => {
    const { line, col } = lines.linePos(offset)
    return { file, line, column: col }
  }
  for (const document of documentsOf(text, lines, (message) => problems.push({ ...at(0), message }))) {
    const [error] = document.errors
    if (error) {
      const message = error.message.split('\n')[0]?.replace(/ at line .*$/, '') ?? ''
      const template = /^\s*(- )?\{\{/m.test(text) ? ': a template is rendered first, as by helm template' : ''
      const twice = error.code === 'DUPLICATE_KEY' ? /^[^:\s]+/.exec(text.slice(error.pos[0]))?.[0] : undefined
      problems.push({
        ...at(error.pos[0]),
        message: twice ? `'${twice}' is there twice: make it one` : message + template,
      })
      continue
    }
    let value: unknown
    try {
      value = document.toJS()
    } catch (e) {
      // An alias of nothing, or of too much.
      problems.push({ ...at(document.range?.[0] ?? 0), message: e instanceof Error ? e.message : String(e) })
      continue
    }
    if (value === null || value === undefined) continue
    const items = typeof value === 'object' ? itemsOf(value) : undefined
    const locate = (start: readonly (string | number)[]) => (path: string) =>
      at(offsetOf(document.getIn(start, true) as Node, path))
    const rules = Array.isArray(value) && value.every(isRule) ? value : []
    if (items) for (const [i, object] of items.entries()) found.push({ object, file, place: locate(['items', i]) })
    else if (rules.length > 0)
      for (const [i, rule] of rules.entries()) found.push({ object: rule, file, place: locate([i]) })
    else found.push({ object: value, file, place: locate([]) })
  }
}

/** Where the field of a path begins, or the last field on the way to it. */
function offsetOf(root: Node, path: string): number {
  let node: unknown = root
  let offset = root.range?.[0] ?? 0
  let rest = path
  while (rest !== '') {
    if (isMap(node)) {
      // Keys may have dots in them: the longest that fits.
      let best: { readonly key: string; readonly offset: number; readonly value: unknown } | undefined
      for (const { key, value } of node.items) {
        const name = isScalar(key) ? String(key.value) : ''
        const fits = rest === name || rest.startsWith(`${name}.`) || rest.startsWith(`${name}[`)
        if (isScalar(key) && fits && name.length > (best?.key.length ?? -1))
          best = { key: name, offset: key.range?.[0] ?? offset, value }
      }
      if (!best) return offset
      node = best.value
      offset = best.offset
      rest = rest.slice(best.key.length).replace(/^\./, '')
    } else {
      const index = /^\[(\d+)\]\.?/.exec(rest)
      if (!index || !isSeq(node)) return offset
      node = node.items[Number(index[1])]
      offset = (node as Node | undefined)?.range?.[0] ?? offset
      rest = rest.slice(index[0].length)
    }
  }
  return offset
}
