// SPDX-License-Identifier: Apache-2.0
import {
  type Cell,
  type CellsRow,
  type ClassesRow,
  type KernelPolicy,
  type KernelTable,
  type PolicyPageRow,
  type PolicyRow,
  type PolicyTableRow,
  type PortSpace,
  portSpaces,
  verdict,
} from '../../src/model/datapath.ts'

/** The policy maps of the kernel and its look-up, in a few lines: what bpf/steps does with the same rows. */
export interface Machine {
  readonly policies: Map<number, PolicyRow>
  readonly tables: Map<number, PolicyTableRow>
  readonly pages: Map<number, readonly number[]>
  readonly classes: Map<string, number>
  readonly cells: Cell[]
}

export const openMachine = (): Machine => ({
  policies: new Map(),
  tables: new Map(),
  pages: new Map(),
  classes: new Map(),
  cells: [],
})

const nothing: Cell = { rule: 0, shadowRule: 0, verdict: verdict.none, shadowVerdict: 0, proxyPort: 0 }

export function judge(
  machine: Machine,
  policy: number,
  direction: 'ingress' | 'egress',
  identity: number,
  space: PortSpace | 'other',
  port: number,
): Cell {
  const number = machine.policies.get(policy)?.[direction] ?? 0
  const table = machine.tables.get(number)
  if (number === 0 || !table) return nothing
  const page = space === 'other' ? undefined : table.page[portSpaces.indexOf(space)]?.[port >> 8]
  const column = page === undefined ? table.other : (machine.pages.get(page)?.[port & 255] ?? 0)
  const row = machine.classes.get(`${number} ${identity}`) ?? 0
  return machine.cells[table.cells + row * table.columns + column] ?? nothing
}

/** Cell by cell: nobody promises that a run is written at once. */
export function putCells(m: Machine, r: CellsRow, after: () => void): void {
  for (const [i, c] of r.cells.entries()) {
    m.cells[r.first + i] = c
    after()
  }
}
export const putPage = (m: Machine, r: PolicyPageRow): void => void m.pages.set(r.page, r.column)
/** Entry by entry, those that leave first. */
export function putClasses(m: Machine, r: ClassesRow, after: () => void): void {
  for (const key of [...m.classes.keys()]) {
    const [table, identity] = key.split(' ').map(Number) as [number, number]
    if (table !== r.table || r.classes.get(identity) !== undefined) continue
    m.classes.delete(key)
    after()
  }
  for (const [identity, number] of r.classes) {
    const key = `${r.table} ${identity}`
    if (m.classes.get(key) === number) continue
    m.classes.set(key, number)
    after()
  }
}
export const dropClasses = (m: Machine, r: ClassesRow): void =>
  putClasses(m, { table: r.table, classes: new Map() }, () => {})
export const putTable = (m: Machine, r: PolicyTableRow): void => void m.tables.set(r.table, r)
export const dropTable = (m: Machine, r: PolicyTableRow): void => void m.tables.delete(r.table)
export const putPolicy = (m: Machine, r: PolicyRow): void => void m.policies.set(r.policy, r)
export const dropPolicy = (m: Machine, r: PolicyRow): void => void m.policies.delete(r.policy)

/** What an agent reads back: the policies there are, and the space of the tables they point at. */
export function kernelState(m: Machine): {
  readonly policies: readonly KernelPolicy[]
  readonly tables: readonly KernelTable[]
} {
  const tables = new Map<number, KernelTable>()
  for (const p of m.policies.values())
    for (const number of [p.ingress, p.egress]) {
      const t = m.tables.get(number)
      if (!t) continue
      let rows = 0
      for (const [key, value] of m.classes) if (key.startsWith(`${number} `)) rows = Math.max(rows, value)
      const count = (rows + 1) * t.columns
      tables.set(number, { table: number, cells: t.cells, count, pages: [...new Set(t.page.flat())] })
    }
  return { policies: [...m.policies.values()], tables: [...tables.values()] }
}
