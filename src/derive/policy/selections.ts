// SPDX-License-Identifier: Apache-2.0
import { contains, prefix } from '../../base/ip.ts'
import { type Identity, reserved, reservedIdentities } from '../../model/identity.ts'
import { podNamespaceKey } from '../../model/labels.ts'
import { ciliumIdentities } from '../../model/rows.ts'
import { deriveEach, type Read } from '../../table/definition.ts'
import { cidrIdentities } from './cidrs.ts'
import { nameIdentities } from './names.ts'
import { type Block, blocksOf, placeIdentities, servicesOf } from './places.ts'
import { peersInUse } from './programs.ts'
import type { Peer, Requirement } from './rule.ts'
import { anchors, labelIndex, selects } from './selector.ts'

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
    const found = new Set<number>()
    if (peer.kind === 'labels') addLabelled(peer.requirements, read, found)
    if (peer.kind === 'service')
      for (const { namespace, selector } of servicesOf(peer, read))
        if (Object.keys(selector).length > 0) addLabelled(podsOf(namespace, selector), read, found)
    for (const block of blocksOf(peer, read)) addInside(block, read, found)
    return [{ key, identities: [...found].sort((a, b) => a - b) }]
  },
)

/** Who of a list is selected: remembered, because the next list is mostly the same. */
interface Answer {
  readonly list: readonly Identity[]
  readonly selected: readonly boolean[]
}
const asked = new WeakMap<readonly Requirement[], readonly Answer[]>()

function chosen(requirements: readonly Requirement[], list: readonly Identity[], before: Answer | undefined): Answer {
  if (before?.list === list) return before
  const old = before?.list ?? []
  let at = 0
  const selected = list.map((identity, i) => {
    // Both are in one order: what came or went moves the rest by one.
    if (old[at] !== identity && old[at + 1] === identity) at++
    if (old[at] === identity) return before?.selected[at++] === true
    if (old[at] !== list[i + 1]) at++
    return selects(requirements, labelIndex(identity.labels))
  })
  return { list, selected }
}

/** Identities by their labels, wherever they are. */
function addLabelled(requirements: readonly Requirement[], read: Read, into: Set<number>): void {
  const where = anchors(requirements)
  const candidates = [
    reservedIdentities,
    ...(where ? where.map((anchor) => read.by(ciliumIdentities, 'label', anchor)) : [read.all(ciliumIdentities)]),
    ...(requirements.some((r) => r.source === 'reserved') ? [read.all(cidrIdentities), read.all(nameIdentities)] : []),
    ...requirements.filter((r) => r.source === 'fqdn').map((r) => read.by(nameIdentities, 'selector', r.key)),
  ]
  const before = asked.get(requirements)
  const answers = candidates.map((list, i) => chosen(requirements, list, before?.[i]))
  asked.set(requirements, answers)
  for (const { list, selected } of answers)
    for (const [i, identity] of list.entries()) if (selected[i]) into.add(identity.number)
  for (const place of read.all(placeIdentities)) if (into.has(place.base)) into.add(place.number)
}

const podsOf = (namespace: string, selector: { readonly [key: string]: string }): readonly Requirement[] =>
  Object.entries({ ...selector, [podNamespaceKey]: namespace }).map(([key, value]) => ({
    source: 'k8s',
    key,
    operator: 'In',
    values: [value],
  }))

function addInside(block: Block, read: Read, into: Set<number>): void {
  const outer = prefix(block.cidr)
  const except = block.except.map((e) => prefix(e))
  const isIn = (text: string): boolean => {
    const inner = prefix(text)
    return contains(outer, inner) && !except.some((e) => contains(e, inner))
  }
  if (block.world) {
    for (const i of read.all(cidrIdentities)) if (isIn(i.prefix)) into.add(i.number)
    for (const i of read.all(nameIdentities)) if (isIn(i.prefix)) into.add(i.number)
    if (block.cidr === '0.0.0.0/0') into.add(reserved.world).add(reserved['world-ipv4'])
    if (block.cidr === '::/0') into.add(reserved.world).add(reserved['world-ipv6'])
  }
  if (block.nodes || block.pods)
    for (const i of read.all(placeIdentities))
      if ((i.node ? block.nodes : block.pods) && isIn(i.prefix)) into.add(i.number)
}
