// SPDX-License-Identifier: Apache-2.0
import { setImmediate as turn } from 'node:timers/promises'
import {
  maps as contract,
  FlowFlags,
  type FlowKey,
  flowKeyLayout,
  flowLayout,
  type Layout,
} from '../../../gen/contract.ts'
import { address, compareAddresses } from '../../base/ip.ts'
import type { Scope } from '../../base/scope.ts'
import { COMMAND } from '../../edge/kernel/bpf.ts'
import { BpfMap, contractMap } from '../../edge/kernel/map.ts'
import type { LoadedObject } from '../../edge/kernel/object.ts'
import { Attribute, bpf } from '../../edge/kernel/syscall.ts'
import type { OptionValues } from '../../model/options.ts'
import type { EventReader } from './events.ts'
import type { JudgedAs } from './requests.ts'

/** Between sweeps of the flow table, unless `conntrack-gc-interval` says otherwise. */
const SWEEP_SECONDS = 30

export interface Sweep {
  readonly flows: number
  readonly deleted: number
  readonly ms: number
}

export interface Sweeps {
  readonly runs: number
  readonly last: Sweep
}

const TCP = 6
const UDP = 17
const BOTH_CLOSED = 3
/** Entries that are looked at in one turn. */
const PIECE = 2048
/** A connection both ends have closed is kept so long for stray packets, seconds. */
const CLOSED_SECONDS = 10

/** Sweeps the flow table time and again while the scope lives; `clock` is the program that tells its time, once loaded. */
export function keepSweeping(
  scope: Scope,
  maps: LoadedObject,
  options: OptionValues,
  clock: () => number | undefined,
): Sweeps {
  const sweeps = { runs: 0, last: { flows: 0, deleted: 0, ms: 0 } }
  const sweep = flowSweeper(maps, options)
  scope.every('flow sweep', (Number(options['conntrack-gc-interval']) || SWEEP_SECONDS) * 1000, async () => {
    const program = clock()
    if (program === undefined) return
    sweeps.last = await sweep(program)
    sweeps.runs++
  })
  return sweeps
}

/**
 * Removes flows that are over. The datapath itself does not take an entry that is too old for an answer, so this only
 * makes room and keeps lists true. `clock` is the program that tells the coarse time entries carry. A large table is gone
 * through piece by piece: answers of the DNS wait for the agent meanwhile.
 */
export function flowSweeper(maps: LoadedObject, options: OptionValues): (clock: number) => Promise<Sweep> {
  const flows = contractMap(contract.cilium_flows, maps.map('cilium_flows'))
  const nat = contractMap(contract.cilium_nat, maps.map('cilium_nat'))
  const seconds = (name: string) => Number(options[name])
  return async (clock) => {
    const began = performance.now()
    const { coarse, perSecond } = readClock(clock)
    const age = (seen: number): number => ((coarse - seen) >>> 0) / perSecond
    const [tcp, syn, any] = [
      seconds('bpf-ct-timeout-regular-tcp'),
      seconds('bpf-ct-timeout-regular-tcp-syn'),
      seconds('bpf-ct-timeout-regular-any'),
    ]
    let count = 0
    const over: FlowKey[] = []
    for (const [key, flow] of flows.entries()) {
      if (++count % PIECE === 0) await turn()
      // Answers pass by the entry of a service address, and so does the other end's farewell.
      const isService = (flow.flags & FlowFlags.FLOW_SERVICE) !== 0
      const answered = isService ? flow.closing === 0 : (flow.packets[(flow.origin & 1) ^ 1] ?? 0) > 0
      const limit = key.protocol !== TCP ? any : flow.closing === BOTH_CLOSED ? CLOSED_SECONDS : answered ? tcp : syn
      if (age(flow.seen) > limit) over.push(key)
    }
    await removeAll(flows, over)
    const idle: FlowKey[] = []
    let held = 0
    for (const [key, { seen }] of nat.entries()) {
      if (++held % PIECE === 0) await turn()
      if (age(seen) > (key.protocol === TCP ? tcp : any)) idle.push(key)
    }
    await removeAll(nat, idle)
    return { flows: count, deleted: over.length, ms: performance.now() - began }
  }
}

async function removeAll<K>(map: { removeAll(keys: readonly K[]): void }, keys: readonly K[]): Promise<void> {
  for (let i = 0; i < keys.length; i += PIECE) {
    map.removeAll(keys.slice(i, i + PIECE))
    await turn()
  }
}

/**
 * What the ends of a connection were judged as: from its flow, one look-up in the kernel, or where that is over, from the
 * event that told of its end and came before it went.
 */
export function judgedAs(maps: LoadedObject, events: Pick<EventReader, 'closed' | 'read'>): JudgedAs {
  const flows = contractMap(contract.cilium_flows, maps.map('cilium_flows'))
  return (end, other, name) => {
    const [own, far] = [address(end.address), address(other.address)]
    const protocol = name === 'TCP' ? TCP : UDP
    // As the datapath sorts them.
    const order = compareAddresses(own, far) || end.port - other.port
    const key =
      order <= 0
        ? { a: own, portA: end.port, b: far, portB: other.port }
        : { a: far, portA: other.port, b: own, portB: end.port }
    const flow = flows.get({ ...key, protocol })
    if (flow) return flow.identity[order <= 0 ? 0 : 1] ?? 0
    events.read()
    return events.closed.identityOf({ address: own, port: end.port }, { address: far, port: other.port }, protocol)
  }
}

/** Which of some addresses an open connection leads to, whoever has it. Reads the whole flow table, piece by piece. */
export async function connectedAddresses(
  maps: LoadedObject,
  addresses: readonly string[],
): Promise<ReadonlySet<string>> {
  const wanted = new Map(addresses.map((text) => [bytesText(address(text)), text]))
  const lastWords = new Set(addresses.map((text) => lastWord(viewOf(address(text)), 0)))
  const found = new Set<string>()
  // Most flows lead elsewhere: of those nothing is made but two numbers.
  const at = (view: DataView, from: number): string =>
    lastWords.has(lastWord(view, from))
      ? bytesText(new Uint8Array(view.buffer, view.byteOffset + from, ADDRESS_BYTES))
      : ''
  const ends: Layout<readonly string[]> = {
    size: flowKeyLayout.size,
    read: (view, from) => [at(view, from + flowKeyLayout.at.a), at(view, from + flowKeyLayout.at.b)],
    write: noWrite,
  }
  const closing: Layout<number> = {
    size: flowLayout.size,
    read: (view, from) => view.getUint8(from + flowLayout.at.closing),
    write: noWrite,
  }
  const flows = new BpfMap(contract.cilium_flows.name, maps.map('cilium_flows'), ends, closing)
  let count = 0
  for (const [both, closed] of flows.entries()) {
    if (++count % PIECE === 0) await turn()
    if (closed === BOTH_CLOSED) continue
    for (const end of both) {
      const text = end === '' ? undefined : wanted.get(end)
      if (text !== undefined) found.add(text)
    }
  }
  return found
}

const ADDRESS_BYTES = 16
const bytesText = (of: Uint8Array): string => String.fromCharCode(...of)
const viewOf = (of: Uint8Array): DataView => new DataView(of.buffer, of.byteOffset, of.byteLength)
const lastWord = (view: DataView, from: number): number => view.getUint32(from + ADDRESS_BYTES - 4, true)
const noWrite = (): never => {
  throw new Error('this is for reading only')
}

/** Runs the clock program: now, in the unit of flow entries, and how many of those make a second. */
function readClock(program: number): { readonly coarse: number; readonly perSecond: number } {
  const read = () => {
    const answer = new DataView(new ArrayBuffer(16))
    bpf(
      COMMAND.PROG_TEST_RUN,
      new Attribute(80).u32(0, program).u32(40, 16).pointer(48, answer).bytes,
      'reading the clock',
    )
    return { jiffies: answer.getBigUint64(0, true), time: Number(answer.getBigUint64(8, true)) }
  }
  const now = read()
  base ??= now
  // From two readings; the first sweep takes the usual 250 ticks.
  const span = now.time - base.time
  const hz = span > 1e9 ? Math.round((Number(now.jiffies - base.jiffies) * 1e9) / span) : 250
  return { coarse: Number((now.jiffies >> 8n) & 0xffffffffn), perSecond: hz / 256 }
}
let base: { readonly jiffies: bigint; readonly time: number } | undefined
