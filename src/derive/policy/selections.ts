// SPDX-License-Identifier: Apache-2.0
import { contains, prefix } from '../../base/ip.ts'
import { type Identity, reserved, reservedIdentities } from '../../model/identity.ts'
import { podNamespaceKey } from '../../model/labels.ts'
import { ciliumIdentities } from '../../model/rows.ts'
import { deriveEach, type Read } from '../../table/definition.ts'
import { type Chosen, choose, has, union } from './ascending.ts'
import { cidrIdentities } from './cidrs.ts'
import { nameIdentities } from './names.ts'
import { type Block, blocksOf, placeIdentities, servicesOf } from './places.ts'
import { peersInUse } from './programs.ts'
import type { Peer, Requirement } from './rule.ts'
import { anchors, selects } from './selector.ts'

/** Which identities a peer means, ascending. */
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
    const parts: (readonly number[])[] = []
    if (peer.kind === 'labels') parts.push(labelled(peer.requirements, read))
    if (peer.kind === 'service')
      for (const { namespace, selector } of servicesOf(peer, read))
        if (Object.keys(selector).length > 0) parts.push(labelled(podsOf(namespace, selector), read))
    for (const block of blocksOf(peer, read)) parts.push(inside(block, read))
    return [{ key, identities: union(parts) }]
  },
)

/** Who of each list is selected, and of all together: remembered, because the next lists are mostly the same. */
interface Answer {
  readonly parts: readonly Chosen<Identity>[]
  readonly whole: readonly number[]
}
const asked = new WeakMap<readonly Requirement[], Answer>()

/** Identities by their labels, wherever they are. */
function labelled(requirements: readonly Requirement[], read: Read): readonly number[] {
  const where = anchors(requirements)
  const candidates = [
    reservedIdentities,
    ...(where ? where.map((anchor) => read.by(ciliumIdentities, 'label', anchor)) : [read.all(ciliumIdentities)]),
    ...(requirements.some((r) => r.source === 'reserved') ? [read.all(cidrIdentities), read.all(nameIdentities)] : []),
    ...requirements.filter((r) => r.source === 'fqdn').map((r) => read.by(nameIdentities, 'selector', r.key)),
  ]
  const before = asked.get(requirements)
  const parts = candidates.map((list, i) =>
    choose(list, before?.parts[i], (identity) => selects(requirements, identity.labels)),
  )
  const same = before?.parts.length === parts.length && before.parts.every((b, i) => b.numbers === parts[i]?.numbers)
  const whole = same ? before.whole : union(parts.map((p) => p.numbers))
  asked.set(requirements, { parts, whole })
  const places = read.all(placeIdentities).filter((place) => has(whole, place.base))
  return places.length === 0 ? whole : union([whole, ascending(places.map((p) => p.number))])
}

const ascending = (numbers: readonly number[]): readonly number[] => [...numbers].sort((a, b) => a - b)

const podsOf = (namespace: string, selector: { readonly [key: string]: string }): readonly Requirement[] =>
  Object.entries({ ...selector, [podNamespaceKey]: namespace }).map(([key, value]) => ({
    source: 'k8s',
    key,
    operator: 'In',
    values: [value],
  }))

function inside(block: Block, read: Read): readonly number[] {
  const outer = prefix(block.cidr)
  const except = block.except.map((e) => prefix(e))
  const isIn = (text: string): boolean => {
    const inner = prefix(text)
    return contains(outer, inner) && !except.some((e) => contains(e, inner))
  }
  const found: number[] = []
  if (block.world) {
    for (const i of read.all(cidrIdentities)) if (isIn(i.prefix)) found.push(i.number)
    for (const i of read.all(nameIdentities)) if (isIn(i.prefix)) found.push(i.number)
    if (block.cidr === '0.0.0.0/0') found.push(reserved.world, reserved['world-ipv4'])
    if (block.cidr === '::/0') found.push(reserved.world, reserved['world-ipv6'])
  }
  if (block.nodes || block.pods)
    for (const i of read.all(placeIdentities))
      if ((i.node ? block.nodes : block.pods) && isIn(i.prefix)) found.push(i.number)
  return ascending(found)
}
