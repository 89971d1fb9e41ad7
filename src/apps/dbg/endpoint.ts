// SPDX-License-Identifier: Apache-2.0
import type { Agent } from './agent.ts'
import { columns, print, printed, stacked } from './output.ts'

/** The parts of the agent's endpoint model that are printed. */
export interface Endpoint {
  readonly id: number
  readonly status: {
    readonly state: string
    readonly identity?: { readonly id: number; readonly labels: readonly string[] }
    readonly networking?: { readonly addressing: readonly { readonly ipv4?: string; readonly ipv6?: string }[] }
    readonly policy?: {
      readonly realized?: { readonly 'policy-enabled'?: string; readonly 'policy-revision'?: number }
    }
    readonly health?: { readonly [part: string]: string | boolean }
    readonly log?: readonly LogEntry[]
  }
}
interface LogEntry {
  readonly timestamp: string
  readonly code: string
  readonly state: string
  readonly message: string
}

/** 'Enabled' or 'Disabled', with '(Audit)' where the endpoint only reports what it would deny. */
function enforcement(e: Endpoint, direction: 'ingress' | 'egress'): string {
  const enabled = e.status.policy?.realized?.['policy-enabled'] ?? 'none'
  const audit = enabled.startsWith('audit')
  const on = [direction, 'both', `audit-${direction}`, 'audit-both'].includes(enabled)
  return on ? (audit ? 'Disabled (Audit)' : 'Enabled') : 'Disabled'
}

export async function list(agent: Agent, output: string | undefined, headers: boolean): Promise<void> {
  const endpoints = await agent.get<readonly Endpoint[]>('/endpoint')
  if (printed(endpoints, output)) return
  const head = [
    [
      'ENDPOINT',
      'POLICY (ingress)',
      'POLICY (egress)',
      'IDENTITY',
      'LABELS (source:key[=value])',
      'IPv6',
      'IPv4',
      'STATUS',
    ],
    ['', 'ENFORCEMENT', 'ENFORCEMENT', '', '', '', '', ''],
  ]
  const rows = [...endpoints]
    .sort((a, b) => a.id - b.id)
    .flatMap((e) => {
      const at = e.status.networking?.addressing[0]
      const identity = e.status.identity
      return stacked(
        [
          String(e.id),
          enforcement(e, 'ingress'),
          enforcement(e, 'egress'),
          identity ? String(identity.id) : '<no label id>',
        ],
        identity?.labels ?? ['no labels'],
        [at?.ipv6 ?? '', at?.ipv4 ?? '', e.status.state],
      )
    })
  print(columns(headers ? [...head, ...rows] : rows))
}

export async function get(agent: Agent, id: string, output: string | undefined): Promise<void> {
  const endpoint = await agent.get<Endpoint>(`/endpoint/${encodeURIComponent(id)}`)
  if (!printed([endpoint], output)) print(JSON.stringify([endpoint], undefined, 2))
}

export async function health(agent: Agent, id: string, output: string | undefined): Promise<void> {
  const h = await agent.get<Record<string, unknown>>(`/endpoint/${encodeURIComponent(id)}/healthz`)
  if (printed(h, output)) return
  print(
    columns([
      ['Overall Health:', String(h['overallHealth'])],
      ['BPF Health:', String(h['bpf'])],
      ['Policy Health:', String(h['policy'])],
      ['Connected:', h['connected'] ? 'yes' : 'no'],
    ]),
  )
}

export async function log(agent: Agent, id: string, output: string | undefined): Promise<void> {
  const entries = await agent.get<readonly LogEntry[]>(`/endpoint/${encodeURIComponent(id)}/log`)
  if (printed(entries, output)) return
  print(
    columns([
      ['Timestamp', 'Status', 'State', 'Message'],
      ...entries.map((e) => [e.timestamp, e.code, e.state, e.message]),
    ]),
  )
}
