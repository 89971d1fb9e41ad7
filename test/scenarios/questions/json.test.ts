// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { test } from 'node:test'

const root = resolve(import.meta.dirname, '../../..')
const guide = readFileSync(join(root, 'docs/policy-questions.md'), 'utf8')

const cluster = ['--cluster', 'examples/policy-questions/cluster']
const commands: { readonly [row: string]: readonly string[] } = {
  '`explain --port`': ['explain', ...cluster, '--from', 'shop/web', '--to', 'shop/db', '--port', '5432'],
  '`explain` without a port': ['explain', ...cluster, '--from', 'shop/web', '--to', 'service:shop/api'],
  '`what-if`': ['what-if', ...cluster, '-f', 'examples/policy-questions/lock-down.yaml'],
  '`matrix`': ['matrix', ...cluster],
  '`test`': ['test', ...cluster, '-f', 'examples/policy-questions/cases.yaml'],
  '`validate`': ['validate', ...cluster, '-f', 'examples/policy-questions/wrong'],
  '`shadowed`': ['shadowed', ...cluster, 'examples/policy-questions/wrong/shadowed.yaml'],
}

function printed(args: readonly string[]): unknown {
  const program = join(root, 'src/apps/dbg/main.ts')
  const env = { ...process.env, NODE_NO_WARNINGS: '1' }
  const done = spawnSync(process.execPath, [program, 'policy', ...args, '-o', 'json'], {
    cwd: root,
    env,
    encoding: 'utf8',
  })
  return JSON.parse(done.stdout)
}

/** Names of fields, of lists those of their elements; what has a row or a section of its own is not looked into. */
function namesIn(value: unknown): ReadonlySet<string> {
  const elsewhere = new Set(['decidedBy', 'was', 'verdict', 'place', 'question', 'from', 'to', 'egress', 'ingress'])
  const names = new Set<string>()
  const walk = (v: unknown): void => {
    if (Array.isArray(v)) for (const e of v) walk(e)
    else if (typeof v === 'object' && v !== null)
      for (const [name, below] of Object.entries(v)) {
        names.add(name)
        if (!elsewhere.has(name) && name !== 'changes' && name !== 'runnersUp') walk(below)
      }
  }
  walk(value)
  return names
}

test('the guide lists every field that the commands print as JSON', () => {
  for (const [name, args] of Object.entries(commands)) {
    const row = guide.split('\n').find((line) => line.startsWith(`| ${name} |`))
    assert(row, `no row for ${name}`)
    const listed = new Set([...row.matchAll(/`([^`]*)`/g)].flatMap(([, words]) => words?.match(/\w+/g) ?? []))
    const names = namesIn(printed(args))
    assert.ok(names.size > 2, `${name} printed nothing`)
    for (const field of names) assert.ok(listed.has(field), `${name}: ${field} is not in the guide`)
  }
})
