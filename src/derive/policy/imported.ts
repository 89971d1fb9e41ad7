// SPDX-License-Identifier: Apache-2.0

import { fail, ok, type Problem, type Result } from '../../base/result.ts'
import { list, object, text } from '../../model/json.ts'
import { importedPrefix, type PolicyObject } from '../../model/policy.ts'
import { defaultSettings } from '../../model/settings.ts'
import { readPolicy } from './policies.ts'

/*
 * Rules as Cilium's own API takes them: a list of what `spec` of a CiliumClusterwideNetworkPolicy is, without an object
 * around. Each becomes a row of that kind, under a name that no object of Kubernetes can have.
 */

export interface RuleLabel {
  readonly key: string
  readonly value: string
  readonly source: string
}

/** Whether something in a file is such a rule, not an object. */
export function isRule(value: unknown): boolean {
  const o = object(value)
  return text(o['kind']) === '' && ('endpointSelector' in o || 'nodeSelector' in o)
}

/** `source:key=value`, of which all but the key may be left out, or already taken apart. */
function labelOf(written: unknown): unknown {
  if (typeof written !== 'string') return written
  const [, source = '', key = '', value = ''] = /^(?:([^:=]*):)?([^=]*)=?(.*)$/.exec(written) ?? []
  return { key, value, source }
}

/** A rule as a row. Rules that say the same have the same name; `digest` gives a short text for what one says. */
export function importedRule(rule: unknown, digest: (text: string) => string): PolicyObject {
  const written = object(rule)
  const spec = written['labels'] === undefined ? written : { ...written, labels: list(written['labels']).map(labelOf) }
  const labels = list(spec['labels']).map(object)
  const name = labels.map((l) => (text(l['key']) === 'name' ? text(l['value']) : '')).find((n) => n !== '') ?? 'rule'
  const id = `${importedPrefix}${name.replaceAll('/', '_')}-${digest(JSON.stringify(spec))}`
  return {
    kind: 'CiliumClusterwideNetworkPolicy',
    namespace: '',
    name: id,
    uid: id,
    resourceVersion: '',
    generation: 0,
    labels: {},
    annotations: {},
    deleting: false,
    object: { spec } as PolicyObject['object'],
  }
}

/** The labels under which a rule is shown and deleted. */
export const ruleLabels = (p: PolicyObject): readonly RuleLabel[] =>
  list(object(p.object['spec'])['labels']).map((l) => ({
    key: text(object(l)['key']),
    value: text(object(l)['value']),
    source: text(object(l)['source']) || 'unspec',
  }))

/** All rules of a list, or every problem of any of them, by its place in the list. */
export function readRules(
  body: unknown,
  clusterName: string,
  digest: (text: string) => string,
): Result<readonly PolicyObject[], readonly Problem[]> {
  if (!Array.isArray(body)) return fail([{ field: '', message: 'is no list of rules' }])
  const problems: Problem[] = []
  const rows = new Map<string, PolicyObject>()
  for (const [i, rule] of body.entries()) {
    if (!isRule(rule)) {
      const fix = 'a rule begins with endpointSelector; objects of Kubernetes are created there'
      problems.push({ field: `[${i}]`, message: 'is no rule', fix })
      continue
    }
    const row = importedRule(rule, digest)
    for (const p of readPolicy(row, { ...defaultSettings, clusterName }).problems)
      problems.push({ ...p, field: `[${i}]${p.field.replace(/^spec/, '')}` })
    rows.set(row.name, row)
  }
  return problems.length > 0 ? fail(problems) : ok([...rows.values()])
}
