// SPDX-License-Identifier: Apache-2.0
// Targets over BPF maps: what a desired table says, as entries. A map has one writer, so what is in it and not desired
// goes.
import type { Table } from '../../table/definition.ts'
import type { Outcome, Target } from '../../table/target.ts'
import type { BpfMap, EntryError } from './map.ts'
import type { KernelError } from './syscall.ts'

/** How rows become entries and entries rows; the key of the row must follow from the key of the entry. */
export interface EntryOf<Row, K, V> {
  encode(row: Row): readonly [K, V]
  decode(key: K, value: V): Row
}

export interface TargetOptions {
  /** Called after each write or removal that changed something: policy tells the datapath to judge anew. */
  readonly changed?: () => void
}

const written: Outcome = { ok: true }

/** What a full map says: tried again only when a removal makes room or the row changes. */
function refused(error: KernelError, map: BpfMap<never, never>): Outcome {
  if (error.code === 'E2BIG' || error.code === 'ENOSPC')
    return { ok: false, error: `${map.name} is full: it has room for ${map.info.maxEntries} entries`, permanent: true }
  return { ok: false, error: error.message }
}

/** What became of an entry, as the reconciler hears it. */
export const outcomeOf = <K, V>(error: EntryError, map: BpfMap<K, V>): Outcome =>
  error ? refused(error, map as unknown as BpfMap<never, never>) : written

const outcomes = <K, V>(map: BpfMap<K, V>, errors: readonly EntryError[], changed?: () => void): Outcome[] => {
  const all = errors.map((error) => outcomeOf(error, map))
  if (all.includes(written)) changed?.()
  return all
}

/** A hash map or a trie. Rows are equal when their entries are, byte by byte. */
export function mapTarget<Row, K, V>(
  table: Table<Row>,
  map: BpfMap<K, V>,
  entry: EntryOf<Row, K, V>,
  options: TargetOptions = {},
): Target<Row> {
  return {
    name: map.name,
    key: table.key,
    load: () => Array.from(map.entries(), ([key, value]) => entry.decode(key, value)),
    equal: sameBytes((row) => entry.encode(row)[1], map.value),
    write: (rows) => outcomes(map, map.putRows(rows, entry.encode), options.changed),
    remove: (rows) => outcomes(map, map.removeAll(rows.map((row) => entry.encode(row)[0])), options.changed),
  }
}

/** An array: an entry of zeros is none, removing writes zeros. */
export function arrayTarget<Row, V>(
  table: Table<Row>,
  map: BpfMap<number, V>,
  entry: EntryOf<Row, number, V>,
  options: TargetOptions = {},
): Target<Row> {
  const zero = map.value.read(new DataView(new ArrayBuffer(map.value.size)), 0)
  return {
    name: map.name,
    key: table.key,
    load: () => [...present(map)].map(([index, value]) => entry.decode(index, value)),
    equal: sameBytes((row) => entry.encode(row)[1], map.value),
    write: (rows) => outcomes(map, map.putRows(rows, entry.encode), options.changed),
    remove: (rows) => outcomes(map, map.putAll(rows.map((row) => [entry.encode(row)[0], zero])), options.changed),
  }
}

/**
 * Runs of an array, each written as one: `first` and the values. Which runs are there cannot be read back, so all are
 * written after a start, with what they have already unless something changed; what nobody points at may stay.
 */
export function rangeTarget<Row, V>(
  table: Table<Row>,
  map: BpfMap<number, V>,
  run: (row: Row) => { readonly first: number; readonly values: readonly V[] },
  options: TargetOptions = {},
): Target<Row> {
  const write = (row: Row): Outcome => {
    const { first, values } = run(row)
    const bytes = new Uint8Array(new ArrayBuffer(values.length * map.value.size))
    const view = new DataView(bytes.buffer)
    for (const [i, value] of values.entries()) map.value.write(view, i * map.value.size, value)
    try {
      if (values.length > 0) map.putRange(first, bytes)
      return written
    } catch (error) {
      return refused(error as KernelError, map as unknown as BpfMap<never, never>)
    }
  }
  return {
    name: map.name,
    key: table.key,
    load: () => [],
    equal: () => false,
    write: (rows) => {
      const all = rows.map(write)
      if (all.includes(written)) options.changed?.()
      return all
    },
    remove: (rows) => rows.map(() => written),
  }
}

/** Entries of an array that are not all zeros; the many that are do not become objects. */
export function* present<V>(map: BpfMap<number, V>): Generator<[number, V]> {
  const { size } = map.value
  const step = Math.max(1, Math.floor((256 << 10) / size))
  for (let first = 0; first < map.info.maxEntries; first += step) {
    const bytes = map.readRange(first, Math.min(step, map.info.maxEntries - first))
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    for (let at = 0; at + size <= bytes.byteLength; at += size) {
      let end = at
      while (end < at + size && bytes[end] === 0) end++
      if (end < at + size) yield [first + at / size, map.value.read(view, at)]
    }
  }
}

function sameBytes<Row, V>(
  valueIn: (row: Row) => V,
  codec: { readonly size: number; write(view: DataView, offset: number, value: V): void },
): (a: Row, b: Row) => boolean {
  const views = [new DataView(new ArrayBuffer(codec.size)), new DataView(new ArrayBuffer(codec.size))] as const
  return (a, b) => {
    codec.write(views[0], 0, valueIn(a))
    codec.write(views[1], 0, valueIn(b))
    for (let i = 0; i < codec.size; i++) if (views[0].getUint8(i) !== views[1].getUint8(i)) return false
    return true
  }
}
