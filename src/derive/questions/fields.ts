// SPDX-License-Identifier: Apache-2.0

import { type Json, type JsonObject, list, object } from '../../model/json.ts'
import type { NamedPort } from '../../model/pod.ts'
import type { PolicyObject } from '../../model/policy.ts'
import * as rows from '../../model/rows.ts'
import { defaultSettings, type Settings } from '../../model/settings.ts'
import { peerKey } from '../policy/keys.ts'
import { readPolicy } from '../policy/policies.ts'
import { isPortRange, type Rule } from '../policy/rule.ts'
import { selections } from '../policy/selections.ts'
import type { Cluster } from './cluster.ts'
import { policyTables } from './objects.ts'
import type { Port } from './ports.ts'

/** An element of a rule that says who or where, read by itself. */
interface Part {
  /** `spec.ingress[0].fromEndpoints[1]`. */
  readonly field: string
  readonly peers: Rule['peers']
  readonly ports: Rule['ports']
}

/** The elements of one rule. */
interface Parts {
  readonly peers: readonly Part[]
  readonly ports: readonly Part[]
}

const nothing: Parts = { peers: [], ports: [] }
const ruleLists = new Set(['ingress', 'egress', 'ingressDeny', 'egressDeny'])
const portFields = new Set(['ports', 'toPorts', 'icmps', 'protocols'])

/** The policy object of a rule's key `kind/namespace/name#path`. */
export function objectOf({ db }: Cluster, policy: string): PolicyObject | undefined {
  for (const table of Object.values(policyTables)) {
    const found = db.get(table, policy)
    if (found) return found
  }
  return undefined
}

const known = new WeakMap<PolicyObject, Map<string, Parts>>()

/** Takes a rule apart by reading the object again with one element left in it: the parser itself says what it means. */
function partsOf(cluster: Cluster, rule: string): Parts {
  const [policy = '', path = ''] = rule.split('#')
  const from = objectOf(cluster, policy)
  if (!from) return nothing
  const ofObject = known.get(from) ?? new Map<string, Parts>()
  known.set(from, ofObject)
  const before = ofObject.get(path)
  if (before) return before
  const made = takeApart(from, path, cluster.db.get(rows.settings, 'settings') ?? defaultSettings)
  ofObject.set(path, made)
  return made
}

function takeApart(from: PolicyObject, path: string, config: Settings): Parts {
  const at = /^(spec|specs\[(\d+)\])\.(\w+)\[(\d+)\]/.exec(path)
  if (!at) return nothing
  const [whole, , specIndex, listName = '', index] = at
  const spec = object(specIndex === undefined ? from.object['spec'] : list(from.object['specs'])[Number(specIndex)])
  const rule = object(list(spec[listName])[Number(index)])
  const bare = Object.fromEntries(Object.entries(spec).filter(([name]) => !ruleLists.has(name)))
  const read = (field: string, element: JsonObject): readonly Part[] => {
    // The rest of the rule stays: some kinds ask for all their fields.
    const alone: PolicyObject = { ...from, object: { spec: { ...bare, [listName]: [{ ...rule, ...element }] } } }
    return readPolicy(alone, config).specs.flatMap((s) => s.rules.map(({ peers, ports }) => ({ field, peers, ports })))
  }
  const each = (name: string, make: (element: Json) => Json): readonly Part[] =>
    list(rule[name]).flatMap((element, i) => read(`${whole}.${name}[${i}]`, { [name]: [make(element)] }))
  const nested = (name: string, inner: string): readonly Part[] =>
    list(rule[name]).flatMap((element, i) =>
      list(object(element)[inner]).flatMap((port, j) =>
        read(`${whole}.${name}[${i}].${inner}[${j}]`, { [name]: [{ ...object(element), [inner]: [port] }] }),
      ),
    )
  return {
    peers: Object.keys(rule)
      .filter((name) => !portFields.has(name) && Array.isArray(rule[name]))
      .flatMap((name) => each(name, (e) => e)),
    ports: [
      ...each('ports', (e) => e),
      ...each('protocols', (e) => e),
      ...nested('toPorts', 'ports'),
      ...nested('icmps', 'fields'),
    ],
  }
}

/** Whether the peers of a rule, or of a part of one, mean an identity. */
export const meansIdentity = ({ db }: Cluster, peers: Rule['peers'], identity: number): boolean =>
  peers === 'all' || peers.some((p) => db.get(selections, peerKey(p))?.identities.includes(identity))

/** Whether the ports of a rule mean a port of a destination that gives its ports these names. */
export const meansPort = (ports: Rule['ports'], { space, number }: Port, named: readonly NamedPort[]): boolean =>
  ports === 'all' ||
  ports.some((p) =>
    isPortRange(p)
      ? p.space === space && p.first <= number && number <= p.last
      : named.some((n) => n.name === p.name && n.port === number && n.protocol === space),
  )

/** The elements of a rule that a packet meets: who, and on which port. Empty where the rule does not say. */
export function fieldsOf(
  cluster: Cluster,
  rule: string,
  peer: number,
  port: Port,
  named: readonly NamedPort[],
): { readonly peer: string; readonly port: string } {
  const parts = partsOf(cluster, rule)
  return {
    peer: parts.peers.find((p) => meansIdentity(cluster, p.peers, peer))?.field ?? '',
    port: parts.ports.find((p) => meansPort(p.ports, port, named))?.field ?? '',
  }
}
