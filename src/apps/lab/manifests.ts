// SPDX-License-Identifier: Apache-2.0
import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parseAllDocuments } from 'yaml'
import type { KubeObject } from '../../protocol/kubeapi/object.ts'
import { apiVersionOf, resourceName } from '../../protocol/kubeapi/resources.ts'
import type { Draft, Store } from './api/store.ts'
import type { LabSettings } from './settings.ts'

/** Prefixes that every lab uses; they are never routed outside of it. */
const podPrefixes = { ipv4: '10.244.0.0/16', ipv6: 'fd00:10:244::/56' } as const

/** Addresses of the name server's Service, the first family of the lab first. */
export const dnsAddresses = (settings: LabSettings): readonly string[] => [
  ...(settings.ipv6Only ? [] : ['10.96.0.10']),
  'fd00:10:96::a',
]
const families = (settings: LabSettings) => (settings.ipv6Only ? ['IPv6'] : ['IPv4', 'IPv6'])

/** Pod prefixes for Node objects, where the agents are told to take theirs from there (`ipam: kubernetes`). */
export const nodePrefixes = (settings: LabSettings): readonly ((n: number) => string)[] =>
  settings.config['ipam'] !== 'kubernetes'
    ? []
    : [...(settings.ipv6Only ? [] : [(n: number) => `10.244.${n}.0/24`]), (n) => `fd00:10:244:${n.toString(16)}::/64`]

/** The data of ConfigMap cilium-config, under Cilium's keys. */
export const ciliumConfig = (
  settings: LabSettings,
  apiHost: string,
  apiPort: number,
): Readonly<Record<string, string>> => ({
  'agent-health-port': '9879',
  'auto-direct-node-routes': String(settings.nativeRouting),
  // All nodes share one machine: a twelfth of the default, 17 MB a node.
  'bpf-ct-global-any-max': '21845',
  'bpf-ct-global-tcp-max': '43690',
  'cluster-id': '0',
  'cluster-name': 'default',
  'cluster-pool-ipv4-cidr': podPrefixes.ipv4,
  'cluster-pool-ipv4-mask-size': '24',
  'cluster-pool-ipv6-cidr': podPrefixes.ipv6,
  'cluster-pool-ipv6-mask-size': '64',
  'cni-exclusive': 'true',
  debug: 'false',
  devices: 'eth0',
  'enable-hubble': 'true',
  'enable-ipv4': String(!settings.ipv6Only),
  'enable-ipv4-masquerade': String(!settings.ipv6Only),
  'enable-ipv6': 'true',
  'enable-ipv6-masquerade': 'true',
  'enable-k8s-endpoint-slice': 'true',
  'enable-policy': 'default',
  'identity-allocation-mode': 'crd',
  ipam: 'cluster-pool',
  'ipv4-native-routing-cidr': settings.nativeRouting && !settings.ipv6Only ? podPrefixes.ipv4 : '',
  'ipv6-native-routing-cidr': settings.nativeRouting ? podPrefixes.ipv6 : '',
  'k8s-service-host': apiHost,
  'k8s-service-port': String(apiPort),
  'kube-proxy-replacement': 'true',
  'kube-proxy-replacement-healthz-bind-address': '',
  'monitor-aggregation': 'medium',
  'routing-mode': settings.nativeRouting ? 'native' : 'tunnel',
  'tunnel-protocol': 'vxlan',
  'write-cni-conf-when-ready': '/host/etc/cni/net.d/05-cilium.conflist',
  ...settings.config,
})

export interface Placement {
  readonly root: string
  readonly apiHost: string
  readonly apiPort: number
  /** Directory of the lab's nodes in the cgroup v2 tree. */
  readonly cgroups: string
}

/** Whether tools/envoy.sh has fetched one; without it L7 rules stay closed. */
const hasEnvoy = (root: string): boolean =>
  spawnSync(join(root, 'tools/envoy.sh'), ['--cached'], { stdio: 'ignore' }).status === 0

/** Agent, operator, Envoy and DNS, as objects to apply. */
export const systemObjects = (settings: LabSettings, at: Placement): readonly Draft[] => {
  const dns = dnsAddresses(settings)
  const values: Readonly<Record<string, string>> = {
    root: at.root,
    apiHost: at.apiHost,
    apiPort: String(at.apiPort),
    cgroups: at.cgroups,
    dns: dns[0] ?? '',
    dnsList: dns.map((a) => `"${a}"`).join(', '),
    families: families(settings).join(', '),
    familyPolicy: settings.ipv6Only ? 'SingleStack' : 'PreferDualStack',
    dnsReplicas: settings.nodes > 1 ? '2' : '1',
  }
  const config = {
    apiVersion: 'v1',
    kind: 'ConfigMap',
    metadata: { name: 'cilium-config', namespace: 'kube-system', labels: { 'app.kubernetes.io/part-of': 'cilium' } },
    data: ciliumConfig(settings, at.apiHost, at.apiPort),
  }
  return [
    config,
    ...['cilium', 'dns-proxy', 'operator', 'dns', ...(hasEnvoy(at.root) ? ['envoy'] : [])].flatMap((file) =>
      readManifest(join(at.root, 'src/apps/lab/manifests', `${file}.yaml`), values),
    ),
  ]
}

const readManifest = (path: string, values: Readonly<Record<string, string>>): readonly Draft[] => {
  const text = readFileSync(path, 'utf8').replace(/\$\{(\w+)\}/g, (_, name: string) => {
    const value = values[name]
    if (value === undefined) throw new Error(`${path}: nothing is known as \${${name}}`)
    return value
  })
  return parseAllDocuments(text, { merge: true }).map((document) => {
    if (document.errors[0]) throw new Error(`${path}: ${document.errors[0].message}`)
    return document.toJS() as Draft
  })
}

/** Creates an object of any kind that the store serves. */
export const createObject = (store: Store, object: Draft): KubeObject => {
  const resource = store.resources().find((r) => r.kind === object['kind'] && apiVersionOf(r) === object['apiVersion'])
  if (!resource) throw new Error(`no kind ${String(object['apiVersion'])} ${String(object['kind'])} is served`)
  return store.create(resourceName(resource), object)
}
