// SPDX-License-Identifier: Apache-2.0

import { peerKey } from '../../../derive/policy/program.ts'
import { peersInUse, programs, ruleNumbers } from '../../../derive/policy/programs.ts'
import { selections } from '../../../derive/policy/selections.ts'
import { RestError, type Route } from '../../../edge/sockets/rest.ts'
import { list } from '../../../model/json.ts'
import type { PolicyObject } from '../../../model/policy.ts'
import { policyObjects } from '../policies.ts'
import type { Parts } from './parts.ts'

export function policyRoutes({ db, revisions }: Parts): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/policy',
      handle: ({ query }) => {
        const wanted = query
          .getAll('labels')
          .flatMap((l) => l.split(','))
          .filter((l) => l !== '')
        const rules = policyObjects
          .flatMap((table) => db.all(table).flatMap(rulesOf))
          .filter((rule) =>
            wanted.every((l) =>
              rule.labels.some((x) => l === `${x.source}:${x.key}=${x.value}` || l === `${x.key}=${x.value}`),
            ),
          )
        return { body: { policy: JSON.stringify(rules, undefined, 2), revision: revisions.current() } }
      },
    },
    ...(['PUT', 'DELETE'] as const).map(
      (method): Route => ({
        method,
        path: '/v1/policy',
        handle: () => {
          throw new RestError(501, 'policies come from Kubernetes: create or delete a CiliumNetworkPolicy instead')
        },
      }),
    ),
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
          body: db.all(peersInUse).map(({ key }) => ({
            selector: key,
            identities: db.get(selections, key)?.identities ?? [],
            labels: [],
            users: users.get(key) ?? 0,
          })),
        }
      },
    },
  ]
}

interface RuleLabel {
  readonly key: string
  readonly value: string
  readonly source: string
}

/** The rules of an object as written, with labels that say where they come from. */
function rulesOf(p: PolicyObject): readonly (object & { readonly labels: readonly RuleLabel[] })[] {
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
