// SPDX-License-Identifier: Apache-2.0
import { attachMode, kernelRelease } from '../../edge/kernel/features.ts'
import type { AgentSettings } from './settings.ts'

/** What is switched on, by the names under which Cilium's CLI looks for it: `cilium features status`. */
export interface FeatureMetric {
  readonly name: string
  readonly value: 0 | 1
  readonly labels?: { readonly [label: string]: string }
}

export function featureMetrics({ node, options }: AgentSettings): readonly FeatureMetric[] {
  const mode = (name: string, value: string, label = 'mode'): FeatureMetric => ({
    name: `feature_${name}`,
    value: 1,
    labels: { [label]: value },
  })
  const enabled = (name: string, on: boolean): FeatureMetric => ({ name: `feature_${name}`, value: on ? 1 : 0 })
  const families =
    node.enableIpv4 && node.enableIpv6 ? 'ipv4-ipv6-dual-stack' : node.enableIpv4 ? 'ipv4-only' : 'ipv6-only'
  return [
    mode('controlplane_ipam', node.ipam),
    mode('controlplane_identity_allocation', 'crd'),
    enabled('controlplane_cilium_endpoint_slices_enabled', false),
    mode('datapath_network', node.routingMode === 'tunnel' ? `overlay-${node.tunnelProtocol}` : 'direct-routing'),
    mode('datapath_chaining_enabled', 'none'),
    mode('datapath_internet_protocol', families, 'address_family'),
    mode('datapath_config', 'veth'),
    mode('datapath_kernel_version', kernelRelease(), 'version'),
    enabled('datapath_tcx_enabled', attachMode() === 'tcx'),
    enabled('network_policies_host_firewall_enabled', options['enable-host-firewall'] === true),
    enabled('network_policies_local_redirect_policy_enabled', false),
    enabled('network_policies_mutual_auth_enabled', false),
    enabled('network_policies_non_defaultdeny_policies_enabled', true),
    ...node.policyCidrMatchMode.map((m) => mode('network_policies_cidr_policies', m)),
    enabled('adv_connect_and_lb_kube_proxy_replacement_enabled', node.kubeProxyReplacement),
    enabled('adv_connect_and_lb_bgp_enabled', false),
    enabled('adv_connect_and_lb_egress_gateway_enabled', false),
    enabled('adv_connect_and_lb_bandwidth_manager_enabled', false),
    enabled('adv_connect_and_lb_sctp_enabled', false),
    enabled('adv_connect_and_lb_l2_lb_enabled', false),
    ...(options['enable-l7-proxy'] === false ? [] : [mode('adv_connect_and_lb_envoy_proxy_enabled', 'standalone')]),
  ]
}
