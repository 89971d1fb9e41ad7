// SPDX-License-Identifier: Apache-2.0
import { availableParallelism, machine, release, totalmem } from 'node:os'
import { isReason } from '../../../protocol/kubeapi/status.ts'
import type { Draft } from '../api/store.ts'
import { timestamp } from '../controllers/events.ts'
import type { NodeContext } from './context.ts'
import type { Condition } from './manifest.ts'

export const kubeletVersion = 'v1.34.5'
const leaseNamespace = 'kube-node-lease'
const leaseSeconds = 40

export interface Registration {
  /** Writes the Node's status; call when the network comes or goes, and now and then. */
  readonly report: () => void
  readonly renewLease: () => void
}

/** Makes or takes over the Node object. */
export function register(
  context: NodeContext,
  labels: Readonly<Record<string, string>>,
  version: string,
): Registration {
  const { store, clock, hostIPs } = context
  const { name } = context.node
  const arch = machine() === 'aarch64' ? 'arm64' : 'amd64'
  const own = {
    'kubernetes.io/hostname': name,
    'kubernetes.io/os': 'linux',
    'kubernetes.io/arch': arch,
    'beta.kubernetes.io/os': 'linux',
    'beta.kubernetes.io/arch': arch,
    ...labels,
  }
  const resources = {
    cpu: String(context.cores),
    memory: `${Math.floor(context.memory / 1024)}Ki`,
    pods: '110',
    'ephemeral-storage': `${Math.floor(context.memory / 2048)}Ki`,
  }

  const condition = (type: string, status: 'True' | 'False', reason: string, message: string): Condition => ({
    type,
    status,
    reason,
    message,
  })

  function conditions(before: readonly (Condition & { lastHeartbeatTime?: string })[]): readonly object[] {
    const now = timestamp(clock.now())
    const found = [
      condition('MemoryPressure', 'False', 'KubeletHasSufficientMemory', 'kubelet has sufficient memory available'),
      condition('DiskPressure', 'False', 'KubeletHasNoDiskPressure', 'kubelet has no disk pressure'),
      condition('PIDPressure', 'False', 'KubeletHasSufficientPID', 'kubelet has sufficient PID available'),
      context.network()
        ? condition('Ready', 'True', 'KubeletReady', 'kubelet is posting ready status')
        : condition(
            'Ready',
            'False',
            'KubeletNotReady',
            'container runtime network not ready: NetworkReady=false reason:NetworkPluginNotReady message:Network plugin returns error: cni plugin not initialized',
          ),
    ]
    const written = found.map((c) => {
      const old = before.find((b) => b.type === c.type)
      const since = old?.status === c.status ? old.lastTransitionTime : undefined
      return { ...c, lastHeartbeatTime: now, lastTransitionTime: since ?? now }
    })
    // Others write conditions too (NetworkUnavailable).
    return [...before.filter((b) => !found.some((c) => c.type === b.type)), ...written]
  }

  const status = (old: Readonly<Record<string, unknown>> = {}) => ({
    ...old,
    capacity: resources,
    allocatable: resources,
    conditions: conditions((old['conditions'] ?? []) as readonly Condition[]),
    addresses: [...hostIPs.map((address) => ({ type: 'InternalIP', address })), { type: 'Hostname', address: name }],
    daemonEndpoints: { kubeletEndpoint: { Port: 10250 } },
    nodeInfo: {
      machineID: '',
      systemUUID: '',
      bootID: '',
      kernelVersion: release(),
      osImage: 'cilium-lab',
      containerRuntimeVersion: `cilium-lab://${version}`,
      kubeletVersion,
      kubeProxyVersion: '',
      operatingSystem: 'linux',
      architecture: arch,
    },
  })

  const draft: Draft = {
    apiVersion: 'v1',
    kind: 'Node',
    metadata: { name, labels: own },
    spec: {},
    status: status(),
  }
  if (!store.find('nodes', '', name)) store.create('nodes', draft, { manager: 'kubelet' })
  else {
    store.modify('nodes', '', name, (node) => ({
      ...node,
      metadata: { ...node.metadata, labels: { ...node.metadata.labels, ...own } },
    }))
  }

  const report = () => {
    try {
      store.modify(
        'nodes',
        '',
        name,
        (node) => ({ ...node, status: status(node['status'] as Readonly<Record<string, unknown>>) }),
        { subresource: 'status', manager: 'kubelet' },
      )
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error // somebody deleted the Node: it stays away
    }
  }

  const renewLease = () => {
    const now = new Date(clock.now()).toISOString().replace('Z', '000Z')
    const spec = { holderIdentity: name, leaseDurationSeconds: leaseSeconds, renewTime: now }
    const at = 'leases.coordination.k8s.io'
    try {
      if (store.find(at, leaseNamespace, name)) store.modify(at, leaseNamespace, name, (lease) => ({ ...lease, spec }))
      else store.create(at, { metadata: { name, namespace: leaseNamespace }, spec })
    } catch (error) {
      if (!isReason(error, 'NotFound')) throw error // the namespace is not there yet
    }
  }

  report()
  renewLease()
  return { report, renewLease }
}

export const machineResources = () => ({ cores: availableParallelism(), memory: totalmem() })
