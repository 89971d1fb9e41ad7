// SPDX-License-Identifier: Apache-2.0
import { mkdirSync } from 'node:fs'
import { envoyClusters, envoyListeners, type ProxyPort, proxyPortRange } from '../../derive/proxy/tables.ts'
import { readIfThere, writeWhole } from '../../edge/disk/files.ts'
import { bootstrap, runtimeResource, sockets } from '../../edge/envoy/bootstrap.ts'
import { type EnvoyControl, openEnvoy } from '../../edge/envoy/control.ts'
import { writeSysctl } from '../../edge/kernel/namespace.ts'
import { createRule, deleteRule, linkByName, type Netlink, putRoute, rules } from '../../edge/kernel/netlink.ts'
import { KernelError } from '../../edge/kernel/syscall.ts'
import { type EnvoyRow, requestsToldKey } from '../../model/proxy.ts'
import { settings } from '../../model/rows.ts'
import { deriveAll, deriveEach } from '../../table/definition.ts'
import type { Outcome, Target } from '../../table/target.ts'
import { HOST_DEVICE, NET_DEVICE } from './datapath.ts'
import type { Log } from './log.ts'
import { nodeFacts } from './node-facts.ts'
import type { RequestLog } from './requests.ts'

/** What a status tells when the rows of the proxy fail because nobody answers. */
const ABSENT =
  'no Envoy is connected, so connections with L7 rules are dropped: run DaemonSet cilium-envoy (in a lab: tools/envoy.sh fetches it, then start the lab anew)'

/** Opens the agent's side of Envoy and writes what Envoy is to be started with. It serves once everything is known. */
export function openProxy(stateDir: string, nodeName: string, requests: RequestLog): EnvoyControl {
  const { xds } = sockets(stateDir)
  mkdirSync(`${stateDir}/envoy/sockets`, { recursive: true, mode: 0o755 })
  writeWhole(`${stateDir}/envoy/bootstrap.json`, JSON.stringify(bootstrap(stateDir, nodeName), undefined, 1))
  const envoy = openEnvoy({ path: xds, access: requests, absent: ABSENT })
  requests.onWanted((wanted) => envoy.give(runtimeResource({ [requestsToldKey]: wanted ? 100 : 0 })))
  return envoy
}

export async function serveProxy(envoy: EnvoyControl, log: Log): Promise<void> {
  let there = 0
  envoy.onChange(() => {
    if (envoy.connected === there) return
    log('info', envoy.connected > there ? 'Envoy has come' : 'Envoy has gone', { connected: envoy.connected })
    there = envoy.connected
  })
  await envoy.serve()
}

/**
 * Policy waits for this table: a listener shall be there before anyone is sent to it. What Envoy refuses, or is too slow
 * with, is waited for no longer: the kernel drops where there is no listener, and that is better than the policy before.
 */
export const proxyGate = deriveEach<EnvoyRow, { readonly key: string }>(
  'proxyGate',
  envoyListeners,
  { key: (r) => r.key },
  (row) => [{ key: row.key }],
)

export const gateTarget = (envoy: EnvoyControl): Target<{ readonly key: string }> => ({
  name: 'envoy gate',
  key: (r) => r.key,
  load: () => [],
  equal: () => false,
  async write(rows) {
    await envoy.tried(rows.map((r) => r.key))
    return rows.map((): Outcome => ({ ok: true }))
  },
  remove: (rows) => rows.map((): Outcome => ({ ok: true })),
})

/** How packets find the proxy's sockets, and the proxy its servers, in one address family. */
export interface ProxyRoute {
  readonly family: 4 | 6
  readonly mtu: number
  /** Prefixes of this node's pods. */
  readonly pods: readonly string[]
}

export const proxyRoutes = deriveAll<ProxyRoute>(
  'proxyRoutes',
  [settings, nodeFacts],
  { key: (r) => String(r.family) },
  (read) => {
    const config = read.get(settings, 'settings')
    const facts = read.get(nodeFacts, 'node')
    if (!config || !facts) return []
    return ([4, 6] as const)
      .filter((family) => (family === 4 ? config.enableIpv4 : config.enableIpv6))
      .map((family) => ({
        family,
        mtu: facts.podMtu,
        pods: facts.podCIDRs.filter((prefix) => prefix.includes(':') === (family === 6)),
      }))
  },
)

/** Packets given to a socket are delivered here; what is sent to servers and clients elsewhere is judged, and given its way and
 * its names, by cilium_host's program. */
const TO_SOCKET = { mark: 0x200, table: 2004 } as const
const TO_OTHERS = { marks: [0xb00, 0xc00], table: 2005 } as const
const ROLE = 0xf00
/** Priority of the rules for the node's own pods. */
const TO_PODS = 10

export function proxyRouteTarget(netlink: Netlink): Target<ProxyRoute> {
  const write = ({ family, mtu, pods }: ProxyRoute): Outcome => {
    const host = linkByName(netlink, HOST_DEVICE)
    const loopback = linkByName(netlink, 'lo')
    if (!host || !loopback) return { ok: false, error: `device ${HOST_DEVICE} is not there yet` }
    const everything = family === 4 ? '0.0.0.0/0' : '::/0'
    try {
      putRoute(netlink, {
        prefix: everything,
        type: 'local',
        device: loopback.index,
        table: TO_SOCKET.table,
        scope: 254,
      })
      putRoute(netlink, { prefix: everything, device: host.index, table: TO_OTHERS.table, mtu })
      const there = rules(netlink).filter((r) => r.family === family)
      const wanted = [
        { priority: 9, table: TO_SOCKET.table, mark: TO_SOCKET.mark, to: '' },
        // Pods of this node by their own routes, everybody else by cilium_host, whatever routes the node has to them.
        ...TO_OTHERS.marks.flatMap((mark) => [
          ...pods.map((to) => ({ priority: TO_PODS, table: 254, mark, to, suppress: family === 4 ? 31 : 127 })),
          { priority: 11, table: TO_OTHERS.table, mark, to: '' },
        ]),
      ]
      const same = (a: { readonly [Field in 'priority' | 'mark' | 'table']: number } & { readonly to: string }) => {
        return (b: typeof a) => a.priority === b.priority && a.mark === b.mark && a.table === b.table && a.to === b.to
      }
      for (const rule of wanted) if (!there.some(same(rule))) createRule(netlink, { family, mask: ROLE, ...rule })
      // Of other prefixes, and of an older release, which asked the node's routes about everybody.
      for (const rule of there)
        if (rule.priority === TO_PODS && TO_OTHERS.marks.some((mark) => mark === rule.mark) && !wanted.some(same(rule)))
          deleteRule(netlink, rule)
      // From below the ports that pods' kernels take: each proxy connection has one of its own there.
      writeSysctl('net.ipv4.ip_local_port_range', '20001 60999')
      // A port that was left is taken again a second later, not after a minute: a client may come thousands of times.
      writeSysctl('net.ipv4.tcp_tw_reuse', '1')
      // Here comes in what the node itself sends to the proxy, from its own addresses.
      writeSysctl(`net.ipv4.conf.${NET_DEVICE}.accept_local`, '1')
      writeSysctl(`net.ipv4.conf.${NET_DEVICE}.rp_filter`, '0')
      return { ok: true }
    } catch (error) {
      if (error instanceof KernelError) return { ok: false, error: error.message }
      throw error
    }
  }
  return {
    name: 'proxy routes',
    key: (r) => String(r.family),
    load: () => [],
    equal: () => false,
    write: (rows) => rows.map(write),
    remove: (rows) => rows.map((): Outcome => ({ ok: true })),
  }
}

/** Rows of Envoy, to be read anew when it comes back. */
export const envoyTables = [envoyClusters, envoyListeners] as const

const isPort = (p: ProxyPort | null): p is ProxyPort =>
  typeof p?.key === 'string' &&
  Number.isInteger(p.port) &&
  p.port >= proxyPortRange.first &&
  p.port <= proxyPortRange.last

/** Ports as the agent before gave them; none where the file can not be read: then they are found by hash again. */
export function readStoredPorts(file: string): readonly ProxyPort[] {
  try {
    const rows = JSON.parse(readIfThere(file) ?? '[]') as readonly (ProxyPort | null)[]
    return rows.filter(isPort)
  } catch {
    return []
  }
}

/** Keeps ports over restarts: a connection whose listener came back on another port would be dropped. */
export function portsTarget(file: string): Target<ProxyPort> {
  const kept = new Map(readStoredPorts(file).map((p) => [p.key, p]))
  const saved = (rows: readonly ProxyPort[]): readonly Outcome[] => {
    writeWhole(file, JSON.stringify([...kept.values()]))
    return rows.map(() => ({ ok: true }))
  }
  return {
    name: file,
    key: (p) => p.key,
    load: () => [...kept.values()],
    equal: (a, b) => a.port === b.port,
    write: (rows) => {
      for (const row of rows) kept.set(row.key, row)
      return saved(rows)
    },
    remove: (rows) => {
      for (const row of rows) kept.delete(row.key)
      return saved(rows)
    },
  }
}
