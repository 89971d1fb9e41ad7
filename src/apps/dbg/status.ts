// SPDX-License-Identifier: Apache-2.0
import { type Agent, AgentError } from './agent.ts'
import { columns, print, printed } from './output.ts'

interface State {
  readonly state?: string
  readonly msg?: string
}
/** The parts of the agent's status model that are printed. */
interface Status {
  readonly cilium?: State
  readonly kvstore?: State
  readonly kubernetes?: State & { readonly 'k8s-api-versions'?: readonly string[] }
  readonly 'kube-proxy-replacement'?: { readonly mode?: string; readonly features?: unknown }
  readonly 'host-firewall'?: { readonly mode?: string; readonly devices?: readonly string[] }
  readonly 'cni-chaining'?: { readonly mode?: string }
  readonly 'cni-file'?: State
  readonly nodeMonitor?: { readonly cpus?: number; readonly pages?: number; readonly lost?: number }
  readonly ipam?: {
    readonly status?: string
    readonly ipv4?: readonly string[]
    readonly ipv6?: readonly string[]
    readonly allocations?: Readonly<Record<string, string>>
  }
  readonly routing?: {
    readonly 'intra-host-routing-mode'?: string
    readonly 'inter-host-routing-mode'?: string
    readonly 'tunnel-protocol'?: string
  }
  readonly 'attach-mode'?: string
  readonly 'kernel-fallbacks'?: readonly string[]
  readonly 'datapath-mode'?: string
  readonly masquerading?: {
    readonly mode?: string
    readonly 'enabled-protocols'?: { readonly ipv4?: boolean; readonly ipv6?: boolean }
  }
  readonly 'clock-source'?: { readonly mode?: string }
  readonly controllers?: readonly Controller[]
  readonly proxy?: {
    readonly 'total-redirects'?: number
    readonly 'envoy-connected'?: number
    readonly 'envoy-deployment-mode'?: string
    readonly 'port-range'?: string
    readonly ip?: string
    readonly redirects?: readonly { readonly proxy: string; readonly problem: string }[]
  }
  readonly 'identity-range'?: { readonly 'min-identity'?: number; readonly 'max-identity'?: number }
  readonly hubble?: State
  readonly 'bpf-maps'?: {
    readonly maps?: readonly { readonly name: string; readonly size: number; readonly entries?: number }[]
  }
  readonly encryption?: { readonly mode?: string }
  readonly cluster?: { readonly ciliumHealth?: State; readonly nodes?: readonly unknown[] }
  readonly 'unmanaged-pods'?: readonly { readonly pod: string; readonly reason: string }[]
  readonly conditions?: readonly { readonly name: string; readonly message: string }[]
}
interface Controller {
  readonly name: string
  readonly status?: {
    readonly 'consecutive-failure-count'?: number
    readonly 'success-count'?: number
    readonly 'last-failure-msg'?: string
    readonly 'last-success-timestamp'?: string
  }
}

export interface StatusOptions {
  readonly brief?: boolean
  readonly verbose?: boolean
  readonly allControllers?: boolean
  readonly allAddresses?: boolean
  readonly output?: string
}

/** 0 when the agent is healthy; 1 with the reason printed otherwise. */
export async function status(agent: Agent, options: StatusOptions): Promise<number> {
  let s: Status
  try {
    s = await agent.get<Status>('/healthz')
  } catch (e) {
    if (options.brief && e instanceof AgentError) {
      print(`error: ${e.message}`)
      return 1
    }
    throw e
  }
  const healthy = s.cilium?.state === 'Ok' || s.cilium?.state === 'Warning'
  if (printed(s, options.output)) return 0
  if (options.brief) {
    print(healthy ? 'OK' : `error: ${s.cilium?.state ?? 'unknown'}: ${s.cilium?.msg ?? ''}`)
    return healthy ? 0 : 1
  }
  print(columns(lines(s, options).map(([name, value]) => [`${name}:`, value])))
  for (const c of s.conditions ?? []) print(`Condition:   ${c.name}: ${c.message}`)
  const failing = (s.controllers ?? []).filter((c) => (c.status?.['consecutive-failure-count'] ?? 0) > 0)
  const shown = options.allControllers || options.verbose ? (s.controllers ?? []) : failing
  for (const c of shown) print(`  ${c.name}   ${c.status?.['last-failure-msg'] || 'no error'}`)
  if (options.verbose || options.allAddresses)
    for (const [ip, owner] of Object.entries(s.ipam?.allocations ?? {})) print(`  ${ip} (${owner})`)
  if (options.verbose && s['bpf-maps']?.maps) {
    print('BPF Maps:')
    print(columns([['  Name', 'Size'], ...s['bpf-maps'].maps.map((m) => [`  ${m.name}`, String(m.size)])]))
  }
  return healthy ? 0 : 1
}

const state = (s: State | undefined): string =>
  s === undefined ? 'Disabled' : `${s.state ?? ''}   ${s.msg ?? ''}`.trimEnd()

/** Pods of another plugin by name; those in the node's own network, which are there on purpose, by their number. */
function unmanaged(pods: readonly { readonly pod: string; readonly reason: string }[], all: boolean): string {
  const own = pods.filter((p) => /network of the node/.test(p.reason))
  const foreign = pods.filter((p) => all || !own.includes(p)).map((p) => `${p.pod} (${p.reason})`)
  return (
    [...foreign, ...(all || own.length === 0 ? [] : [`${own.length} in the network of the node`])].join(', ') || 'none'
  )
}

function lines(s: Status, options: StatusOptions): [string, string][] {
  const controllers = s.controllers ?? []
  const good = controllers.filter((c) => (c.status?.['consecutive-failure-count'] ?? 0) === 0).length
  const protocols = s.masquerading?.['enabled-protocols']
  const on = (b: boolean | undefined): string => (b ? 'Enabled' : 'Disabled')
  const tunnel = s.routing?.['tunnel-protocol']
  const network = s.routing?.['inter-host-routing-mode'] ?? ''
  const monitor = s.nodeMonitor
  const apis = s.kubernetes?.['k8s-api-versions'] ?? []
  const refused = (s.proxy?.redirects ?? []).filter((r) => r.problem !== '')
  return [
    ['KVStore', state(s.kvstore)],
    ['Kubernetes', state(s.kubernetes)],
    ...(apis.length > 0 ? ([['Kubernetes APIs', `["${apis.join('", "')}"]`]] as [string, string][]) : []),
    ['KubeProxyReplacement', s['kube-proxy-replacement']?.mode ?? 'False'],
    ['Host firewall', [s['host-firewall']?.mode ?? 'Disabled', ...devicesOf(s['host-firewall']?.devices)].join(' ')],
    ['SRv6', 'Disabled'],
    ['CNI Chaining', s['cni-chaining']?.mode ?? 'none'],
    ['CNI Config file', s['cni-file']?.msg ?? ''],
    ['Cilium', state(s.cilium)],
    [
      'NodeMonitor',
      monitor === undefined
        ? 'Disabled'
        : `Listening for events on ${monitor.cpus ?? 0} CPUs, ${monitor.lost ?? 0} lost`,
    ],
    ['Cilium health daemon', state(s.cluster?.ciliumHealth)],
    ['IPAM', s.ipam?.status ?? ''],
    ['IPv4 BIG TCP', 'Disabled'],
    ['IPv6 BIG TCP', 'Disabled'],
    ['BandwidthManager', 'Disabled'],
    [
      'Routing',
      `Network: ${network}${tunnel ? ` [${tunnel}]` : ''}   Host: ${s.routing?.['intra-host-routing-mode'] ?? ''}`,
    ],
    ['Attach Mode', [s['attach-mode'] ?? '', ...(s['kernel-fallbacks'] ?? [])].join('   ')],
    ['Device Mode', s['datapath-mode'] ?? ''],
    ['Masquerading', `${s.masquerading?.mode ?? ''} [IPv4: ${on(protocols?.ipv4)}, IPv6: ${on(protocols?.ipv6)}]`],
    ['Clock Source for BPF', s['clock-source']?.mode ?? ''],
    ['Controller Status', `${good}/${controllers.length} healthy`],
    [
      'Proxy Status',
      s.proxy === undefined
        ? 'No managed proxy redirect'
        : s.proxy['envoy-connected'] === 0 && s.proxy.redirects?.some((r) => r.proxy === 'envoy')
          ? `Failure, ${s.proxy.redirects.filter((r) => r.proxy === 'envoy').length} redirects are closed: no Envoy is connected; run DaemonSet cilium-envoy`
          : refused.length > 0
            ? `Warning, ${refused.length} of ${s.proxy['total-redirects']} redirects are closed: ${refused[0]?.problem}`
            : `OK, ${s.proxy.ip ? `ip ${s.proxy.ip}, ` : ''}${s.proxy['total-redirects'] ?? 0} redirects active on ports ${s.proxy['port-range'] ?? ''}, Envoy: ${s.proxy['envoy-deployment-mode'] ?? ''}`,
    ],
    [
      'Global Identity Range',
      `min ${s['identity-range']?.['min-identity'] ?? 256}, max ${s['identity-range']?.['max-identity'] ?? 65535}`,
    ],
    ['Hubble', state(s.hubble)],
    ['Encryption', s.encryption?.mode ?? 'Disabled'],
    ['Unmanaged pods', unmanaged(s['unmanaged-pods'] ?? [], options.verbose ?? false)],
    ...(options.verbose ? ([['Cluster nodes', String(s.cluster?.nodes?.length ?? 0)]] as [string, string][]) : []),
  ]
}

const devicesOf = (names: readonly string[] | undefined): readonly string[] =>
  names === undefined || names.length === 0 ? [] : [`[${names.join(', ')}]`]
