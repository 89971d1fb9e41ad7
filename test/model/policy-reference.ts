// SPDX-License-Identifier: Apache-2.0

/**
 * A second, stupid implementation of policy: no tables, no classes, no indexes. For one packet it walks every rule of
 * every object, as the specifications of NetworkPolicy and CiliumNetworkPolicy read. It shares no code with src/derive.
 */
export interface RefPeer {
  /** `source:key` to value; what an identity's labels are. Those of a node that is a subject are of source `node`. */
  readonly labels: { readonly [label: string]: string }
  readonly address?: string
  /** Outside the cluster: prefixes in Cilium's rules mean nobody else, unless an option says so. */
  readonly world?: true
  /** A node itself, whose policies are those with a nodeSelector. */
  readonly isNode?: true
  /** Ports by name that the peer offers. */
  readonly ports?: readonly { readonly name: string; readonly protocol: string; readonly port: number }[]
}

export interface RefPacket {
  readonly protocol: 'TCP' | 'UDP' | 'SCTP' | 'ICMP' | 'ICMPv6' | 'other'
  /** ICMP: the type. */
  readonly port: number
}

type Any = { readonly [name: string]: unknown }
const o = (v: unknown): Any => (v ?? {}) as Any
const l = (v: unknown): readonly Any[] => (v ?? []) as readonly Any[]

export type RefVerdict = 'allow' | 'redirect' | 'audit' | 'deny' | 'none'

/** What the agent's options say of policy. */
export interface RefOptions {
  readonly enablePolicy: 'default' | 'always' | 'never'
  readonly allowLocalhost: 'auto' | 'always' | 'policy'
  readonly policyAuditMode: boolean
  readonly policyCidrMatchMode: readonly string[]
  readonly enableNodeSelectorLabels: boolean
}

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
  const asked = { objects, options, subject, direction, peer, packet }
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

/** One question. With `lenient` policies in audit mode drop nothing. */
interface Question {
  readonly objects: readonly Any[]
  readonly options: RefOptions
  readonly subject: RefPeer
  readonly direction: 'ingress' | 'egress'
  readonly peer: RefPeer
  readonly packet: RefPacket
  readonly lenient: boolean
}

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

function clusterPeer(p: Any, who: RefPeer, q: Question): boolean {
  if (p['networks'])
    return meansAddress(who, q.options, true) && (p['networks'] as readonly string[]).some((c) => isInside(c, who))
  if (p['nodes']) return isNodeOf(o(p['nodes']), who, q.objects)
  if (who.labels['k8s:io.kubernetes.pod.namespace'] === undefined) return false
  const pods = o(p['pods'])
  const namespaces = o(p['namespaces'] ?? pods['namespaceSelector'])
  return (
    selector(namespaces, who, 'k8s', 'io.cilium.k8s.namespace.labels.') &&
    selector(o(pods['podSelector']), who, 'k8s', '')
  )
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
  const context = (list: string): Context => ({ q, demands: demanded(list), denies: list.endsWith('Deny') })
  for (const { spec, cilium, namespace, drops } of selecting) {
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
        if (ciliumRule(rule, namespace, here, 'requests')) requests = true
        if (ciliumRule(rule, namespace, here, 'tls')) tls = true
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

function selector(s: Any, who: Pick<RefPeer, 'labels'>, source: 'any' | 'k8s' | 'node', keyPrefix: string): boolean {
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

function kubernetesPeer(p: Any, namespace: string, peer: RefPeer, options: RefOptions): boolean {
  if (p['ipBlock']) {
    const block = o(p['ipBlock'])
    if (!meansAddress(peer, options, true) || !isInside(String(block['cidr']), peer)) return false
    return !((block['except'] ?? []) as readonly string[]).some((e) => isInside(e, peer))
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

/** What a rule or an element of its ports asks for beyond ports. */
type Asks = 'plain' | 'requests' | 'tls' | 'names' | 'closed'

function asksOf(e: Any, isNode: boolean): Asks {
  const rules = o(e['rules'])
  if (rules['kafka'] !== undefined || e['listener'] !== undefined) return 'closed'
  const asks =
    l(e['serverNames']).length > 0
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
  const kinds = ['Endpoints', 'Entities', 'CIDR', 'CIDRSet', 'Services', 'Nodes', 'Groups'].filter(
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

const icmpType = (type: unknown): number => (type === 'EchoRequest' ? 128 : Number(type))

function ciliumPeer(kind: string, p: unknown, namespace: string, { peer, objects, options }: Question): boolean {
  const has = (name: string): boolean => `reserved:${name}` in peer.labels
  if (kind === 'Entities') {
    if (p === 'all') return true
    if (p === 'world') return has('world') || has('world-ipv4') || has('world-ipv6')
    if (p === 'cluster' || p === 'cluster-mesh')
      return (
        ['host', 'remote-node', 'init', 'ingress', 'health', 'unmanaged', 'kube-apiserver'].some(has) ||
        peer.labels['k8s:io.cilium.k8s.policy.cluster'] === 'default'
      )
    return has(String(p))
  }
  if (kind === 'CIDR') return meansAddress(peer, options, false) && isInside(String(p), peer)
  if (kind === 'Nodes') return options.enableNodeSelectorLabels && isNodeOf(o(p), peer, objects)
  if (kind === 'Services') return services(o(p), namespace, objects).some((s) => behind(s, objects, peer))
  if (kind === 'CIDRSet') {
    const set = o(p)
    if (!meansAddress(peer, options, false)) return false
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
    if (!chosen.some((c) => isInside(c, peer))) return false
    return !((set['except'] ?? []) as readonly string[]).some((e) => isInside(e, peer))
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
    l(s['endpoints']).some((e) => (e['addresses'] as readonly string[]).includes(peer.address ?? '')),
  )
}

/** Prefixes mean the world; as ipBlock or networks everybody, unless the option says which of nodes and pods. */
function meansAddress(peer: RefPeer, { policyCidrMatchMode: mode }: RefOptions, block: boolean): boolean {
  if (peer.world) return true
  if (block && mode.length === 0) return true
  return mode.includes('k8s:io.kubernetes.pod.namespace' in peer.labels ? 'pods' : 'nodes')
}

/** The address of a node that the selector means. */
const isNodeOf = (s: Any, peer: RefPeer, objects: readonly Any[]): boolean =>
  objects.some(
    (n) =>
      n['kind'] === 'Node' &&
      l(o(n['status'])['addresses']).some((a) => a['address'] === peer.address) &&
      selector(s, { labels: prefixed('node', o(o(n['metadata'])['labels'])) }, 'node', ''),
  )

const isInside = (cidr: string, peer: RefPeer): boolean => {
  const [text = '', length] = cidr.split('/')
  if (peer.address === undefined || text.includes(':') !== peer.address.includes(':')) return false
  const outer = bits(text)
  return bits(peer.address).startsWith(outer.slice(0, length === undefined ? outer.length : Number(length)))
}

/** An address as zeros and ones. */
function bits(address: string): string {
  const binary = (n: number, width: number) => n.toString(2).padStart(width, '0')
  if (!address.includes(':'))
    return address
      .split('.')
      .map((part) => binary(Number(part), 8))
      .join('')
  const [left = [], right] = address.split('::').map((half) => (half === '' ? [] : half.split(':')))
  const middle = right === undefined ? [] : new Array<string>(8 - left.length - right.length).fill('0')
  return [...left, ...middle, ...(right ?? [])].map((part) => binary(Number.parseInt(part, 16), 16)).join('')
}
