// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { filesBelow, foldersIn, importsOf, specifiersIn } from './sources.ts'

/** Who may import whom: the folder, what it may import besides itself and gen/, and why no more. */
const law: readonly (readonly [folder: string, may: readonly string[], why: string])[] = [
  ['src/base', [], 'base has no subject: it knows no noun and no table'],
  ['src/table', ['src/base'], 'the database knows rows, not what they mean'],
  ['src/model', ['src/base', 'src/table'], 'nouns are the same whatever is derived from them'],
  [
    'src/derive',
    ['src/base', 'src/table', 'src/model'],
    'a decision is a function of tables, so that what-if is a call',
  ],
  ['src/flow', ['src/base', 'src/model'], 'events are read against snapshots handed in, never against live tables'],
  ['src/protocol', ['src/base', 'src/model'], 'bytes in, bytes out: a protocol can be tested without a socket'],
  [
    'src/edge',
    ['src/base', 'src/table', 'src/model', 'src/protocol'],
    'effects know rows, not reasons: apps hand decisions in',
  ],
  [
    'src/apps',
    ['src/base', 'src/table', 'src/model', 'src/derive', 'src/flow', 'src/protocol', 'src/edge'],
    'apps put it all together, and nobody imports them',
  ],
]

/** Rooms whose neighbours are outside worlds or programs of their own: they do not know each other. */
const apart: readonly (readonly [folder: string, shared: readonly string[], why: string])[] = [
  ['src/edge', ['src/edge/runtime'], 'one outside world a room; rooms meet in tables'],
  ['src/apps', [], 'each app is a program; what two need belongs below'],
  ['src/protocol', [], 'a protocol stands alone'],
]

/** Deriving runs downhill: a room may import those named before it. */
const downhill: readonly string[] = [
  'labels',
  'ipam',
  'identity',
  'endpoints',
  'names',
  'policy',
  'proxy',
  'services',
  'addresses',
  'interfaces',
  'routing',
  'status',
  'questions',
]

/** Packages that only one room may name, because what they do should have one owner. */
const owned: readonly (readonly [name: string, owner: string, why: string])[] = [
  ['koffi', 'src/edge/kernel', 'native calls and their memory live in one room'],
  ['@peculiar/x509', 'src/apps/lab/api', 'certificates are made in one place'],
  ['prom-client', 'src/apps', 'a metric is told by an app; rooms below count'],
  ['pino', 'src/apps', 'rooms below return or throw; apps write the log'],
  ['commander', 'src/apps', 'command lines belong to programs'],
]

const modules = filesBelow('src').filter((path) => path.endsWith('.ts'))
const inFolder = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`)
/** `src/edge/kernel` for anything in that room, given `src/edge`. */
const roomIn = (path: string, folder: string): string | undefined => {
  if (!inFolder(path, folder)) return undefined
  const [room, ...rest] = path.slice(folder.length + 1).split('/')
  return rest.length > 0 ? `${folder}/${room}` : undefined
}
const broken = (rule: (path: string, imported: string) => string | undefined): readonly string[] =>
  modules.flatMap((path) =>
    importsOf(path).flatMap((imported) => {
      const why = rule(path, imported)
      return why === undefined ? [] : [`${path} imports ${imported}: ${why}`]
    }),
  )

test('each folder imports only what the law allows', () => {
  const found = broken((path, imported) => {
    const [folder, may = [], why] = law.find(([folder]) => inFolder(path, folder)) ?? []
    if (!imported.includes('/') || !/^(src|test|tools|bpf|native)\//.test(imported)) return undefined
    return [folder ?? '', ...may].some((allowed) => allowed !== '' && inFolder(imported, allowed)) ? undefined : why
  })
  assert.deepEqual(found, [])
})

test('every module of src belongs to a folder the law knows', () => {
  assert.deepEqual(
    modules.filter((path) => !law.some(([folder]) => inFolder(path, folder))),
    [],
  )
  assert.deepEqual(
    foldersIn('src').filter((folder) => !law.some(([name]) => name === folder)),
    [],
  )
})

test('edge rooms, apps and protocols do not import each other', () => {
  const found = broken((path, imported) => {
    for (const [folder, shared, why] of apart) {
      const from = roomIn(path, folder)
      const to = roomIn(imported, folder)
      if (from && to && from !== to && !shared.includes(to)) return why
    }
    return undefined
  })
  assert.deepEqual(found, [])
})

test('derive rooms import downhill only', () => {
  const found = broken((path, imported) => {
    const from = roomIn(path, 'src/derive')
    const to = roomIn(imported, 'src/derive')
    if (!from || !to || from === to) return undefined
    const rank = (room: string) => downhill.indexOf(room.slice('src/derive/'.length))
    return rank(to) >= 0 && rank(to) < rank(from) ? undefined : `the order is ${downhill.join(' < ')}`
  })
  assert.deepEqual(found, [])
  const unknown = foldersIn('src/derive').filter((room) => !downhill.includes(room.slice('src/derive/'.length)))
  assert.deepEqual(unknown, [], 'every derive room has its place in the order')
})

test('modules do not import each other in a ring, be it for a type', () => {
  const known = new Set(modules)
  const done = new Set<string>()
  const rings: string[] = []
  const visit = (path: string, way: readonly string[]): void => {
    if (way.includes(path)) rings.push([...way.slice(way.indexOf(path)), path].join(' -> '))
    if (done.has(path) || way.includes(path)) return
    for (const next of importsOf(path)) if (known.has(next)) visit(next, [...way, path])
    done.add(path)
  }
  for (const path of modules) visit(path, [])
  assert.deepEqual(rings, [])
})

test('a package that has an owner is imported there only', () => {
  const found = broken((path, imported) => {
    const rule = owned.find(([name]) => imported === name || imported.startsWith(`${name}/`))
    return rule && !inFolder(path, rule[1]) ? `it belongs to ${rule[1]}: ${rule[2]}` : undefined
  })
  assert.deepEqual(found, [])
})

test('pure folders import nothing of Node, tests aside', () => {
  const pure = ['base', 'table', 'model', 'derive', 'flow', 'protocol'].map((name) => `src/${name}`)
  const found = broken((path, imported) =>
    imported.startsWith('node:') && !path.endsWith('.test.ts') && pure.some((folder) => inFolder(path, folder))
      ? 'a pure folder has no effects'
      : undefined,
  )
  assert.deepEqual(found, [])
})

test('the law reads imports of every form', () => {
  const text = [
    "import a from 'one'",
    'import {\n  b,\n  type C,\n} from "./two.ts"',
    "export * from '../three.ts'",
    "import 'four'",
    "const five = await import('five')",
    "const text = `from 'six'`",
  ].join('\n')
  assert.deepEqual([...specifiersIn(text)].sort(), ['../three.ts', './two.ts', 'five', 'four', 'one'])
})
