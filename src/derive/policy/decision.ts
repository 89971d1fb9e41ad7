// SPDX-License-Identifier: Apache-2.0
import { type Cell, verdict } from '../../model/datapath.ts'
import { difference, has } from './ascending.ts'
import { type Asked, ask, isWildcard, type Known, type Resolved, sameFrame } from './asked.ts'
import { type PartedClasses, partedClasses, reclassed } from './classes.ts'
import type { Columns } from './columns.ts'
import { columnsOf } from './columns.ts'
import { type Evaluator, evaluator, type Redirect } from './evaluate.ts'
import type { Program } from './program.ts'
import type { Direction } from './rule.ts'

/**
 * A program compiled against the identities there are: identity to class, port to column, cell to verdict and rule.
 * Class 0 is the floor: it is for identities of the cluster that nobody has told us of, and no class of such an identity
 * is more closed. So one that is not yet, or no longer, in the kernel's class map can only lose, whatever the order.
 */
export interface Decision {
  /** Key of the program. */
  readonly key: string
  readonly direction: Direction
  readonly columns: Columns
  /** `class * columns + column`. */
  readonly cells: readonly Cell[]
  /** Identities that are not of class 0. */
  readonly classes: PartedClasses
  /** Equal texts decide equally for equal classes; who is in which class is left out. */
  readonly content: string
  /** What its cells name as `redirect`. */
  readonly redirects: ReadonlyMap<string, Redirect>
}

/** The last decision of a program with what it followed from: the next is found from what changed since. */
interface Made {
  readonly asked: Asked
  readonly all: readonly number[] | undefined
  readonly decision: Decision & { readonly classes: PartedClasses }
  readonly evaluate: Evaluator
  readonly base: readonly boolean[]
  /** Text of a vector to its class. */
  readonly classOfText: ReadonlyMap<string, number>
  /** Entries that name an identity, as text, to its class. */
  readonly classOfState: Map<string, number>
  /** How many identities are in each class but 0. */
  readonly members: number[]
}

const made = new WeakMap<Program, Made>()

/** What a program decides now. The last answer is remembered: it costs what has changed since, and is the same. */
export function compile(program: Program, known: Known): Decision {
  const before = made.get(program)
  const asked = ask(program, known, before?.asked)
  const next = before && sameFrame(before.asked, asked) ? changed(before, asked, known) : undefined
  const now = next ?? anew(program, asked, known)
  made.set(program, now)
  return now.decision
}

function anew(program: Program, asked: Asked, known: Known): Made {
  const { entries, said } = asked
  const columns = columnsOf(entries.map((e) => e.ports))
  const evaluate = evaluator(program, said, asked.otherwiseRule)
  const base = entries.map(isWildcard)
  const vectorOf = (matches: (entry: number) => boolean) => columns.entries.map((c) => evaluate.cell(c, matches))

  const vectors: (readonly Cell[])[] = [floorOf(entries, base, columns, evaluate, known)]
  const texts: string[] = [vectorText(vectors[0] as readonly Cell[])]
  const numberOf = new Map<string, number>([[texts[0] as string, 0]])
  const vectorNumber = (members: ReadonlySet<number>): number => {
    const vector = vectorOf((i) => base[i] === true || members.has(i))
    const text = vectorText(vector)
    let number = numberOf.get(text)
    if (number === undefined) {
      number = vectors.length
      numberOf.set(text, number)
      vectors.push(vector)
      texts.push(text)
    }
    return number
  }
  const states = statesOf(entries, asked.lists)
  const vectorOfState = states.members.map(vectorNumber)
  const all = vectorOfState[0] !== 0 ? known.all() : undefined
  const unnamed = all?.filter((identity) => !states.of.has(identity)) ?? []
  const used = new Set<number>(unnamed.length > 0 ? [vectorOfState[0] as number] : [])
  for (const state of new Set(states.of.values())) used.add(vectorOfState[state] as number)
  used.delete(0)
  // Numbered by what they say, not by who came first, so that equal content has equal numbers.
  const order = [...used].sort((x, y) => ((texts[x] as string) < (texts[y] as string) ? -1 : 1))
  const classOf = new Map([0, ...order].map((vector, number) => [vector, number]))
  const members: number[] = [0, ...order].map(() => 0)
  function* classed(): Iterable<readonly [number, number]> {
    const put = function* (identity: number, vector: number): Iterable<readonly [number, number]> {
      if (vector === 0) return
      const number = classOf.get(vector) as number
      members[number] = (members[number] as number) + 1
      yield [identity, number]
    }
    for (const [identity, state] of states.of) yield* put(identity, vectorOfState[state] as number)
    for (const identity of unnamed) yield* put(identity, vectorOfState[0] as number)
  }
  const classes = partedClasses(classed())
  const classOfState = new Map<string, number>()
  for (const [state, vector] of vectorOfState.entries()) {
    const number = classOf.get(vector)
    if (number !== undefined) classOfState.set(stateText(states.members[state] as ReadonlySet<number>), number)
  }
  return {
    asked,
    all,
    evaluate,
    base,
    members,
    classOfState,
    classOfText: new Map([0, ...order].map((vector, number) => [texts[vector] as string, number])),
    decision: {
      key: program.key,
      direction: program.direction,
      columns,
      cells: [0, ...order].flatMap((n) => vectors[n] as readonly Cell[]),
      classes,
      content: [
        columns.other,
        columns.runs.map((runs) => runs.map((r) => `${r.last}:${r.column}`).join()).join(';'),
        [0, ...order].map((n) => texts[n]).join(';'),
      ].join('|'),
      redirects: evaluate.redirects,
    },
  }
}

/** The decision after some identities came, went or changed sides. Undefined when other classes are needed. */
function changed(before: Made, asked: Asked, known: Known): Made | undefined {
  const all = before.all && known.all()
  const touched = new Set<number>()
  for (const [i, lists] of asked.lists.entries()) {
    const were = before.asked.lists[i] ?? []
    if (were.length !== lists.length) return undefined
    for (let k = 0; k < lists.length; k++)
      difference(were[k] as readonly number[], lists[k] as readonly number[], touched)
  }
  if (all && before.all) difference(before.all, all, touched)
  if (touched.size > 64 + before.decision.classes.size / 4) return undefined
  if (touched.size === 0) return { ...before, asked, all }
  const members = [...before.members]
  const changes: (readonly [number, number | undefined])[] = []
  for (const identity of touched) {
    const state: number[] = []
    for (const [i, { entry, only }] of asked.entries.entries()) {
      if (before.base[i] || (only && !only.has(identity))) continue
      if (entry.peers === 'all' || (asked.lists[i] ?? []).some((list) => has(list, identity))) state.push(i)
    }
    const number = state.length === 0 && !(all && has(all, identity)) ? 0 : classOfMembers(before, state)
    if (number === undefined) return undefined
    const was = before.decision.classes.get(identity) ?? 0
    if (was === number) continue
    members[was] = (members[was] as number) - 1
    members[number] = (members[number] as number) + 1
    changes.push([identity, number === 0 ? undefined : number])
  }
  // A class that nobody is in any more is no part of the answer.
  if (members.some((count, number) => number > 0 && count === 0)) return undefined
  const classes = reclassed(before.decision.classes, changes)
  return { ...before, asked, all, members, decision: { ...before.decision, classes } }
}

function classOfMembers(before: Made, state: readonly number[]): number | undefined {
  const text = state.join()
  const known = before.classOfState.get(text)
  if (known !== undefined) return known
  const named = new Set(state)
  const vector = before.decision.columns.entries.map((covering) =>
    before.evaluate.cell(covering, (i) => before.base[i] === true || named.has(i)),
  )
  const number = before.classOfText.get(vectorText(vector))
  if (number !== undefined) before.classOfState.set(text, number)
  return number
}

/** What those get who nobody has told us of: only what everybody gets, less all that they might be denied. */
function floorOf(
  entries: readonly Resolved[],
  base: readonly boolean[],
  columns: Columns,
  evaluate: Evaluator,
  known: Known,
): readonly Cell[] {
  const certain = (i: number) => base[i] === true
  const strangers = entries.map((e) => mayBeStranger(e, known))
  return columns.entries.map((covering) => {
    // Where everybody is denied anyway, keep the answer of those that no entry names: then they need no class.
    const plain = evaluate.cell(covering, certain)
    const closed = plain.verdict !== verdict.allow && plain.verdict !== verdict.redirect
    return closed ? plain : evaluate.least(covering, certain, (i) => strangers[i] === true)
  })
}

/**
 * Whether an entry might mean an identity of the cluster that is not known yet. Reserved ones always are, and so are those
 * of names, of prefixes and of pods where a prefix draws a line: this node gives them their numbers.
 */
function mayBeStranger(e: Resolved, known: Known): boolean {
  if (e.entry.peers === 'all') return e.only !== undefined
  return e.entry.peers.some((p) => {
    if (p.kind === 'labels')
      return !p.requirements.some(
        (r) =>
          (r.source === 'reserved' || r.source === 'fqdn') && r.operator !== 'DoesNotExist' && r.operator !== 'NotIn',
      )
    return p.kind === 'service' || known.cidrsMeanPods === true
  })
}

interface States {
  /** Identity to state, for those that an entry names. */
  readonly of: ReadonlyMap<number, number>
  /** For each state the entries its identities are named by; state 0: none. */
  readonly members: readonly ReadonlySet<number>[]
}

/** Groups identities by the set of entries that name them, walking each entry's identities once. */
function statesOf(entries: readonly Resolved[], lists: Asked['lists']): States {
  const of = new Map<number, number>()
  const members: Set<number>[] = [new Set()]
  for (const [i, { entry, only }] of entries.entries()) {
    if (entry.peers === 'all' && only === undefined) continue
    /** From a state without this entry to the state with it. */
    const next = new Map<number, number>()
    const entered = new Set<number>()
    const enter = (identity: number) => {
      const from = of.get(identity) ?? 0
      if (entered.has(from) || (only && !only.has(identity))) return
      let to = next.get(from)
      if (to === undefined) {
        to = members.length
        next.set(from, to)
        entered.add(to)
        members.push(new Set([...(members[from] as Set<number>), i]))
      }
      of.set(identity, to)
    }
    if (entry.peers === 'all') for (const identity of only ?? []) enter(identity)
    else for (const list of lists[i] ?? []) for (const identity of list) enter(identity)
  }
  return { of, members }
}

const stateText = (members: ReadonlySet<number>): string => [...members].join()

const vectorText = (cells: readonly Cell[]): string =>
  cells
    .map(
      (c) =>
        `${c.verdict}:${c.rule}${c.redirect === undefined ? '' : `>${c.redirect}`}${c.shadowRule === 0 && c.shadowVerdict === 0 ? '' : `~${c.shadowVerdict}:${c.shadowRule}`}`,
    )
    .join()
