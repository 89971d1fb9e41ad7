// SPDX-License-Identifier: Apache-2.0

import { readFileSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import type { Layout, MapSpec } from '../../../gen/contract.ts'
import { COMMAND, MAP_FLAG, MAP_TYPE, UPDATE_ANY } from './bpf.ts'
import {
  Attribute,
  bpf,
  bpfTry,
  close,
  errnoNumber,
  KernelError,
  type Mapping,
  mapMemory,
  PROT_READ,
  PROT_WRITE,
} from './syscall.ts'

export type Codec<T> = Layout<T>

export interface MapInfo {
  readonly type: number
  readonly id: number
  readonly keySize: number
  readonly valueSize: number
  readonly maxEntries: number
  readonly flags: number
  readonly name: string
}

export function mapInfo(fd: number): MapInfo {
  const info = new Uint8Array(new ArrayBuffer(88))
  bpf(
    COMMAND.INFO_BY_FD,
    new Attribute(16).u32(0, fd).u32(4, info.byteLength).pointer(8, info).bytes,
    `info of map fd ${fd}`,
  )
  const view = new DataView(info.buffer)
  const name = new TextDecoder().decode(info.subarray(24, 40))
  return {
    type: view.getUint32(0, true),
    id: view.getUint32(4, true),
    keySize: view.getUint32(8, true),
    valueSize: view.getUint32(12, true),
    maxEntries: view.getUint32(16, true),
    flags: view.getUint32(20, true),
    name: name.slice(0, name.indexOf('\0')),
  }
}

/** What became of an entry of a batch: undefined when it was written, else why not. */
export type EntryError = KernelError | undefined

const ENOENT = errnoNumber('ENOENT')
const ENOSPC = errnoNumber('ENOSPC')
const withoutBatches = new Set([errnoNumber('EOPNOTSUPP'), errnoNumber('ENOTSUPP')])
const perCpuTypes: readonly number[] = [MAP_TYPE.PERCPU_ARRAY, MAP_TYPE.PERCPU_HASH, MAP_TYPE.LRU_PERCPU_HASH]
const arrayTypes: readonly number[] = [MAP_TYPE.ARRAY, MAP_TYPE.PERCPU_ARRAY]
const BATCH = 1024

/**
 * A BPF map with its key and value codecs. One system call moves up to 1024 entries. Not for use inside its own
 * iteration: the buffers of a map are shared by its calls.
 */
export class BpfMap<K, V> {
  readonly name: string
  readonly fd: number
  readonly info: MapInfo
  readonly key: Codec<K>
  readonly value: Codec<V>
  private readonly isArray: boolean
  private readonly keyView: DataView
  private readonly valueView: DataView
  private readonly element: Attribute
  private batch: Batch | undefined

  /** Throws when the sizes of the codecs are not those of the map: kernel and program are of different builds. */
  constructor(name: string, fd: number, key: Codec<K>, value: Codec<V>) {
    this.name = name
    this.fd = fd
    this.info = mapInfo(fd)
    this.key = key
    this.value = value
    const valueSize = perCpuTypes.includes(this.info.type)
      ? possibleCpus() * align8(this.info.valueSize)
      : this.info.valueSize
    if (key.size !== this.info.keySize || value.size !== valueSize)
      throw new Error(
        `map ${name} has keys of ${this.info.keySize} and values of ${valueSize} bytes, not ${key.size} and ${value.size}`,
      )
    this.isArray = arrayTypes.includes(this.info.type)
    this.keyView = new DataView(new ArrayBuffer(key.size))
    this.valueView = new DataView(new ArrayBuffer(value.size))
    this.element = new Attribute(32).u32(0, fd).pointer(8, this.keyView).pointer(16, this.valueView)
  }

  get(key: K): V | undefined {
    this.key.write(this.keyView, 0, key)
    const result = bpfTry(COMMAND.MAP_LOOKUP, this.element.u64(24, 0n).address, 32)
    if (result === -ENOENT) return undefined
    if (result < 0) throw new KernelError(`look-up in ${this.name}`, -result)
    return this.value.read(this.valueView, 0)
  }

  /** Throws E2BIG or ENOSPC when the map is full. */
  put(key: K, value: V, flags = UPDATE_ANY): void {
    this.key.write(this.keyView, 0, key)
    this.value.write(this.valueView, 0, value)
    const result = bpfTry(COMMAND.MAP_UPDATE, this.element.u64(24, flags).address, 32)
    if (result < 0) throw new KernelError(`update of ${this.name}`, -result)
  }

  /** Whether the key was there. */
  remove(key: K): boolean {
    this.key.write(this.keyView, 0, key)
    const result = bpfTry(COMMAND.MAP_DELETE, this.element.address, 16) // up to the key: the rest must be zero
    if (result < 0 && result !== -ENOENT) throw new KernelError(`removal from ${this.name}`, -result)
    return result >= 0
  }

  /** Writes all entries it can; the answer has an error at the index of each that was refused. */
  putAll(entries: readonly (readonly [K, V])[]): readonly EntryError[] {
    return this.putRows(entries, (entry) => entry)
  }

  /** The same of rows, each encoded as it is written: many of them make no list of entries. */
  putRows<Row>(rows: readonly Row[], encode: (row: Row) => readonly [K, V]): readonly EntryError[] {
    return this.inBatches(rows.length, COMMAND.UPDATE_BATCH, 'update of', (batch, slot, index) => {
      const [key, value] = encode(rows[index]!)
      this.key.write(batch.keys, slot * this.key.size, key)
      this.value.write(batch.values, slot * this.value.size, value)
    })
  }

  /** Removing what is not there is no error. */
  removeAll(keys: readonly K[]): readonly EntryError[] {
    return this.inBatches(keys.length, COMMAND.DELETE_BATCH, 'removal from', (batch, slot, index) =>
      this.key.write(batch.keys, slot * this.key.size, keys[index]!),
    )
  }

  /** All entries, read in batches. Entries that change meanwhile may be seen or not, as in the kernel. */
  *entries(): Generator<[K, V]> {
    let size = Math.min(BATCH, this.info.maxEntries)
    let batch = this.batchOf(size)
    const cursor = new DataView(new ArrayBuffer(Math.max(8, this.key.size)))
    const attribute = new Attribute(56).pointer(8, cursor).u32(36, this.fd)
    let started = false
    for (;;) {
      batch = this.batchOf(size)
      attribute.u64(16, batch.keysAddress).u64(24, batch.valuesAddress).u32(32, size)
      const result = bpfTry(COMMAND.LOOKUP_BATCH, attribute.address, 56)
      if (result === -ENOSPC && size < 1 << 20) {
        size *= 4 // a hash bucket holds more than fits
        continue
      }
      if (!started && withoutBatches.has(-result)) {
        yield* this.entriesOneByOne()
        return
      }
      if (result < 0 && result !== -ENOENT) throw new KernelError(`dump of ${this.name}`, -result)
      const found: [K, V][] = []
      for (let i = 0; i < attribute.view.getUint32(32, true); i++)
        found.push([this.key.read(batch.keys, i * this.key.size), this.value.read(batch.values, i * this.value.size)])
      yield* found
      if (result === -ENOENT) return
      if (!started) attribute.pointer(0, cursor)
      started = true
    }
  }

  /** The raw values of an array from `first` on, one after another without padding. */
  readRange(first: number, count: number): Uint8Array {
    const size = this.value.size
    const keys = new Uint32Array(new ArrayBuffer(4 * count))
    const values = new Uint8Array(new ArrayBuffer(size * count))
    const cursor = new Uint32Array(new ArrayBuffer(8))
    const before = new Uint32Array(new ArrayBuffer(8))
    before[0] = first - 1
    const attribute = new Attribute(56).pointer(8, cursor).pointer(16, keys).pointer(24, values)
    if (first > 0) attribute.pointer(0, before)
    attribute.u32(32, count).u32(36, this.fd)
    const result = bpfTry(COMMAND.LOOKUP_BATCH, attribute.address, 56)
    if (result < 0 && result !== -ENOENT) throw new KernelError(`look-up in ${this.name}`, -result)
    return values.subarray(0, attribute.view.getUint32(32, true) * size)
  }

  /** Writes raw values of an array from `first` on, in one system call; a reader may see some of them before others. */
  putRange(first: number, values: Uint8Array): void {
    const count = values.byteLength / this.value.size
    if (!Number.isInteger(count)) throw new Error(`${values.byteLength} bytes are no values of ${this.name}`)
    const keys = new Uint32Array(new ArrayBuffer(4 * count))
    for (let i = 0; i < count; i++) keys[i] = first + i
    const attribute = new Attribute(56).pointer(16, keys).pointer(24, values).u32(32, count).u32(36, this.fd)
    const result = bpfTry(COMMAND.UPDATE_BATCH, attribute.address, 56)
    if (result < 0) throw new KernelError(`update of ${this.name}`, -result)
  }

  /** An array's memory, values at multiples of eight bytes; for maps declared BPF_F_MMAPABLE. */
  memory(access: 'read' | 'write' = 'write'): Mapping {
    if ((this.info.flags & MAP_FLAG.MMAPABLE) === 0) throw new Error(`map ${this.name} is not BPF_F_MMAPABLE`)
    const length = Math.ceil((align8(this.info.valueSize) * this.info.maxEntries) / 4096) * 4096
    return mapMemory(this.fd, length, access === 'write' ? PROT_READ | PROT_WRITE : PROT_READ, 0)
  }

  close(): void {
    close(this.fd)
  }

  private inBatches(
    total: number,
    command: number,
    call: string,
    fill: (batch: Batch, slot: number, index: number) => void,
  ): readonly EntryError[] {
    const errors = new Array<EntryError>(total).fill(undefined)
    const removes = command === COMMAND.DELETE_BATCH
    if (removes && this.isArray) throw new Error(`entries of the array ${this.name} cannot be removed`)
    const batch = this.batchOf(Math.min(BATCH, total))
    const attribute = batch.attribute
    let index = 0
    while (index < total) {
      const count = Math.min(batch.size, total - index)
      for (let slot = 0; slot < count; slot++) fill(batch, slot, index + slot)
      const start = index
      while (index < start + count) {
        const skipped = index - start
        attribute
          .u64(16, batch.keysAddress + BigInt(skipped * this.key.size))
          .u64(24, removes ? 0n : batch.valuesAddress + BigInt(skipped * this.value.size))
          .u32(32, count - skipped)
        const result = bpfTry(command, attribute.address, 56)
        if (result < 0 && !withoutBatches.has(-result)) {
          // The kernel stops at the first refusal and says how many it took before; refusing all, it says nothing.
          const taken = attribute.view.getUint32(32, true)
          if (taken < count - skipped) index += taken
          if (!(removes && result === -ENOENT)) errors[index] = new KernelError(`${call} ${this.name}`, -result)
          index++
        } else if (result < 0) {
          errors[index] = this.single(batch, index - start, removes, call)
          index++
        } else index = start + count
      }
    }
    return errors
  }

  private single(batch: Batch, slot: number, removes: boolean, call: string): EntryError {
    const attribute = new Attribute(32)
      .u32(0, this.fd)
      .u64(8, batch.keysAddress + BigInt(slot * this.key.size))
      .u64(16, removes ? 0n : batch.valuesAddress + BigInt(slot * this.value.size))
    const result = bpfTry(removes ? COMMAND.MAP_DELETE : COMMAND.MAP_UPDATE, attribute.address, 32)
    if (result >= 0 || (removes && result === -ENOENT)) return undefined
    return new KernelError(`${call} ${this.name}`, -result)
  }

  private *entriesOneByOne(): Generator<[K, V]> {
    const current = new DataView(new ArrayBuffer(this.key.size))
    const next = new DataView(new ArrayBuffer(this.key.size))
    const attribute = new Attribute(32).u32(0, this.fd).pointer(16, next)
    while (bpfTry(COMMAND.MAP_NEXT_KEY, attribute.address, 32) >= 0) {
      new Uint8Array(current.buffer).set(new Uint8Array(next.buffer))
      attribute.pointer(8, current)
      const key = this.key.read(current, 0)
      const value = this.get(key)
      if (value !== undefined) yield [key, value]
    }
  }

  private batchOf(size: number): Batch {
    if (this.batch && this.batch.size >= size) return this.batch
    const keys = new DataView(new ArrayBuffer(size * this.key.size))
    const values = new DataView(new ArrayBuffer(size * this.value.size))
    const attribute = new Attribute(56).u32(36, this.fd).pointer(16, keys).pointer(24, values)
    const [keysAddress, valuesAddress] = [attribute.view.getBigUint64(16, true), attribute.view.getBigUint64(24, true)]
    this.batch = { size, keys, values, attribute, keysAddress, valuesAddress }
    return this.batch
  }
}

interface Batch {
  readonly size: number
  readonly keys: DataView
  readonly values: DataView
  readonly attribute: Attribute
  readonly keysAddress: bigint
  readonly valuesAddress: bigint
}

/** A map of the contract by its descriptor. */
export const contractMap = <K, V>(spec: MapSpec<K, V>, fd: number): BpfMap<K, V> =>
  new BpfMap(spec.name, fd, spec.key, spec.value)

/** A per-CPU map of the contract: a value for each possible CPU. */
export const contractCounters = <K, V>(spec: MapSpec<K, V>, fd: number): BpfMap<K, readonly V[]> =>
  new BpfMap(spec.name, fd, spec.key, perCpu(spec.value))

const align8 = (size: number): number => (size + 7) & ~7

let cpus = 0
/** CPUs the kernel keeps per-CPU values for. */
export function possibleCpus(): number {
  if (cpus) return cpus
  const text = readFileSync('/sys/devices/system/cpu/possible', 'utf8').trim()
  const last = Number(text.split(/[-,]/).at(-1))
  cpus = Number.isInteger(last) ? last + 1 : availableParallelism()
  return cpus
}

/** The value of a per-CPU map: one of `codec` for each possible CPU. */
export function perCpu<T>(codec: Codec<T>): Codec<readonly T[]> {
  const stride = align8(codec.size)
  const count = possibleCpus()
  return {
    size: stride * count,
    read: (view, offset) => Array.from({ length: count }, (_, cpu) => codec.read(view, offset + cpu * stride)),
    write: (view, offset, values) => {
      for (let cpu = 0; cpu < count; cpu++) codec.write(view, offset + cpu * stride, values[cpu]!)
    },
  }
}
