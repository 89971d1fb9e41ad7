// SPDX-License-Identifier: Apache-2.0
import { type PortSpace, portSpaces, verdict } from '../../model/datapath.ts'
import { cidrIdentities } from '../policy/cidrs.ts'
import { columnAt } from '../policy/columns.ts'
import type { Decision } from '../policy/decision.ts'
import type { Redirect } from '../policy/evaluate.ts'
import { nameSelectors } from '../policy/names.ts'
import { subjectPrograms } from '../policy/programs.ts'
import { nodeOfSubject, nodeSubjects } from '../policy/subjects.ts'
import type { Cluster, Group } from './cluster.ts'
import { judgeOf } from './judge.ts'
import type { Member } from './objects.ts'
import { identityAt, type Party, partyOf } from './party.ts'
import { type Request, requestAnswerer, rulesText } from './requests.ts'
import { whoIs } from './who.ts'

/** Ports first to last of one space that one rule decides at each end, and whether both let them pass. */
export interface Stretch {
  readonly space: PortSpace | 'other'
  readonly first: number
  readonly last: number
  readonly passes: boolean
  /** The cells that decide, as one text. */
  readonly by: string
  /** What rules beyond ports ask of what passes, at each end; of no meaning when a request was given. */
  readonly asks?: { readonly egress: string; readonly ingress: string }
}

/** Who reaches whom in one cluster. Pairs that the tables can not tell apart are worked out once. */
export interface Reach {
  readonly cluster: Cluster
  /** What passes is then whatever lets this request pass. */
  readonly request: Request | undefined
  /** By decision and class of both ends. */
  readonly known: Map<string, readonly Stretch[]>
  readonly numbers: Map<Decision, number>
  /** By what a redirection asks: whether the request passes. */
  readonly answers: Map<string, boolean>
  readonly decisions: Map<Group, readonly [egress: Decision | undefined, ingress: Decision | undefined]>
}

export const openReach = (cluster: Cluster, request?: Request): Reach => ({
  cluster,
  request,
  answers: new Map(),
  known: new Map(),
  numbers: new Map(),
  decisions: new Map(),
})

/** Every port from one party to another, in order and without gaps. */
export function stretches(reach: Reach, from: Party, to: Party): readonly Stretch[] {
  const egress = from.group && decisionsOf(reach, from.group)[0]
  const ingress = to.group && decisionsOf(reach, to.group)[1]
  const key = `${end(reach, egress, to.identity)} ${end(reach, ingress, from.identity)}`
  const known = reach.known.get(key)
  if (known) return known
  const made = stretchesOf(reach, egress, to.identity, ingress, from.identity)
  reach.known.set(key, made)
  return made
}

function decisionsOf(reach: Reach, group: Group): readonly [Decision | undefined, Decision | undefined] {
  let known = reach.decisions.get(group)
  if (!known) {
    const { cluster } = reach
    known = [judgeOf(cluster, group, 'egress')?.decision, judgeOf(cluster, group, 'ingress')?.decision]
    reach.decisions.set(group, known)
  }
  return known
}

function end(reach: Reach, decision: Decision | undefined, peer: number): string {
  if (!decision) return '-'
  let number = reach.numbers.get(decision)
  if (number === undefined) {
    number = reach.numbers.size
    reach.numbers.set(decision, number)
  }
  return `${number}.${decision.classes.get(peer) ?? 0}`
}

function passesRequest({ request, answers }: Reach, redirect: Redirect): boolean {
  if (!request) return true
  const key = rulesText(redirect)
  let passes = answers.get(key)
  if (passes === undefined) answers.set(key, (passes = requestAnswerer(redirect)(request).by !== undefined))
  return passes
}

function stretchesOf(
  reach: Reach,
  egress: Decision | undefined,
  to: number,
  ingress: Decision | undefined,
  from: number,
): readonly Stretch[] {
  const sides = [
    [egress, to],
    [ingress, from],
  ] as const
  const judged = (column: (d: Decision) => number): Pick<Stretch, 'passes' | 'by' | 'asks'> => {
    const cells = sides.map(([d, peer]) => d?.cells[(d.classes.get(peer) ?? 0) * d.columns.entries.length + column(d)])
    const redirects = cells.map((c, i) =>
      c?.redirect === undefined ? undefined : sides[i]?.[0]?.redirects.get(c.redirect),
    )
    const opens = cells.every(
      (c, i) => !sides[i]?.[0] || (c && c.verdict !== verdict.none && c.verdict !== verdict.deny),
    )
    const by = cells.map((c) => `${c?.verdict}:${c?.rule}${c?.redirect === undefined ? '' : `>${c.redirect}`}`).join()
    if (redirects.every((r) => r === undefined)) return { passes: opens, by }
    const [egress = '', ingress = ''] = redirects.map((r) => (r && !r.open ? rulesText(r) : ''))
    return {
      passes: opens && redirects.every((r) => !r || passesRequest(reach, r)),
      by,
      ...(reach.request || !opens || (egress === '' && ingress === '') ? {} : { asks: { egress, ingress } }),
    }
  }
  const out: Stretch[] = []
  for (const [i, space] of portSpaces.entries()) {
    const lasts = sides.flatMap(([d]) => (d ? (d.columns.runs[i] ?? []).map((r) => r.last) : []))
    let first = 0
    for (const last of [...new Set([...lasts, 65535])].sort((a, b) => a - b)) {
      const found = judged((d) => columnAt(d.columns.runs[i] ?? [], first))
      const before = out.at(-1)
      if (before?.space === space && before.by === found.by) out[out.length - 1] = { ...before, last }
      else out.push({ space, first, last, ...found })
      first = last + 1
    }
  }
  out.push({ space: 'other', first: 0, last: 0, ...judged((d) => d.columns.other) })
  return out
}

/** Ports in words: `all`, `none`, `80/TCP, 8000-8100/TCP, all UDP, 8/ICMP`. */
export function portsText(of: readonly Pick<Stretch, 'space' | 'first' | 'last' | 'passes'>[]): string {
  const open: Range[] = []
  for (const s of of) {
    const before = open.at(-1)
    if (!s.passes) continue
    if (before?.space === s.space && before.last + 1 === s.first) open[open.length - 1] = { ...before, last: s.last }
    else open.push(s)
  }
  if (open.length === 0) return 'none'
  if (of.every((s) => s.passes)) return 'all'
  const closed = of.filter((s) => !s.passes)
  const total = of.reduce((n, s) => n + s.last - s.first + 1, 0)
  // The rest is shorter to say where little is closed.
  if (total === 5 * 65536 + 1 && closed.length <= 2 && closed.every((s) => s.last - s.first < 65535))
    return `all but ${listText(closed)}`
  return listText(open)
}

/** The same for a list of stretches that has gaps. */
export function somePortsText(given: readonly Stretch[]): string {
  const ports: Stretch[] = []
  for (const space of [...portSpaces, 'other'] as const) {
    let next = 0
    const gap = (first: number, last: number) => {
      if (first <= last) ports.push({ space, first, last, passes: false, by: '' })
    }
    for (const s of given)
      if (s.space === space) {
        gap(next, s.first - 1)
        ports.push({ ...s, passes: true })
        next = s.last + 1
      }
    gap(next, space === 'other' ? 0 : 65535)
  }
  return portsText(ports)
}

type Range = Pick<Stretch, 'space' | 'first' | 'last'>

function listText(ranges: readonly Range[]): string {
  const whole = (space: string) => ranges.some((s) => s.space === space && s.first === 0 && s.last === 65535)
  const texts = ranges.filter((s) => !whole(s.space) && s.space !== 'other').map(stretchText)
  const ports = ['TCP', 'UDP', 'SCTP']
  if (ports.every(whole)) texts.push('all ports')
  else texts.push(...ports.filter(whole).map((s) => `all ${s}`))
  texts.push(...['ICMP', 'ICMPv6'].filter(whole).map((s) => `all ${s}`))
  if (ranges.some((s) => s.space === 'other')) texts.push('other protocols')
  return texts.join(', ')
}

function stretchText({ space, first, last }: Range): string {
  const icmp = space === 'ICMP' || space === 'ICMPv6'
  const [a, b] = icmp ? [first >> 8, last >> 8] : [first, last]
  return `${a === b ? a : `${a}-${b}`}/${space}`
}

/** A party under the name of its workloads. */
export interface Named {
  /** Equal for the same party of two clusters. */
  readonly key: string
  readonly party: Party
  readonly name: string
  /** One of the pods; absent for what is no pod. */
  readonly member?: Member
  readonly pods: number
}

/**
 * Everybody there is: pods that nothing tells apart, also not in the cluster it is compared with, as one; the world and
 * nodes, by themselves where they have a firewall, and every prefix that a policy names.
 */
export function everybody(cluster: Cluster, beside: Cluster = cluster): readonly Named[] {
  const places = new Map<string, Member[]>()
  for (const group of cluster.groups.values())
    for (const member of group.members) {
      const at = [cluster, beside].map((c) => identityAt(c, member.pod.podIPs[0], group.identity))
      const key = `${group.key} ${[...new Set(at.filter((i) => i !== group.identity))].join(' ')}`
      const there = places.get(key)
      if (there) there.push(member)
      else places.set(key, [member])
    }
  const named = [...places].map(([key, members]) => ({ key, members, name: workloadNames(members) }))
  const often = new Map<string, number>()
  for (const { name } of named) often.set(name, (often.get(name) ?? 0) + 1)
  const pods = named
    .map(({ key, members, name }): Named => {
      const member = members[0] as Member
      // Pods of one workload that policy tells apart, as between two versions of it.
      const full = (often.get(name) ?? 0) > 1 ? `${name} (${member.pod.name})` : name
      return { key, party: partyOf(cluster, member, full), name: full, member, pods: members.length }
    })
    .sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))
  const others = ['world', 'world-ipv6', 'host', 'remote-node', 'kube-apiserver']
  const prefixes = cluster.db.all(cidrIdentities).map((i) => i.prefix)
  const names = cluster.db.all(nameSelectors).map((s) => `fqdn:${s.key}`)
  return [
    ...pods,
    ...[...guardedNodes(cluster, beside), ...others, ...prefixes, ...names].flatMap((text): readonly Named[] => {
      const found = whoIs(cluster, text)
      return found.ok ? [{ key: text, party: found.value, name: text, pods: 0 }] : []
    }),
  ]
}

/** `shop/web`, or several that policy can not tell apart. */
function workloadNames(members: readonly Member[]): string {
  const all = [
    ...new Set(members.map((m) => `${m.pod.namespace}/${m.workload.slice(m.workload.indexOf('/') + 1)}`)),
  ].sort()
  return all.length > 3 ? `${all.slice(0, 2).join(', ')} and ${all.length - 2} more` : all.join(', ')
}

/** One node of all for which the same policies decide, here and in the cluster it is compared with. */
function guardedNodes(cluster: Cluster, beside: Cluster): readonly string[] {
  const firsts = new Map<string, string>()
  for (const { key } of cluster.db.all(nodeSubjects)) {
    const programs = [cluster, beside].map((c) => c.db.get(subjectPrograms, key))
    const like = programs.map((p) => `${p?.ingress.key} ${p?.egress.key}`).join(' | ')
    if (!firsts.has(like)) firsts.set(like, `node:${nodeOfSubject(key)}`)
  }
  return [...firsts.values()]
}
