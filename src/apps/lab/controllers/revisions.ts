// SPDX-License-Identifier: Apache-2.0
import type { KubeObject } from '../../../protocol/kubeapi/object.ts'
import { sameJson } from '../../../protocol/kubeapi/object.ts'
import type { LabelSelector } from '../../../protocol/kubeapi/selector.ts'
import type { Store } from '../api/store.ts'
import { contentHash } from './hash.ts'
import type { Named, PodTemplate } from './objects.ts'
import { claim, controlledBy, remove } from './ownership.ts'

/** A remembered template, as `kubectl rollout history` and `undo` read it. */
export interface ControllerRevision extends KubeObject {
  readonly metadata: Named
  readonly revision: number
  readonly data: { readonly spec: { readonly template: PodTemplate & { readonly $patch: 'replace' } } }
}

interface Owner extends KubeObject {
  readonly metadata: Named
  readonly spec: {
    readonly template: PodTemplate
    readonly selector: LabelSelector
    readonly revisionHistoryLimit?: number
  }
}

const KIND = 'controllerrevisions.apps'

/** The label by which a pod names the revision of its template. */
export const REVISION_HASH = 'controller-revision-hash'

/** The revision of the owner's present template, made or moved to the top when needed, and all revisions, oldest first. */
export const currentRevision = (
  store: Store,
  owner: Owner,
): { readonly current: ControllerRevision; readonly all: readonly ControllerRevision[] } => {
  const held = [...claim<ControllerRevision>(store, KIND, owner)].sort((a, b) => a.revision - b.revision)
  const data = { spec: { template: { ...owner.spec.template, $patch: 'replace' as const } } }
  const top = (held.at(-1)?.revision ?? 0) + 1
  const found = held.find((r) => sameJson(r.data, data))
  const namespace = owner.metadata.namespace ?? ''
  if (found && found === held.at(-1)) return { current: found, all: held }
  if (found) {
    const current = store.modify<ControllerRevision>(KIND, namespace, found.metadata.name, (r) => ({
      ...r,
      revision: top,
    }))
    return { current, all: [...held.filter((r) => r !== found), current] }
  }
  for (let salt = 0; ; salt++) {
    const hash = contentHash(owner.spec.template, salt)
    const name = `${owner.metadata.name}-${hash}`
    if (store.find(KIND, namespace, name)) continue
    const current = store.create<ControllerRevision>(KIND, {
      apiVersion: 'apps/v1',
      kind: 'ControllerRevision',
      metadata: {
        name,
        namespace,
        labels: { ...owner.spec.template.metadata?.labels, [REVISION_HASH]: hash },
        ownerReferences: [controlledBy(owner)],
      },
      data,
      revision: top,
    })
    return { current, all: [...held, current] }
  }
}

/** The value of the hash label of a revision. */
export const hashOf = (revision: ControllerRevision): string => revision.metadata.labels?.[REVISION_HASH] ?? ''

/** Forgets the oldest revisions that no pod uses, beyond the owner's limit. */
export const pruneRevisions = (
  store: Store,
  owner: Owner,
  all: readonly ControllerRevision[],
  used: ReadonlySet<string>,
): void => {
  const idle = all.slice(0, -1).filter((r) => !used.has(hashOf(r)))
  const limit = owner.spec.revisionHistoryLimit ?? 10
  for (const revision of idle.slice(0, Math.max(0, idle.length - limit))) remove(store, KIND, revision)
}
