// SPDX-License-Identifier: Apache-2.0
import { isMap, type KubeObject } from '../../../protocol/kubeapi/object.ts'
import { invalid, wrongValue } from '../../../protocol/kubeapi/status.ts'
import type { Store } from './store.ts'

/** Ranges that services get addresses from; the first family is the cluster's primary one. */
export interface ServiceRanges {
  readonly ranges: readonly ServiceRange[]
}

export interface ServiceRange {
  readonly family: 'IPv4' | 'IPv6'
  /** Everything before the last 16 bits, in the text form that a number is put behind: `10.96.` or `fd00:10:96::`. */
  readonly prefix: string
}

export const dualStack: ServiceRanges = {
  ranges: [
    { family: 'IPv4', prefix: '10.96.' },
    { family: 'IPv6', prefix: 'fd00:10:96::' },
  ],
}
export const ipv6Only: ServiceRanges = { ranges: [{ family: 'IPv6', prefix: 'fd00:10:96::' }] }

const address = ({ family, prefix }: ServiceRange, n: number): string =>
  family === 'IPv4' ? `${prefix}${n >> 8}.${n & 255}` : `${prefix}${n.toString(16)}`
const familyOf = (ip: string): 'IPv4' | 'IPv6' => (ip.includes(':') ? 'IPv6' : 'IPv4')
const service = { group: '', plural: 'services', kind: 'Service' }

interface Spec extends Record<string, unknown> {
  readonly type?: string
  readonly clusterIP?: string
  readonly clusterIPs?: readonly string[]
  readonly ipFamilies?: readonly ('IPv4' | 'IPv6')[]
  readonly ipFamilyPolicy?: string
  readonly externalTrafficPolicy?: string
  readonly healthCheckNodePort?: number
  readonly ports?: readonly Record<string, unknown>[]
}

/** A service with its cluster addresses and node ports; what it has already it keeps. Throws Invalid. */
export function allocateService(
  ranges: ServiceRanges,
  object: KubeObject,
  old: KubeObject | undefined,
  store: Store,
): KubeObject {
  const spec = (object['spec'] ?? {}) as Spec
  if (spec.type === 'ExternalName') {
    const { clusterIP: _, clusterIPs: __, ipFamilies: ___, ipFamilyPolicy: ____, ...rest } = spec
    return { ...object, spec: rest }
  }
  const before = (isMap(old?.['spec']) ? old['spec'] : {}) as Spec
  const others = store
    .list('services')
    .filter((s) => s.metadata.uid !== object.metadata.uid)
    .map((s) => (s['spec'] ?? {}) as Spec)
  const addressed = withAddresses(ranges, object.metadata.name!, spec, before, others)
  return { ...object, spec: withNodePorts(object.metadata.name!, addressed, before, others) }
}

function withAddresses(
  { ranges }: ServiceRanges,
  name: string,
  spec: Spec,
  before: Spec,
  others: readonly Spec[],
): Spec {
  const asked = spec.clusterIPs ?? (spec.clusterIP ? [spec.clusterIP] : [])
  const held = asked.length > 0 ? asked : (before.clusterIPs ?? [])
  const policy =
    spec.ipFamilyPolicy ??
    before.ipFamilyPolicy ??
    (Math.max(held.length, spec.ipFamilies?.length ?? 0) > 1 ? 'RequireDualStack' : 'SingleStack')
  const known =
    spec.ipFamilies ?? (held.length > 0 && held[0] !== 'None' ? held.map(familyOf) : before.ipFamilies) ?? []
  const primary = known[0] ?? ranges[0]!.family
  const wanted =
    policy === 'SingleStack' ? [primary] : [primary, ...ranges.map((r) => r.family).filter((f) => f !== primary)]
  for (const family of wanted) {
    if (!ranges.some((r) => r.family === family)) {
      throw invalid(service, name, [wrongValue('spec.ipFamilies[0]', family, 'not configured on this cluster')])
    }
  }
  if (policy === 'RequireDualStack' && wanted.length < 2) {
    throw invalid(service, name, [
      wrongValue('spec.ipFamilyPolicy', policy, 'this cluster is not configured for dual-stack services'),
    ])
  }
  const base = { ...spec, ipFamilyPolicy: policy, ipFamilies: wanted }
  if (held[0] === 'None') return { ...base, clusterIP: 'None', clusterIPs: ['None'] }
  const used = new Set(others.flatMap((s) => s.clusterIPs ?? []))
  const clusterIPs = wanted.map((family) => {
    const given = held.find((ip) => familyOf(ip) === family)
    const range = ranges.find((r) => r.family === family)!
    if (given === undefined) return free(range, used)
    if (used.has(given))
      throw invalid(service, name, [
        wrongValue('spec.clusterIPs', [given], 'failed to allocate IP: provided IP is already allocated'),
      ])
    if (!given.startsWith(range.prefix)) {
      throw invalid(service, name, [
        wrongValue(
          'spec.clusterIPs',
          [given],
          `the provided IP is not in the valid range, which begins with ${range.prefix}`,
        ),
      ])
    }
    return given
  })
  return { ...base, clusterIP: clusterIPs[0]!, clusterIPs }
}

/** The lowest free address; the first ten are left for those who ask for one, such as DNS. */
function free(range: ServiceRange, used: ReadonlySet<string>): string {
  for (let n = 11; n < 65_535; n++) {
    const ip = address(range, n)
    if (!used.has(ip)) return ip
  }
  throw invalid(service, '', [wrongValue('spec.clusterIPs', [], 'failed to allocate IP: the range is full')])
}

function withNodePorts(name: string, spec: Spec, before: Spec, others: readonly Spec[]): Spec {
  const wants =
    spec.type === 'NodePort' || (spec.type === 'LoadBalancer' && spec['allocateLoadBalancerNodePorts'] !== false)
  const { healthCheckNodePort, ...rest } = spec
  if (!wants) {
    const keep = spec.type === 'LoadBalancer'
    return { ...rest, ...(spec.ports && !keep ? { ports: spec.ports.map(({ nodePort: _, ...p }) => p) } : {}) }
  }
  const keyOf = (p: Record<string, unknown>) => `${p['protocol']}/${p['nodePort']}`
  const used = new Set(others.flatMap((s) => (s.ports ?? []).filter((p) => p['nodePort']).map(keyOf)))
  const numbers = new Set(others.flatMap((s) => [...(s.ports ?? []).map((p) => p['nodePort']), s.healthCheckNodePort]))
  let next = 30_000
  const fresh = (): number => {
    while (numbers.has(next)) next++
    if (next > 32_767)
      throw invalid(service, name, [wrongValue('spec.ports', next, 'no node port is free in 30000-32767')])
    numbers.add(next)
    return next
  }
  for (const p of spec.ports ?? []) if (p['nodePort']) numbers.add(p['nodePort'])
  const ports = (spec.ports ?? []).map((p, i) => {
    const same = before.ports?.find((b) => b['port'] === p['port'] && b['protocol'] === p['protocol'])
    const nodePort = p['nodePort'] || same?.['nodePort'] || fresh()
    const made = { ...p, nodePort }
    if (used.has(keyOf(made)))
      throw invalid(service, name, [
        wrongValue(`spec.ports[${i}].nodePort`, nodePort, 'provided port is already allocated'),
      ])
    if (typeof nodePort !== 'number' || nodePort < 30_000 || nodePort > 32_767) {
      throw invalid(service, name, [
        wrongValue(
          `spec.ports[${i}].nodePort`,
          nodePort,
          'provided port is not in the valid range. The range of valid ports is 30000-32767',
        ),
      ])
    }
    return made
  })
  const local = spec.type === 'LoadBalancer' && spec.externalTrafficPolicy === 'Local'
  return {
    ...rest,
    ports,
    ...(local ? { healthCheckNodePort: healthCheckNodePort || before.healthCheckNodePort || fresh() } : {}),
  }
}
