// SPDX-License-Identifier: Apache-2.0
import { canonicalAddress, canonicalPrefix } from '../../base/ip.ts'
import { namespaceLabelsKey, podNamespaceKey } from '../../model/labels.ts'
import type { Layer7 } from '../../model/proxy.ts'
import { checkDnsPorts, dnsPorts, parseDns, parseNames } from './dns.ts'
import { entityNames, entityPeers } from './entities.ts'
import { checkHttpPorts, parseHttp } from './http.ts'
import { inNamespace, parseCidr, parseExcept } from './network-policy.ts'
import { parseCiliumPorts, parseIcmps } from './ports.ts'
import { child, elements, type Field, fields, flagOf, isAbsent, problem, textOf, warning } from './read.ts'
import type { Demand, Direction, Peer, PolicySpec, Port, Requirement, Rule } from './rule.ts'
import { parseSelector, sortedRequirements } from './selector.ts'
import { httpWith, parseListener, parseTls } from './tls.ts'

/** Where a spec belongs to: what its selectors mean depends on it. */
export interface CiliumScope {
  readonly policy: string
  /** '' for CiliumClusterwideNetworkPolicy. */
  readonly namespace: string
  readonly clusterName: string
  /** Policies for nodes are enforced. */
  readonly hostFirewall: boolean
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
  parseRemarks(at)
  const endpoints = child(at, 'endpointSelector')
  const nodes = child(at, 'nodeSelector')
  if (isAbsent(endpoints) === isAbsent(nodes))
    problem(at, 'needs exactly one of endpointSelector and nodeSelector', 'endpointSelector: {} selects every pod')
  if (!isAbsent(nodes) && scope.namespace !== '')
    problem(nodes, 'nodeSelector is for CiliumClusterwideNetworkPolicy', 'use that kind')
  const demands: Demand[] = []
  const rules = [
    ...parseRules(scope, child(at, 'ingress'), 'ingress', 'allow', demands),
    ...parseRules(scope, child(at, 'ingressDeny'), 'ingress', 'deny', demands),
    ...parseRules(scope, child(at, 'egress'), 'egress', 'allow', demands),
    ...parseRules(scope, child(at, 'egressDeny'), 'egress', 'deny', demands),
  ]
  const asked = child(at, 'enableDefaultDeny')
  fields(asked, ['ingress', 'egress'])
  const enforce = {
    ingress: flagOf(child(asked, 'ingress')) ?? (has(at, 'ingress') || has(at, 'ingressDeny')),
    egress: flagOf(child(asked, 'egress')) ?? (has(at, 'egress') || has(at, 'egressDeny')),
  }
  if (rules.length === 0 && !enforce.ingress && !enforce.egress && isAbsent(asked))
    warning(at, 'says nothing: it has no rule', 'ingress: [{}] denies everything that comes in')
  const said = { key: `${scope.policy}#${at.path}`, tier: 'normal', priority: 0, enforce, rules, demands } as const
  if (isAbsent(nodes)) return [{ ...said, subject: subjectOf(scope, endpoints) }]
  if (!scope.hostFirewall) warning(nodes, 'not enforced: enable-host-firewall is off', 'set hostFirewall.enabled=true')
  return [{ ...said, rules: rules.map((r) => ofNode(at, r)), subject: parseSelector(nodes, nodeLabel), ofNodes: true }]
}

/** No proxy stands between a node and its packets. */
function ofNode(at: Field, rule: Rule): Rule {
  if (!rule.layer7) return rule
  const where = { ...at, path: rule.path }
  if (rule.layer7.kind === 'http')
    problem(where, 'a policy for nodes has no HTTP rules', 'leave rules out, or select the pods')
  else warning(where, 'what a node asks of DNS is not checked: fails closed', 'allow the port without rules')
  const { layer7, ...rest } = rule
  return { ...rest, action: 'closed' }
}

/** What says nothing about packets: labels, a description, a text for the log. */
function parseRemarks(at: Field): void {
  for (const l of elements(child(at, 'labels'))) {
    fields(l, ['key', 'value', 'source'])
    if (textOf(child(l, 'key')) === '') problem(child(l, 'key'), 'required')
    textOf(child(l, 'value'))
    textOf(child(l, 'source'))
  }
  textOf(child(at, 'description'))
  const log = child(at, 'log')
  fields(log, ['value'])
  if (!/^[ -~]{0,32}$/.test(textOf(child(log, 'value'))))
    problem(child(log, 'value'), 'is not a text of at most 32 printable characters')
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
  ingress: {
    peers: ['fromEndpoints', 'fromEntities', 'fromCIDR', 'fromCIDRSet', 'fromNodes'],
    closed: ['fromGroups'],
  },
  egress: {
    peers: ['toEndpoints', 'toEntities', 'toCIDR', 'toCIDRSet', 'toNodes', 'toServices', 'toFQDNs'],
    closed: ['toGroups'],
  },
}

function parseRules(
  scope: CiliumScope,
  at: Field,
  direction: Direction,
  action: 'allow' | 'deny',
  demands: Demand[],
): readonly Rule[] {
  return elements(at).flatMap((e) => parseRule(scope, e, direction, action, demands))
}

function parseRule(
  scope: CiliumScope,
  at: Field,
  direction: Direction,
  action: 'allow' | 'deny',
  demands: Demand[],
): readonly Rule[] {
  const keys = keysOf[direction]
  const requires = direction === 'ingress' ? 'fromRequires' : 'toRequires'
  fields(at, [...keys.peers, ...keys.closed, requires, 'toPorts', 'icmps', 'authentication'])
  const given = [...keys.peers, ...keys.closed].filter((name) => !isAbsent(child(at, name)))
  const filled = given.filter((name) => has(at, name))
  if (filled.length > 1) problem(at, `${filled[0]} can not go with ${filled[1]}`, 'make it a rule of its own')
  const closed = keys.closed.filter((name) => has(at, name)).map((name) => child(at, name))
  for (const f of closed) warning(f, 'not enforced yet: fails closed')
  if (action === 'deny' && !isAbsent(child(at, 'toFQDNs')))
    problem(child(at, 'toFQDNs'), 'names can not be denied', 'allow those that are meant, or deny prefixes (toCIDR)')
  parseAuthentication(child(at, 'authentication'))
  const demanded = elements(child(at, requires)).flatMap((e) => parseSelector(e, endpointLabel))
  if (demanded.length > 0) {
    demands.push({ direction, action, requirements: demanded })
    warning(child(at, requires), 'Cilium knows this field until 1.18 only', 'write the labels into each selector')
  }
  const peers = parsePeers(scope, at, given)
  // What a denial can not resolve is denied to everybody; what an allowance can not resolve is allowed to nobody.
  const blocked = closed.length > 0
  const narrow = given.some((name) => name.endsWith('Endpoints'))
  // A rule with ports that requires, and names nobody, is about those who meet it.
  const who = has(at, requires) && given.length === 0 ? [anyEndpoint] : peers
  return parsePorts(at, direction, action, given.length > 0, scope.namespace).map(({ path, ports, layer7 }): Rule => {
    const closing = action === 'allow' && (blocked || layer7 === 'closed')
    const asked = closing || layer7 === 'none' || layer7 === 'closed' ? undefined : layer7
    return {
      key: `${scope.policy}#${path}`,
      policy: scope.policy,
      path,
      direction,
      action: closing ? 'closed' : asked ? 'redirect' : action,
      peers: blocked ? 'all' : who,
      ports,
      ...(narrow || who !== peers ? { narrowed: true as const } : {}),
      ...(asked ? { layer7: asked } : {}),
    }
  })
}

const anyEndpoint: Peer = {
  kind: 'labels',
  requirements: [{ source: 'k8s', key: podNamespaceKey, operator: 'Exists', values: [] }],
}

function parseAuthentication(at: Field): void {
  if (isAbsent(at)) return
  fields(at, ['mode'])
  const mode = textOf(child(at, 'mode'))
  if (!['disabled', 'required', 'test-always-fail'].includes(mode))
    problem(child(at, 'mode'), `'${mode}' is not a mode`, 'one of: disabled, required, test-always-fail')
  else if (mode !== 'disabled') warning(at, 'authentication is not enforced; the rule holds without it')
}

interface PortPart {
  readonly path: string
  readonly ports: Rule['ports']
  /** What the ports are asked for beyond themselves; `closed` when that is not enforced yet. */
  readonly layer7: 'none' | 'closed' | Layer7
}

const toPortsFields = ['ports', 'rules', 'terminatingTLS', 'originatingTLS', 'serverNames', 'listener']

/** One part for all plain ports, and one for each toPorts element that asks for more than ports. */
function parsePorts(
  at: Field,
  direction: Direction,
  action: 'allow' | 'deny',
  hasPeers: boolean,
  namespace: string,
): readonly PortPart[] {
  const list = child(at, 'toPorts')
  const icmps = child(at, 'icmps')
  const elementsOfPorts = elements(list)
  if (elementsOfPorts.length > 0 && has(at, 'icmps'))
    problem(icmps, 'icmps can not go with toPorts', 'make it a rule of its own')
  if (elementsOfPorts.length === 0 && !has(at, 'icmps'))
    // One empty rule selects its subject and allows nothing.
    return hasPeers ? [{ path: at.path, ports: 'all', layer7: 'none' }] : []
  const plain: Port[] = [...parseIcmps(icmps)]
  const layer7: PortPart[] = []
  for (const e of elementsOfPorts) {
    fields(e, action === 'allow' ? toPortsFields : ['ports'])
    const ports = parseCiliumPorts(child(e, 'ports'))
    const more = layer7Fields(e)
    const httpAt = child(child(e, 'rules'), 'http')
    const http = has(child(e, 'rules'), 'http') ? parseHttp(httpAt, namespace) : undefined
    const tls = parseTls(e, namespace, http !== undefined)
    if (http || tls) checkHttpPorts(e, ports)
    const dns = has(child(e, 'rules'), 'dns') ? parseDns(child(child(e, 'rules'), 'dns')) : undefined
    if (dns) checkDnsPorts(e, direction, ports)
    if (dns && (has(child(e, 'rules'), 'http') || tls))
      problem(
        child(e, 'rules'),
        'http can not go with dns: one port speaks one protocol',
        'make it an element of its own',
      )
    for (const m of more) warning(m, 'not enforced yet: fails closed')
    parseListener(child(e, 'listener'))
    if (more.length > 0 || !isAbsent(child(e, 'listener'))) layer7.push({ path: e.path, ports, layer7: 'closed' })
    else if (http || tls) layer7.push({ path: e.path, ports, layer7: httpWith(http, tls) })
    else if (dns) layer7.push({ path: e.path, ports: dnsPorts(ports), layer7: { kind: 'dns', dns } })
    else plain.push(...ports)
  }
  return plain.length > 0 || layer7.length === 0 ? [{ path: at.path, ports: plain, layer7: 'none' }, ...layer7] : layer7
}

const layer7Names = ['http', 'kafka', 'dns', 'l7proto', 'l7']

/** What a toPorts element asks for beyond ports, HTTP and DNS. */
function layer7Fields(at: Field): readonly Field[] {
  const rules = child(at, 'rules')
  fields(rules, layer7Names)
  const more = layer7Names
    .filter((name) => name !== 'http' && name !== 'dns')
    .map((name) => child(rules, name))
    .filter((f) => !isAbsent(f))
  return more
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
const nodeLabel = labelsOf('node')
const groupLabel = labelsOf('cidrgroup')
const serviceLabel = labelsOf('k8s')

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
