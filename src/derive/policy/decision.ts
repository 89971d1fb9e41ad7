// SPDX-License-Identifier: Apache-2.0
import { type Cell, verdict } from '../../model/datapath.ts'
import type { Columns } from './columns.ts'
import { columnsOf } from './columns.ts'
import type { Entry, Program } from './program.ts'
import type { Direction, Peer, PortName, PortRange } from './rule.ts'

/**
 * A program compiled against the identities there are: identity to class, port to column, cell to verdict and rule.
 * Class 0 is the floor: it is for identities that nobody has told us of, and no class is more closed. So an identity
 * that is not yet, or no longer, in the kernel's class map can only lose, whatever the order of writes.
 */
export interface Decision {
  /** Key of the program. */
  readonly key: string
  readonly direction: Direction
  readonly columns: Columns
  /** `class * columns + column`. */
  readonly cells: readonly Cell[]
  /** Identities that are not of class 0. */
  readonly classes: ReadonlyMap<number, number>
  /** Equal texts decide equally for equal classes; who is in which class is left out. */
  readonly content: string
}

/** What compiling needs to know of the world. */
export interface Known {
  /** Identities a peer means, any order. */
  identities(peer: Peer): readonly number[]
  /** Every identity there is; asked only when a denial names its peers. */
  all(): readonly number[]
  /** Who has a port of that name, and where. */
  named(
    name: PortName,
  ): readonly { readonly identity: number; readonly space: PortRange['space']; readonly port: number }[]
  ruleNumber(rule: string): number
}

/** An entry whose names of ports are resolved: only these identities, if given. */
interface Resolved {
  readonly entry: Entry
  readonly ports: Entry['ports']
  readonly only?: ReadonlySet<number>
}

export function compile(program: Program, known: Known): Decision {
  const entries = program.entries.flatMap((e) => resolve(e, known))
  const columns = columnsOf(entries.map((e) => e.ports))
  const states = statesOf(entries, known)
  const cellsOf = cellWriter(program, entries, columns, known)

  const base = entries.map(isWildcard)
  const vectors: (readonly Cell[])[] = [floorOf(program, entries, base, cellsOf)]
  const texts: string[] = [vectorText(vectors[0] as readonly Cell[])]
  const numberOf = new Map<string, number>([[texts[0] as string, 0]])
  const vectorOfState = states.members.map((members) => {
    const vector = cellsOf((i) => base[i] === true || members.has(i))
    const text = vectorText(vector)
    let number = numberOf.get(text)
    if (number === undefined) {
      number = vectors.length
      numberOf.set(text, number)
      vectors.push(vector)
      texts.push(text)
    }
    return number
  })
  const unnamed = vectorOfState[0] !== 0 ? known.all().filter((identity) => !states.of.has(identity)) : []
  const used = new Set<number>(unnamed.length > 0 ? [vectorOfState[0] as number] : [])
  for (const state of new Set(states.of.values())) used.add(vectorOfState[state] as number)
  used.delete(0)
  // Numbered by what they say, not by who came first, so that equal content has equal numbers.
  const order = [...used].sort((x, y) => ((texts[x] as string) < (texts[y] as string) ? -1 : 1))
  const classOf = new Map([0, ...order].map((vector, number) => [vector, number]))
  const classes = new Map<number, number>()
  const put = (identity: number, vector: number) => {
    if (vector !== 0) classes.set(identity, classOf.get(vector) as number)
  }
  for (const [identity, state] of states.of) put(identity, vectorOfState[state] as number)
  for (const identity of unnamed) put(identity, vectorOfState[0] as number)
  return {
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
  }
}

/** What those get who nobody has told us of: only what everybody gets, less all that anybody is denied. */
function floorOf(
  program: Program,
  entries: readonly Resolved[],
  base: readonly boolean[],
  cellsOf: (matches: (entry: number) => boolean) => readonly Cell[],
): readonly Cell[] {
  const least = cellsOf((i) => {
    const action = entries[i]?.entry.action
    return base[i] === true || action === 'deny' || (action === 'closed' && program.otherwise === 'allow')
  })
  // Where everybody is denied anyway, keep the answer of those that no entry names: then they need no class.
  return cellsOf((i) => base[i] === true).map((c, i) => (c.verdict === verdict.allow ? (least[i] as Cell) : c))
}

const isWildcard = (e: Resolved): boolean => e.entry.peers === 'all' && e.only === undefined

function resolve(entry: Entry, known: Known): readonly Resolved[] {
  const out: Resolved[] = []
  if (entry.ports === 'all' || entry.ports.length > 0) out.push({ entry, ports: entry.ports })
  for (const name of entry.names) {
    const where = new Map<string, { readonly range: PortRange; readonly who: Set<number> }>()
    for (const { identity, space, port } of known.named(name)) {
      const key = `${space} ${port}`
      const there = where.get(key)
      if (there) there.who.add(identity)
      else where.set(key, { range: { space, first: port, last: port }, who: new Set([identity]) })
    }
    for (const key of [...where.keys()].sort()) {
      const { range, who } = where.get(key) as { range: PortRange; who: Set<number> }
      out.push({ entry, ports: [range], only: who })
    }
  }
  return out
}

interface States {
  /** Identity to state, for those that an entry names. */
  readonly of: ReadonlyMap<number, number>
  /** For each state the entries its identities are named by; state 0: none. */
  readonly members: readonly ReadonlySet<number>[]
}

/** Groups identities by the set of entries that name them, walking each entry's identities once. */
function statesOf(entries: readonly Resolved[], known: Known): States {
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
    else for (const peer of entry.peers) for (const identity of known.identities(peer)) enter(identity)
  }
  return { of, members }
}

function cellWriter(
  program: Program,
  entries: readonly Resolved[],
  columns: Columns,
  known: Known,
): (matches: (entry: number) => boolean) => readonly Cell[] {
  const closed = program.audit ? verdict.audit : undefined
  const of = { deny: closed ?? verdict.deny, allow: verdict.allow, closed: closed ?? verdict.none }
  const cells = entries.map(({ entry }) => cell(of[entry.action], known.ruleNumber(entry.rule)))
  const otherwise =
    program.otherwise === 'allow'
      ? cell(verdict.allow, 0)
      : cell(closed ?? verdict.none, known.ruleNumber(program.otherwiseRule))
  return (matches) =>
    columns.entries.map((covering) => {
      // Entries are in order: the first that matches decides.
      for (const i of covering) if (matches(i)) return cells[i] as Cell
      return otherwise
    })
}

const cell = (v: number, rule: number): Cell => ({ rule, shadowRule: 0, verdict: v, shadowVerdict: 0, proxyPort: 0 })

const vectorText = (cells: readonly Cell[]): string => cells.map((c) => `${c.verdict}:${c.rule}`).join()
