// SPDX-License-Identifier: Apache-2.0
import { canonicalAddress, canonicalPrefix } from '../../base/ip.ts'
import { namespaceLabelsKey, podNamespaceKey } from '../../model/labels.ts'
import { entityNames, entityPeers } from './entities.ts'
import { inNamespace, parseCidr } from './network-policy.ts'
import { parseCiliumPorts, parseIcmps } from './ports.ts'
import { child, elements, type Field, fields, flagOf, isAbsent, problem, textOf, warning } from './read.ts'
import type { Direction, Peer, PolicySpec, Port, Requirement, Rule } from './rule.ts'
import { parseSelector, sortedRequirements } from './selector.ts'

/** Where a spec belongs to: what its selectors mean depends on it. */
export interface CiliumScope {
  readonly policy: string
  /** '' for CiliumClusterwideNetworkPolicy. */
  readonly namespace: string
  readonly clusterName: string
}

const specFields = [
  'endpointSelector',
  'nodeSelector',
  'ingress',
  'ingressDeny',
  'egress',
  'egressDeny',
  'enableDefaultDeny',
  'labels',
  'description',
  'log',
]

/** `spec` and `specs` of a CiliumNetworkPolicy or CiliumClusterwideNetworkPolicy. */
export function parseCiliumPolicy(scope: CiliumScope, root: Field): readonly PolicySpec[] {
  fields(root, ['apiVersion', 'kind', 'spec', 'specs'])
  const spec = child(root, 'spec')
  const specs = elements(child(root, 'specs'))
  if (isAbsent(spec) && specs.length === 0) problem(spec, 'required', 'give spec or specs')
  return [...(isAbsent(spec) ? [] : [spec]), ...specs].flatMap((s) => parseSpec(scope, s))
}

function parseSpec(scope: CiliumScope, at: Field): readonly PolicySpec[] {
  fields(at, specFields)
  const endpoints = child(at, 'endpointSelector')
  const nodes = child(at, 'nodeSelector')
  if (isAbsent(endpoints) === isAbsent(nodes))
    problem(at, 'needs exactly one of endpointSelector and nodeSelector', 'endpointSelector: {} selects every pod')
  if (!isAbsent(nodes) && scope.namespace !== '')
    problem(nodes, 'nodeSelector is for CiliumClusterwideNetworkPolicy', 'use that kind')
  const rules = [
    ...parseRules(scope, child(at, 'ingress'), 'ingress', 'allow'),
    ...parseRules(scope, child(at, 'ingressDeny'), 'ingress', 'deny'),
    ...parseRules(scope, child(at, 'egress'), 'egress', 'allow'),
    ...parseRules(scope, child(at, 'egressDeny'), 'egress', 'deny'),
  ]
  if (!isAbsent(nodes)) {
    parseSelector(nodes, endpointLabel)
    warning(nodes, 'policies for nodes are not enforced yet')
    return []
  }
  const asked = child(at, 'enableDefaultDeny')
  fields(asked, ['ingress', 'egress'])
  const enforce = {
    ingress: flagOf(child(asked, 'ingress')) ?? (has(at, 'ingress') || has(at, 'ingressDeny')),
    egress: flagOf(child(asked, 'egress')) ?? (has(at, 'egress') || has(at, 'egressDeny')),
  }
  if (rules.length === 0 && !enforce.ingress && !enforce.egress && isAbsent(asked))
    warning(at, 'says nothing: it has no rule', 'ingress: [{}] denies everything that comes in')
  return [{ key: `${scope.policy}#${at.path}`, subject: subjectOf(scope, endpoints), enforce, rules }]
}

/** An empty list says nothing of its direction; one empty rule does. */
const has = (at: Field, name: string): boolean => {
  const list = child(at, name).value
  return Array.isArray(list) && list.length > 0
}

/** The subject of a namespaced policy never leaves the namespace, whatever its selector says. */
function subjectOf(scope: CiliumScope, at: Field): readonly Requirement[] {
  const written = parseSelector(at, endpointLabel)
  if (scope.namespace === '') return onlyEndpoints(written)
  for (const r of written)
    if (r.key === podNamespaceKey && r.operator === 'In' && !r.values.includes(scope.namespace))
      warning(at, `selects nobody: the policy lives in namespace ${scope.namespace}`, 'move it, or leave the label out')
  return sortedRequirements([...written, inNamespace(scope.namespace)])
}

const keysOf: {
  readonly [Of in Direction]: { readonly peers: readonly string[]; readonly closed: readonly string[] }
} = {
  ingress: { peers: ['fromEndpoints', 'fromEntities', 'fromCIDR', 'fromCIDRSet'], closed: ['fromGroups', 'fromNodes'] },
  egress: {
    peers: ['toEndpoints', 'toEntities', 'toCIDR', 'toCIDRSet'],
    closed: ['toGroups', 'toNodes', 'toServices', 'toFQDNs'],
  },
}

function parseRules(scope: CiliumScope, at: Field, direction: Direction, action: 'allow' | 'deny'): readonly Rule[] {
  return elements(at).flatMap((e) => parseRule(scope, e, direction, action))
}

function parseRule(scope: CiliumScope, at: Field, direction: Direction, action: 'allow' | 'deny'): readonly Rule[] {
  const keys = keysOf[direction]
  const requires = direction === 'ingress' ? 'fromRequires' : 'toRequires'
  fields(at, [...keys.peers, ...keys.closed, requires, 'toPorts', 'icmps', 'authentication'])
  const given = [...keys.peers, ...keys.closed].filter((name) => !isAbsent(child(at, name)))
  const filled = given.filter((name) => has(at, name))
  if (filled.length > 1) problem(at, `${filled[0]} can not go with ${filled[1]}`, 'make it a rule of its own')
  const cidrSets = direction === 'ingress' ? 'fromCIDRSet' : 'toCIDRSet'
  const closed = [
    ...[...keys.closed, requires].filter((name) => has(at, name)).map((name) => child(at, name)),
    ...elements(child(at, cidrSets))
      .flatMap((e) => [child(e, 'cidrGroupRef'), child(e, 'cidrGroupSelector')])
      .filter((f) => !isAbsent(f)),
  ]
  for (const f of closed) warning(f, 'not enforced yet: fails closed')
  if (!isAbsent(child(at, 'authentication')))
    warning(child(at, 'authentication'), 'authentication is not enforced; the rule holds without it')
  const peers = parsePeers(scope, at, given)
  const rule = (path: string, as: Rule['action'], who: Rule['peers'], ports: Rule['ports']): Rule => ({
    key: `${scope.policy}#${path}`,
    policy: scope.policy,
    path,
    direction,
    action: as,
    peers: who,
    ports,
  })
  const blocked = closed.length > 0
  // What a denial can not resolve is denied to everybody; what an allowance can not resolve is allowed to nobody.
  const who = blocked && action === 'deny' ? 'all' : peers
  const as = blocked && action === 'allow' ? 'closed' : action
  return parsePorts(at, action, given.length > 0 || closed.length > 0).map((part) =>
    rule(
      part.path,
      part.layer7 && action === 'allow' ? 'closed' : as,
      blocked && action === 'allow' ? 'all' : who,
      part.ports,
    ),
  )
}

interface PortPart {
  readonly path: string
  readonly ports: Rule['ports']
  readonly layer7: boolean
}

const toPortsFields = ['ports', 'rules', 'terminatingTLS', 'originatingTLS', 'serverNames', 'listener']

/** One part for all plain ports, and one for each toPorts element that asks for more than ports. */
function parsePorts(at: Field, action: 'allow' | 'deny', hasPeers: boolean): readonly PortPart[] {
  const list = child(at, 'toPorts')
  const icmps = child(at, 'icmps')
  const elementsOfPorts = elements(list)
  if (elementsOfPorts.length > 0 && has(at, 'icmps'))
    problem(icmps, 'icmps can not go with toPorts', 'make it a rule of its own')
  if (elementsOfPorts.length === 0 && !has(at, 'icmps'))
    // One empty rule selects its subject and allows nothing.
    return hasPeers ? [{ path: at.path, ports: 'all', layer7: false }] : []
  const plain: Port[] = [...parseIcmps(icmps)]
  const layer7: PortPart[] = []
  for (const e of elementsOfPorts) {
    fields(e, action === 'allow' ? toPortsFields : ['ports'])
    const ports = parseCiliumPorts(child(e, 'ports'))
    const more = layer7Fields(e)
    if (more.length === 0) plain.push(...ports)
    else {
      for (const m of more) warning(m, 'not enforced yet: fails closed')
      layer7.push({ path: e.path, ports, layer7: true })
    }
  }
  return plain.length > 0 || layer7.length === 0 ? [{ path: at.path, ports: plain, layer7: false }, ...layer7] : layer7
}

const layer7Names = ['http', 'kafka', 'dns', 'l7proto', 'l7']

function layer7Fields(at: Field): readonly Field[] {
  const rules = child(at, 'rules')
  fields(rules, layer7Names)
  const more = layer7Names.map((name) => child(rules, name)).filter((f) => !isAbsent(f))
  for (const h of elements(child(rules, 'http'))) fields(h, ['method', 'path', 'host', 'headers', 'headerMatches'])
  for (const d of elements(child(rules, 'dns'))) fields(d, ['matchName', 'matchPattern'])
  const others = ['terminatingTLS', 'originatingTLS', 'serverNames', 'listener'].map((name) => child(at, name))
  return [...more, ...others.filter((f) => !isAbsent(f))]
}

/** No peer field at all is everybody; a field with an empty list is nobody. */
function parsePeers(scope: CiliumScope, at: Field, given: readonly string[]): 'all' | readonly Peer[] {
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
      else if (name.endsWith('CIDRSet')) {
        fields(e, ['cidr', 'except', 'cidrGroupRef', 'cidrGroupSelector'])
        if (isAbsent(child(e, 'cidrGroupRef')) && isAbsent(child(e, 'cidrGroupSelector')))
          out.push(...parseCidr(child(e, 'cidr'), child(e, 'except')))
      }
    }
  }
  return all ? 'all' : out
}

function bareCidr(at: Field): readonly Peer[] {
  const text = textOf(at)
  const alone = canonicalAddress(text)
  const cidr = alone === undefined ? canonicalPrefix(text) : `${alone}/${alone.includes(':') ? 128 : 32}`
  if (cidr !== undefined) return [{ kind: 'cidr', cidr, except: [] }]
  problem(at, `'${text}' is neither an address nor a prefix`, 'as in 10.0.0.0/8, 192.0.2.1 or fd00::/8')
  return []
}

/** A peer selector of a namespaced policy stays in its namespace unless it names one, by name or by its labels. */
function peerSelector(scope: CiliumScope, at: Field): readonly Requirement[] {
  const written = parseSelector(at, endpointLabel)
  if (scope.namespace === '' || written.some(namesNamespace)) return onlyEndpoints(written)
  if (written.some((r) => r.source === 'reserved')) return written
  return sortedRequirements([...written, inNamespace(scope.namespace)])
}

const namesNamespace = (r: Requirement): boolean =>
  r.key === podNamespaceKey || r.key === namespaceLabelsKey || r.key.startsWith(`${namespaceLabelsKey}.`)

/** Selectors of endpoints do not select the world or nodes, unless they name a reserved label. */
function onlyEndpoints(written: readonly Requirement[]): readonly Requirement[] {
  if (written.some((r) => r.source === 'reserved')) return written
  return sortedRequirements([...written, { source: 'k8s', key: podNamespaceKey, operator: 'Exists', values: [] }])
}

/** `source:key`, or a key that any source may give. The namespace of a pod is only ever Kubernetes' to say. */
function endpointLabel(key: string): { readonly source: string; readonly key: string } {
  const colon = key.indexOf(':')
  const source = colon > 0 ? key.slice(0, colon) : 'any'
  const bare = colon > 0 ? key.slice(colon + 1) : key
  const trusted = bare === podNamespaceKey || bare.startsWith('io.cilium.k8s.')
  return { source: trusted ? 'k8s' : source, key: bare }
}
