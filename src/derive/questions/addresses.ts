// SPDX-License-Identifier: Apache-2.0
import { contains, isIpv4Prefix, type Prefix, prefix, printPrefix } from '../../base/ip.ts'
import { ok, type Result } from '../../base/result.ts'
import { reserved } from '../../model/identity.ts'
import { addressPart, nameProblem, normalName, patternProblem } from '../../model/names.ts'
import * as rows from '../../model/rows.ts'
import { cidrIdentities } from '../policy/cidrs.ts'
import { identityOfRules, namedAddresses, nameIdentities, nameSelectors, selectorsOfName } from '../policy/names.ts'
import type { Cluster } from './cluster.ts'
import { nodeParty, type Party, partyOf, serviceParty, wrong } from './party.ts'

/** Packets of the world carry their family where a cluster has both; plain `world` is asked as IPv4. */
export const anywhere = prefix('0.0.0.0/0')

/** The identity of the longest prefix that a policy names; addresses of pods and nodes are theirs. */
export function addressParty(cluster: Cluster, wanted: Prefix): Party {
  const name = wanted.length === 128 ? printPrefix(wanted).replace(/\/[0-9]+$/, '') : printPrefix(wanted)
  if (wanted.length === 128) {
    const pod = cluster.objects.members.find((m) => m.pod.podIPs.includes(name) && !m.pod.hostNetwork)
    if (pod) return partyOf(cluster, pod, rows.pods.key(pod.pod), name)
    const service = cluster.objects.services.find((s) => s.clusterIPs.includes(name))
    const party = service && serviceParty(cluster, rows.services.key(service))
    if (party) return party
    const node = cluster.objects.nodes.find((n) => n.addresses.some((a) => a.address === name))
    if (node) {
      const notes = [`${name} is an address of node ${node.name}: policies see remote-node (host on the node itself)`]
      return { ...nodeParty(cluster, node.name, name), name, notes }
    }
  }
  const told = wanted.length === 128 ? toldFor(cluster, name) : undefined
  if (told) return told
  let best: { readonly number: number; readonly length: number } | undefined
  const inside: string[] = []
  for (const i of cluster.db.all(cidrIdentities)) {
    const named = prefix(i.prefix)
    if (contains(named, wanted) && (!best || named.length > best.length))
      best = { number: i.number, length: named.length }
    else if (named.length > wanted.length && contains(wanted, named)) inside.push(i.prefix)
  }
  const notes = [
    ...(inside.length > 0
      ? [`policies tell parts of ${name} apart: ${inside.join(', ')}; the answer is for the rest`]
      : []),
    ...(cluster.db.count(nameSelectors) > 0
      ? [`which names pods were told for ${name}, their nodes know (fqdn cache list): ask about fqdn:NAME too`]
      : []),
  ]
  return { kind: 'address', name, identity: best?.number ?? worldOf(cluster, wanted), notes }
}

/** An address that pods of this node were told for a name that policies mean. */
function toldFor({ db }: Cluster, address: string): Party | undefined {
  const learnt = db.get(rows.learntNames, address)
  const known = learnt && db.get(namedAddresses, addressPart(address))?.addresses.find((a) => a.address === address)
  const identity = known && db.get(nameIdentities, known.set)?.number
  if (identity === undefined) return undefined
  const notes = [`pods of this node were told ${address} for ${learnt?.names.join(', ')}`]
  return { kind: 'address', name: address, identity, notes }
}

/**
 * An address that pods were told for a name, or that a rule of `toFQDNs` means when it is written as the rule is. What
 * rules say of the prefixes it may lie in is asked by the address.
 */
export function named(cluster: Cluster, text: string): Result<Party> {
  const name = normalName(text)
  const pattern = name.includes('*')
  const problem = pattern ? patternProblem(name) : nameProblem(name)
  if (problem !== undefined) return wrong(`fqdn:${text}`, problem, 'as in fqdn:www.example.com')
  const { db } = cluster
  const rules = !pattern ? selectorsOfName(name, db) : db.get(nameSelectors, name) ? [name] : []
  const party = (identity: number, note: string): Result<Party> =>
    ok({ kind: 'address', name: `fqdn:${name}`, identity, notes: [note] })
  if (rules.length === 0)
    return party(
      worldOf(cluster, anywhere),
      `no toFQDNs of a policy in force means ${name}: its addresses are the world`,
    )
  if (!identityOfRules(rules, db)) {
    // Rules that never met in one address: let them.
    const free = examples.find((e) => !db.all(cidrIdentities).some((i) => contains(prefix(i.prefix), prefix(e))))
    const number = 1 + (db.count(rows.learntNames) % 254)
    if (free)
      db.commit((tx) => tx.put(rows.learntNames, { address: free.replace('0/24', String(number)), names: [name] }))
  }
  const identity = identityOfRules(rules, db)?.number ?? worldOf(cluster, anywhere)
  return party(identity, `addresses of ${name} are known once a pod asked for it through the DNS proxy`)
}

/** Blocks of which nobody has an address. */
const examples = ['192.0.2.0/24', '198.51.100.0/24', '203.0.113.0/24', '240.0.0.0/24'] as const

/** The identity of what no policy names. */
export function worldOf({ db }: Cluster, of: Prefix): number {
  const config = db.get(rows.settings, 'settings')
  if (!config?.enableIpv4 || !config.enableIpv6) return reserved.world
  return isIpv4Prefix(of) ? reserved['world-ipv4'] : reserved['world-ipv6']
}
