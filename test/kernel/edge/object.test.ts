// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { u32Layout as u32 } from '../../../gen/contract.ts'
import { BpfMap, type Codec, perCpu } from '../../../src/edge/kernel/map.ts'
import { LoadError, loadObject, type ObjectSettings } from '../../../src/edge/kernel/object.ts'
import { openRingBuffer } from '../../../src/edge/kernel/ringbuf.ts'
import { runOnPacket } from '../../../src/edge/kernel/run.ts'
import { afterwards, compile, fixtureSource, type Test, workplace } from './fixture.ts'

const u64: Codec<bigint> = {
  size: 8,
  read: (view, offset) => view.getBigUint64(offset, true),
  write: (view, offset, value) => view.setBigUint64(offset, value, true),
}
const prefix: Codec<{ bits: number; address: readonly number[] }> = {
  size: 8,
  read: (view, offset) => ({
    bits: view.getUint32(offset, true),
    address: [0, 1, 2, 3].map((i) => view.getUint8(offset + 4 + i)),
  }),
  write: (view, offset, { bits, address }) => {
    view.setUint32(offset, bits, true)
    for (const [i, byte] of address.entries()) view.setUint8(offset + 4 + i, byte)
  },
}
const packet = Uint8Array.from({ length: 64 }, (_, i) => (i === 12 ? 8 : i === 14 ? 0x45 : 0))

function load(t: Test, settings: ObjectSettings = {}) {
  const { dir } = workplace(t)
  const object = loadObject(compile(dir, fixtureSource), settings)
  afterwards(t, () => object.close())
  return object
}

const settings = (verdict: number, mark: number): Uint8Array => {
  const bytes = new Uint8Array(16)
  new DataView(bytes.buffer).setUint32(0, verdict, true)
  new DataView(bytes.buffer).setUint32(4, mark, true)
  return bytes
}

test('constants are set before loading and the program obeys them', (t) => {
  const object = load(t, { constants: { settings: settings(2, 100) } })
  const result = runOnPacket(object.program('count_and_mark'), packet, { cb: [41, 0, 0, 0, 0] })
  assert.equal(result.value, 2)
  assert.equal(result.mark, 107)
  assert.equal(result.cb[0], 42)
  assert.deepEqual(result.packet, packet)
  const counts = new BpfMap('kt_counts', object.map('kt_counts'), u32, perCpu(u64))
  assert.equal(
    counts.get(0)?.reduce((a, b) => a + b, 0n),
    1n,
  )
})

test('a constant of the wrong size, an unknown constant and an unknown map are refused by name', (t) => {
  const { dir } = workplace(t)
  const path = compile(dir, fixtureSource)
  assert.throws(() => loadObject(path, { constants: { settings: new Uint8Array(4) } }), /settings has 16 bytes, not 4/)
  assert.throws(() => loadObject(path, { constants: { colour: new Uint8Array(4) } }), /no constant colour/)
  assert.throws(() => loadObject(path, { maxEntries: { nothing: 4 } }), /no map nothing/)
})

test('a program the verifier refuses gives an error with its log', (t) => {
  const { dir } = workplace(t)
  const source = join(dir, 'bad.c')
  writeFileSync(
    source,
    `#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
SEC("tc") int bad(struct __sk_buff *skb) { return *(int *)(long)skb->data; }
char _license[] SEC("license") = "GPL";`,
  )
  assert.throws(
    () => loadObject(compile(dir, source)),
    (error: unknown) =>
      error instanceof LoadError &&
      /bad/.test(error.message) &&
      /invalid access to packet|R1 invalid mem/.test(error.log),
  )
  assert.throws(() => loadObject(join(dir, 'absent.o')), /absent.o does not load: ENOENT/)
})

test('a map gives back what was put, and misses what was not', (t) => {
  const object = load(t)
  const map = new BpfMap('kt_hash', object.map('kt_hash'), u32, u64)
  assert.equal(map.get(7), undefined)
  map.put(7, 49n)
  assert.equal(map.get(7), 49n)
  assert.equal(map.remove(7), true)
  assert.equal(map.remove(7), false)
  assert.throws(() => new BpfMap('kt_hash', object.map('kt_hash'), u64, u64), /keys of 4 and values of 8 bytes, not 8/)
})

test('batches larger than one system call are written, dumped and removed', (t) => {
  const map = new BpfMap('kt_hash', load(t).map('kt_hash'), u32, u64)
  const wanted = Array.from({ length: 3000 }, (_, i) => [i, BigInt(i * i)] as const)
  assert.deepEqual(map.putAll(wanted).filter(Boolean), [])
  const found = [...map.entries()].sort((a, b) => a[0] - b[0])
  assert.deepEqual(found, wanted)
  assert.deepEqual(map.removeAll([5, 99999, 2999]).filter(Boolean), [])
  assert.equal(map.get(2999), undefined)
  assert.equal([...map.entries()].length, 2998)
})

test('a full map refuses the rows that do not fit and still updates those that are there', (t) => {
  const map = new BpfMap('kt_small', load(t).map('kt_small'), u32, u64)
  const entries = [1, 2, 3, 4, 5, 6, 1].map((key, i) => [key, BigInt(i)] as const)
  assert.deepEqual(
    map.putAll(entries).map((error) => error?.code),
    [undefined, undefined, undefined, undefined, 'E2BIG', 'E2BIG', undefined],
  )
  assert.equal(map.get(1), 6n)
  assert.equal([...map.entries()].length, 4)
})

test('a trie takes batches, refuses a prefix that is too long, and dumps', (t) => {
  const map = new BpfMap('kt_trie', load(t).map('kt_trie'), prefix, u64)
  const results = map.putAll([
    [{ bits: 8, address: [10, 0, 0, 0] }, 1n],
    [{ bits: 33, address: [10, 0, 0, 1] }, 2n],
    [{ bits: 32, address: [10, 0, 0, 1] }, 3n],
  ])
  assert.deepEqual(
    results.map((error) => error?.code),
    [undefined, 'EINVAL', undefined],
  )
  assert.equal(map.get({ bits: 32, address: [10, 0, 0, 1] }), 3n)
  assert.equal([...map.entries()].length, 2)
})

test('an array is read and written by range and through its memory', (t) => {
  const object = load(t)
  const map = new BpfMap('kt_array', object.map('kt_array'), u32, u64)
  map.putRange(10, new Uint8Array(new BigUint64Array([11n, 22n, 33n]).buffer))
  assert.deepEqual(new BigUint64Array(map.readRange(9, 5).slice().buffer), new BigUint64Array([0n, 11n, 22n, 33n, 0n]))
  assert.equal(map.readRange(598, 100).byteLength, 16)
  const memory = map.memory()
  const words = new BigUint64Array(memory.bytes)
  assert.equal(words[11], 22n)
  words[0] = 5n
  assert.equal(map.get(0), 5n)
  assert.deepEqual(map.readRange(0, 1), new Uint8Array([5, 0, 0, 0, 0, 0, 0, 0]))
  memory.unmap()
  assert.throws(() => new BpfMap('kt_small', object.map('kt_small'), u32, u64).memory(), /not BPF_F_MMAPABLE/)
})

test('records of the ring buffer arrive in order, discarded ones do not, and overrun is counted by the program', (t) => {
  const object = load(t)
  const ring = openRingBuffer(object.map('kt_events'))
  afterwards(t, () => ring.close())
  const send = (count: number, first: number) =>
    runOnPacket(object.program('send_events'), packet, { cb: [count, first, 0, 0, 0] })
  const seen: number[] = []
  const drain = (limit?: number) =>
    ring.drain((view, offset, length) => {
      assert.equal(length, 64)
      assert.equal(view.getUint32(offset + 8, true), 0x55667788)
      seen.push(view.getUint32(offset, true))
    }, limit)

  const expected: number[] = []
  for (let round = 0; round < 12; round++) {
    send(1500, round * 1500)
    for (let i = 0; i < 1500; i++) if ((round * 1500 + i) % 5 !== 4) expected.push(round * 1500 + i)
    assert.equal(drain(200), 200)
    assert.equal(drain(), 1000)
  }
  assert.deepEqual(seen, expected)

  for (let i = 0; i < 3; i++) send(2000, 0)
  const lost = new BpfMap('kt_counts', object.map('kt_counts'), u32, perCpu(u64)).get(1)!.reduce((a, b) => a + b)
  const { waiting, size } = ring.fill()
  assert.ok(waiting <= size && size - waiting < 72)
  assert.equal(lost, 6000n - BigInt(Math.floor(size / 72)))
  drain()
  assert.equal(ring.fill().waiting, 0)
})
