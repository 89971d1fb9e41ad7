// SPDX-License-Identifier: Apache-2.0
/** Requests of every kind under rules of both ends, while agents are killed and Envoys hand over to the next. */
import { join } from 'node:path'
import type { Lab } from '../../lab.ts'
import { Cluster, type Talk, talk } from '../faults/cluster.ts'
import { ask, hostOf, httpPolicy, type Pods, startPods, until } from './pods.ts'

const root = join(import.meta.dirname, '../../..')

/** What `talker.js load` saw of one address. */
export interface Load {
  readonly asked: number
  readonly failed: number
  /** Kept connections that were closed under a request, which was then asked once more. */
  readonly reset: number
  readonly errors: Readonly<Record<string, number>>
  /** ms */
  readonly slowest: number
  readonly streams: number
  /** Streams that somebody else than the client ended. */
  readonly cut: number
}

/**
 * Seconds: an Envoy that was replaced asks its clients to leave within the first, and ends after the second. Who asks
 * nothing in between, as on a machine so busy that it sleeps for so long, is not told, and loses what it has kept.
 */
const DRAIN = 1
const END = 5
/** Seconds of one long answer: within the time that an Envoy has to end. */
const STREAM = 2.5

/** Rules at both ends on both nodes, and clients on both nodes; what they ask goes to the server of the first. */
export class Restarts {
  readonly cluster: Cluster
  readonly pods: Pods
  private constructor(cluster: Cluster, pods: Pods) {
    this.cluster = cluster
    this.pods = pods
  }

  static async in(lab: Lab): Promise<Restarts> {
    const k = (...args: readonly string[]) => lab.kubectl(['-n', 'kube-system', ...args])
    await k('set', 'env', 'ds/cilium-envoy', `CILIUM_ENVOY_DRAIN=${DRAIN}`, `CILIUM_ENVOY_END=${END}`)
    await k('rollout', 'status', 'ds/cilium-envoy', '--timeout=60s')
    const pods = await startPods(lab)
    for (const direction of ['ingress', 'egress'] as const)
      await lab.kubectl(['apply', '-f', '-'], httpPolicy(direction, direction, [{ path: '/(a|stream)' }]))
    const made = new Restarts(await Cluster.of(lab), pods)
    await made.enforced('/b')
    return made
  }

  get servers(): readonly string[] {
    return this.pods.servers[0]?.addresses ?? []
  }

  /** Resolves once every client is refused `path` and gets '/a'. */
  async enforced(path: string): Promise<void> {
    const { lab } = this.cluster
    for (const { name } of this.pods.clients)
      for (const server of this.servers)
        for (const [what, status] of [
          [path, 403],
          ['/a', 200],
        ] as const)
          await until(
            `${name} gets ${status} for ${what}`,
            async () => (await ask(lab, name, `http://${hostOf(server)}${what}`)).status === status,
          )
  }

  /** Constant requests from every client, in both families, until `stop`. */
  async load(): Promise<{ stop(): Promise<readonly Load[]> }> {
    const { lab } = this.cluster
    const talks: Talk[] = []
    for (const { name } of this.pods.clients)
      for (const server of this.servers)
        talks.push(
          await talk([
            ...lab.inside(`default/${name}`),
            join(root, 'node_modules/.bin/node'),
            join(root, 'test/cluster/l7/talker.js'),
            ...['load', `http://${hostOf(server)}`, String(STREAM)],
          ]),
        )
    return {
      stop: async () =>
        (await Promise.all(talks.map((t) => t.stop()))).map((lines) => JSON.parse(lines.at(-1) ?? '') as Load),
    }
  }

  /** The Envoys of a node; two while one takes over from another. */
  envoys(node: string): readonly number[] {
    return this.cluster.processes(node, '--restart-epoch')
  }

  /** Has a node's Envoy replaced by another beside it; resolves when the old one has ended. */
  async handOver(node: string): Promise<void> {
    const before = this.envoys(node)
    if (before.length !== 1) throw new Error(`${node} has ${before.length} Envoys`)
    // The launcher is older than what it starts for a moment.
    process.kill(Math.min(...this.cluster.processes(node, 'bin/cilium-envoy')), 'SIGHUP')
    await this.cluster.until(`another Envoy on ${node}`, async () => {
      const now = this.envoys(node)
      return now.length === 1 && !before.includes(now[0] as number)
    })
  }
}
