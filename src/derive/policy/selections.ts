// SPDX-License-Identifier: Apache-2.0
import { contains, prefix } from '../../base/ip.ts'
import { type Identity, reserved, reservedIdentities } from '../../model/identity.ts'
import { ciliumIdentities } from '../../model/rows.ts'
import { deriveEach, type Read } from '../../table/definition.ts'
import { cidrIdentities } from './cidrs.ts'
import { peersInUse } from './programs.ts'
import type { Peer, Requirement } from './rule.ts'
import { anchors, labelIndex, selects } from './selector.ts'

/** Which identities a peer means. */
export interface Selection {
  readonly key: string
  readonly identities: readonly number[]
}

/**
 * Found by one label each, so that a new identity is looked at only by peers that name one of its labels, not by every
 * rule there is.
 */
export const selections = deriveEach<{ readonly key: string; readonly peer: Peer }, Selection>(
  'selections',
  peersInUse,
  {
    key: (s) => s.key,
    columns: [
      ['SELECTOR', (s) => s.key],
      ['IDENTITIES', (s) => s.identities.join(' ')],
    ],
  },
  ({ key, peer }, read) => {
    const found = peer.kind === 'cidr' ? ofCidr(peer, read) : ofLabels(peer.requirements, read)
    return [{ key, identities: [...new Set(found)].sort((a, b) => a - b) }]
  },
)

function ofLabels(requirements: readonly Requirement[], read: Read): readonly number[] {
  const where = anchors(requirements)
  const candidates: Identity[] = [...reservedIdentities]
  if (where) for (const anchor of where) candidates.push(...read.by(ciliumIdentities, 'label', anchor))
  else candidates.push(...read.all(ciliumIdentities))
  if (requirements.some((r) => r.source === 'reserved')) candidates.push(...read.all(cidrIdentities))
  return candidates.filter((i) => selects(requirements, labelIndex(i.labels))).map((i) => i.number)
}

function ofCidr(peer: Peer & { readonly kind: 'cidr' }, read: Read): readonly number[] {
  const outer = prefix(peer.cidr)
  const except = peer.except.map((e) => prefix(e))
  const inside = read.all(cidrIdentities).filter((i) => {
    const inner = prefix(i.prefix)
    return contains(outer, inner) && !except.some((e) => contains(e, inner))
  })
  const numbers = inside.map((i) => i.number)
  if (peer.cidr === '0.0.0.0/0') numbers.push(reserved.world, reserved['world-ipv4'])
  if (peer.cidr === '::/0') numbers.push(reserved.world, reserved['world-ipv6'])
  return numbers
}
