// SPDX-License-Identifier: Apache-2.0
import type { KubeObject } from '../../../protocol/kubeapi/object.ts'
import { badRequest, notFound } from '../../../protocol/kubeapi/status.ts'
import type { ServerOptions } from './options.ts'
import type { Route } from './route.ts'
import type { KubeletStreams, PodRef } from './streams.ts'

interface Pod extends KubeObject {
  readonly spec: {
    readonly nodeName?: string
    readonly containers: readonly { readonly name: string }[]
    readonly initContainers?: readonly { readonly name: string }[]
    readonly ephemeralContainers?: readonly { readonly name: string }[]
  }
}

/** What a streaming request is about. */
export interface Target {
  readonly kubelet: KubeletStreams
  readonly pod: PodRef
  readonly container: string
}

/** The pod's kubelet and the container asked for. Throws what the client should read. */
export function findTarget(options: ServerOptions, route: Route, asked: string | null, several: boolean): Target {
  const pod = options.store.get<Pod>('pods', route.namespace, route.name)
  const { name, namespace, uid, annotations } = pod.metadata
  const { containers, initContainers = [], ephemeralContainers = [], nodeName } = pod.spec
  const known = [...containers, ...initContainers, ...ephemeralContainers].map((c) => c.name)
  const main = containers.map((c) => c.name)
  if (!asked && several && main.length > 1) {
    throw badRequest(`a container name must be specified for pod ${name}, choose one of: [${main.join(' ')}]`)
  }
  const container = asked || annotations?.['kubectl.kubernetes.io/default-container'] || main[0]!
  if (!known.includes(container)) throw badRequest(`container ${container} is not valid for pod ${name}`)
  if (!nodeName) throw badRequest(`pod ${name} does not have a host assigned`)
  const kubelet = options.findKubelet(nodeName)
  if (!kubelet) throw notFound({ group: '', plural: 'nodes', kind: 'Node' }, nodeName)
  return { kubelet, container, pod: { namespace: namespace!, name: name!, uid: uid! } }
}
