// SPDX-License-Identifier: Apache-2.0
import { type Cell, type PortSpace, portSpaces } from '../../model/datapath.ts'
import { columnAt } from './columns.ts'
import type { Decision } from './decision.ts'

/** The cell that decides about a peer and a port; `other` is a protocol that has no ports. ICMP: `type << 8 | code`. */
export function decide(table: Decision, identity: number, space: PortSpace | 'other', port: number): Cell {
  const column =
    space === 'other'
      ? table.columns.other
      : columnAt(table.columns.runs[portSpaces.indexOf(space)] as (typeof table.columns.runs)[number], port)
  return table.cells[(table.classes.get(identity) ?? 0) * table.columns.entries.length + column] as Cell
}
