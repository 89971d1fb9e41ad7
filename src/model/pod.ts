// SPDX-License-Identifier: Apache-2.0
import { ok, type Result } from '../base/result.ts'
import { flag, list, number, object, text } from './json.ts'
import { type Meta, parseMeta } from './meta.ts'

export type Protocol = 'TCP' | 'UDP' | 'SCTP'

export interface NamedPort {
  readonly name: string
  readonly port: number
  readonly protocol: Protocol
}

/** A port of the pod's node that stands for one of the pod. */
export interface HostPort {
  /** Of the node; 0.0.0.0, :: or '' for all its addresses. */
  readonly hostIP: string
  readonly hostPort: number
  readonly containerPort: number
  readonly protocol: Protocol
}

export interface Namespace {
  readonly name: string
  readonly uid: string
  readonly labels: { readonly [key: string]: string }
}

/** A pod as Kubernetes says, of any node. */
export interface Pod extends Meta {
  readonly nodeName: string
  readonly hostNetwork: boolean
  readonly serviceAccount: string
  readonly phase: string
  readonly podIPs: readonly string[]
  readonly hostIP: string
  /** Container ports that have a name, init containers that stay running included; sorted. */
  readonly namedPorts: readonly NamedPort[]
  /** Absent when there are none. */
  readonly hostPorts?: readonly HostPort[]
}

export function parseNamespace(object_: unknown): Result<Namespace> {
  const meta = parseMeta(object_)
  if (!meta.ok) return meta
  return ok({ name: meta.value.name, uid: meta.value.uid, labels: meta.value.labels })
}

export const protocolOf = (v: unknown): Protocol => (v === 'UDP' || v === 'SCTP' ? v : 'TCP')

export function parsePod(object_: unknown): Result<Pod> {
  const meta = parseMeta(object_)
  if (!meta.ok) return meta
  const spec = object(object(object_)['spec'])
  const status = object(object(object_)['status'])
  const stays = list(spec['initContainers']).filter((c) => object(c)['restartPolicy'] === 'Always')
  const namedPorts: NamedPort[] = []
  const hostPorts: HostPort[] = []
  for (const container of [...list(spec['containers']), ...stays])
    for (const p of list(object(container)['ports'])) {
      const name = text(object(p)['name'])
      if (name !== '')
        namedPorts.push({
          name,
          port: number(object(p)['containerPort']),
          protocol: protocolOf(object(p)['protocol']),
        })
      const hostPort = number(object(p)['hostPort'])
      if (hostPort > 0 && !flag(spec['hostNetwork']))
        hostPorts.push({
          hostIP: text(object(p)['hostIP']),
          hostPort,
          containerPort: number(object(p)['containerPort']),
          protocol: protocolOf(object(p)['protocol']),
        })
    }
  const podIPs = list(status['podIPs'])
    .map((p) => text(object(p)['ip']))
    .filter((a) => a !== '')
  return ok({
    ...meta.value,
    nodeName: text(spec['nodeName']),
    hostNetwork: flag(spec['hostNetwork']),
    serviceAccount: text(spec['serviceAccountName']),
    phase: text(status['phase']),
    podIPs: podIPs.length > 0 ? podIPs : text(status['podIP']) === '' ? [] : [text(status['podIP'])],
    hostIP: text(status['hostIP']),
    namedPorts: sortedPorts(namedPorts),
    ...(hostPorts.length > 0 ? { hostPorts } : {}),
  })
}

export const sortedPorts = (ports: readonly NamedPort[]): readonly NamedPort[] =>
  [...ports].sort((a, b) => (portText(a) < portText(b) ? -1 : 1))

const portText = (p: NamedPort): string => `${p.name} ${p.protocol} ${p.port}`
