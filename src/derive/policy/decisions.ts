// SPDX-License-Identifier: Apache-2.0
import type { CellsRow, ClassRow, PolicyPageRow, PolicyRow, PolicyTableRow } from '../../model/datapath.ts'
import { reservedIdentities } from '../../model/identity.ts'
import { ciliumEndpoints, ciliumIdentities, kernelPolicies, kernelTables } from '../../model/rows.ts'
import { allocate, deriveAll, deriveEach, type Read } from '../../table/definition.ts'
import { endpoints } from '../endpoints/tables.ts'
import { nextFree } from '../numbers.ts'
import { cidrIdentities } from './cidrs.ts'
import { pageColumns } from './columns.ts'
import { compile, type Decision, type Known } from './decision.ts'
import { type Program, peerKey, type Subject } from './program.ts'
import { programs, ruleNumbers, type SubjectPrograms, subjectPrograms, subjects } from './programs.ts'
import { selections } from './selections.ts'
import { limits, type PlacedTable, placeTables, type TableRow, tableRowKey } from './tables.ts'

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

/** What compiling finds in the tables; questions compile parts of programs with it. */
export const knownFrom = (read: Read): Known => ({
  identities: (peer) => read.get(selections, peerKey(peer))?.identities ?? [],
  all: () => [
    ...reservedIdentities.map((i) => i.number),
    ...read.all(ciliumIdentities).map((i) => i.number),
    ...read.all(cidrIdentities).map((i) => i.number),
  ],
  named: ({ name, protocol }) =>
    [...read.by(ciliumEndpoints, 'portName', name), ...read.by(endpoints, 'portName', name)].flatMap((e) =>
      e.namedPorts
        .filter((p) => p.name === name && (protocol === 'ANY' || protocol === p.protocol))
        .map((p) => ({ identity: e.identity, space: p.protocol, port: p.port })),
    ),
  ruleNumber: (rule) => read.get(ruleNumbers, rule)?.number ?? 0,
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
  (wanted, held, read) => placeTables(wanted, held, read.all(kernelTables)),
  [kernelTables],
)

const placedOnly =
  <Row>(rows: (t: PlacedTable) => readonly Row[]) =>
  (r: TableRow): readonly Row[] =>
    r.kind === 'table' ? rows(r) : []

/** cilium_policy_tables */
export const policyTableRows = deriveEach<TableRow, PolicyTableRow>(
  'policyTables',
  policyPlaces,
  { key: (t) => String(t.table) },
  placedOnly(({ table, cells, page, decision: { columns } }) => [
    { table, cells, columns: columns.entries.length, other: columns.other, page },
  ]),
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
  placedOnly(({ cells, decision }) => [{ first: cells, cells: decision.cells }]),
)

/** The members of a table's classes in parts, so that one more identity makes only one part anew. */
interface MembersPart {
  readonly table: number
  readonly part: number
  /** Identity and class by turns. */
  readonly members: readonly number[]
}

const parts = 32

export const policyMembers = deriveEach<TableRow, MembersPart>(
  'policyMembers',
  policyPlaces,
  { key: (m) => `${m.table} ${m.part}` },
  placedOnly(({ table, decision }) => {
    const lists: number[][] = []
    for (const [identity, number] of decision.classes) (lists[identity % parts] ??= []).push(identity, number)
    return lists.flatMap((members, part) => [{ table, part, members }])
  }),
)

/** cilium_policy_classes */
export const policyClassRows = deriveEach<MembersPart, ClassRow>(
  'policyClasses',
  policyMembers,
  { key: (c) => `${c.table} ${c.identity}` },
  ({ table, members }) => {
    const rows: ClassRow[] = []
    for (let i = 0; i < members.length; i += 2)
      rows.push({ table, identity: members[i] as number, class: members[i + 1] as number })
    return rows
  },
)

/** The policy number of each subject; `cursor` says where the next search starts. */
export interface PolicyNumber {
  readonly subject: string
  readonly policy: number
}

export const policyNumbers = allocate<Subject, PolicyNumber>(
  'policyNumbers',
  subjects,
  { key: (p) => p.subject },
  (wanted, held, read) => {
    const inKernel = new Set(read.all(kernelPolicies).map((p) => p.policy))
    const before = new Map(held.map((h) => [h.subject, h.policy]))
    const kept = new Map(wanted.flatMap((w) => (before.has(w.key) ? [[w.key, before.get(w.key) as number]] : [])))
    const used = new Set(kept.values())
    let next = before.get('cursor') ?? 1
    for (const { key } of wanted) {
      if (kept.has(key)) continue
      const number = nextFree(1, limits.tables - 1, next, (n) => used.has(n) || inKernel.has(n))
      if (number === undefined) continue
      kept.set(key, number)
      used.add(number)
      next = number + 1
    }
    return [...kept, ['cursor', next] as const].map(([subject, policy]) => ({ subject, policy }))
  },
  [kernelPolicies],
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
