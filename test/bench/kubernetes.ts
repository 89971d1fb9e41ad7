// SPDX-License-Identifier: Apache-2.0
/**
 * The product on a real Kubernetes of two nodes: how fast it comes, what a pod costs beside the reference plugin in the
 * same run, and what an upgrade costs connections.
 */
import { execFileSync } from 'node:child_process'
import { existsSync, mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { build, buildReference, pauseImage } from '../kubernetes/build.ts'
import { down, inMachine, nodeNames, up } from '../kubernetes/cluster.ts'
import { items, kubectl } from '../kubernetes/kubectl.ts'
import { install, installDns, ready, upgrade } from '../kubernetes/product.ts'
import { until } from '../kubernetes/run.ts'
import { apply, pod, podInfo, startTraffic } from '../kubernetes/workloads.ts'
import { absolute, median, quantile, relative, type Section } from './figure.ts'

const image = 'build/images/cilium.tar'
const nodes = 2
const many = 100
/** Pods created one after another: enough that their slowest hundredth is not chance alone. */
const single = 80
/** Pods of a node that is full, but for those of the system. */
const full = 105

const deployment = (name: string, replicas: number): object => ({
  apiVersion: 'apps/v1',
  kind: 'Deployment',
  metadata: { name },
  spec: {
    replicas,
    selector: { matchLabels: { app: name } },
    template: {
      metadata: { labels: { app: name } },
      spec: { terminationGracePeriodSeconds: 0, containers: [{ name: 'main', image: pauseImage }] },
    },
  },
})

/** Seconds until pods in this number are Ready, counted from their creation. They are deleted again after `meanwhile`. */
async function podsReady(count: number, meanwhile = async (): Promise<void> => {}): Promise<number> {
  const began = performance.now()
  await apply([deployment('many', count)])
  await kubectl(['rollout', 'status', 'deployment/many', '--timeout=300s'])
  const seconds = (performance.now() - began) / 1000
  await meanwhile()
  await kubectl(['delete', 'deployment', 'many', '--cascade=foreground', '--timeout=120s'])
  await until('pods are gone', async () => (await items(['get', 'pods', '-l', 'app=many'])).length === 0, 120)
  await sleep(3000)
  return seconds
}

/** Seconds until a pod is Ready, the median of many that are created one after another. */
async function podsOneByOne(): Promise<number> {
  const alone: number[] = []
  const names = Array.from({ length: single }, (_, i) => `single-${i}`)
  for (const name of names) {
    const began = performance.now()
    await apply([
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name, labels: { app: 'single' } },
        spec: { terminationGracePeriodSeconds: 0, containers: [{ name: 'main', image: pauseImage }] },
      },
    ])
    await kubectl(['wait', '--for=condition=Ready', `pod/${name}`, '--timeout=60s'])
    alone.push((performance.now() - began) / 1000)
  }
  await kubectl(['delete', 'pods', '-l', 'app=single', '--timeout=120s'])
  return median(alone)
}

async function seconds(work: () => Promise<unknown>): Promise<number> {
  const began = performance.now()
  await work()
  return (performance.now() - began) / 1000
}

/** The bridge plugin on every node, each with a prefix of its own. */
async function installReference(plugins: string): Promise<void> {
  for (const [i, node] of nodeNames().entries()) {
    const conf = {
      cniVersion: '0.3.1',
      name: 'reference',
      plugins: [
        {
          type: 'bridge',
          bridge: 'ref0',
          isGateway: true,
          ipam: {
            type: 'host-local',
            ranges: [[{ subnet: `10.99.${i}.0/24` }], [{ subnet: `fd99:${i}::/64` }]],
            routes: [{ dst: '0.0.0.0/0' }, { dst: '::/0' }],
          },
        },
      ],
    }
    await inMachine(
      node,
      [
        'sh',
        '-c',
        `mkdir -p /opt/cni/bin /etc/cni/net.d && cp ${plugins}/* /opt/cni/bin/ && cat >/etc/cni/net.d/10-reference.conflist`,
      ],
      JSON.stringify(conf),
    )
  }
  await kubectl(['wait', '--for=condition=Ready', 'node', '--all', '--timeout=60s'])
}

/** Puts a stopwatch in front of a plugin, or back to nothing: what containerd waits for. */
const measured = '/run/cni-times'
async function timePlugin(plugin: string): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'stopwatch-'))
  try {
    const program = join(dir, 'stopwatch')
    execFileSync('gcc', ['-O2', '-static', '-s', '-o', program, join(import.meta.dirname, 'stopwatch.c')])
    const bin = '/opt/cni/bin'
    for (const node of nodeNames())
      await inMachine(node, [
        'sh',
        '-ec',
        `if [ ! -e ${bin}/${plugin}.timed ]; then
           cp ${program} ${bin}/.new; cp ${bin}/${plugin} ${bin}/${plugin}.timed; mv ${bin}/.new ${bin}/${plugin}
         fi
         : >${measured}`,
      ])
  } finally {
    rmSync(dir, { recursive: true })
  }
}
/** How long the calls with a command took, in ms. */
async function pluginTimes(command: string): Promise<readonly number[]> {
  const all = await Promise.all(nodeNames().map((n) => inMachine(n, ['cat', measured])))
  return all.flatMap((text) =>
    text
      .split('\n')
      .filter((l) => l.startsWith(`${command} `))
      .map((l) => {
        const [, began, ended] = l.split(' ')
        return Number(ended) - Number(began)
      }),
  )
}

/** What containerd waited for a plugin, in ms, and how long pods took, in seconds. */
interface Starts {
  readonly one: { readonly add: readonly number[]; readonly ready: number }
  readonly burst: { readonly add: readonly number[]; readonly del: readonly number[]; readonly ready: number }
}

async function starts(plugin: string): Promise<Starts> {
  await timePlugin(plugin)
  await podsReady(many) // The first time pays for caches, whoever comes first.
  await timePlugin(plugin)
  const ready = await podsReady(many)
  const burst = { add: await pluginTimes('ADD'), del: await pluginTimes('DEL'), ready }
  await timePlugin(plugin)
  const alone = await podsOneByOne()
  return { one: { add: await pluginTimes('ADD'), ready: alone }, burst }
}

interface Named {
  readonly metadata: { readonly name: string }
}
/** Requests to the API server that agents have made. */
async function requests(): Promise<number> {
  let sum = 0
  for (const agent of await items<Named>(['-n', 'kube-system', 'get', 'pods', '-l', 'k8s-app=cilium'])) {
    const text = await kubectl([
      '-n',
      'kube-system',
      'exec',
      agent.metadata.name,
      '-c',
      'cilium-agent',
      '--',
      'cilium',
      'metrics',
      'list',
      '-p',
      'k8s_client_api_calls',
    ])
    sum += [...text.matchAll(/api_calls_total.*?([0-9.]+)$/gm)].reduce((n, m) => n + Number(m[1]), 0)
  }
  return sum
}

export const kubernetes: Section = {
  name: 'kubernetes',
  async run(report) {
    if (!existsSync(image)) throw new Error(`${image} is missing: run make image`)
    report(absolute('cilium image, compressed, without Envoy', statSync(image).size / 1e6, 'MB', 90))
    await build()
    const plugins = buildReference()
    const began = performance.now()
    await up(nodes, () => {})
    report(absolute('cluster of 2 nodes, images loaded', (performance.now() - began) / 1000, 's'))
    try {
      const noticed = await seconds(() => installReference(plugins))
      report(absolute('CNI configuration of the bridge plugin written to all nodes ready', noticed, 's'))
      const bridge = await starts('bridge')

      // Where there was a network before, kubelet looks for one every five seconds and tells of it every ten.
      await down()
      await up(nodes, () => {})
      const installed = await seconds(async () => {
        await install()
        await ready()
      })
      report(absolute('chart installed to all nodes ready', installed, 's', 10))
      await installDns()

      const ours = await starts('cilium-cni')
      const [slow, slowBridge] = [ours, bridge].map(({ burst }) => quantile(burst.add, 0.99)) as [number, number]
      const [half, halfBridge] = [ours, bridge].map(({ burst }) => median(burst.add)) as [number, number]
      const [pods, podsBridge] = [ours.burst.ready, bridge.burst.ready]
      report(relative('100 pods to Ready, of the bridge plugin', pods, 's', podsBridge, pods / podsBridge, 1.05))
      report(absolute('CNI ADD p50, 100 pods at once', half, 'ms', 12))
      report(absolute('CNI ADD p99, 100 pods at once', slow, 'ms', 30))
      // So many processes at once share the CPUs that a plugin mostly waits for its turn.
      report(relative('CNI ADD p50, 100 pods at once, of the bridge plugin', half, 'ms', halfBridge, half / halfBridge))
      report(relative('CNI ADD p99, 100 pods at once, of the bridge plugin', slow, 'ms', slowBridge, slow / slowBridge))
      report(absolute('CNI DEL p50, 100 pods at once', median(ours.burst.del), 'ms'))
      const [one, oneBridge] = [ours, bridge].map((of) => median(of.one.add)) as [number, number]
      const [last, lastBridge] = [ours, bridge].map((of) => quantile(of.one.add, 0.99)) as [number, number]
      report(absolute('CNI ADD p50, one pod at a time', one, 'ms', 12))
      report(absolute('CNI ADD p99, one pod at a time', last, 'ms', 30))
      report(relative('CNI ADD p50, one pod at a time, of the bridge plugin', one, 'ms', oneBridge, one / oneBridge))
      report(
        relative('CNI ADD p99, one pod at a time, of the bridge plugin', last, 'ms', lastBridge, last / lastBridge),
      )
      report(absolute('share of CNI ADD in the start of a pod', one / 10 / ours.one.ready, '%', 5))

      await sleep(5000)
      const before = await requests()
      await sleep(60_000)
      report(absolute('requests of an agent at rest, a minute', ((await requests()) - before) / nodes, '', 2))

      await apply([pod('client', 'node-1'), pod('far', 'node-2')])
      await kubectl(['wait', '--for=condition=Ready', 'pod', 'client', 'far', '--timeout=60s'])
      const traffic = await startTraffic('client', (await podInfo('far')).addresses[0] as string)
      await upgrade(['rollOutCiliumPods=true', 'debug.enabled=true'])
      await ready()
      const { failed, unanswered } = await traffic.finish()
      report(absolute('helm upgrade: requests failed', failed, '', 0))
      report(absolute('helm upgrade: lines of a kept connection lost', unanswered, '', 0))

      await podsReady(full * nodes, async () => {
        await kubectl(['-n', 'kube-system', 'rollout', 'restart', 'daemonset/cilium'])
        await ready()
        await sleep(10_000)
        report(absolute('requests of an agent at start, 110 pods per node', (await requests()) / nodes, ''))
      })
    } finally {
      await down()
    }
  },
}
