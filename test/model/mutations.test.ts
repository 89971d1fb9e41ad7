// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { parseAllDocuments, stringify } from 'yaml'
import { readManifests } from '../../src/apps/dbg/questions/manifests.ts'
import { findingsOf } from '../../src/apps/dbg/questions/validate.ts'
import { importedRule } from '../../src/derive/policy/imported.ts'
import { readPolicy } from '../../src/derive/policy/policies.ts'
import { subjectPrograms } from '../../src/derive/policy/programs.ts'
import { isPolicyKind } from '../../src/derive/questions/objects.ts'
import { type PolicyKind, parsePolicyObject } from '../../src/model/policy.ts'
import { openWorld } from '../scenarios/world.ts'
import { mutated, type Random, randomFrom } from './mutations.ts'
import { policy } from './policy-objects.ts'

const cases = Number(process.env['MUTATIONS'] ?? 10_000)
const root = resolve(import.meta.dirname, '../..')

interface Written {
  readonly kind: PolicyKind
  readonly metadata: { readonly name: string; readonly namespace?: string }
}

/** Every policy of the examples and scenarios, and random ones. */
function seeds(): readonly Written[] {
  const texts = ['examples', 'test/scenarios/policy'].flatMap((dir) =>
    readdirSync(join(root, dir), { recursive: true, withFileTypes: true })
      .filter((f) => f.isFile() && /\.(yaml|txt)$/.test(f.name))
      .map((f) => readFileSync(join(f.parentPath, f.name), 'utf8')),
  )
  const found = texts.flatMap((text) =>
    text
      .split(/^(?:-- .* --|---|\$.*)$/m)
      .flatMap((part) => parseAllDocuments(part, { logLevel: 'error' }) as { errors: unknown[]; toJS(): unknown }[])
      .filter((d) => d.errors.length === 0)
      .map((d) => d.toJS() as Written | null)
      .filter((o): o is Written => isPolicyKind(String(o?.kind)) && typeof o?.metadata?.name === 'string'),
  )
  return [...found, ...(fc.sample(policy, 200) as unknown as Written[])]
}

const one = <T>(of: readonly T[], random: Random): T => of[random(of.length)] as T

test('no damage to a policy makes reading it fail, and what is wrong is said with its field', () => {
  const all = seeds()
  assert.ok(all.length > 250, `only ${all.length} policies to begin with`)
  const seed = Math.floor(Math.random() * 2 ** 31)
  const random = randomFrom(seed)
  const seen = { refused: 0, taken: 0 }
  for (let n = 0; n < cases; n++) {
    const object = mutated(one(all, random), random)
    const what = () => `case ${n} of seed ${seed}: ${JSON.stringify(object).slice(0, 2000)}`
    try {
      const parsed = parsePolicyObject(object.kind, object)
      assert.ok(parsed.ok, 'metadata is as it was')
      const { specs, problems } = readPolicy(parsed.value)
      for (const p of problems) assert.ok(p.field !== '' && p.message !== '')
      if (problems.length > 0) assert.deepEqual(specs, [], 'an object with a problem says nothing')
      problems.length > 0 ? seen.refused++ : seen.taken++
      readPolicy(importedRule((object as unknown as { readonly spec?: unknown }).spec, () => 'x'))
    } catch (cause) {
      throw new Error(what(), { cause })
    }
  }
  assert.ok(seen.refused > cases / 10 && seen.taken > cases / 100, JSON.stringify(seen))
})

test('a policy that becomes invalid changes nothing for anybody, and its damage is gone with it', () => {
  const world = openWorld()
  const labels = [{ app: 'a' }, { app: 'b', tier: 'a' }, { org: 'a' }]
  for (const [i, l] of labels.entries())
    world.apply([
      { kind: 'Pod', metadata: { name: `p${i}`, labels: l }, spec: { containers: [] }, status: {} },
      {
        kind: 'Pod',
        metadata: { name: `r${i}`, labels: l },
        spec: { nodeName: 'n2', containers: [] },
        status: { podIPs: [{ ip: `10.244.1.${20 + i}` }] },
      },
    ])
  world.apply([{ kind: 'NetworkPolicy', metadata: { name: 'shut-all' }, spec: { podSelector: {} } }])
  const all = seeds()
  const seed = Math.floor(Math.random() * 2 ** 31)
  const random = randomFrom(seed)
  let refused = 0
  for (let n = 0; n < Math.ceil(cases / 20); n++) {
    const good = one(all, random)
    const object = mutated(good, random)
    try {
      // Policies that are valid stay: what they are about is the business of other tests.
      const valid = (o: Written) => {
        const parsed = parsePolicyObject(o.kind, o)
        return parsed.ok && readPolicy(parsed.value).problems.length === 0
      }
      if (!valid(good) || valid(object)) continue
      refused++
      const key = `${good.kind}/${good.metadata.namespace ?? (good.kind.includes('Cluster') ? '' : 'default')}/${good.metadata.name}`
      const none = JSON.stringify(world.db.all(subjectPrograms).map((p) => [p.ingress.key, p.egress.key]))
      const state = () => JSON.stringify(world.db.all(subjectPrograms).map((p) => [p.ingress.key, p.egress.key]))
      world.apply([object])
      assert.equal(state(), none, 'as if it were not there')
      world.apply([structuredClone(good)])
      const before = state()
      world.apply([object])
      assert.equal(state(), before, 'what it said when it was valid stays')
      world.remove(good.kind, key)
      assert.equal(state(), none)
    } catch (cause) {
      throw new Error(`case ${n} of seed ${seed}: ${JSON.stringify(object).slice(0, 2000)}`, { cause })
    }
  }
  assert.ok(refused > cases / 200, `only ${refused} were refused`)
})

/** As YAML; what is too deep for its printer, as JSON, which is YAML too. */
function written(object: unknown): string {
  try {
    return stringify(object)
  } catch {
    return JSON.stringify(object, undefined, 1)
  }
}

test('policy validate has a word on every file, however it is damaged', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'mutations-'))
  t.after(() => rmSync(dir, { recursive: true }))
  const all = seeds()
  const seed = Math.floor(Math.random() * 2 ** 31)
  const random = randomFrom(seed)
  const file = join(dir, 'policies.yaml')
  for (let n = 0; n < Math.ceil(cases / 500); n++) {
    const texts = Array.from({ length: 20 }, () => written(mutated(one(all, random), random)))
    const text = texts.join('\n---\n')
    // Half of the files are broken as texts too.
    const at = random(text.length)
    writeFileSync(
      file,
      n % 2 === 0
        ? text
        : `${text.slice(0, at)}${one(['\t', '{', '"', '&a', '*b', '\u0000', '- '], random)}${text.slice(at)}`,
    )
    const found = findingsOf(readManifests([file]), undefined)
    assert.ok(found.length > 0, `seed ${seed}`)
    for (const f of found) assert.ok(f.line >= 1 && f.column >= 1 && f.message !== '', JSON.stringify(f))
  }
})
