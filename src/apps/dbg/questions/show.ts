// SPDX-License-Identifier: Apache-2.0
/** Answers about a whole cluster: who reaches whom, and which rules do nothing. */
import type { Cluster } from '../../../derive/questions/cluster.ts'
import { matrixOf } from '../../../derive/questions/matrix.ts'
import { idleRules } from '../../../derive/questions/shadowed.ts'
import { columns, print, printed } from '../output.ts'

/** A grid while it fits a screen, else one line for each pair where anything passes. */
export function matrix(cluster: Cluster, output: string | undefined): void {
  const { parties, cells } = matrixOf(cluster)
  const pairs = parties.flatMap((from, i) =>
    parties.flatMap((to, j) => {
      const ports = cells[i]?.[j] ?? ''
      return ports === '' ? [] : [{ from: from.name, to: to.name, ports }]
    }),
  )
  const json = { parties: parties.map(({ name, party, pods }) => ({ name, kind: party.kind, pods })), pairs }
  if (printed(json, output === 'table' ? undefined : output)) return
  const grid = columns([
    ['FROM \\ TO', ...parties.map((p) => p.name)],
    ...parties.map((p, i) => [p.name, ...(cells[i] ?? []).map((c) => (c === '' ? '.' : c === 'none' ? '-' : c))]),
  ])
  const fits = grid.split('\n').every((l) => l.length <= (process.stdout.columns ?? 160))
  if (fits) print(grid)
  else
    print(
      columns([
        ['FROM', 'TO', 'PORTS'],
        ...pairs.filter((p) => p.ports !== 'none').map((p) => [p.from, p.to, p.ports]),
      ]),
    )
}

/** Rules that can never decide, and why. */
export function shadowed(cluster: Cluster, output: string | undefined): void {
  const found = idleRules(cluster)
  const json = found.map(({ policy, field, reason, by, message, fix }) => {
    const [kind, namespace, name] = policy.split('/')
    return { kind, namespace, name, field, reason, by, message, ...(fix === undefined ? {} : { fix }) }
  })
  if (printed(json, output)) return
  if (found.length === 0) print('Every rule decides something.')
  else
    print(
      columns([
        ['POLICY', 'FIELD', 'REASON', 'WHY'],
        ...found.map((f) => [f.policy, f.field, f.reason, f.fix ? `${f.message} (${f.fix})` : f.message]),
      ]),
    )
}
