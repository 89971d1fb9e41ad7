// SPDX-License-Identifier: Apache-2.0
import { availableParallelism } from 'node:os'
import { endpoints } from '../../../derive/endpoints/tables.ts'
import { pools } from '../../../derive/ipam/tables.ts'
import { policyOverflows } from '../../../derive/policy/overflow.ts'
import { envoyListeners, proxyPortRange, proxyPorts, wantedListeners } from '../../../derive/proxy/tables.ts'
import { mapInfo } from '../../../edge/kernel/map.ts'
import { RestError, type Route } from '../../../edge/sockets/rest.ts'
import { endpointName } from '../../../model/endpoint.ts'
import { object } from '../../../model/json.ts'
import { VERSION } from '../../../model/release.ts'
import { ciliumNodes, pods, settings as settingsTable } from '../../../model/rows.ts'
import type { Database } from '../../../table/database.ts'
import { driftText } from '../drift.ts'
import { nodeFacts } from '../node-facts.ts'
import { DAEMON_VERSION } from '../version.ts'
import { nodeElement } from './lists.ts'
import { changedOptions, isOn, onOff } from './options.ts'
import type { Parts } from './parts.ts'

interface State {
  readonly state: 'Ok' | 'Warning' | 'Failure' | 'Disabled'
  readonly msg: string
}

export function statusRoutes(parts: Parts): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/healthz',
      handle: ({ headers }) => {
        const cilium = own(parts)
        if (headers['brief'] === 'true') return { status: cilium.state === 'Failure' ? 503 : 200, body: { cilium } }
        return { body: status(parts, cilium) }
      },
    },
    { method: 'GET', path: '/v1/config', handle: () => ({ body: config(parts) }) },
    { method: 'PATCH', path: '/v1/config', handle: ({ body }) => change(parts, body) },
  ]
}

/** How the agent itself is: not ready is a failure, rows and policies that can not be made so are a warning. */
function own({ notReady, targets, db }: Parts): State {
  const reason = notReady()
  if (reason !== '') return { state: 'Failure', msg: reason }
  const failed = targets.statuses().filter((s) => s.failed > 0)
  const problems = [...failed.map(failure), ...db.all(policyOverflows).map((o) => `${o.policy} is ${o.problem}`)]
  if (problems.length > 0) return { state: 'Warning', msg: problems.join('; ') }
  return { state: 'Ok', msg: DAEMON_VERSION }
}

const failure = (s: ReturnType<Parts['targets']['statuses']>[number]): string =>
  `${s.failed} of ${s.rows + s.failed} rows of ${s.table} could not be made so: ${s.error}`

function kubernetes({ kube, kubeHealth }: Parts): State & { readonly 'k8s-api-versions'?: readonly string[] } {
  if (!kube) return { state: 'Disabled', msg: 'Disabled' }
  const failing = [...(kubeHealth?.failing ?? [])]
  const apis = [
    'cilium/v2::CiliumClusterwideNetworkPolicy',
    'cilium/v2::CiliumEndpoint',
    'cilium/v2::CiliumNetworkPolicy',
    'cilium/v2::CiliumNode',
    'core/v1::Namespace',
    'core/v1::Pods',
    'core/v1::Service',
    'discovery/v1::EndpointSlice',
    'networking.k8s.io/v1::NetworkPolicy',
  ]
  if (failing.length > 0)
    return {
      state: 'Warning',
      msg: failing.map(([name, error]) => `${name}: ${error}`).join('; '),
      'k8s-api-versions': apis,
    }
  return { state: 'Ok', msg: kube.server, 'k8s-api-versions': apis }
}

function status(parts: Parts, cilium: State): object {
  const { db, settings, scope, targets, monitor, maps, datapath } = parts
  const { node, options } = settings
  const allocations: { [address: string]: string } = {}
  for (const e of db.all(endpoints)) for (const a of [e.ipv4, e.ipv6]) if (a !== '') allocations[a] = endpointName(e)
  const facts = db.get(nodeFacts, 'node')
  for (const gateway of [facts?.gateway4, facts?.gateway6]) if (gateway) allocations[gateway] = 'router'
  const own = db.by(pools, 'node', node.nodeName)
  const allocated = (family: 4 | 6) => Object.keys(allocations).filter((a) => a.includes(':') === (family === 6))
  const range = (family: 4 | 6): string =>
    own
      .filter((p) => p.family === family)
      .map((p) => p.prefix)
      .join(', ')
  const ranges = ([4, 6] as const)
    .filter((f) => range(f) !== '')
    .map((f) => `IPv${f}: ${allocated(f).length} allocated from ${range(f)}`)
  const nodes = db.all(ciliumNodes)
  const cni = options['write-cni-conf-when-ready'] as string
  return {
    cilium,
    kubernetes: kubernetes(parts),
    kvstore: { state: 'Disabled', msg: 'Disabled' },
    'container-runtime': { state: 'Disabled', msg: '' },
    'auth-certificate-provider': { state: 'Disabled', msg: '' },
    hubble: { state: 'Disabled', msg: '' },
    'cni-chaining': { mode: 'none' },
    'cni-file':
      cni === ''
        ? { state: 'Disabled', msg: '' }
        : { state: 'Ok', msg: `successfully wrote CNI configuration file to ${cni}` },
    cluster: {
      self: `${node.clusterName}/${node.nodeName}`,
      ciliumHealth: { state: 'Ok', msg: '' },
      nodes: nodes.map((n) => nodeElement(parts, n)),
    },
    'cluster-mesh': { clusters: [], 'num-global-services': 0 },
    controllers: [...controllersOf(scope.health()), ...targets.statuses().map(tableController)],
    ipam: { status: ranges.join(', '), ipv4: allocated(4), ipv6: allocated(6), allocations },
    'host-firewall': node.enableHostFirewall
      ? { mode: 'Enabled', devices: db.all(nodeFacts).map((f) => f.wireName) }
      : { mode: 'Disabled' },
    'host-routing': { mode: 'BPF' },
    'attach-mode': datapath.attach === 'tc' ? 'TC' : 'TCX',
    'kernel-fallbacks': datapath.fallbacks,
    'datapath-mode': 'veth',
    encryption: { mode: 'Disabled' },
    'ipv4-big-tcp': { enabled: false },
    'ipv6-big-tcp': { enabled: false },
    'bandwidth-manager': { enabled: false },
    'clock-source': { mode: 'ktime' },
    'identity-range': { 'min-identity': 256, 'max-identity': 65535 },
    'kube-proxy-replacement': {
      mode: node.kubeProxyReplacement ? 'True' : 'False',
      features: { socketLB: { enabled: true }, nodePort: { enabled: true }, bpfSocketLBHostnsOnly: false },
    },
    masquerading: {
      enabled: node.enableIpv4Masquerade || node.enableIpv6Masquerade,
      mode: 'BPF',
      'enabled-protocols': {
        ipv4: node.enableIpv4 && node.enableIpv4Masquerade,
        ipv6: node.enableIpv6 && node.enableIpv6Masquerade,
      },
    },
    nodeMonitor: {
      cpus: availableParallelism(),
      npages: monitor.fill().size / 4096,
      pagesize: 4096,
      lost: monitor.lost(),
      unknown: monitor.counter.strange,
    },
    routing: {
      'intra-host-routing-mode': 'BPF',
      'inter-host-routing-mode': node.routingMode === 'tunnel' ? 'Tunnel' : 'Native',
      ...(node.routingMode === 'tunnel' ? { 'tunnel-protocol': node.tunnelProtocol } : {}),
    },
    'bpf-maps': {
      'dynamic-size-ratio': 0,
      maps: [...maps.maps]
        .filter(([name]) => name.startsWith('cilium_'))
        .map(([name, fd]) => ({ name, size: mapInfo(fd).maxEntries })),
    },
    ...(options['enable-l7-proxy'] === false ? {} : { proxy: proxyStatus(parts) }),
    'unmanaged-pods': unmanagedPods(db),
    conditions: [
      ...targets
        .statuses()
        .filter((s) => s.failed > 0)
        .map((s) => ({ name: s.table, message: failure(s) })),
      ...(driftText(parts.drift()) === '' ? [] : [{ name: 'configuration', message: driftText(parts.drift()) }]),
    ],
  }
}

/** Pods of this node that no policy of ours holds for: those in the node's own network, and those of another plugin. */
export function unmanagedPods(db: Database): readonly { readonly pod: string; readonly reason: string }[] {
  const ours = new Set(db.all(endpoints).map((e) => `${e.namespace}/${e.podName}`))
  return db
    .all(pods)
    .filter((p) => p.phase === 'Running' && p.podIPs.length > 0)
    .map((p) => ({ pod: `${p.namespace}/${p.name}`, hostNetwork: p.hostNetwork }))
    .filter((p) => p.hostNetwork || !ours.has(p.pod))
    .map((p) => ({
      pod: p.pod,
      reason: p.hostNetwork ? 'in the network of the node' : 'started before this agent or by another plugin',
    }))
}

/** Redirections with their ports. Proxies are pods of their own; without one what is redirected to it is dropped. */
function proxyStatus({ db, envoy, dns }: Parts): object {
  const ports = db.all(proxyPorts)
  const { first, last } = proxyPortRange
  return {
    ip: db.get(nodeFacts, 'node')?.gateway4 || db.get(nodeFacts, 'node')?.gateway6 || '',
    'port-range': `${first}-${last}`,
    'total-ports': ports.length,
    'total-redirects': ports.length,
    'envoy-deployment-mode': 'external',
    'envoy-connected': envoy?.connected ?? 0,
    'dns-proxy-connected': dns?.connected ?? 0,
    redirects: ports.map((p) => {
      const listener = db.get(wantedListeners, p.key)
      const isEnvoy = listener?.kind === 'http'
      const missing = isEnvoy && db.get(envoyListeners, listener.name)?.missing
      return {
        name: p.key,
        proxy: isEnvoy ? 'envoy' : (listener?.kind ?? ''),
        'proxy-port': p.port,
        problem: (isEnvoy ? envoy?.problem(listener.name) || missing : dns?.problem(listener?.name ?? '')) || '',
      }
    }),
  }
}

function controllersOf(health: ReturnType<Parts['scope']['health']>): readonly object[] {
  return health.map((h) => ({
    name: h.name,
    status: {
      'consecutive-failure-count': h.error === undefined ? 0 : h.failures,
      'failure-count': h.failures,
      'last-failure-msg': h.error ?? '',
    },
  }))
}

/** A table with its target does what Cilium calls a controller. */
function tableController(s: ReturnType<Parts['targets']['statuses']>[number]): object {
  return {
    name: `table/${s.table}`,
    status: {
      'consecutive-failure-count': s.failed,
      'failure-count': s.failed,
      'last-failure-msg': s.error ?? s.waitsFor.join(', '),
      'success-count': s.rows,
    },
  }
}

/** What may change without a restart; as with Cilium, the next start begins with the ConfigMap again. */
function changeable({ db }: Parts): { readonly [name: string]: string } {
  const now = db.get(settingsTable, 'settings')
  return {
    Debug: 'Disabled',
    DropNotification: 'Enabled',
    PolicyAuditMode: onOff(now?.policyAuditMode === true),
    TraceNotification: 'Enabled',
  }
}

const enforcements = ['default', 'always', 'never'] as const

function change(parts: Parts, body: unknown): { readonly status: number } {
  const { db } = parts
  const now = db.get(settingsTable, 'settings')
  if (!now) throw new RestError(500, 'the agent has no settings yet')
  const { PolicyAuditMode } = changedOptions(body, changeable(parts), ['PolicyAuditMode'])
  const asked = object(body)['policy-enforcement']
  const enablePolicy = asked === undefined ? now.enablePolicy : enforcements.find((e) => e === asked)
  if (enablePolicy === undefined)
    throw new RestError(400, `policy-enforcement: '${asked}' is not a mode (one of: ${enforcements.join(', ')})`)
  const policyAuditMode = PolicyAuditMode === undefined ? now.policyAuditMode : isOn(PolicyAuditMode)
  db.commit((tx) => tx.put(settingsTable, { ...now, enablePolicy, policyAuditMode }))
  return { status: 200 }
}

function config(parts: Parts): object {
  const { settings, db, places } = parts
  const facts = db.get(nodeFacts, 'node')
  const family = (enabled: boolean, ip: string | undefined, range: string | undefined) => ({
    enabled,
    ip: ip ?? '',
    'alloc-range': range ?? '',
  })
  const cidr = (six: boolean) => facts?.podCIDRs.find((p) => p.includes(':') === six)
  const live = db.get(settingsTable, 'settings') ?? settings.node
  const spec = { options: changeable(parts), 'policy-enforcement': live.enablePolicy }
  return {
    spec,
    status: {
      addressing: {
        ipv4: family(settings.node.enableIpv4, facts?.gateway4, cidr(false)),
        ipv6: family(settings.node.enableIpv6, facts?.gateway6, cidr(true)),
      },
      daemonConfigurationMap: { Version: VERSION, ...settings.options },
      datapath: { ...facts, ...places, pins: places.maps },
      datapathMode: 'veth',
      deviceMTU: facts?.wireMtu ?? 0,
      routeMTU: facts?.podMtu ?? 0,
      'ipam-mode': settings.node.ipam,
      masquerade: settings.node.enableIpv4Masquerade,
      nodeMonitor: {},
      realized: spec,
    },
  }
}
