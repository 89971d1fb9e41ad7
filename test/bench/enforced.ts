// SPDX-License-Identifier: Apache-2.0
/**
 * Runs inside a node: for every line on stdin, a number, waits until so many policies of the node have another ingress
 * table in the kernel than when the last line was answered (or at the start), and prints the time of that in
 * milliseconds since the epoch. It asks the kernel and not the agent, which has other things to do at that moment.
 */
import { createInterface } from 'node:readline'
import { maps } from '../../gen/contract.ts'
import { openPinned } from '../../src/edge/kernel/link.ts'
import { contractMap } from '../../src/edge/kernel/map.ts'

const path = '/sys/fs/bpf/tc/globals/cilium_policies'
const fd = openPinned(path)
if (fd === undefined) throw new Error(`there is no map ${path}`)
const { bytes } = contractMap(maps.cilium_policies, fd).memory('read')
const words = new Uint32Array(bytes)
const pause = new Int32Array(new SharedArrayBuffer(4))

/** The ingress tables of all policies. */
const now = (): Uint32Array => words.filter((_, i) => i % 2 === 0)
let before = now()
console.log('ready')
for await (const wanted of createInterface({ input: process.stdin })) {
  for (;;) {
    const there = now()
    if (there.filter((table, i) => table !== before[i]).length >= Number(wanted)) break
    Atomics.wait(pause, 0, 0, 0.1)
  }
  console.log(performance.timeOrigin + performance.now())
  before = now()
}
