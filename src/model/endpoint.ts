// SPDX-License-Identifier: Apache-2.0
import { ok, type Result } from '../base/result.ts'
import { list, number, object, text } from './json.ts'
import type { LabelSet } from './labels.ts'
import { parseMeta } from './meta.ts'
import { type NamedPort, type Pod, protocolOf, sortedPorts } from './pod.ts'

/** What CNI asked for: an interface for a sandbox of this node. Restored ones are the same rows, read from disk. */
export interface EndpointRequest {
  readonly containerId: string
  /** Inside the pod: eth0. */
  readonly ifname: string
  /** Path of the network namespace. */
  readonly netns: string
  /** Both '' for a container that is no pod. */
  readonly namespace: string
  readonly podName: string
  /** '' when the runtime did not say. */
  readonly podUid: string
  /** The pod as the API server said when asked for it; dropped once the watch tells of that pod. */
  readonly seen?: Pod
  /** Addresses and numbers it had before a restart of the agent, if any. */
  readonly held?: HeldEndpoint
}

export interface HeldEndpoint {
  readonly id: number
  readonly ipv4: string
  readonly ipv6: string
}

/** An endpoint of this node: what was asked for, and what has been decided about it. */
export interface Endpoint {
  readonly attachment: string
  /** 1 to 65535, unique on the node. */
  readonly id: number
  readonly containerId: string
  readonly ifname: string
  readonly netns: string
  readonly namespace: string
  readonly podName: string
  readonly podUid: string
  /** '' when the family is off or the pool is empty. */
  readonly ipv4: string
  readonly ipv6: string
  /** Labels of the identity; empty until the pod is known. */
  readonly labels: LabelSet
  /** 0 until there is one. */
  readonly identity: number
  readonly namedPorts: readonly NamedPort[]
  /** Host side of the pair. */
  readonly link: string
  /** Its index, 0 until the kernel has it. */
  readonly interface: number
  /** Why it has no address. */
  readonly problem: string
}

/** Cilium's `cni-attachment-id`. */
export const attachment = (r: { readonly containerId: string; readonly ifname: string }): string =>
  `${r.containerId}:${r.ifname}`

/** How an endpoint is called: by its pod, or by its container where there is no pod. */
export const endpointName = (e: Pick<Endpoint, 'namespace' | 'podName' | 'attachment'>): string =>
  e.podName === '' ? e.attachment : `${e.namespace}/${e.podName}`

export type EndpointState =
  | 'creating'
  | 'waiting-for-identity'
  | 'not-ready'
  | 'waiting-to-regenerate'
  | 'regenerating'
  | 'restoring'
  | 'ready'
  | 'disconnecting'
  | 'disconnected'
  | 'invalid'

/** A CiliumEndpoint object: what other agents need to know of a pod of another node. */
export interface CiliumEndpoint {
  readonly namespace: string
  readonly name: string
  readonly uid: string
  readonly resourceVersion: string
  readonly identity: number
  readonly addresses: readonly string[]
  /** Address of the node it runs on. */
  readonly node: string
  readonly state: string
  readonly namedPorts: readonly NamedPort[]
}

export function parseCiliumEndpoint(object_: unknown): Result<CiliumEndpoint> {
  const meta = parseMeta(object_)
  if (!meta.ok) return meta
  const status = object(object(object_)['status'])
  const networking = object(status['networking'])
  return ok({
    namespace: meta.value.namespace,
    name: meta.value.name,
    uid: meta.value.uid,
    resourceVersion: meta.value.resourceVersion,
    identity: number(object(status['identity'])['id']),
    addresses: list(networking['addressing'])
      .flatMap((a) => [text(object(a)['ipv4']), text(object(a)['ipv6'])])
      .filter((a) => a !== ''),
    node: text(networking['node']),
    state: text(status['state']),
    namedPorts: sortedPorts(
      list(status['named-ports']).map((p) => ({
        name: text(object(p)['name']),
        port: number(object(p)['port']),
        protocol: protocolOf(object(p)['protocol']),
      })),
    ),
  })
}

/** Every pod's side of its pair has this MAC address, and every host side the other: nothing on the way rewrites them. */
export const podMac = '02:00:00:00:00:02'
export const gatewayMac = '02:00:00:00:00:01'

/** What is set for one endpoint alone. */
export interface EndpointOptions {
  readonly attachment: string
  /** What policy would drop passes and is reported. */
  readonly policyAuditMode: boolean
  /** False: policy is switched off for it. */
  readonly policyEnforced: boolean
}
