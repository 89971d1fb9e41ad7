// SPDX-License-Identifier: Apache-2.0
/** A lab with pods that talk all the time (`steady.c`) under a policy, and hands on what may be broken in it. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import http from 'node:http'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { Lab } from '../../lab.ts'
import { type Ran, ran } from '../../ran.ts'

export const steadyProgram = join(import.meta.dirname, '../../../build/steady')
export const port = 7800
const unified = '/sys/fs/cgroup/unified'

/** What `steady client` saw of one address. */
export interface Seen {
  readonly address: string
  readonly long: number
  readonly short: number
  readonly udp: number
  readonly lost: number
  readonly reset: number
  readonly refused: number
  readonly stalled: number
  readonly resent: number
}

export const faultsOf = ({ lost, reset, refused, stalled, resent }: Seen): number =>
  lost + reset + refused + stalled + resent

export const pod = (name: string, node: string, command: readonly string[]): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, labels: { app: name } },
  spec: {
    nodeName: node,
    terminationGracePeriodSeconds: 0,
    containers: [{ name: 'main', image: 'busybox', command }],
  },
})

const service = (name: string): object => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name },
  spec: {
    selector: { app: name },
    ipFamilyPolicy: 'PreferDualStack',
    ports: ['TCP', 'UDP'].map((protocol) => ({ name: protocol.toLowerCase(), protocol, port })),
  },
})

const peers = { matchLabels: { app: 'client' } }
const toPorts = [{ ports: [{ port: String(port), protocol: 'ANY' }] }]
/** Lets the client reach the servers, and nobody else. */
export const policy = (name: string, extra: readonly object[] = []): object => ({
  apiVersion: 'cilium.io/v2',
  kind: 'CiliumNetworkPolicy',
  metadata: { name },
  spec: {
    endpointSelector: { matchExpressions: [{ key: 'app', operator: 'In', values: ['server', 'far'] }] },
    ingress: [{ fromEndpoints: [peers], toPorts }, ...extra],
  },
})

/** As documents of one file. */
export const documents = (items: readonly object[]): string => items.map((i) => JSON.stringify(i)).join('\n---\n')

/** `steady client` or `steady probe` in a pod, until `stop`. */
export interface Talk {
  stop(): Promise<readonly string[]>
}

export async function talk(command: readonly string[]): Promise<Talk> {
  const child: ChildProcessWithoutNullStreams = spawn(command[0] as string, command.slice(1))
  let errors = ''
  child.stderr.on('data', (d) => (errors += d))
  child.stdin.on('error', () => {})
  const lines: string[] = []
  const ended = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const ready = new Promise<void>((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => (line === 'ready' ? resolve() : lines.push(line)))
    child.once('close', () => reject(new Error(`${command.join(' ')}: ${errors}`)))
  })
  await ready
  return {
    async stop() {
      child.stdin.end()
      await ended
      if (lines.length === 0) throw new Error(`${command.join(' ')} said nothing: ${errors}`)
      return lines
    },
  }
}

const numbersIn = (line: string): Seen => {
  const [address, ...words] = line.split(' ')
  const found: { [name: string]: number } = {}
  for (let i = 0; i + 1 < words.length; i += 2) found[words[i] as string] = Number(words[i + 1])
  return { address, ...found } as unknown as Seen
}

export class Cluster {
  readonly lab: Lab
  /** Process id of each node's init. */
  readonly nodes: ReadonlyMap<string, number>
  private constructor(lab: Lab, nodes: ReadonlyMap<string, number>) {
    this.lab = lab
    this.nodes = nodes
  }

  /** Two nodes: server, client and stranger on the first, far and outsider on the second; a Service for each server. */
  static async up(name: string, options: readonly string[] = []): Promise<Cluster> {
    const lab = await Lab.up(name, options, 2)
    try {
      const serve = [steadyProgram, 'serve', String(port)]
      const idle = ['sleep', 'infinity']
      const pods = [
        pod('server', 'node-1', serve),
        pod('client', 'node-1', idle),
        pod('stranger', 'node-1', idle),
        pod('far', 'node-2', serve),
        pod('outsider', 'node-2', idle),
      ]
      const all = [...pods, service('server'), service('far'), policy('servers')]
      await lab.kubectl(['create', '-f', '-'], documents(all))
      await lab.ready('app')
      return await Cluster.of(lab)
    } catch (error) {
      await lab.down()
      throw error
    }
  }

  /** A lab that is up, with whatever is in it. */
  static async of(lab: Lab): Promise<Cluster> {
    const control = `/run/cilium-lab/${lab.name}/control.sock`
    const { body } = await ask<{ nodes: { name: string; pid: number }[] }>(control, 'GET', '/status')
    return new Cluster(lab, new Map(body.nodes.map((n) => [n.name, n.pid])))
  }

  async podIPs(name: string): Promise<readonly string[]> {
    const found = await this.lab.json<{ status: { podIPs?: { ip: string }[] } }>(['get', 'pod', name])
    return (found.status.podIPs ?? []).map((p) => p.ip)
  }

  /** Both servers by both families, and through their Services. */
  async everyWay(): Promise<readonly string[]> {
    const services = await this.lab.json<{ items: { spec: { clusterIPs: string[] } }[] }>([
      'get',
      'service',
      'server',
      'far',
    ])
    return [
      ...(await this.podIPs('server')),
      ...(await this.podIPs('far')),
      ...services.items.flatMap((s) => s.spec.clusterIPs),
    ]
  }

  /** A command in a pod's own container: its sockets are translated as those of any pod. */
  exec(pod: string, command: readonly string[]): readonly string[] {
    return [...this.lab.command, 'exec', '-i', pod, '--', ...command]
  }

  /** Constant traffic from the client, in its container or only in its network namespace (services per packet). */
  async client(addresses: readonly string[], where: 'container' | 'namespace' = 'container') {
    const command = [steadyProgram, 'client', String(port), ...addresses]
    const running = await talk(
      where === 'container' ? this.exec('client', command) : [...this.lab.inside('default/client'), ...command],
    )
    return { stop: async () => (await running.stop()).map(numbersIn) }
  }

  /** Constant attempts of a pod that no policy lets through; `stop` answers how many were answered. */
  async probe(from: string, addresses: readonly string[]) {
    const running = await talk(this.exec(from, [steadyProgram, 'probe', String(port), ...addresses]))
    return {
      stop: async () =>
        (await running.stop()).map((line) => numbersIn(line) as unknown as { asked: number; answered: number }),
    }
  }

  /** A request to the agent's socket of a node. */
  agent<T>(node: string, method: string, path: string, body?: string): Promise<{ status: number; body: T }> {
    return ask<T>(`/proc/${this.nodes.get(node)}/root/run/cilium/cilium.sock`, method, path, body)
  }

  /** Resolves once the agent of a node has read everything and serves; it may still warn of something. */
  async agentReady(node: string): Promise<void> {
    await this.until(`the agent of ${node}`, async () => {
      const said = await this.agent<{ cilium?: { state: string } }>(node, 'GET', '/v1/healthz').catch(() => undefined)
      return said?.body.cilium !== undefined && said.body.cilium.state !== 'Failure'
    })
  }

  /** Resolves once a node's agent does not know a policy any more and all its endpoints are as the others say. */
  async enforcedWithout(node: string, gone: string): Promise<void> {
    await this.until(`the end of the policy ${gone} on ${node}`, async () => {
      const { policy: text, revision } = (
        await this.agent<{ policy: string; revision: number }>(node, 'GET', '/v1/policy')
      ).body
      type Enforced = { status: { policy: { realized: { 'policy-revision': number } } } }
      const { body } = await this.agent<readonly Enforced[]>(node, 'GET', '/v1/endpoint')
      return !text.includes(gone) && body.every((e) => e.status.policy.realized['policy-revision'] >= revision)
    })
  }

  /** Process ids of a program (a part of its command line) among the pods of a node. */
  processes(node: string, program: string): readonly number[] {
    const below = (directory: string): readonly string[] => {
      try {
        return [
          ...readFileSync(join(directory, 'cgroup.procs'), 'utf8').split('\n'),
          ...readdirSync(directory, { withFileTypes: true })
            .filter((e) => e.isDirectory())
            .flatMap((e) => below(join(directory, e.name))),
        ]
      } catch {
        return [] // gone while we looked
      }
    }
    return below(`${unified}/cilium-lab/${this.lab.name}/${node}`)
      .filter((pid) => pid !== '' && commandLine(pid).includes(program))
      .map(Number)
  }

  /** Has the agent killed without a word (SIGKILL), and the next one started at once rather than after a back-off. */
  async killAgent(node: string): Promise<void> {
    const before = this.processes(node, 'build/agent.js')
    const doomed = ['pods', '-l', 'k8s-app=cilium', '--field-selector', `spec.nodeName=${node}`]
    await this.lab.kubectl(['-n', 'kube-system', 'delete', ...doomed, '--force', '--grace-period=0', '--wait=false'])
    await this.until(`the end of the agent of ${node}`, async () => {
      const now = this.processes(node, 'build/agent.js')
      return now.length > 0 && !before.some((pid) => now.includes(pid))
    })
  }

  async restartAgent(node: string): Promise<void> {
    await this.killAgent(node)
    await this.agentReady(node)
  }

  /** A host program inside a node or pod. */
  async inside(where: string, command: readonly string[], input?: string): Promise<Ran> {
    const [program = '', ...args] = await this.lab.within(where)
    return ran(program, [...args, ...command], input)
  }

  /** Tries until it is so; fails saying what was waited for. */
  async until(what: string, holds: () => Promise<boolean>): Promise<void> {
    for (let i = 0; i < 1500; i++) {
      if (await holds()) return
      await sleep(20)
    }
    throw new Error(`waited in vain for ${what}`)
  }
}

const commandLine = (pid: string): string => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8')
  } catch {
    return ''
  }
}

/** A JSON request over a unix socket. */
export function ask<T>(
  socketPath: string,
  method: string,
  path: string,
  body?: string,
): Promise<{ status: number; body: T }> {
  return new Promise((resolve, reject) => {
    const request = http.request({ socketPath, method, path, timeout: 30_000 }, (answer) => {
      let text = ''
      answer.setEncoding('utf8')
      answer.on('data', (part: string) => (text += part))
      answer.on('end', () => {
        let parsed: unknown = text
        try {
          parsed = JSON.parse(text)
        } catch {
          // Text it is.
        }
        resolve({ status: answer.statusCode ?? 0, body: parsed as T })
      })
    })
    request.on('timeout', () => request.destroy(new Error(`${method} ${path}: no answer`)))
    request.on('error', reject)
    request.end(body)
  })
}
