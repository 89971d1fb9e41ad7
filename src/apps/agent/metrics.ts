// SPDX-License-Identifier: Apache-2.0

import { maps as contract, EventKind, MetricReason } from '../../../gen/contract.ts'
import { podAddresses } from '../../derive/ipam/tables.ts'
import { cidrIdentities } from '../../derive/policy/cidrs.ts'
import { nameIdentities, nameSelectors } from '../../derive/policy/names.ts'
import { policyOverflows } from '../../derive/policy/overflow.ts'
import { endpointStatus } from '../../derive/status/tables.ts'
import { contractCounters } from '../../edge/kernel/map.ts'
import { dropText } from '../../flow/names.ts'
import { ciliumIdentities } from '../../model/rows.ts'
import { driftCount } from './drift.ts'
import { featureMetrics } from './feature-metrics.ts'
import { policyObjects } from './policies.ts'
import type { Parts } from './rest/parts.ts'

/** One sample, as `cilium-dbg metrics list -o json` prints it. */
export interface Metric {
  readonly name: string
  readonly value: number
  readonly labels?: { readonly [label: string]: string }
  readonly type: 'counter' | 'gauge'
}

const DIRECTIONS = ['INGRESS', 'EGRESS']

/** Reads everything anew; nothing is counted by the way but what the datapath and the ring buffer's reader count. */
export function collectMetrics(parts: Parts): readonly Metric[] {
  const { db, targets, maps, scope, calls, sweeps, revisions, dns } = parts
  const out: Metric[] = []
  const gauge = (name: string, value: number, labels?: Metric['labels']) =>
    out.push({ name: `cilium_${name}`, value, type: 'gauge', ...(labels ? { labels } : {}) })
  const counter = (name: string, value: number, labels?: Metric['labels']) =>
    out.push({ name: `cilium_${name}`, value, type: 'counter', ...(labels ? { labels } : {}) })

  for (const [index, counters] of contractCounters(contract.cilium_metrics, maps.map('cilium_metrics')).entries()) {
    const packets = counters.reduce((sum, c) => sum + c.packets, 0)
    if (packets === 0) continue
    const bytes = counters.reduce((sum, c) => sum + c.bytes, 0)
    const reason = index >> 2
    const direction = DIRECTIONS[index & 3] ?? 'UNKNOWN'
    if (reason === MetricReason.METRIC_FORWARDED) {
      counter('forward_count_total', packets, { direction })
      counter('forward_bytes_total', bytes, { direction })
    } else if (reason === MetricReason.METRIC_EVENTS_LOST) counter('bpf_events_lost_total', packets)
    else if (reason === MetricReason.METRIC_EVENTS_LIMITED)
      counter('bpf_ratelimit_dropped_total', packets, { usage: 'drops' })
    else if (reason >= 130) {
      counter('drop_count_total', packets, { reason: dropText(reason), direction })
      counter('drop_bytes_total', bytes, { reason: dropText(reason), direction })
    }
  }
  const kinds = new Map<number, number>()
  for (const total of parts.monitor.counter.totals()) kinds.set(total.kind, (kinds.get(total.kind) ?? 0) + total.events)
  for (const [kind, events] of kinds) counter('events_total', events, { kind: kindText(kind) })

  const states = new Map<string, number>()
  for (const e of db.all(endpointStatus)) states.set(e.state, (states.get(e.state) ?? 0) + 1)
  gauge('endpoint', db.count(endpointStatus))
  for (const [state, n] of states) gauge('endpoint_state', n, { state })
  gauge(
    'policy',
    policyObjects.reduce((sum, table) => sum + db.count(table), 0),
  )
  gauge('policy_max_revision', revisions.current())
  if (dns?.counts) {
    const { requests, refused, responses, failed, notAsked } = dns.counts
    const l7 = { received: requests, forwarded: responses, denied: refused, parse_errors: failed + notAsked }
    for (const [rule, count] of Object.entries(l7)) counter('policy_l7_total', count, { rule, proxy_type: 'fqdn' })
  }
  counter('policy_change_total', revisions.current() - 1)
  gauge('identity', db.count(ciliumIdentities), { type: 'cluster_local' })
  gauge('identity', db.count(cidrIdentities), { type: 'cidr' })
  gauge('identity', db.count(nameIdentities), { type: 'fqdn' })
  gauge('fqdn_selectors', db.count(nameSelectors))
  counter('fqdn_gc_deletions_total', parts.names.deleted)
  for (const family of ['ipv4', 'ipv6'] as const)
    gauge('ip_addresses', db.all(podAddresses).filter((a) => !a.key.startsWith('cursor') && a[family] !== '').length, {
      family,
    })
  for (const s of targets.statuses()) {
    gauge('table_rows', s.rows, { table: s.table })
    if (s.failed > 0) gauge('table_failed_rows', s.failed, { table: s.table })
  }
  gauge('policies_not_in_force', db.all(policyOverflows).length)
  counter('k8s_client_api_calls_total', calls.ok, { return_code: '2xx' })
  if (calls.failed > 0) counter('k8s_client_api_calls_total', calls.failed, { return_code: 'failed' })
  for (const [table, n] of parts.kubeHealth?.events ?? [])
    counter('kubernetes_events_received_total', n, { scope: table })
  counter('datapath_conntrack_gc_runs_total', sweeps.runs, { status: 'completed' })
  gauge('datapath_conntrack_gc_entries', sweeps.last.flows, { status: 'alive' })
  gauge('drift_checker_config_delta', driftCount(parts.drift()))
  gauge('controllers_failing', scope.health().filter((h) => h.error !== undefined).length)
  gauge('agent_resident_memory_bytes', process.memoryUsage.rss())
  for (const f of featureMetrics(parts.settings)) gauge(f.name, f.value, f.labels)
  gauge('version', 1, { version: parts.version })
  return out
}

const kindText = (kind: number): string =>
  Object.entries(EventKind)
    .find(([, n]) => n === kind)?.[0]
    ?.slice('EVENT_'.length)
    .toLowerCase() ?? String(kind)

/** Prometheus' text format 0.0.4. */
export function metricsText(metrics: readonly Metric[]): string {
  const lines: string[] = []
  let last = ''
  for (const m of [...metrics].sort((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0))) {
    if (m.name !== last) lines.push(`# TYPE ${m.name} ${m.type}`)
    last = m.name
    const labels = Object.entries(m.labels ?? {}).map(
      ([k, v]) => `${k}="${v.replace(/["\\\n]/g, (c) => (c === '\n' ? '\\n' : `\\${c}`))}"`,
    )
    lines.push(`${m.name}${labels.length > 0 ? `{${labels.join(',')}}` : ''} ${m.value}`)
  }
  return `${lines.join('\n')}\n`
}
