// SPDX-License-Identifier: Apache-2.0
/** What tests look at: agents, what nodes hold, what is left of the product on a node. */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { inMachine, nodeNames } from './cluster.ts'
import { items, json, kubectl } from './kubectl.ts'
import { until } from './run.ts'

interface AgentPod {
  readonly metadata: { readonly name: string }
  readonly spec: { readonly nodeName: string }
}
/** Name of the agent's pod on a node. */
export async function agentOn(node: string): Promise<string> {
  const agents = await items<AgentPod>(['-n', 'kube-system', 'get', 'pods', '-l', 'k8s-app=cilium'])
  const found = agents.find((a) => a.spec.nodeName === node)
  assert.ok(found, `an agent runs on ${node}`)
  return found.metadata.name
}

/** Output of a program in the agent's container. */
export const inAgent = async (node: string, command: readonly string[]): Promise<string> =>
  kubectl(['-n', 'kube-system', 'exec', await agentOn(node), '-c', 'cilium-agent', '--', ...command])

export const agentJson = async <T>(node: string, command: readonly string[]): Promise<T> =>
  JSON.parse(await inAgent(node, ['cilium-dbg', ...command, '-o', 'json'])) as T

/** Whether the agent of a node answers that it is well; also true while there is no API server. */
export async function healthy(node: string, path = 'healthz'): Promise<boolean> {
  try {
    const answer = await inMachine(node, [
      ...['curl', '-sfm2', '-H', 'require-k8s-connectivity: false'],
      `http://127.0.0.1:9879/${path}`,
    ])
    return answer.trim() === 'OK'
  } catch {
    return false
  }
}

const count = (text: string, pattern: RegExp): number => text.split('\n').filter((l) => pattern.test(l)).length

/** What a node holds that grows with pods and must shrink with them. */
export async function held(node: string): Promise<Readonly<Record<string, number>>> {
  // Hash maps by what the kernel says; of arrays, which are full from the beginning, the rows the agent holds in them.
  const maps = ['cilium_owners', 'cilium_ipcache', 'cilium_interfaces', 'cilium_policy_classes']
  const dumps = await inAgent(node, [
    'sh',
    '-c',
    `for m in ${maps.join(' ')}; do bpftool -j map dump pinned /sys/fs/bpf/tc/globals/$m; echo; done`,
  ])
  const rows = await agentJson<readonly { value: number; labels: { table: string } }[]>(node, [
    ...['metrics', 'list', '-p', 'cilium_table_rows'],
  ])
  const status = await agentJson<{ ipam: { ipv4: string[]; ipv6: string[] } }>(node, ['status'])
  const routes = await inMachine(node, ['sh', '-c', 'ip route; ip -6 route'])
  return {
    ...Object.fromEntries(
      dumps
        .split('\n')
        .filter((l) => l.startsWith('['))
        .map((dump, i) => [maps[i], (JSON.parse(dump) as unknown[]).length]),
    ),
    ...Object.fromEntries(rows.map((r) => [r.labels.table, r.value])),
    links: count(await inMachine(node, ['ip', '-o', 'link']), /lxc/),
    routes: count(routes, /lxc/),
    addresses: status.ipam.ipv4.length + status.ipam.ipv6.length,
    pins: (await inAgent(node, ['ls', '/sys/fs/bpf/cilium/links'])).split('\n').length,
    stored: count(await inMachine(node, ['find', '/var/run/cilium/state', '-path', '*/endpoints/*']), /json/),
  }
}

interface Slice {
  readonly metadata: { readonly namespace: string; readonly name: string }
  readonly endpoints?: readonly { readonly conditions?: { readonly ready?: boolean } }[]
}
/**
 * What nodes hold once nothing moves any more: nodes and what services lead to are ready, and two readings agree. After a
 * time without an API server, or without a node, Kubernetes takes endpoints out of services and puts them back later.
 */
export async function settled(nodes = nodeNames()): Promise<readonly Awaited<ReturnType<typeof held>>[]> {
  let earlier = await Promise.all(nodes.map(held))
  await until('nodes and services have settled', async () => {
    for (const node of nodeNames())
      if ((await nodeObject(node)).status.conditions.find((c) => c.type === 'Ready')?.status !== 'True')
        return `${node} is not ready`
    for (const { metadata, endpoints } of await items<Slice>(['get', 'endpointslices', '-A']))
      if (endpoints?.some((e) => e.conditions?.ready === false))
        return `endpoints of ${metadata.namespace}/${metadata.name} are not ready`
    await sleep(2000)
    const now = await Promise.all(nodes.map(held))
    const before = JSON.stringify(earlier)
    earlier = now
    return JSON.stringify(now) === before || `${before} became ${JSON.stringify(now)}`
  })
  return earlier
}

/** Waits until nodes hold what they held. */
export const heldAgain = (nodes: readonly string[], earlier: readonly object[]): Promise<void> =>
  until(`${nodes.join(' and ')} hold what they held before`, async () => {
    const now = await Promise.all(nodes.map(held))
    return JSON.stringify(now) === JSON.stringify(earlier) || JSON.stringify({ earlier, now })
  })

/**
 * What of the product is on a node, by what an administrator would look for; but for what the plugin leaves when a pod
 * ends while the node is being cleaned: its log, and the deletion it queues.
 */
export async function left(node: string): Promise<Readonly<Record<string, string>>> {
  const seen = await inMachine(node, [
    'sh',
    '-c',
    `show() { echo "== $1"; shift; "$@" 2>/dev/null | sort; }
     show configuration ls /etc/cni/net.d
     show plugin ls /opt/cni/bin
     show devices sh -c "ip -o link | grep -oE '(lxc|cilium)[^:@]*'"
     show routes sh -c 'ip route; ip -6 route'
     show rules sh -c 'ip rule; ip -6 rule'
     show filters sh -c 'for d in /sys/class/net/*; do tc filter show dev \${d##*/} ingress; tc filter show dev \${d##*/} egress; done'
     show programs sh -c "bpftool net show | grep -oE '^(eth0|cilium|lxc).*'"
     show pins find /sys/fs/bpf -mindepth 1 -name '*cilium*' -o -name '*.rodata'
     show state find /run/cilium /var/lib/cilium -mindepth 1 -path /run/cilium/cgroupv2 -prune -o -path /run/cilium/deleteQueue -prune -o ! -name cilium-cni.log -print`,
  ])
  return Object.fromEntries(
    seen
      .split('== ')
      .slice(1)
      .map((part) => [part.slice(0, part.indexOf('\n')), part.slice(part.indexOf('\n') + 1).trim()]),
  )
}

/** Waits until no agent's pod is there any more: Helm does not, and it is they who tidy up when they end. */
export const agentsGone = (): Promise<void> =>
  until(
    'agents have ended',
    async () => (await items(['-n', 'kube-system', 'get', 'pods', '-l', 'k8s-app=cilium'])).length === 0,
  )

interface NodeObject {
  readonly spec: { readonly podCIDRs?: readonly string[]; readonly taints?: readonly { readonly key: string }[] }
  readonly status: {
    readonly conditions: readonly { readonly type: string; readonly status: string; readonly reason: string }[]
  }
}
export const nodeObject = (node: string): Promise<NodeObject> => json<NodeObject>(['get', 'node', node])
