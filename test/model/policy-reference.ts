// SPDX-License-Identifier: Apache-2.0

/**
 * A second, stupid implementation of policy: no tables, no classes, no indexes. For one packet it walks every rule of
 * every object, as the specifications of NetworkPolicy and CiliumNetworkPolicy read. It shares no code with src/derive.
 */
export interface RefPeer {
  /** `source:key` to value; what an identity's labels are. */
  readonly labels: { readonly [label: string]: string }
  /** Set for peers outside the cluster. */
  readonly address?: readonly [number, number, number, number]
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

/** Whether a packet may pass at the subject, in one direction, and if not whether a rule denies it by name. */
export function reference(
  objects: readonly Any[],
  subject: RefPeer,
  direction: 'ingress' | 'egress',
  peer: RefPeer,
  packet: RefPacket,
): 'allow' | 'deny' | 'none' {
  let enforced = false
  let allowed = false
  let closed = false
  for (const object of objects) {
    const namespace = String(o(object['metadata'])['namespace'] ?? '')
    const specs = [...(object['spec'] ? [o(object['spec'])] : []), ...l(object['specs'])]
    for (const spec of specs) {
      const cilium = object['kind'] !== 'NetworkPolicy'
      if (!selectsSubject(spec, cilium, namespace, subject)) continue
      if (enforces(spec, cilium, direction)) enforced = true
      if (cilium)
        for (const rule of l(spec[`${direction}Deny`]))
          if (ciliumRule(rule, namespace, direction, subject, peer, packet)) return 'deny'
      if (!cilium && !kubernetesTypes(spec).includes(direction)) continue
      for (const rule of l(spec[direction])) {
        const matches = cilium ? ciliumRule : kubernetesRule
        if (matches(rule, namespace, direction, subject, peer, packet)) allowed = true
        // What is asked for and not enforced yet is closed, unless another rule allows it.
        else if (cilium && ciliumRule(rule, namespace, direction, subject, peer, packet, true)) closed = true
      }
    }
  }
  // The local host reaches pods whatever they allow, unless denied.
  if (direction === 'ingress' && 'reserved:host' in peer.labels) allowed = true
  return allowed || (!enforced && !closed) ? 'allow' : 'none'
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
  layer7 = false,
): boolean {
  const side = direction === 'ingress' ? 'from' : 'to'
  const kinds = ['Endpoints', 'Entities', 'CIDR', 'CIDRSet'].filter((k) => rule[side + k] !== undefined)
  // One empty rule allows nothing.
  if (kinds.length === 0 && rule['toPorts'] === undefined && rule['icmps'] === undefined) return false
  const isPeer = kinds.some((kind) =>
    (rule[side + kind] as readonly unknown[]).some((p) => ciliumPeer(kind, p, namespace, peer)),
  )
  if (kinds.length > 0 && !isPeer) return false
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

function ciliumPeer(kind: string, p: unknown, namespace: string, peer: RefPeer): boolean {
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
  if (kind === 'CIDR') return peer.address !== undefined && inPrefix(String(p), peer.address)
  if (kind === 'CIDRSet') {
    const set = o(p)
    if (!peer.address || !inPrefix(String(set['cidr']), peer.address)) return false
    return !((set['except'] ?? []) as readonly string[]).some((e) => inPrefix(e, peer.address as readonly number[]))
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

/** IPv4 only: that is enough to compare. */
function inPrefix(cidr: string, address: readonly number[]): boolean {
  const [text = '', bits = '32'] = cidr.split('/')
  if (text.includes(':')) return false
  const number = (parts: readonly number[]) => parts.reduce((n, part) => n * 256 + part, 0)
  const size = 2 ** (32 - Number(bits))
  return Math.floor(number(text.split('.').map(Number)) / size) === Math.floor(number(address) / size)
}
