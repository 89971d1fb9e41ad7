// SPDX-License-Identifier: Apache-2.0
/** A lab for tests and benches, driven as a user drives it: `bin/cilium-lab` and the real kubectl. */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { createInterface } from 'node:readline'
import { promisify } from 'node:util'
import { askLab, type LabStatus } from '../src/apps/lab/control.ts'
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

  /** Arguments of kubectl that run a command in the agent of a node, as users do. */
  async #inAgent(node: string, args: readonly string[], input: boolean): Promise<readonly string[]> {
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
    const exec = ['-n', 'kube-system', 'exec', ...(input ? ['-i'] : []), pod, '-c', 'cilium-agent']
    return [...exec, '--', 'cilium', ...args]
  }

  /** Runs a command in the agent of a node. */
  async cilium(node: string, args: readonly string[], input?: string): Promise<Ran> {
    return this.tryKubectl(await this.#inAgent(node, args, input !== undefined), input)
  }

  /**
   * What `cilium monitor` tells on a node while `happens` is done again and again (who begins to listen may miss the
   * first), until it is `enough`; throws with what was told when it is not after a minute.
   */
  async monitor(
    node: string,
    type: string,
    happens: () => Promise<unknown>,
    enough: (told: string) => boolean,
  ): Promise<string> {
    const [program = '', ...args] = this.command
    const command = await this.#inAgent(node, ['monitor', '--type', type, '--timeout', '90'], false)
    const child = spawn(program, [...args, ...command], { stdio: ['ignore', 'pipe', 'inherit'] })
    const ended = once(child, 'close')
    let told = ''
    let heard = () => {}
    createInterface({ input: child.stdout }).on('line', (line) => {
      told += `${line}\n`
      heard()
    })
    /** The next line, or some time without one. */
    const more = (ms: number) => new Promise<void>((resolve) => void setTimeout((heard = resolve), ms))
    try {
      const end = performance.now() + 60_000
      while (!told.includes('Listening')) {
        if (child.exitCode !== null) throw new Error(`monitor on ${node} ended: ${told}`)
        await more(100)
      }
      for (;;) {
        await happens()
        for (let i = 0; i < 20 && !enough(told); i++) await more(100)
        if (enough(told)) return told
        if (performance.now() > end) throw new Error(`not told on ${node} within a minute; told was:\n${told}`)
      }
    } finally {
      child.kill()
      await ended
    }
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

  /** The same without a start of `cilium-lab`, for what is run by the hundred. */
  async within(where: string): Promise<readonly string[]> {
    const [namespace = '', pod] = where.split('/')
    if (pod !== undefined) return this.#ask<readonly string[]>('enter', namespace, pod)
    const node = (await this.#ask<LabStatus>('status')).nodes.find((n) => n.name === where)
    return ['nsenter', '-t', String(node?.pid), '-m', '-u', '-i', '-n', '-p', '--']
  }

  async #ask<T>(...path: readonly string[]): Promise<T> {
    const answer = await askLab<T>(`/run/cilium-lab/${this.name}/control.sock`, path)
    if (answer === undefined) throw new Error(`the lab ${this.name} is not up`)
    return answer
  }

  async down(): Promise<void> {
    const r = await ran(launcher, ['down', '--name', this.name])
    if (r.code !== 0) throw new Error(`cilium-lab down: ${r.stdout}${r.stderr}`)
  }
}
