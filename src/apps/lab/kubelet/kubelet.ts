// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs'
import { relative } from 'node:path'
import type { Scope } from '../../../base/scope.ts'
import type { Clock } from '../../../base/time.ts'
import type { KubeObject } from '../../../protocol/kubeapi/object.ts'
import type { Store } from '../api/store.ts'
import type { KubeletStreams } from '../api/streams.ts'
import { recorder } from '../controllers/events.ts'
import type { Images } from '../images/images.ts'
import { type Cgroups, unifiedRoot } from './cgroups.ts'
import type { NodeContext } from './context.ts'
import type { Pod } from './manifest.ts'
import type { LabNode } from './node.ts'
import { type PodLife, startPod } from './pod.ts'
import { machineResources, type Registration, register } from './register.ts'
import { type NetworkConfig, readNetworkConfig } from './sandbox.ts'
import { kubeletStreams } from './streams.ts'

export interface KubeletOptions {
  readonly node: LabNode
  readonly store: Store
  readonly images: Images
  /** InternalIPs, the cluster's first family first. */
  readonly addresses: readonly string[]
  /** The node's cgroups; those of pods are made below. */
  readonly cgroups: Cgroups
  readonly clusterDns: readonly string[]
  readonly clusterDomain?: string
  readonly labels?: Readonly<Record<string, string>>
  readonly version?: string
  /** A service account's token, valid so many seconds. */
  readonly token: (namespace: string, serviceAccount: string, seconds: number) => string
  /** The API server's certificate authority, PEM. */
  readonly ca: string
  readonly scope: Scope
  readonly clock: Clock
}

export interface Kubelet extends KubeletStreams {
  /** Registers the Node and begins to look after its pods. */
  start(): void
  /** Stops looking after the pods; what runs, and all its network, ends with the node. */
  close(): Promise<void>
  /** The network namespace of a pod as a path of the node; undefined: the node's own. Throws when it has none yet. */
  netnsOf(namespace: string, name: string): string | undefined
  /** argv that runs a host program in a pod's network namespace and cgroup. */
  enterPod(namespace: string, name: string, argv: readonly string[]): readonly string[]
  /** argv that runs a host program in the node's network namespace. */
  enterNode(argv: readonly string[]): readonly string[]
}

const unready = 100
const readyAgain = 1000

export function createKubelet(options: KubeletOptions): Kubelet {
  const { node, store, clock } = options
  const scope = options.scope.child('kubelet')
  const pods = new Map<string, PodLife>()
  const stops: (() => void)[] = []
  let network: NetworkConfig | undefined
  let registration: Registration | undefined

  const context: NodeContext = {
    node,
    store,
    images: options.images,
    scope,
    clock,
    record: recorder(store, 'kubelet', () => clock.now()),
    names: {
      clusterDns: options.clusterDns,
      clusterDomain: options.clusterDomain ?? 'cluster.local',
      hostResolv: readQuietly(node.path('/etc/resolv.conf')),
      hostHosts: readQuietly(node.path('/etc/hosts')),
    },
    cgroup: relative(unifiedRoot(), options.cgroups.unified),
    hostIPs: options.addresses,
    ...machineResources(),
    token: options.token,
    ca: options.ca,
    network: () => network,
  }

  function lookForNetwork(): void {
    const found = readNetworkConfig(node)
    const turned = (found === undefined) !== (network === undefined)
    network = found
    if (turned) registration?.report()
    scope.after('network configuration', found ? readyAgain : unready, lookForNetwork)
  }

  function onPod(type: 'ADDED' | 'MODIFIED' | 'DELETED', pod: Pod): void {
    const { uid } = pod.metadata
    const life = pods.get(uid)
    if (type === 'DELETED') {
      void life?.vanish().finally(() => pods.delete(uid))
      return
    }
    if (life) {
      life.update(pod)
      return
    }
    const phase = pod.status?.phase
    if (phase === 'Succeeded' || phase === 'Failed') return
    if (pod.metadata.deletionTimestamp) {
      store.delete('pods', pod.metadata.namespace, pod.metadata.name, { gracePeriodSeconds: 0, uid })
      return
    }
    pods.set(uid, startPod(context, pod))
  }

  const byName = (namespace: string, name: string): PodLife => {
    for (const life of pods.values()) {
      const { metadata } = life.pod()
      if (metadata.namespace === namespace && metadata.name === name) return life
    }
    throw new Error(`pod ${namespace}/${name} is not on node ${node.name}`)
  }

  const netnsOf = (namespace: string, name: string): string | undefined => {
    const sandbox = byName(namespace, name).sandbox()
    if (!sandbox) throw new Error(`pod ${namespace}/${name} has no network yet`)
    return sandbox.netns
  }
  const enter = (netns: string | undefined, argv: readonly string[]) => [
    node.program,
    'enter',
    String(node.pid),
    netns ?? '-',
    '--cgroup',
    options.cgroups.unified, // socket programs see what runs below it
    '--',
    ...argv,
  ]

  return {
    ...kubeletStreams(node, (uid) => pods.get(uid)),
    start() {
      network = readNetworkConfig(node)
      registration = register(context, options.labels ?? {}, options.version ?? '0.1.0')
      lookForNetwork()
      scope.every('lease', 10_000, () => registration?.renewLease())
      scope.every('node status', 60_000, () => registration?.report())
      stops.push(
        store.watch<Pod>('pods', { fields: `spec.nodeName=${node.name}` }, (event) => {
          if (event.type !== 'BOOKMARK') onPod(event.type, event.object)
        }),
        ...['configmaps', 'secrets'].map((resource) =>
          store.watch<KubeObject>(resource, {}, (event) => {
            if (event.type !== 'MODIFIED') return
            const { namespace = '', name = '' } = event.object.metadata
            for (const life of pods.values()) life.refresh(resource, namespace, name)
          }),
        ),
      )
    },
    async close() {
      for (const stop of stops.splice(0)) stop()
      pods.clear()
      await scope.close()
    },
    netnsOf,
    enterPod: (namespace, name, argv) => enter(netnsOf(namespace, name), argv),
    enterNode: (argv) => enter(undefined, argv),
  }
}

function readQuietly(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch {
    return ''
  }
}
