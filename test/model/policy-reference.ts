// SPDX-License-Identifier: Apache-2.0
import {
  type Any,
  ciliumPeer,
  clusterPeer,
  kubernetesPeer,
  l,
  o,
  type Question,
  type RefOptions,
  type RefPacket,
  type RefPeer,
  selector,
} from './policy-reference-peers.ts'

export type { RefOptions, RefPacket, RefPeer } from './policy-reference-peers.ts'

/**
 * A second, stupid implementation of policy: no tables, no classes, no indexes. For one packet it walks every rule of
 * every object, as the specifications of NetworkPolicy and CiliumNetworkPolicy read. It shares no code with src/derive.
 */
export type RefVerdict = 'allow' | 'redirect' | 'audit' | 'deny' | 'none'

const modeOf = (object: Any): string =>
  String(o(o(object['metadata'])['annotations'])['cilium-ts.io/policy-mode'] ?? 'enforce')

/**
 * Whether a packet may pass at the subject, in one direction, and if not whether a rule denies it by name. What policies
 * in audit mode would drop passes, and says so; staged ones count only when asked for.
 */
export function reference(
  all: readonly Any[],
  options: RefOptions,
  subject: RefPeer,
  direction: 'ingress' | 'egress',
  peer: RefPeer,
  packet: RefPacket,
  staged = false,
): RefVerdict {
  if (options.enablePolicy === 'never') return 'allow'
  const objects = all.filter((object) => staged || modeOf(object) !== 'staged')
  const asked = { objects, options, subject, direction, peer, packet, lenient: false }
  const found = answered(asked)
  return found === 'allow' && isQuestion(asked) ? 'redirect' : found
}

/** What is asked of the DNS by pods that a ClusterNetworkPolicy means names for is seen by a proxy. */
const isQuestion = (q: Question): boolean =>
  q.direction === 'egress' &&
  q.packet.port === 53 &&
  ['UDP', 'TCP'].includes(q.packet.protocol) &&
  q.objects.some(
    ({ kind, spec }) =>
      kind === 'ClusterNetworkPolicy' &&
      clusterPeer(o(o(spec)['subject']), q.subject, q) &&
      l(o(spec)['egress']).some((rule) => l(rule['to']).some((p) => p['domainNames'] !== undefined)),
  )

function answered(asked: Question): RefVerdict {
  const { options } = asked
  const strict = decide({ ...asked, lenient: false })
  const told = (v: Decided): RefVerdict => (v === 'seen' || v === 'names' || v === 'names seen' ? 'redirect' : v)
  // A proxy can not only look on: where nothing shall be dropped it is not asked. Of names the answers are needed.
  if (options.policyAuditMode) {
    if (strict === 'names' || strict === 'names seen') return 'redirect'
    return strict === 'allow' || strict === 'seen' ? 'allow' : 'audit'
  }
  if (strict !== 'deny' && strict !== 'none') return told(strict)
  const lenient = decide({ ...asked, lenient: true })
  return lenient === 'allow' || lenient === 'seen' || lenient === 'names seen' ? 'audit' : told(lenient)
}

/** `names`: sent to a proxy that asks for names. `seen`: a proxy hears of what passes anyhow. */
type Decided = RefVerdict | 'names' | 'seen' | 'names seen'

/** Tier by tier. Where everybody is enforced, the last word is no. */
const decide = (q: Question): Decided =>
  clusterTier('Admin', q) ??
  normalTier(q) ??
  clusterTier('Baseline', q) ??
  (q.options.enablePolicy === 'always' ? 'none' : 'allow')

function clusterTier(tier: string, q: Question): RefVerdict | undefined {
  const { objects, subject, direction, peer, packet, lenient } = q
  const policies = objects
    .filter((object) => object['kind'] === 'ClusterNetworkPolicy' && o(object['spec'])['tier'] === tier)
    .sort((a, b) => {
      const by = Number(o(a['spec'])['priority']) - Number(o(b['spec'])['priority'])
      return by !== 0 ? by : String(o(a['metadata'])['name']) < String(o(b['metadata'])['name']) ? -1 : 1
    })
  for (const object of policies) {
    const spec = o(object['spec'])
    if (!clusterPeer(o(spec['subject']), subject, q)) continue
    for (const rule of l(spec[direction])) {
      if (!l(rule[direction === 'ingress' ? 'from' : 'to']).some((p) => clusterPeer(p, peer, q))) continue
      if (rule['protocols'] !== undefined) {
        const named = direction === 'ingress' ? subject : peer
        if (!l(rule['protocols']).some((p) => clusterProtocol(p, named, packet))) continue
      }
      if (rule['action'] === 'Pass') return undefined
      if (rule['action'] === 'Accept') return 'allow'
      if (!lenient || modeOf(object) !== 'audit') return 'deny'
    }
  }
  return undefined
}

function clusterProtocol(p: Any, named: RefPeer, packet: RefPacket): boolean {
  if (p['destinationNamedPort'] !== undefined)
    return (
      ['TCP', 'UDP', 'SCTP'].includes(packet.protocol) &&
      portMatches(p['destinationNamedPort'], undefined, named, packet)
    )
  const [protocol = '', of] = Object.entries(p)[0] ?? []
  const { number, range } = o(o(of)['destinationPort']) as { number?: number; range?: { start: number; end: number } }
  if (protocol.toUpperCase() !== packet.protocol) return false
  return range ? packet.port >= range.start && packet.port <= range.end : packet.port === number
}

/** NetworkPolicies and Cilium's policies: undefined when none of them selects. */
function normalTier(q: Question): Decided | undefined {
  const { objects, options, subject, direction, peer, lenient } = q
  let enforced = false
  let allowed = false
  let requests = false
  let tls = false
  let names = false
  let audited = false
  let closed = false
  let denied = false
  const selecting = objects.flatMap((object) => {
    const cilium = String(object['kind']).startsWith('Cilium') && object['kind'] !== 'CiliumCIDRGroup'
    if (!cilium && object['kind'] !== 'NetworkPolicy') return []
    const namespace = String(o(object['metadata'])['namespace'] ?? '')
    const specs = [...(object['spec'] ? [o(object['spec'])] : []), ...l(object['specs'])]
    return specs
      .filter((spec) => selectsSubject(spec, cilium, namespace, subject))
      .map((spec) => ({ spec, cilium, namespace, mode: modeOf(object), drops: !lenient || modeOf(object) !== 'audit' }))
  })
  const side = direction === 'ingress' ? 'from' : 'to'
  const demanded = (list: string) =>
    selecting.filter((s) => s.cilium).flatMap((s) => l(s.spec[list]).flatMap((rule) => l(rule[`${side}Requires`])))
  const context = (list: string): Context => ({ q, demands: demanded(list), denies: list.endsWith('Deny') })
  // Where no other policy closes, one that audits does not even ask.
  const closedByOthers =
    options.enablePolicy === 'always' ||
    selecting.some((s) => s.mode !== 'audit' && enforces(s.spec, s.cilium, direction))
  for (const { spec, cilium, namespace, mode, drops } of selecting) {
    if (drops && enforces(spec, cilium, direction)) enforced = true
    if (cilium)
      for (const rule of l(spec[`${direction}Deny`]))
        if (drops && ciliumRule(rule, namespace, context(`${direction}Deny`), 'plain')) denied = true
    if (!cilium && !kubernetesTypes(spec).includes(direction)) continue
    for (const rule of l(spec[direction])) {
      const here = context(direction)
      if (!cilium) allowed ||= kubernetesRule(rule, namespace, q)
      else {
        if (ciliumRule(rule, namespace, here, 'plain')) allowed = true
        const looksOn = mode === 'audit' && !closedByOthers
        if (ciliumRule(rule, namespace, here, 'requests'))
          if (looksOn) audited = true
          else requests = true
        if (ciliumRule(rule, namespace, here, 'tls'))
          if (looksOn) audited = true
          else tls = true
        if (ciliumRule(rule, namespace, here, 'names')) names = true
        // What is asked for and not enforced yet is closed, unless another rule allows it.
        if (drops && ciliumRule(rule, namespace, here, 'closed')) closed = true
      }
    }
  }
  if (denied) return 'deny'
  // The local host reaches pods whatever they allow, unless denied.
  const always = options.allowLocalhost !== 'policy' && !subject.isNode
  // A probe waits for no proxy.
  if (direction === 'ingress' && always && 'reserved:host' in peer.labels) return 'allow'
  // What passes anyhow is seen where other rules speak of its requests, unless TLS hides them.
  if (allowed) return tls ? 'allow' : requests ? 'seen' : names ? 'names seen' : 'allow'
  if (requests || tls) return 'redirect'
  if (names) return 'names'
  if (audited && !closed) return 'audit'
  return enforced || closed ? 'none' : undefined
}

/** What rules refer to, and what fromRequires / toRequires of all rules about the subject ask for. */
interface Context {
  readonly q: Question
  readonly denies: boolean
  readonly demands: readonly Any[]
}

function selectsSubject(spec: Any, cilium: boolean, namespace: string, subject: RefPeer): boolean {
  if (subject.isNode || spec['nodeSelector'] !== undefined)
    return (
      subject.isNode === true &&
      spec['nodeSelector'] !== undefined &&
      selector(o(spec['nodeSelector']), subject, 'node', '')
    )
  const own = subject.labels['k8s:io.kubernetes.pod.namespace']
  if (own === undefined || (namespace !== '' && own !== namespace)) return false
  return selector(o(spec[cilium ? 'endpointSelector' : 'podSelector']), subject, cilium ? 'any' : 'k8s', '')
}

function kubernetesTypes(spec: Any): readonly string[] {
  const types = spec['policyTypes'] as readonly string[] | undefined
  if (types && types.length > 0) return types.map((t) => t.toLowerCase())
  return l(spec['egress']).length > 0 ? ['ingress', 'egress'] : ['ingress']
}

function enforces(spec: Any, cilium: boolean, direction: 'ingress' | 'egress'): boolean {
  if (!cilium) return kubernetesTypes(spec).includes(direction)
  const asked = o(spec['enableDefaultDeny'])[direction]
  if (asked !== undefined) return asked === true
  return l(spec[direction]).length > 0 || l(spec[`${direction}Deny`]).length > 0
}

function kubernetesRule(
  rule: Any,
  namespace: string,
  { direction, subject, peer, packet, options }: Question,
): boolean {
  const peers = l(rule[direction === 'ingress' ? 'from' : 'to'])
  if (peers.length > 0 && !peers.some((p) => kubernetesPeer(p, namespace, peer, options))) return false
  const ports = l(rule['ports'])
  if (ports.length === 0) return true
  const named = direction === 'ingress' ? subject : peer
  return ports.some((p) => {
    if ((p['protocol'] ?? 'TCP') !== packet.protocol) return false
    if (p['port'] === undefined) return true
    return portMatches(p['port'], p['endPort'], named, packet)
  })
}

function portMatches(port: unknown, endPort: unknown, named: RefPeer, packet: RefPacket): boolean {
  if (/[a-z]/.test(String(port)))
    return (named.ports ?? []).some((n) => n.name === port && n.protocol === packet.protocol && n.port === packet.port)
  const first = Number(port)
  return packet.port >= first && packet.port <= (endPort === undefined ? first : Number(endPort))
}

const icmpType = (type: unknown): number => (type === 'EchoRequest' ? 128 : Number(type))

/** What a rule or an element of its ports asks for beyond ports. */
type Asks = 'plain' | 'requests' | 'tls' | 'names' | 'closed'

function asksOf(e: Any, isNode: boolean): Asks {
  const rules = o(e['rules'])
  if (rules['kafka'] !== undefined || e['listener'] !== undefined) return 'closed'
  const asks =
    l(e['serverNames']).length > 0 || e['terminatingTLS'] !== undefined || e['originatingTLS'] !== undefined
      ? 'tls'
      : l(rules['http']).length > 0
        ? 'requests'
        : l(rules['dns']).length > 0
          ? 'names'
          : 'plain'
  // No proxy stands between a node and its packets.
  return isNode && asks !== 'plain' ? 'closed' : asks
}

/** Whether the rule means the packet, in a part that asks for just that. */
function ciliumRule(rule: Any, namespace: string, context: Context, asks: Asks): boolean {
  const { direction, subject, peer, packet, options } = context.q
  const side = direction === 'ingress' ? 'from' : 'to'
  const kinds = ['Endpoints', 'Entities', 'CIDR', 'CIDRSet', 'Services', 'FQDNs', 'Nodes', 'Groups'].filter(
    (k) => rule[side + k] !== undefined,
  )
  const requires = l(rule[`${side}Requires`]).length > 0
  const meets = context.demands.every((d) => selector(d, peer, 'any', ''))
  // One empty rule allows nothing.
  if (kinds.length === 0 && rule['toPorts'] === undefined && rule['icmps'] === undefined) return false
  // What can not be resolved: a denial denies everybody, an allowance stays closed.
  const unresolved = l(rule[`${side}Groups`]).length > 0
  if (unresolved && !context.denies && asks !== 'closed') return false
  const nodesUnknown = context.denies && !options.enableNodeSelectorLabels && l(rule[`${side}Nodes`]).length > 0
  const isPeer =
    unresolved ||
    nodesUnknown ||
    kinds.some((kind) =>
      (rule[side + kind] as readonly unknown[]).some(
        (p) => (kind !== 'Endpoints' || meets) && ciliumPeer(kind, p, namespace, context.q),
      ),
    )
  if (kinds.length > 0 && !isPeer) return false
  if (kinds.length === 0 && requires && !(meets && 'k8s:io.kubernetes.pod.namespace' in peer.labels)) return false
  if (rule['icmps'] !== undefined)
    return (
      (asks === 'plain' || unresolved) &&
      l(rule['icmps']).some((e) =>
        l(e['fields']).some(
          (f) =>
            packet.protocol === (f['family'] === 'IPv6' ? 'ICMPv6' : 'ICMP') && icmpType(f['type']) === packet.port,
        ),
      )
    )
  if (rule['toPorts'] === undefined) return asks === 'plain' || unresolved
  const named = direction === 'ingress' ? subject : peer
  return l(rule['toPorts']).some((e) => {
    if (!unresolved && asksOf(e, subject.isNode === true) !== asks) return false
    // Names are asked over UDP and TCP.
    if (l(o(e['rules'])['dns']).length > 0 && packet.protocol === 'SCTP') return false
    return l(e['ports']).some((p) => {
      const protocol = p['protocol'] ?? 'ANY'
      if (protocol === 'ANY' ? !['TCP', 'UDP', 'SCTP'].includes(packet.protocol) : protocol !== packet.protocol)
        return false
      if (p['port'] === '0') return true
      return portMatches(p['port'], p['endPort'], named, packet)
    })
  })
}
