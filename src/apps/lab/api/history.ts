// SPDX-License-Identifier: Apache-2.0
import type { KubeObject } from '../../../protocol/kubeapi/object.ts'
import { gone } from '../../../protocol/kubeapi/status.ts'
import type { WatchEvent } from './store.ts'

/** One committed change of one resource. */
export interface Change {
  readonly type: 'ADDED' | 'MODIFIED' | 'DELETED'
  readonly object: KubeObject
  readonly previous: KubeObject | undefined
  readonly revision: number
}

/** The last changes of a resource, for watches that start in the past. Drops the older half when full. */
export interface History {
  readonly changes: readonly Change[]
  add(change: Change): void
  /** Changes after `revision`. Throws Expired when some of them are forgotten. */
  after(revision: number): readonly Change[]
}

export function openHistory(limit: number, start: number): History {
  let changes: Change[] = []
  let forgotten = start
  return {
    get changes() {
      return changes
    },
    add(change) {
      changes.push(change)
      if (changes.length < limit) return
      const drop = changes.length >> 1
      forgotten = changes[drop - 1]!.revision
      changes = changes.slice(drop)
    },
    after(revision) {
      if (revision < forgotten) throw gone(`too old resource version: ${revision} (${forgotten})`)
      let low = 0
      let high = changes.length
      while (low < high) {
        const mid = (low + high) >> 1
        if (changes[mid]!.revision <= revision) low = mid + 1
        else high = mid
      }
      return changes.slice(low)
    },
  }
}

/** What a watch with a filter sees of a change: entering the filter is an addition, leaving it a deletion. */
export function seen(change: Change, matches: (object: KubeObject) => boolean): WatchEvent | undefined {
  const { object, previous, revision } = change
  const was = previous !== undefined && matches(previous)
  const is = change.type !== 'DELETED' && matches(object)
  if (is) return { type: was ? 'MODIFIED' : 'ADDED', object, revision }
  if (!was) return undefined
  if (change.type === 'DELETED') return { type: 'DELETED', object, revision }
  const left = { ...previous, metadata: { ...previous.metadata, resourceVersion: String(revision) } }
  return { type: 'DELETED', object: Object.freeze(left), revision }
}
