// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { basename, dirname } from 'node:path'
import { test } from 'node:test'
import { codeOf, contentOf, filesBelow, filesIn, foldersIn, places } from './sources.ts'

const own = 'test/law/words.test.ts'
const folders = ['src', 'test', 'tools', 'bpf', 'native', 'bin', 'gen', 'crds', 'examples', '.ci']
const all = folders.flatMap(filesBelow)
const sources = all.filter((path) => /\.(ts|c|h|sh)$/.test(path))

test('every source file names its licence in its first lines', () => {
  const problems = sources.filter((path) => {
    const forKernel = path.endsWith('.bpf.c') || (path.startsWith('bpf/') && !path.endsWith('.ts'))
    const wanted = forKernel ? 'GPL-2.0-only OR BSD-2-Clause' : 'Apache-2.0'
    return !contentOf(path).split('\n', 3).join('\n').includes(`SPDX-License-Identifier: ${wanted}`)
  })
  assert.deepEqual(problems, [])
})

test('no name is a drawer', () => {
  const drawer = /^(common|core|helpers?|lib|libs|managers?|misc|pkg|shared|utils?)$/i
  const bad = all.filter((path) => {
    const names = [...dirname(path).split('/'), basename(path).replace(/(\.test)?\.\w+$/, '')]
    return names.some((name) => drawer.test(name))
  })
  assert.deepEqual(bad, [])
})

test('names of modules are written with hyphens', () => {
  const bad = all.filter((path) => path.endsWith('.ts') && !path.startsWith('gen/') && /[A-Z_]/.test(basename(path)))
  assert.deepEqual(bad, [])
})

test('every room says what it owns, reads, and what may go wrong, in 40 lines', () => {
  const rooms = [
    'bpf',
    'native',
    'gen',
    'src/base',
    'src/table',
    'src/model',
    'src/flow',
    ...foldersIn('src/derive'),
    ...foldersIn('src/protocol'),
    ...foldersIn('src/edge'),
    ...foldersIn('src/apps'),
    ...foldersIn('test'),
  ].filter((room) => filesBelow(room).length > 0)
  const problems = rooms.flatMap((room) => {
    const readme = `${room}/README.md`
    if (!filesBelow(room).includes(readme)) return [`${readme} is missing`]
    const lines = contentOf(readme).trimEnd().split('\n')
    return lines.length > 40 ? [`${readme} has ${lines.length} lines`] : []
  })
  assert.deepEqual(problems, [])
})

const pure = filesBelow('src').filter(
  (path) => /^src\/(base|table|model|derive|flow|protocol)\//.test(path) && /(?<!\.test)\.ts$/.test(path),
)

test('pure folders know no clock, no chance and no waiting', () => {
  const effect = /\bDate\.now\b|\bnew Date\(\)|\bMath\.random\b|\basync\b|\bawait\b|\bprocess\.|\bglobalThis\b/
  assert.deepEqual(
    pure.flatMap((path) => places(path, codeOf(path), effect)),
    [],
  )
})

test('nothing is said about where or by whom the project was written', () => {
  const words =
    /\/(?:work|home)\/|\bscratch\/|\bassistants?\b|\bchat ?bot\b|\bAI\b|\bLLM\b|\bprompted\b|\bthis session\b/
  const texts = [...all, ...filesIn('.')].filter(
    (path) => path !== own && /\.(ts|c|h|sh|md|json|ya?ml|mk|css|html)$|(^|\/)[^.]+$/.test(path),
  )
  const found = texts.flatMap((path) => places(path, contentOf(path), words))
  assert.deepEqual(found, [])
})

test('packages come from the public registry, whatever mirror installed them', () => {
  const hosts = [...contentOf('package-lock.json').matchAll(/"resolved": "https?:\/\/([^/"]+)/g)].map(
    ([, host]) => host,
  )
  assert.deepEqual(
    [...new Set(hosts)].filter((host) => !host?.endsWith('.npmjs.org')),
    [],
  )
})
