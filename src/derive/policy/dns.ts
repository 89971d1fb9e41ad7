// SPDX-License-Identifier: Apache-2.0
import { type DnsRule, nameProblem, normalName, patternProblem, ruleText } from '../../model/names.ts'
import { child, elements, type Field, fields, isAbsent, problem, textOf } from './read.ts'
import type { Direction, Peer, Port } from './rule.ts'
import { isPortRange } from './rule.ts'

/** `rules.dns` of a toPorts element: names that may be asked for. */
export const parseDns = (at: Field): readonly DnsRule[] => elements(at).flatMap((e) => parseDnsRule(e) ?? [])

/** An element of `toFQDNs`: addresses that were learnt under the name carry the label `fqdn:<name>`. */
export function parseNames(at: Field): readonly Peer[] {
  const rule = parseDnsRule(at)
  return rule ? [{ kind: 'labels', requirements: [nameRequirement(rule)] }] : []
}

export const nameRequirement = (rule: DnsRule) =>
  ({ source: 'fqdn', key: ruleText(rule), operator: 'Exists', values: [] }) as const

function parseDnsRule(at: Field): DnsRule | undefined {
  fields(at, ['matchName', 'matchPattern'])
  const name = child(at, 'matchName')
  const pattern = child(at, 'matchPattern')
  if (isAbsent(name) === isAbsent(pattern)) {
    problem(
      at,
      'needs exactly one of matchName and matchPattern',
      "as in matchName: www.cilium.io, or matchPattern: '*.cilium.io'",
    )
    return undefined
  }
  const field = isAbsent(name) ? pattern : name
  const text = textOf(field).trim()
  const wrong = isAbsent(name) ? patternProblem(text) : nameProblem(text)
  if (wrong !== undefined) {
    const bare = text.replace(/^\w+:\/\//, '').replace(/[:/].*$/, '')
    const fix = bare === text || bare === '' ? undefined : `a name alone: '${bare}'`
    problem(field, wrong, !isAbsent(name) && text.includes('*') ? 'use matchPattern' : fix)
    return undefined
  }
  return isAbsent(name) ? { matchPattern: normalName(text) } : { matchName: normalName(text) }
}

/** DNS is asked by pods, over UDP and TCP, at ports that are named one by one. */
export function checkDnsPorts(at: Field, direction: Direction, ports: readonly Port[]): void {
  const list = child(at, 'ports')
  const dns = child(child(at, 'rules'), 'dns')
  if (direction === 'ingress') problem(dns, 'DNS rules are for egress: who asks is who is asked for')
  if (elements(list).length === 0) problem(list, 'required with L7 rules', "port: '53'")
  for (const p of elements(list)) {
    if (textOf(child(p, 'protocol')).toUpperCase() === 'SCTP')
      problem(child(p, 'protocol'), 'DNS is not spoken over SCTP', 'protocol: ANY')
    const last = child(p, 'endPort').value
    if (typeof last === 'number' && last !== 0 && String(last) !== textOf(child(p, 'port')))
      problem(child(p, 'endPort'), 'DNS rules can not apply to ranges of ports', 'name each port')
  }
  if (ports.some((p) => isPortRange(p) && p.first === 0))
    problem(list, 'L7 rules can not be used when a port is 0', 'name the ports')
}

/** `protocol: ANY` means those that DNS is spoken over. */
export const dnsPorts = (ports: readonly Port[]): readonly Port[] =>
  ports.filter((p) => !isPortRange(p) || p.space !== 'SCTP')
