// SPDX-License-Identifier: Apache-2.0
/** A lab of two nodes for the bench, and what it takes to ask it things. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import type { Pair } from './baseline.ts'

const run = promisify(execFile)
const launcher = 'bin/cilium-lab'

const manifest = ['server 1', 'client 1', 'far 2']
  .map((line) => {
    const [name, node] = line.split(' ')
    return `{apiVersion: v1, kind: Pod, metadata: {name: ${name}, labels: {bench: ${name}}}, spec: {nodeName: NODE${node}, terminationGracePeriodSeconds: 0, containers: [{name: main, image: busybox, command: [sleep, infinity]}]}}`
  })
  .concat(
    `{apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy, metadata: {name: bench}, spec: {endpointSelector: {matchExpressions: [{key: bench, operator: Exists}]}, ingress: [{fromEndpoints: [{matchExpressions: [{key: bench, operator: Exists}]}], toPorts: [{ports: [{port: "7700", endPort: 7710, protocol: ANY}]}]}], egress: [{toEndpoints: [{matchExpressions: [{key: bench, operator: Exists}]}], toPorts: [{ports: [{port: "7700", endPort: 7710, protocol: ANY}]}]}]}}`,
  )

export class Lab {
  readonly name: string
  readonly kubeconfig: string
  readonly #kubectl: string
  private constructor(name: string, kubeconfig: string, kubectl: string) {
    this.name = name
    this.kubeconfig = kubeconfig
    this.#kubectl = kubectl
  }

  static async up(name: string, options: readonly string[] = [], nodes = 2): Promise<Lab> {
    await run(launcher, ['up', '--name', name, '--nodes', String(nodes), ...options])
    const { stdout } = await run(launcher, ['kubeconfig', '--name', name])
    const kubectl = (await run('tools/kubectl.sh', ['1.34'])).stdout.trim()
    return new Lab(name, stdout.trim(), kubectl)
  }

  async kubectl(args: readonly string[], input?: string): Promise<string> {
    const child = run(this.#kubectl, ['--kubeconfig', this.kubeconfig, ...args], { maxBuffer: 1 << 26 })
    child.child.stdin?.end(input ?? '')
    return (await child).stdout
  }

  async json<T>(args: readonly string[]): Promise<T> {
    return JSON.parse(await this.kubectl([...args, '-o', 'json'])) as T
  }

  /** Pods under an L3/L4 policy in both directions: two on one node, and one across. */
  async pods(): Promise<{ near: Pair; far: Pair }> {
    const nodes = await this.json<{ items: { metadata: { name: string } }[] }>(['get', 'nodes'])
    const names = nodes.items.map((n) => n.metadata.name).sort()
    const text = manifest
      .join('\n---\n')
      .replaceAll('NODE1', names[0] ?? '')
      .replaceAll('NODE2', names[1] ?? '')
    await this.kubectl(['apply', '-f', '-'], text)
    await this.kubectl(['wait', '--for=condition=Ready', 'pod', '-l', 'bench', '--timeout=30s'])
    const address = async (pod: string): Promise<{ v4: string; v6: string }> => {
      const found = await this.json<{ status: { podIPs: { ip: string }[] } }>(['get', 'pod', pod])
      const ips = found.status.podIPs.map((p) => p.ip)
      return { v4: ips.find((ip) => !ip.includes(':')) ?? '', v6: ips.find((ip) => ip.includes(':')) ?? '' }
    }
    const [server, far] = [await address('server'), await address('far')]
    const inside = (pod: string): readonly string[] => [
      launcher,
      'nsenter',
      '--name',
      this.name,
      `default/${pod}`,
      '--',
    ]
    return {
      near: { client: inside('client'), server: inside('server'), serverIPv4: server.v4, serverIPv6: server.v6 },
      far: { client: inside('client'), server: inside('far'), serverIPv4: far.v4, serverIPv6: far.v6 },
    }
  }

  async down(): Promise<void> {
    await run(launcher, ['down', '--name', this.name])
  }
}
