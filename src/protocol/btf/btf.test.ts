// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { findVariable, parseBtf, resolve, sizeOf } from './btf.ts'
import { elfSection } from './elf.ts'

const object = new Uint8Array(readFileSync(new URL('../../../build/bpf/contract.o', import.meta.url)))
const section = elfSection(object, '.BTF')!

test('structs, arrays, enums and typedefs of a real object are read', () => {
  const types = parseBtf(section)
  const owner = types.find((type) => type.kind === 'struct' && type.name === 'owner')
  assert.ok(owner?.kind === 'struct')
  assert.equal(owner.size, 36)
  assert.deepEqual(
    owner.members.map((member) => [member.name, member.offset, sizeOf(types, member.type)]),
    [
      ['identity', 0, 4],
      ['interface', 4, 4],
      ['policy', 8, 4],
      ['endpoint', 12, 2],
      ['flags', 14, 2],
      ['node', 16, 16],
      ['peer', 32, 4],
    ],
  )
  const drop = types.find((type) => type.kind === 'enum' && type.name === 'drop')
  assert.ok(drop?.kind === 'enum')
  assert.ok(drop.values.some(([name, value]) => name === 'DROP_POLICY_DENIED' && value === 133n))
  const network = types.findIndex((type) => type.kind === 'typedef' && type.name === '__be16')
  assert.deepEqual([resolve(types, network).kind, sizeOf(types, network)], ['int', 2])
  assert.equal(findVariable(types, '.rodata', 'config') !== undefined, true)
  assert.equal(findVariable(types, '.rodata', 'colour'), undefined)
})

test('a section that is not there is undefined, a file that is no ELF is refused', () => {
  assert.equal(elfSection(object, '.nothing'), undefined)
  assert.throws(() => elfSection(new Uint8Array(100), '.BTF'), /not a 64-bit little-endian ELF file/)
})

test('damaged BTF gives an error or other types, never a hang', () => {
  assert.throws(() => parseBtf(new Uint8Array(10)), /not little-endian BTF/)
  assert.throws(() => parseBtf(section.subarray(0, section.length - 1)), /truncated/)
  fc.assert(
    fc.property(fc.nat(section.length - 1), fc.nat(255), (at, value) => {
      const damaged = section.slice()
      damaged[at] = value
      try {
        parseBtf(damaged)
      } catch (error) {
        assert.ok(error instanceof Error)
      }
    }),
    { numRuns: 300 },
  )
})
