// SPDX-License-Identifier: Apache-2.0

import { hash32 } from '../../base/hash.ts'
import { attachment, type Endpoint, type EndpointRequest, endpointName } from '../../model/endpoint.ts'
import { objectKey } from '../../model/meta.ts'
import { devices, endpointRequests } from '../../model/rows.ts'
import { allocate, deriveEach } from '../../table/definition.ts'
import { endpointIdentities } from '../identity/tables.ts'
import { podAddresses } from '../ipam/tables.ts'
import { podOf } from '../labels/tables.ts'
import { numbersByHash } from '../numbers.ts'

export interface EndpointNumber {
  readonly attachment: string
  readonly id: number
}

/** Stands for the node itself where endpoints are named by their attachment. */
export const hostAttachment = 'host'

/** Endpoint ids, unique on the node. The node itself has one. */
export const endpointNumbers = allocate<EndpointRequest, EndpointNumber>(
  'endpointNumbers',
  endpointRequests,
  { key: (n) => n.attachment },
  (wanted, held) => {
    const before = new Map(held.map((h) => [h.attachment, h]))
    const known = new Map(held.map((h) => [h.attachment, h.id]))
    const used = new Set(known.values())
    for (const r of wanted) {
      if (!r.held || r.held.id === 0 || used.has(r.held.id) || known.has(attachment(r))) continue
      known.set(attachment(r), r.held.id)
      used.add(r.held.id)
    }
    const numbers = numbersByHash([hostAttachment, ...wanted.map(attachment)], known, 1, 65535)
    return [...numbers].map(([key, id]) => before.get(key) ?? { attachment: key, id })
  },
)

/** Name of the host side of a pod's pair: `lxc` and twelve hexadecimal digits of the attachment. */
export function linkName(of: { readonly containerId: string; readonly ifname: string }): string {
  const key = attachment(of)
  const hex = (n: number) => n.toString(16).padStart(8, '0')
  return `lxc${(hex(hash32(key)) + hex(hash32(`${key}/`))).slice(0, 12)}`
}

/** The endpoints of this node. */
export const endpoints = deriveEach<EndpointRequest, Endpoint>(
  'endpoints',
  endpointRequests,
  {
    key: (e) => e.attachment,
    indexes: {
      id: (e) => [String(e.id)],
      identity: (e) => [String(e.identity)],
      pod: (e) => [objectKey({ namespace: e.namespace, name: e.podName })],
      address: (e) => [e.ipv4, e.ipv6].filter((a) => a !== ''),
      portName: (e) => e.namedPorts.map((p) => p.name),
    },
    columns: [
      ['ENDPOINT', (e) => String(e.id)],
      ['POD', endpointName],
      ['IDENTITY', (e) => String(e.identity)],
      ['IPV4', (e) => e.ipv4],
      ['IPV6', (e) => e.ipv6],
      ['LINK', (e) => e.link],
    ],
  },
  (request, read) => {
    const key = attachment(request)
    const has = read.get(endpointIdentities, key)
    const labels = has?.labels ?? []
    const addresses = read.get(podAddresses, key)
    const pod = podOf(request, read)
    const link = linkName(request)
    return [
      {
        attachment: key,
        id: read.get(endpointNumbers, key)?.id ?? 0,
        containerId: request.containerId,
        ifname: request.ifname,
        netns: request.netns,
        namespace: request.namespace,
        podName: request.podName,
        podUid: pod?.uid ?? request.podUid,
        ipv4: addresses?.ipv4 ?? '',
        ipv6: addresses?.ipv6 ?? '',
        labels,
        identity: has?.identity ?? 0,
        namedPorts: labels.length === 0 ? [] : (pod?.namedPorts ?? []),
        link,
        interface: read.by(devices, 'name', link)[0]?.index ?? 0,
        problem: addresses?.problem ?? '',
      },
    ]
  },
)
