// SPDX-License-Identifier: Apache-2.0
import type { PolicyObject } from '../../model/policy.ts'
import * as rows from '../../model/rows.ts'
import { namesRule } from '../policy/program.ts'
import { subjectPrograms } from '../policy/programs.ts'
import { type Answer, answerOf, openAsking } from './ask.ts'
import type { Cluster } from './cluster.ts'
import { stateOf, unchanged } from './judge.ts'
import { policyTables } from './objects.ts'
import { type Party, partyOf } from './party.ts'
import { everybody, type Named, openReach, type Stretch, somePortsText, stretches } from './reach.ts'
import type { Request } from './requests.ts'
import type { DecidedBy, Side } from './sides.ts'
import { whoIs } from './who.ts'

/** The same cluster with other policies: a fork, so that only what they touch is derived anew. */
export function withPolicies(cluster: Cluster, put: readonly PolicyObject[], remove: readonly PolicyObject[]): Cluster {
  const db = cluster.db.fork()
  db.commit((tx) => {
    for (const p of remove) tx.remove(policyTables[p.kind], policyTables[p.kind].key(p))
    for (const p of put) tx.put(policyTables[p.kind], p)
  })
  const gone = new Set([...remove, ...put].map((p) => policyTables[p.kind].key(p)))
  const policies = [...cluster.objects.policies.filter((p) => !gone.has(policyTables[p.kind].key(p))), ...put]
  return stateOf(cluster, db, { ...cluster.objects, policies })
}

/** Ports between two workloads whose verdict changes. */
export interface PairChange {
  readonly from: string
  readonly to: string
  readonly ports: string
}

/** `redirect`: what passes is decided request by request. */
export type Passing = 'allow' | 'deny' | 'redirect'

/** All that changes for one reason. */
export interface Difference {
  readonly before: Passing
  readonly after: Passing
  /** The end whose word changes. */
  readonly direction: 'ingress' | 'egress'
  /** What decides there afterwards, and what did before. */
  readonly decidedBy: DecidedBy
  readonly was: DecidedBy
  readonly pairs: readonly PairChange[]
}

export interface Comparison {
  readonly differences: readonly Difference[]
  /** Workloads that are only in the one or the other. */
  readonly appeared: readonly string[]
  readonly gone: readonly string[]
}

type Folded = Omit<Difference, 'pairs'> & { readonly pairs: (PairChange & { readonly changed: Stretch[] })[] }

/**
 * Which pairs change verdict between two clusters, folded by the rule that changes it and by workload: for connections,
 * and what is asked of requests, or for one request.
 */
export function compare(before: Cluster, after: Cluster, request?: Request): Comparison {
  const then = openReach(before, request)
  const now = openReach(after, request)
  const askThen = openAsking(before)
  const askNow = openAsking(after)
  const folded = new Map<string, Folded>()
  const [old, fresh] = [everybody(before, after), everybody(after, before)]
  const keyOf = (n: Named) => n.key
  const same = unchanged(before, after)
  const freshKeys = new Set(fresh.map(keyOf))
  const names = new Map([...old, ...fresh].map((n) => [keyOf(n), n]))
  const both = [...names.values()].flatMap((named) => {
    const [a, b] = [partyIn(before, named), partyIn(after, named)]
    if (!a || !b) return []
    const identity = a.identity !== b.identity
    const programs = after.db.get(subjectPrograms, b.group?.key ?? '')
    const held = before.db.get(subjectPrograms, a.group?.key ?? '')
    const other = (direction: 'ingress' | 'egress') =>
      programs !== undefined && (held?.[direction] !== programs[direction] || !same(programs[direction]))
    return [{ name: named.name, a, b, changed: { ingress: other('ingress'), egress: other('egress'), identity } }]
  })
  for (const from of both)
    for (const to of both) {
      if (!from.b.group && !to.b.group) continue
      if (!from.changed.egress && !to.changed.ingress && !from.changed.identity && !to.changed.identity) continue
      if (!sidesDiffer(from, to)) continue
      const [was, is] = [stretches(then, from.a, to.a), stretches(now, from.b, to.b)]
      for (const changed of differing(was, is)) {
        const port = { space: changed.space, number: changed.first }
        const first = answerOf(askThen, from.a, to.a, port, request)
        const second = answerOf(askNow, from.b, to.b, port, request)
        const other = (end: 'egress' | 'ingress') =>
          (first[end].verdict === 'deny') !== (second[end].verdict === 'deny') ||
          (first.verdict.final === second.verdict.final && (changed.was?.[end] ?? '') !== (changed.asks?.[end] ?? ''))
        const direction = other('egress') ? 'egress' : 'ingress'
        const difference = {
          before: passing(first),
          after: passing(second),
          direction,
          decidedBy: decidedBy(second[direction]),
          was: decidedBy(first[direction]),
        } as const
        const key = JSON.stringify(difference)
        const same: Folded = folded.get(key) ?? { ...difference, pairs: [] }
        folded.set(key, same)
        addPair(same.pairs, from.name, to.name, changed)
      }
    }
  /** One end alone says already that most pairs stay as they are. */
  function sidesDiffer(from: (typeof both)[number], to: (typeof both)[number]): boolean {
    const { egress, ingress, identity } = { ...to.changed, egress: from.changed.egress }
    if (identity || from.changed.identity) return true
    const bare = (p: Party): Party => ({ kind: p.kind, name: p.name, identity: p.identity, notes: [] })
    const differ = (a: readonly [Party, Party], b: readonly [Party, Party]) =>
      differing(stretches(then, ...a), stretches(now, ...b)).length > 0
    return (
      (egress && differ([from.a, bare(to.a)], [from.b, bare(to.b)])) ||
      (ingress && differ([bare(from.a), to.a], [bare(from.b), to.b]))
    )
  }
  const only = (a: readonly Named[], in_: ReadonlySet<string>) =>
    a.filter((n) => n.party.group && !in_.has(keyOf(n))).map((n) => n.name)
  return {
    differences: [...folded.values()].map((d) => ({
      ...d,
      pairs: d.pairs.map(({ from, to, ports }) => ({ from, to, ports })),
    })),
    appeared: only(fresh, new Set(old.map(keyOf))),
    gone: only(old, freshKeys),
  }
}

/** That questions of the DNS are looked at is no difference. */
const decidedBy = ({ decidedBy }: Side): DecidedBy => ({
  ...decidedBy,
  field: '',
  ...(decidedBy.rule === namesRule ? { rule: 'no policy' } : {}),
})

const passing = ({ verdict, egress, ingress }: Answer): Passing =>
  verdict.final === 'allow' && [egress, ingress].some((s) => s.verdict === 'redirect' && !s.open)
    ? 'redirect'
    : verdict.final

function partyIn(cluster: Cluster, { member, name }: Named): Party | undefined {
  if (!member) {
    const found = whoIs(cluster, name)
    return found.ok ? found.value : undefined
  }
  const there = cluster.member.get(rows.pods.key(member.pod))
  return there && partyOf(cluster, there, name)
}

type Changed = Stretch & { readonly was?: NonNullable<Stretch['asks']> }

/** The stretches where two differ, with what is true afterwards. */
function differing(was: readonly Stretch[], is: readonly Stretch[]): readonly Changed[] {
  const out: Changed[] = []
  let i = 0
  for (const s of is) {
    for (;;) {
      const w = was[i]
      if (!w || w.space !== s.space || w.first > s.last) break
      const [first, last] = [Math.max(w.first, s.first), Math.min(w.last, s.last)]
      const asked = w.asks?.egress !== s.asks?.egress || w.asks?.ingress !== s.asks?.ingress
      if (w.passes !== s.passes || asked) out.push({ ...s, first, last, ...(w.asks ? { was: w.asks } : {}) })
      if (w.last > s.last) break
      i++
    }
  }
  return out
}

function addPair(pairs: (PairChange & { readonly changed: Stretch[] })[], from: string, to: string, s: Stretch): void {
  const last = pairs.at(-1)
  const same = last?.from === from && last.to === to ? last : undefined
  const changed = [...(same?.changed ?? []), { ...s, passes: true }]
  const pair = { from, to, ports: somePortsText(changed), changed }
  if (same) pairs[pairs.length - 1] = pair
  else pairs.push(pair)
}
