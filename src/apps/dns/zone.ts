// SPDX-License-Identifier: Apache-2.0
import type { Answer, Question } from 'dns-packet'

/** What the zone has to know of a Service. */
export interface ServiceFacts {
  readonly namespace: string
  readonly name: string
  /** Empty for headless services and for type ExternalName. */
  readonly clusterIPs: readonly string[]
  readonly externalName?: string
  readonly publishNotReady: boolean
  readonly ports: readonly { readonly name: string; readonly protocol: string; readonly port: number }[]
}

/** What the zone has to know of an EndpointSlice. */
export interface SliceFacts {
  readonly namespace: string
  readonly name: string
  readonly service: string
  readonly endpoints: readonly {
    readonly addresses: readonly string[]
    readonly hostname?: string
    readonly ready: boolean
  }[]
  readonly ports: readonly { readonly name: string; readonly protocol: string; readonly port: number }[]
}

/** An answer of the zone; `alias` asks the caller to resolve that name outside the zone and append it. */
export interface Reply {
  readonly code: 'NOERROR' | 'NXDOMAIN'
  readonly answers: readonly Answer[]
  readonly additionals: readonly Answer[]
  readonly alias?: string
}

/** Answers questions about one cluster domain from services and endpoint slices (Kubernetes DNS specification 1.1.0). */
export interface Zone {
  readonly domain: string
  setService(service: ServiceFacts): void
  removeService(namespace: string, name: string): void
  setSlice(slice: SliceFacts): void
  removeSlice(namespace: string, name: string): void
  /** Undefined when the name is neither in the domain nor the reverse name of an address the zone knows. */
  answer(question: Question): Reply | undefined
  /** The start-of-authority record, for the authority section of empty answers. */
  authority(): Answer
}

const ttl = 5

export const createZone = (domain: string): Zone => {
  const services = new Map<string, ServiceFacts>()
  const slices = new Map<string, Map<string, SliceFacts>>()
  const sliceService = new Map<string, string>()
  let reverse: Map<string, string[]> | undefined

  const endpointsOf = (service: ServiceFacts) =>
    [...(slices.get(key(service.namespace, service.name))?.values() ?? [])].flatMap((slice) =>
      slice.endpoints
        .filter((e) => e.ready || service.publishNotReady)
        .flatMap((e) =>
          e.addresses.map((address) => ({ address, label: e.hostname ?? dashed(address), ports: slice.ports })),
        ),
    )

  const reverseNames = () => {
    if (reverse) return reverse
    reverse = new Map()
    const add = (address: string, name: string) => {
      const at = reverseName(address)
      const names = reverse?.get(at)
      if (names) names.push(name)
      else reverse?.set(at, [name])
    }
    for (const s of services.values()) {
      const base = `${s.name}.${s.namespace}.svc.${domain}`
      for (const address of s.clusterIPs) add(address, base)
      for (const e of endpointsOf(s)) add(e.address, `${e.label}.${base}`)
    }
    return reverse
  }

  const serviceAnswer = (question: Question, name: string, path: readonly string[], service: ServiceFacts): Reply => {
    const base = `${service.name}.${service.namespace}.svc.${domain}`
    const headless = service.clusterIPs.length === 0
    if (service.externalName !== undefined) {
      if (path.length > 0) return nothing
      const alias = service.externalName.replace(/\.$/, '')
      return { ...empty, answers: [{ type: 'CNAME', name, ttl, data: alias }], alias }
    }
    const endpoints = headless || path.length > 0 ? endpointsOf(service) : []
    if (path.length === 0) {
      if (question.type === 'SRV') return ports(name, base, service, endpoints, headless, () => true)
      const found = headless ? endpoints.map((e) => e.address) : service.clusterIPs
      return { ...empty, answers: addresses(question.type, name, found) }
    }
    if (path.length === 2 && path[0]?.startsWith('_') && path[1]?.startsWith('_')) {
      const [port, protocol] = [path[0].slice(1), path[1].slice(1)]
      const all = ports(
        name,
        base,
        service,
        endpoints,
        headless,
        (p) => p.name === port && p.protocol.toLowerCase() === protocol,
      )
      if (all.answers.length === 0) return nothing
      return question.type === 'SRV' ? all : empty
    }
    const named = path.length === 1 ? endpoints.filter((e) => e.label === path[0]) : []
    if (named.length === 0) return nothing
    return {
      ...empty,
      answers: addresses(
        question.type,
        name,
        named.map((e) => e.address),
      ),
    }
  }

  const inside = (question: Question, name: string): Reply => {
    const path = name
      .slice(0, Math.max(0, name.length - domain.length - 1))
      .split('.')
      .filter((l) => l !== '')
    const kind = path.pop()
    if (kind === undefined) return empty
    if (kind === 'dns-version' && path.length === 0)
      return { ...empty, answers: question.type === 'TXT' ? [{ type: 'TXT', name, ttl, data: '1.1.0' }] : [] }
    const namespace = path.pop()
    if (kind === 'pod') {
      const label = path.pop()
      if (label === undefined) return empty
      const address = path.length === 0 ? undashed(label) : undefined
      return address === undefined ? nothing : { ...empty, answers: addresses(question.type, name, [address]) }
    }
    if (kind !== 'svc') return nothing
    if (namespace === undefined) return empty
    const service = path.pop()
    if (service === undefined) return [...services.values()].some((s) => s.namespace === namespace) ? empty : nothing
    const found = services.get(key(namespace, service))
    return found ? serviceAnswer(question, name, path, found) : nothing
  }

  return {
    domain,
    setService: (s) => {
      services.set(key(s.namespace, s.name), s)
      reverse = undefined
    },
    removeService: (namespace, name) => {
      services.delete(key(namespace, name))
      reverse = undefined
    },
    setSlice: (s) => {
      const [at, owner] = [key(s.namespace, s.name), key(s.namespace, s.service)]
      const before = sliceService.get(at)
      if (before !== undefined && before !== owner) slices.get(before)?.delete(at)
      sliceService.set(at, owner)
      slices.set(owner, (slices.get(owner) ?? new Map()).set(at, s))
      reverse = undefined
    },
    removeSlice: (namespace, name) => {
      const at = key(namespace, name)
      slices.get(sliceService.get(at) ?? '')?.delete(at)
      sliceService.delete(at)
      reverse = undefined
    },
    answer: (question) => {
      const name = question.name.toLowerCase().replace(/\.$/, '')
      if (name === domain || name.endsWith(`.${domain}`)) return inside(question, name)
      const names = name.endsWith('.arpa') ? reverseNames().get(name) : undefined
      if (!names) return undefined
      const wanted = question.type === 'PTR' || question.type === 'ANY'
      return { ...empty, answers: wanted ? names.map((data) => ({ type: 'PTR' as const, name, ttl, data })) : [] }
    },
    authority: () => ({
      type: 'SOA',
      name: domain,
      ttl,
      data: {
        mname: `ns.dns.${domain}`,
        rname: `hostmaster.${domain}`,
        serial: 1,
        refresh: 7200,
        retry: 1800,
        expire: 86400,
        minimum: ttl,
      },
    }),
  }
}

const empty: Reply = { code: 'NOERROR', answers: [], additionals: [] }
const nothing: Reply = { code: 'NXDOMAIN', answers: [], additionals: [] }
const key = (namespace: string, name: string) => `${namespace}/${name}`
const isV6 = (address: string) => address.includes(':')

const addresses = (type: string, name: string, found: readonly string[]): Answer[] =>
  found
    .filter((a) => type === 'ANY' || type === (isV6(a) ? 'AAAA' : 'A'))
    .map((data) => ({ type: isV6(data) ? 'AAAA' : 'A', name, ttl, data }))

type Port = ServiceFacts['ports'][number]

const ports = (
  name: string,
  base: string,
  service: ServiceFacts,
  endpoints: readonly { readonly address: string; readonly label: string; readonly ports: readonly Port[] }[],
  headless: boolean,
  wanted: (port: Port) => boolean,
): Reply => {
  const targets = headless
    ? endpoints.flatMap((e) =>
        e.ports.filter(wanted).map((p) => ({ port: p.port, target: `${e.label}.${base}`, address: e.address })),
      )
    : service.ports.filter(wanted).map((p) => ({ port: p.port, target: base, address: undefined }))
  const seen = new Set<string>()
  const answers: Answer[] = []
  for (const { port, target } of targets) {
    if (seen.has(`${target}:${port}`)) continue
    seen.add(`${target}:${port}`)
    answers.push({
      type: 'SRV',
      name,
      ttl,
      data: { priority: 0, weight: Math.max(1, Math.floor(100 / targets.length)), port, target },
    })
  }
  const additionals = headless
    ? targets.flatMap((t) => addresses('ANY', t.target, t.address === undefined ? [] : [t.address]))
    : addresses('ANY', base, answers.length > 0 ? service.clusterIPs : [])
  return { code: 'NOERROR', answers, additionals }
}

/** `10.0.0.1` → `10-0-0-1`, `fd00::1` → `fd00--1`. */
const dashed = (address: string) => address.replace(/[.:]/g, '-')

const undashed = (label: string): string | undefined => {
  if (/^\d{1,3}(-\d{1,3}){3}$/.test(label)) {
    const parts = label.split('-').map(Number)
    return parts.every((p) => p <= 255) ? parts.join('.') : undefined
  }
  const text = label.replaceAll('-', ':')
  return hexGroups(text) === undefined ? undefined : text
}

/** The eight groups of an IPv6 address in text, undefined when it is not one. */
const hexGroups = (text: string): readonly string[] | undefined => {
  const [head, tail, more] = text.split('::')
  if (head === undefined || more !== undefined) return undefined
  const list = (s: string | undefined) => (s ? s.split(':') : [])
  const [a, b] = [list(head), list(tail)]
  const gap = 8 - a.length - b.length
  if (tail === undefined ? gap !== 0 : gap < 1) return undefined
  const groups = [...a, ...Array<string>(gap).fill('0'), ...b]
  return groups.every((g) => /^[0-9a-f]{1,4}$/i.test(g)) ? groups : undefined
}

/** The name under in-addr.arpa or ip6.arpa (RFC 1035 3.5, RFC 3596 2.5). */
export const reverseName = (address: string): string => {
  if (!isV6(address)) return `${address.split('.').reverse().join('.')}.in-addr.arpa`
  const digits = (hexGroups(address) ?? []).map((g) => g.padStart(4, '0')).join('')
  return `${[...digits.toLowerCase()].reverse().join('.')}.ip6.arpa`
}
