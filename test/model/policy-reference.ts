// SPDX-License-Identifier: Apache-2.0

/**
 * A second, stupid implementation of policy: no tables, no classes, no indexes. For one packet it walks every rule of
 * every object, as the specifications of NetworkPolicy and CiliumNetworkPolicy read. It shares no code with src/derive.
 */
export interface RefPeer {
  /** `source:key` to value; what an identity's labels are. */
  readonly labels: { readonly [label: string]: string }
  readonly address?: readonly [number, number, number, number]
  /** Outside the cluster: prefixes in Cilium's rules mean nobody else. */
  readonly world?: true
  /** Ports by name that the peer offers. */
  readonly ports?: readonly { readonly name: string; readonly protocol: string; readonly port: number }[]
}

export interface RefPacket {
  readonly protocol: 'TCP' | 'UDP' | 'SCTP' | 'ICMP' | 'other'
  /** ICMP: the type. */
  readonly port: number
}

type Any = { readonly [name: string]: unknown }
const o = (v: unknown): Any => (v ?? {}) as Any
const l = (v: unknown): readonly Any[] => (v ?? []) as readonly Any[]

export type RefVerdict = 'allow' | 'audit' | 'deny' | 'none'

const modeOf = (object: Any): string =>
  String(o(o(object['metadata'])['annotations'])['cilium-ts.io/policy-mode'] ?? 'enforce')

const passes = (v: RefVerdict): boolean => v === 'allow' || v === 'audit'

/**
 * Whether a packet may pass at the subject, in one direction, and if not whether a rule denies it by name. What policies
 * in audit mode would drop passes, and says so; staged ones count only when asked for.
 */
export function reference(
  all: readonly Any[],
  subject: RefPeer,
  direction: 'ingress' | 'egress',
  peer: RefPeer,
  packet: RefPacket,
  staged = false,
): RefVerdict {
  const objects = all.filter((object) => staged || modeOf(object) !== 'staged')
  const strict = decide(objects, subject, direction, peer, packet, false)
  if (passes(strict)) return strict
  const lenient = decide(objects, subject, direction, peer, packet, true)
  return passes(lenient) ? 'audit' : lenient
}

/** Tier by tier. With `lenient` policies in audit mode drop nothing. */
function decide(
  objects: readonly Any[],
  subject: RefPeer,
  direction: 'ingress' | 'egress',
  peer: RefPeer,
  packet: RefPacket,
  lenient: boolean,
): RefVerdict {
  const first = clusterTier('Admin', objects, subject, direction, peer, packet, lenient)
  if (first) return first
  const second = normalTier(objects, subject, direction, peer, packet, lenient)
  if (second) return second
  return clusterTier('Baseline', objects, subject, direction, peer, packet, lenient) ?? 'allow'
}

function clusterTier(
  tier: string,
  objects: readonly Any[],
  subject: RefPeer,
  direction: 'ingress' | 'egress',
  peer: RefPeer,
  packet: RefPacket,
  lenient: boolean,
): RefVerdict | undefined {
  const policies = objects
    .filter((object) => object['kind'] === 'ClusterNetworkPolicy' && o(object['spec'])['tier'] === tier)
    .sort((a, b) => {
      const by = Number(o(a['spec'])['priority']) - Number(o(b['spec'])['priority'])
      return by !== 0 ? by : String(o(a['metadata'])['name']) < String(o(b['metadata'])['name']) ? -1 : 1
    })
  for (const object of policies) {
    const spec = o(object['spec'])
    if (!clusterPeer(o(spec['subject']), subject)) continue
    for (const rule of l(spec[direction])) {
      if (!l(rule[direction === 'ingress' ? 'from' : 'to']).some((p) => clusterPeer(p, peer))) continue
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

function clusterPeer(p: Any, who: RefPeer): boolean {
  if (p['networks'])
    return (p['networks'] as readonly string[]).some((c) => who.address !== undefined && inPrefix(c, who.address))
  if (who.labels['k8s:io.kubernetes.pod.namespace'] === undefined) return false
  const pods = o(p['pods'])
  const namespaces = o(p['namespaces'] ?? pods['namespaceSelector'])
  return (
    selector(namespaces, who, 'k8s', 'io.cilium.k8s.namespace.labels.') &&
    selector(o(pods['podSelector']), who, 'k8s', '')
  )
}

function clusterProtocol(p: Any, named: RefPeer, packet: RefPacket): boolean {
  if (p['destinationNamedPort'] !== undefined) return portMatches(p['destinationNamedPort'], undefined, named, packet)
  const [protocol = '', of] = Object.entries(p)[0] ?? []
  const { number, range } = o(o(of)['destinationPort']) as { number?: number; range?: { start: number; end: number } }
  if (protocol.toUpperCase() !== packet.protocol) return false
  return range ? packet.port >= range.start && packet.port <= range.end : packet.port === number
}

/** NetworkPolicies and Cilium's policies: undefined when none of them selects. */
function normalTier(
  objects: readonly Any[],
  subject: RefPeer,
  direction: 'ingress' | 'egress',
  peer: RefPeer,
  packet: RefPacket,
  lenient: boolean,
): RefVerdict | undefined {
  let enforced = false
  let allowed = false
  let closed = false
  let denied = false
  const selecting = objects.flatMap((object) => {
    const cilium = String(object['kind']).startsWith('Cilium') && object['kind'] !== 'CiliumCIDRGroup'
    if (!cilium && object['kind'] !== 'NetworkPolicy') return []
    const namespace = String(o(object['metadata'])['namespace'] ?? '')
    const specs = [...(object['spec'] ? [o(object['spec'])] : []), ...l(object['specs'])]
    return specs
      .filter((spec) => selectsSubject(spec, cilium, namespace, subject))
      .map((spec) => ({ spec, cilium, namespace, drops: !lenient || modeOf(object) !== 'audit' }))
  })
  const side = direction === 'ingress' ? 'from' : 'to'
  const demanded = (list: string) =>
    selecting.filter((s) => s.cilium).flatMap((s) => l(s.spec[list]).flatMap((rule) => l(rule[`${side}Requires`])))
  const context = (list: string): Context => ({ objects, demands: demanded(list) })
  for (const { spec, cilium, namespace, drops } of selecting) {
    if (drops && enforces(spec, cilium, direction)) enforced = true
    if (cilium)
      for (const rule of l(spec[`${direction}Deny`]))
        if (drops && ciliumRule(rule, namespace, direction, subject, peer, packet, context(`${direction}Deny`)))
          denied = true
    if (!cilium && !kubernetesTypes(spec).includes(direction)) continue
    for (const rule of l(spec[direction])) {
      const here = context(direction)
      if (!cilium) allowed ||= kubernetesRule(rule, namespace, direction, subject, peer, packet)
      else if (ciliumRule(rule, namespace, direction, subject, peer, packet, here)) allowed = true
      // What is asked for and not enforced yet is closed, unless another rule allows it.
      else if (drops && ciliumRule(rule, namespace, direction, subject, peer, packet, here, true)) closed = true
    }
  }
  if (denied) return 'deny'
  // The local host reaches pods whatever they allow, unless denied.
  if (direction === 'ingress' && 'reserved:host' in peer.labels) allowed = true
  if (allowed) return 'allow'
  return enforced || closed ? 'none' : undefined
}

/** What rules refer to, and what fromRequires / toRequires of all rules about the subject ask for. */
interface Context {
  readonly objects: readonly Any[]
  readonly demands: readonly Any[]
}

function selectsSubject(spec: Any, cilium: boolean, namespace: string, subject: RefPeer): boolean {
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

function selector(s: Any, who: RefPeer, source: 'any' | 'k8s', keyPrefix: string): boolean {
  const valuesOf = (key: string): readonly string[] => {
    const colon = key.indexOf(':')
    const wanted = colon > 0 ? key.slice(0, colon) : source
    const bare = keyPrefix + (colon > 0 ? key.slice(colon + 1) : key)
    return Object.entries(who.labels)
      .filter(([label]) => {
        const at = label.indexOf(':')
        return label.slice(at + 1) === bare && (wanted === 'any' || label.slice(0, at) === wanted)
      })
      .map(([, value]) => value)
  }
  for (const [key, value] of Object.entries(o(s['matchLabels'])))
    if (!valuesOf(key).includes(String(value))) return false
  for (const e of l(s['matchExpressions'])) {
    const found = valuesOf(String(e['key']))
    const values = (e['values'] ?? []) as readonly string[]
    const inside = found.some((v) => values.includes(v))
    if (e['operator'] === 'In' && !inside) return false
    if (e['operator'] === 'NotIn' && inside) return false
    if (e['operator'] === 'Exists' && found.length === 0) return false
    if (e['operator'] === 'DoesNotExist' && found.length > 0) return false
  }
  return true
}

function kubernetesRule(
  rule: Any,
  namespace: string,
  direction: 'ingress' | 'egress',
  subject: RefPeer,
  peer: RefPeer,
  packet: RefPacket,
): boolean {
  const peers = l(rule[direction === 'ingress' ? 'from' : 'to'])
  if (peers.length > 0 && !peers.some((p) => kubernetesPeer(p, namespace, peer))) return false
  const ports = l(rule['ports'])
  if (ports.length === 0) return true
  const named = direction === 'ingress' ? subject : peer
  return ports.some((p) => {
    if ((p['protocol'] ?? 'TCP') !== packet.protocol) return false
    if (p['port'] === undefined) return true
    return portMatches(p['port'], p['endPort'], named, packet)
  })
}

function kubernetesPeer(p: Any, namespace: string, peer: RefPeer): boolean {
  if (p['ipBlock']) {
    const block = o(p['ipBlock'])
    if (!peer.address || !inPrefix(String(block['cidr']), peer.address)) return false
    return !((block['except'] ?? []) as readonly string[]).some((e) => inPrefix(e, peer.address as readonly number[]))
  }
  const where = peer.labels['k8s:io.kubernetes.pod.namespace']
  if (where === undefined) return false
  if (p['namespaceSelector'] === undefined && where !== namespace) return false
  if (p['namespaceSelector'] && !selector(o(p['namespaceSelector']), peer, 'k8s', 'io.cilium.k8s.namespace.labels.'))
    return false
  return selector(o(p['podSelector']), peer, 'k8s', '')
}

function portMatches(port: unknown, endPort: unknown, named: RefPeer, packet: RefPacket): boolean {
  if (/[a-z]/.test(String(port)))
    return (named.ports ?? []).some((n) => n.name === port && n.protocol === packet.protocol && n.port === packet.port)
  const first = Number(port)
  return packet.port >= first && packet.port <= (endPort === undefined ? first : Number(endPort))
}

function ciliumRule(
  rule: Any,
  namespace: string,
  direction: 'ingress' | 'egress',
  subject: RefPeer,
  peer: RefPeer,
  packet: RefPacket,
  context: Context,
  layer7 = false,
): boolean {
  const side = direction === 'ingress' ? 'from' : 'to'
  const kinds = ['Endpoints', 'Entities', 'CIDR', 'CIDRSet', 'Services'].filter((k) => rule[side + k] !== undefined)
  const requires = l(rule[`${side}Requires`]).length > 0
  const meets = context.demands.every((d) => selector(d, peer, 'any', ''))
  // One empty rule allows nothing.
  if (kinds.length === 0 && rule['toPorts'] === undefined && rule['icmps'] === undefined) return false
  const isPeer = kinds.some((kind) =>
    (rule[side + kind] as readonly unknown[]).some(
      (p) => (kind !== 'Endpoints' || meets) && ciliumPeer(kind, p, namespace, peer, context),
    ),
  )
  if (kinds.length > 0 && !isPeer) return false
  if (kinds.length === 0 && requires && !(meets && 'k8s:io.kubernetes.pod.namespace' in peer.labels)) return false
  if (rule['icmps'] !== undefined)
    return (
      !layer7 &&
      l(rule['icmps']).some((e) => l(e['fields']).some((f) => packet.protocol === 'ICMP' && f['type'] === packet.port))
    )
  if (rule['toPorts'] === undefined) return !layer7
  const named = direction === 'ingress' ? subject : peer
  return l(rule['toPorts']).some((e) => {
    if ((e['rules'] !== undefined) !== layer7) return false
    return l(e['ports']).some((p) => {
      const protocol = p['protocol'] ?? 'ANY'
      if (protocol === 'ANY' ? !['TCP', 'UDP', 'SCTP'].includes(packet.protocol) : protocol !== packet.protocol)
        return false
      if (p['port'] === '0') return true
      return portMatches(p['port'], p['endPort'], named, packet)
    })
  })
}

function ciliumPeer(kind: string, p: unknown, namespace: string, peer: RefPeer, { objects }: Context): boolean {
  const has = (name: string): boolean => `reserved:${name}` in peer.labels
  if (kind === 'Entities') {
    if (p === 'all') return true
    if (p === 'world') return has('world') || has('world-ipv4') || has('world-ipv6')
    if (p === 'cluster')
      return (
        ['host', 'remote-node', 'init', 'ingress', 'health', 'unmanaged', 'kube-apiserver'].some(has) ||
        peer.labels['k8s:io.cilium.k8s.policy.cluster'] === 'default'
      )
    return has(String(p))
  }
  if (kind === 'CIDR') return peer.world === true && inPrefix(String(p), peer.address as readonly number[])
  if (kind === 'Services') return services(o(p), namespace, objects).some((s) => behind(s, objects, peer))
  if (kind === 'CIDRSet') {
    const set = o(p)
    const address = peer.address
    if (!peer.world || !address) return false
    const groups = objects
      .filter((g) => g['kind'] === 'CiliumCIDRGroup')
      .map((g) => ({ ...o(g['metadata']), ...o(g['spec']) }) as Any)
    const chosen =
      set['cidr'] !== undefined
        ? [String(set['cidr'])]
        : groups
            .filter((g) =>
              set['cidrGroupRef'] !== undefined
                ? g['name'] === set['cidrGroupRef']
                : selector(o(set['cidrGroupSelector']), { labels: prefixed('g', o(g['labels'])) }, 'any', ''),
            )
            .flatMap((g) => g['externalCIDRs'] as readonly string[])
    if (!chosen.some((c) => inPrefix(c, address))) return false
    return !((set['except'] ?? []) as readonly string[]).some((e) => inPrefix(e, address))
  }
  const s = o(p)
  const keys = [...Object.keys(o(s['matchLabels'])), ...l(s['matchExpressions']).map((e) => String(e['key']))]
  const where = peer.labels['k8s:io.kubernetes.pod.namespace']
  if (!keys.some((k) => k.startsWith('reserved:'))) {
    if (where === undefined) return false
    const crosses = keys.some((k) => /(^|:)io\.(kubernetes\.pod\.namespace$|cilium\.k8s\.namespace\.labels)/.test(k))
    if (namespace !== '' && !crosses && where !== namespace) return false
  }
  return selector(s, peer, 'any', '')
}

const prefixed = (source: string, labels: Any): { readonly [label: string]: string } =>
  Object.fromEntries(Object.entries(labels).map(([k, v]) => [`${source}:${k}`, String(v)]))

function services(p: Any, namespace: string, objects: readonly Any[]): readonly Any[] {
  const all = objects.filter((s) => s['kind'] === 'Service')
  const of = o(p['k8sService'] ?? p['k8sServiceSelector'])
  return all.filter((s) => {
    const meta = o(s['metadata'])
    if (p['k8sService'] !== undefined)
      return meta['name'] === of['serviceName'] && meta['namespace'] === (of['namespace'] ?? namespace)
    if (of['namespace'] !== undefined && of['namespace'] !== meta['namespace']) return false
    return selector(o(of['selector']), { labels: prefixed('k8s', o(meta['labels'])) }, 'any', '')
  })
}

/** Whether the peer is behind a service: a pod that it selects, or an address that a slice of it names. */
function behind(service: Any, objects: readonly Any[], peer: RefPeer): boolean {
  const meta = o(service['metadata'])
  const chosen = Object.entries(o(o(service['spec'])['selector']))
  if (chosen.length > 0)
    return (
      peer.labels['k8s:io.kubernetes.pod.namespace'] === meta['namespace'] &&
      chosen.every(([k, v]) => peer.labels[`k8s:${k}`] === v)
    )
  const slices = objects.filter((s) => {
    const m = o(s['metadata'])
    const of = o(m['labels'])['kubernetes.io/service-name']
    return s['kind'] === 'EndpointSlice' && m['namespace'] === meta['namespace'] && of === meta['name']
  })
  return slices.some((s) =>
    l(s['endpoints']).some((e) => (e['addresses'] as readonly string[]).includes((peer.address ?? []).join('.'))),
  )
}

/** IPv4 only: that is enough to compare. */
function inPrefix(cidr: string, address: readonly number[]): boolean {
  const [text = '', bits = '32'] = cidr.split('/')
  if (text.includes(':')) return false
  const number = (parts: readonly number[]) => parts.reduce((n, part) => n * 256 + part, 0)
  const size = 2 ** (32 - Number(bits))
  return Math.floor(number(text.split('.').map(Number)) / size) === Math.floor(number(address) / size)
}
