// SPDX-License-Identifier: Apache-2.0
/** Policy in the kernel: what a look-up takes with few and with many rules, and what its maps take of memory. */
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { maps, u32Layout } from '../../gen/contract.ts'
import { policyClassRows, policyTableRows } from '../../src/derive/policy/decisions.ts'
import { cellRows } from '../../src/derive/proxy/tables.ts'
import { classesTarget } from '../../src/edge/kernel/classes.ts'
import { cellsTarget, policyTablesTarget } from '../../src/edge/kernel/contract.ts'
import { BpfMap, contractMap } from '../../src/edge/kernel/map.ts'
import { type LoadedObject, loadObject } from '../../src/edge/kernel/object.ts'
import { runOnPacket } from '../../src/edge/kernel/run.ts'
import { present } from '../../src/edge/kernel/target.ts'
import type { ClassesRow } from '../../src/model/datapath.ts'
import { absolute, type Figure, relative } from './figure.ts'
import { cluster } from './policy.ts'

const QUESTIONS = 512
const ROUNDS = 40

/** The contract's maps and the programs of lookup.bpf.c, for the time of `work`. */
export function withLookup(work: (object: LoadedObject) => void): void {
  const dir = mkdtempSync(join(tmpdir(), 'bench-lookup-'))
  // Also of a bundle, in build/bench.
  const root = join(import.meta.dirname, '../..')
  const machine = process.arch === 'arm64' ? 'aarch64' : 'x86_64'
  const includes = [`-I/usr/include/${machine}-linux-gnu`, `-I${join(root, 'bpf')}`]
  const path = join(dir, 'lookup.o')
  const source = join(root, 'test/bench/lookup.bpf.c')
  try {
    execFileSync('clang-19', ['-O2', '-g', '-target', 'bpf', '-mcpu=v3', ...includes, '-c', source, '-o', path])
    const small = { cilium_flows: 64, cilium_nat: 64, cilium_events: 4096, cilium_fragments: 64 }
    const object = loadObject(path, { maxEntries: { ...small, cilium_reverse_sockets: 64 } })
    try {
      work(object)
    } finally {
      object.close()
    }
  } finally {
    rmSync(dir, { recursive: true })
  }
}

const random = (seed: number) => {
  let state = seed
  return (below: number): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 2 ** 32) * below)
  }
}

/** Numbers of peers as hashes of their labels give them: all over their range. */
const peers = {
  cluster: (i: number) => 256 + ((i * 40507) % 65280),
  prefix: (i: number) => 0x01000001 + ((i * 40507) % 0x7fffff),
} as const

/**
 * Nanoseconds a look-up takes with so many rules: each for an identity of its own, with a class and cells of its own; and
 * what of it is the way from peer to class.
 */
function lookUp(
  object: LoadedObject,
  rules: number,
  peer: (i: number) => number,
): { readonly whole: number; readonly toClass: number } {
  const columns = 4
  const table = contractMap(maps.cilium_policy_tables, object.map('cilium_policy_tables'))
  const pages = contractMap(maps.cilium_policy_pages, object.map('cilium_policy_pages'))
  const cells = contractMap(maps.cilium_policy_cells, object.map('cilium_policy_cells'))
  const policies = contractMap(maps.cilium_policies, object.map('cilium_policies'))
  const question = new BpfMap('bench_questions', object.map('bench_questions'), u32Layout, {
    size: 8,
    read: (view, at) => [view.getUint32(at, true), view.getUint32(at + 4, true)] as const,
    write: (view, at, [identity, port]: readonly [number, number]) => {
      view.setUint32(at, identity, true)
      view.setUint32(at + 4, port, true)
    },
  })
  const any = random(7)
  policies.put(1, { ingress: 1, egress: 0 })
  const page = Array.from({ length: 5 }, () => Array.from({ length: 256 }, (_, i) => i % 16))
  table.put(1, { cells: 0, columns, other: 0, page })
  pages.putAll(
    Array.from({ length: 16 }, (_, i) => [i, { column: Array.from({ length: 256 }, (_, k) => (i + k) % columns) }]),
  )
  const target = classesTarget(policyClassRows, object.map)
  target.remove(target.load() as readonly ClassesRow[])
  target.write([{ table: 1, classes: new Map(Array.from({ length: rules }, (_, i) => [peer(i), i + 1])) }])
  const cell = { shadowRule: 0, verdict: 1, shadowVerdict: 0, proxyPort: 0 }
  cells.putAll(Array.from({ length: (rules + 1) * columns }, (_, i) => [i, { ...cell, rule: 1 + (i % 60000) }]))
  question.putAll(Array.from({ length: 16384 }, (_, i) => [i, [peer(any(rules)), any(65536)]]))
  const packet = new Uint8Array(64)
  const timed = (program: string): number => {
    const run = runOnPacket(object.program(program), packet, {}, { repeat: 100 })
    if (run.value !== 0) throw new Error(`${program}: ${run.value} look-ups were refused`)
    return run.duration / QUESTIONS
  }
  // The least of all rounds: whatever else runs can only add.
  const least = (program: string): number => Math.min(...Array.from({ length: ROUNDS }, () => timed(program)))
  const loop = least('loop_only')
  return { whole: least('look_up') - loop, toClass: least('look_up_class') - loop }
}

export function lookUps(object: LoadedObject, report: (figure: Figure) => void): void {
  for (const [what, peer, goal] of [
    ['rules', peers.cluster, 35],
    ['rules for prefixes', peers.prefix, undefined],
  ] as const)
    for (const rules of [10, 1000, 10_000]) {
      const { whole, toClass } = lookUp(object, rules, peer)
      const measured = { baseline: toClass, ratio: whole / toClass }
      const name = `policy look-up in the kernel, ${rules.toLocaleString('en')} ${what}, against peer to class alone`
      report({ ...absolute(name, whole, 'ns', goal), ...measured })
    }
}

/** Bytes that the kernel counts for a map: those of elements that are there. */
const memoryOf = (fd: number): number =>
  Number(/memlock:\s+(\d+)/.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'utf8'))?.[1])

/** What the policy of so many endpoints, of so many label sets, takes: entries of classes, cells and tables. */
async function taken(endpoints: number, labelSets: number): Promise<number> {
  const db = cluster({ policies: 200, identities: 200, remotePods: 0, endpoints, labelSets, namespaces: 5 })
  let bytes = 0
  const targets: [string, (fd: number) => Promise<unknown>][] = [
    ['cilium_policy_cells', async (fd) => cellsTarget(cellRows, fd).write(db.all(cellRows))],
    ['cilium_policy_tables', async (fd) => policyTablesTarget(policyTableRows, fd).write(db.all(policyTableRows))],
  ]
  const wait: Promise<unknown>[] = []
  withLookup((object) => {
    const before = memoryOf(object.map('cilium_policy_classes'))
    for (const [map, write] of targets) wait.push(write(object.map(map)))
    wait.push(Promise.resolve(classesTarget(policyClassRows, object.map).write(db.all(policyClassRows))))
    bytes += memoryOf(object.map('cilium_policy_classes')) - before
    const index = contractMap(maps.cilium_class_index, object.map('cilium_class_index'))
    for (const [, { page }] of present(index))
      bytes += index.value.size + page.filter((number) => number !== 0).length * maps.cilium_class_pages.value.size
  })
  await Promise.all(wait)
  const { size: cell } = maps.cilium_policy_cells.value
  const { size: table } = maps.cilium_policy_tables.value
  for (const row of db.all(cellRows)) bytes += row.cells.length * cell
  return bytes + db.count(policyTableRows) * table
}

export async function memory(report: (figure: Figure) => void): Promise<void> {
  const all = await taken(110, 10)
  const alone = await taken(10, 10)
  const ratio = all / alone
  report(
    relative('kernel memory of the policy of 110 endpoints of 10 label sets', all / 1024, 'kB', alone / 1024, ratio, 1),
  )
}
