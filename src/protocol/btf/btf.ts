// SPDX-License-Identifier: Apache-2.0
// BPF Type Format (Documentation/bpf/btf.rst of Linux): the types of an object file, read to know layouts.

export interface Member {
  readonly name: string
  readonly type: number
  /** In bytes; bit fields are refused. */
  readonly offset: number
}

export type Type =
  | { readonly kind: 'void' }
  | {
      readonly kind: 'int'
      readonly name: string
      readonly size: number
      readonly signed: boolean
      readonly bool: boolean
    }
  | { readonly kind: 'pointer'; readonly type: number }
  | { readonly kind: 'array'; readonly type: number; readonly count: number }
  | {
      readonly kind: 'struct' | 'union'
      readonly name: string
      readonly size: number
      readonly members: readonly Member[]
    }
  | {
      readonly kind: 'enum'
      readonly name: string
      readonly size: number
      readonly values: readonly (readonly [string, bigint])[]
    }
  | { readonly kind: 'typedef'; readonly name: string; readonly type: number }
  | { readonly kind: 'modifier'; readonly type: number }
  | { readonly kind: 'variable'; readonly name: string; readonly type: number }
  | {
      readonly kind: 'section'
      readonly name: string
      readonly size: number
      readonly variables: readonly { readonly type: number; readonly offset: number; readonly size: number }[]
    }
  | { readonly kind: 'other'; readonly name: string }

/** Types by their number; 0 is void. */
export type Types = readonly Type[]

const MAGIC = 0xeb9f

/** Throws a RangeError or an Error that says what is wrong when the bytes are not BTF. */
export function parseBtf(bytes: Uint8Array): Types {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  if (bytes.byteLength < 24 || view.getUint16(0, true) !== MAGIC) throw new Error('not little-endian BTF')
  if (view.getUint8(2) !== 1) throw new Error(`BTF version ${view.getUint8(2)} is unknown`)
  const header = view.getUint32(4, true)
  const from = header + view.getUint32(8, true)
  const end = from + view.getUint32(12, true)
  const strings = header + view.getUint32(16, true)
  const stringsEnd = strings + view.getUint32(20, true)
  if (end > bytes.byteLength || stringsEnd > bytes.byteLength) throw new Error('BTF is truncated')

  const text = (offset: number): string => {
    let out = ''
    for (let at = strings + offset; at < stringsEnd; at++) {
      const c = bytes[at]!
      if (c === 0) return out
      out += String.fromCharCode(c)
    }
    throw new Error('BTF string without an end')
  }
  const u32 = (offset: number): number => view.getUint32(offset, true)

  const types: Type[] = [{ kind: 'void' }]
  let at = from
  while (at < end) {
    const name = text(u32(at))
    const info = u32(at + 4)
    const sizeOrType = u32(at + 8)
    const count = info & 0xffff
    const flag = info >>> 31 === 1
    at += 12
    const body = at
    const each = <T>(stride: number, read: (offset: number) => T): T[] => {
      at = body + count * stride
      if (at > end) throw new Error(`BTF type ${types.length} is truncated`)
      return Array.from({ length: count }, (_, index) => read(body + index * stride))
    }
    const skip = (size: number): void => void (at += size)

    switch ((info >>> 24) & 0x1f) {
      case 1: {
        const encoding = (u32(body) >>> 24) & 0xf
        types.push({ kind: 'int', name, size: sizeOrType, signed: (encoding & 1) !== 0, bool: (encoding & 4) !== 0 })
        skip(4)
        break
      }
      case 2:
        types.push({ kind: 'pointer', type: sizeOrType })
        break
      case 3:
        types.push({ kind: 'array', type: u32(body), count: u32(body + 8) })
        skip(12)
        break
      case 4:
      case 5: {
        const members = each(12, (o): Member => {
          const bits = flag ? u32(o + 8) & 0xffffff : u32(o + 8)
          const isBitField = (flag && u32(o + 8) >>> 24 !== 0) || bits % 8 !== 0
          if (isBitField) return { name: text(u32(o)), type: u32(o + 4), offset: Number.NaN }
          return { name: text(u32(o)), type: u32(o + 4), offset: bits / 8 }
        })
        types.push({ kind: ((info >>> 24) & 0x1f) === 4 ? 'struct' : 'union', name, size: sizeOrType, members })
        break
      }
      case 6:
        types.push({
          kind: 'enum',
          name,
          size: sizeOrType,
          values: each(8, (o) => [text(u32(o)), BigInt(flag ? view.getInt32(o + 4, true) : u32(o + 4))] as const),
        })
        break
      case 19:
        types.push({
          kind: 'enum',
          name,
          size: sizeOrType,
          values: each(12, (o) => [text(u32(o)), (BigInt(u32(o + 8)) << 32n) | BigInt(u32(o + 4))] as const),
        })
        break
      case 8:
        types.push({ kind: 'typedef', name, type: sizeOrType })
        break
      case 9:
      case 10:
      case 11:
      case 18:
        types.push({ kind: 'modifier', type: sizeOrType })
        break
      case 13:
        each(8, () => undefined)
        types.push({ kind: 'other', name })
        break
      case 14:
        types.push({ kind: 'variable', name, type: sizeOrType })
        skip(4)
        break
      case 15:
        types.push({
          kind: 'section',
          name,
          size: sizeOrType,
          variables: each(12, (o) => ({ type: u32(o), offset: u32(o + 4), size: u32(o + 8) })),
        })
        break
      case 17:
        types.push({ kind: 'other', name })
        skip(4)
        break
      case 7:
      case 12:
      case 16:
        types.push({ kind: 'other', name })
        break
      default:
        throw new Error(`BTF kind ${(info >>> 24) & 0x1f} is unknown`)
    }
  }
  return types
}

/** The type behind const, volatile and type tags; typedefs are kept unless `through` says otherwise. */
export function resolve(types: Types, id: number, through: 'typedefs' | 'modifiers' = 'typedefs'): Type {
  let type = types[id]
  while (type && (type.kind === 'modifier' || (through === 'typedefs' && type.kind === 'typedef')))
    type = types[type.type]
  if (!type) throw new Error(`BTF has no type ${id}`)
  return type
}

/** Size in bytes of a type; throws for what has none. */
export function sizeOf(types: Types, id: number): number {
  const type = resolve(types, id)
  switch (type.kind) {
    case 'int':
    case 'struct':
    case 'union':
    case 'enum':
    case 'section':
      return type.size
    case 'array':
      return type.count * sizeOf(types, type.type)
    case 'pointer':
      return 8
    case 'variable':
      return sizeOf(types, type.type)
    default:
      throw new Error(`BTF type ${id} (${type.kind}) has no size`)
  }
}

/** Where a variable lies in a section, by names (`.rodata`, `config`). */
export function findVariable(
  types: Types,
  section: string,
  variable: string,
): { readonly offset: number; readonly size: number } | undefined {
  for (const type of types) {
    if (type.kind !== 'section' || type.name !== section) continue
    for (const entry of type.variables) {
      const found = types[entry.type]
      if (found?.kind === 'variable' && found.name === variable) return { offset: entry.offset, size: entry.size }
    }
  }
  return undefined
}
