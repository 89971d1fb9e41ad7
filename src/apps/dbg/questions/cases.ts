// SPDX-License-Identifier: Apache-2.0
/** `policy test`: unit tests of policies, as YAML. */
import { writeFileSync } from 'node:fs'
import { problemText } from '../../../base/result.ts'
import { type Answer, ask, openAsking, type Question } from '../../../derive/questions/ask.ts'
import type { Cluster } from '../../../derive/questions/cluster.ts'
import { decidedByText } from '../../../derive/questions/reasons.ts'
import { requestFields } from '../../../derive/questions/requests.ts'
import { list, object, text } from '../../../model/json.ts'
import { print, printed } from '../output.ts'
import { type Place, placeText, readManifests } from './manifests.ts'

/** One case: a question, the verdict it should get, and the rule that should decide it. */
export interface Case {
  readonly name: string
  readonly place: Place
  readonly question: Question
  readonly expect: string
  readonly ingress: string
  readonly egress: string
  /** '' when any will do. */
  readonly rule: string
}

export interface Outcome {
  readonly name: string
  readonly place: Place
  readonly passed: boolean
  /** What was found, in words. */
  readonly found: string
  readonly problems: readonly string[]
}

const asks = ['port', 'protocol', 'icmpType', 'icmpCode', ...requestFields] as const
const fields = ['name', 'from', 'to', ...asks, 'expect', 'ingress', 'egress', 'rule']

/** `cases:` of every document of the files. */
export function readCases(paths: readonly string[]): readonly Case[] {
  const { found, problems } = readManifests(paths)
  const [broken] = problems
  if (broken) throw new Error(`${placeText(broken)}: ${broken.message}`)
  const cases = found.flatMap(({ object: document, place }) =>
    list(object(document)['cases']).map((raw, i): Case => {
      const o = object(raw)
      const at = (field: string) => placeText(place(`cases[${i}]${field === '' ? '' : `.${field}`}`))
      const unknown = Object.keys(o).find((k) => !fields.includes(k))
      if (unknown) throw new Error(`${at(unknown)}: ${unknown}: unknown field (one of: ${fields.join(', ')})`)
      for (const name of ['from', 'to', 'expect'])
        if (text(o[name]) === '') throw new Error(`${at(name)}: ${name}: required, a text`)
      for (const name of ['expect', 'ingress', 'egress'])
        if (o[name] !== undefined && !['allow', 'deny', 'audit', 'redirect'].includes(text(o[name])))
          throw new Error(`${at(name)}: ${name}: '${o[name]}' is not a verdict (allow or deny)`)
      const { from, to, port } = o as unknown as Question
      const given = asks.map((name) => [name, o[name]] as const).filter(([, value]) => value !== undefined)
      const question: Question = { from, to, ...Object.fromEntries(given) }
      return {
        name: text(o['name']) || `${from} -> ${to} ${port ?? ''}`.trim(),
        place: place(`cases[${i}]`),
        question,
        expect: text(o['expect']),
        ingress: text(o['ingress']),
        egress: text(o['egress']),
        rule: text(o['rule']),
      }
    }),
  )
  if (cases.length === 0) throw new Error(`${paths.join(', ')}: no cases (a list under 'cases:' is expected)`)
  return cases
}

export function runCases(cluster: Cluster, cases: readonly Case[]): readonly Outcome[] {
  const asking = openAsking(cluster)
  return cases.map((c) => {
    const { name, place } = c
    const answer = ask(asking, c.question)
    if (!answer.ok) return { name, place, passed: false, found: 'error', problems: [problemText(answer.error)] }
    const { verdict, decidedBy } = answer.value
    const problems = [
      ...(c.expect === verdict.final ? [] : [`expected ${c.expect}, got ${verdict.final}`]),
      ...(['egress', 'ingress'] as const).flatMap((d) =>
        c[d] === '' || c[d] === verdict[d] ? [] : [`expected ${d} ${c[d]}, got ${verdict[d]}`],
      ),
      ...(c.rule === '' || isRule(answer.value, c.rule) ? [] : [`expected it to be decided by ${c.rule}`]),
    ]
    return {
      name,
      place,
      passed: problems.length === 0,
      found: `${verdict.final}, by ${decidedByText(decidedBy)}`,
      problems,
    }
  })
}

/** `name`, `namespace/name`, `kind/namespace/name`, each with or without `#field`; or the word for no policy. */
function isRule({ decidedBy }: Answer, wanted: string): boolean {
  const [who = '', field = ''] = wanted.split('#')
  const { kind, namespace, name, rule } = decidedBy
  if (kind === '') return who === rule
  const place = namespace === '' ? name : `${namespace}/${name}`
  const fits = [name, place, `${kind}/${place}`, `${kind}/${namespace}/${name}`].includes(who) || who === rule
  return (
    fits && (field === '' || field === rule || decidedBy.field === field || decidedBy.field.startsWith(`${field}.`))
  )
}

/** Runs and prints the cases; false when one failed. `junit` names a file to write. */
export function testPolicies(
  cluster: Cluster,
  cases: readonly Case[],
  { output, junit }: { readonly output?: string | undefined; readonly junit?: string | undefined },
): boolean {
  const outcomes = runCases(cluster, cases)
  const failed = outcomes.filter((o) => !o.passed).length
  if (junit !== undefined) writeFileSync(junit, junitOf(outcomes))
  const json = { passed: outcomes.length - failed, failed, cases: outcomes }
  if (!printed(json, output)) {
    for (const o of outcomes) {
      print(`${o.passed ? 'ok  ' : 'FAIL'} ${o.name}${o.passed ? '' : ` (${placeText(o.place)})`}`)
      for (const p of o.problems) print(`     ${p}`)
      if (!o.passed && o.found !== 'error') print(`     found: ${o.found}`)
    }
    print(`${outcomes.length - failed} passed, ${failed} failed`)
  }
  return failed === 0
}

const escaped = (s: string): string =>
  s.replace(/[<>&"']/g, (c) => ({ '<': '&lt;', '>': '&gt;', '&': '&amp;', '"': '&quot;', "'": '&apos;' })[c] as string)

/** The form that continuous integration reads. */
export function junitOf(outcomes: readonly Outcome[]): string {
  const failures = outcomes.filter((o) => !o.passed).length
  const cases = outcomes.map((o) => {
    const open = `    <testcase classname="policy" name="${escaped(o.name)}" file="${escaped(o.place.file)}" line="${o.place.line}"`
    if (o.passed) return `${open}/>`
    const message = escaped([...o.problems, `found: ${o.found}`].join('; '))
    return `${open}>\n      <failure message="${message}">${message}</failure>\n    </testcase>`
  })
  const counts = `tests="${outcomes.length}" failures="${failures}" errors="0" skipped="0"`
  return [
    '<?xml version="1.0" encoding="UTF-8"?>',
    `<testsuites ${counts}>`,
    `  <testsuite name="policy" ${counts}>`,
    ...cases,
    '  </testsuite>',
    '</testsuites>',
    '',
  ].join('\n')
}
