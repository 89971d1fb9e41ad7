// SPDX-License-Identifier: Apache-2.0
/** `policy validate`: what is wrong with policies, where it is written, and how to mend it. */
import { importedRule, isRule } from '../../../derive/policy/imported.ts'
import { readPolicy } from '../../../derive/policy/policies.ts'
import { openCluster } from '../../../derive/questions/cluster.ts'
import { isPolicyKind, policyTables, readObjects } from '../../../derive/questions/objects.ts'
import { idleRules } from '../../../derive/questions/shadowed.ts'
import { object, text } from '../../../model/json.ts'
import { nearest } from '../../../model/options.ts'
import { parsePolicyObject, policyKey } from '../../../model/policy.ts'
import { print, printed } from '../output.ts'
import { type Located, type Manifests, type Place, placeText, readManifests, withoutCases } from './manifests.ts'

export interface Finding extends Place {
  readonly severity: 'error' | 'warning'
  /** `kind/namespace/name`; '' for what is no policy. */
  readonly policy: string
  readonly field: string
  readonly message: string
  readonly fix?: string
}

/** The API versions under which policies are known, by kind. */
const versions: { readonly [kind: string]: string } = {
  NetworkPolicy: 'networking.k8s.io/v1',
  CiliumNetworkPolicy: 'cilium.io/v2',
  CiliumClusterwideNetworkPolicy: 'cilium.io/v2',
  ClusterNetworkPolicy: 'policy.networking.k8s.io/v1alpha2',
}

/** Findings about the policies of `files`; rules without effect are looked for where there are pods to have one on. */
export function findingsOf(files: Manifests, around: Manifests | undefined): readonly Finding[] {
  const out: Finding[] = files.problems.map((p) => ({ ...p, severity: 'error', policy: '', field: '' }))
  const written = new Map<string, Located>()
  let rules = 0
  for (const found of files.found) {
    const o = object(found.object)
    const kind = text(o['kind'])
    const version = text(o['apiVersion'])
    const add = (severity: Finding['severity'], policy: string, field: string, message: string, fix?: string) =>
      out.push({ severity, ...found.place(field), policy, field, message, ...(fix === undefined ? {} : { fix }) })
    if (isRule(found.object)) {
      // What `policy import` takes: the same as the `spec` of an object, written without it.
      const rule = readPolicy(importedRule(found.object, () => String(rules++)))
      const bare = (field: string) => field.replace(/^spec\.?/, '')
      for (const p of rule.problems) add('error', rule.key, bare(p.field), p.message, p.fix)
      for (const p of rule.warnings) add('warning', rule.key, bare(p.field), p.message, p.fix)
      continue
    }
    if (kind === 'CiliumCIDRGroup') {
      for (const p of readObjects([found.object]).problems) add('error', '', p.field, p.message, p.fix)
      for (const name of Object.keys(object(o['spec'])).filter((n) => n !== 'externalCIDRs'))
        add('error', '', `spec.${name}`, 'unknown field', "did you mean 'externalCIDRs'?")
      continue
    }
    if (!isPolicyKind(kind)) {
      if (kind === '') add('error', '', 'kind', 'required', 'every object says its kind')
      else if (/^(Baseline)?AdminNetworkPolicy$/.test(kind)) {
        const tier = kind.startsWith('B') ? 'Baseline' : 'Admin'
        add('error', '', 'kind', `${kind} is not known`, `ClusterNetworkPolicy took its place, with tier: ${tier}`)
      } else if (Object.values(versions).includes(version) && /polic/i.test(kind)) {
        const near = nearest(kind, Object.keys(policyTables))
        add('error', '', 'kind', `'${kind}' is not a kind of policy`, near ? `did you mean '${near}'?` : undefined)
      }
      continue
    }
    if (version !== versions[kind])
      add(
        'error',
        '',
        'apiVersion',
        `${kind} is not of ${version === '' ? 'no version' : `'${version}'`}`,
        `apiVersion: ${versions[kind]}`,
      )
    const { name, namespace } = object(o['metadata'])
    if (typeof name === 'string' && name !== '' && !/^[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?$/.test(name))
      add('error', '', 'metadata.name', `'${name}' is not a name of an object`, 'small letters, digits, - and .')
    if (namespace !== undefined && /^C.*Cluster|^Cluster/.test(kind))
      add('warning', '', 'metadata.namespace', `means nothing: a ${kind} is of the whole cluster`, 'take it out')
    const placed = readObjects([found.object])
    for (const p of placed.problems) add('error', '', p.field, p.message, p.fix)
    for (const policy of placed.policies) {
      const key = policyKey(policy)
      const before = written.get(key)
      if (before)
        add(
          'warning',
          key,
          'metadata.name',
          `is also at ${placeText(before.place('metadata.name'))}: the later one counts`,
        )
      written.set(key, found)
      const read = readPolicy(policy)
      // The first problem of a field is the one to mend; others follow from it.
      const told = new Set<string>()
      for (const p of read.problems) {
        if (!told.has(p.field)) add('error', key, p.field, p.message, p.fix)
        told.add(p.field)
      }
      for (const p of read.warnings) add('warning', key, p.field, p.message, p.fix)
    }
  }
  const all = readObjects([...(around?.found ?? []), ...files.found].map((f) => f.object).filter((o) => !isRule(o)))
  if (all.members.length > 0)
    for (const idle of idleRules(openCluster(all))) {
      const at = written.get(idle.policy)
      const { policy, field, message, fix } = idle
      if (at)
        out.push({
          severity: 'warning',
          ...at.place(field),
          policy,
          field,
          message,
          ...(fix === undefined ? {} : { fix }),
        })
    }
  return out.sort((a, b) => (a.file === b.file ? a.line - b.line || a.column - b.column : a.file < b.file ? -1 : 1))
}

export const findingText = (f: Finding): string =>
  `${placeText(f)}: ${f.severity}: ${f.field === '' ? '' : `${f.field}: `}${f.message}${f.fix ? ` (${f.fix})` : ''}`

/** Prints what was found; false when a policy is not valid. */
export function validate(
  paths: readonly string[],
  cluster: readonly string[] | undefined,
  output: string | undefined,
): boolean {
  const files = withoutCases(readManifests(paths))
  const findings = findingsOf(files, cluster && withoutCases(readManifests(cluster)))
  const errors = findings.filter((f) => f.severity === 'error').length
  const policies = files.found.filter((f) => parsedKind(f)).length
  if (!printed({ valid: errors === 0, policies, findings }, output)) {
    for (const f of findings) print(findingText(f))
    const count = (n: number, word: string, many = `${word}s`) => `${n} ${n === 1 ? word : many}`
    print(
      `${count(policies, 'policy', 'policies')}: ${count(errors, 'error')}, ${count(findings.length - errors, 'warning')}`,
    )
  }
  return errors === 0
}

const parsedKind = (f: Located): boolean => {
  if (isRule(f.object)) return true
  const kind = text(object(f.object)['kind'])
  return isPolicyKind(kind) && parsePolicyObject(kind, f.object).ok
}
