// SPDX-License-Identifier: Apache-2.0
import { podNamespaceKey } from '../../model/labels.ts'
import { type CiliumScope, endpointLabel, nodeLabel, onlyEndpoints, parsePeers } from './cilium-peers.ts'
import { parsePorts } from './cilium-ports.ts'
import { inNamespace } from './network-policy.ts'
import { child, elements, type Field, fields, flagOf, isAbsent, isFilled, problem, textOf, warning } from './read.ts'
import type { Demand, Direction, Peer, PolicySpec, Requirement, Rule } from './rule.ts'
import { parseSelector, sortedRequirements } from './selector.ts'

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
    ingress: flagOf(child(asked, 'ingress')) ?? (isFilled(at, 'ingress') || isFilled(at, 'ingressDeny')),
    egress: flagOf(child(asked, 'egress')) ?? (isFilled(at, 'egress') || isFilled(at, 'egressDeny')),
  }
  const understood = at.findings.problems.length === 0
  if (rules.length === 0 && !enforce.ingress && !enforce.egress && isAbsent(asked) && understood)
    warning(at, 'says nothing: it has no rule', 'ingress: [{}] denies everything that comes in')
  const said = { key: `${scope.policy}#${at.path}`, tier: 'normal', priority: 0, enforce, rules, demands } as const
  if (isAbsent(nodes)) return [{ ...said, subject: subjectOf(scope, endpoints) }]
  if (!scope.hostFirewall)
    warning(nodes, 'means nothing unless enable-host-firewall is true', 'hostFirewall.enabled=true of the chart')
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
  const filled = given.filter((name) => isFilled(at, name))
  if (filled.length > 1) problem(at, `${filled[0]} can not go with ${filled[1]}`, 'make it a rule of its own')
  const closed = keys.closed.filter((name) => isFilled(at, name)).map((name) => child(at, name))
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
  const who = isFilled(at, requires) && given.length === 0 ? [anyEndpoint] : peers
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
