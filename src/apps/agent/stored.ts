// SPDX-License-Identifier: Apache-2.0
import { canonicalAddress } from '../../base/ip.ts'
import { endpoints } from '../../derive/endpoints/tables.ts'
import { readIfThere, writeWhole } from '../../edge/disk/files.ts'
import { attachment, type Endpoint, type EndpointOptions, type EndpointRequest } from '../../model/endpoint.ts'
import { deriveEach } from '../../table/definition.ts'
import type { Target } from '../../table/target.ts'
import type { NodeFacts } from './node-facts.ts'
import type { RowFiles } from './row-files.ts'

/** Endpoints as they are kept on disk: the request, with the numbers and addresses it was given. */
export const storedEndpoints = deriveEach<Endpoint, EndpointRequest>(
  'storedEndpoints',
  endpoints,
  { key: attachment },
  (e) =>
    e.id === 0 || (e.ipv4 === '' && e.ipv6 === '')
      ? []
      : [
          {
            containerId: e.containerId,
            ifname: e.ifname,
            netns: e.netns,
            namespace: e.namespace,
            podName: e.podName,
            podUid: e.podUid,
            held: { id: e.id, ipv4: e.ipv4, ipv6: e.ipv6 },
          },
        ],
)

function isEndpoint(row: EndpointRequest | null): row is EndpointRequest {
  if (row === null || typeof row !== 'object') return false
  const texts = [row.containerId, row.ifname, row.netns, row.namespace, row.podName, row.podUid]
  const { held } = row
  const place = (address: unknown) =>
    address === '' || (typeof address === 'string' && canonicalAddress(address) === address)
  return (
    texts.every((t) => typeof t === 'string') &&
    (held === undefined || (Number.isInteger(held.id) && place(held.ipv4) && place(held.ipv6)))
  )
}

export const endpointFiles = (stateDir: string): RowFiles<EndpointRequest> => ({
  dir: `${stateDir}/state/endpoints`,
  what: 'endpoint file',
  key: attachment,
  file: (r) => `${r.containerId}-${r.ifname}`,
  parse: (content) => {
    if (!isEndpoint(content as EndpointRequest | null)) throw new Error('it is no endpoint')
    return content as EndpointRequest
  },
})

/** Options of single endpoints, beside the endpoints. */
export const optionFiles = (stateDir: string): RowFiles<EndpointOptions> => ({
  dir: `${stateDir}/state/endpoint-options`,
  what: 'file of endpoint options',
  key: (o) => o.attachment,
  file: (o) => encodeURIComponent(o.attachment),
  parse: (content) => {
    const { attachment, policyAuditMode, policyEnforced } = (content ?? {}) as EndpointOptions
    if (typeof attachment !== 'string' || typeof policyAuditMode !== 'boolean' || typeof policyEnforced !== 'boolean')
      throw new Error('it says no options')
    return { attachment, policyAuditMode, policyEnforced }
  },
})

/** The node's facts as the agent before knew them, and the file that keeps them. */
export function readStoredFacts(file: string): readonly NodeFacts[] {
  try {
    const text = readIfThere(file)
    return text === undefined ? [] : [JSON.parse(text) as NodeFacts]
  } catch {
    return []
  }
}

export function factsTarget(file: string): Target<NodeFacts> {
  return {
    name: file,
    key: () => 'node',
    load: () => readStoredFacts(file),
    equal: (a, b) => JSON.stringify(a) === JSON.stringify(b),
    write: (rows) => {
      for (const row of rows) writeWhole(file, JSON.stringify(row))
      return rows.map(() => ({ ok: true }))
    },
    remove: (rows) => rows.map(() => ({ ok: true })),
  }
}
