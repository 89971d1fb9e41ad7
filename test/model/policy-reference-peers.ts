// SPDX-License-Identifier: Apache-2.0

/** Who is meant by the parts of policies that name peers: a part of the reference model (`policy-reference.ts`). */
export interface RefPeer {
  /** `source:key` to value; what an identity's labels are. Those of a node that is a subject are of source `node`. */
  readonly labels: { readonly [label: string]: string }
  readonly address?: string
  /** Outside the cluster: prefixes in Cilium's rules mean nobody else, unless an option says so. */
  readonly world?: true
  /** What pods had asked for when they were told its address. */
  readonly names?: readonly string[]
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

export type Any = { readonly [name: string]: unknown }
export const o = (v: unknown): Any => (v ?? {}) as Any
export const l = (v: unknown): readonly Any[] => (v ?? []) as readonly Any[]

/** What the agent's options say of policy. */
export interface RefOptions {
  readonly enablePolicy: 'default' | 'always' | 'never'
  readonly allowLocalhost: 'auto' | 'always' | 'policy'
  readonly policyAuditMode: boolean
  readonly policyCidrMatchMode: readonly string[]
  readonly enableNodeSelectorLabels: boolean
}

/** One question. With `lenient` policies in audit mode drop nothing. */
export interface Question {
  readonly objects: readonly Any[]
  readonly options: RefOptions
  readonly subject: RefPeer
  readonly direction: 'ingress' | 'egress'
  readonly peer: RefPeer
  readonly packet: RefPacket
  readonly lenient: boolean
}

export function clusterPeer(p: Any, who: RefPeer, q: Question): boolean {
  if (p['networks'])
    return meansAddress(who, q.options, true) && (p['networks'] as readonly string[]).some((c) => isInside(c, who))
  if (p['domainNames'])
    return (p['domainNames'] as readonly string[]).some((name) => {
      const text = name.toLowerCase().replace(/[.]$/, '')
      // Here a star is one label or more.
      return meansName(text.startsWith('*.') ? `*${text}` : text, who)
    })
  if (p['nodes']) return isNodeOf(o(p['nodes']), who, q.objects)
  if (who.labels['k8s:io.kubernetes.pod.namespace'] === undefined) return false
  const pods = o(p['pods'])
  const namespaces = o(p['namespaces'] ?? pods['namespaceSelector'])
  return (
    selector(namespaces, who, 'k8s', 'io.cilium.k8s.namespace.labels.') &&
    selector(o(pods['podSelector']), who, 'k8s', '')
  )
}

export function selector(
  s: Any,
  who: Pick<RefPeer, 'labels'>,
  source: 'any' | 'k8s' | 'node',
  keyPrefix: string,
): boolean {
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

export function kubernetesPeer(p: Any, namespace: string, peer: RefPeer, options: RefOptions): boolean {
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

export function ciliumPeer(kind: string, p: unknown, namespace: string, { peer, objects, options }: Question): boolean {
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
  if (kind === 'FQDNs') return meansName(String(o(p)['matchName'] ?? o(p)['matchPattern']), peer)
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

/** Outside only: an address of a pod or node is theirs, whatever an answer says. */
const meansName = (text: string, peer: RefPeer): boolean =>
  peer.world === true &&
  (peer.names ?? []).some((name) => {
    const [want, got] = [text.split('.'), name.split('.')]
    if (text === '*') return true
    if (want[0] === '**') return got.length >= want.length && got.slice(1 - want.length).join() === want.slice(1).join()
    return got.length === want.length && want.every((label, i) => label === '*' || label === got[i])
  })

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
