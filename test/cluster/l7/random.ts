// SPDX-License-Identifier: Apache-2.0
/**
 * Random rules for HTTP and requests for them, with what the rules mean said once more: expressions are trees that are
 * walked here and written out for Envoy. Nothing is shared with what is tested.
 */

/** Numbers below 1 from a seed (mulberry32). */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32
  }
}

type Tree =
  | { readonly is: 'text'; readonly text: string }
  | { readonly is: 'any' }
  | { readonly is: 'set'; readonly of: string }
  | { readonly is: 'row' | 'either'; readonly parts: readonly Tree[] }
  | { readonly is: 'many'; readonly part: Tree; readonly least: number; readonly most: number }

/** Every place in the text where the tree may end that begins at `at`. */
function ends(tree: Tree, text: string, at: number): ReadonlySet<number> {
  switch (tree.is) {
    case 'text':
      return new Set(text.startsWith(tree.text, at) ? [at + tree.text.length] : [])
    case 'any':
      return new Set(at < text.length ? [at + 1] : [])
    case 'set':
      return new Set(at < text.length && tree.of.includes(text[at] as string) ? [at + 1] : [])
    case 'either':
      return new Set(tree.parts.flatMap((p) => [...ends(p, text, at)]))
    case 'row': {
      let from: ReadonlySet<number> = new Set([at])
      for (const part of tree.parts) from = new Set([...from].flatMap((f) => [...ends(part, text, f)]))
      return from
    }
    case 'many': {
      let reached: ReadonlySet<number> = new Set([at])
      const out = new Set<number>(tree.least === 0 ? [at] : [])
      for (let n = 1; n <= tree.most && n <= text.length + 1 && reached.size > 0; n++) {
        reached = new Set([...reached].flatMap((f) => [...ends(tree.part, text, f)]))
        if (n >= tree.least) for (const r of reached) out.add(r)
      }
      return out
    }
  }
}
const matches = (tree: Tree, text: string): boolean => ends(tree, text, 0).has(text.length)

function written(tree: Tree): string {
  switch (tree.is) {
    case 'text':
      return tree.text.replace(/[\\^$.|?*+()[\]{}]/g, '\\$&')
    case 'any':
      return '.'
    case 'set':
      return `[${tree.of}]`
    case 'row':
      return tree.parts.map((p) => (p.is === 'either' ? `(${written(p)})` : written(p))).join('')
    case 'either':
      return tree.parts.map(written).join('|')
    case 'many': {
      const sign = tree.most === 1 ? '?' : tree.most === 3 ? `{${tree.least},3}` : tree.least === 0 ? '*' : '+'
      return `${tree.part.is === 'any' || tree.part.is === 'set' ? written(tree.part) : `(${written(tree.part)})`}${sign}`
    }
  }
}

export interface Header {
  readonly name: string
  readonly value: string
  readonly mismatch: '' | 'LOG' | 'ADD' | 'DELETE' | 'REPLACE'
}
interface RuleOf<Text> {
  readonly method: Text
  readonly path: Text
  readonly host: Text
  readonly headers: readonly Header[]
}
export interface Rules {
  /** One list, or those of both ends. */
  readonly lists: readonly (readonly RuleOf<Tree | undefined>[])[]
  readonly written: readonly (readonly RuleOf<string>[])[]
}
export interface Asked {
  readonly method: string
  readonly path: string
  readonly host: string
  /** In order; names may come twice. */
  readonly headers: readonly (readonly [string, string])[]
}

const words = ['a', 'b', 'ab', 'c.d', 'x+y', 'v1', 'api']
const hosts = ['one.example', 'two.example', 'api.two.example']
const methods = ['GET', 'POST', 'PUT', 'PATCH', 'DELETE']
const values = ['1', '2', 'one two', 'A']

export function randomRules(random: () => number): Rules {
  const one = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T
  const piece = (depth: number): Tree => {
    const kind = random()
    if (kind < 0.5 || depth === 0) return { is: 'text', text: one([...words, '/', '?q=']) }
    if (kind < 0.6) return { is: 'any' }
    if (kind < 0.7)
      return { is: 'set', of: one(['abc', 'a-c', '0-9a'].map((s) => (s === 'a-c' ? 'abc' : s === '0-9a' ? '01a' : s))) }
    if (kind < 0.8) return { is: 'either', parts: [piece(depth - 1), piece(depth - 1)] }
    const [least, most] = one([
      [0, 1],
      [0, Infinity],
      [1, Infinity],
      [1, 3],
    ] as const)
    return { is: 'many', part: one([{ is: 'any' } as Tree, piece(depth - 1)]), least, most }
  }
  const pathTree = (): Tree => {
    const parts: Tree[] = [{ is: 'text', text: '/' }]
    for (let n = Math.floor(random() * 4); n > 0; n--) parts.push(piece(2))
    const row: Tree = { is: 'row', parts }
    return random() < 0.2
      ? { is: 'either', parts: [row, { is: 'row', parts: [{ is: 'text', text: '/' }, piece(1)] }] }
      : row
  }
  const choice = (of: readonly string[]): Tree => {
    const texts = of.filter(() => random() < 0.5).map((text): Tree => ({ is: 'text', text }))
    return { is: 'either', parts: texts.length > 0 ? texts : [{ is: 'text', text: one(of) }] }
  }
  const header = (list: number): Header => {
    const mismatch = one(['', '', '', 'LOG', 'ADD', 'DELETE', 'REPLACE'] as const)
    // What two lists mend in one header depends on who goes first; each has its own.
    const name = mismatch === '' || mismatch === 'LOG' ? one(['x-a', 'x-b', 'x-c']) : `x-mend${list}`
    return { name, value: mismatch === '' && random() < 0.3 ? '' : one(values), mismatch }
  }
  const rule = (list: number): RuleOf<Tree | undefined> => {
    const headers: Header[] = []
    while (random() < 0.3 && headers.length < 2) {
      const h = header(list)
      if (!headers.some((o) => o.name === h.name)) headers.push(h)
    }
    return {
      path: random() < 0.85 ? pathTree() : undefined,
      method: random() < 0.5 ? choice(methods) : undefined,
      host: random() < 0.25 ? choice(hosts) : undefined,
      headers,
    }
  }
  const lists = Array.from({ length: random() < 0.25 ? 2 : 1 }, (_, list) =>
    Array.from({ length: 1 + Math.floor(random() * 3) }, () => rule(list)),
  )
  const text = (t: Tree | undefined): string => (t ? written(t) : '')
  return {
    lists,
    written: lists.map((l) =>
      l.map((r) => ({ path: text(r.path), method: text(r.method), host: text(r.host), headers: r.headers })),
    ),
  }
}

/** A request that has something to do with the rules: texts grown from their trees, and changed at times. */
export function randomAsked(random: () => number, { lists }: Rules): Asked {
  const one = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)] as T
  const grown = (tree: Tree): string => {
    switch (tree.is) {
      case 'text':
        return tree.text
      case 'any':
        return one(['a', 'z', '/', '1'])
      case 'set':
        return one([...tree.of])
      case 'either':
        return grown(one(tree.parts))
      case 'row':
        return tree.parts.map(grown).join('')
      case 'many':
        return Array.from({ length: tree.least + Math.floor(random() * Math.min(3, tree.most - tree.least + 1)) }, () =>
          grown(tree.part),
        ).join('')
    }
  }
  const rule = one(one(lists))
  let path = rule.path && random() < 0.9 ? grown(rule.path) : `/${one(words)}`
  if (random() < 0.2) path += one(['a', '/', '?q=1', 'b'])
  if (random() < 0.1 && path.length > 2) path = path.slice(0, -1)
  const headers: [string, string][] = []
  for (const h of rule.headers)
    if (random() < 0.75) headers.push([h.name, random() < 0.8 && h.value ? h.value : one(values)])
  while (random() < 0.25) headers.push([one(['x-a', 'x-b', 'x-c', 'x-mend0', 'x-mend1']), one(values)])
  return {
    path,
    method: rule.method && random() < 0.8 ? grown(rule.method) : one(methods),
    host: rule.host && random() < 0.8 ? grown(rule.host) : one(hosts),
    headers,
  }
}

/** Path as Envoy shall see it: slashes merged, outside the query. */
const normal = (path: string): string => {
  const [before = '', ...query] = path.split('?')
  // Of a path of slashes alone Envoy leaves two.
  return [/^\/{2,}$/.test(before) ? '//' : before.replace(/\/{2,}/g, '/'), ...query].join('?')
}

/** What comes of the request: undefined when it is refused, else what the server sees of its headers. */
export function meant({ lists }: Rules, asked: Asked): ReadonlyMap<string, string> | undefined {
  const given = (name: string) => asked.headers.filter(([n]) => n === name).map(([, value]) => value)
  const holds = (h: Header) => (h.value === '' ? given(h.name).length > 0 : given(h.name).includes(h.value))
  const path = normal(asked.path)
  const out = new Map([...new Set(asked.headers.map(([n]) => n))].map((n) => [n, given(n)]))
  for (const list of lists) {
    const rule = list.find(
      (r) =>
        (!r.path || matches(r.path, path)) &&
        (!r.method || matches(r.method, asked.method)) &&
        (!r.host || matches(r.host, asked.host)) &&
        r.headers.every((h) => h.mismatch !== '' || holds(h)),
    )
    if (!rule) return undefined
    for (const h of rule.headers) {
      if (h.mismatch === 'REPLACE') out.set(h.name, [h.value])
      else if (holds(h)) continue
      else if (h.mismatch === 'ADD') out.set(h.name, [...(out.get(h.name) ?? []), h.value])
      else if (h.mismatch === 'DELETE') out.delete(h.name)
    }
  }
  return new Map([...out].map(([name, list]) => [name, list.join(',')]))
}
