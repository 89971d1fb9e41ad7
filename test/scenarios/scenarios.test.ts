// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { globSync, readFileSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { test } from 'node:test'
import { parseAllDocuments, parse as parseYaml } from 'yaml'
import {
  conditionOf,
  readCiliumNetworkPolicies,
  readClusterNetworkPolicies,
  readClusterwidePolicies,
  readNetworkPolicies,
} from '../../src/derive/policy/policies.ts'
import { type PortSpace, portSpaces } from '../../src/model/datapath.ts'
import type { Settings } from '../../src/model/settings.ts'
import { type Answer, connection, openWorld, type World } from './world.ts'

/**
 * Scenarios are text: a title, then sections. `REWRITE=1` writes what came out into the expected sections; read the diff.
 *   -- apply --        objects, YAML          -- settings --   options, YAML
 *   -- sizes --        entries of the kernel's maps, YAML
 *   -- delete --       KIND NAMESPACE/NAME    -- verdicts --   FROM -> TO PORT/PROTOCOL: expected
 *   -- names --        ADDRESS NAME…, all that are known now
 *   -- conditions --   what each policy object is told      -- table NAME --   a table, printed
 */
const here = import.meta.dirname
for (const file of globSync('**/*.txt', { cwd: here }).sort()) {
  const text = readFileSync(join(here, file), 'utf8')
  const title = text.split('\n', 1)[0]?.replace(/^#\s*/, '') || basename(file)
  test(`${file}: ${title}`, () => {
    const out = play(text)
    if (process.env['REWRITE'] && out !== text) writeFileSync(join(here, file), out)
    else assert.equal(out, text)
  })
}

function play(text: string): string {
  const world = openWorld()
  const parts = text.split(/^(-- .* --)$/m)
  let out = parts[0] ?? ''
  for (let i = 1; i < parts.length; i += 2) {
    const heading = parts[i] as string
    const body = (parts[i + 1] as string).replace(/^\n/, '')
    out += `${heading}\n${step(world, heading.slice(3, -3), body)}`
  }
  return out
}

function step(world: World, name: string, body: string): string {
  const lines = body.split('\n')
  if (name === 'apply')
    world.apply(
      parseAllDocuments(body)
        .map((d) => d.toJS())
        .filter((o) => o),
    )
  else if (name === 'sizes') world.resize(parseYaml(body) as { readonly [map: string]: number })
  else if (name === 'settings') world.configure(parseYaml(body) as Partial<Settings>)
  else if (name === 'names')
    world.learnt(
      lines
        .filter((l) => l)
        .map((l) => l.split(' '))
        .map(([address = '', ...names]) => ({ address, names: names.sort() })),
    )
  else if (name === 'delete')
    for (const line of lines.filter((l) => l)) {
      const [kind, key] = line.split(' ') as [string, string]
      const scoped = kind === 'Pod' ? key : `${kind}/${key.includes('/') ? key : `/${key}`}`
      world.remove(kind, scoped)
    }
  else if (name === 'verdicts')
    return lines.map((l) => (l === '' || l.startsWith('#') ? l : verdictLine(world, l))).join('\n')
  else if (name === 'conditions') return `${conditions(world).join('\n')}\n${body.endsWith('\n\n') ? '\n' : ''}`
  else if (name.startsWith('table ')) return `${printed(world, name.slice(6))}\n${body.endsWith('\n\n') ? '\n' : ''}`
  else assert.fail(`no section '${name}'`)
  return body
}

function verdictLine(world: World, line: string): string {
  const question = line.split(': ', 1)[0] as string
  const match = /^(\S+) -> (\S+) (\S+)$/.exec(question.trimEnd().replace(/:$/, ''))
  assert(match, `not a question: ${line}`)
  const [, from = '', to = '', port = ''] = match
  const [number = '', protocol = ''] = port.split('/')
  const space = portSpaces.includes(protocol as PortSpace) ? (protocol as PortSpace) : 'other'
  const value = space.startsWith('ICMP') ? Number(number) << 8 : Number(number)
  const { egress, ingress, final } = connection(world, from, to, space, value)
  const staged = (a: Answer) => (a.shadow ? `, staged ${a.shadow} by ${a.shadowRule}` : '')
  const say = (side: string, a: Answer | undefined) => (a ? `; ${side} ${a.verdict} by ${a.rule}${staged(a)}` : '')
  return `${from} -> ${to} ${port}: ${final}${say('egress', egress)}${say('ingress', ingress)}`
}

function conditions(world: World): readonly string[] {
  const read = [readNetworkPolicies, readCiliumNetworkPolicies, readClusterwidePolicies, readClusterNetworkPolicies]
  return read.flatMap((t) =>
    world.db.all(t).map((p) => {
      const c = conditionOf(p)
      return `${p.key}: ${c.type}=${c.status} ${c.reason}: ${c.message}`
    }),
  )
}

function printed(world: World, name: string): string {
  const table = world.db.tables.find((t) => t.name === name)
  assert(table, `no table '${name}'`)
  const cells = [
    (table.columns ?? []).map(([heading]) => heading),
    ...world.db.all(table).map((row) => (table.columns ?? []).map(([, cell]) => cell(row as never))),
  ]
  const widths = (cells[0] ?? []).map((_, i) => Math.max(...cells.map((line) => line[i]?.length ?? 0)))
  return cells
    .map((line) =>
      line
        .map((c, i) => c.padEnd(widths[i] ?? 0))
        .join('  ')
        .trimEnd(),
    )
    .join('\n')
}
