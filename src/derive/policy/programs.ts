// SPDX-License-Identifier: Apache-2.0
import { anchorsOf, type LabelSet } from '../../model/labels.ts'
import { settings } from '../../model/rows.ts'
import type { Settings } from '../../model/settings.ts'
import { allocate, deriveAll, deriveEach } from '../../table/definition.ts'
import { numbersByHash } from '../numbers.ts'
import { peerKey } from './keys.ts'
import { policies } from './policies.ts'
import { localhostRule, namesRule, type Program, programFrom } from './program.ts'
import type { Peer, Policy } from './rule.ts'
import { type Selecting, type Subject, selectingOf, subjectKey } from './subject.ts'
import { nodeSubjects, subjects } from './subjects.ts'

/** The two programs of a subject. */
export interface SubjectPrograms {
  readonly subject: string
  readonly identity: number
  readonly ingress: Program
  readonly egress: Program
}

const anchorsOfSet = new WeakMap<LabelSet, readonly string[]>()

/** Asked again with every change of a policy; an endpoint's labels stay. */
function subjectAnchorsOf(labels: LabelSet): readonly string[] {
  let anchors = anchorsOfSet.get(labels)
  if (!anchors) anchorsOfSet.set(labels, (anchors = anchorsOf(labels)))
  return anchors
}

export const subjectPrograms = deriveEach<Subject, SubjectPrograms>(
  'subjectPrograms',
  subjects,
  {
    key: (p) => p.subject,
    indexes: { identity: (p) => [String(p.identity)] },
    columns: [
      ['SUBJECT', (p) => p.subject],
      ['INGRESS', (p) => p.ingress.otherwise],
      ['EGRESS', (p) => p.egress.otherwise],
    ],
  },
  (subject, read) => {
    const config = read.get(settings, 'settings')
    if (!config) return []
    const found = new Map<string, Policy>()
    if (subject.ofNode) for (const policy of read.by(policies, 'nodes', '')) found.set(policy.key, policy)
    else
      for (const anchor of ['', ...new Set(subjectAnchorsOf(subject.labels))])
        for (const policy of read.by(policies, 'subject', anchor)) found.set(policy.key, policy)
    const selecting = [...found.values()]
    const both = programsOf(subject, selectingOf(subject, selecting, config), config)
    return [{ subject: subject.key, identity: subject.identity, ...both }]
  },
)

/** The programs of this node itself. */
export const nodePrograms = deriveEach<Subject, SubjectPrograms>(
  'nodePrograms',
  nodeSubjects,
  { key: (p) => p.subject },
  (subject, read) => [read.get(subjectPrograms, subject.key)].filter((p) => p !== undefined),
)

/** What programs were made of, but for the policies: those of whom the same parts of policies speak share them. */
interface Made {
  readonly selecting: readonly Selecting[]
  readonly namedPorts: string
  readonly audit: boolean
  readonly ofNode: boolean
  readonly programs: Pick<SubjectPrograms, 'ingress' | 'egress'>
}
/** By settings and the first part that selects; of each only the last few. */
const made = new WeakMap<Settings, WeakMap<object, Made[]>>()
const nobody = {}
const remembered = 8

function programsOf(subject: Subject, selecting: readonly Selecting[], config: Settings): Made['programs'] {
  const audit = subject.audit === true
  const ofNode = subject.ofNode === true
  const namedPorts = subjectKey(0, subject.namedPorts)
  let ofSettings = made.get(config)
  if (!ofSettings) made.set(config, (ofSettings = new WeakMap()))
  const first = selecting[0]?.spec ?? nobody
  const known = ofSettings.get(first) ?? []
  const same = known.find(
    (m) =>
      m.audit === audit &&
      m.ofNode === ofNode &&
      m.namedPorts === namedPorts &&
      m.selecting.length === selecting.length &&
      m.selecting.every((s, i) => s.spec === selecting[i]?.spec && s.policy === selecting[i]?.policy),
  )
  if (same) return same.programs
  const programs = {
    ingress: programFrom(subject, 'ingress', selecting, config),
    egress: programFrom(subject, 'egress', selecting, config),
  }
  ofSettings.set(first, [{ selecting, namedPorts, audit, ofNode, programs }, ...known.slice(0, remembered - 1)])
  return programs
}

/** Distinct programs: subjects of whom the same rules speak share one. */
export const programs = deriveAll<Program>('programs', [subjectPrograms], { key: (p) => p.key }, (read) => [
  ...new Map(read.all(subjectPrograms).flatMap((s) => [s.ingress, s.egress].map((p) => [p.key, p]))).values(),
])

interface PeerInUse {
  readonly key: string
  readonly peer: Peer
}

/** What a program names; found once for each. */
interface Names {
  readonly peers: readonly PeerInUse[]
  readonly rules: readonly Omit<RuleNumber, 'number'>[]
}
const namesIn = new WeakMap<Program, Names>()

function namesOf(program: Program): Names {
  const known = namesIn.get(program)
  if (known) return known
  const peers = program.entries.flatMap((e) => (e.peers === 'all' ? [] : e.peers))
  const rules = program.entries.map(({ rule, by }) => {
    const [policy = '', path = ''] = rule.split('#')
    if (rule === localhostRule || rule === namesRule || by) return { key: rule, policies: by ?? [], path: '' }
    return { key: rule, policies: [policy], path }
  })
  if (program.otherwiseRule !== '')
    rules.push({ key: program.otherwiseRule, policies: [...program.enforcedBy], path: '' })
  const made = { peers: peers.map((peer) => ({ key: peerKey(peer), peer })), rules }
  namesIn.set(program, made)
  return made
}

/** Distinct peers that programs name. */
export const peersInUse = deriveAll<PeerInUse>('peersInUse', [programs], { key: (p) => p.key }, (read) => {
  const out = new Map<string, PeerInUse>()
  for (const program of read.all(programs))
    for (const p of namesOf(program).peers) if (!out.has(p.key)) out.set(p.key, p)
  return [...out.values()]
})

/** The number under which cells, events and counters know a rule. */
export interface RuleNumber {
  /** `kind/namespace/name#path`, `default-deny ingress: …`, `allow-localhost` or `learn-names`. */
  readonly key: string
  readonly number: number
  /** The policies it comes from: one, or those that asked for the default deny. */
  readonly policies: readonly string[]
  /** Field path; '' for what no field says. */
  readonly path: string
}

const sameList = (a: readonly string[], b: readonly string[]): boolean =>
  a === b || (a.length === b.length && a.every((text, i) => text === b[i]))

/** Rule numbers end where the counters' map does; 0 is 'no policy'. */
const ruleNumberRange = { first: 1, last: 65535 } as const

export const ruleNumbers = allocate<Program, RuleNumber>(
  'ruleNumbers',
  programs,
  {
    key: (r) => r.key,
    indexes: { number: (r) => [String(r.number)] },
    columns: [
      ['NUMBER', (r) => String(r.number)],
      ['RULE', (r) => r.key],
    ],
  },
  (wanted, held) => {
    const before = new Map<string, RuleNumber>()
    for (const rule of held) before.set(rule.key, rule)
    const rules = new Map<string, Omit<RuleNumber, 'number'>>()
    let fresh = false
    for (const program of wanted)
      for (const rule of namesOf(program).rules) {
        if (rules.has(rule.key)) continue
        rules.set(rule.key, rule)
        fresh ||= !before.has(rule.key)
      }
    const { first, last } = ruleNumberRange
    const numbers = fresh
      ? numbersByHash(rules.keys(), new Map(held.map((h) => [h.key, h.number])), first, last)
      : undefined
    // More rules than counters: those without a number share the last one's, and count together.
    return Array.from(rules.values(), (rule) => {
      const same = before.get(rule.key)
      const number = (numbers ? numbers.get(rule.key) : same?.number) ?? last
      const stays = same?.number === number && same.path === rule.path && sameList(same.policies, rule.policies)
      return stays ? same : { ...rule, number }
    })
  },
)
