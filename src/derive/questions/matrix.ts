// SPDX-License-Identifier: Apache-2.0
import type { Cluster } from './cluster.ts'
import { everybody, type Named, openReach, portsText, stretches } from './reach.ts'

export interface Matrix {
  readonly parties: readonly Named[]
  /** `cells[from][to]`: the ports that pass, in words; '' where nobody's policy is asked. */
  readonly cells: readonly (readonly string[])[]
}

/** Who reaches whom. Nodes and prefixes that are treated as the world is are left out. */
export function matrixOf(cluster: Cluster): Matrix {
  const reach = openReach(cluster)
  const all = everybody(cluster)
  const cells = all.map((from) =>
    all.map((to) => (from.party.group || to.party.group ? portsText(stretches(reach, from.party, to.party)) : '')),
  )
  const world = all.findIndex((n) => n.name === 'world')
  const pods = all.flatMap((n, i) => (n.party.group ? [i] : []))
  const asWorld = (i: number): boolean =>
    pods.every((p) => cells[i]?.[p] === cells[world]?.[p] && cells[p]?.[i] === cells[p]?.[world])
  const kept = all.flatMap((n, i) => (n.party.group || i === world || !asWorld(i) ? [i] : []))
  return {
    parties: kept.map((i) => all[i] as Named),
    cells: kept.map((from) => kept.map((to) => cells[from]?.[to] ?? '')),
  }
}
