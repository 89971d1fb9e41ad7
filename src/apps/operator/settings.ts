// SPDX-License-Identifier: Apache-2.0
import { fail, ok, type Result } from '../../base/result.ts'
import type { ReadSettings } from '../../derive/policy/policies.ts'
import { collectOptions, type Option, type OptionSources, optionsHelp } from '../../model/options.ts'
import { type Pool, parsePool } from './pools.ts'

const options: readonly Option[] = [
  {
    kind: 'text',
    name: 'config-dir',
    initial: '',
    help: 'directory with one file per option, as a mounted cilium-config',
  },
  {
    kind: 'text',
    name: 'k8s-kubeconfig-path',
    initial: '',
    help: 'kubeconfig; the service account of the pod if empty',
  },
  { kind: 'text', name: 'k8s-api-server', initial: '', help: 'URL of the API server, instead of the environment' },
  { kind: 'text', name: 'k8s-namespace', initial: 'kube-system', help: 'namespace of the agents' },
  {
    kind: 'choice',
    name: 'ipam',
    initial: 'cluster-pool',
    values: ['cluster-pool', 'kubernetes'],
    help: 'who gives nodes their prefixes',
  },
  { kind: 'switch', name: 'enable-ipv4', initial: true, help: 'IPv4 for pods' },
  { kind: 'switch', name: 'enable-ipv6', initial: true, help: 'IPv6 for pods' },
  { kind: 'list', name: 'cluster-pool-ipv4-cidr', initial: ['10.0.0.0/8'], help: 'prefixes cut into pieces for nodes' },
  { kind: 'number', name: 'cluster-pool-ipv4-mask-size', initial: 24, from: 1, to: 32, help: 'size of a piece' },
  { kind: 'list', name: 'cluster-pool-ipv6-cidr', initial: ['fd00::/104'], help: 'prefixes cut into pieces for nodes' },
  { kind: 'number', name: 'cluster-pool-ipv6-mask-size', initial: 120, from: 1, to: 128, help: 'size of a piece' },
  { kind: 'text', name: 'operator-api-serve-addr', initial: 'localhost:9234', help: 'address of /healthz' },
  { kind: 'text', name: 'cluster-name', initial: 'default', help: 'name of the cluster' },
  { kind: 'switch', name: 'enable-host-firewall', initial: false, help: 'agents enforce policies for nodes' },
  {
    kind: 'switch',
    name: 'enable-policy-secrets-sync',
    initial: true,
    help: 'copy secrets that policies name to where agents read them',
  },
  { kind: 'text', name: 'policy-secrets-namespace', initial: 'cilium-secrets', help: 'namespace of these copies' },
  { kind: 'switch', name: 'skip-crd-creation', initial: false, help: 'leave the CustomResourceDefinitions alone' },
  { kind: 'text', name: 'crds-dir', initial: '', help: 'directory of the CustomResourceDefinitions' },
  { kind: 'duration', name: 'identity-gc-interval', initial: 900, help: 'between collections of identities; 0: never' },
  {
    kind: 'duration',
    name: 'identity-heartbeat-timeout',
    initial: 1800,
    help: 'an identity without endpoints lives so long',
  },
  {
    kind: 'duration',
    name: 'cilium-endpoint-gc-interval',
    initial: 300,
    help: 'between collections of endpoints; 0: never',
  },
  { kind: 'duration', name: 'nodes-gc-interval', initial: 300, help: 'between collections of nodes; 0: never' },
  { kind: 'switch', name: 'remove-cilium-node-taints', initial: true, help: 'untaint nodes whose agent is ready' },
  {
    kind: 'switch',
    name: 'set-cilium-is-up-condition',
    initial: true,
    help: 'say that the network of such nodes is there',
  },
  { kind: 'text', name: 'agent-not-ready-taint-key', initial: 'node.cilium.io/agent-not-ready', help: 'the taint' },
  { kind: 'text', name: 'cilium-pod-labels', initial: 'k8s-app=cilium', help: 'how agents are found' },
  { kind: 'duration', name: 'leader-election-lease-duration', initial: 15, help: 'another operator takes over after' },
  { kind: 'duration', name: 'leader-election-retry-period', initial: 2, help: 'between attempts and renewals' },
  { kind: 'switch', name: 'debug', initial: false, help: 'log more' },
]

/** The operator's configuration. Intervals are seconds. */
export interface OperatorSettings {
  readonly kubeconfig: string
  readonly apiServer: string
  readonly namespace: string
  /** One list of pools for each family that gets addresses from the operator. */
  readonly pools: readonly (readonly Pool[])[]
  readonly apiAddress: string
  /** What policies mean depends on these. */
  readonly policy: ReadSettings
  /** Where secrets that policies name are copied to; '' nowhere. */
  readonly secretsNamespace: string
  readonly createCrds: boolean
  readonly crdsDir: string
  readonly identityGcInterval: number
  readonly identityTimeout: number
  readonly endpointGcInterval: number
  readonly nodeGcInterval: number
  readonly removeTaints: boolean
  readonly setCondition: boolean
  readonly taintKey: string
  readonly agentLabels: string
  readonly leaseDuration: number
  readonly leaseRetry: number
  readonly ignored: readonly string[]
}

export function readSettings(sources: OptionSources): Result<OperatorSettings> {
  const collected = collectOptions(options, [], sources)
  if (!collected.ok) return collected
  const { values: v, ignored } = collected.value
  const problems: string[] = []
  const family = (name: string): readonly Pool[] => {
    if (v['ipam'] !== 'cluster-pool' || v[`enable-${name}`] !== true) return []
    return (v[`cluster-pool-${name}-cidr`] as readonly string[]).flatMap((cidr) => {
      const pool = parsePool(cidr, v[`cluster-pool-${name}-mask-size`] as number)
      if (typeof pool !== 'string') return [pool]
      problems.push(`--cluster-pool-${name}-cidr: ${pool}`)
      return []
    })
  }
  const pools = [family('ipv4'), family('ipv6')]
  if (problems.length > 0) return fail({ field: '', message: problems.join('; ') })
  return ok({
    kubeconfig: v['k8s-kubeconfig-path'] as string,
    apiServer: v['k8s-api-server'] as string,
    namespace: v['k8s-namespace'] as string,
    pools,
    apiAddress: v['operator-api-serve-addr'] as string,
    policy: {
      clusterName: v['cluster-name'] as string,
      enableHostFirewall: v['enable-host-firewall'] as boolean,
    },
    secretsNamespace: v['enable-policy-secrets-sync'] ? (v['policy-secrets-namespace'] as string) : '',
    createCrds: !v['skip-crd-creation'],
    crdsDir: v['crds-dir'] as string,
    identityGcInterval: v['identity-gc-interval'] as number,
    identityTimeout: v['identity-heartbeat-timeout'] as number,
    endpointGcInterval: v['cilium-endpoint-gc-interval'] as number,
    nodeGcInterval: v['nodes-gc-interval'] as number,
    removeTaints: v['remove-cilium-node-taints'] as boolean,
    setCondition: v['set-cilium-is-up-condition'] as boolean,
    taintKey: v['agent-not-ready-taint-key'] as string,
    agentLabels: v['cilium-pod-labels'] as string,
    leaseDuration: v['leader-election-lease-duration'] as number,
    leaseRetry: v['leader-election-retry-period'] as number,
    ignored,
  })
}

export const operatorHelp = (): string =>
  `cilium-operator: what one of a cluster does for all nodes\n\n${optionsHelp(options)}`
