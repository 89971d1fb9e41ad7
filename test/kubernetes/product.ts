// SPDX-License-Identifier: Apache-2.0
/** The product on the test cluster, installed as users do: with Helm, from the chart. */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { loadImages, nodeNames } from './cluster.ts'
import { kubectl, tryKubectl } from './kubectl.ts'
import { apiPort, control, dnsAddresses, kubeconfig, pool, root } from './places.ts'
import { output } from './run.ts'

const { version } = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as { version: string }
export const agentImage = `quay.io/cilium/cilium:v${version}`

const chart = join(root, 'charts/cilium')
export const release = ['cilium', '--namespace', 'kube-system']

export type HelmVersion = '3' | '4'
export async function helm(args: readonly string[], version: HelmVersion = '3'): Promise<string> {
  const program = (await output(join(root, 'tools/helm.sh'), [version])).trim()
  return output(program, [...args, '--kubeconfig', kubeconfig])
}

/** Values that this cluster needs, whatever is tested. */
export const clusterValues: readonly string[] = [
  `k8sServiceHost=${control.ipv4}`,
  `k8sServicePort=${apiPort}`,
  'ipv6.enabled=true',
  'operator.replicas=1',
  `ipam.operator.clusterPoolIPv4PodCIDRList={${pool.ipv4}}`,
  `ipam.operator.clusterPoolIPv6PodCIDRList={${pool.ipv6}}`,
  'ipam.operator.clusterPoolIPv6MaskSize=64',
]
export const nativeValues: readonly string[] = [
  'routingMode=native',
  'autoDirectNodeRoutes=true',
  `ipv4NativeRoutingCIDR=${pool.ipv4}`,
  `ipv6NativeRoutingCIDR=${pool.ipv6}`,
]
const flags = (values: readonly string[]): readonly string[] => values.flatMap((v) => ['--set', v])

/** Whether the image of Envoy could be made; without it L7 is off in the tests. */
export const hasEnvoy = (): boolean => existsSync(join(root, 'build/images/cilium-envoy.tar'))
const proxyValues = (): readonly string[] => (hasEnvoy() ? [] : ['l7Proxy=false'])

export const install = (values: readonly string[] = [], version: HelmVersion = '3'): Promise<string> =>
  helm(
    [
      'install',
      ...release.slice(0, 1),
      chart,
      ...release.slice(1),
      ...flags([...clusterValues, ...proxyValues(), ...values]),
    ],
    version,
  )

export const upgrade = (values: readonly string[] = [], version: HelmVersion = '3'): Promise<string> =>
  helm(
    [
      'upgrade',
      ...release.slice(0, 1),
      chart,
      ...release.slice(1),
      ...flags([...clusterValues, ...proxyValues(), ...values]),
    ],
    version,
  )

export const uninstall = (version: HelmVersion = '3'): Promise<string> =>
  helm(['uninstall', ...release, '--wait'], version)

/** Waits for agents, operator and nodes; an error says what they are at. */
export async function ready(seconds = 180): Promise<void> {
  const wait = `--timeout=${seconds}s`
  try {
    await kubectl(['-n', 'kube-system', 'rollout', 'status', 'daemonset/cilium', wait])
    await kubectl(['-n', 'kube-system', 'rollout', 'status', 'deployment/cilium-operator', wait])
    await kubectl(['wait', '--for=condition=Ready', 'node', '--all', wait])
  } catch (cause) {
    const ask = async (args: readonly string[]): Promise<string> =>
      (await tryKubectl(['-n', 'kube-system', ...args])).stdout
    const found = [
      await ask(['get', 'pods', '-o', 'wide']),
      await ask(['get', 'events', '--field-selector=type=Warning', '--sort-by=.lastTimestamp']),
      await ask(['logs', '-l', 'k8s-app=cilium', '-c', 'cilium-agent', '--tail=5', '--prefix']),
    ]
    throw new Error(`${(cause as Error).message}\n${found.join('\n')}`, { cause })
  }
}

export const reloadImages = async (): Promise<void> => void (await Promise.all(nodeNames().map(loadImages)))

/** A name server for the cluster: the product's own, which answers what Kubernetes' specification asks. */
export async function installDns(upstream = '/etc/resolv.conf'): Promise<void> {
  const objects = [
    { apiVersion: 'v1', kind: 'ServiceAccount', metadata: { name: 'coredns', namespace: 'kube-system' } },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRole',
      metadata: { name: 'system:coredns' },
      rules: [
        { apiGroups: [''], resources: ['services', 'namespaces', 'pods'], verbs: ['list', 'watch'] },
        { apiGroups: ['discovery.k8s.io'], resources: ['endpointslices'], verbs: ['list', 'watch'] },
      ],
    },
    {
      apiVersion: 'rbac.authorization.k8s.io/v1',
      kind: 'ClusterRoleBinding',
      metadata: { name: 'system:coredns' },
      roleRef: { apiGroup: 'rbac.authorization.k8s.io', kind: 'ClusterRole', name: 'system:coredns' },
      subjects: [{ kind: 'ServiceAccount', name: 'coredns', namespace: 'kube-system' }],
    },
    {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'coredns', namespace: 'kube-system' },
      data: {
        Corefile: `.:53 {\n  errors\n  health\n  ready\n  kubernetes cluster.local in-addr.arpa ip6.arpa {\n    pods insecure\n    fallthrough in-addr.arpa ip6.arpa\n    ttl 5\n  }\n  forward . ${upstream}\n}\n`,
      },
    },
    {
      apiVersion: 'v1',
      kind: 'Service',
      metadata: { name: 'kube-dns', namespace: 'kube-system', labels: { 'k8s-app': 'kube-dns' } },
      spec: {
        clusterIP: dnsAddresses[0],
        clusterIPs: dnsAddresses,
        ipFamilies: ['IPv4', 'IPv6'],
        ipFamilyPolicy: 'RequireDualStack',
        selector: { 'k8s-app': 'kube-dns' },
        ports: [
          { name: 'dns', port: 53, protocol: 'UDP' },
          { name: 'dns-tcp', port: 53, protocol: 'TCP' },
        ],
      },
    },
    {
      apiVersion: 'apps/v1',
      kind: 'Deployment',
      metadata: { name: 'coredns', namespace: 'kube-system', labels: { 'k8s-app': 'kube-dns' } },
      spec: {
        replicas: 1,
        selector: { matchLabels: { 'k8s-app': 'kube-dns' } },
        template: {
          metadata: { labels: { 'k8s-app': 'kube-dns' } },
          spec: {
            serviceAccountName: 'coredns',
            priorityClassName: 'system-cluster-critical',
            dnsPolicy: 'Default',
            containers: [
              {
                name: 'coredns',
                image: 'quay.io/cilium/cluster-dns:v0.1.0',
                args: ['-conf', '/etc/coredns/Corefile'],
                readinessProbe: { httpGet: { path: '/ready', port: 8181 }, periodSeconds: 1 },
                volumeMounts: [{ name: 'config', mountPath: '/etc/coredns' }],
              },
            ],
            volumes: [{ name: 'config', configMap: { name: 'coredns' } }],
          },
        },
      },
    },
  ]
  await kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }))
  await kubectl(['-n', 'kube-system', 'rollout', 'status', 'deployment/coredns', '--timeout=180s'])
}
