// SPDX-License-Identifier: Apache-2.0
/** `bpf policy get`: an endpoint's decision tables, read from the kernel and unfolded into lines. */
import { networkInterfaces } from 'node:os'
import { maps, OwnerFlags, type PolicyCell, type PolicyTable, PortSpace, Verdict } from '../../../gen/contract.ts'
import { address } from '../../base/ip.ts'
import { kernelClasses } from '../../edge/kernel/classes.ts'
import type { Agent } from './agent.ts'
import { descriptor, open, openCounters, pinsOf, sum } from './bpf.ts'
import { columns, print, printed } from './output.ts'

interface Line {
  readonly endpoint: number
  readonly policy: string
  readonly direction: string
  /** 0: every identity that no rule names. */
  readonly identity: number
  readonly port: string
  readonly proxyPort: number
  readonly rule: number
  readonly bytes: number
  readonly packets: number
}

const spaces = ['TCP', 'UDP', 'SCTP', 'ICMP', 'ICMPv6'] as const
const words: Readonly<Record<number, string>> = {
  [Verdict.VERDICT_ALLOW]: 'Allow',
  [Verdict.VERDICT_DENY]: 'Deny',
  [Verdict.VERDICT_REDIRECT]: 'Redirect',
  [Verdict.VERDICT_AUDIT]: 'Audit',
}

/** Reads tables, pages and cells, each once. */
function reader(pins: string) {
  const [tables, pages, cells] = [
    open(pins, maps.cilium_policy_tables),
    open(pins, maps.cilium_policy_pages),
    open(pins, maps.cilium_policy_cells),
  ]
  const classes = kernelClasses((name) => descriptor(pins, name))
  const seen = new Map<number, readonly number[]>()
  const page = (n: number): readonly number[] => {
    const known = seen.get(n) ?? pages.get(n)?.column ?? []
    seen.set(n, known)
    return known
  }
  return { tables, cells, page, classes }
}

/** Runs of ports with the same column, for one port space. */
function runs(
  table: PolicyTable,
  space: number,
  page: (n: number) => readonly number[],
): [from: number, to: number, column: number][] {
  const found: [number, number, number][] = []
  for (let high = 0; high < 256; high++) {
    const columnsOf = page(table.page[space]?.[high] ?? 0)
    for (let low = 0; low < 256; low++) {
      const [port, column] = [high * 256 + low, columnsOf[low] ?? 0]
      const last = found.at(-1)
      if (last !== undefined && last[2] === column) last[1] = port
      else found.push([port, port, column])
    }
  }
  return found
}

function portText(space: number, from: number, to: number): string {
  const name = spaces[space] ?? ''
  if (from === 0 && to === 65535) return `ANY/${name}`
  const icmp = space === PortSpace.PORTS_ICMP || space === PortSpace.PORTS_ICMPV6
  if (icmp) return `${from >> 8}${to >> 8 === from >> 8 ? '' : `-${to >> 8}`}/${name}`
  return from === to ? `${from}/${name}` : `${from}-${to}/${name}`
}

const same = (a: PolicyCell, b: PolicyCell): boolean => a.rule === b.rule && a.verdict === b.verdict

/** What a class of peers may do: one line for each run of ports with one answer. */
function answers(table: PolicyTable, cell: (column: number) => PolicyCell, page: (n: number) => readonly number[]) {
  const found: [port: string, cell: PolicyCell][] = []
  const other = cell(table.other)
  let everything = true
  for (let space = 0; space < spaces.length; space++) {
    const merged: [number, number, PolicyCell][] = []
    for (const [from, to, column] of runs(table, space, page)) {
      const c = cell(column)
      const last = merged.at(-1)
      if (last !== undefined && same(last[2], c)) last[1] = to
      else merged.push([from, to, c])
    }
    everything &&= merged.length === 1 && same((merged[0] as [number, number, PolicyCell])[2], other)
    for (const [from, to, c] of merged) found.push([portText(space, from, to), c])
  }
  return everything
    ? [['ANY', other] as [string, PolicyCell]]
    : [...found, ['other protocols', other] as [string, PolicyCell]]
}

/** The node itself, where it has a firewall: its addresses have a policy. */
function hostOf(pins: string): readonly { readonly endpoint: number; readonly policy: number }[] {
  const owners = open(pins, maps.cilium_owners)
  const addresses = Object.values(networkInterfaces()).flatMap((list) => list ?? [])
  for (const { address: own, internal } of addresses) {
    const owner = internal ? undefined : owners.get(address(own))
    if (owner && owner.flags & OwnerFlags.OWNER_HOST && owner.policy !== 0) return [owner]
  }
  return []
}

function linesOf(pins: string, wanted: number | undefined): Line[] {
  const { tables, cells, page, classes } = reader(pins)
  const policies = open(pins, maps.cilium_policies)
  const counters = openCounters(pins, maps.cilium_rule_counters)
  const lines: Line[] = []
  const pods = [...open(pins, maps.cilium_interfaces).entries()].map(([, at]) => at)
  for (const at of [...pods, ...hostOf(pins)]) {
    if (at.endpoint === 0 || (wanted !== undefined && at.endpoint !== wanted)) continue
    const policy = policies.get(at.policy)
    for (const [direction, number] of [
      ['Ingress', policy?.ingress ?? 0],
      ['Egress', policy?.egress ?? 0],
    ] as const) {
      const table = number === 0 ? undefined : tables.get(number)
      if (table === undefined) continue
      const peers = [[0, 0] as const, ...(classes.get(number) ?? [])]
      for (const [identity, group] of peers) {
        const cell = (column: number): PolicyCell =>
          cells.get(table.cells + group * table.columns + column) ?? {
            rule: 0,
            shadowRule: 0,
            verdict: 0,
            shadowVerdict: 0,
            proxyPort: 0,
          }
        for (const [port, c] of answers(table, cell, page)) {
          if (c.verdict === Verdict.VERDICT_NONE) continue
          const counted = c.rule === 0 ? { packets: 0, bytes: 0 } : sum(counters.get(c.rule) ?? [])
          lines.push({
            endpoint: at.endpoint,
            policy: words[c.verdict] ?? String(c.verdict),
            direction,
            identity,
            port,
            proxyPort: c.proxyPort,
            rule: c.rule,
            ...counted,
          })
        }
      }
    }
  }
  return lines
}

interface Options {
  readonly output?: string
  readonly numeric?: boolean
}

/** Of one endpoint, or of all when `id` is undefined. */
export async function policy(agent: Agent, id: string | undefined, options: Options, root: string): Promise<void> {
  if (id !== undefined && !/^\d+$/.test(id))
    throw new Error(`bpf policy get ${id}: an endpoint's number is expected (see: cilium-dbg endpoint list)`)
  const lines = linesOf(pinsOf(root), id === undefined ? undefined : Number(id))
  if (printed(lines, options.output)) return
  const identities = options.numeric
    ? []
    : await agent.get<readonly { id: number; labels: readonly string[] }[]>('/identity')
  const labels = new Map(identities.map((i) => [i.id, i.labels.join(',')]))
  const name = (n: number): string => (n === 0 ? 'ANY' : options.numeric ? String(n) : (labels.get(n) ?? String(n)))
  const head = [
    'POLICY',
    'DIRECTION',
    options.numeric ? 'IDENTITY' : 'LABELS (source:key[=value])',
    'PORT/PROTO',
    'PROXY PORT',
    'AUTH TYPE',
    'BYTES',
    'PACKETS',
    'RULE',
  ]
  const body = lines.map((l) => [
    l.policy,
    l.direction,
    name(l.identity),
    l.port,
    l.proxyPort === 0 ? 'NONE' : String(l.proxyPort),
    'disabled',
    String(l.bytes),
    String(l.packets),
    String(l.rule),
  ])
  print(columns([head, ...body]))
}
