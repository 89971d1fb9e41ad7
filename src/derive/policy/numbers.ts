// SPDX-License-Identifier: Apache-2.0
import { kernelPolicies } from '../../model/rows.ts'
import { allocate } from '../../table/definition.ts'
import { nextFree } from '../numbers.ts'
import type { Subject } from './subject.ts'
import { subjects } from './subjects.ts'
import { limits } from './tables.ts'

/** The policy number of each subject; `cursor` says where the next search starts. */
export interface PolicyNumber {
  readonly subject: string
  readonly policy: number
}

export const policyNumbers = allocate<Subject, PolicyNumber>(
  'policyNumbers',
  subjects,
  { key: (p) => p.subject },
  (wanted, held, read) => {
    const inKernel = new Set(read.all(kernelPolicies).map((p) => p.policy))
    const before = new Map(held.map((h) => [h.subject, h.policy]))
    const kept = new Map(wanted.flatMap((w) => (before.has(w.key) ? [[w.key, before.get(w.key) as number]] : [])))
    const used = new Set(kept.values())
    let next = before.get('cursor') ?? 1
    for (const { key } of wanted) {
      if (kept.has(key)) continue
      const number = nextFree(1, limits.tables - 1, next, (n) => used.has(n) || inKernel.has(n))
      if (number === undefined) continue
      kept.set(key, number)
      used.add(number)
      next = number + 1
    }
    return [...kept, ['cursor', next] as const].map(([subject, policy]) => ({ subject, policy }))
  },
  [kernelPolicies],
)
