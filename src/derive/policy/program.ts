// SPDX-License-Identifier: Apache-2.0
import type { Layer7 } from '../../model/proxy.ts'
import { entityPeers } from './entities.ts'
import { rangesText } from './keys.ts'
import type { Demand, Direction, Peer, Policy, PolicyMode, PortName, PortRange, Requirement, Rule } from './rule.ts'
import { isPortRange, tiers } from './rule.ts'
import { selectorText, sortedRequirements } from './selector.ts'
import { type PolicySettings, type Selecting, type Subject, selectingOf } from './subject.ts'

/** A rule as it concerns one subject in one direction. */
export interface Entry {
  /** Key of the rule. */
  readonly rule: string
  /** `default` is the default deny, where something still comes after it; `see` decides nothing (`namesRule`). */
  readonly action: Rule['action'] | 'default' | 'see'
  /** Of `tiers`. */
  readonly tier: number
  /** `audit`: what it would drop passes, and is told. */
  readonly mode: 'enforce' | 'audit'
  /** Only in force now, or only where staged policies are too; both where it says nothing. */
  readonly when?: 'now' | 'staged'
  /** For `default`: the policies that asked for it. */
  readonly by?: readonly string[]
  readonly peers: 'all' | readonly Peer[]
  readonly ports: 'all' | readonly PortRange[]
  /** Ports by the name the peer gives them; egress only. */
  readonly names: readonly PortName[]
  /** With `redirect`. */
  readonly layer7?: Layer7
}

/** All that decides in one direction for a subject, before anyone asks which identities exist. */
export interface Program {
  /** Equal programs have equal keys: the rules' keys and what was resolved for the subject. */
  readonly key: string
  readonly direction: Direction
  /** What becomes of what no entry decides. */
  readonly otherwise: 'allow' | 'deny'
  /** Key of the rule that stands for `otherwise`; '' when no policy selects. */
  readonly otherwiseRule: string
  /** Policies that asked for the default deny. */
  readonly enforcedBy: readonly string[]
  /**
   * First match decides, by tier: in the normal one denials, allowances, redirections, rules that stay closed; in the
   * others as written. `pass` goes on with the next tier.
   */
  readonly entries: readonly Entry[]
  readonly audit: boolean
}

/** Key of the rule by which the local host reaches the pods of its node. */
export const localhostRule = 'allow-localhost'

/**
 * Key of the rule by which the DNS proxy sees what pods ask that a policy means names for. Where it comes from has no
 * rules for DNS itself: whatever lets such a packet pass, the answers are learnt from.
 */
export const namesRule = 'learn-names'

const dnsPorts: readonly PortRange[] = (['UDP', 'TCP'] as const).map((space) => ({ space, first: 53, last: 53 }))

interface Placed {
  readonly entry: Entry
  readonly priority: number
  readonly policy: string
  readonly position: number
}

/** What the given policies, which may or may not select the subject, mean for it in one direction. */
export const programOf = (
  subject: Subject,
  direction: Direction,
  policies: readonly Policy[],
  settings: PolicySettings,
): Program => programFrom(subject, direction, selectingOf(subject, policies, settings), settings)

/** The same when it is known what selects the subject. Of that its labels decide alone. */
export function programFrom(
  subject: Pick<Subject, 'namedPorts' | 'audit' | 'ofNode'>,
  direction: Direction,
  selecting: readonly Selecting[],
  settings: PolicySettings,
): Program {
  const asked = { enforce: new Set<string>(), audit: new Set<string>(), staged: new Set<string>() }
  const demandsOf = (of: readonly Selecting[]) =>
    of.flatMap(({ spec }) => (spec.demands ?? []).filter((d) => d.direction === direction))
  const demands = demandsOf(selecting)
  // What a staged policy asks of the peers of all rules is asked only where it is in force.
  const now = demandsOf(selecting.filter(({ policy }) => policy.mode !== 'staged'))
  const placed: Placed[] = []
  for (const { policy, spec } of selecting) {
    if (spec.enforce[direction]) asked[policy.mode].add(policy.key)
    for (const [position, rule] of spec.rules.entries())
      if (rule.direction === direction) {
        const { mode } = policy
        const place = (when: Entry['when'], narrowing: readonly Demand[]) => {
          const force = { mode: mode === 'audit' ? mode : 'enforce', ...(when ? { when } : {}) } as const
          const entry = entryOf(resolvable(rule, settings), subject, tiers[spec.tier], force, narrowing)
          placed.push({ entry, priority: spec.priority, policy: policy.key, position })
        }
        if (mode === 'staged') place('staged', demands)
        else if (rule.narrowed && now.length < demands.length) {
          place('staged', demands)
          place('now', now)
        } else place(undefined, now)
      }
  }
  const byDefault = (mode: PolicyMode): string[] => [...asked[mode]].sort()
  const by = byDefault('enforce')
  const enforced = by.length > 0 || settings.enablePolicy === 'always'
  const everybody = { tier: tiers.normal, mode: 'enforce', peers: 'all', ports: 'all', names: [] } as const
  const add = (entry: Entry) => placed.push({ entry, priority: 0, policy: '', position: 0 })
  if (by.length === 0)
    for (const mode of ['audit', 'staged'] as const) {
      const those = byDefault(mode)
      if (those.length > 0)
        add({
          ...everybody,
          ...(mode === 'audit' ? { mode } : { when: mode }),
          ...{ rule: defaultDenyRule(direction, those), action: 'default', by: those },
        })
    }
  const reachedByHost = direction === 'ingress' && !subject.ofNode && settings.allowLocalhost !== 'policy'
  if ((enforced || placed.length > 0) && reachedByHost)
    add({
      ...everybody,
      rule: localhostRule,
      action: 'allow',
      peers: entityPeers('host', settings.clusterName) ?? [],
    })
  const naming = selecting.filter(({ spec }) => spec.tier !== 'normal' && spec.rules.some(meansNames))
  if (direction === 'egress' && naming.length > 0 && settings.enableL7Proxy) {
    const when = naming.every(({ policy }) => policy.mode === 'staged') ? ({ when: 'staged' } as const) : {}
    const layer7 = { kind: 'dns', dns: [] } as const
    add({ ...everybody, ...when, rule: namesRule, action: 'see', tier: tiers.admin, ports: dnsPorts, layer7 })
  }
  const entries = placed
    .sort(inOrder)
    .map((p) => p.entry)
    // The default deny of the normal tier leaves nothing to the next.
    .filter((e) => by.length === 0 || e.tier <= tiers.normal)
  const audit = settings.policyAuditMode || subject.audit === true
  return {
    key:
      programKey(direction, enforced, by, entries, audit) +
      demands
        .map((d) => ` & ${selectorText(d.requirements)}`)
        .sort()
        .join(''),
    direction,
    otherwise: enforced ? 'deny' : 'allow',
    otherwiseRule: enforced ? defaultDenyRule(direction, by) : '',
    enforcedBy: by,
    entries,
    audit,
  }
}

/** Some of whom the rule means are known by the names that pods asked for. */
export const meansNames = ({ peers }: Pick<Rule, 'peers'>): boolean =>
  peers !== 'all' && peers.some((p) => p.kind === 'labels' && p.requirements.some((r) => r.source === 'fqdn'))

/** The key under which a default deny counts and reports: it names the policies that selected. */
export const defaultDenyRule = (direction: Direction, by: readonly string[]): string =>
  `default-deny ${direction}: ${by.length === 0 ? 'enable-policy=always' : by.join(', ')}`

/** A denial of nodes by their labels, where nodes have none for policy, denies everybody; an allowance allows nobody. */
function resolvable(rule: Rule, settings: PolicySettings): Rule {
  if (rule.action !== 'deny' || rule.peers === 'all' || settings.enableNodeSelectorLabels) return rule
  return rule.peers.some((p) => p.kind === 'nodes' && p.gated) ? { ...rule, peers: 'all' } : rule
}

function entryOf(
  rule: Rule,
  subject: Pick<Subject, 'namedPorts'>,
  tier: number,
  force: Pick<Entry, 'mode' | 'when'>,
  demands: readonly Demand[],
): Entry {
  const { key, action } = rule
  const wanted = demands.filter((d) => (d.action === 'deny') === (action === 'deny')).flatMap((d) => d.requirements)
  const peers =
    rule.peers === 'all' || !rule.narrowed || wanted.length === 0
      ? rule.peers
      : rule.peers.map((p) => (p.kind === 'labels' ? narrowed(p, wanted) : p))
  if (rule.ports === 'all') return { rule: key, action, tier, ...force, peers, ports: 'all', names: [] }
  const ports: PortRange[] = []
  const names: PortName[] = []
  for (const p of rule.ports) {
    if (isPortRange(p)) ports.push(p)
    else if (rule.direction === 'egress') names.push(p)
    else
      for (const own of subject.namedPorts)
        if (own.name === p.name && (p.protocol === 'ANY' || p.protocol === own.protocol))
          ports.push({ space: own.protocol, first: own.port, last: own.port })
  }
  return { rule: key, action, tier, ...force, peers, ports, names, ...(rule.layer7 ? { layer7: rule.layer7 } : {}) }
}

const narrowed = (peer: Peer & { readonly kind: 'labels' }, wanted: readonly Requirement[]): Peer => ({
  kind: 'labels',
  requirements: sortedRequirements([...peer.requirements, ...wanted]),
})

const rank = { deny: 0, pass: 1, allow: 2, redirect: 3, closed: 4, default: 5, see: 6 } as const

/** Among rules of one kind the one that names its peers is the better answer to 'why'. */
function inOrder(a: Placed, b: Placed): number {
  const [x, y] = [a.entry, b.entry]
  if (x.tier !== y.tier) return x.tier - y.tier
  if (a.priority !== b.priority) return a.priority - b.priority
  if (x.tier !== tiers.normal) {
    if (a.policy !== b.policy) return a.policy < b.policy ? -1 : 1
    return a.position - b.position
  }
  const byAction = rank[x.action] - rank[y.action]
  if (byAction !== 0) return byAction
  if ((x.peers === 'all') !== (y.peers === 'all')) return x.peers === 'all' ? 1 : -1
  return x.rule < y.rule ? -1 : x.rule > y.rule ? 1 : 0
}

/** Order is content only outside the normal tier, where positions are in the rules' keys but priorities are not. */
function programKey(
  direction: Direction,
  enforced: boolean,
  by: readonly string[],
  entries: readonly Entry[],
  audit: boolean,
): string {
  const rules = entries.map((e) => {
    const ports = e.ports === 'all' ? '' : ` ${rangesText(e.ports)}`
    return `${e.rule}${ports}${e.mode === 'enforce' ? '' : ` ${e.mode}`}${e.when ? ` ${e.when}` : ''}`
  })
  return `${direction} ${enforced ? 'enforced' : 'open'}${audit ? ' audit' : ''} [${by.join(' ')}] ${rules.join('; ')}`
}
