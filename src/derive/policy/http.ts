// SPDX-License-Identifier: Apache-2.0
import { RE2JS } from 're2js'
import type { HeaderMatch, HttpRule, SecretRef } from '../../model/proxy.ts'
import { child, elements, type Field, fields, isAbsent, problem, textOf } from './read.ts'
import type { Port } from './rule.ts'
import { isPortRange } from './rule.ts'

const mismatches = ['', 'LOG', 'ADD', 'DELETE', 'REPLACE'] as const

/** The rule that asks for nothing. */
export const everyRequest: HttpRule = { method: '', path: '', host: '', headers: [] }

/** `rules.http` of a toPorts element of a policy in `namespace`. */
export const parseHttp = (at: Field, namespace: string): readonly HttpRule[] =>
  elements(at).map((e) => {
    fields(e, ['method', 'path', 'host', 'headers', 'headerMatches'])
    return {
      method: regex(child(e, 'method')),
      path: regex(child(e, 'path')),
      host: regex(child(e, 'host')),
      headers: [
        ...elements(child(e, 'headers')).map(parseHeader),
        ...elements(child(e, 'headerMatches')).map((m) => parseMatch(m, namespace)),
      ],
    }
  })

/** HTTP is spoken over TCP, on ports that are named. */
export function checkHttpPorts(at: Field, ports: readonly Port[]): void {
  const list = child(at, 'ports')
  if (elements(list).length === 0) problem(list, 'required with L7 rules')
  for (const p of ports) {
    if (isPortRange(p) ? p.space !== 'TCP' : p.protocol !== 'TCP') {
      problem(list, 'L7 rules can only apply to TCP, except for DNS rules', 'protocol: TCP')
      return
    }
    if (isPortRange(p) && p.first === 0) {
      problem(list, 'L7 rules can not be used when a port is 0', 'name the ports')
      return
    }
  }
}

function regex(at: Field): string {
  const text = textOf(at, "one regular expression for all of them, as in 'GET|POST', or a rule for each")
  try {
    RE2JS.compile(text)
  } catch (e) {
    problem(at, `'${text}' is not a regular expression: ${e instanceof Error ? e.message : String(e)}`)
  }
  return text
}

const headerName = /^[-!#$%&'*+.^_`|~0-9A-Za-z]+$/

/** `Name: value`, or `Name` for one that must be there. */
function parseHeader(at: Field): HeaderMatch {
  const text = textOf(at)
  const [, name = '', value = ''] = /^([^:\s]*):?\s*(.*)$/.exec(text) ?? []
  if (!headerName.test(name)) problem(at, `'${text}' names no header`, "as in 'X-Token: secret', or 'X-Token'")
  return { name: name.toLowerCase(), value: value.trim(), mismatch: '' }
}

/** The secret that a field names; without a namespace it is that of the policy. */
export function parseSecretRef(at: Field, namespace: string): SecretRef {
  fields(at, ['namespace', 'name'])
  const name = textOf(child(at, 'name'))
  if (name === '') problem(child(at, 'name'), 'required')
  return { namespace: textOf(child(at, 'namespace')) || namespace || 'default', name }
}

function parseMatch(at: Field, namespace: string): HeaderMatch {
  fields(at, ['name', 'value', 'secret', 'mismatch'])
  const nameAt = child(at, 'name')
  const name = textOf(nameAt)
  const mismatch = textOf(child(at, 'mismatch'))
  if (!headerName.test(name)) problem(nameAt, name === '' ? 'required' : `'${name}' is not the name of a header`)
  const known = mismatches.find((m) => m === mismatch)
  if (known === undefined)
    problem(child(at, 'mismatch'), `'${mismatch}' is not an action`, 'one of: LOG, ADD, DELETE, REPLACE')
  const match = { name: name.toLowerCase(), value: textOf(child(at, 'value')), mismatch: known ?? '' }
  const secret = child(at, 'secret')
  return isAbsent(secret) ? match : { ...match, secret: parseSecretRef(secret, namespace) }
}
