// SPDX-License-Identifier: Apache-2.0
import { canonicalAddress, canonicalPrefix, contains, prefix } from '../../base/ip.ts'
import { namespaceLabelsKey, podNamespaceKey } from '../../model/labels.ts'
import { parseKubernetesPorts } from './ports.ts'
import { child, elements, type Field, fields, isAbsent, problem, textOf, warning } from './read.ts'
import { type Direction, directions, type Peer, type PolicySpec, type Requirement, type Rule } from './rule.ts'
import { parseSelector, sortedRequirements } from './selector.ts'

/** A NetworkPolicy of networking.k8s.io/v1, as its specification says. */
export function parseNetworkPolicy(key: string, namespace: string, spec: Field): readonly PolicySpec[] {
  fields(spec, ['podSelector', 'policyTypes', 'ingress', 'egress'])
  if (isAbsent(spec)) problem(spec, 'required')
  const subject = sortedRequirements([inNamespace(namespace), ...parseSelector(child(spec, 'podSelector'), podLabel)])
  const types = policyTypes(spec)
  const rules = directions.flatMap((direction) => {
    const at = child(spec, direction)
    const found = parseRules(key, namespace, at, direction)
    if (found.length > 0 && !types[direction]) warning(at, `without effect: policyTypes does not name ${direction}`)
    return types[direction] ? found : []
  })
  return [{ key: `${key}#spec`, subject, tier: 'normal', priority: 0, enforce: types, rules }]
}

/** Absent: ingress always, egress when there are egress rules. */
function policyTypes(spec: Field): { readonly ingress: boolean; readonly egress: boolean } {
  const at = child(spec, 'policyTypes')
  if (isAbsent(at) || (Array.isArray(at.value) && at.value.length === 0))
    return { ingress: true, egress: elements(child(spec, 'egress')).length > 0 }
  const types = elements(at).map((t) => {
    const type = textOf(t)
    if (type !== 'Ingress' && type !== 'Egress') problem(t, `'${type}' is not a policy type`, 'one of: Ingress, Egress')
    return type
  })
  return { ingress: types.includes('Ingress'), egress: types.includes('Egress') }
}

function parseRules(policy: string, namespace: string, at: Field, direction: Direction): readonly Rule[] {
  const peersName = direction === 'ingress' ? 'from' : 'to'
  return elements(at).map((e) => {
    fields(e, [peersName, 'ports'])
    const from = elements(child(e, peersName))
    const ports = child(e, 'ports')
    return {
      key: `${policy}#${e.path}`,
      policy,
      path: e.path,
      direction,
      action: 'allow',
      peers: from.length === 0 ? 'all' : from.flatMap((p) => parsePeer(namespace, p)),
      ports: elements(ports).length === 0 ? 'all' : parseKubernetesPorts(ports),
    }
  })
}

function parsePeer(namespace: string, at: Field): readonly Peer[] {
  fields(at, ['podSelector', 'namespaceSelector', 'ipBlock'])
  const pods = child(at, 'podSelector')
  const namespaces = child(at, 'namespaceSelector')
  const block = child(at, 'ipBlock')
  if (!isAbsent(block)) {
    if (!isAbsent(pods) || !isAbsent(namespaces))
      problem(at, 'ipBlock can not go with podSelector or namespaceSelector', 'make it an element of its own')
    return parseBlock(block)
  }
  if (isAbsent(pods) && isAbsent(namespaces)) {
    problem(at, 'a peer needs podSelector, namespaceSelector or ipBlock', 'leave the whole list out to mean everybody')
    return []
  }
  if (!isAbsent(namespaces)) return [podsWith(namespaces, pods)]
  const requirements = sortedRequirements([inNamespace(namespace), ...parseSelector(pods, podLabel)])
  return [{ kind: 'labels', requirements }]
}

function parseBlock(at: Field): readonly Peer[] {
  fields(at, ['cidr', 'except'])
  return parseCidr(child(at, 'cidr'), child(at, 'except')).map((p) => ({ ...p, block: true }))
}

/** A prefix and what is taken out of it. */
export function parseCidr(cidrAt: Field, exceptAt: Field): readonly (Peer & { readonly kind: 'cidr' })[] {
  const cidr = prefixOf(cidrAt)
  if (cidr === undefined) return []
  const except = parseExcept(exceptAt)
  for (const { at, inner } of except)
    if (!contains(prefix(cidr), prefix(inner))) problem(at, `${inner} is not inside ${cidr}`)
  return [{ kind: 'cidr', cidr, except: [...new Set(except.map((e) => e.inner))].sort() }]
}

export const parseExcept = (at: Field): readonly { readonly at: Field; readonly inner: string }[] =>
  elements(at).flatMap((e) => {
    const inner = prefixOf(e)
    return inner === undefined ? [] : [{ at: e, inner }]
  })

/** The prefix that a field gives, in the one way to write it. */
export function prefixOf(at: Field): string | undefined {
  const text = textOf(at)
  const cidr = canonicalPrefix(text)
  const [written = '', length = ''] = text.split('/')
  const address = canonicalAddress(written)
  if (cidr !== undefined) {
    if (address !== undefined && address !== cidr.split('/')[0])
      warning(at, `'${text}' means ${cidr}: what comes after /${length} is not looked at`, `write ${cidr}`)
    return cidr
  }
  const longest = address?.includes(':') ? 128 : 32
  const fix =
    address === undefined
      ? 'as in 10.0.0.0/8 or fd00::/8'
      : length === ''
        ? `${address}/${longest} is that address alone`
        : `the length is 0 to ${longest}`
  // Of what is no string it has been said.
  if (isAbsent(at) || typeof at.value === 'string')
    problem(at, text === '' ? 'required' : `'${text}' is not a prefix`, fix)
  return undefined
}

/** Pods by their labels and their namespaces' labels. Only pods have a namespace: 'not in' must not select the world. */
export const podsWith = (namespaces: Field, pods: Field): Peer & { readonly kind: 'labels' } => ({
  kind: 'labels',
  requirements: sortedRequirements([
    { source: 'k8s', key: podNamespaceKey, operator: 'Exists', values: [] },
    ...parseSelector(namespaces, namespaceLabel),
    ...parseSelector(pods, podLabel),
  ]),
})

const podLabel = (key: string) => ({ source: 'k8s', key })
const namespaceLabel = (key: string) => ({ source: 'k8s', key: `${namespaceLabelsKey}.${key}` })

export const inNamespace = (namespace: string): Requirement => ({
  source: 'k8s',
  key: podNamespaceKey,
  operator: 'In',
  values: [namespace],
})
