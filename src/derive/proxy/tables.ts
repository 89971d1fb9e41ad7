// SPDX-License-Identifier: Apache-2.0

import { hash32 } from '../../base/hash.ts'
import type { CellsRow } from '../../model/datapath.ts'
import { objectKey } from '../../model/meta.ts'
import { ruleText } from '../../model/names.ts'
import type { DnsListenerRow, EnvoyRow, Layer7, ProxyPairRow } from '../../model/proxy.ts'
import { policySecrets, settings } from '../../model/rows.ts'
import { copyName } from '../../model/secret.ts'
import { allocate, deriveAll, deriveEach } from '../../table/definition.ts'
import { numbersByHash } from '../numbers.ts'
import { policyCellRows, policyPlaces } from '../policy/decisions.ts'
import type { Redirect } from '../policy/evaluate.ts'
import type { PlacedTable } from '../policy/tables.ts'
import { clusterRows } from './clusters.ts'
import { listenerRow, type Side } from './resources.ts'
import type { Layer7Entry } from './tls.ts'

/** A listener that some cell of a decision table leads to, or that two of them lead to together. */
export interface WantedListener {
  /** Says whose rules it carries, for whom and for which ports, but not what they ask of requests. */
  readonly key: string
  readonly side: Side
  /** Short, for Envoy and its log. */
  readonly name: string
  readonly kind: Layer7['kind']
  /** Of `both`, whose rules are HTTP's, first those of the egress. */
  readonly rules: readonly Redirect['rules'][]
  /** Of `both`: keys of the two. */
  readonly egress: string
  readonly ingress: string
}

/** More pairs than this are not made; connections that would need one are dropped. */
const mostPairs = 2048

/** Every redirection that a table in the kernel, or on its way there, names. */
export const wantedListeners = deriveAll<WantedListener>(
  'wantedListeners',
  [policyPlaces],
  {
    key: (l) => l.key,
    indexes: { name: (l) => [l.name] },
    columns: [
      ['LISTENER', (l) => l.name],
      ['RULES', (l) => [...new Set(l.rules.flat().map((r) => r.rule))].join(' ')],
    ],
  },
  (read) => {
    const found = new Map<string, { readonly redirect: Redirect; readonly ports: Set<string> }>()
    const tables = read.all(policyPlaces).filter((r): r is PlacedTable => r.kind === 'table')
    // What is wanted now says what is asked; what is on its way out has the last word only on what nobody else names.
    for (const t of [...tables.filter((r) => !r.retired), ...tables.filter((r) => r.retired)])
      for (const [key, ports] of portsOf(t)) {
        const redirect = t.decision.redirects.get(key)
        const there = found.get(key)
        if (there) for (const p of ports) there.ports.add(p)
        else if (redirect) found.set(key, { redirect, ports: new Set(ports) })
      }
    const out: WantedListener[] = []
    const of = (direction: Redirect['direction']) =>
      [...found.values()].filter((f) => f.redirect.direction === direction && f.redirect.kind === 'http')
    for (const { redirect } of found.values())
      out.push({
        key: redirect.key,
        side: redirect.direction,
        name: nameOf(redirect.direction, redirect.key),
        kind: redirect.kind,
        rules: [redirect.rules],
        egress: '',
        ingress: '',
      })
    let pairs = 0
    for (const e of of('egress'))
      for (const i of of('ingress')) {
        if (pairs >= mostPairs || !overlap(e.ports, i.ports)) continue
        pairs++
        const key = `both ${e.redirect.key} && ${i.redirect.key}`
        out.push({
          key,
          side: 'both',
          name: nameOf('both', key),
          kind: 'http',
          rules: [e.redirect.rules, i.redirect.rules],
          egress: e.redirect.key,
          ingress: i.redirect.key,
        })
      }
    return out
  },
)

const nameOf = (side: Side, key: string): string =>
  `${side}-${hash32(key).toString(16).padStart(8, '0')}${hash32(`${key}${key.length}`).toString(16).padStart(8, '0')}`

type PortsOf = ReadonlyMap<string, readonly string[]>
/** By cells: they stay while identities join and leave classes. */
const portsOfCells = new WeakMap<PlacedTable['decision']['cells'], PortsOf>()

/** For each redirection of a table the TCP ports, as runs `first-last`, for which some class has it. */
function portsOf({ decision: { columns, cells } }: PlacedTable): PortsOf {
  const known = portsOfCells.get(cells)
  if (known) return known
  const width = columns.entries.length
  const out = new Map<string, Set<number>>()
  for (const [n, cell] of cells.entries())
    if (cell.redirect !== undefined) {
      const there = out.get(cell.redirect)
      if (there) there.add(n % width)
      else out.set(cell.redirect, new Set([n % width]))
    }
  const runs = columns.runs[0] ?? []
  const ports = new Map(
    [...out].map(([key, of]) => [key, runs.filter((r) => of.has(r.column)).map((r) => `${r.first}-${r.last}`)]),
  )
  portsOfCells.set(cells, ports)
  return ports
}

function overlap(a: ReadonlySet<string>, b: ReadonlySet<string>): boolean {
  const ranges = (set: ReadonlySet<string>) => [...set].map((r) => r.split('-').map(Number) as [number, number])
  const others = ranges(b)
  return ranges(a).some(([first, last]) => others.some(([from, to]) => first <= to && from <= last))
}

/** The port of a listener: Cilium's range for proxies. */
export interface ProxyPort {
  readonly key: string
  readonly port: number
}

export const proxyPortRange = { first: 10000, last: 19999 } as const

export const proxyPorts = allocate<WantedListener, ProxyPort>(
  'proxyPorts',
  wantedListeners,
  {
    key: (p) => p.key,
    indexes: { port: (p) => [String(p.port)] },
    columns: [
      ['PORT', (p) => String(p.port)],
      ['REDIRECTION', (p) => p.key],
    ],
  },
  (wanted, held) => {
    const numbers = numbersByHash(
      wanted.map((w) => w.key),
      new Map(held.map((h) => [h.key, h.port])),
      proxyPortRange.first,
      proxyPortRange.last,
    )
    return wanted.flatMap(({ key }) => {
      const port = numbers.get(key)
      return port === undefined ? [] : [{ key, port }]
    })
  },
)

/** cilium_policy_cells with the ports that redirections have; 0, which drops, for those without. */
export const cellRows = deriveEach<CellsRow, CellsRow>(
  'proxiedCells',
  policyCellRows,
  { key: (c) => String(c.first) },
  (row, read) =>
    row.cells.some((c) => c.redirect !== undefined)
      ? [
          {
            first: row.first,
            cells: row.cells.map((c) =>
              c.redirect === undefined ? c : { ...c, proxyPort: read.get(proxyPorts, c.redirect)?.port ?? 0 },
            ),
          },
        ]
      : [row],
)

/** cilium_proxy_pairs */
export const proxyPairRows = deriveEach<WantedListener, ProxyPairRow>(
  'proxyPairs',
  wantedListeners,
  { key: (p) => `${p.egress} ${p.ingress}` },
  (l, read) => {
    if (l.side !== 'both') return []
    const [egress, ingress, port] = [l.egress, l.ingress, l.key].map((key) => read.get(proxyPorts, key)?.port)
    return egress && ingress && port ? [{ egress, ingress, port }] : []
  },
)

/** Where listeners send on to; in Envoy before any listener. */
export const envoyClusters = deriveAll<EnvoyRow>('envoyClusters', [wantedListeners], { key: (r) => r.key }, (read) =>
  read.all(wantedListeners).some((l) => l.kind === 'http') ? clusterRows : [],
)

/** What Envoy shall have for each listener. */
export const envoyListeners = deriveEach<WantedListener, EnvoyRow>(
  'envoyListeners',
  wantedListeners,
  {
    key: (r) => r.key,
    columns: [['LISTENER', (r) => r.key]],
  },
  (l, read) => {
    const config = read.get(settings, 'settings')
    const port = read.get(proxyPorts, l.key)?.port
    const decidedPort = l.side === 'both' ? read.get(proxyPorts, l.ingress)?.port : port
    if (!config || !port || !decidedPort || l.kind !== 'http') return []
    return [
      listenerRow(
        { name: l.name, side: l.side, port, decidedPort, rules: l.rules.map(httpEntries) },
        { ipv4: config.enableIpv4, ipv6: config.enableIpv6 },
        (ref) => {
          const namespace = config.policySecretsNamespace
          if (namespace === '') return undefined
          // Secrets of other namespaces are copied to the one that agents may read.
          const name = ref.namespace === namespace ? ref.name : copyName(ref)
          const found = read.get(policySecrets, objectKey({ namespace, name }))
          const { owner } = found ?? {}
          return owner && (owner.namespace !== ref.namespace || owner.name !== ref.name) ? undefined : found
        },
      ),
    ]
  },
)

const httpEntries = (rules: Redirect['rules']): readonly Layer7Entry[] =>
  rules.flatMap(({ rule, layer7 }) =>
    layer7.kind === 'http' ? [{ rule, http: layer7.http, ...(layer7.tls ? { tls: layer7.tls } : {}) }] : [],
  )

/** What the DNS proxy shall have for each listener. */
export const dnsListeners = deriveEach<WantedListener, DnsListenerRow>(
  'dnsListeners',
  wantedListeners,
  {
    key: (r) => r.name,
    columns: [
      ['LISTENER', (r) => r.name],
      ['PORT', (r) => String(r.port)],
      ['RULES', (r) => r.rules.flatMap((e) => e.dns.map(ruleText)).join(' ')],
    ],
  },
  (l, read) => {
    const config = read.get(settings, 'settings')
    const port = read.get(proxyPorts, l.key)?.port
    if (!config || !port || l.kind !== 'dns') return []
    const rules = l.rules.flat().flatMap(({ rule, layer7 }) => {
      if (layer7.kind !== 'dns') return []
      return [{ rule, dns: layer7.dns.length > 0 ? layer7.dns : [{ matchPattern: '*' }] }]
    })
    return [{ name: l.name, port, rules, refuse: config.tofqdnsDnsRejectResponseCode }]
  },
)
