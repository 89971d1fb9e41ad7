// SPDX-License-Identifier: Apache-2.0

/**
 * What derivations need of the agent's configuration, one row. Names are Cilium's options in camel case; the agent
 * parses them from cilium-config, a directory or flags.
 */
export interface Settings {
  /** The node this agent serves. */
  readonly nodeName: string
  readonly clusterName: string
  readonly clusterId: number
  readonly routingMode: 'tunnel' | 'native'
  readonly tunnelProtocol: 'vxlan'
  readonly tunnelPort: number
  readonly autoDirectNodeRoutes: boolean
  readonly enableIpv4: boolean
  readonly enableIpv6: boolean
  readonly enableIpv4Masquerade: boolean
  readonly enableIpv6Masquerade: boolean
  /** '' when not set. */
  readonly ipv4NativeRoutingCidr: string
  readonly ipv6NativeRoutingCidr: string
  readonly ipam: 'cluster-pool' | 'kubernetes'
  /** Bytes of an IP packet on the wire; 0: that of the device. */
  readonly mtu: number
  readonly enablePolicy: 'default' | 'always' | 'never'
  readonly allowLocalhost: 'auto' | 'always' | 'policy'
  readonly policyAuditMode: boolean
  /**
   * Whom prefixes in policies mean besides the world. Empty: rules of Cilium nobody, and `ipBlock` and `networks` whoever
   * has the address, as Kubernetes says. Otherwise all of them these, as in Cilium; `none` for nobody.
   */
  readonly policyCidrMatchMode: readonly ('nodes' | 'pods' | 'none')[]
  /** Policies with a nodeSelector hold for this node itself. */
  readonly enableHostFirewall: boolean
  /** There are proxies that redirections lead to. */
  readonly enableL7Proxy: boolean
  /** fromNodes and toNodes mean something. */
  readonly enableNodeSelectorLabels: boolean
  /** The namespace whose secrets policies may name; '' for none. */
  readonly policySecretsNamespace: string
  /** Label filter patterns beyond the defaults. */
  readonly labels: readonly string[]
  readonly kubeProxyReplacement: boolean
  /** Load balancers may ask a port of this node whether a service has endpoints here. */
  readonly enableHealthCheckNodeport: boolean
  /** Endpoints are chosen by their hints: those for this node, else those for its zone, else all. */
  readonly enableServiceTopology: boolean
  /** Services of other proxies carry another name in the label `service.kubernetes.io/service-proxy-name`. */
  readonly k8sServiceProxyName: string
  /** What queries for names get that no rule allows. */
  readonly tofqdnsDnsRejectResponseCode: 'refused' | 'nameError'
}

export const defaultSettings: Settings = {
  nodeName: '',
  clusterName: 'default',
  clusterId: 0,
  routingMode: 'tunnel',
  tunnelProtocol: 'vxlan',
  tunnelPort: 8472,
  autoDirectNodeRoutes: false,
  enableIpv4: true,
  enableIpv6: true,
  enableIpv4Masquerade: true,
  enableIpv6Masquerade: true,
  ipv4NativeRoutingCidr: '',
  ipv6NativeRoutingCidr: '',
  ipam: 'cluster-pool',
  mtu: 0,
  enablePolicy: 'default',
  allowLocalhost: 'auto',
  policyAuditMode: false,
  policyCidrMatchMode: [],
  enableHostFirewall: false,
  enableL7Proxy: true,
  enableNodeSelectorLabels: false,
  policySecretsNamespace: 'cilium-secrets',
  labels: [],
  kubeProxyReplacement: true,
  enableHealthCheckNodeport: true,
  enableServiceTopology: false,
  k8sServiceProxyName: '',
  tofqdnsDnsRejectResponseCode: 'refused',
}
