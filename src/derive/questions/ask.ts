// SPDX-License-Identifier: Apache-2.0
import { ok, type Result } from '../../base/result.ts'
import { type Cell, portSpaces, verdict } from '../../model/datapath.ts'
import type { NamedPort } from '../../model/pod.ts'
import type { PolicyKind } from '../../model/policy.ts'
import { localhostRule } from '../policy/program.ts'
import { ruleNumbers } from '../policy/programs.ts'
import type { Direction } from '../policy/rule.ts'
import { decide } from '../policy/verdict.ts'
import type { Cluster, Group } from './cluster.ts'
import { fieldsOf } from './fields.ts'
import { type Judge, judgeOf } from './judge.ts'
import { type AskedPort, type Port, portOf } from './ports.ts'
import { type Party, whoIs } from './who.ts'

export interface Question extends AskedPort {
  readonly from: string
  readonly to: string
}

export type Word = 'allow' | 'deny' | 'redirect' | 'audit'

/** What decided, in words of the objects. `kind` is '' where no policy did: `rule` then says why. */
export interface DecidedBy {
  readonly kind: PolicyKind | ''
  readonly namespace: string
  readonly name: string
  /** Field path of the rule; `default deny`, `no policy`, `allow-localhost` or `not a pod`. */
  readonly rule: string
  /** The element of the rule that the packet met; for a default deny the selector of the policy. */
  readonly field: string
}

/** The answer of one end. */
export interface Side {
  readonly verdict: Word
  readonly decidedBy: DecidedBy
  /** Key of the rule; '' when none. */
  readonly key: string
  /** Policies that select the pod in this direction and so deny what nothing allows. */
  readonly selectedBy: readonly string[]
  /** What policies that are only staged would have decided, or one that audits would have dropped. */
  readonly would?: { readonly verdict: Word; readonly decidedBy: DecidedBy }
}

export interface Answer {
  readonly from: Party
  /** The pod that answers: for a service one of those behind it. */
  readonly to: Party
  readonly port: Port
  readonly verdict: { readonly ingress: Word; readonly egress: Word; readonly final: 'allow' | 'deny' }
  readonly decidedBy: DecidedBy
  readonly egress: Side
  readonly ingress: Side
}

/** Questions to one cluster; what was found out once is kept until the cluster changes. */
export interface Asking {
  readonly cluster: Cluster
  readonly parties: Map<string, Result<Party>>
  readonly judges: Map<Group, { readonly [D in Direction]: Judging }>
  revision: number
}

/** What decides for a group in one direction, and what it has said so far by peer and port. */
interface Judging {
  readonly judge: Judge | undefined
  readonly said: Map<number, Side>
}

export const openAsking = (cluster: Cluster): Asking => ({
  cluster,
  parties: new Map(),
  judges: new Map(),
  revision: -1,
})

/** Asks both ends. Of the pods behind a service the first that is refused answers, or else the first. */
export function ask(asking: Asking, question: Question): Result<Answer> {
  const from = party(asking, question.from)
  if (!from.ok) return from
  const to = party(asking, question.to)
  if (!to.ok) return to
  fresh(asking)
  const { service, backends } = to.value
  if (!service || !backends || backends.length === 0) return askPair(asking, from.value, to.value, question)
  let first: Result<Answer> | undefined
  for (const backend of backends) {
    const port = behind(service.ports, question, backend.group?.namedPorts ?? [])
    const answer = askPair(asking, from.value, backend, port)
    if (!answer.ok || answer.value.verdict.final === 'deny') return answer
    first ??= answer
  }
  return first as Result<Answer>
}

/** The port of the pod behind a service's; one that the service does not have is meant as the pod's own. */
function behind(
  ports: NonNullable<Party['service']>['ports'],
  asked: AskedPort,
  named: readonly NamedPort[],
): AskedPort {
  const own = portOf(asked, ports)
  const entry = own.ok && ports.find((p) => p.port === own.value.number && p.protocol === own.value.space)
  if (!entry) return asked
  const target = portOf({ port: entry.targetPort, protocol: entry.protocol }, named)
  return target.ok ? { port: target.value.number, protocol: entry.protocol } : asked
}

function askPair(asking: Asking, from: Party, to: Party, asked: AskedPort): Result<Answer> {
  const named = to.group?.namedPorts ?? []
  const port = portOf(asked, named)
  if (!port.ok) return port
  return ok(answerOf(asking, from, to, port.value))
}

/** The same for ends and ports that are known already. */
export function answerOf(asking: Asking, from: Party, to: Party, port: Port): Answer {
  const named = to.group?.namedPorts ?? []
  const egress = side(asking, from.group, 'egress', to.identity, port, named)
  const ingress = side(asking, to.group, 'ingress', from.identity, port, named)
  const final = egress.verdict === 'deny' || ingress.verdict === 'deny' ? 'deny' : 'allow'
  const telling =
    final === 'deny' ? (egress.verdict === 'deny' ? egress : ingress) : ingress.key !== '' ? ingress : egress
  return {
    from,
    to,
    port,
    verdict: { ingress: ingress.verdict, egress: egress.verdict, final },
    decidedBy: (final === 'allow' && telling.key === '' && to.group ? ingress : telling).decidedBy,
    egress,
    ingress,
  }
}

function party(asking: Asking, text: string): Result<Party> {
  const known = asking.parties.get(text)
  if (known) return known
  const found = whoIs(asking.cluster, text)
  asking.parties.set(text, found)
  return found
}

function fresh(asking: Asking): void {
  const { revision } = asking.cluster.db
  if (asking.revision === revision) return
  asking.revision = revision
  asking.judges.clear()
}

const words: readonly Word[] = ['deny', 'allow', 'deny', 'redirect', 'audit']
export const wordOf = (cell: Cell): Word => words[cell.verdict] ?? 'deny'
const unnamed = (rule: string): DecidedBy => ({ kind: '', namespace: '', name: '', rule, field: '' })
const outside: Side = { verdict: 'allow', decidedBy: unnamed('not a pod'), key: '', selectedBy: [] }

function side(
  asking: Asking,
  group: Group | undefined,
  direction: Direction,
  peer: number,
  port: Port,
  named: readonly NamedPort[],
): Side {
  if (!group) return outside
  let judges = asking.judges.get(group)
  if (!judges) {
    const open = (of: Direction): Judging => ({ judge: judgeOf(asking.cluster, group, of), said: new Map() })
    judges = { ingress: open('ingress'), egress: open('egress') }
    asking.judges.set(group, judges)
  }
  const { judge, said } = judges[direction]
  if (!judge) return { ...outside, verdict: 'deny', decidedBy: unnamed('not ready') }
  const key = (peer * 8 + spaces.indexOf(port.space)) * 65536 + port.number
  let known = said.get(key)
  if (!known) {
    const cell = decide(judge.decision, peer, port.space, port.number)
    known = sideOf(asking.cluster, judge, cell, peer, port, named)
    if (said.size > 100_000) said.clear()
    said.set(key, known)
  }
  return known
}

const spaces: readonly Port['space'][] = [...portSpaces, 'other']

function sideOf(
  cluster: Cluster,
  judge: Judge,
  cell: Cell,
  peer: number,
  port: Port,
  named: readonly NamedPort[],
): Side {
  const by = (number: number, allowed: boolean) => ruleOf(cluster, number, allowed, peer, port, named)
  const { key, decidedBy } = by(cell.rule, cell.verdict === verdict.allow)
  const found = { verdict: wordOf(cell), decidedBy, key, selectedBy: judge.program.enforcedBy }
  if (cell.shadowRule === 0 && cell.shadowVerdict === 0) return found
  const would = by(cell.shadowRule, cell.shadowVerdict === verdict.allow).decidedBy
  return { ...found, would: { verdict: words[cell.shadowVerdict] ?? 'deny', decidedBy: would } }
}

function ruleOf(
  cluster: Cluster,
  number: number,
  allowed: boolean,
  peer: number,
  port: Port,
  named: readonly NamedPort[],
): { readonly key: string; readonly decidedBy: DecidedBy } {
  if (number === 0) return { key: '', decidedBy: unnamed(allowed ? 'no policy' : 'not ready') }
  const rule = cluster.db.by(ruleNumbers, 'number', String(number))[0]
  if (!rule) return { key: '', decidedBy: unnamed(`rule ${number}`) }
  if (rule.key === localhostRule) return { key: rule.key, decidedBy: unnamed(localhostRule) }
  return { key: rule.key, decidedBy: decidedByRule(cluster, rule.key, rule.policies, rule.path, peer, port, named) }
}

/** A rule in words; `path` is '' for a default deny, which is told under the first policy that asked for it. */
export function decidedByRule(
  cluster: Cluster,
  key: string,
  policies: readonly string[],
  path: string,
  peer: number,
  port: Port,
  named: readonly NamedPort[],
): DecidedBy {
  const [kind = '', namespace = '', name = ''] = (policies[0] ?? '').split('/')
  const of = { kind: kind as PolicyKind | '', namespace, name }
  if (path === '')
    return {
      ...of,
      rule: 'default deny',
      field: kind === '' ? '' : kind === 'NetworkPolicy' ? 'spec.podSelector' : 'spec.endpointSelector',
    }
  const found = fieldsOf(cluster, key, peer, port, named)
  return { ...of, rule: path, field: found.peer || found.port || path }
}
