// SPDX-License-Identifier: Apache-2.0
import type { CellsRow, ClassesRow, PolicyPageRow, PolicyRow, PolicyTableRow } from '../../model/datapath.ts'
import { reservedIdentities } from '../../model/identity.ts'
import { ciliumEndpoints, ciliumIdentities, kernelTables, mapSizes, settings } from '../../model/rows.ts'
import { type AnyTable, allocate, deriveAll, deriveEach, type Read, type Table } from '../../table/definition.ts'
import { endpoints } from '../endpoints/tables.ts'
import { type Chosen, choose } from './ascending.ts'
import type { Known } from './asked.ts'
import { cidrIdentities } from './cidrs.ts'
import { pageColumns } from './columns.ts'
import { compile, type Decision } from './decision.ts'
import { peerKey } from './keys.ts'
import { nameIdentities } from './names.ts'
import { policyNumbers } from './numbers.ts'
import { placeIdentities } from './places.ts'
import type { Program } from './program.ts'
import { nodePrograms, programs, ruleNumbers, type SubjectPrograms, subjectPrograms } from './programs.ts'
import { selections } from './selections.ts'
import { limitsOf, type PlacedTable, placeTables, type TableRow, tableRowKey } from './tables.ts'

export { policyNumbers } from './numbers.ts'

/** Every program compiled against the identities there are. */
export const decisions = deriveEach<Program, Decision>(
  'decisions',
  programs,
  {
    key: (d) => d.key,
    columns: [
      ['PROGRAM', (d) => d.key],
      ['COLUMNS', (d) => String(d.columns.entries.length)],
      ['CLASSES', (d) => String(d.cells.length / d.columns.entries.length)],
      ['IDENTITIES', (d) => String(d.classes.size)],
    ],
  },
  (program, read) => [compile(program, knownFrom(read))],
)

const numbersOf = new Map<AnyTable, Chosen<{ readonly number: number }>>()

/** The numbers of a table's rows; the same list while they are the same. */
function numbers<Row extends { readonly number: number }>(table: Table<Row>, read: Read): readonly number[] {
  const made = choose<{ readonly number: number }>(read.all(table), numbersOf.get(table), () => true)
  numbersOf.set(table, made)
  return made.numbers
}

const reservedNumbers = reservedIdentities.map((i) => i.number)

let joined: { readonly parts: readonly (readonly number[])[]; readonly whole: readonly number[] } | undefined

/** One list after the other; the last answer is kept, because every program asks for the same. */
function join(...parts: readonly (readonly number[])[]): readonly number[] {
  const known = joined
  if (known?.parts.every((part, i) => part === parts[i])) return known.whole
  joined = { parts, whole: parts.flat() }
  return joined.whole
}

/** What compiling finds in the tables; questions compile parts of programs with it. */
export const knownFrom = (read: Read): Known => ({
  identities: (peer, key) => read.get(selections, key ?? peerKey(peer))?.identities ?? [],
  // By ranges, so that one list after the other is ascending.
  all: () =>
    join(
      reservedNumbers,
      numbers(ciliumIdentities, read),
      numbers(cidrIdentities, read),
      numbers(nameIdentities, read),
      numbers(placeIdentities, read),
    ),
  named: ({ name, protocol }) =>
    [...read.by(ciliumEndpoints, 'portName', name), ...read.by(endpoints, 'portName', name)].flatMap((e) =>
      e.namedPorts
        .filter((p) => p.name === name && (protocol === 'ANY' || protocol === p.protocol))
        .flatMap((p) =>
          [e.identity, ...read.by(placeIdentities, 'base', String(e.identity)).map((i) => i.number)].map(
            (identity) => ({ identity, space: p.protocol, port: p.port }),
          ),
        ),
    ),
  ruleNumber: (rule) => read.get(ruleNumbers, rule)?.number ?? 0,
  cidrsMeanPods: read.get(settings, 'settings')?.policyCidrMatchMode.includes('pods') ?? false,
})

/** Where each decision lives in the kernel, those that it has not let go of included. */
export const policyPlaces = allocate<Decision, TableRow>(
  'policyPlaces',
  decisions,
  {
    key: tableRowKey,
    indexes: { program: (r) => (r.kind === 'table' && !r.retired ? [r.decision.key] : []) },
    columns: [
      ['TABLE', (r) => (r.kind === 'table' ? String(r.table) : '')],
      ['CELLS', (r) => (r.kind === 'table' ? `${r.cells}+${r.decision.cells.length}` : '')],
      ['PROGRAM', (r) => (r.kind === 'cursor' ? '' : r.decision.key)],
      [
        'STATE',
        (r) => (r.kind === 'table' ? (r.retired ? 'retired' : 'wanted') : r.kind === 'unplaced' ? r.problem : ''),
      ],
    ],
  },
  (wanted, held, read) => {
    // Without its policy the node would be cut off from those who could mend it.
    const first = new Set(read.all(nodePrograms).flatMap((p) => [p.ingress.key, p.egress.key]))
    return placeTables(wanted, held, read.all(kernelTables), limitsOf(read.all(mapSizes)), first)
  },
  [kernelTables, mapSizes, nodePrograms],
)

const placedOnly =
  <Row>(rows: (t: PlacedTable) => readonly Row[]) =>
  (r: TableRow): readonly Row[] =>
    r.kind === 'table' ? rows(r) : []

/** A place keeps its rows while identities join and leave the classes of its table: only those are another row then. */
const rowsOfPlace = new WeakMap<PlacedTable['page'], { readonly table: PolicyTableRow; readonly cells: CellsRow }>()

function rowsOf({ table, cells, page, decision }: PlacedTable) {
  let made = rowsOfPlace.get(page)
  if (!made) {
    const { columns } = decision
    made = {
      table: { table, cells, columns: columns.entries.length, other: columns.other, page },
      cells: { first: cells, cells: decision.cells },
    }
    rowsOfPlace.set(page, made)
  }
  return made
}

/** cilium_policy_tables */
export const policyTableRows = deriveEach<TableRow, PolicyTableRow>(
  'policyTables',
  policyPlaces,
  { key: (t) => String(t.table) },
  placedOnly((t) => [rowsOf(t).table]),
)

/** Numbers of pages and their texts, each once however many tables share it. */
export const policyPages = deriveAll<{ readonly page: number; readonly text: string }>(
  'policyPageTexts',
  [policyPlaces],
  { key: (p) => String(p.page) },
  (read) => {
    const texts = new Map<number, string>()
    for (const r of read.all(policyPlaces))
      if (r.kind === 'table') for (const [text, page] of Object.entries(r.pages)) texts.set(page, text)
    return [...texts].map(([page, text]) => ({ page, text }))
  },
)

/** cilium_policy_pages */
export const policyPageRows = deriveEach<{ readonly page: number; readonly text: string }, PolicyPageRow>(
  'policyPages',
  policyPages,
  { key: (p) => String(p.page) },
  ({ page, text }) => [{ page, column: pageColumns(text) }],
)

/** cilium_policy_cells, one run a table */
export const policyCellRows = deriveEach<TableRow, CellsRow>(
  'policyCells',
  policyPlaces,
  { key: (c) => String(c.first) },
  placedOnly((t) => [rowsOf(t).cells]),
)

/** cilium_policy_classes: one row a table; who writes it sees by its parts what has changed. */
export const policyClassRows = deriveEach<TableRow, ClassesRow>(
  'policyClasses',
  policyPlaces,
  {
    key: (c) => String(c.table),
    columns: [
      ['TABLE', (c) => String(c.table)],
      ['IDENTITIES', (c) => String(c.classes.size)],
    ],
  },
  placedOnly(({ table, decision: { classes } }) => [{ table, classes }]),
)

/** cilium_policies: 0 where a decision found no place, which lets nothing pass. */
export const policyRows = deriveEach<SubjectPrograms, PolicyRow>(
  'policyRows',
  subjectPrograms,
  {
    key: (p) => String(p.policy),
    columns: [
      ['POLICY', (p) => String(p.policy)],
      ['INGRESS', (p) => String(p.ingress)],
      ['EGRESS', (p) => String(p.egress)],
    ],
  },
  ({ subject, ingress, egress }, read) => {
    const policy = read.get(policyNumbers, subject)?.policy
    if (policy === undefined) return []
    return [{ policy, ingress: tableOf(read, ingress.key), egress: tableOf(read, egress.key) }]
  },
)

function tableOf(read: Read, program: string): number {
  const content = read.get(decisions, program)?.content
  const placed = read
    .by(policyPlaces, 'program', program)
    .find((r) => r.kind === 'table' && r.decision.content === content)
  return placed?.kind === 'table' ? placed.table : 0
}
