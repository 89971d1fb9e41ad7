// SPDX-License-Identifier: Apache-2.0
import { equal } from '../../base/equal.ts'
import { hash32 } from '../../base/hash.ts'
import { clusterIdentities, reservedNumber } from '../../model/identity.ts'
import { type LabelSet, labelSetHash, labelSetKey } from '../../model/labels.ts'
import { ciliumIdentities, settings } from '../../model/rows.ts'
import { allocate, deriveAll, type Read } from '../../table/definition.ts'
import { type EndpointLabels, endpointLabels } from '../labels/tables.ts'
import { nextFree } from '../numbers.ts'

export interface WantedIdentity {
  readonly key: string
  readonly labels: LabelSet
}

/** Distinct label sets of this node's endpoints, other than reserved ones. */
export const wantedIdentities = deriveAll<WantedIdentity>(
  'wantedIdentities',
  [endpointLabels],
  { key: (w) => w.key },
  (read) => {
    const byKey = new Map(
      read
        .all(endpointLabels)
        .filter((e) => e.labels.length > 0 && reservedNumber(e.labels) === 0)
        .map((e) => [labelSetKey(e.labels), e.labels]),
    )
    return [...byKey].map(([key, labels]) => ({ key, labels }))
  },
)

/** A CiliumIdentity this node asks the API server to create; gone once it is there. */
export interface IdentityClaim {
  readonly number: number
  readonly labels: LabelSet
}

/**
 * Numbers for label sets that have none yet. By hash of the labels, so that nodes which see the same pods at the same
 * time ask for the same object and one of them finds it made; the next free number where another set was faster.
 */
export const identityClaims = allocate<WantedIdentity, IdentityClaim>(
  'identityClaims',
  wantedIdentities,
  {
    key: (c) => String(c.number),
    indexes: { labels: (c) => [labelSetKey(c.labels)] },
    columns: [
      ['ID', (c) => String(c.number)],
      ['LABELS', (c) => c.labels.join(' ')],
    ],
  },
  (wanted, _held, read) => {
    const base = (read.get(settings, 'settings')?.clusterId ?? 0) * 65536
    const claimed = new Set<number>()
    const out: IdentityClaim[] = []
    for (const { key, labels } of wanted) {
      if (identityOf(read, labels) !== 0) continue
      const { first, last } = clusterIdentities
      const start = first + (hash32(key) % (last - first + 1))
      const number = nextFree(
        first,
        last,
        start,
        (n) => claimed.has(base + n) || read.get(ciliumIdentities, String(base + n)) !== undefined,
      )
      if (number === undefined) continue
      claimed.add(base + number)
      out.push({ number: base + number, labels })
    }
    return out
  },
  [ciliumIdentities, settings],
)

const hashes = new WeakMap<LabelSet, string>()

/** The number of a set of labels, 0 when no object has it. Of several the lowest, as every node sees it. */
export function identityOf(read: Read, labels: LabelSet): number {
  let hash = hashes.get(labels)
  if (hash === undefined) hashes.set(labels, (hash = labelSetHash(labels)))
  let lowest = 0
  for (const i of read.by(ciliumIdentities, 'labels', hash))
    if ((lowest === 0 || i.number < lowest) && equal(i.labels, labels)) lowest = i.number
  return lowest
}

export interface EndpointIdentity {
  readonly attachment: string
  readonly identity: number
  /** Labels of that identity. */
  readonly labels: LabelSet
}

/**
 * Which identity an endpoint has now. While that of new labels is being made, and when the pod's object goes before its
 * sandbox does, the one it had stays.
 */
export const endpointIdentities = allocate<EndpointLabels, EndpointIdentity>(
  'endpointIdentities',
  endpointLabels,
  { key: (e) => e.attachment },
  (wanted, held, read) => {
    const before = new Map(held.map((h) => [h.attachment, h]))
    return wanted.map(({ attachment, labels }) => {
      const identity = reservedNumber(labels) || (labels.length === 0 ? 0 : identityOf(read, labels))
      const known = before.get(attachment)
      const same = identity === 0 || (known?.identity === identity && known.labels === labels)
      return known && same ? known : { attachment, identity, labels }
    })
  },
  [ciliumIdentities],
)
