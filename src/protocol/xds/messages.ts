// SPDX-License-Identifier: Apache-2.0
import { messages as text } from '../../../gen/envoy/messages.ts'

/** One field of a message. `type` is a letter for scalars, else the full name of a message or an enumeration. */
export interface Field {
  readonly name: string
  readonly number: number
  readonly type: string
  readonly shape: 'one' | 'list' | 'map'
}

export interface Message {
  readonly byName: ReadonlyMap<string, Field>
  readonly byNumber: ReadonlyMap<number, Field>
}

export interface Enumeration {
  readonly byName: ReadonlyMap<string, number>
  readonly byNumber: ReadonlyMap<number, string>
}

const long = (name: string): string =>
  name.startsWith('~') ? `envoy.${name.slice(1)}` : name.startsWith('#') ? `google.protobuf.${name.slice(1)}` : name

let lines: ReadonlyMap<string, string> | undefined
const messages = new Map<string, Message>()
const enumerations = new Map<string, Enumeration | undefined>()

function lineOf(name: string): string | undefined {
  lines ??= new Map(
    text
      .trim()
      .split('\n')
      .map((line) => {
        const end = line.indexOf(' ')
        return end < 0 ? [long(line), ''] : [long(line.slice(0, end)), line.slice(end + 1)]
      }),
  )
  return lines.get(name)
}

/** A message of Envoy's API by its full name; undefined when gen/envoy has none. */
export function messageOf(name: string): Message | undefined {
  const known = messages.get(name)
  if (known) return known
  const line = lineOf(name)
  if (line === undefined || line.includes('=')) return undefined
  const fields = line
    .split(' ')
    .filter((part) => part !== '')
    .map((part): Field => {
      const [field = '', number = '', type = ''] = part.split(',')
      const shape = type.startsWith('[') ? 'list' : type.startsWith('{') ? 'map' : 'one'
      return { name: field, number: Number(number), type: long(shape === 'one' ? type : type.slice(1)), shape }
    })
  const made = {
    byName: new Map(fields.map((f) => [f.name, f])),
    byNumber: new Map(fields.map((f) => [f.number, f])),
  }
  messages.set(name, made)
  return made
}

export function enumerationOf(name: string): Enumeration | undefined {
  if (enumerations.has(name)) return enumerations.get(name)
  const line = lineOf(name)
  if (!line?.includes('=')) {
    enumerations.set(name, undefined)
    return undefined
  }
  const values = line.split(' ').map((part): [string, number] => {
    const [value = '', number = ''] = part.split('=')
    return [value, Number(number)]
  })
  const made = { byName: new Map(values), byNumber: new Map(values.map(([n, v]) => [v, n])) }
  enumerations.set(name, made)
  return made
}
