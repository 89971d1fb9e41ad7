// SPDX-License-Identifier: Apache-2.0
import { builtinResources } from '../../../protocol/kubeapi/resources.ts'
import { openStore } from '../api/memory.ts'
import type { Store } from '../api/store.ts'
import type { Node, Pod } from './objects.ts'
import { type Controller, type Controllers, runControllers } from './queue.ts'

/** A store with controllers at work, and a stand-in for scheduler and kubelets that runs every pod at once. */
export interface Cluster extends Controllers {
  readonly store: Store
  readonly errors: string[]
}

export interface Play {
  /** Pods become ready unless this says no. */
  readonly ready?: (pod: Pod) => boolean
  /** Where a pod runs; undefined leaves it pending. */
  readonly place?: (pod: Pod) => string | undefined
}

/** Builds such a cluster; the caller closes it. */
export const testCluster = (make: (store: Store) => readonly Controller[], play: Play = {}): Cluster => {
  const store = openStore({ clock: { now: Date.now, monotonic: () => performance.now() }, resources: builtinResources })
  for (const name of ['default', 'kube-system'])
    store.create('namespaces', { apiVersion: 'v1', kind: 'Namespace', metadata: { name } })
  const errors: string[] = []
  const running = runControllers(store, [...make(store), kubeletStandIn(store, play)], (c, key, e) =>
    errors.push(`${c} ${key}: ${String(e)}`),
  )
  return { store, errors, idle: running.idle, close: running.close }
}

const kubeletStandIn = (store: Store, play: Play): Controller => ({
  name: 'kubelet',
  watches: [{ resource: 'pods', keys: (o) => [`${o.metadata.namespace}/${o.metadata.name}`] }],
  sync: (key) => {
    const [namespace = '', name = ''] = key.split('/')
    const pod = store.find<Pod>('pods', namespace, name)
    if (!pod) return undefined
    if (pod.metadata.deletionTimestamp) {
      store.delete('pods', namespace, name, { gracePeriodSeconds: 0 })
      return undefined
    }
    const nodeName = pod.spec.nodeName ?? (play.place ? play.place(pod) : 'node-1')
    if (nodeName === undefined) return undefined
    if (!pod.spec.nodeName) store.modify<Pod>('pods', namespace, name, (p) => ({ ...p, spec: { ...p.spec, nodeName } }))
    const status = play.ready?.(pod) === false ? 'False' : 'True'
    if (pod.status?.phase === 'Succeeded' || pod.status?.phase === 'Failed') return undefined
    if (pod.status?.phase === 'Running' && pod.status.conditions?.[0]?.status === status) return undefined
    store.modify<Pod>(
      'pods',
      namespace,
      name,
      (p) => ({
        ...p,
        status: {
          phase: 'Running',
          podIP: '10.244.0.9',
          podIPs: [{ ip: '10.244.0.9' }, { ip: 'fd00:10:244::9' }],
          conditions: [{ type: 'Ready', status, lastTransitionTime: new Date().toISOString() }],
        },
      }),
      { subresource: 'status' },
    )
    return undefined
  },
})

/** A schedulable node object. */
export const nodeObject = (name: string, more: Partial<Node['spec']> = {}, labels: Record<string, string> = {}) => ({
  apiVersion: 'v1',
  kind: 'Node',
  metadata: { name, labels: { 'kubernetes.io/hostname': name, ...labels } },
  spec: { ...more },
  status: { conditions: [{ type: 'Ready', status: 'True' }], allocatable: { cpu: '4', memory: '8Gi', pods: '110' } },
})
