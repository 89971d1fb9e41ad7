// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import * as contract from '../../../gen/contract.ts'
import { contractFile, contractObject, layouts } from '../../../tools/layouts.ts'
import { compile, workplace } from './fixture.ts'

test('gen/contract.ts is what the compiled contract says (make generate writes it)', () => {
  assert.equal(readFileSync(contractFile, 'utf8'), layouts(readFileSync(contractObject)))
})

test('every layout writes and reads back each field, and zeroes what is padding', () => {
  const layouts = Object.entries(contract).filter(([name]) => name.endsWith('Layout'))
  assert.ok(layouts.length > 15)
  for (const [name, value] of layouts) {
    const layout = value as contract.Layout<unknown>
    const view = new DataView(new ArrayBuffer(layout.size + 16))
    for (let i = 0; i < layout.size; i++) view.setUint8(8 + i, (i * 7 + 1) & 0x7f & (i % 8 > 5 ? 0x0f : 0x7f))
    const read = layout.read(view, 8)
    const copy = new DataView(new ArrayBuffer(layout.size + 16))
    layout.write(copy, 8, read)
    assert.deepEqual(layout.read(copy, 8), read, name)
    layout.write(view, 8, read)
    assert.deepEqual(copy.buffer, view.buffer, `${name} leaves bytes unwritten`)
  }
})

test('ports are in network order, other numbers in the host order', () => {
  const view = new DataView(new ArrayBuffer(contract.serviceKeyLayout.size))
  contract.serviceKeyLayout.write(view, 0, { address: new Uint8Array(16).fill(1), port: 0x1f90, protocol: 6, scope: 1 })
  assert.deepEqual([view.getUint8(16), view.getUint8(17), view.getUint8(18), view.getUint8(19)], [0x1f, 0x90, 6, 1])
  const owner = new DataView(new ArrayBuffer(contract.ownerLayout.size))
  contract.ownerLayout.write(owner, 0, {
    identity: 0x01020304,
    peer: 0,
    interface: 1,
    policy: 2,
    endpoint: 3,
    flags: 4,
    node: new Uint8Array(16),
  })
  assert.equal(owner.getUint8(0), 4)
  assert.throws(() => contract.addressLayout.write(view, 0, new Uint8Array(4)), /4 bytes where the kernel has 16/)
})

test('maps carry their types, sizes and layouts', () => {
  assert.equal(contract.maps.cilium_owners.key, contract.addressLayout)
  assert.equal(contract.maps.cilium_owners.value, contract.ownerLayout)
  assert.equal(contract.maps.cilium_owners.flags, 1)
  assert.equal(contract.maps.cilium_ipcache.type, 11)
})

test('a hole in a key and a bit field are refused by name', (t) => {
  const { dir } = workplace(t)
  const source = (key: string): string => `
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
struct key { ${key} };
struct { __uint(type, 1); __type(key, struct key); __type(value, __u32); __uint(max_entries, 4); } holed SEC(".maps");`
  const generate = (key: string): string => {
    const file = join(dir, 'holed.c')
    writeFileSync(file, source(key))
    return layouts(readFileSync(compile(dir, file)))
  }
  assert.throws(() => generate('__u8 a; __u32 b;'), /struct key is a key and has a hole before b/)
  assert.throws(() => generate('__u32 a; __u8 b;'), /struct key is a key and has a hole at its end/)
  assert.throws(() => generate('__u32 a : 3; __u32 b : 29;'), /struct key has a bit field: (a|b)/)
  assert.match(
    generate('__u32 a; __be16 b; __u16 pad;'),
    /interface Key \{\n {2}readonly a: number\n {2}readonly b: number\n\}/,
  )
})
