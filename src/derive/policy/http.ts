// SPDX-License-Identifier: Apache-2.0
import { RE2JS } from 're2js'
import type { HeaderMatch, HttpRule } from '../../model/proxy.ts'
import { child, elements, type Field, fields, isAbsent, problem, textOf, warning } from './read.ts'
import type { Port } from './rule.ts'
import { isPortRange } from './rule.ts'

const mismatches = ['', 'LOG', 'ADD', 'DELETE', 'REPLACE'] as const

/** `rules.http` of a toPorts element. Undefined when some of it can not be enforced yet: then all of it stays closed. */
export function parseHttp(at: Field): readonly HttpRule[] | undefined {
  let whole = true
  const rules = elements(at).map((e): HttpRule => {
    fields(e, ['method', 'path', 'host', 'headers', 'headerMatches'])
    const headers = elements(child(e, 'headers')).map(parseHeader)
    for (const m of elements(child(e, 'headerMatches'))) {
      const match = parseMatch(m)
      if (match) headers.push(match)
      else whole = false
    }
    return {
      method: regex(child(e, 'method')),
      path: regex(child(e, 'path')),
      host: regex(child(e, 'host')),
      headers,
    }
  })
  return whole ? rules : undefined
}

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
  const text = textOf(at)
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

function parseMatch(at: Field): HeaderMatch | undefined {
  fields(at, ['name', 'value', 'secret', 'mismatch'])
  const nameAt = child(at, 'name')
  const name = textOf(nameAt)
  const mismatch = textOf(child(at, 'mismatch'))
  if (!headerName.test(name)) problem(nameAt, name === '' ? 'required' : `'${name}' is not the name of a header`)
  const known = mismatches.find((m) => m === mismatch)
  if (known === undefined)
    problem(child(at, 'mismatch'), `'${mismatch}' is not an action`, 'one of: LOG, ADD, DELETE, REPLACE')
  if (!isAbsent(child(at, 'secret'))) {
    warning(child(at, 'secret'), 'secrets are not read yet: fails closed', 'give the value')
    return undefined
  }
  return { name: name.toLowerCase(), value: textOf(child(at, 'value')), mismatch: known ?? '' }
}
