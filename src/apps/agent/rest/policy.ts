// SPDX-License-Identifier: Apache-2.0

import { problemText } from '../../../base/result.ts'
import { type RuleLabel, readRules, ruleLabels } from '../../../derive/policy/imported.ts'
import { peerKey } from '../../../derive/policy/keys.ts'
import { peersInUse, programs, ruleNumbers } from '../../../derive/policy/programs.ts'
import type { Peer } from '../../../derive/policy/rule.ts'
import { selections } from '../../../derive/policy/selections.ts'
import { RestError, type Route } from '../../../edge/sockets/rest.ts'
import { list } from '../../../model/json.ts'
import { nameRule } from '../../../model/names.ts'
import { importedPrefix, type PolicyObject, policyKey } from '../../../model/policy.ts'
import { importedRules } from '../../../model/rows.ts'
import { digest } from '../imported.ts'
import { policyObjects } from '../policies.ts'
import { selectorString } from './names.ts'
import type { Parts } from './parts.ts'

export function policyRoutes(parts: Parts): readonly Route[] {
  const { db, targets, settings, revisions } = parts
  const answer = (rules: readonly object[]) => ({
    body: { policy: JSON.stringify(rules, undefined, 2), revision: revisions.current() },
  })
  return [
    {
      method: 'GET',
      path: '/v1/policy',
      handle: ({ query }) => {
        const wanted = labelsOf(query, 'labels')
        return answer(policyObjects.flatMap((table) => db.all(table).flatMap(rulesOf)).filter(isLabelled(wanted)))
      },
    },
    {
      method: 'PUT',
      path: '/v1/policy',
      handle: ({ body, query }) => {
        const read = readRules(body, settings.node.clusterName, digest)
        if (!read.ok) throw new RestError(400, `nothing is imported: ${read.error.map(problemText).join('; ')}`)
        const replaced = labelsOf(query, 'replace-with-labels')
        const before = db.all(importedRules)
        const gone =
          query.get('replace') === 'true'
            ? before
            : before.filter((rule) => replaced.length > 0 && rulesOf(rule).some(isLabelled(replaced)))
        db.commit((tx) => {
          for (const rule of gone) tx.remove(importedRules, policyKey(rule))
          for (const rule of read.value) tx.put(importedRules, rule)
        })
        // Rules that would be gone after a restart are not taken: who imported them would not know.
        const lost = read.value.map((r) => targets.status(importedRules, policyKey(r))).find((s) => s?.kind === 'error')
        if (lost?.kind === 'error') {
          db.commit((tx) => {
            for (const rule of read.value) tx.remove(importedRules, policyKey(rule))
            for (const rule of before) tx.put(importedRules, rule)
          })
          throw new RestError(500, `nothing is imported, because it can not be kept: ${lost.error}`)
        }
        return answer(read.value.flatMap(rulesOf))
      },
    },
    {
      method: 'DELETE',
      path: '/v1/policy',
      handle: ({ query }) => {
        const wanted = labelsOf(query, 'labels')
        const doomed = db.all(importedRules).filter((rule) => rulesOf(rule).some(isLabelled(wanted)))
        if (doomed.length === 0 && wanted.length > 0)
          throw new RestError(
            404,
            `no imported rule has the labels ${wanted.join(', ')}; objects of Kubernetes are deleted there`,
          )
        db.commit((tx) => {
          for (const rule of doomed) tx.remove(importedRules, policyKey(rule))
        })
        return answer(doomed.flatMap(rulesOf))
      },
    },
    // The numbers under which cells, events and counters of this node know the rules.
    { method: 'GET', path: '/v1/policy/rules', handle: () => ({ body: db.all(ruleNumbers) }) },
    {
      method: 'GET',
      path: '/v1/policy/selectors',
      handle: () => {
        const users = new Map<string, number>()
        for (const program of db.all(programs))
          for (const { peers } of program.entries)
            if (peers !== 'all') for (const p of peers) users.set(peerKey(p), (users.get(peerKey(p)) ?? 0) + 1)
        return {
          body: db.all(peersInUse).map(({ key, peer }) => ({
            selector: nameSelectorText(peer) ?? key,
            identities: db.get(selections, key)?.identities ?? [],
            labels: [],
            users: users.get(key) ?? 0,
          })),
        }
      },
    },
  ]
}

/** Selectors of names as Cilium writes them. */
function nameSelectorText(peer: Peer): string | undefined {
  const [only] = peer.kind === 'labels' ? peer.requirements : []
  return only?.source === 'fqdn' ? selectorString(nameRule(only.key)) : undefined
}

type ShownRule = object & { readonly labels: readonly RuleLabel[] }

const labelsOf = (query: URLSearchParams, name: string): readonly string[] =>
  query
    .getAll(name)
    .flatMap((l) => l.split(','))
    .filter((l) => l !== '')

/** Whether a rule has all of the labels: `source:key=value`, of which the source and an empty value may be left out. */
const isLabelled =
  (wanted: readonly string[]) =>
  (rule: ShownRule): boolean =>
    wanted.every((l) =>
      rule.labels.some(({ source, key, value }) =>
        [`${source}:${key}=${value}`, `${key}=${value}`, ...(value === '' ? [key, `${source}:${key}`] : [])].includes(
          l,
        ),
      ),
    )

/** The rules of an object as written, with labels that say where they come from. */
function rulesOf(p: PolicyObject): readonly ShownRule[] {
  if (p.name.startsWith(importedPrefix)) return [{ ...(p.object['spec'] as object), labels: ruleLabels(p) }]
  const label = (name: string, value: string): RuleLabel => ({
    key: `io.cilium.k8s.policy.${name}`,
    value,
    source: 'k8s',
  })
  const labels = [
    label('derived-from', p.kind),
    label('name', p.name),
    ...(p.namespace === '' ? [] : [label('namespace', p.namespace)]),
    label('uid', p.uid),
  ]
  const specs = [p.object['spec'], ...list(p.object['specs'])].filter((s) => typeof s === 'object' && s !== null)
  return specs.map((spec) => ({ ...(spec as object), labels }))
}
