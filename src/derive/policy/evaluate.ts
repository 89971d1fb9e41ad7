// SPDX-License-Identifier: Apache-2.0
import { type Cell, verdict } from '../../model/datapath.ts'
import type { Entry, Program } from './program.ts'

/** What an entry says, once it matches: its number in the kernel, and the proxy's port for a redirection. */
export interface Said {
  readonly entry: Entry
  readonly rule: number
  readonly proxyPort: number
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
}

interface Outcome {
  readonly verdict: number
  readonly rule: number
  readonly proxyPort: number
}

export function evaluator(
  program: Pick<Program, 'otherwise' | 'audit'>,
  said: readonly Said[],
  otherwiseRule: number,
): Evaluator {
  const hasStaged = said.some((s) => s.entry.mode === 'staged')
  const otherwise: Outcome =
    program.otherwise === 'allow'
      ? { verdict: verdict.allow, rule: 0, proxyPort: 0 }
      : { verdict: verdict.none, rule: otherwiseRule, proxyPort: 0 }
  const outcomes = said.map(({ entry, rule, proxyPort }) => outcomeOf(entry, rule, proxyPort))

  /** The first entry from `at` on that decides. What an audited policy would drop is remembered and goes on. */
  function decide(
    covering: readonly number[],
    at: number,
    skipped: number,
    certain: (entry: number) => boolean,
    possible: ((entry: number) => boolean) | undefined,
    staged: boolean,
    audited: Outcome | undefined,
  ): Outcome {
    let skip = skipped
    let would = audited
    for (let k = at; k < covering.length; k++) {
      const i = covering[k] as number
      const { entry } = said[i] as Said
      if (entry.tier === skip || (entry.mode === 'staged' && !staged)) continue
      const sure = certain(i)
      if (!sure && !possible?.(i)) continue
      const outcome = outcomes[i]
      if (outcome === undefined) {
        if (sure) skip = entry.tier
        else {
          const passed = decide(covering, k + 1, entry.tier, certain, possible, staged, would)
          if (!passes(passed)) return passed
        }
      } else if (passes(outcome)) {
        if (sure) return audit(outcome, would)
      } else if (entry.mode === 'audit') would ??= { ...outcome, verdict: verdict.audit }
      else return outcome
    }
    return passes(otherwise) ? audit(otherwise, would) : otherwise
  }

  const inAudit = (o: Outcome): Outcome =>
    program.audit && !passes(o) ? { verdict: verdict.audit, rule: o.rule, proxyPort: 0 } : o

  function cellOf(
    covering: readonly number[],
    certain: (entry: number) => boolean,
    possible: ((entry: number) => boolean) | undefined,
  ): Cell {
    const now = inAudit(decide(covering, 0, -1, certain, possible, false, undefined))
    const then = hasStaged ? inAudit(decide(covering, 0, -1, certain, possible, true, undefined)) : now
    const same = then.verdict === now.verdict && then.proxyPort === now.proxyPort
    return {
      rule: now.rule,
      shadowRule: same ? 0 : then.rule,
      verdict: now.verdict,
      shadowVerdict: same ? 0 : then.verdict,
      proxyPort: now.proxyPort,
    }
  }
  return {
    cell: (covering, matches) => cellOf(covering, matches, undefined),
    least: (covering, certain, possible) => cellOf(covering, certain, possible),
  }
}

const passes = (o: Outcome): boolean =>
  o.verdict === verdict.allow || o.verdict === verdict.redirect || o.verdict === verdict.audit

/** A redirection stays one: the proxy sees what an audited policy would have dropped. */
const audit = (o: Outcome, would: Outcome | undefined): Outcome => (would && o.verdict === verdict.allow ? would : o)

/** Undefined for `pass`. */
function outcomeOf(entry: Entry, rule: number, proxyPort: number): Outcome | undefined {
  const of = (v: number, port = 0): Outcome => ({ verdict: v, rule, proxyPort: port })
  switch (entry.action) {
    case 'pass':
      return undefined
    case 'allow':
      return of(verdict.allow)
    case 'redirect':
      // Without a proxy nothing could check what the rule asks for.
      return proxyPort === 0 ? of(verdict.none) : of(verdict.redirect, proxyPort)
    case 'deny':
      return of(verdict.deny)
    case 'closed':
    case 'default':
      return of(verdict.none)
  }
}
