// SPDX-License-Identifier: Apache-2.0
import type { Problem } from '../../base/result.ts'

/** A value somewhere in an object, with the path to it and where findings about it go. */
export interface Field {
  readonly value: unknown
  readonly path: string
  readonly findings: Findings
}

export interface Findings {
  /** The object is not valid. */
  readonly problems: Problem[]
  /** It is valid, and probably not what was meant, or not enforced yet. */
  readonly warnings: Problem[]
}

export const field = (value: unknown, path: string, findings: Findings): Field => ({ value, path, findings })

const finding = (at: Field, message: string, fix: string | undefined): Problem =>
  fix === undefined ? { field: at.path, message } : { field: at.path, message, fix }

export function problem(at: Field, message: string, fix?: string): void {
  at.findings.problems.push(finding(at, message, fix))
}

export function warning(at: Field, message: string, fix?: string): void {
  at.findings.warnings.push(finding(at, message, fix))
}

export const isObject = ({ value }: Field): boolean =>
  typeof value === 'object' && value !== null && !Array.isArray(value)

export const isAbsent = (at: Field): boolean => at.value === undefined || at.value === null

/** What another kind of policy calls the same. */
const otherName: { readonly [name: string]: string } = {
  podSelector: 'endpointSelector',
  endpointSelector: 'podSelector',
  from: 'fromEndpoints',
  fromEndpoints: 'from',
  to: 'toEndpoints',
  toEndpoints: 'to',
  ports: 'toPorts',
  toPorts: 'ports',
}

/** A field in a place where it says nothing: where it says something. */
function elsewhere(at: Field, name: string, known: readonly string[]): string | undefined {
  const ofIngress = /(^|\.)ingress(Deny)?\[\d+\]$/.test(at.path)
  const ofEgress = /(^|\.)egress(Deny)?\[\d+\]$/.test(at.path)
  const turned = name.replace(/^(to|from)/, (side) => (side === 'to' ? 'from' : 'to'))
  if (ofIngress && /^to(FQDNs|Services)$/.test(name)) return `${name} is for egress: who comes in is not known by it`
  if (ofIngress && name === 'fromServices') return 'services are known of those who are called: toServices, of egress'
  if (ofIngress && name === 'fromFQDNs') return 'names are known of those who are called: toFQDNs, of egress'
  if ((ofIngress && /^to[A-Z]/.test(name)) || (ofEgress && /^from[A-Z]/.test(name)))
    return `'${name}' is for ${ofIngress ? 'egress' : 'ingress'}; did you mean '${turned}'?`
  if (/[Dd]eny\[\d+\]\.toPorts\[\d+\]$/.test(at.path) && name !== 'port')
    return 'a denial has ports and asks no more; what may be asked is said where it is allowed'
  if (/(^|\.)(in|e)gress\[\d+\]$/.test(at.path) && /^(toP|p)orts$/.test(name) && known.includes('protocols'))
    return "did you mean 'protocols', as in [{ tcp: { destinationPort: { number: 80 } } }]?"
  // Written too far to the right: it belongs to an object around this one.
  if (/^(ingress|egress)(Deny)?$|^enableDefaultDeny$|^policyTypes$/.test(name) && /^specs?(\[\d+\])?\../.test(at.path))
    return `'${name}' belongs to spec: it is written too far to the right`
  if (/^(toPorts|icmps|ports)$/.test(name) && /(Endpoints|Nodes|from|to)\[\d+\]/.test(at.path))
    return `'${name}' belongs beside '${/(\w+)\[\d+\][^[]*$/.exec(at.path)?.[1]}': it is written too far to the right`
  return undefined
}

/** A list with something in it. */
export const isFilled = (at: Field, name: string): boolean => {
  const list = child(at, name).value
  return Array.isArray(list) && list.length > 0
}

/** The fields of an object. Those not in `known` are a problem each; all is known without it. */
export function fields(at: Field, known?: readonly string[]): { readonly [name: string]: unknown } {
  if (isAbsent(at)) return {}
  if (typeof at.value !== 'object' || Array.isArray(at.value)) {
    const first = known?.[0]
    const named = typeof at.value === 'string' && first && first !== 'matchLabels'
    const fix = Array.isArray(at.value)
      ? "without '- ' before it"
      : named
        ? `as in ${first}: ${JSON.stringify(at.value)}`
        : undefined
    problem(at, `must be an object, not ${typeOf(at.value)}`, /matchLabels$/.test(at.path) ? 'as in app: web' : fix)
    return {}
  }
  const found = at.value as { readonly [name: string]: unknown }
  if (known)
    for (const name of Object.keys(found))
      if (known.includes(name)) {
        // As API servers take it: what was meant to stand below it stands elsewhere, or nowhere.
        if (found[name] === null)
          warning(
            child(at, name),
            'has no value, and means what leaving it out means',
            'take the line out, or write it',
          )
      } else {
        const near = nearName(name, known) ?? known.find((k) => k === otherName[name])
        const fix = elsewhere(at, name, known) ?? (near ? `did you mean '${near}'?` : `one of: ${known.join(', ')}`)
        problem(child(at, name), 'unknown field', fix)
      }
  return found
}

export const child = (at: Field, name: string): Field =>
  field(
    typeof at.value === 'object' && at.value !== null ? (at.value as { [name: string]: unknown })[name] : undefined,
    at.path === '' ? name : `${at.path}.${name}`,
    at.findings,
  )

/** The elements of a list; an absent one has none. */
export function elements(at: Field): readonly Field[] {
  if (isAbsent(at)) return []
  if (!Array.isArray(at.value)) {
    problem(at, `must be a list, not ${typeOf(at.value)}`, "one element a line, each after '- '")
    return []
  }
  return at.value.map((value, i) => field(value, `${at.path}[${i}]`, at.findings))
}

/** `fix` is for a value of another kind than a number or a flag, which want quotes. */
export function textOf(at: Field, fix?: string): string {
  if (typeof at.value === 'string') return at.value
  const quoted =
    typeof at.value === 'number'
      ? `in quotes: "${at.value}"`
      : typeof at.value === 'boolean'
        ? 'in quotes, as are all words that YAML takes for true or false'
        : fix
  if (!isAbsent(at)) problem(at, `must be a string, not ${typeOf(at.value)}`, quoted)
  return ''
}

export function flagOf(at: Field): boolean | undefined {
  if (typeof at.value === 'boolean') return at.value
  if (!isAbsent(at)) problem(at, `must be true or false, not ${typeOf(at.value)}`)
  return undefined
}

export function wholeNumberOf(at: Field, first: number, last: number): number | undefined {
  if (isAbsent(at)) return undefined
  if (typeof at.value === 'number' && Number.isInteger(at.value) && at.value >= first && at.value <= last)
    return at.value
  problem(at, `must be a whole number from ${first} to ${last}, not ${JSON.stringify(at.value)}`)
  return undefined
}

const typeOf = (v: unknown): string =>
  v === null ? 'null' : Array.isArray(v) ? 'a list' : typeof v === 'object' ? 'an object' : `a ${typeof v}`

/** Which of the names was probably meant. */
export const nearName = (name: string, known: readonly string[]): string | undefined =>
  known.find((k) => isNear(k, name))

/** Same letters but for case, or one letter more, less or other, or two swapped. */
function isNear(a: string, b: string): boolean {
  const x = a.toLowerCase()
  const y = b.toLowerCase()
  if (x === y || `${x}s` === y || x === `${y}s`) return true
  if (Math.abs(x.length - y.length) > 1) return false
  let i = 0
  while (i < x.length && x[i] === y[i]) i++
  const restX = x.slice(i + 1)
  const restY = y.slice(i + 1)
  return restX === restY || x.slice(i) === restY || restX === y.slice(i) || x.slice(i + 2) === y.slice(i + 2)
}
