// SPDX-License-Identifier: Apache-2.0
import type { Resource } from './resources.ts'

/** A subresource as discovery lists it; `kind` in the group and version given, or the parent's. */
interface Subresource {
  readonly name: string
  readonly kind: string
  readonly group?: string
  readonly version?: string
  readonly verbs: readonly string[]
}

/** A kind at one version that it is served under. */
export interface Served {
  readonly group: string
  readonly version: string
  readonly kind: string
  readonly plural: string
  readonly singular: string
  readonly namespaced: boolean
  readonly shortNames: readonly string[]
  readonly categories: readonly string[]
  readonly verbs: readonly string[]
  readonly subresources: readonly Subresource[]
}

const verbs = ['create', 'delete', 'deletecollection', 'get', 'list', 'patch', 'update', 'watch']
const write = ['get', 'patch', 'update']

const special: Readonly<Record<string, readonly Subresource[]>> = {
  pods: [
    { name: 'attach', kind: 'PodAttachOptions', verbs: ['create', 'get'] },
    { name: 'binding', kind: 'Binding', verbs: ['create'] },
    { name: 'ephemeralcontainers', kind: 'Pod', verbs: write },
    { name: 'eviction', kind: 'Eviction', group: 'policy', version: 'v1', verbs: ['create'] },
    { name: 'exec', kind: 'PodExecOptions', verbs: ['create', 'get'] },
    { name: 'log', kind: 'Pod', verbs: ['get'] },
    { name: 'portforward', kind: 'PodPortForwardOptions', verbs: ['create', 'get'] },
  ],
  serviceaccounts: [
    { name: 'token', kind: 'TokenRequest', group: 'authentication.k8s.io', version: 'v1', verbs: ['create'] },
  ],
  namespaces: [{ name: 'finalize', kind: 'Namespace', verbs: ['update'] }],
}

/** The kinds that are only ever asked, never stored: group, version, kind. */
export const reviews: readonly (readonly [group: string, kind: string, plural: string, namespaced: boolean])[] = [
  ['authentication.k8s.io', 'TokenReview', 'tokenreviews', false],
  ['authentication.k8s.io', 'SelfSubjectReview', 'selfsubjectreviews', false],
  ['authorization.k8s.io', 'SubjectAccessReview', 'subjectaccessreviews', false],
  ['authorization.k8s.io', 'SelfSubjectAccessReview', 'selfsubjectaccessreviews', false],
  ['authorization.k8s.io', 'SelfSubjectRulesReview', 'selfsubjectrulesreviews', false],
  ['authorization.k8s.io', 'LocalSubjectAccessReview', 'localsubjectaccessreviews', true],
]

/** The resource at each version that it is served under, the preferred first. */
export function servedOf(resource: Resource): readonly Served[] {
  const subresources: Subresource[] = [
    ...(resource.status ? [{ name: 'status', kind: resource.kind, verbs: write }] : []),
    ...(resource.scale ? [{ name: 'scale', kind: 'Scale', group: 'autoscaling', version: 'v1', verbs: write }] : []),
    ...(resource.group === '' ? (special[resource.plural] ?? []) : []),
  ]
  return resource.versions.map((version) => ({ ...resource, version, verbs, subresources }))
}

export const servedReviews: readonly Served[] = reviews.map(([group, kind, plural, namespaced]) => ({
  group,
  version: 'v1',
  kind,
  plural,
  singular: kind.toLowerCase(),
  namespaced,
  shortNames: [],
  categories: [],
  verbs: ['create'],
  subresources: [],
}))

/** `/apis/GROUP/VERSION` and `/api/v1`. */
export function resourceList(groupVersion: string, kinds: readonly Served[]): object {
  const resources = kinds.flatMap((r) => [
    {
      name: r.plural,
      singularName: r.singular,
      namespaced: r.namespaced,
      kind: r.kind,
      verbs: r.verbs,
      ...(r.shortNames.length > 0 ? { shortNames: r.shortNames } : {}),
      ...(r.categories.length > 0 ? { categories: r.categories } : {}),
    },
    ...r.subresources.map((s) => ({
      name: `${r.plural}/${s.name}`,
      singularName: '',
      namespaced: r.namespaced,
      ...(s.group === undefined ? {} : { group: s.group, version: s.version }),
      kind: s.kind,
      verbs: s.verbs,
    })),
  ])
  return { kind: 'APIResourceList', apiVersion: 'v1', groupVersion, resources }
}

/** Groups in the order met, each with its versions in the order met (the preferred first). */
export function groupsOf(kinds: readonly Served[]): ReadonlyMap<string, readonly string[]> {
  const groups = new Map<string, string[]>()
  for (const { group, version } of kinds) {
    const versions = groups.get(group) ?? []
    if (!versions.includes(version)) versions.push(version)
    groups.set(group, versions)
  }
  return groups
}

/** An APIGroup, as `/apis/GROUP` and the entries of `/apis`. */
export function apiGroup(group: string, versions: readonly string[]): object {
  const entries = versions.map((version) => ({ groupVersion: `${group}/${version}`, version }))
  return { name: group, versions: entries, preferredVersion: entries[0] }
}

/** An APIGroupDiscoveryList for the core group (`/api`) or all others (`/apis`). */
export function aggregated(version: 'v2' | 'v2beta1', kinds: readonly Served[]): object {
  const items = [...groupsOf(kinds)].map(([group, versions]) => ({
    metadata: { ...(group === '' ? {} : { name: group }), creationTimestamp: null },
    versions: versions.map((v) => ({
      version: v,
      resources: kinds.filter((r) => r.group === group && r.version === v).map(aggregatedResource),
      freshness: 'Current',
    })),
  }))
  return { kind: 'APIGroupDiscoveryList', apiVersion: `apidiscovery.k8s.io/${version}`, metadata: {}, items }
}

const aggregatedResource = (r: Served): object => ({
  resource: r.plural,
  responseKind: { group: r.group, version: r.version, kind: r.kind },
  scope: r.namespaced ? 'Namespaced' : 'Cluster',
  singularResource: r.singular,
  verbs: r.verbs,
  ...(r.shortNames.length > 0 ? { shortNames: r.shortNames } : {}),
  ...(r.categories.length > 0 ? { categories: r.categories } : {}),
  ...(r.subresources.length > 0
    ? {
        subresources: r.subresources.map((s) => ({
          subresource: s.name,
          responseKind: { group: s.group ?? r.group, version: s.version ?? r.version, kind: s.kind },
          verbs: s.verbs,
        })),
      }
    : {}),
})
