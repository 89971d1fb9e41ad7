// SPDX-License-Identifier: Apache-2.0
/**
 * The product on a real Kubernetes of two nodes: how fast it comes, what a pod costs beside the reference plugin in the
 * same run, and what an upgrade costs connections.
 */
import { existsSync, statSync } from 'node:fs'
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

const removeReference = async (): Promise<void> => {
  for (const node of nodeNames())
    await inMachine(node, ['sh', '-c', 'rm -f /etc/cni/net.d/10-reference.conflist; ip link del ref0 || true'])
}

/** Puts a stopwatch around the plugin: what containerd waits for, in milliseconds by command. */
const measured = '/run/cni-times'
const timePlugin = async (node: string): Promise<string> =>
  inMachine(
    node,
    [
      'sh',
      '-c',
      'cat >/opt/cni/bin/.new && chmod 755 /opt/cni/bin/.new && cp /opt/cni/bin/cilium-cni /opt/cni/bin/cilium-cni.timed && mv /opt/cni/bin/.new /opt/cni/bin/cilium-cni',
    ],
    `#!/bin/bash\na=$EPOCHREALTIME\n/opt/cni/bin/cilium-cni.timed\ncode=$?\necho "$CNI_COMMAND $a $EPOCHREALTIME" >>${measured}\nexit $code\n`,
  )
async function pluginTimes(command: string): Promise<readonly number[]> {
  const all = await Promise.all(nodeNames().map((n) => inMachine(n, ['cat', measured])))
  return all.flatMap((text) =>
    text
      .split('\n')
      .filter((l) => l.startsWith(`${command} `))
      .map((l) => {
        const [, a, b] = l.split(' ')
        return (Number(b) - Number(a)) * 1000
      }),
  )
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
    let began = performance.now()
    await up(nodes, () => {})
    report(absolute('cluster of 2 nodes, images loaded', (performance.now() - began) / 1000, 's'))
    try {
      await installReference(plugins)
      await podsReady(many) // The first time pays for caches, whoever comes first.
      const reference = await podsReady(many)
      await removeReference()

      began = performance.now()
      await install()
      await ready()
      report(absolute('chart installed to all nodes ready', (performance.now() - began) / 1000, 's', 10))
      await installDns()

      for (const node of nodeNames()) await timePlugin(node)
      const ours = await podsReady(many)
      report(relative('100 pods to Ready, of the bridge plugin', ours, 's', reference, ours / reference, 1.05))
      const add = await pluginTimes('ADD')
      report(absolute('CNI ADD p50, 100 pods at once', median(add), 'ms', 12))
      report(absolute('CNI ADD p99, 100 pods at once', quantile(add, 0.99), 'ms', 30))
      report(absolute('CNI DEL p50, 100 pods at once', median(await pluginTimes('DEL')), 'ms'))
      const single: number[] = []
      const plugin: number[] = []
      for (let i = 0; i < 5; i++) {
        const before = (await pluginTimes('ADD')).length
        single.push((await podsReady(1)) * 1000)
        plugin.push(...(await pluginTimes('ADD')).slice(before))
      }
      report(absolute('CNI ADD, one pod at a time', median(plugin), 'ms', 12))
      report(absolute('share of CNI ADD in the start of a pod', (100 * median(plugin)) / median(single), '%', 5))

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
