// SPDX-License-Identifier: Apache-2.0
import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventLayout, maps } from '../../gen/contract.ts'
import { contractMap } from '../../src/edge/kernel/map.ts'
import { type LoadedObject, loadObject } from '../../src/edge/kernel/object.ts'
import { openRingBuffer, type RecordHandler, type RingBuffer } from '../../src/edge/kernel/ringbuf.ts'
import { runOnPacket } from '../../src/edge/kernel/run.ts'
import { eventCounter } from '../../src/flow/count.ts'
import { decodeEvent } from '../../src/flow/decode.ts'
import { absolute, type Figure, median, type Section } from './figure.ts'

const ROUNDS = 30
const ENTRIES = 100_000

/** Records a second out of the ring buffer, on one core, and what an entry of a map costs in a batch. */
export const events: Section = {
  name: 'events',
  run: async (report) => {
    const dir = mkdtempSync(join(tmpdir(), 'bench-events-'))
    const object = load(dir)
    try {
      records(object, report)
      entries(object, report)
    } finally {
      object.close()
      rmSync(dir, { recursive: true })
    }
  },
}

function load(dir: string): LoadedObject {
  const root = join(import.meta.dirname, '../..')
  const path = join(dir, 'events.o')
  const machine = process.arch === 'arm64' ? 'aarch64' : 'x86_64'
  const includes = [`-I/usr/include/${machine}-linux-gnu`, `-I${join(root, 'bpf')}`]
  const source = join(import.meta.dirname, 'events.bpf.c')
  execFileSync('clang-19', ['-O2', '-g', '-target', 'bpf', '-mcpu=v3', ...includes, '-c', source, '-o', path])
  return loadObject(path, { maxEntries: { cilium_owners: ENTRIES, cilium_flows: 64, cilium_nat: 64 } })
}

function records(object: LoadedObject, report: (figure: Figure) => void): void {
  const ring = openRingBuffer(object.map('cilium_events'))
  const counter = eventCounter()
  let kept = 0
  const ways: readonly (readonly [string, RecordHandler, number | undefined])[] = [
    ['events counted in place', counter.count, undefined],
    [
      'events decoded and counted',
      (view, offset, length) => {
        counter.count(view, offset, length)
        kept += eventLayout.read(view, offset).length
      },
      1e6,
    ],
    [
      'events decoded to words and counted',
      (view, offset, length) => {
        counter.count(view, offset, length)
        kept += decodeEvent(view, offset, length)?.length ?? 0
      },
      undefined,
    ],
  ]
  try {
    for (const [name, handler, goal] of ways) {
      const rates = Array.from({ length: ROUNDS }, () => rate(object, ring, handler))
      report(absolute(name, median(rates), 'events/s', goal, true))
    }
    if (kept === 0) throw new Error('no record carried a length')
  } finally {
    ring.close()
  }
}

/** Fills the buffer, then times emptying it: records a second of this thread. */
function rate(object: LoadedObject, ring: RingBuffer, handler: RecordHandler): number {
  const packet = new Uint8Array(64)
  while (runOnPacket(object.program('fill'), packet).value === 0);
  const start = process.cpuUsage()
  const count = ring.drain(handler)
  const used = process.cpuUsage(start)
  return count / ((used.user + used.system) / 1e6)
}

function entries(object: LoadedObject, report: (figure: Figure) => void): void {
  const map = contractMap(maps.cilium_owners, object.map('cilium_owners'))
  const all = Array.from({ length: ENTRIES }, (_, i) => {
    const address = new Uint8Array(16).fill(0xff, 10, 12)
    new DataView(address.buffer).setUint32(12, i)
    const owner = { identity: i, peer: 0, interface: 1, policy: 1, endpoint: 1, flags: 1, node: new Uint8Array(16) }
    return [address, owner] as const
  })
  const each = (work: () => void): number => {
    const times = Array.from({ length: 5 }, () => {
      const start = performance.now()
      work()
      return ((performance.now() - start) * 1e6) / ENTRIES
    })
    return median(times)
  }
  report(
    absolute(
      'entry written in a batch',
      each(() => map.putAll(all)),
      'ns',
    ),
  )
  report(
    absolute(
      'entry read in a batch',
      each(() => Array.from(map.entries())),
      'ns',
    ),
  )
}
