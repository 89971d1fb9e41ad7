// SPDX-License-Identifier: Apache-2.0
import { type Cell, portSpaces, verdict } from '../../model/datapath.ts'
import type { NamedPort } from '../../model/pod.ts'
import type { PolicyKind } from '../../model/policy.ts'
import { localhostRule, namesRule } from '../policy/program.ts'
import { ruleNumbers } from '../policy/programs.ts'
import type { Direction } from '../policy/rule.ts'
import { decide } from '../policy/verdict.ts'
import type { Cluster, Group } from './cluster.ts'
import { fieldsOf } from './fields.ts'
import { type Judge, judgeOf } from './judge.ts'
import type { Port } from './ports.ts'
import { type AskedRule, type Request, type RequestAnswer, requestAnswerer } from './requests.ts'

export type Word = 'allow' | 'deny' | 'redirect' | 'audit'

/** What decided, in words of the objects. `kind` is '' where no policy did: `rule` then says why. */
export interface DecidedBy {
  readonly kind: PolicyKind | ''
  readonly namespace: string
  readonly name: string
  /** Field path of the rule; `default deny`, `no policy`, `allow-localhost`, `learn-names` or `not a pod`. */
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
  /** The redirection, where the verdict was to ask a proxy. */
  readonly redirect?: string
  /** The proxy only looks on: `Redirect.open`. */
  readonly open?: true
  /** What the proxy says of the request of the question; the verdict is then its. */
  readonly request?: {
    readonly asked: readonly (Omit<AskedRule, 'rule'> & { readonly decidedBy: DecidedBy })[]
    readonly changes: readonly string[]
  }
  /** What policies that are only staged would have decided, or one that audits would have dropped. */
  readonly would?: { readonly verdict: Word; readonly decidedBy: DecidedBy }
}

/** What decides for a group in one direction, and what it has said so far by peer and port. */
interface Judging {
  readonly judge: Judge | undefined
  readonly said: Map<number, Side>
  /** By redirection. */
  readonly requests: Map<string, (request: Request) => RequestAnswer>
}

/** What each group says in each direction. */
export type Judges = Map<Group, { readonly [D in Direction]: Judging }>

const words: readonly Word[] = ['deny', 'allow', 'deny', 'redirect', 'audit']
export const wordOf = (cell: Cell): Word => words[cell.verdict] ?? 'deny'
const unnamed = (rule: string): DecidedBy => ({ kind: '', namespace: '', name: '', rule, field: '' })
const outside: Side = { verdict: 'allow', decidedBy: unnamed('not a pod'), key: '', selectedBy: [] }

/** What one end says of a peer, a port and, if there is one, a request. */
export function sideOf(
  cluster: Cluster,
  judges: Judges,
  group: Group | undefined,
  direction: Direction,
  peer: number,
  port: Port,
  named: readonly NamedPort[],
  request?: Request,
): Side {
  if (!group) return outside
  let both = judges.get(group)
  if (!both) {
    const open = (of: Direction): Judging => ({
      judge: judgeOf(cluster, group, of),
      said: new Map(),
      requests: new Map(),
    })
    both = { ingress: open('ingress'), egress: open('egress') }
    judges.set(group, both)
  }
  const { judge, said, requests } = both[direction]
  if (!judge) return { ...outside, verdict: 'deny', decidedBy: unnamed('not ready') }
  const key = (peer * 8 + spaces.indexOf(port.space)) * 65536 + port.number
  let known = said.get(key)
  if (!known) {
    const cell = decide(judge.decision, peer, port.space, port.number)
    known = cellSide(cluster, judge, cell, peer, port, named)
    if (said.size > 100_000) said.clear()
    said.set(key, known)
  }
  if (!request || known.redirect === undefined) return known
  let answerer = requests.get(known.redirect)
  if (!answerer) {
    answerer = requestAnswerer(judge.decision.redirects.get(known.redirect) ?? { rules: [] })
    requests.set(known.redirect, answerer)
  }
  return requestSide(cluster, known, answerer(request), peer, port, named)
}

/** The answer of an end once the proxy has been asked. */
function requestSide(
  cluster: Cluster,
  before: Side,
  { by, asked, changes }: RequestAnswer,
  peer: number,
  port: Port,
  named: readonly NamedPort[],
): Side {
  const words = ({ rule, field }: Pick<AskedRule, 'rule' | 'field'>): DecidedBy => ({
    ...decidedByKey(cluster, rule, peer, port, named),
    ...(field === '' ? {} : { field }),
  })
  return {
    ...before,
    verdict: by ? 'allow' : 'deny',
    decidedBy: by ? words(by) : { ...before.decidedBy, field: asked[0]?.field.replace(/\[\d+\]$/, '') ?? '' },
    key: by?.rule ?? before.key,
    request: {
      asked: asked.map((a) => ({ decidedBy: words(a), field: a.field, asks: a.asks, lacks: a.lacks })),
      changes,
    },
  }
}

const spaces: readonly Port['space'][] = [...portSpaces, 'other']

function cellSide(
  cluster: Cluster,
  judge: Judge,
  cell: Cell,
  peer: number,
  port: Port,
  named: readonly NamedPort[],
): Side {
  const by = (number: number, allowed: boolean) => ruleOf(cluster, number, allowed, peer, port, named)
  const { key, decidedBy } = by(cell.rule, cell.verdict === verdict.allow)
  // A default deny that only audits is an entry like others.
  const { enforcedBy, entries } = judge.program
  const selectedBy = enforcedBy.length > 0 ? enforcedBy : (entries.find((e) => e.rule === key)?.by ?? [])
  const found = {
    ...{ verdict: wordOf(cell), decidedBy, key, selectedBy },
    ...(cell.redirect === undefined ? {} : { redirect: cell.redirect }),
    ...(judge.decision.redirects.get(cell.redirect ?? '')?.open ? { open: true as const } : {}),
  }
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
  if (isNobodys(rule.key)) return { key: rule.key, decidedBy: unnamed(rule.key) }
  return { key: rule.key, decidedBy: decidedByRule(cluster, rule.key, rule.policies, rule.path, peer, port, named) }
}

/** No policy has said it. */
const isNobodys = (key: string): boolean => key === localhostRule || key === namesRule

/** A rule by its key, in words. */
export function decidedByKey(
  cluster: Cluster,
  key: string,
  peer: number,
  port: Port,
  named: readonly NamedPort[],
): DecidedBy {
  if (isNobodys(key)) return unnamed(key)
  const rule = cluster.db.get(ruleNumbers, key)
  return decidedByRule(cluster, key, rule?.policies ?? [], rule?.path ?? '', peer, port, named)
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
