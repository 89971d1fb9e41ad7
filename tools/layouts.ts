// SPDX-License-Identifier: Apache-2.0
/** Writes gen/contract.ts: layouts of the contract's structs, enums and maps, read from the BTF of a compiled object. */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Member, parseBtf, resolve, sizeOf, type Type, type Types } from '../src/protocol/btf/btf.ts'
import { elfSection } from '../src/protocol/btf/elf.ts'

const root = join(import.meta.dirname, '..')
export const contractObject = join(root, 'build/bpf/contract.o')
export const contractFile = join(root, 'gen/contract.ts')

type Aggregate = Extract<Type, { kind: 'struct' | 'union' }>
type Struct = Aggregate & { kind: 'struct' }

/** The text of gen/contract.ts for an object's bytes. Throws on what the contract must not have: bit fields, holes in keys. */
export function layouts(object: Uint8Array): string {
  const section = elfSection(object, '.BTF')
  if (!section) throw new Error('the object has no .BTF section: compile it with -g')
  const types = parseBtf(section)
  const structs = types.filter((type): type is Struct => type.kind === 'struct' && type.name !== '')
  const enums = types.filter(
    (type): type is Extract<Type, { kind: 'enum' }> => type.kind === 'enum' && type.name !== '',
  )
  const byName = (a: { name: string }, b: { name: string }): number => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0)

  const names = [...structs, ...enums].map((type) => pascal(type.name))
  const twice = names.find((name, index) => names.indexOf(name) !== index)
  if (twice !== undefined) throw new Error(`two types of the contract are called ${twice}`)

  return `${[
    head,
    ...enums.sort(byName).map(enumText),
    ...structs
      .filter((struct) => struct.name !== 'address')
      .sort(byName)
      .map((struct) => structText(types, struct)),
    mapsText(types),
  ].join('\n\n')}\n`
}

const head = `// SPDX-License-Identifier: Apache-2.0
// Made by tools/layouts.ts from the BTF of build/bpf/contract.o; \`make generate\` writes it anew. Not to be edited.

/** How a value lies in memory. 64-bit numbers are exact up to 2^53. Padding is not shown and written as zero. */
export interface Layout<T> {
  readonly size: number
  read(view: DataView, offset: number): T
  write(view: DataView, offset: number, value: T): void
}

/** One map of the contract. For per-CPU maps \`value\` is that of one CPU. */
export interface MapSpec<K, V> {
  readonly name: string
  /** enum bpf_map_type. */
  readonly type: number
  readonly key: Layout<K>
  readonly value: Layout<V>
  /** The object's own size; a loader may set another. */
  readonly maxEntries: number
  readonly flags: number
}

function readBytes(view: DataView, offset: number, size: number): Uint8Array {
  const bytes = new Uint8Array(size)
  for (let i = 0; i < size; i++) bytes[i] = view.getUint8(offset + i)
  return bytes
}

function writeBytes(view: DataView, offset: number, size: number, bytes: Uint8Array): void {
  if (bytes.length !== size) throw new RangeError(\`\${bytes.length} bytes where the kernel has \${size}\`)
  for (let i = 0; i < size; i++) view.setUint8(offset + i, bytes[i]!)
}

function readU64(view: DataView, offset: number): number {
  return view.getUint32(offset, true) + view.getUint32(offset + 4, true) * 4294967296
}

function writeU64(view: DataView, offset: number, value: number): void {
  view.setUint32(offset, value >>> 0, true)
  view.setUint32(offset + 4, Math.floor(value / 4294967296), true)
}

function readList<T>(count: number, read: (index: number) => T): T[] {
  const list: T[] = []
  for (let i = 0; i < count; i++) list.push(read(i))
  return list
}

function writeList<T>(count: number, list: readonly T[], write: (index: number, item: T) => void): void {
  if (list.length !== count) throw new RangeError(\`\${list.length} items where the kernel has \${count}\`)
  for (let i = 0; i < count; i++) write(i, list[i]!)
}

export const u32Layout: Layout<number> = {
  size: 4,
  read: (view, at) => view.getUint32(at, true),
  write: (view, at, value) => view.setUint32(at, value, true),
}

/** 128 bits in network order, IPv4 as ::ffff:a.b.c.d. */
export const addressLayout: Layout<Uint8Array> = {
  size: 16,
  read: (view, at) => readBytes(view, at, 16),
  write: (view, at, value) => writeBytes(view, at, 16, value),
}`

function enumText(type: Extract<Type, { kind: 'enum' }>): string {
  const name = pascal(type.name)
  const values = type.values.map(([key, value]) => `  ${key}: ${value},`).join('\n')
  return `export const ${name} = {\n${values}\n} as const`
}

/** How to read, write and name the type of one member. \`at\` and \`value\` are expressions. */
interface Access {
  readonly type: string
  read(at: string): string
  write(at: string, value: string): string
}

function structText(types: Types, struct: Struct): string {
  checkBitFields(struct)
  const shown = struct.members.filter((member) => !isPadding(member))
  const access = (member: Member): Access => accessTo(types, member.type)
  const name = pascal(struct.name)
  const at = (member: Member): string => (member.offset === 0 ? 'at' : `at + ${member.offset}`)
  return [
    `/** struct ${struct.name} */`,
    `export interface ${name} {`,
    ...shown.map((m) => `  readonly ${camel(m.name)}: ${access(m).type}`),
    '}',
    '',
    `export const ${camel(struct.name)}Layout = {`,
    `  size: ${struct.size},`,
    '  /** Offsets of the members, for those who read in place. */',
    `  at: { ${shown.map((m) => `${camel(m.name)}: ${m.offset}`).join(', ')} },`,
    `  read: (view: DataView, at: number): ${name} => ({`,
    ...shown.map((m) => `    ${camel(m.name)}: ${access(m).read(at(m))},`),
    '  }),',
    `  write: (view: DataView, at: number, value: ${name}): void => {`,
    ...shown.map((m) => `    ${access(m).write(at(m), `value.${camel(m.name)}`)}`),
    ...zeroText(types, struct.size, shown),
    '  },',
    '} as const',
  ].join('\n')
}

function accessTo(types: Types, id: number): Access {
  const named = resolve(types, id, 'modifiers')
  const type = resolve(types, id)
  const isNetworkOrder = named.kind === 'typedef' && named.name.startsWith('__be')
  switch (type.kind) {
    case 'int':
    case 'enum': {
      if (type.size === 8)
        return {
          type: 'number',
          read: (at) => `readU64(view, ${at})`,
          write: (at, value) => `writeU64(view, ${at}, ${value})`,
        }
      const kind = `${type.kind === 'int' && type.signed ? 'Int' : 'Uint'}${type.size * 8}`
      const order = type.size === 1 ? '' : isNetworkOrder ? ', false' : ', true'
      return {
        type: 'number',
        read: (at) => `view.get${kind}(${at}${order})`,
        write: (at, value) => `view.set${kind}(${at}, ${value}${order})`,
      }
    }
    case 'array': {
      const size = sizeOf(types, type.type)
      if (size === 1)
        return {
          type: 'Uint8Array',
          read: (at) => `readBytes(view, ${at}, ${type.count})`,
          write: (at, value) => `writeBytes(view, ${at}, ${type.count}, ${value})`,
        }
      const item = accessTo(types, type.type)
      // Index names by depth, so that arrays of arrays nest.
      const i = `i${depth(types, type.type)}`
      return {
        type: `readonly ${item.type.startsWith('readonly ') ? `(${item.type})` : item.type}[]`,
        read: (at) => `readList(${type.count}, (${i}) => ${item.read(`${at} + ${size} * ${i}`)})`,
        write: (at, value) =>
          `writeList(${type.count}, ${value}, (${i}, item) => ${item.write(`${at} + ${size} * ${i}`, 'item')})`,
      }
    }
    case 'struct': {
      const layout = `${camel(type.name)}Layout`
      return {
        type: type.name === 'address' ? 'Uint8Array' : pascal(type.name),
        read: (at) => `${layout}.read(view, ${at})`,
        write: (at, value) => `${layout}.write(view, ${at}, ${value})`,
      }
    }
    default:
      throw new Error(`the contract cannot hold a ${type.kind}`)
  }
}

function depth(types: Types, id: number): number {
  const type = resolve(types, id)
  return type.kind === 'array' ? 1 + depth(types, type.type) : 0
}

const isPadding = (member: Member): boolean => /^pad\d*$/.test(member.name)

// Padding, named or not: buffers are used again, and what lay there must not reach the kernel.
function zeroText(types: Types, size: number, shown: readonly Member[]): string[] {
  const covered = new Set(
    shown.flatMap((m) => Array.from({ length: sizeOf(types, m.type) }, (_, index) => m.offset + index)),
  )
  return Array.from({ length: size }, (_, index) => index)
    .filter((index) => !covered.has(index))
    .map((index) => `    view.setUint8(at + ${index}, 0)`)
}

function checkBitFields(struct: Struct): void {
  const found = struct.members.find((member) => Number.isNaN(member.offset))
  if (found) throw new Error(`struct ${struct.name} has a bit field: ${found.name}`)
}

// Keys compare by their bytes: a hole would hold what lay in memory before.
function checkHoles(types: Types, struct: Aggregate): void {
  let end = 0
  for (const member of struct.members) {
    if (member.offset !== end) throw new Error(`struct ${struct.name} is a key and has a hole before ${member.name}`)
    end = member.offset + sizeOf(types, member.type)
  }
  if (end !== struct.size) throw new Error(`struct ${struct.name} is a key and has a hole at its end`)
}

function mapsText(types: Types): string {
  const section = types.find((type) => type.kind === 'section' && type.name === '.maps')
  if (section?.kind !== 'section') throw new Error('the object has no maps')
  const entries = section.variables.map(({ type }) => {
    const variable = types[type]
    if (variable?.kind !== 'variable') throw new Error('.maps holds something that is no variable')
    const definition = resolve(types, variable.type)
    if (definition.kind !== 'struct') throw new Error(`map ${variable.name} is no struct`)
    const member = (name: string): Member | undefined => definition.members.find((m) => m.name === name)
    // __uint(x, N) is a pointer to an array of N; __type(x, T) a pointer to T.
    const target = (name: string): number | undefined => {
      const found = member(name)
      const pointer = found && resolve(types, found.type)
      return pointer?.kind === 'pointer' ? pointer.type : undefined
    }
    const number = (name: string): number => {
      const id = target(name)
      const array = id === undefined ? undefined : resolve(types, id)
      return array?.kind === 'array' ? array.count : 0
    }
    const layout = (name: string): string | undefined => {
      const id = target(name)
      if (id === undefined) return undefined
      const found = resolve(types, id)
      if (found.kind === 'struct') return `${camel(found.name)}Layout`
      if (found.kind === 'int' && found.size === 4) return 'u32Layout'
      throw new Error(`map ${variable.name}: ${name} of kind ${found.kind} has no layout`)
    }
    const [key, value] = [layout('key'), layout('value')]
    const keyType = target('key')
    const keyStruct = keyType === undefined ? undefined : resolve(types, keyType)
    if (keyStruct?.kind === 'struct') checkHoles(types, keyStruct)
    const fields = [
      `name: '${variable.name}'`,
      `type: ${number('type')}`,
      ...(key ? [`key: ${key}`] : []),
      ...(value ? [`value: ${value}`] : []),
      `maxEntries: ${number('max_entries')}`,
      `flags: ${number('map_flags')}`,
    ]
    return { name: variable.name, text: `  ${variable.name}: { ${fields.join(', ')} },` }
  })
  entries.sort((a, b) => (a.name < b.name ? -1 : 1))
  return `export const maps = {\n${entries.map((entry) => entry.text).join('\n')}\n} as const`
}

const camel = (name: string): string => name.replace(/_(\w)/g, (_, letter: string) => letter.toUpperCase())
const pascal = (name: string): string => {
  const inner = camel(name)
  return inner[0]!.toUpperCase() + inner.slice(1)
}

if (import.meta.main) writeFileSync(contractFile, layouts(readFileSync(contractObject)))
