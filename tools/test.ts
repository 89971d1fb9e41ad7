// SPDX-License-Identifier: Apache-2.0
/**
 * All tests, fast ones first: `node tools/test.ts [PART…] [--only NAME]`. Closes with 'N passed, N failed', and exits
 * with 1 if anything failed. A skipped test says why on its own line.
 */
import { glob } from 'node:fs/promises'
import { join } from 'node:path'
import { run } from 'node:test'
import { spec } from 'node:test/reporters'

interface Part {
  readonly name: string
  readonly files: string
  /** Parts that share the kernel's global state run one file at a time. */
  readonly concurrency: number
}

const parts: readonly Part[] = [
  { name: 'law', files: 'test/law/**/*.test.ts', concurrency: 2 },
  { name: 'unit', files: 'src/**/*.test.ts', concurrency: 2 },
  { name: 'model', files: 'test/model/**/*.test.ts', concurrency: 2 },
  { name: 'scenarios', files: 'test/scenarios/**/*.test.ts', concurrency: 2 },
  { name: 'kernel', files: 'test/kernel/**/*.test.ts', concurrency: 1 },
  { name: 'cluster', files: 'test/cluster/**/*.test.ts', concurrency: 1 },
]

const only = process.argv.includes('--only') ? process.argv[process.argv.indexOf('--only') + 1] : undefined
const wanted = process.argv.slice(2).filter((a, i, all) => !a.startsWith('--') && all[i - 1] !== '--only')
const unknown = wanted.filter((w) => !parts.some((p) => p.name === w))
if (unknown.length > 0) {
  console.error(
    `no part of the tests is called ${unknown.join(', ')}; there are ${parts.map((p) => p.name).join(', ')}`,
  )
  process.exit(2)
}

// Each file of tests is a process of its own, and most start others: what they import is compiled once.
process.env['NODE_COMPILE_CACHE'] ??= join(import.meta.dirname, '../.cache/node')

let passed = 0
let failed = 0
const skipped: string[] = []
const times: string[] = []

for (const part of parts.filter((p) => wanted.length === 0 || wanted.includes(p.name))) {
  const files = (await Array.fromAsync(glob(part.files))).sort()
  if (files.length === 0) continue
  const start = performance.now()
  console.log(`\n== ${part.name}: ${files.length} files`)
  const stream = run({
    files,
    concurrency: part.concurrency,
    timeout: 600_000,
    ...(only === undefined ? {} : { testNamePatterns: [only] }),
  })
  stream.on('test:pass', (event) => {
    if (event.details.type === 'suite' || files.some((f) => event.name.endsWith(f))) return
    if (event.skip !== undefined) skipped.push(`${event.name}: ${event.skip === true ? '' : event.skip}`)
    else passed += 1
  })
  stream.on('test:fail', (event) => {
    if (event.details.type !== 'suite') failed += 1
  })
  const report = stream.compose(spec)
  for await (const text of report) process.stdout.write(text as string)
  times.push(`${part.name} ${((performance.now() - start) / 1000).toFixed(0)} s`)
}

console.log(`\n${times.join(', ')}`)
for (const s of skipped) console.log(`skipped: ${s}`)
console.log(`${passed} passed, ${failed} failed`)
process.exit(failed === 0 && passed > 0 ? 0 : 1)
