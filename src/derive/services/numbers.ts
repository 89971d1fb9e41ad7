// SPDX-License-Identifier: Apache-2.0
import type { BackendRow, ServiceRow, SlotsRow } from '../../model/datapath.ts'
import type { Protocol } from '../../model/pod.ts'
import { allocate } from '../../table/definition.ts'
import { freeRange, nextFree, numbersByHash } from '../numbers.ts'
import { type Backend, backendKey, type Frontend, frontendKey, frontends } from './frontends.ts'

export const protocolNumber = { TCP: 6, UDP: 17, SCTP: 132 } as const

/** A service's number: its frontend's place in reverse translation, as `bpf lb list` prints it. */
export interface ServiceNumber {
  readonly frontend: string
  readonly id: number
}

export const serviceNumbers = allocate<Frontend, ServiceNumber>(
  'serviceNumbers',
  frontends,
  { key: (n) => n.frontend, indexes: { id: (n) => [String(n.id)] } },
  (wanted, held) => {
    const known = new Map(held.map((h) => [h.frontend, h.id]))
    return [...numbersByHash(wanted.map(frontendKey), known, 1, 65535)].map(([frontend, id]) => ({ frontend, id }))
  },
)

/** Backend numbers; those given up rest for a turn, because slots the kernel still uses may name them. */
export interface BackendNumber {
  /** Key of the backend, or `cursor`. */
  readonly key: string
  readonly number: number
  readonly backend?: Backend
}

const backendLimit = 65536

export const backendNumbers = allocate<Frontend, BackendNumber>(
  'backendNumbers',
  frontends,
  { key: (b) => b.key },
  (wanted, held) => {
    const before = new Map(held.map((h) => [h.key, h.number]))
    const all = new Map(wanted.flatMap((f) => f.backends.map((b) => [backendKey(b), b])))
    const used = new Set(held.filter((h) => h.backend).map((h) => h.number))
    let next = before.get('cursor') ?? 1
    const out: BackendNumber[] = []
    for (const [key, backend] of all) {
      let number = before.get(key)
      if (number === undefined) {
        number = nextFree(1, backendLimit - 1, next, (n) => used.has(n))
        if (number === undefined) continue
        used.add(number)
        next = number + 1
      }
      out.push({ key, number, backend })
    }
    return [...out, { key: 'cursor', number: next }]
  },
)

/** Runs of slots: another list of backends is another run, written before the service points at it. */
export interface SlotRun {
  /** Key of the frontend, `cursor`, or `kernel ` and the key: what the kernel held when the agent started. */
  readonly frontend: string
  readonly first: number
  readonly backends: readonly number[]
}

/** Of what the kernel held: a place that is taken, and no row. */
export const isKernels = (run: SlotRun): boolean => run.frontend.startsWith(kernelRun(''))
const kernelRun = (frontend: string): string => `kernel ${frontend}`

const slotLimit = 262144

export const slotRuns = allocate<Frontend, SlotRun>(
  'slotRuns',
  frontends,
  { key: (s) => s.frontend },
  (wanted, held, read) => {
    const before = new Map(held.map((h) => [h.frontend, h]))
    const kept: SlotRun[] = []
    const fresh: { readonly frontend: string; readonly backends: readonly number[] }[] = []
    for (const f of wanted) {
      const frontend = frontendKey(f)
      const backends = f.backends.flatMap((b) => read.get(backendNumbers, backendKey(b))?.number ?? [])
      const same = [before.get(frontend), before.get(kernelRun(frontend))].find(
        (run) => run?.backends.join() === backends.join(),
      )
      if (same) kept.push({ ...same, frontend })
      else fresh.push({ frontend, backends })
    }
    let next = before.get('cursor')?.first ?? 0
    // What was in use before this turn is still in use in the kernel during it.
    const used = [...before.values()].map((r) => ({ first: r.first, count: r.backends.length }))
    for (const { frontend, backends } of fresh) {
      const first = freeRange(used, backends.length, slotLimit, next)
      if (first === undefined) continue
      used.push({ first, count: backends.length })
      kept.push({ frontend, first, backends })
      next = first + backends.length
    }
    return [...kept, { frontend: 'cursor', first: next, backends: [] }]
  },
  [backendNumbers],
)

/**
 * What the kernel holds of services, as memory of the allocations above. With other numbers after a restart connections
 * made while entries are exchanged would reach another service's backends.
 */
export function heldServices(
  services: readonly ServiceRow[],
  slots: readonly SlotsRow[],
  backends: readonly BackendRow[],
): {
  readonly services: readonly ServiceNumber[]
  readonly runs: readonly SlotRun[]
  readonly backends: readonly BackendNumber[]
} {
  const runs = new Map(slots.map((s) => [s.first, s.backends]))
  const known = services.flatMap((row) => {
    const protocol = protocolName(row.protocol)
    const run = row.count === 0 ? [] : runs.get(row.slots)?.slice(0, row.count)
    return protocol && run ? [{ row, run, frontend: frontendKey({ ...row, protocol }) }] : []
  })
  const numbers = new Map<string, BackendNumber>()
  for (const { backend: number, address, port, protocol: n } of backends) {
    const protocol = protocolName(n)
    const backend = protocol && { address, port, protocol }
    if (backend) numbers.set(backendKey(backend), { key: backendKey(backend), number, backend })
  }
  const end = Math.max(0, ...known.map(({ row }) => row.slots + row.count))
  const next = 1 + Math.max(0, ...backends.map((b) => b.backend))
  return {
    services: known.map(({ row, frontend }) => ({ frontend, id: row.id })),
    runs: [
      ...known.map(({ row, run, frontend }) => ({ frontend: kernelRun(frontend), first: row.slots, backends: run })),
      { frontend: 'cursor', first: end, backends: [] },
    ],
    backends: [...numbers.values(), { key: 'cursor', number: next }],
  }
}

const protocolName = (number: number): Protocol | undefined =>
  (Object.keys(protocolNumber) as Protocol[]).find((name) => protocolNumber[name] === number)
