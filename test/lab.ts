// SPDX-License-Identifier: Apache-2.0
/** A lab for tests and benches, driven as a user drives it: `bin/cilium-lab` and the real kubectl. */
import { execFile } from 'node:child_process'
import { promisify } from 'node:util'
import { type Ran, ran } from './ran.ts'

const run = promisify(execFile)
const launcher = 'bin/cilium-lab'

export class Lab {
  readonly name: string
  readonly kubeconfig: string
  readonly #kubectl: string
  private constructor(name: string, kubeconfig: string, kubectl: string) {
    this.name = name
    this.kubeconfig = kubeconfig
    this.#kubectl = kubectl
  }

  /** Starts a lab of `nodes` nodes with further options of `cilium-lab up`. */
  static async up(name: string, options: readonly string[] = [], nodes = 2, version = '1.34'): Promise<Lab> {
    const up = await ran(launcher, ['up', '--name', name, '--nodes', String(nodes), ...options])
    if (up.code !== 0) throw new Error(`cilium-lab up: ${up.stdout}${up.stderr}`)
    return Lab.of(name, version)
  }

  /** A lab that is up already, seen with a version of kubectl. */
  static async of(name: string, version: string): Promise<Lab> {
    const { stdout } = await run(launcher, ['kubeconfig', '--name', name])
    return new Lab(name, stdout.trim(), (await run('tools/kubectl.sh', [version])).stdout.trim())
  }

  /** kubectl with this lab's configuration, for those who start it themselves. */
  get command(): readonly string[] {
    return [this.#kubectl, '--kubeconfig', this.kubeconfig]
  }

  tryKubectl(args: readonly string[], input?: string): Promise<Ran> {
    return ran(this.#kubectl, ['--kubeconfig', this.kubeconfig, ...args], input)
  }

  /** Output of kubectl; throws with its error. */
  async kubectl(args: readonly string[], input?: string): Promise<string> {
    const r = await this.tryKubectl(args, input)
    if (r.code !== 0) throw new Error(`kubectl ${args.join(' ')}: exit code ${r.code}: ${r.stderr.trim()}`)
    return r.stdout
  }

  async json<T>(args: readonly string[]): Promise<T> {
    return JSON.parse(await this.kubectl([...args, '-o', 'json'])) as T
  }

  /** Runs a command in the agent of a node, as users do. */
  async cilium(node: string, args: readonly string[], input?: string): Promise<Ran> {
    const field = `spec.nodeName=${node}`
    const pod = (
      await this.kubectl([
        '-n',
        'kube-system',
        'get',
        'pods',
        '-l',
        'k8s-app=cilium',
        '--field-selector',
        field,
        '-o',
        'name',
      ])
    ).trim()
    const exec = ['-n', 'kube-system', 'exec', ...(input === undefined ? [] : ['-i']), pod, '-c', 'cilium-agent']
    return this.tryKubectl([...exec, '--', 'cilium', ...args], input)
  }

  async nodes(): Promise<readonly string[]> {
    const found = await this.json<{ items: { metadata: { name: string } }[] }>(['get', 'nodes'])
    return found.items.map((n) => n.metadata.name).sort()
  }

  async ready(selector: string): Promise<void> {
    await this.kubectl(['wait', '--for=condition=Ready', 'pod', '-l', selector, '--timeout=60s'])
  }

  /** Command prefix that runs a host program where a pod or node lives. */
  inside(where: string): readonly string[] {
    return [launcher, 'nsenter', '--name', this.name, where, '--']
  }

  async down(): Promise<void> {
    const r = await ran(launcher, ['down', '--name', this.name])
    if (r.code !== 0) throw new Error(`cilium-lab down: ${r.stdout}${r.stderr}`)
  }
}
