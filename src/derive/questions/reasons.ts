// SPDX-License-Identifier: Apache-2.0
import { reservedIdentities } from '../../model/identity.ts'
import { type LabelSet, podNamespaceKey } from '../../model/labels.ts'
import { ciliumIdentities } from '../../model/rows.ts'
import { cidrIdentities } from '../policy/cidrs.ts'
import { compile } from '../policy/decision.ts'
import { peerKey, rangesText } from '../policy/keys.ts'
import { nameIdentities } from '../policy/names.ts'
import { type Entry, localhostRule } from '../policy/program.ts'
import { ruleNumbers } from '../policy/programs.ts'
import type { Direction, Peer, Requirement } from '../policy/rule.ts'
import { requirementText, selects } from '../policy/selector.ts'
import { decide } from '../policy/verdict.ts'
import type { Answer } from './ask.ts'
import type { Cluster } from './cluster.ts'
import { meansIdentity, meansPort } from './fields.ts'
import { type Judge, judgeOf, knownOf } from './judge.ts'
import type { Party } from './party.ts'
import { type Port, portText } from './ports.ts'
import { type DecidedBy, decidedByKey, type Side, type Word, wordOf } from './sides.ts'

/** A rule that also speaks of the packet, and would decide if those before it did not. */
export interface RunnerUp {
  readonly direction: Direction
  /** `pass` leaves the decision to the next tier. */
  readonly verdict: Word | 'pass'
  /** Set for a rule of a policy that is staged or audited. */
  readonly mode?: 'audit' | 'staged'
  readonly decidedBy: DecidedBy
}

/** One change of the policies, and what this end would say then. */
export interface Change {
  readonly direction: Direction
  /** `remove` a rule; widen one by a `port` or a `peer`; add a `rule`; `select` the pod at all. */
  readonly change: 'remove' | 'port' | 'peer' | 'rule' | 'select'
  readonly kind: string
  readonly namespace: string
  readonly name: string
  readonly rule: string
  readonly verdict: Word
  readonly text: string
}

export interface Reasons {
  readonly runnersUp: readonly RunnerUp[]
  readonly changes: readonly Change[]
}

/** What else speaks of the packet, and what would turn the verdict of each end. */
export function reasonsOf(cluster: Cluster, answer: Answer): Reasons {
  const runnersUp: RunnerUp[] = []
  const changes: Change[] = []
  for (const direction of ['egress', 'ingress'] as const) {
    const [own, peer] = direction === 'egress' ? [answer.from, answer.to] : [answer.to, answer.from]
    const judge = own.group && judgeOf(cluster, own.group, direction)
    if (!judge) continue
    const asked: Asked = { cluster, direction, own, peer, port: answer.port, named: answer.to.group?.namedPorts ?? [] }
    const side = answer[direction]
    const matching = judge.program.entries.filter((e) => meets(asked, e))
    for (const e of matching)
      if (e.rule !== side.key && e.action !== 'see')
        runnersUp.push({
          ...{ direction, verdict: wordOfEntry(e), decidedBy: named(asked, e.rule) },
          ...(e.when === 'staged' ? { mode: e.when } : e.mode === 'audit' ? { mode: e.mode } : {}),
        })
    // Where the other end is the one that refuses, nothing here would help.
    if (answer.verdict.final === 'allow' || side.verdict === 'deny') changes.push(...changesOf(asked, judge, side))
  }
  return { runnersUp, changes }
}

interface Asked {
  readonly cluster: Cluster
  readonly direction: Direction
  readonly own: Party
  readonly peer: Party
  readonly port: Port
  readonly named: NonNullable<Party['group']>['namedPorts']
}

const wordOfEntry = ({ action }: Entry): RunnerUp['verdict'] =>
  action === 'allow' || action === 'pass' || action === 'redirect' ? action : 'deny'

const meetsPeer = ({ cluster, peer }: Asked, e: Entry): boolean => meansIdentity(cluster, e.peers, peer.identity)
const meetsPort = ({ port, named }: Asked, e: Entry): boolean =>
  e.ports === 'all' || meansPort([...e.ports, ...e.names], port, named)
const meets = (asked: Asked, e: Entry): boolean => meetsPeer(asked, e) && meetsPort(asked, e)

const named = ({ cluster, peer, port, named }: Asked, key: string): DecidedBy =>
  decidedByKey(cluster, key, peer.identity, port, named)

/** `CiliumNetworkPolicy default/rule1 spec.ingress[0]`, or why no policy decides. */
export const decidedByText = ({ kind, namespace, name, rule, field }: DecidedBy): string =>
  kind === ''
    ? rule
    : `${kind} ${namespace === '' ? '' : `${namespace}/`}${name} ${field === '' || rule === 'default deny' ? rule : field}`

function changesOf(asked: Asked, judge: Judge, side: Side): readonly Change[] {
  const { kind, namespace, name, rule } = side.decidedBy
  const of = { direction: asked.direction, kind, namespace, name, rule }
  const here = judge.program.entries.some((e) => e.rule === side.key)
  if (here && kind !== '') {
    const [verdict, by] = without(asked, judge, side.key)
    const text = `without ${decidedByText({ ...side.decidedBy, field: rule })}: ${verdict}, by ${by}`
    return [{ ...of, change: 'remove', verdict, text }]
  }
  if (side.verdict === 'deny') return openings(asked, judge, side)
  if (side.key !== '' || asked.own.group === undefined) return []
  const text = `a policy that selects ${asked.own.name} for ${asked.direction} denies what it does not allow`
  return [{ ...of, change: 'select', verdict: 'deny', text }]
}

/** The answer once a rule is gone: the rest of the program, compiled as for the kernel. */
function without(asked: Asked, { program }: Judge, rule: string): readonly [Word, string] {
  const { cluster, peer, port } = asked
  const rest = { ...program, entries: program.entries.filter((e) => e.rule !== rule) }
  const cell = decide(compile(rest, knownOf(cluster)), peer.identity, port.space, port.number)
  const key = cell.rule === 0 ? undefined : cluster.db.by(ruleNumbers, 'number', String(cell.rule))[0]?.key
  return [wordOf(cell), key === undefined ? 'no policy' : decidedByText(named(asked, key))]
}

/** For what nothing allows: the rules that come nearest, or that one is missing. */
function openings(asked: Asked, { program }: Judge, side: Side): readonly Change[] {
  const { direction, port, peer } = asked
  const out: Change[] = []
  for (const e of program.entries) {
    const opens = e.action === 'allow' || e.action === 'redirect'
    if (!opens || e.mode !== 'enforce' || e.when === 'staged' || e.rule === localhostRule) continue
    const who = meetsPeer(asked, e)
    const where = meetsPort(asked, e)
    if (who === where) continue
    const { kind, namespace, name, rule } = named(asked, e.rule)
    const of = { direction, kind, namespace, name, rule, verdict: 'allow' as const }
    const at = `${kind} ${namespace === '' ? '' : `${namespace}/`}${name} ${rule}`
    if (who) {
      const there = [
        ...(e.ports === 'all' ? [] : [rangesText(e.ports)]),
        ...e.names.map((n) => `'${n.name}'/${n.protocol}`),
      ].filter((t) => t !== '')
      const text = `${at} allows ${peer.name} on ${there.join(', ') || 'no port'}: add ${portText(port)}`
      out.push({ ...of, change: 'port', text })
    } else {
      const text = `${at} allows ${portText(port)} ${direction === 'ingress' ? 'from' : 'to'} ${whoText(asked, e)}`
      out.push({ ...of, change: 'peer', text })
    }
  }
  if (out.length > 0) return out
  const { kind, namespace, name } = side.decidedBy
  const by = side.selectedBy.length === 0 ? 'the default' : side.selectedBy.join(', ')
  const text = `no rule of ${by} speaks of ${peer.name} or of ${portText(port)}: add one`
  return [{ direction, change: 'rule', kind, namespace, name, rule: '', verdict: 'allow', text }]
}

/** Whom a rule means, and what the peer lacks to be one of them. */
function whoText({ cluster, peer }: Asked, { peers }: Entry): string {
  if (peers === 'all') return 'everybody'
  if (peers.length === 0) return 'nobody: its list of peers is empty'
  const labels = labelsOf(cluster, peer)
  const lacking = (p: Peer) => (p.kind === 'labels' ? p.requirements.filter((r) => !selects([r], labels)) : [])
  const nearest = [...peers].sort((a, b) => lacking(a).length - lacking(b).length).find((p) => p.kind === 'labels')
  if (nearest?.kind !== 'labels') return `${peers.map(peerText).join(' or ')}, where ${peer.name} is not`
  const lacks = lacking(nearest).map((r) => {
    const has = labels.filter((l) => l.includes(`:${r.key}=`))
    return `${wordsOf(r)}${has.length > 0 ? ` (has ${has.map(bareLabel).join(', ')})` : ''}`
  })
  return `${nearest.requirements.map(wordsOf).join(', ')}; ${peer.name} lacks ${lacks.join(', ')}`
}

const peerText = (p: Peer): string => (p.kind === 'labels' ? p.requirements.map(wordsOf).join(', ') : peerKey(p))

/** Sources are left out where users leave them out. */
const bareLabel = (label: string): string => label.replace(/^(any|k8s):/, '')
const wordsOf = (r: Requirement): string =>
  r.key === podNamespaceKey && r.operator === 'In'
    ? `namespace ${r.values.join(' or ')}`
    : r.key === podNamespaceKey && r.operator === 'Exists'
      ? 'a pod'
      : r.source === 'fqdn'
        ? `fqdn:${r.key}`
        : bareLabel(requirementText(r))

export function labelsOf({ db }: Cluster, { group, identity }: Party): LabelSet {
  if (group) return group.labels
  const known =
    db.get(ciliumIdentities, String(identity)) ??
    db.by(cidrIdentities, 'number', String(identity))[0] ??
    db.by(nameIdentities, 'number', String(identity))[0] ??
    reservedIdentities.find((i) => i.number === identity)
  return known?.labels ?? []
}
