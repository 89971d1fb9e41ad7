// SPDX-License-Identifier: Apache-2.0
import { hostname } from 'node:os'
import { fail, ok, type Result } from '../../base/result.ts'
import { collectOptions, type Option, type OptionSources, type OptionValues, optionsHelp } from '../../model/options.ts'
import type { Settings } from '../../model/settings.ts'

const CIDR = /^([0-9.]+|[0-9a-fA-F:.]+)\/[0-9]{1,3}$/
const flag = (name: string, initial: boolean, help: string): Option => ({ kind: 'switch', name, initial, help })
const text = (name: string, initial: string, help: string, shape?: RegExp, wanted?: string): Option => ({
  kind: 'text',
  name,
  initial,
  help,
  ...(shape ? { shape } : {}),
  ...(wanted ? { wanted } : {}),
})
const number = (name: string, initial: number, from: number, to: number, help: string): Option => ({
  kind: 'number',
  name,
  initial,
  from,
  to,
  help,
})
const choice = (name: string, values: readonly string[], help: string): Option => ({
  kind: 'choice',
  name,
  initial: values[0]!,
  values,
  help,
})
const list = (name: string, help: string): Option => ({ kind: 'list', name, initial: [], help })
const duration = (name: string, initial: number, help: string): Option => ({ kind: 'duration', name, initial, help })

/** Every option the agent acts on. */
const table: readonly Option[] = [
  text('config-dir', '', 'directory with one file per option, as a mounted cilium-config'),
  text('k8s-kubeconfig-path', '', 'kubeconfig; the service account of the pod if empty'),
  text('k8s-api-server', '', 'URL of the API server, instead of the environment'),
  text('k8s-namespace', 'kube-system', 'namespace of the agent'),
  flag('enable-k8s', true, 'watch a Kubernetes API'),
  text(
    'cluster-name',
    'default',
    'name of the cluster',
    /^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/,
    'a name of up to 32 of a-z 0-9 -',
  ),
  number('cluster-id', 0, 0, 511, 'number of the cluster in a mesh'),
  choice('routing-mode', ['tunnel', 'native'], 'how packets reach pods of other nodes'),
  choice('tunnel-protocol', ['vxlan'], 'encapsulation between nodes'),
  number('tunnel-port', 8472, 1, 65535, 'UDP port of the tunnel'),
  flag('auto-direct-node-routes', false, 'native routing: install routes to nodes on the same link'),
  flag('enable-ipv4', true, 'IPv4 for pods'),
  flag('enable-ipv6', true, 'IPv6 for pods'),
  flag('enable-ipv4-masquerade', true, 'source NAT for what leaves the cluster'),
  flag('enable-ipv6-masquerade', true, 'source NAT for what leaves the cluster'),
  text('ipv4-native-routing-cidr', '', 'destinations that are not masqueraded', CIDR, 'a prefix a.b.c.d/n'),
  text('ipv6-native-routing-cidr', '', 'destinations that are not masqueraded', CIDR, 'a prefix x::/n'),
  choice('ipam', ['cluster-pool', 'kubernetes'], 'who gives this node its pod prefixes'),
  choice('identity-allocation-mode', ['crd'], 'where identities are agreed upon'),
  number('mtu', 0, 0, 65535, 'MTU of the wire; 0: that of its device'),
  list('devices', 'network devices facing other nodes (wildcards: eth+); found by the default route if empty'),
  text('direct-routing-device', '', 'the one of the devices that routes between nodes'),
  choice('enable-policy', ['default', 'always', 'never'], 'policy enforcement'),
  {
    kind: 'choice',
    name: 'allow-localhost',
    values: ['auto', 'always', 'policy'],
    initial: 'auto',
    help: 'host to local pods',
  },
  flag('policy-audit-mode', false, 'report what policy would deny, deny nothing'),
  {
    kind: 'list',
    name: 'policy-cidr-match-mode',
    initial: [],
    values: ['nodes', 'pods', 'none'],
    help: 'whom prefixes mean besides the world: nodes, pods, none; empty: ipBlock everybody, rules of Cilium nobody',
  },
  flag('enable-host-firewall', false, 'policies with a nodeSelector hold for the node itself'),
  text('policy-secrets-namespace', 'cilium-secrets', 'namespace of the secrets that policies may name'),
  flag('enable-node-selector-labels', false, 'fromNodes and toNodes select nodes by their labels'),
  list('labels', 'label patterns that make identities, beside the defaults'),
  flag('kube-proxy-replacement', true, 'translate services'),
  flag('enable-health-check-nodeport', true, "answer on services' healthCheckNodePort"),
  flag('enable-service-topology', false, 'choose endpoints by the hints of EndpointSlices (trafficDistribution)'),
  text('k8s-service-proxy-name', '', 'only services whose label service.kubernetes.io/service-proxy-name says so'),
  text('state-dir', '/var/run/cilium', 'run-time state'),
  text('lib-dir', '/var/lib/cilium', 'libraries and templates'),
  text('socket-path', '/var/run/cilium/cilium.sock', 'REST API, for root only'),
  text('bpf-root', '/sys/fs/bpf', 'the BPF file system'),
  text('bpf-objects', '', 'directory of the compiled programs'),
  text('cgroup-root', '', 'cgroup v2 that socket programs attach to; /run/cilium/cgroupv2 or /sys/fs/cgroup if empty'),
  text('procfs', '/proc', 'the proc file system of the host'),
  number('agent-health-port', 9879, 0, 65535, 'port of /healthz on the loopback; 0: none'),
  text(
    'prometheus-serve-addr',
    '',
    'address of /metrics, such as :9962; none if empty',
    /^(.*:)?[0-9]{1,5}$/,
    'an address host:port',
  ),
  flag('enable-tcx', true, 'attach programs to devices by tcx where the kernel has it, else as filters (clsact)'),
  flag('restore', true, 'take over the endpoints of the agent before'),
  text('write-cni-conf-when-ready', '', 'path of the CNI configuration, written when pods can be started'),
  text('read-cni-conf', '', 'CNI configuration to write there instead of the default'),
  flag('cni-exclusive', false, 'put aside other CNI configurations'),
  text('cni-log-file', '/var/run/cilium/cilium-cni.log', 'log of the CNI plugin'),
  number('bpf-policy-map-max', 16384, 256, 65536, 'accepted; tables are shared here'),
  number(
    'bpf-ct-global-tcp-max',
    524288,
    1024,
    16777216,
    'flows: with bpf-ct-global-any-max the size of the flow table',
  ),
  number('bpf-ct-global-any-max', 262144, 1024, 16777216, 'flows of other protocols'),
  duration('bpf-ct-timeout-regular-tcp', 8000, 'idle established connections are forgotten'),
  duration('bpf-ct-timeout-regular-any', 60, 'idle flows of other protocols are forgotten'),
  duration('bpf-ct-timeout-regular-tcp-syn', 60, 'connections that are not established are forgotten'),
  duration('conntrack-gc-interval', 0, 'between sweeps of the flow table; 0: the agent decides'),
  flag('enable-l7-proxy', true, 'enforce L7 rules, with an Envoy beside the agent'),
  choice(
    'tofqdns-dns-reject-response-code',
    ['refused', 'nameError'],
    'answer to queries for names that no rule allows',
  ),
  number('tofqdns-min-ttl', 0, 0, 2147483647, 'seconds for which an address is known by a name at least'),
  number('tofqdns-endpoint-max-ip-per-hostname', 50, 1, 1000000, 'addresses kept for each name and endpoint'),
  number(
    'tofqdns-max-deferred-connection-deletes',
    10000,
    0,
    1000000,
    'expired addresses kept for connections, for each endpoint',
  ),
  duration('tofqdns-idle-connection-grace-period', 0, 'so long are expired addresses kept after their last connection'),
  text('tofqdns-pre-cache', '', 'file of names to begin with, in the form of `cilium-dbg fqdn cache list -o json`'),
  number('dnsproxy-concurrency-limit', 0, 0, 65536, 'questions of all pods under way, more fail at once; 0: 4096'),
  duration('dnsproxy-concurrency-processing-grace-period', 0, 'must be 0: nothing waits for its turn'),
  number('tofqdns-proxy-port', 0, 0, 65535, 'must be 0: each set of rules has a port of its own'),
  flag('dns-policy-unload-on-shutdown', false, 'must be off: names are answered without the agent'),
  flag('enable-hubble', false, 'serve flows'),
  flag('enable-drift-checker', true, 'tell when the configuration directory says other than at start'),
  list('ignore-flags-drift-checker', 'options that may differ from the configuration without being told'),
  flag('debug', false, 'log more'),
]

/** Features whose absence would leave something unprotected: set, they are refused rather than ignored. */
const refused: readonly string[] = [
  'enable-wireguard',
  'enable-ipsec',
  'enable-encryption-strict-mode',
  'enable-ztunnel',
  'enable-l2-announcements',
  'enable-cilium-endpoint-slice',
  'enable-high-scale-ipcache',
]

/** Options of Cilium's DNS proxy that would promise what this one does otherwise. */
const impossible: Readonly<Record<string, string>> = {
  'dnsproxy-concurrency-processing-grace-period':
    'a question beyond dnsproxy-concurrency-limit is answered SERVFAIL at once, none waits for its turn: unset it',
  'tofqdns-proxy-port': 'each set of rules for names has a port of its own, 10000 to 19999: unset it',
  'dns-policy-unload-on-shutdown':
    'the DNS proxy goes on with the rules it has while the agent is away: unset it, and remove the policies instead',
}

/** The configuration of the agent, frozen: it changes only by a restart. */
export interface AgentSettings {
  readonly node: Settings
  readonly options: OptionValues
  /** Options that were given and have no effect here; told once at start. */
  readonly ignored: readonly string[]
}

/** The agent's configuration out of flags, environment and directory; all problems at once. */
export function readSettings(sources: OptionSources): Result<AgentSettings> {
  const collected = collectOptions(table, refused, sources)
  if (!collected.ok) return collected
  const { values, ignored } = collected.value
  const node = nodeSettings(values, sources.env['K8S_NODE_NAME'] || hostname())
  if (!node.enableIpv4 && !node.enableIpv6) return fail({ field: 'enable-ipv4', message: 'both IPv4 and IPv6 are off' })
  const field = Object.keys(impossible).find((name) => values[name])
  if (field !== undefined) return fail({ field, message: impossible[field] as string })
  return ok(Object.freeze({ node: Object.freeze(node), options: values, ignored }))
}

function nodeSettings(o: OptionValues, nodeName: string): Settings {
  return {
    nodeName,
    clusterName: o['cluster-name'] as string,
    clusterId: o['cluster-id'] as number,
    routingMode: o['routing-mode'] as Settings['routingMode'],
    tunnelProtocol: 'vxlan',
    tunnelPort: o['tunnel-port'] as number,
    autoDirectNodeRoutes: o['auto-direct-node-routes'] as boolean,
    enableIpv4: o['enable-ipv4'] as boolean,
    enableIpv6: o['enable-ipv6'] as boolean,
    enableIpv4Masquerade: o['enable-ipv4-masquerade'] as boolean,
    enableIpv6Masquerade: o['enable-ipv6-masquerade'] as boolean,
    ipv4NativeRoutingCidr: o['ipv4-native-routing-cidr'] as string,
    ipv6NativeRoutingCidr: o['ipv6-native-routing-cidr'] as string,
    ipam: o['ipam'] as Settings['ipam'],
    mtu: o['mtu'] as number,
    enablePolicy: o['enable-policy'] as Settings['enablePolicy'],
    allowLocalhost: o['allow-localhost'] as Settings['allowLocalhost'],
    policyAuditMode: o['policy-audit-mode'] as boolean,
    policyCidrMatchMode: o['policy-cidr-match-mode'] as Settings['policyCidrMatchMode'],
    enableHostFirewall: o['enable-host-firewall'] as boolean,
    enableL7Proxy: o['enable-l7-proxy'] as boolean,
    enableNodeSelectorLabels: o['enable-node-selector-labels'] as boolean,
    policySecretsNamespace: o['policy-secrets-namespace'] as string,
    labels: o['labels'] as readonly string[],
    kubeProxyReplacement: o['kube-proxy-replacement'] as boolean,
    enableHealthCheckNodeport: o['enable-health-check-nodeport'] as boolean,
    enableServiceTopology: o['enable-service-topology'] as boolean,
    k8sServiceProxyName: o['k8s-service-proxy-name'] as string,
    tofqdnsDnsRejectResponseCode: o['tofqdns-dns-reject-response-code'] as Settings['tofqdnsDnsRejectResponseCode'],
  }
}

export const agentHelp = (): string => `cilium-agent: networking and security of one node\n\n${optionsHelp(table)}`
