// SPDX-License-Identifier: Apache-2.0
import { type Cell, portSpaces } from '../../model/datapath.ts'
import { parseLabel, podNamespaceKey } from '../../model/labels.ts'
import { settings } from '../../model/rows.ts'
import { columnAt } from '../policy/columns.ts'
import type { Decision } from '../policy/decision.ts'
import { peerKey } from '../policy/keys.ts'
import { policies } from '../policy/policies.ts'
import { type Entry, meansNames, type Program } from '../policy/program.ts'
import { programs, ruleNumbers } from '../policy/programs.ts'
import type { Policy, PolicySpec, Requirement, Rule } from '../policy/rule.ts'
import { selections } from '../policy/selections.ts'
import { requirementText, selects } from '../policy/selector.ts'
import { nodeSubjects } from '../policy/subjects.ts'
import type { Cluster } from './cluster.ts'
import { meansPort } from './fields.ts'
import { decisionOf } from './judge.ts'

/** A rule, or a whole policy, that decides nothing in this cluster. */
export interface Idle {
  /** Key of the policy. */
  readonly policy: string
  /** Field path of what does nothing. */
  readonly field: string
  /**
   * `subject`: selects no pod; `peers`: means nobody; `unseen`: means names, and nothing lets the node see what its pods ask of
   * the DNS; `ports`: no such port; `shadowed`: others decide all it speaks of.
   */
  readonly reason: 'subject' | 'peers' | 'unseen' | 'ports' | 'shadowed'
  /** Keys of the rules that decide instead. */
  readonly by: readonly string[]
  readonly message: string
  readonly fix?: string
}

interface Use {
  readonly program: Program
  readonly decision: Decision
  readonly entry: Entry
}

/** Rules without effect, by the decision tables: no cell names them that a pod of the cluster could meet. */
export function idleRules(cluster: Cluster): readonly Idle[] {
  const { db } = cluster
  const uses = new Map<string, Use[]>()
  for (const program of db.all(programs)) {
    const decision = decisionOf(cluster, program)
    for (const entry of program.entries) {
      const use = { program, decision, entry }
      const there = uses.get(entry.rule)
      if (there) there.push(use)
      else uses.set(entry.rule, [use])
    }
  }
  return db.all(policies).flatMap((policy) => policy.specs.flatMap((spec) => idleOfSpec(cluster, policy, spec, uses)))
}

function idleOfSpec(
  cluster: Cluster,
  policy: Policy,
  spec: PolicySpec,
  uses: ReadonlyMap<string, readonly Use[]>,
): readonly Idle[] {
  if (spec.ofNodes && !cluster.db.get(settings, 'settings')?.enableHostFirewall) return []
  const subjects = spec.ofNodes
    ? cluster.db.all(nodeSubjects)
    : [...cluster.groups.values()].filter((g) => g.members.length > 0)
  if (!subjects.some((g) => selects(spec.subject, g.labels))) {
    const path = spec.key.slice(spec.key.indexOf('#') + 1)
    const selector = { NetworkPolicy: 'podSelector', ClusterNetworkPolicy: 'subject' } as {
      readonly [kind: string]: string
    }
    const field = `${path}.${spec.ofNodes ? 'nodeSelector' : (selector[policy.kind] ?? 'endpointSelector')}`
    const fix = spec.ofNodes ? undefined : missing(cluster, spec.subject)
    const message = `selects no ${spec.ofNodes ? 'node' : 'pod'}${policy.namespace === '' ? '' : ` of namespace ${policy.namespace}`}`
    return [{ policy: policy.key, field, reason: 'subject', by: [], message, ...(fix === undefined ? {} : { fix }) }]
  }
  return spec.rules.flatMap((rule) => idleRule(cluster, rule, uses.get(rule.key) ?? []))
}

function idleRule(cluster: Cluster, rule: Rule, uses: readonly Use[]): readonly Idle[] {
  // What is not enforced yet has said so itself, and what passes on is not named in the cells.
  if (rule.action === 'closed' || rule.action === 'pass' || uses.length === 0) return []
  const idle = (reason: Idle['reason'], message: string, by: readonly string[] = [], fix?: string): readonly Idle[] => [
    { policy: rule.policy, field: rule.path, reason, by, message, ...(fix === undefined ? {} : { fix }) },
  ]
  if (meansNames(rule) && !uses.some(({ program }) => program.entries.some((e) => e.layer7?.kind === 'dns')))
    return idle(
      'unseen',
      'allows nobody: nothing leads what these pods ask of the DNS through the proxy, so the node learns no addresses',
      [],
      'rules.dns in toPorts of an egress rule to the name server: docs/dns-policy.md',
    )
  const who = peersOf(cluster, rule)
  if (who !== 'all' && who.length === 0) {
    const selectors =
      rule.peers === 'all' ? [] : rule.peers.flatMap((p) => (p.kind === 'labels' ? [p.requirements] : []))
    const fix = selectors.map((s) => missing(cluster, s)).find((f) => f !== undefined)
    const many = rule.peers !== 'all' && rule.peers.length > 0
    return idle('peers', many ? 'its peers are nobody in this cluster' : 'its list of peers is empty: nobody', [], fix)
  }
  const number = cluster.db.get(ruleNumbers, rule.key)?.number ?? 0
  const deciding = new Set<number>()
  let ports = 0
  for (const { decision, entry } of uses)
    for (const cell of cellsOf(cluster, decision, entry, who)) {
      if (cell.rule === number || cell.shadowRule === number) return []
      ports++
      deciding.add(cell.rule)
    }
  if (ports === 0)
    return idle('ports', 'no pod that it speaks of has such a port', [], 'ports are named in the containers')
  const by = [...deciding].flatMap((n) => cluster.db.by(ruleNumbers, 'number', String(n)).map((r) => r.key)).sort()
  return idle('shadowed', `decides nothing: ${by.join(', ')} ${by.length > 1 ? 'speak' : 'speaks'} first`, by)
}

const peersOf = ({ db }: Cluster, { peers }: Pick<Rule, 'peers'>): 'all' | readonly number[] =>
  peers === 'all' ? 'all' : peers.flatMap((p) => db.get(selections, peerKey(p))?.identities ?? [])

/** The cells that the peers and ports of an entry can meet. */
function cellsOf(
  cluster: Cluster,
  { classes, columns, cells }: Decision,
  entry: Entry,
  who: 'all' | readonly number[],
): readonly Cell[] {
  const width = columns.entries.length
  const lines =
    who === 'all'
      ? Array.from({ length: cells.length / width }, (_, i) => i)
      : [...new Set(who.map((identity) => classes.get(identity) ?? 0))]
  const named = [...cluster.groups.values()].flatMap((g) => g.namedPorts)
  const met = new Set<number>()
  if (entry.ports === 'all') met.add(columns.other)
  for (const [i, space] of portSpaces.entries())
    for (const run of columns.runs[i] ?? []) {
      const port = { space, number: run.first }
      if (entry.ports === 'all' || meansPort([...entry.ports, ...entry.names], port, named))
        met.add(columnAt(columns.runs[i] ?? [], run.first))
    }
  return lines.flatMap((line) => [...met].map((column) => cells[line * width + column] as Cell))
}

/** The requirement that nobody meets, and what is nearest to it. */
function missing({ groups }: Cluster, requirements: readonly Requirement[]): string | undefined {
  const everyone = [...groups.values()].filter((g) => g.members.length > 0)
  const place = requirements.filter((r) => r.key === podNamespaceKey)
  const there = everyone.filter((g) => selects(place, g.labels))
  const all = there.length > 0 ? there : everyone
  const alone = requirements.find((r) => !all.some((g) => selects([r], g.labels)))
  if (!alone) return requirements.length > 1 ? 'no one pod has all of these labels' : undefined
  const labels = all.flatMap((g) => g.labels.map(parseLabel))
  const has = new Set(labels.filter((l) => l.key === alone.key).map((l) => `${alone.key}=${l.value}`))
  const text = requirementText(alone).replace(/^(any|k8s):/, '')
  if (has.size > 0) return `nobody has ${text}; there is ${[...has].sort().slice(0, 5).join(', ')}`
  const keys = labels.map((l) => l.key)
  const near = keys.find((k) => k.toLowerCase().endsWith(alone.key.toLowerCase().split('/').at(-1) ?? alone.key))
  return `nobody has a label ${alone.key}${near ? `; there is ${near}` : ''}`
}
