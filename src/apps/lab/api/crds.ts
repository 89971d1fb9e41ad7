// SPDX-License-Identifier: Apache-2.0
import { type KubeObject, sameJson } from '../../../protocol/kubeapi/object.ts'
import type { Resource } from '../../../protocol/kubeapi/resources.ts'
import type { Schema } from '../../../protocol/kubeapi/structural.ts'
import type { PrinterColumn } from '../../../protocol/kubeapi/table.ts'
import { timestamp } from './lifecycle.ts'
import type { Store } from './store.ts'

/** One version of a CustomResourceDefinition. */
export interface CrdVersion {
  readonly name: string
  readonly served: boolean
  readonly storage: boolean
  readonly schema?: { readonly openAPIV3Schema?: Schema }
  readonly subresources?: {
    readonly status?: object
    readonly scale?: {
      readonly specReplicasPath: string
      readonly statusReplicasPath: string
      readonly labelSelectorPath?: string
    }
  }
  readonly additionalPrinterColumns?: readonly PrinterColumn[]
  readonly selectableFields?: readonly { readonly jsonPath: string }[]
}

export interface Crd extends KubeObject {
  readonly spec: {
    readonly group: string
    readonly scope: 'Namespaced' | 'Cluster'
    readonly names: {
      readonly kind: string
      readonly plural: string
      readonly singular?: string
      readonly shortNames?: readonly string[]
      readonly categories?: readonly string[]
      readonly listKind?: string
    }
    readonly versions: readonly CrdVersion[]
  }
  readonly status?: { readonly conditions?: readonly Condition[]; readonly [field: string]: unknown }
}

interface Condition {
  readonly type: string
  readonly status: string
  readonly reason: string
  readonly message: string
  readonly lastTransitionTime: string
}

/** What CustomResourceDefinitions declare, by resource. */
export interface Crds {
  /** Undefined when the resource has no such version. */
  version(resource: Resource, name: string): CrdVersion | undefined
  selectableFields(resource: Resource): readonly string[]
  /** Counts changes of definitions; OpenAPI documents are made anew when it moves. */
  readonly changes: number
}

const pathOf = (jsonPath: string): readonly string[] => jsonPath.replace(/^\./, '').split('.')

/** The resource a definition declares. */
export function resourceOf(crd: Crd): Resource {
  const { group, scope, names, versions } = crd.spec
  const storage = versions.find((v) => v.storage) ?? versions[0]!
  const scale = storage.subresources?.scale
  return {
    group,
    version: storage.name,
    versions: versions
      .filter((v) => v.served)
      .map((v) => v.name)
      .sort(byPriority),
    kind: names.kind,
    plural: names.plural,
    singular: names.singular ?? names.kind.toLowerCase(),
    namespaced: scope === 'Namespaced',
    shortNames: names.shortNames ?? [],
    categories: names.categories ?? [],
    status: storage.subresources?.status !== undefined,
    generation: true,
    custom: true,
    ...(scale
      ? {
          scale: {
            spec: pathOf(scale.specReplicasPath),
            status: pathOf(scale.statusReplicasPath),
            ...(scale.labelSelectorPath ? { selector: pathOf(scale.labelSelectorPath) } : {}),
          },
        }
      : {}),
  }
}

/** Kubernetes' order of versions: v2, v1, v1beta2, v1beta1, v1alpha1, then the rest by name. */
function byPriority(a: string, b: string): number {
  const rank = (v: string): readonly number[] => {
    const m = /^v(\d+)(?:(alpha|beta)(\d+))?$/.exec(v)
    return m ? [m[2] === undefined ? 0 : m[2] === 'beta' ? 1 : 2, -Number(m[1]), -Number(m[3] ?? 0)] : [3, 0, 0]
  }
  const [x, y] = [rank(a), rank(b)]
  return x[0]! - y[0]! || x[1]! - y[1]! || x[2]! - y[2]! || (a < b ? -1 : 1)
}

const crdName = 'customresourcedefinitions.apiextensions.k8s.io'

/** Serves a kind for each definition in the store, says so in its status, and drops the objects of one that is deleted. */
export function openCrds(store: Store, now: () => number): Crds {
  const held = new Map<string, Crd>()
  let changes = 0
  const nameOf = (resource: Resource): string => `${resource.plural}.${resource.group}`

  const establish = (crd: Crd): void => {
    const name = crd.metadata.name!
    changes += 1
    held.set(name, crd)
    const resource = resourceOf(crd)
    if (resource.versions.length > 0) store.serve(resource)
    const at = timestamp(now())
    const condition = (type: string, reason: string, message: string): Condition =>
      crd.status?.conditions?.find((c) => c.type === type && c.status === 'True') ?? {
        type,
        status: 'True',
        reason,
        message,
        lastTransitionTime: at,
      }
    const { kind, plural, singular, shortNames, categories, listKind } = crd.spec.names
    const stored = [...new Set([...((crd.status?.['storedVersions'] as string[] | undefined) ?? []), resource.version])]
    const status = {
      conditions: [
        condition('NamesAccepted', 'NoConflicts', 'no conflicts found'),
        condition('Established', 'InitialNamesAccepted', 'the initial names have been accepted'),
      ],
      acceptedNames: {
        plural,
        singular: singular ?? kind.toLowerCase(),
        kind,
        listKind: listKind ?? `${kind}List`,
        ...(shortNames ? { shortNames } : {}),
        ...(categories ? { categories } : {}),
      },
      storedVersions: stored,
    }
    if (!sameJson(status, crd.status))
      store.modify<Crd>(crdName, '', name, (c) => ({ ...c, status }), { subresource: 'status' })
  }

  const drop = (crd: Crd): void => {
    const name = crd.metadata.name!
    changes += 1
    held.delete(name)
    for (const object of store.list(name)) {
      store.modify(name, object.metadata.namespace ?? '', object.metadata.name!, (o) => ({
        ...o,
        metadata: { ...o.metadata, finalizers: [] },
      }))
      if (store.find(name, object.metadata.namespace ?? '', object.metadata.name!)) {
        store.delete(name, object.metadata.namespace ?? '', object.metadata.name!)
      }
    }
    store.stopServing(name)
  }

  store.watch<Crd>(crdName, {}, (event) => {
    if (event.type === 'BOOKMARK') return
    if (event.type === 'DELETED') return drop(event.object)
    // A later change is told by a later event.
    if (store.find(crdName, '', event.object.metadata.name!) === event.object) establish(event.object)
  })

  return {
    version: (resource, name) => held.get(nameOf(resource))?.spec.versions.find((v) => v.name === name),
    selectableFields: (resource) =>
      held
        .get(nameOf(resource))
        ?.spec.versions.find((v) => v.name === resource.version)
        ?.selectableFields?.map((f) => f.jsonPath.replace(/^\./, '')) ?? [],
    get changes() {
      return changes
    },
  }
}
