// SPDX-License-Identifier: Apache-2.0

/**
 * Names of the DNS, and which of them a rule means. Texts are normal: lower case, without the root's dot; '' is the root
 * itself.
 */
export type DnsRule = { readonly matchName: string } | { readonly matchPattern: string }

/** A name as it is compared and kept. */
export const normalName = (name: string): string => (name.endsWith('.') ? name.slice(0, -1) : name).toLowerCase()

/** `matchName` or `matchPattern`, as a label `fqdn:<text>` has it. */
export const ruleText = (rule: DnsRule): string => ('matchName' in rule ? rule.matchName : rule.matchPattern)

/** The rule of a `ruleText`. */
export const nameRule = (text: string): DnsRule => (text.includes('*') ? { matchPattern: text } : { matchName: text })

/** Longest text of a rule, as the schema has it. */
const longest = 255
const nameShape = /^[-a-zA-Z0-9_]+(\.[-a-zA-Z0-9_]+)*\.?$/
const patternShape = /^[-a-zA-Z0-9_*]+(\.[-a-zA-Z0-9_*]+)*\.?$/

/** Why a text can not be a `matchName`; undefined when it can. */
export const nameProblem = (text: string): string | undefined => problemOf(text, nameShape, 'a name of the DNS')

/** Why a text can not be a `matchPattern`; undefined when it can. */
export const patternProblem = (text: string): string | undefined =>
  problemOf(text, patternShape, 'a pattern of names: letters, digits, - _ . and *')

function problemOf(text: string, shape: RegExp, wanted: string): string | undefined {
  if (text.length > longest) return `has ${text.length} characters of at most ${longest}`
  return shape.test(text) ? undefined : `'${text}' is not ${wanted}`
}

/**
 * Whether a rule means a normal name. In a pattern `*` stands for any letters, digits, `-` and `_` of one label, none
 * included; a leading `**.` for one or more whole labels; `*` alone for every name. Time is linear in name times
 * pattern: pods choose the names they ask for.
 */
export function matchesName(rule: DnsRule, name: string): boolean {
  if ('matchName' in rule) return rule.matchName === name
  const { all, deep, labels } = readPattern(rule)
  if (all) return true
  const parts = name === '' ? [] : name.split('.')
  const more = parts.length - labels.length
  if (deep ? more < 1 : more !== 0) return false
  for (let i = 0; i < more; i++) if (!labelShape.test(parts[i] as string)) return false
  return labels.every((glob, i) => matchesLabel(glob, parts[more + i] as string))
}

/**
 * The longest end of a rule that is the same in every name it means: where to look for it, given a name and its ends. ''
 * for a pattern that ends in a wildcard.
 */
export function anchorOf(rule: DnsRule): string {
  if ('matchName' in rule) return rule.matchName
  const { labels } = readPattern(rule)
  let fixed = labels.length
  while (fixed > 0 && !(labels[fixed - 1] as string).includes('*')) fixed--
  return labels.slice(fixed).join('.')
}

/** The ends of a name, itself first and '' last: `a.b`, `b`, ''. */
export function endsOf(name: string): readonly string[] {
  const out = [name]
  for (let at = name.indexOf('.'); at >= 0; at = name.indexOf('.', at + 1)) out.push(name.slice(at + 1))
  if (name !== '') out.push('')
  return out
}

/** A regular expression that says the same, for reading only. */
export function ruleRegex(rule: DnsRule): string {
  if ('matchName' in rule) return `^${rule.matchName.replaceAll('.', '[.]')}[.]$`
  const { all, deep, labels } = readPattern(rule)
  if (all) return '.*'
  const ends = labels.map((l) => `${l.replace(/\*+/g, '[-a-zA-Z0-9_]*')}[.]`).join('')
  return `^${deep ? '([-a-zA-Z0-9_]+[.])+' : ''}${ends}$`
}

interface Pattern {
  readonly all: boolean
  /** One or more labels come before. */
  readonly deep: boolean
  readonly labels: readonly string[]
}

const patterns = new WeakMap<DnsRule, Pattern>()

function readPattern(rule: DnsRule & { readonly matchPattern: string }): Pattern {
  const known = patterns.get(rule)
  if (known) return known
  const text = rule.matchPattern
  const deep = text.startsWith('**.')
  const made = { all: text === '*', deep, labels: (deep ? text.slice(3) : text).split('.') }
  patterns.set(rule, made)
  return made
}

const labelShape = /^[-a-z0-9_]+$/

/** Two pointers and the last star: never more than once over the label for each star. */
function matchesLabel(glob: string, label: string): boolean {
  if (!glob.includes('*')) return glob === label
  if (!labelShape.test(label)) return false
  let g = 0
  let star = -1
  let from = 0
  for (let i = 0; i < label.length; ) {
    if (glob[g] === '*') {
      star = g++
      from = i
    } else if (g < glob.length && glob[g] === label[i]) {
      g++
      i++
    } else if (star >= 0) {
      g = star + 1
      i = ++from
    } else return false
  }
  while (glob[g] === '*') g++
  return g === glob.length
}

/** An address that answers of the DNS gave to this node's pods, with the names they had asked for, sorted. */
export interface LearntAddress {
  readonly address: string
  readonly names: readonly string[]
}

export const addressPartCount = 512

/** Addresses (and prefixes) come in parts, so that one more makes only one part anew. FNV-1a. */
export function addressPart(text: string): string {
  let h = 0x811c9dc5
  for (let i = 0; i < text.length; i++) h = Math.imul(h ^ text.charCodeAt(i), 0x01000193)
  return String((h >>> 0) % addressPartCount)
}
