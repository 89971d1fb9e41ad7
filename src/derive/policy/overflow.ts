// SPDX-License-Identifier: Apache-2.0
import { deriveAll } from '../../table/definition.ts'
import { policyPlaces } from './decisions.ts'
import { programs, ruleNumbers } from './programs.ts'

/** A policy that is not in force on this node, because a map of the kernel is too small for its tables. */
export interface PolicyOverflow {
  readonly policy: string
  readonly problem: string
}

/** The endpoints concerned are closed; each policy that speaks of them is told why. */
export const policyOverflows = deriveAll<PolicyOverflow>(
  'policyOverflows',
  [policyPlaces, programs, ruleNumbers],
  {
    key: (o) => o.policy,
    columns: [
      ['POLICY', (o) => o.policy],
      ['PROBLEM', (o) => o.problem],
    ],
  },
  (read) => {
    const out = new Map<string, string>()
    for (const r of read.all(policyPlaces)) {
      if (r.kind !== 'unplaced') continue
      const program = read.get(programs, r.decision.key)
      const rules = [program?.otherwiseRule ?? '', ...(program?.entries.map((e) => e.rule) ?? [])]
      for (const policy of rules.flatMap((rule) => read.get(ruleNumbers, rule)?.policies ?? []))
        out.set(
          policy,
          `not in force on this node, and its endpoints are closed in ${r.decision.direction}: ${r.problem}`,
        )
    }
    return [...out].map(([policy, problem]) => ({ policy, problem }))
  },
)
