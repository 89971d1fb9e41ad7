// SPDX-License-Identifier: Apache-2.0
/** Requests of every kind under rules, while agents are killed and Envoys hand over to the next. */
import assert from 'node:assert/strict'
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
const DRAIN = 2
const END = 6
/** Seconds of one long answer: within the time that an Envoy has to end. */
const STREAM = 2.5

/** Has the Envoys of a lab end soon after they were replaced. */
export async function endSoon(lab: Lab): Promise<void> {
  const k = (...args: readonly string[]) => lab.kubectl(['-n', 'kube-system', ...args])
  await k('set', 'env', 'ds/cilium-envoy', `CILIUM_ENVOY_DRAIN=${DRAIN}`, `CILIUM_ENVOY_END=${END}`)
  await k('rollout', 'status', 'ds/cilium-envoy', '--timeout=60s')
}

/** Asks a URL for '/a' and '/stream' all the time, by a program that the words of `inside` lead to. */
export const startLoad = (inside: readonly string[], url: string): Promise<Talk> =>
  talk([
    ...inside,
    ...[join(root, 'node_modules/.bin/node'), join(root, 'test/cluster/l7/talker.js')],
    ...['load', url, String(STREAM)],
  ])

export const endLoads = async (talks: readonly Talk[]): Promise<readonly Load[]> =>
  (await Promise.all(talks.map((t) => t.stop()))).map((lines) => JSON.parse(lines.at(-1) ?? '') as Load)

/** Fails when a load has lost anything, or asked too little to know. */
export function nothingLost(loads: readonly Load[]): void {
  for (const { asked, streams, failed, reset, errors, cut } of loads) {
    assert.deepEqual({ failed, reset, errors, cut }, { failed: 0, reset: 0, errors: {}, cut: 0 })
    assert.ok(asked > 50 && streams > 0, `${asked} requests, ${streams} streams`)
  }
}

/** The Envoys of a node; two while one takes over from another. */
export const envoysOf = (cluster: Cluster, node: string): readonly number[] =>
  cluster.processes(node, '--restart-epoch')

/** What starts a node's Envoy; it is older than what it starts for a moment. */
export const launcherOf = (cluster: Cluster, node: string): number =>
  Math.min(...cluster.processes(node, 'bin/cilium-envoy'))

/** Kills a node's Envoys and what would start others. Who ended with the one before is gone already. */
export function killEnvoys(cluster: Cluster, node: string): void {
  for (const pid of [...envoysOf(cluster, node), launcherOf(cluster, node)])
    try {
      process.kill(pid, 'SIGKILL')
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'ESRCH')) throw error
    }
}

/** Has a node's Envoy replaced by another beside it; resolves when the old one has ended. */
export async function handOver(cluster: Cluster, node: string): Promise<void> {
  const before = envoysOf(cluster, node)
  if (before.length !== 1) throw new Error(`${node} has ${before.length} Envoys`)
  process.kill(launcherOf(cluster, node), 'SIGHUP')
  await cluster.until(`another Envoy on ${node}`, async () => {
    const now = envoysOf(cluster, node)
    return now.length === 1 && !before.includes(now[0] as number)
  })
}

/** Rules at both ends on both nodes, and clients on both nodes; what they ask goes to the server of the first. */
export class Restarts {
  readonly cluster: Cluster
  readonly pods: Pods
  private constructor(cluster: Cluster, pods: Pods) {
    this.cluster = cluster
    this.pods = pods
  }

  static async in(lab: Lab): Promise<Restarts> {
    await endSoon(lab)
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
        talks.push(await startLoad(lab.inside(`default/${name}`), `http://${hostOf(server)}`))
    return { stop: () => endLoads(talks) }
  }

  /** The Envoys of a node; two while one takes over from another. */
  envoys(node: string): readonly number[] {
    return envoysOf(this.cluster, node)
  }

  /** Has a node's Envoy replaced by another beside it; resolves when the old one has ended. */
  handOver(node: string): Promise<void> {
    return handOver(this.cluster, node)
  }
}
