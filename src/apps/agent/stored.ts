// SPDX-License-Identifier: Apache-2.0
import { join } from 'node:path'
import { canonicalAddress } from '../../base/ip.ts'
import { endpoints } from '../../derive/endpoints/tables.ts'
import { namesIn, readIfThere, removeAll, writeWhole } from '../../edge/disk/files.ts'
import { attachment, type Endpoint, type EndpointRequest } from '../../model/endpoint.ts'
import { deriveEach } from '../../table/definition.ts'
import type { Outcome, Target } from '../../table/target.ts'
import type { Log } from './log.ts'
import type { NodeFacts } from './node_facts.ts'

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

const fileOf = (dir: string, r: EndpointRequest): string => join(dir, `${r.containerId}-${r.ifname}.json`)

/** Files of a directory, one for each endpoint. */
export function storedTarget(dir: string, log: Log): Target<EndpointRequest> {
  const attempt = (work: () => void): Outcome => {
    try {
      work()
      return { ok: true }
    } catch (e) {
      return { ok: false, error: e instanceof Error ? e.message : String(e) }
    }
  }
  return {
    name: dir,
    key: attachment,
    load: () => readStored(dir, log),
    equal: (a, b) => JSON.stringify(a) === JSON.stringify(b),
    write: (rows) => rows.map((row) => attempt(() => writeWhole(fileOf(dir, row), JSON.stringify(row)))),
    remove: (rows) => rows.map((row) => attempt(() => removeAll(fileOf(dir, row)))),
  }
}

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

/** The endpoints an agent before left. A file that can not be read is told and stays. */
export function readStored(dir: string, log: Log): readonly EndpointRequest[] {
  return namesIn(dir)
    .filter((name) => name.endsWith('.json'))
    .flatMap((name) => {
      try {
        const row = JSON.parse(readIfThere(join(dir, name)) ?? '') as EndpointRequest
        if (!isEndpoint(row)) throw new Error('it is no endpoint')
        return [row]
      } catch (e) {
        log('warning', `endpoint file ${join(dir, name)} is left alone: ${(e as Error).message}`)
        return []
      }
    })
}

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
