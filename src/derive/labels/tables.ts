// SPDX-License-Identifier: Apache-2.0
import { attachment, type EndpointRequest } from '../../model/endpoint.ts'
import {
  clusterKey,
  type LabelSet,
  labelSet,
  labelText,
  namespaceLabelsKey,
  podNamespaceKey,
  serviceAccountKey,
} from '../../model/labels.ts'
import { objectKey } from '../../model/meta.ts'
import type { Namespace, Pod } from '../../model/pod.ts'
import { endpointRequests, namespaces, pods, settings } from '../../model/rows.ts'
import type { Settings } from '../../model/settings.ts'
import { deriveEach, type Read } from '../../table/definition.ts'
import { labelFilter } from './filter.ts'

/** Labels of the identity an endpoint is to have; empty until its pod and namespace are known, `init` where there is no pod. */
export interface EndpointLabels {
  readonly attachment: string
  readonly labels: LabelSet
}

export const endpointLabels = deriveEach<EndpointRequest, EndpointLabels>(
  'endpointLabels',
  endpointRequests,
  { key: (r) => r.attachment },
  (request, read) => {
    const key = attachment(request)
    if (request.podName === '') return [{ attachment: key, labels: ['reserved:init'] }]
    const pod = podOf(request, read)
    const namespace = read.get(namespaces, request.namespace)
    const config = read.get(settings, 'settings')
    return [{ attachment: key, labels: pod && namespace && config ? identityLabels(pod, namespace, config) : [] }]
  },
)

/** The pod of a request, by the watch or else by what the API server said of it. */
export function podOf(request: EndpointRequest, read: Read): Pod | undefined {
  const watched = read.get(pods, objectKey({ namespace: request.namespace, name: request.podName }))
  return [watched, request.seen].find((pod) => pod !== undefined && isThatPod(request, pod))
}

/** A pod of another life has other labels: the runtime's word on which one it is counts, if it has said so. */
export const isThatPod = ({ podUid }: Pick<EndpointRequest, 'podUid'>, pod: Pod): boolean =>
  podUid === '' || podUid === pod.uid || podUid === pod.annotations[mirrorKey]

/** On the object of a pod from a node's own manifest: the number by which its kubelet knows it. */
const mirrorKey = 'kubernetes.io/config.mirror'

const filters = new Map<string, (label: string) => boolean>()

function filterOf(patterns: readonly string[]): (label: string) => boolean {
  const key = patterns.join('\n')
  const known = filters.get(key)
  if (known) return known
  const made = labelFilter(patterns)
  filters.clear()
  filters.set(key, made)
  return made
}

/** Labels of a pod that count for its identity, its own and those that its place gives it. */
export function identityLabels(
  pod: Pick<Pod, 'namespace' | 'labels' | 'serviceAccount'>,
  namespace: Pick<Namespace, 'name' | 'labels'>,
  config: Pick<Settings, 'clusterName' | 'labels'>,
): LabelSet {
  const of = (key: string, value: string) => labelText({ source: 'k8s', key, value })
  const counts = filterOf(config.labels)
  const all = [
    // A pod can not say by its own labels where it is or who runs it.
    ...Object.entries(pod.labels)
      .filter(([key]) => !isTrusted(key))
      .map(([key, value]) => of(key, value)),
    ...Object.entries(namespace.labels).map(([key, value]) => of(`${namespaceLabelsKey}.${key}`, value)),
    of(podNamespaceKey, namespace.name),
    of(clusterKey, config.clusterName),
    ...(pod.serviceAccount === '' ? [] : [of(serviceAccountKey, pod.serviceAccount)]),
  ]
  return labelSet(all.filter(counts))
}

/** Keys that only the system gives. */
const isTrusted = (key: string): boolean => key === podNamespaceKey || key.startsWith('io.cilium.k8s.')
