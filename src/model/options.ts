// SPDX-License-Identifier: Apache-2.0
import { fail, ok, problemText, type Result } from '../base/result.ts'
import { acceptedOptions } from './accepted-options.ts'

/** One option this program acts on. The name is the flag, the key in cilium-config and the file in the directory. */
export type Option = {
  readonly name: string
  readonly help: string
} & (
  | { readonly kind: 'switch'; readonly initial: boolean }
  | { readonly kind: 'number'; readonly initial: number; readonly from: number; readonly to: number }
  | { readonly kind: 'text'; readonly initial: string; readonly shape?: RegExp; readonly wanted?: string }
  | { readonly kind: 'choice'; readonly initial: string; readonly values: readonly string[] }
  | { readonly kind: 'list'; readonly initial: readonly string[]; readonly values?: readonly string[] }
  /** Seconds, written as Go writes durations: 2h13m20s. */
  | { readonly kind: 'duration'; readonly initial: number }
)

export type OptionValue = boolean | number | string | readonly string[]

const YES = new Set(['true', 't', '1', 'enabled', 'strict'])
const NO = new Set(['false', 'f', '0', 'disabled', ''])

/** The value of an option from its text; the problem names the option and what is possible. */
export function parseOption(option: Option, text: string): Result<OptionValue> {
  const wrong = (wanted: string) => fail({ field: option.name, message: `${JSON.stringify(text)} is not ${wanted}` })
  switch (option.kind) {
    case 'switch': {
      const lower = text.toLowerCase()
      return YES.has(lower) ? ok(true) : NO.has(lower) ? ok(false) : wrong('true or false')
    }
    case 'number': {
      const n = text === '' ? option.initial : Number(text)
      const good = Number.isInteger(n) && n >= option.from && n <= option.to
      return good ? ok(n) : wrong(`a whole number from ${option.from} to ${option.to}`)
    }
    case 'text':
      return text === '' || !option.shape || option.shape.test(text) ? ok(text) : wrong(option.wanted ?? 'valid')
    case 'choice':
      return option.values.includes(text) ? ok(text) : wrong(`one of ${option.values.join(', ')}`)
    case 'list': {
      const list = text.split(/[\s,]+/).filter((s) => s !== '')
      const known = option.values
      return !known || list.every((s) => known.includes(s)) ? ok(list) : wrong(`a list of ${known.join(', ')}`)
    }
    case 'duration': {
      const seconds = durationSeconds(text)
      return seconds === undefined ? wrong('a duration such as 2h13m20s') : ok(seconds)
    }
  }
}

const UNITS: { readonly [unit: string]: number } = { h: 3600, m: 60, s: 1, ms: 0.001, us: 1e-6, ns: 1e-9 }

export function durationSeconds(text: string): number | undefined {
  if (text === '0') return 0
  if (!/^([0-9]+(\.[0-9]+)?(h|ms|m|us|ns|s))+$/.test(text)) return undefined
  let seconds = 0
  for (const [, amount, unit] of text.matchAll(/([0-9.]+)(h|ms|m|us|ns|s)/g)) seconds += Number(amount) * UNITS[unit!]!
  return seconds
}

/** The name most like the given one, by the number of single-letter edits; undefined if nothing is near. */
export function nearest(name: string, names: Iterable<string>): string | undefined {
  let best: string | undefined
  let distance = Math.max(2, Math.floor(name.length / 3)) + 1
  for (const candidate of names) {
    const d = edits(name, candidate, distance)
    if (d < distance) {
      distance = d
      best = candidate
    }
  }
  return best
}

function edits(a: string, b: string, limit: number): number {
  if (Math.abs(a.length - b.length) >= limit) return limit
  let row = Array.from({ length: b.length + 1 }, (_, i) => i)
  for (let i = 1; i <= a.length; i++) {
    const next = [i]
    for (let j = 1; j <= b.length; j++)
      next.push(Math.min(row[j]! + 1, next[j - 1]! + 1, row[j - 1]! + (a[i - 1] === b[j - 1] ? 0 : 1)))
    row = next
  }
  return row[b.length]!
}

/** Texts of options by name, and where each came from. */
export interface Given {
  readonly texts: ReadonlyMap<string, string>
  readonly problems: readonly string[]
}

export type OptionValues = { readonly [name: string]: OptionValue }

export interface OptionSources {
  readonly args: readonly string[]
  readonly env: { readonly [name: string]: string | undefined }
  /** Entries of the directory that --config-dir names. */
  readonly directory: (path: string) => Result<readonly (readonly [name: string, text: string])[]>
}

/**
 * Defaults, then the directory, then `CILIUM_*` of the environment, then flags. All problems at once. `refused` are
 * features whose absence would leave something unprotected: set, they are a problem and not just ignored.
 */
export function collectOptions(
  declared: readonly Option[],
  refused: readonly string[],
  { args, env, directory }: OptionSources,
): Result<{ readonly values: OptionValues; readonly ignored: readonly string[] }> {
  const options = new Map(declared.map((o) => [o.name, o]))
  const known = new Set([...acceptedOptions, ...refused])
  const flags = readFlags(args, options, known)
  const problems = [...flags.problems]
  const texts = new Map<string, string>()
  const ignored: string[] = []
  const dir = flags.texts.get('config-dir') ?? env['CILIUM_CONFIG_DIR'] ?? ''
  const entries = dir === '' ? ok([]) : directory(dir)
  if (!entries.ok) problems.push(`--config-dir: ${problemText(entries.error)}`)
  else
    for (const [name, text] of entries.value) {
      if (options.has(name) || known.has(name)) texts.set(name, text)
      else {
        const like = nearest(name, options.keys())
        ignored.push(like ? `${name} (did you mean ${like}?)` : name)
      }
    }
  for (const name of options.keys()) {
    const value = env[`CILIUM_${name.toUpperCase().replaceAll('-', '_')}`]
    if (value !== undefined) texts.set(name, value)
  }
  for (const [name, value] of flags.texts) texts.set(name, value)

  const values: { [name: string]: OptionValue } = {}
  for (const option of declared) {
    const given = texts.get(option.name)
    const value = given === undefined ? ok(option.initial) : parseOption(option, given)
    if (value.ok) values[option.name] = Object.freeze(value.value) as OptionValue
    else problems.push(`--${problemText(value.error)}`)
  }
  for (const name of refused)
    if (YES.has((texts.get(name) ?? '').toLowerCase()))
      problems.push(`--${name}: this version does not have it; unset it to start without`)
  for (const name of flags.texts.keys()) if (!options.has(name)) ignored.push(name)
  if (problems.length > 0) return fail({ field: '', message: problems.join('; ') })
  return ok({ values: Object.freeze(values), ignored })
}

/** One line per option with its default: for `--help`. */
export function optionsHelp(declared: readonly Option[]): string {
  const line = (o: Option): string => {
    const initial = o.kind === 'duration' ? `${o.initial}s` : JSON.stringify(o.initial)
    return `  --${o.name.padEnd(36)} ${o.help} (${o.kind === 'choice' ? `${o.values.join(' | ')}; ` : ''}${initial})`
  }
  return `Options, also as files of --config-dir or as CILIUM_* variables:\n${declared.map(line).join('\n')}\n`
}

/** Splits `--name=value`, `--name value` and `--switch`. What is no known option is a problem that names the nearest. */
export function readFlags(
  args: readonly string[],
  options: ReadonlyMap<string, Option>,
  known: ReadonlySet<string>,
): Given {
  const texts = new Map<string, string>()
  const problems: string[] = []
  for (let i = 0; i < args.length; i++) {
    const match = /^--?([a-zA-Z0-9-]+)(?:=(.*))?$/s.exec(args[i]!)
    if (!match) {
      problems.push(`${JSON.stringify(args[i])} is not an option`)
      continue
    }
    const [, name = '', value] = match
    const option = options.get(name)
    if (!option && !known.has(name)) {
      const like = nearest(name, [...options.keys(), ...known])
      problems.push(`--${name}: no such option${like ? `; did you mean --${like}?` : ''}`)
      continue
    }
    const next = args[i + 1]
    if (value !== undefined) texts.set(name, value)
    else if (option?.kind === 'switch' || next === undefined || next.startsWith('--')) texts.set(name, 'true')
    else {
      texts.set(name, next)
      i++
    }
  }
  return { texts, problems }
}
