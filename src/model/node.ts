// SPDX-License-Identifier: Apache-2.0
import { ok, type Result } from '../base/result.ts'
import { list, object, text, texts } from './json.ts'
import { parseMeta } from './meta.ts'

/** `InternalIP`, `ExternalIP`, `Hostname` of Kubernetes; `CiliumInternalIP` is the gateway address of the node's pods. */
export interface NodeAddress {
  readonly type: string
  readonly address: string
}

/** A node as Kubernetes says. */
export interface KubeNode {
  readonly name: string
  readonly uid: string
  readonly labels: { readonly [key: string]: string }
  readonly annotations: { readonly [key: string]: string }
  readonly addresses: readonly NodeAddress[]
  readonly podCIDRs: readonly string[]
}

export function parseNode(object_: unknown): Result<KubeNode> {
  const meta = parseMeta(object_)
  if (!meta.ok) return meta
  const spec = object(object(object_)['spec'])
  const cidrs = texts(spec['podCIDRs'])
  return ok({
    name: meta.value.name,
    uid: meta.value.uid,
    labels: meta.value.labels,
    annotations: meta.value.annotations,
    addresses: list(object(object(object_)['status'])['addresses']).map((a) => ({
      type: text(object(a)['type']),
      address: text(object(a)['address']),
    })),
    podCIDRs: cidrs.length > 0 ? cidrs : text(spec['podCIDR']) === '' ? [] : [text(spec['podCIDR'])],
  })
}

/** A CiliumNode object: what the agents of a cluster tell each other about their nodes. */
export interface CiliumNode {
  readonly name: string
  readonly uid: string
  readonly resourceVersion: string
  readonly addresses: readonly NodeAddress[]
  /** Prefixes the operator gave to this node (`spec.ipam.podCIDRs`). */
  readonly podCIDRs: readonly string[]
  readonly healthAddresses: readonly string[]
  readonly ingressAddresses: readonly string[]
  readonly bootId: string
}

export function parseCiliumNode(object_: unknown): Result<CiliumNode> {
  const meta = parseMeta(object_)
  if (!meta.ok) return meta
  const spec = object(object(object_)['spec'])
  const both = (v: unknown): readonly string[] => [text(object(v)['ipv4']), text(object(v)['ipv6'])].filter((a) => a)
  return ok({
    name: meta.value.name,
    uid: meta.value.uid,
    resourceVersion: meta.value.resourceVersion,
    addresses: list(spec['addresses']).map((a) => ({ type: text(object(a)['type']), address: text(object(a)['ip']) })),
    podCIDRs: texts(object(spec['ipam'])['podCIDRs']),
    healthAddresses: both(spec['health']),
    ingressAddresses: both(spec['ingress']),
    bootId: text(spec['bootid']),
  })
}

/** A network device of this node, as the kernel says. */
export interface Device {
  readonly index: number
  readonly name: string
  readonly mac: string
  readonly mtu: number
  readonly up: boolean
  /** `veth`, `dummy`, `vxlan`, … ; '' for hardware. */
  readonly kind: string
  /** Addresses without their prefix lengths, in both families. */
  readonly addresses: readonly string[]
  /** The device of the default route or, without one, of the node's own address. */
  readonly wire: boolean
}
