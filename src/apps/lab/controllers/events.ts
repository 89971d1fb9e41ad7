// SPDX-License-Identifier: Apache-2.0
import { randomBytes } from 'node:crypto'
import type { KubeObject } from '../../../protocol/kubeapi/object.ts'
import type { Store } from '../api/store.ts'

/** Writes Events as kubectl describe shows them; an equal event of the same object counts up instead. */
export type Record = (object: KubeObject, type: 'Normal' | 'Warning', reason: string, message: string) => void

const remembered = 4096

/** Events of one component, e.g. `deployment-controller`. A refused event (its namespace is going) is not an error. */
export const recorder = (store: Store, component: string, now: () => number = Date.now): Record => {
  const seen = new Map<string, string>()
  return (object, type, reason, message) => {
    const { name = '', uid = '', resourceVersion = '' } = object.metadata
    const namespace = object.metadata.namespace || 'default'
    const time = timestamp(now())
    const same = `${uid} ${type} ${reason} ${message}`
    const before = seen.get(same)
    try {
      if (before !== undefined && store.find('events', namespace, before)) {
        store.modify('events', namespace, before, (e) => ({
          ...e,
          count: Number(e['count'] ?? 1) + 1,
          lastTimestamp: time,
        }))
        return
      }
      const eventName = `${name}.${randomBytes(8).toString('hex')}`
      store.create('events', {
        apiVersion: 'v1',
        kind: 'Event',
        metadata: { name: eventName, namespace },
        involvedObject: {
          apiVersion: object.apiVersion,
          kind: object.kind,
          namespace: object.metadata.namespace,
          name,
          uid,
          resourceVersion,
        },
        reason,
        message,
        type,
        source: { component },
        reportingComponent: component,
        reportingInstance: '',
        firstTimestamp: time,
        lastTimestamp: time,
        count: 1,
      })
      if (seen.size >= remembered) seen.clear()
      seen.set(same, eventName)
    } catch {
      // The object's namespace may be gone: its story ends there.
    }
  }
}

/** RFC 3339 in whole seconds, as Kubernetes writes times. */
export const timestamp = (ms: number): string => `${new Date(ms).toISOString().slice(0, 19)}Z`
