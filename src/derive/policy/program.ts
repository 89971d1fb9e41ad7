// SPDX-License-Identifier: Apache-2.0
import type { LabelSet } from '../../model/labels.ts'
import type { NamedPort } from '../../model/pod.ts'
import type { Settings } from '../../model/settings.ts'
import { entityPeers } from './entities.ts'
import type { Direction, Peer, Policy, PolicySpec, PortName, PortRange, Rule } from './rule.ts'
import { isPortRange } from './rule.ts'
import { labelIndex, selectorText, selects } from './selector.ts'

/** Endpoints that policy can not tell apart: one identity, and the same names for the same ports. */
export interface Subject {
  readonly key: string
  readonly identity: number
  readonly labels: LabelSet
  readonly namedPorts: readonly NamedPort[]
}

/** A rule as it concerns one subject in one direction. */
export interface Entry {
  /** Key of the rule. */
  readonly rule: string
  readonly action: Rule['action']
  readonly peers: 'all' | readonly Peer[]
  readonly ports: 'all' | readonly PortRange[]
  /** Ports by the name the peer gives them; egress only. */
  readonly names: readonly PortName[]
}

/** All that decides in one direction for a subject, before anyone asks which identities exist. */
export interface Program {
  /** Equal programs have equal keys: the rules' keys and what was resolved for the subject. */
  readonly key: string
  readonly direction: Direction
  /** What becomes of what no entry decides. */
  readonly otherwise: 'allow' | 'deny'
  /** Key of the rule that stands for `otherwise`; '' when no policy selects. */
  readonly otherwiseRule: string
  /** Policies that asked for the default deny. */
  readonly enforcedBy: readonly string[]
  /** First match decides: denials, allowances, rules that stay closed. */
  readonly entries: readonly Entry[]
  readonly audit: boolean
}

export type PolicySettings = Pick<Settings, 'enablePolicy' | 'allowLocalhost' | 'policyAuditMode' | 'clusterName'>

/** Key of the rule by which the local host reaches the pods of its node. */
export const localhostRule = 'allow-localhost'

export const subjectKey = (identity: number, namedPorts: readonly NamedPort[]): string =>
  [identity, ...namedPorts.map((p) => `${p.name}=${p.port}/${p.protocol}`)].join(' ')

export const selectsSubject = (spec: PolicySpec, labels: LabelSet): boolean => selects(spec.subject, labelIndex(labels))

/** What the given policies, which may or may not select the subject, mean for it in one direction. */
export function programOf(
  subject: Subject,
  direction: Direction,
  policies: readonly Policy[],
  settings: PolicySettings,
): Program {
  const enforcedBy = new Set<string>()
  const entries: Entry[] = []
  if (settings.enablePolicy !== 'never')
    for (const policy of policies)
      for (const spec of policy.specs) {
        if (!selectsSubject(spec, subject.labels)) continue
        if (spec.enforce[direction]) enforcedBy.add(policy.key)
        for (const rule of spec.rules) if (rule.direction === direction) entries.push(entryOf(rule, subject))
      }
  const enforced = enforcedBy.size > 0 || settings.enablePolicy === 'always'
  if ((enforced || entries.length > 0) && direction === 'ingress' && settings.allowLocalhost !== 'policy')
    entries.push({
      rule: localhostRule,
      action: 'allow',
      peers: entityPeers('host', settings.clusterName) ?? [],
      ports: 'all',
      names: [],
    })
  const by = [...enforcedBy].sort()
  return {
    key: programKey(direction, enforced, by, entries, settings.policyAuditMode),
    direction,
    otherwise: enforced ? 'deny' : 'allow',
    otherwiseRule: enforced ? defaultDenyRule(direction, by) : '',
    enforcedBy: by,
    entries: entries.sort(inOrder),
    audit: settings.policyAuditMode,
  }
}

/** The key under which a default deny counts and reports: it names the policies that selected. */
export const defaultDenyRule = (direction: Direction, by: readonly string[]): string =>
  `default-deny ${direction}: ${by.length === 0 ? 'enable-policy=always' : by.join(', ')}`

function entryOf(rule: Rule, subject: Subject): Entry {
  const { key, action, peers } = rule
  if (rule.ports === 'all') return { rule: key, action, peers, ports: 'all', names: [] }
  const ports: PortRange[] = []
  const names: PortName[] = []
  for (const p of rule.ports) {
    if (isPortRange(p)) ports.push(p)
    else if (rule.direction === 'egress') names.push(p)
    else
      for (const own of subject.namedPorts)
        if (own.name === p.name && (p.protocol === 'ANY' || p.protocol === own.protocol))
          ports.push({ space: own.protocol, first: own.port, last: own.port })
  }
  return { rule: key, action, peers, ports, names }
}

const rank = { deny: 0, allow: 1, closed: 2 } as const

/** Among rules of one kind the one that names its peers is the better answer to 'why'. */
function inOrder(a: Entry, b: Entry): number {
  const byAction = rank[a.action] - rank[b.action]
  if (byAction !== 0) return byAction
  if ((a.peers === 'all') !== (b.peers === 'all')) return a.peers === 'all' ? 1 : -1
  return a.rule < b.rule ? -1 : a.rule > b.rule ? 1 : 0
}

function programKey(
  direction: Direction,
  enforced: boolean,
  by: readonly string[],
  entries: readonly Entry[],
  audit: boolean,
): string {
  const rules = entries.map((e) => (e.ports === 'all' ? e.rule : `${e.rule} ${rangesText(e.ports)}`)).sort()
  return `${direction} ${enforced ? 'enforced' : 'open'}${audit ? ' audit' : ''} [${by.join(' ')}] ${rules.join('; ')}`
}

export const rangesText = (ranges: readonly PortRange[]): string =>
  ranges.map((r) => `${r.first === r.last ? r.first : `${r.first}-${r.last}`}/${r.space}`).join(',')

const peerKeys = new WeakMap<Peer, string>()

/** One text per peer; equal peers, equal texts. */
export function peerKey(p: Peer): string {
  const known = peerKeys.get(p)
  if (known !== undefined) return known
  const made =
    p.kind === 'labels'
      ? selectorText(p.requirements)
      : `cidr ${p.cidr}${p.except.length === 0 ? '' : ` except ${p.except.join(',')}`}`
  peerKeys.set(p, made)
  return made
}
