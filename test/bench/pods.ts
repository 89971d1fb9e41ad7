// SPDX-License-Identifier: Apache-2.0
import type { Lab } from '../lab.ts'
import type { Pair } from './baseline.ts'
import { Lines } from './load.ts'

const pod = (name: string, node: string): string =>
  `{apiVersion: v1, kind: Pod, metadata: {name: ${name}, labels: {bench: ${name}}}, spec: {nodeName: ${node}, terminationGracePeriodSeconds: 0, containers: [{name: main, image: busybox, command: [sleep, infinity]}]}}`

const peers = '[{matchExpressions: [{key: bench, operator: In, values: [server, client, far]}]}]'
const ports = '[{ports: [{port: "7700", endPort: 7710, protocol: ANY}]}]'
const policy = `{apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy, metadata: {name: bench}, spec: {endpointSelector: {matchExpressions: [{key: bench, operator: In, values: [server, client, far]}]}, ingress: [{fromEndpoints: ${peers}, toPorts: ${ports}}], egress: [{toEndpoints: ${peers}, toPorts: ${ports}}]}}`

export interface BenchPods {
  readonly near: Pair
  readonly far: Pair
  release(): void
}

/**
 * Pods under an L3/L4 policy in both directions: two on one node, and one across. Programs run in the pods' network
 * namespaces alone, not in their cgroups: the baselines are in none either, and the path is what is compared.
 */
export async function benchPods(lab: Lab): Promise<BenchPods> {
  const [one, two] = (await lab.nodes()) as [string, string]
  const text = [pod('server', one), pod('client', one), pod('far', two), policy].join('\n---\n')
  await lab.kubectl(['apply', '-f', '-'], text)
  await lab.ready('bench')
  const address = async (name: string): Promise<{ serverIPv4: string; serverIPv6: string }> => {
    const found = await lab.json<{ status: { podIPs: { ip: string }[] } }>(['get', 'pod', name])
    const ips = found.status.podIPs.map((p) => p.ip)
    return {
      serverIPv4: ips.find((ip) => !ip.includes(':')) ?? '',
      serverIPv6: ips.find((ip) => ip.includes(':')) ?? '',
    }
  }
  const holders: Lines[] = []
  const inside = async (name: string): Promise<readonly string[]> => {
    const holder = new Lines([...lab.inside(`default/${name}`), 'sh', '-c', 'echo $$; read end'])
    holders.push(holder)
    return ['nsenter', `--net=/proc/${await holder.next()}/ns/net`]
  }
  const client = await inside('client')
  return {
    near: { client, server: await inside('server'), ...(await address('server')) },
    far: { client, server: await inside('far'), ...(await address('far')) },
    release: () => {
      for (const h of holders) h.stop()
    },
  }
}
