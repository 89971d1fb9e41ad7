// SPDX-License-Identifier: Apache-2.0
import { problemText } from '../../../base/result.ts'
import { readPolicy } from '../../../derive/policy/policies.ts'
import { openCluster } from '../../../derive/questions/cluster.ts'
import { type Comparison, compare, type PairChange, withPolicies } from '../../../derive/questions/compare.ts'
import { isPolicyKind, readObjects } from '../../../derive/questions/objects.ts'
import { decidedByText } from '../../../derive/questions/reasons.ts'
import { type AskedRequest, requestOf } from '../../../derive/questions/requests.ts'
import { type PolicyObject, policyKey } from '../../../model/policy.ts'
import { print, printed } from '../output.ts'
import { placeText, readManifests } from './manifests.ts'
import type { Opened } from './open.ts'

/** What changes when the files are applied and the named policies deleted. */
export function whatIf(
  { cluster, manifests }: Opened,
  files: readonly string[],
  deleted: readonly string[],
  asked: AskedRequest,
  output: string | undefined,
): void {
  const request = requestOf(asked)
  if (!request.ok) throw new Error(problemText(request.error))
  const added = readManifests(files)
  const [broken] = added.problems
  if (broken) throw new Error(`${placeText(broken)}: ${broken.message}`)
  const objects = readObjects(added.found.map((f) => f.object))
  for (const p of objects.problems) {
    const at = added.found[p.object]
    throw new Error(`${at ? placeText(at.place(p.field)) : ''}: ${problemText(p)}`)
  }
  for (const policy of objects.policies) {
    const [problem] = readPolicy(policy).problems
    const at = added.found.find((f) => isPolicy(f.object, policy))
    if (problem) throw new Error(`${at ? `${placeText(at.place(problem.field))}: ` : ''}${problemText(problem)}`)
  }
  const remove = deleted.map((name) => named(cluster.objects.policies, name))
  const onlyPolicies = added.found.every((f) => isPolicyKind(String((f.object as { kind?: unknown }).kind)))
  const after = onlyPolicies
    ? withPolicies(cluster, objects.policies, remove)
    : openCluster(
        readObjects([
          ...manifests.found.map((f) => f.object).filter((o) => !remove.some((p) => isPolicy(o, p))),
          ...added.found.map((f) => f.object),
        ]),
        cluster.numbers,
      )
  const comparison = compare(cluster, after, request.value)
  if (printed(comparison, output)) return
  print(comparisonText(comparison))
}

function isPolicy(object: unknown, policy: PolicyObject): boolean {
  const { kind, metadata } = object as { kind?: unknown; metadata?: { name?: unknown; namespace?: unknown } }
  const namespace =
    policy.namespace === ''
      ? [undefined, '']
      : [policy.namespace, ...(policy.namespace === 'default' ? [undefined] : [])]
  return kind === policy.kind && metadata?.name === policy.name && namespace.includes(metadata.namespace as string)
}

/** `name`, `namespace/name` or `kind/namespace/name`. */
function named(policies: readonly PolicyObject[], text: string): PolicyObject {
  const found = policies.filter((p) => {
    const place = p.namespace === '' ? p.name : `${p.namespace}/${p.name}`
    return text === p.name || text === place || text === policyKey(p) || text === `${p.kind}/${place}`
  })
  if (found.length === 1 && found[0]) return found[0]
  const there = (found.length > 1 ? found : policies).slice(0, 8).map(policyKey)
  throw new Error(
    found.length > 1
      ? `--delete ${text}: there are several: ${there.join(', ')}`
      : `--delete ${text}: there is no such policy${there.length > 0 ? `; there is ${there.join(', ')}` : ''}`,
  )
}

/** One line for all that go to one place on the same ports; who is outside is there in full with -o json. */
function folded(pairs: readonly PairChange[]): readonly string[] {
  const lines = new Map<string, { readonly to: string; readonly ports: string; readonly from: string[] }>()
  for (const { from, to, ports } of pairs) {
    const key = `${to} ${ports}`
    const line = lines.get(key) ?? { to, ports, from: [] }
    lines.set(key, line)
    line.from.push(from)
  }
  return [...lines.values()].map(({ from, to, ports }) => {
    const outside = from.filter((f) => !f.includes('/') || /^[0-9a-f.:]+\/\d+$/.test(f))
    const shown = from.includes('world') ? from.filter((f) => f === 'world' || !outside.includes(f)) : from
    return `${shown.join(', ')} -> ${to}  ${ports}`
  })
}

function comparisonText({ differences, appeared, gone }: Comparison): string {
  const lines: string[] = []
  for (const d of differences) {
    lines.push(
      `${d.before} -> ${d.after}, ${d.direction}: ${decidedByText(d.decidedBy)} (before: ${decidedByText(d.was)})`,
    )
    for (const line of folded(d.pairs)) lines.push(`  ${line}`)
    lines.push('')
  }
  if (differences.length === 0) lines.push('No verdict changes.')
  for (const name of appeared) lines.push(`New: ${name}`)
  for (const name of gone) lines.push(`Gone: ${name}`)
  return lines.join('\n').trimEnd()
}
