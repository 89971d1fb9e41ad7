// SPDX-License-Identifier: Apache-2.0
import type { Peer, PortRange, Requirement } from './rule.ts'
import { selectorText } from './selector.ts'

/** Equal ranges of ports, equal texts. */
export const rangesText = (ranges: readonly PortRange[]): string =>
  ranges.map((r) => `${r.first === r.last ? r.first : `${r.first}-${r.last}`}/${r.space}`).join(',')

const peerKeys = new WeakMap<Peer, string>()

/** One text per peer; equal peers, equal texts. */
export function peerKey(p: Peer): string {
  const known = peerKeys.get(p)
  if (known !== undefined) return known
  const made = peerText(p)
  peerKeys.set(p, made)
  return made
}

function peerText(p: Peer): string {
  const except = (list: readonly string[]) => (list.length === 0 ? '' : ` except ${list.join(',')}`)
  const of = (name: string, list: readonly Requirement[]) => (name === '' ? `with ${selectorText(list)}` : name)
  switch (p.kind) {
    case 'labels':
      return selectorText(p.requirements)
    case 'cidr':
      return `${p.block ? 'block' : 'cidr'} ${p.cidr}${except(p.except)}`
    case 'group':
      return `cidr group ${of(p.name, p.requirements)}${except(p.except)}`
    case 'nodes':
      return `nodes with ${selectorText(p.requirements)}${p.gated ? '' : ' (by address)'}`
    case 'service':
      return `service ${p.namespace === '' ? '' : `${p.namespace}/`}${of(p.name, p.requirements)}`
  }
}
