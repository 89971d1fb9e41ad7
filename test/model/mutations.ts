// SPDX-License-Identifier: Apache-2.0

/** Objects as nobody should write them: random damage to good ones. The same numbers, the same damage. */
export type Random = (below: number) => number

/** xorshift32. */
export function randomFrom(seed: number): Random {
  let state = seed | 1
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

const nested = (depth: number): unknown => {
  let value: unknown = 'deep'
  for (let i = 0; i < depth; i++) value = i % 2 === 0 ? [value] : { a: value }
  return value
}

/** Values that no field expects, and some that many do. */
const strange: readonly ((random: Random) => unknown)[] = [
  () => null,
  () => true,
  () => -1,
  () => 0,
  () => 65536,
  () => 1e308,
  () => 2 ** 53 + 2,
  () => 80.5,
  () => '',
  () => ' ',
  () => '0',
  () => '-80',
  () => '80-90',
  () => '1e3',
  () => '١٢',
  () => '٨٠\u202e',
  () => 'ünïcødé/ключ',
  () => '\u0000',
  () => '*',
  () => '**.*',
  () => '(((((a+)+)+)+)+$',
  () => '0.0.0.0/0',
  () => '::/0',
  () => '10.0.0.0/33',
  () => '256.1.1.1/8',
  () => '::ffff:10.0.0.0/8',
  () => 'all',
  () => 'constructor',
  () => '__proto__',
  () => 'reserved:host',
  () => 'k8s:io.kubernetes.pod.namespace',
  () => 'x'.repeat(10_000),
  () => [],
  () => ({}),
  () => [null],
  () => [[]],
  () => ({ '': '' }),
  () => ({ constructor: 'x', toString: 1, hasOwnProperty: [] }),
  () => JSON.parse('{"__proto__":{"all":true}}'),
  (random) => nested(random(500)),
  (random) => Array.from({ length: random(2000) }, () => ({})),
]

/** Of what JSON can say; structuredClone goes less deep. */
const copyOf = (value: unknown): unknown => (value === undefined ? undefined : JSON.parse(JSON.stringify(value)))

interface Place {
  readonly holder: { [name: string]: unknown } | unknown[]
  readonly name: string
}

function placesOf(value: unknown, out: Place[] = [], depth = 0): Place[] {
  if (typeof value !== 'object' || value === null || depth > 20) return out
  for (const name of Object.keys(value)) {
    out.push({ holder: value as Place['holder'], name })
    placesOf((value as { [name: string]: unknown })[name], out, depth + 1)
  }
  return out
}

/** A copy with one to four things wrong, outside kind and name. */
export function mutated<T extends { readonly metadata: object }>(object: T, random: Random): T {
  const copy = copyOf(object) as T & { [name: string]: unknown }
  for (let n = 1 + random(4); n > 0; n--) {
    const places = [
      ...['spec', 'specs'].filter((name) => name in copy).map((name): Place => ({ holder: copy, name })),
      ...placesOf(copy['spec']),
      ...placesOf(copy['specs']),
      ...placesOf((copy.metadata as { annotations?: unknown }).annotations),
    ]
    const at = places[random(places.length)]
    if (!at) break
    damage(at, places, random)
  }
  return copy
}

function damage({ holder, name }: Place, places: readonly Place[], random: Random): void {
  const into = holder as { [name: string]: unknown }
  const set = (key: string, value: unknown) =>
    Object.defineProperty(into, key, { value, enumerable: true, configurable: true, writable: true })
  switch (random(7)) {
    case 0:
      if (Array.isArray(holder)) holder.splice(Number(name), 1)
      else delete into[name]
      return
    case 1: {
      // A value from elsewhere, where it has no business.
      const other = places[random(places.length)]
      if (other) set(name, copyOf((other.holder as { [name: string]: unknown })[other.name]))
      return
    }
    case 2: {
      const value = into[name]
      if (Array.isArray(holder)) holder.push(copyOf(value))
      else set(`${name}${['s', 'Deny', ' ', 'é'][random(4)]}`, value)
      return
    }
    case 3:
      set(name, [into[name]])
      return
    case 4:
      set(name, JSON.stringify(into[name]))
      return
    default:
      set(name, strange[random(strange.length)]?.(random))
  }
}
