// SPDX-License-Identifier: Apache-2.0
import { canonicalAddress } from '../../base/ip.ts'
import { namespaceLabelsKey, podNamespaceKey } from '../../model/labels.ts'
import { parseNames } from './dns.ts'
import { entityNames, entityPeers } from './entities.ts'
import { inNamespace, parseCidr, parseExcept, prefixOf } from './network-policy.ts'
import { child, elements, type Field, fields, isAbsent, problem, textOf, warning } from './read.ts'
import type { Peer, Requirement } from './rule.ts'
import { parseSelector, sortedRequirements } from './selector.ts'

/** Where a spec belongs to: what its selectors mean depends on it. */
export interface CiliumScope {
  readonly policy: string
  /** '' for CiliumClusterwideNetworkPolicy. */
  readonly namespace: string
  readonly clusterName: string
  /** Policies for nodes are enforced. */
  readonly hostFirewall: boolean
}

/** No peer field at all is everybody; a field with an empty list is nobody. */
export function parsePeers(scope: CiliumScope, at: Field, given: readonly string[]): 'all' | readonly Peer[] {
  if (given.length === 0) return 'all'
  const out: Peer[] = []
  let all = false
  for (const name of given) {
    for (const e of elements(child(at, name))) {
      if (name.endsWith('Endpoints')) out.push({ kind: 'labels', requirements: peerSelector(scope, e) })
      else if (name.endsWith('Entities')) {
        const entity = textOf(e)
        const peers = entityPeers(entity, scope.clusterName)
        if (peers === undefined) problem(e, `'${entity}' is not an entity`, `one of: ${entityNames.join(', ')}`)
        else if (peers === 'all') all = true
        else out.push(...peers)
      } else if (name.endsWith('CIDR')) out.push(...bareCidr(e))
      else if (name.endsWith('CIDRSet')) out.push(...parseCidrSet(e))
      else if (name.endsWith('Nodes')) {
        warning(e, 'means no node unless enable-node-selector-labels is true')
        out.push({ kind: 'nodes', requirements: parseSelector(e, nodeLabel), gated: true })
      } else if (name === 'toFQDNs') out.push(...parseNames(e))
      else if (name === 'toServices') out.push(...parseService(scope, e))
    }
  }
  return all ? 'all' : out
}

/** A prefix, or those of CiliumCIDRGroups by name or labels, less what is taken out of them. */
function parseCidrSet(at: Field): readonly Peer[] {
  fields(at, ['cidr', 'except', 'cidrGroupRef', 'cidrGroupSelector'])
  const given = ['cidr', 'cidrGroupRef', 'cidrGroupSelector'].filter((name) => !isAbsent(child(at, name)))
  if (given.length > 1) problem(at, `${given[0]} can not go with ${given[1]}`, 'make it an element of its own')
  if (given[0] === undefined || given[0] === 'cidr') return parseCidr(child(at, 'cidr'), child(at, 'except'))
  const except = [...new Set(parseExcept(child(at, 'except')).map((e) => e.inner))].sort()
  const field = child(at, given[0])
  if (given[0] === 'cidrGroupSelector')
    return [{ kind: 'group', name: '', requirements: parseSelector(field, groupLabel), except }]
  const name = textOf(field)
  if (!/^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/.test(name)) problem(field, `'${name}' is not the name of a CiliumCIDRGroup`)
  return [{ kind: 'group', name, requirements: [], except }]
}

function parseService(scope: CiliumScope, at: Field): readonly Peer[] {
  fields(at, ['k8sService', 'k8sServiceSelector'])
  const one = child(at, 'k8sService')
  const many = child(at, 'k8sServiceSelector')
  if (isAbsent(one) === isAbsent(many)) {
    problem(at, 'needs exactly one of k8sService and k8sServiceSelector')
    return []
  }
  const of = isAbsent(one) ? many : one
  fields(of, isAbsent(one) ? ['selector', 'namespace'] : ['serviceName', 'namespace'])
  if (isAbsent(one)) {
    if (isAbsent(child(of, 'selector'))) problem(child(of, 'selector'), 'required')
    const requirements = parseSelector(child(of, 'selector'), serviceLabel)
    return [{ kind: 'service', namespace: textOf(child(of, 'namespace')), name: '', requirements }]
  }
  const namespace = textOf(child(of, 'namespace')) || scope.namespace
  const name = textOf(child(of, 'serviceName'))
  if (name === '') problem(child(of, 'serviceName'), 'required')
  else if (namespace === '') problem(child(of, 'namespace'), 'required in a policy without a namespace')
  return [{ kind: 'service', namespace, name, requirements: [] }]
}

const labelsOf = (source: string) => (key: string) => ({
  source,
  key: key.startsWith(`${source}:`) ? key.slice(source.length + 1) : key,
})
export const nodeLabel = labelsOf('node')
const groupLabel = labelsOf('cidrgroup')
const serviceLabel = labelsOf('k8s')

function bareCidr(at: Field): readonly Peer[] {
  const alone = typeof at.value === 'string' ? canonicalAddress(at.value) : undefined
  const cidr = alone === undefined ? prefixOf(at) : `${alone}/${alone.includes(':') ? 128 : 32}`
  return cidr === undefined ? [] : [{ kind: 'cidr', cidr, except: [] }]
}

/** A peer selector of a namespaced policy stays in its namespace unless it names one, by name or by its labels. */
function peerSelector(scope: CiliumScope, at: Field): readonly Requirement[] {
  const written = parseSelector(at, endpointLabel)
  if (scope.namespace === '' || written.some(namesNamespace)) return onlyEndpoints(written)
  if (written.some(isReserved)) return written
  return sortedRequirements([...written, inNamespace(scope.namespace)])
}

/** Names a reserved identity; to be none of them says nothing of where one is. */
const isReserved = (r: Requirement): boolean =>
  r.source === 'reserved' && (r.operator === 'In' || r.operator === 'Exists')

const namesNamespace = (r: Requirement): boolean =>
  r.key === podNamespaceKey || r.key === namespaceLabelsKey || r.key.startsWith(`${namespaceLabelsKey}.`)

/** Selectors of endpoints do not select the world or nodes, unless they name a reserved label. */
export function onlyEndpoints(written: readonly Requirement[]): readonly Requirement[] {
  if (written.some(isReserved)) return written
  return sortedRequirements([...written, { source: 'k8s', key: podNamespaceKey, operator: 'Exists', values: [] }])
}

/** `source:key`, or a key that any source may give. The namespace of a pod is only ever Kubernetes' to say. */
export function endpointLabel(key: string): { readonly source: string; readonly key: string } {
  const colon = key.indexOf(':')
  const source = colon > 0 ? key.slice(0, colon) : 'any'
  const bare = colon > 0 ? key.slice(colon + 1) : key
  const trusted = bare === podNamespaceKey || bare.startsWith('io.cilium.k8s.')
  return { source: trusted ? 'k8s' : source, key: bare }
}
