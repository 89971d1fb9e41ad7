// SPDX-License-Identifier: Apache-2.0
/** The commands that ask for one list and print it. */
import type { Agent } from './agent.ts'
import { columns, print, printed, stacked } from './output.ts'

interface Identity {
  readonly id: number
  readonly labels: readonly string[]
}
export async function identities(agent: Agent, output: string | undefined): Promise<void> {
  const found = await agent.get<readonly Identity[]>('/identity')
  if (printed(found, output)) return
  const rows = [...found].sort((a, b) => a.id - b.id).flatMap((i) => stacked([String(i.id)], i.labels))
  print(columns([['ID', 'LABELS'], ...rows]))
}
export async function identity(agent: Agent, id: string, output: string | undefined): Promise<void> {
  const found = await agent.get<Identity>(`/identity/${encodeURIComponent(id)}`)
  if (printed([found], output)) return
  print(columns([['ID', 'LABELS'], ...stacked([String(found.id)], found.labels)]))
}

interface Policy {
  readonly revision: number
  readonly policy: string
}
export async function policy(agent: Agent, labels: readonly string[], output: string | undefined): Promise<void> {
  const found = await agent.get<Policy>(
    `/policy${labels.length > 0 ? `?labels=${encodeURIComponent(labels.join(','))}` : ''}`,
  )
  if (printed(found, output)) return
  print(`${found.policy}\nRevision: ${found.revision}`)
}

interface Selector {
  readonly selector: string
  readonly labels?: readonly string[]
  readonly users?: number
  readonly identities?: readonly number[]
}
export async function selectors(agent: Agent, output: string | undefined): Promise<void> {
  const found = await agent.get<readonly Selector[]>('/policy/selectors')
  if (printed(found, output)) return
  const rows = found.flatMap((s) =>
    stacked([s.selector, (s.labels ?? []).join(','), String(s.users ?? 0)], (s.identities ?? []).map(String)),
  )
  print(columns([['SELECTOR', 'LABELS', 'USERS', 'IDENTITIES'], ...rows]))
}

interface Node {
  readonly name: string
  readonly 'primary-address'?: Addressing
  readonly 'health-endpoint-address'?: Addressing
  readonly source?: string
}
interface Addressing {
  readonly ipv4?: Element
  readonly ipv6?: Element
}
interface Element {
  readonly ip?: string
  readonly 'alloc-range'?: string
}
export async function nodes(agent: Agent, output: string | undefined): Promise<void> {
  const found = await agent.get<{ readonly 'nodes-added'?: readonly Node[] }>('/cluster/nodes')
  if (printed(found, output)) return
  const rows = (found['nodes-added'] ?? []).map((n) => {
    const [v4, v6] = [n['primary-address']?.ipv4, n['primary-address']?.ipv6]
    return [n.name, v4?.ip ?? '', v4?.['alloc-range'] ?? '', v6?.ip ?? '', v6?.['alloc-range'] ?? '', n.source ?? '']
  })
  print(columns([['Name', 'IPv4 Address', 'Endpoint CIDR', 'IPv6 Address', 'Endpoint CIDR', 'Source'], ...rows]))
}

interface Address {
  readonly cidr: string
  readonly identity: number
  readonly metadata?: { readonly source?: string }
}
export async function addresses(agent: Agent, output: string | undefined): Promise<void> {
  const found = await agent.get<readonly Address[]>('/ip')
  if (printed(found, output)) return
  print(
    columns([
      ['IP', 'IDENTITY', 'SOURCE'],
      ...found.map((a) => [a.cidr, String(a.identity), a.metadata?.source ?? '']),
    ]),
  )
}

interface Frontend {
  readonly ip: string
  readonly port: number
  readonly protocol: string
}
interface Backend {
  readonly ip: string
  readonly port?: number
  readonly protocol?: string
  readonly state?: string
}
interface Service {
  readonly spec: {
    readonly id: number
    readonly 'frontend-address': Frontend
    readonly flags?: { readonly type?: string; readonly name?: string; readonly namespace?: string }
    readonly 'backend-addresses'?: readonly Backend[]
  }
}
const hostPort = (ip: string, port: number | undefined): string =>
  ip.includes(':') ? `[${ip}]:${port}` : `${ip}:${port}`
export async function services(agent: Agent, output: string | undefined): Promise<void> {
  const found = await agent.get<readonly Service[]>('/service')
  if (printed(found, output)) return
  const rows = found.flatMap(({ spec }) => {
    const at = spec['frontend-address']
    const backends = (spec['backend-addresses'] ?? []).map(
      (b, i) => `${i + 1} => ${hostPort(b.ip, b.port)}/${b.protocol ?? at.protocol} (${b.state ?? 'active'})`,
    )
    return stacked([String(spec.id), `${hostPort(at.ip, at.port)}/${at.protocol}`, spec.flags?.type ?? ''], backends)
  })
  print(columns([['ID', 'Frontend', 'Service Type', 'Backend'], ...rows]))
}

interface MapInfo {
  readonly path: string
  readonly 'num-entries'?: number
  readonly 'num-errors'?: number
}
export async function maps(agent: Agent, output: string | undefined): Promise<void> {
  const found = await agent.get<{ readonly maps?: readonly MapInfo[] }>('/map')
  if (printed(found, output)) return
  const rows = (found.maps ?? []).map((m) => [
    m.path.split('/').at(-1) ?? '',
    String(m['num-entries'] ?? 0),
    String(m['num-errors'] ?? 0),
    String(m['num-entries'] !== undefined),
  ])
  print(columns([['Name', 'Num entries', 'Num errors', 'Cache enabled'], ...rows]))
}
interface MapEntry {
  readonly key: string
  readonly value: string
  readonly 'desired-action'?: string
  readonly 'last-error'?: string
}
export async function map(agent: Agent, name: string, output: string | undefined): Promise<void> {
  const found = await agent.get<{ readonly cache?: readonly MapEntry[] }>(`/map/${encodeURIComponent(name)}`)
  if (printed(found, output)) return
  const rows = (found.cache ?? []).map((e) => [e.key, e.value, e['desired-action'] ?? 'sync', e['last-error'] ?? ''])
  print(columns([['Key', 'Value', 'State', 'Error'], ...rows]))
}

interface Metric {
  readonly name: string
  readonly value: number
  readonly labels?: Readonly<Record<string, string>>
}
export async function metrics(agent: Agent, pattern: string | undefined, output: string | undefined): Promise<void> {
  const all = (await agent.get<readonly Metric[]>('/metrics/')) ?? []
  const wanted = pattern === undefined ? undefined : new RegExp(pattern)
  const found = all.filter((m) => wanted?.test(m.name) ?? true)
  if (printed(found, output)) return
  const labels = (m: Metric): string =>
    Object.entries(m.labels ?? {})
      .map(([k, v]) => `${k}="${v}"`)
      .join(' ')
  print(columns([['Metric', 'Labels', 'Value'], ...found.map((m) => [m.name, labels(m), m.value.toFixed(6)])]))
}
