// SPDX-License-Identifier: Apache-2.0
import type { LabelSet } from '../../model/labels.ts'
import type { NamedPort } from '../../model/pod.ts'
import type { Settings } from '../../model/settings.ts'
import type { Policy, PolicySpec } from './rule.ts'
import { selects } from './selector.ts'

/** What policy asks of the settings. */
export type PolicySettings = Pick<
  Settings,
  'enablePolicy' | 'allowLocalhost' | 'policyAuditMode' | 'clusterName' | 'enableNodeSelectorLabels' | 'enableL7Proxy'
>

/** Endpoints that policy can not tell apart: one identity, and the same names for the same ports. */
export interface Subject {
  readonly key: string
  readonly identity: number
  readonly labels: LabelSet
  readonly namedPorts: readonly NamedPort[]
  /** A node itself: policies with a nodeSelector speak of it, and no others. */
  readonly ofNode?: true
  /** What policy would drop passes and is reported, for these endpoints alone. */
  readonly audit?: boolean
  /** Policy is switched off for these endpoints. */
  readonly unenforced?: boolean
}

export const subjectKey = (identity: number, namedPorts: readonly NamedPort[]): string =>
  [identity, ...namedPorts.map((p) => `${p.name}=${p.port}/${p.protocol}`)].join(' ')

export const selectsSubject = (spec: PolicySpec, labels: LabelSet): boolean => selects(spec.subject, labels)

/** A part of a policy that selects a subject. */
export interface Selecting {
  readonly policy: Policy
  readonly spec: PolicySpec
}

/** Which of the given policies concern the subject. */
export function selectingOf(subject: Subject, policies: readonly Policy[], settings: PolicySettings): Selecting[] {
  const selecting: Selecting[] = []
  if (settings.enablePolicy !== 'never' && !subject.unenforced)
    for (const policy of policies)
      for (const spec of policy.specs)
        if (spec.ofNodes === subject.ofNode && selectsSubject(spec, subject.labels)) selecting.push({ policy, spec })
  return selecting
}
