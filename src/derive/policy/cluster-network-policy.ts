// SPDX-License-Identifier: Apache-2.0
import { nameProblem, normalName } from '../../model/names.ts'
import { nameRequirement } from './dns.ts'
import { podsWith, prefixOf } from './network-policy.ts'
import { isPortName } from './ports.ts'
import {
  child,
  elements,
  type Field,
  fields,
  isAbsent,
  isObject,
  nearName,
  problem,
  textOf,
  warning,
  wholeNumberOf,
} from './read.ts'
import {
  type Direction,
  directions,
  type Peer,
  type PolicySpec,
  type Port,
  type Requirement,
  type Rule,
} from './rule.ts'
import { parseSelector } from './selector.ts'

const tierNames = { Admin: 'admin', Baseline: 'baseline' } as const
const actions = { Accept: 'allow', Deny: 'deny', Pass: 'pass' } as const
const atMost = 25

/** A ClusterNetworkPolicy of policy.networking.k8s.io/v1alpha2, as its specification says. */
export function parseClusterNetworkPolicy(key: string, spec: Field): readonly PolicySpec[] {
  fields(spec, ['tier', 'priority', 'subject', 'ingress', 'egress'])
  if (isAbsent(spec)) problem(spec, 'required')
  const tier = oneOf(child(spec, 'tier'), tierNames)
  const priorityAt = child(spec, 'priority')
  if (isAbsent(priorityAt)) problem(priorityAt, 'required', '0 to 1000; lower decides first')
  const priority = wholeNumberOf(priorityAt, 0, 1000) ?? 0
  const subject = parseSubject(child(spec, 'subject'))
  const rules = directions.flatMap((direction) => {
    const list = elements(child(spec, direction))
    if (list.length > atMost) problem(child(spec, direction), `at most ${atMost} rules, not ${list.length}`)
    return list.flatMap((e) => parseRule(key, e, direction))
  })
  if (rules.length === 0) warning(spec, 'says nothing: it has no rule')
  const enforce = { ingress: false, egress: false }
  return [{ key: `${key}#spec`, subject, tier: tier ?? 'admin', priority, enforce, rules }]
}

function oneOf<Value>(at: Field, values: { readonly [name: string]: Value }): Value | undefined {
  const written = textOf(at)
  const found = Object.hasOwn(values, written) ? values[written] : undefined
  if (found === undefined)
    problem(
      at,
      written === '' ? 'required' : `'${written}' is not possible`,
      `one of: ${Object.keys(values).join(', ')}`,
    )
  return found
}

/** The one field that must be there. Undefined, and a problem, when there is another number of them. */
function onlyField(at: Field, names: readonly string[]): string | undefined {
  fields(at, names)
  const given = names.filter((name) => !isAbsent(child(at, name)))
  if (given.length === 1) return given[0]
  problem(at, `needs exactly one of ${names.join(', ')}`)
  return undefined
}

function parseSubject(at: Field): readonly Requirement[] {
  const peers = podPeer(at, onlyField(at, ['namespaces', 'pods']))
  return peers?.requirements ?? []
}

function podPeer(at: Field, name: string | undefined): (Peer & { readonly kind: 'labels' }) | undefined {
  if (name === 'namespaces') return podsWith(child(at, 'namespaces'), child(at, 'absent'))
  if (name !== 'pods') return undefined
  const pods = child(at, 'pods')
  fields(pods, ['namespaceSelector', 'podSelector'])
  if (isAbsent(child(pods, 'podSelector'))) problem(child(pods, 'podSelector'), 'required', '{} is every pod')
  return podsWith(child(pods, 'namespaceSelector'), child(pods, 'podSelector'))
}

function parseRule(policy: string, at: Field, direction: Direction): readonly Rule[] {
  const side = direction === 'ingress' ? 'from' : 'to'
  fields(at, ['name', 'action', side, 'protocols'])
  if (textOf(child(at, 'name')).length > 100) problem(child(at, 'name'), 'at most 100 characters')
  const action = oneOf(child(at, 'action'), actions) ?? 'deny'
  const list = elements(child(at, side))
  if (list.length === 0 || list.length > atMost) problem(child(at, side), `needs 1 to ${atMost} peers`)
  const ports = parseProtocols(child(at, 'protocols'))
  const found = list.map((e) => parsePeer(e, direction, action))
  const onlyPods = list.every((e) => ['namespaces', 'pods'].some((name) => !isAbsent(child(e, name))))
  if (!onlyPods && ports !== 'all' && ports.some((p) => 'name' in p))
    problem(
      child(at, 'protocols'),
      'only pods give names to ports',
      'destinationNamedPort goes with namespaces and pods',
    )
  const said = { key: `${policy}#${at.path}`, policy, path: at.path, direction }
  // A peer of a newer version of the kind matches nothing in an Accept, and makes a denial of everything of the others.
  if (found.includes('unknown') && action !== 'allow') return [{ ...said, action: 'deny', peers: 'all', ports: 'all' }]
  return [{ ...said, action, peers: found.flatMap((peers) => (peers === 'unknown' ? [] : peers)), ports }]
}

const ofEgress: readonly string[] = ['nodes', 'networks', 'domainNames']

function parsePeer(at: Field, direction: Direction, action: Rule['action']): readonly Peer[] | 'unknown' {
  const names = ['namespaces', 'pods', ...(direction === 'egress' ? ofEgress : [])]
  const closed = action === 'allow' ? 'matches nothing' : 'everything is denied'
  const written = isObject(at) ? Object.keys(at.value as object) : names
  if (written.every((name) => nearName(name, names) === undefined)) {
    const egress = written.find((name) => ofEgress.includes(name))
    const fix = egress ? `${egress} is for egress` : `one of: ${names.join(', ')}`
    warning(at, `not a peer that is known here: ${closed}`, fix)
    return 'unknown'
  }
  const name = onlyField(at, names)
  const pods = podPeer(at, name)
  if (pods) return [pods]
  if (name === 'nodes') {
    const requirements = parseSelector(child(at, 'nodes'), (key) => ({ source: 'node', key }))
    return [{ kind: 'nodes', requirements, gated: false }]
  }
  if (name === undefined) return []
  const list = elements(child(at, name))
  if (list.length === 0 || list.length > atMost) problem(child(at, name), `needs 1 to ${atMost} elements`)
  if (name === 'networks')
    return list.flatMap((e) => {
      const cidr = prefixOf(e)
      return cidr === undefined ? [] : [{ kind: 'cidr', cidr, except: [], block: true } as const]
    })
  if (action !== 'allow') problem(child(at, name), 'domainNames is for Accept only', 'deny networks after it')
  return list.flatMap((e) => parseDomainName(e) ?? [])
}

const domainName = /^(\*\.)?([a-zA-Z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.)+[a-zA-Z0-9]([-a-zA-Z0-9_]*[a-zA-Z0-9])?\.?$/

/** As `toFQDNs` has it; here `*.` stands for one or more labels. */
function parseDomainName(at: Field): Peer | undefined {
  const text = textOf(at)
  if (!domainName.test(text) || nameProblem(text.replace(/^\*\./, '')) !== undefined) {
    problem(at, `'${text}' is not a domain name`, "as in 'a.example' or '*.example'")
    return undefined
  }
  const name = normalName(text)
  const rule = name.startsWith('*.') ? { matchPattern: `*${name}` } : { matchName: name }
  return { kind: 'labels', requirements: [nameRequirement(rule)] }
}

function parseProtocols(at: Field): 'all' | readonly Port[] {
  if (isAbsent(at)) return 'all'
  const list = elements(at)
  if (list.length === 0 || list.length > atMost) problem(at, `needs 1 to ${atMost} protocols`)
  return list.flatMap((e): readonly Port[] => {
    const name = onlyField(e, ['tcp', 'udp', 'sctp', 'destinationNamedPort'])
    if (name === undefined) return []
    if (name !== 'destinationNamedPort') return parsePort(child(e, name), name.toUpperCase() as 'TCP' | 'UDP' | 'SCTP')
    const port = textOf(child(e, name))
    if (!isPortName(port)) problem(child(e, name), `'${port}' is not the name of a port`)
    return [{ name: port, protocol: 'ANY' }]
  })
}

function parsePort(at: Field, space: 'TCP' | 'UDP' | 'SCTP'): readonly Port[] {
  fields(at, ['destinationPort'])
  const port = child(at, 'destinationPort')
  if (isAbsent(port)) {
    problem(port, 'required', 'leave protocols out to mean all of them')
    return []
  }
  const name = onlyField(port, ['number', 'range'])
  if (name === 'number') {
    const number = wholeNumberOf(child(port, 'number'), 1, 65535)
    return number === undefined ? [] : [{ space, first: number, last: number }]
  }
  if (name === undefined) return []
  const range = child(port, 'range')
  fields(range, ['start', 'end'])
  const first = wholeNumberOf(child(range, 'start'), 1, 65535)
  const last = wholeNumberOf(child(range, 'end'), 1, 65535)
  if (first === undefined || last === undefined || first >= last) {
    problem(range, 'start must be less than end')
    return []
  }
  return [{ space, first, last }]
}
