// SPDX-License-Identifier: Apache-2.0
import { type Cell, verdict } from '../../model/datapath.ts'
import { AUDITED, type Layer7 } from '../../model/proxy.ts'
import { type Entry, localhostRule, type Program } from './program.ts'
import type { Direction } from './rule.ts'

/** What an entry says, once it matches: its number in the kernel; for a redirection, who may come to which ports. */
export interface Said {
  readonly entry: Entry
  readonly rule: number
  readonly scope: string
}

/** Rules beyond ports that are asked together: a request passes by any of them. */
export interface Redirect {
  /** Says which rules, for whom and for which ports, but not what they ask. */
  readonly key: string
  readonly direction: Direction
  readonly kind: Layer7['kind']
  readonly rules: readonly { readonly rule: string; readonly layer7: Layer7 }[]
  /** The proxy only looks on: all names may be asked for. */
  readonly open?: true
}

/** The answers of one program: for any set of entries that match a peer and a port, the cell. */
export interface Evaluator {
  /** `covering`: the entries of the port in order; `matches`: whether an entry means the peer. */
  cell(covering: readonly number[], matches: (entry: number) => boolean): Cell
  /**
   * The least that any peer gets whom `certain` entries mean for sure, `possible` ones perhaps, and others not: what a
   * peer may have that nobody has told us of.
   */
  least(covering: readonly number[], certain: (entry: number) => boolean, possible: (entry: number) => boolean): Cell
  /** Every redirection that a cell names, so far. */
  readonly redirects: ReadonlyMap<string, Redirect>
}

interface Outcome {
  readonly verdict: number
  readonly rule: number
  readonly redirect: string
  /** The redirection refuses nothing. */
  readonly seen?: true
}

/** What entries say now, or where staged policies are in force too. */
interface View {
  readonly staged: boolean
  /** Nothing that a rule refuses is dropped by anybody. */
  readonly isOpen: (entry: Entry) => boolean
  /** A policy that only looks on asks requests nothing, and opens nothing that other policies' rules for requests close. */
  readonly looksOn: (said: Said) => boolean
  /** Of each entry. */
  readonly outcomes: readonly (Outcome | undefined)[]
}

function viewOf(program: Pick<Program, 'otherwise' | 'audit'>, said: readonly Said[], staged: boolean): View {
  const closes = ({ entry }: Said): boolean => entry.action === 'default' && entry.when === 'staged'
  const closed = program.otherwise === 'deny' || (staged && said.some(closes))
  const isOpen = (entry: Entry): boolean => program.audit || (entry.mode === 'audit' && !closed)
  return {
    staged,
    isOpen,
    looksOn: ({ entry }) =>
      entry.action === 'redirect' && entry.layer7?.kind !== 'dns' && !program.audit && isOpen(entry),
    outcomes: said.map(({ entry, rule }) => outcomeOf(entry, rule, isOpen(entry))),
  }
}

export function evaluator(
  program: Pick<Program, 'otherwise' | 'audit' | 'direction'>,
  said: readonly Said[],
  otherwiseRule: number,
): Evaluator {
  const hasStaged = said.some((s) => s.entry.when === 'staged')
  const otherwise: Outcome =
    program.otherwise === 'allow'
      ? { verdict: verdict.allow, rule: 0, redirect: '' }
      : { verdict: verdict.none, rule: otherwiseRule, redirect: '' }
  const now = viewOf(program, said, false)
  const then = hasStaged ? viewOf(program, said, true) : now
  /** Whom it means, other rules may mean too, and before it. */
  const localhost = said.findIndex(({ entry }) => entry.rule === localhostRule)
  const asks = said.some(
    (s, i) => s.entry.action === 'see' || [now, then].some((v) => v.outcomes[i]?.verdict === verdict.redirect),
  )
  const redirects = new Map<string, Redirect>()

  /**
   * The redirections from `at` on, of the tier of that entry, which surely mean the peer; `andOpen` those too that would
   * only look on by themselves: what they let pass they let pass, also where others are asked.
   */
  function redirections(
    covering: readonly number[],
    at: number,
    certain: (entry: number) => boolean,
    { staged, outcomes, looksOn }: View,
    andOpen = false,
  ): readonly Said[] {
    const { tier } = (said[covering[at] as number] as Said).entry
    return covering
      .slice(at)
      .filter((i) => outcomes[i]?.verdict === verdict.redirect || (andOpen && looksOn(said[i] as Said)))
      .filter((i) => certain(i))
      .map((i) => said[i] as Said)
      .filter(({ entry }) => entry.tier === tier && entry.when !== (staged ? 'now' : 'staged'))
  }

  /**
   * One redirection by all of these, and by `open`, which asks nothing. No listener speaks two protocols: rules of
   * another than the first's allow nothing there.
   */
  function together(all: readonly Said[], { isOpen }: View, open?: Said): string {
    const kind = all[0]?.entry.layer7?.kind ?? 'http'
    const of = all
      .filter(({ entry }) => entry.layer7?.kind === kind)
      .sort((a, b) => (a.scope < b.scope ? -1 : a.scope > b.scope ? 1 : 0))
    const scopes = of.map((s) => `${s.scope}${isOpen(s.entry) ? ' audit' : ''}`)
    const key = `${program.direction} ${kind === 'http' ? '' : `${kind} `}${[...scopes, ...(open ? [open.scope] : [])].join(' | ')}`
    if (redirects.has(key)) return key
    const rules = of.flatMap(({ entry }) => {
      const { rule, layer7 } = entry
      if (!layer7 || (open && entry.action === 'see')) return []
      // What is asked for is learnt, and not refused.
      const learns = layer7.kind === 'dns' && entry.action === 'redirect' && isOpen(entry)
      return [{ rule, layer7 }, ...(learns ? [{ rule: AUDITED, layer7: asksNothing('dns') }] : [])]
    })
    if (open) rules.push({ rule: open.entry.rule, layer7: asksNothing(kind) })
    const looks = kind === 'dns' && rules.some(({ layer7 }) => layer7.kind === 'dns' && layer7.dns.length === 0)
    redirects.set(key, { key, direction: program.direction, kind, rules, ...(looks ? { open: true } : {}) })
    return key
  }

  /**
   * What passes by its port alone is refused nothing, but where other rules speak of its requests it is seen: names are
   * learnt, requests are told. Not probes of the node, which must not wait for a proxy, and not what begins or ends TLS.
   */
  function seen(allowed: Outcome, by: Said, redirections: readonly Said[], view: View): Outcome {
    const tls = redirections.some(({ entry: { layer7 } }) => layer7?.kind === 'http' && layer7.tls)
    if (redirections.length === 0 || tls) return allowed
    return { ...allowed, verdict: verdict.redirect, redirect: together(redirections, view, by), seen: true }
  }

  /** Who wants to see what passes by this port, whatever lets it pass. */
  const sights = (covering: readonly number[], { staged }: View): readonly Said[] =>
    covering
      .map((i) => said[i] as Said)
      .filter(({ entry }) => entry.action === 'see' && entry.when !== (staged ? 'now' : 'staged'))

  /** The first entry from `at` on that decides. What an audited policy would drop is remembered and goes on. */
  function decide(
    covering: readonly number[],
    at: number,
    skipped: number,
    certain: (entry: number) => boolean,
    possible: ((entry: number) => boolean) | undefined,
    view: View,
    audited: Outcome | undefined,
  ): Outcome {
    const { staged, outcomes, looksOn } = view
    let skip = skipped
    let would = audited
    let looking: number | undefined
    for (let k = at; k < covering.length; k++) {
      const i = covering[k] as number
      const { entry } = said[i] as Said
      // What would be let in request by request is not for the next tier to drop.
      if (would && looking !== undefined && entry.tier > (said[covering[looking] as number] as Said).entry.tier)
        return would
      if (entry.action === 'see' || entry.tier === skip || entry.when === (staged ? 'now' : 'staged')) continue
      const sure = certain(i)
      if (!sure && !possible?.(i)) continue
      const outcome = outcomes[i]
      if (outcome === undefined) {
        if (sure) skip = entry.tier
        else {
          const passed = decide(covering, k + 1, entry.tier, certain, possible, view, would)
          if (!passes(passed)) return passed
        }
      } else if (outcome.verdict === verdict.redirect) {
        if (sure) {
          const all = redirections(covering, looking ?? k, certain, view, true)
          return {
            ...outcome,
            redirect: together(
              all.filter((s) => s.entry.layer7?.kind === entry.layer7?.kind),
              view,
            ),
          }
        }
        // Who is asked more than others must not be taken for one of them.
        const rest = decide(covering, k + 1, skip, certain, possible, view, would)
        return rest.verdict === verdict.allow || rest.verdict === verdict.audit || rest.seen
          ? { ...outcome, verdict: verdict.none }
          : rest
      } else if (looksOn(said[i] as Said)) {
        if (!sure) continue
        looking ??= k
        would ??= outcome
      } else if (passes(outcome)) {
        if (sure && would) return would
        if (sure)
          return asks && outcome.verdict === verdict.allow && !(localhost >= 0 && certain(localhost))
            ? seen(
                outcome,
                said[i] as Said,
                [...redirections(covering, k, certain, view), ...sights(covering, view)],
                view,
              )
            : outcome
      } else if (entry.mode === 'audit') would ??= { ...outcome, verdict: verdict.audit }
      else return outcome
    }
    if (would && passes(otherwise)) return would
    const [see, ...more] = passes(otherwise) ? sights(covering, view) : []
    if (!see) return otherwise
    return { verdict: verdict.redirect, rule: see.rule, redirect: together([see, ...more], view), seen: true }
  }

  const inAudit = (o: Outcome): Outcome =>
    program.audit && !passes(o) ? { verdict: verdict.audit, rule: o.rule, redirect: '' } : o

  function cellOf(
    covering: readonly number[],
    certain: (entry: number) => boolean,
    possible: ((entry: number) => boolean) | undefined,
  ): Cell {
    const is = inAudit(decide(covering, 0, -1, certain, possible, now, undefined))
    const would = hasStaged ? inAudit(decide(covering, 0, -1, certain, possible, then, undefined)) : is
    const same = would.verdict === is.verdict && would.redirect === is.redirect
    return {
      rule: is.rule,
      shadowRule: same ? 0 : would.rule,
      verdict: is.verdict,
      shadowVerdict: same ? 0 : would.verdict,
      proxyPort: 0,
      ...(is.redirect === '' ? {} : { redirect: is.redirect }),
    }
  }
  return {
    cell: (covering, matches) => cellOf(covering, matches, undefined),
    least: (covering, certain, possible) => cellOf(covering, certain, possible),
    redirects,
  }
}

const asksNothing = (kind: Layer7['kind']): Layer7 => (kind === 'dns' ? { kind, dns: [] } : { kind, http: [] })

const passes = (o: Outcome): boolean =>
  o.verdict === verdict.allow || o.verdict === verdict.redirect || o.verdict === verdict.audit

/** Undefined for what decides nothing here. */
function outcomeOf(entry: Entry, rule: number, open: boolean): Outcome | undefined {
  const of = (v: number): Outcome => ({ verdict: v, rule, redirect: '' })
  switch (entry.action) {
    case 'pass':
    case 'see':
      return undefined
    case 'allow':
      return of(verdict.allow)
    case 'redirect':
      // Envoy can not only look on: where nothing shall be refused, it is not in the way, and a connection whose requests
      // are not asked is told as audited. Of names the answers are needed.
      return of(open && entry.layer7?.kind !== 'dns' ? verdict.audit : verdict.redirect)
    case 'deny':
      return of(verdict.deny)
    case 'closed':
    case 'default':
      return of(verdict.none)
  }
}
