// SPDX-License-Identifier: Apache-2.0
import { COMMAND } from './bpf.ts'
import { Attribute, bpf } from './syscall.ts'

/** Fields of __sk_buff that a test run may set; the rest of it comes from the packet. */
export interface PacketContext {
  readonly mark?: number
  readonly priority?: number
  readonly ingressInterface?: number
  /** A device of the current network namespace; 1 (lo) when absent. */
  readonly interface?: number
  readonly cb?: readonly number[]
  readonly gsoSegments?: number
  readonly gsoSize?: number
  readonly wireLength?: number
}

export interface RunResult {
  /** What the program returned, e.g. TC_ACT_SHOT 2, TC_ACT_REDIRECT 7. A redirect is not carried out. */
  readonly value: number
  readonly packet: Uint8Array
  readonly mark: number
  readonly priority: number
  readonly cb: readonly number[]
  /** Mean time of one run, ns. */
  readonly duration: number
}

const CONTEXT_SIZE = 192
const at = {
  mark: 8,
  priority: 32,
  ingress: 36,
  interface: 40,
  cb: 48,
  wireLength: 160,
  gsoSegments: 164,
  gsoSize: 176,
}

/**
 * Runs a program on a packet (Ethernet header first) without any device: BPF_PROG_TEST_RUN. The packet is copied; with
 * `repeat` the same packet goes through again and again, as the program left it.
 */
export function runOnPacket(
  program: number,
  packet: Uint8Array,
  context: PacketContext = {},
  options: { readonly repeat?: number; readonly room?: number } = {},
): RunResult {
  const input = packet.slice()
  const output = new Uint8Array(new ArrayBuffer(packet.byteLength + (options.room ?? 256)))
  const contextIn = contextBytes(context)
  const contextOut = new DataView(new ArrayBuffer(CONTEXT_SIZE))
  const attribute = new Attribute(80)
    .u32(0, program)
    .u32(8, input.byteLength)
    .u32(12, output.byteLength)
    .pointer(16, input)
    .pointer(24, output)
    .u32(32, options.repeat ?? 1)
    .u32(40, CONTEXT_SIZE)
    .u32(44, CONTEXT_SIZE)
    .pointer(48, contextIn)
    .pointer(56, contextOut)
  bpf(COMMAND.PROG_TEST_RUN, attribute.bytes, `test run of program fd ${program}`)
  return {
    value: attribute.view.getInt32(4, true),
    packet: output.subarray(0, attribute.view.getUint32(12, true)),
    mark: contextOut.getUint32(at.mark, true),
    priority: contextOut.getUint32(at.priority, true),
    cb: [0, 1, 2, 3, 4].map((i) => contextOut.getUint32(at.cb + 4 * i, true)),
    duration: attribute.view.getUint32(36, true),
  }
}

function contextBytes(context: PacketContext): DataView {
  const view = new DataView(new ArrayBuffer(CONTEXT_SIZE))
  view.setUint32(at.mark, context.mark ?? 0, true)
  view.setUint32(at.priority, context.priority ?? 0, true)
  view.setUint32(at.ingress, context.ingressInterface ?? 0, true)
  view.setUint32(at.interface, context.interface ?? 0, true)
  for (const [index, value] of (context.cb ?? []).entries()) view.setUint32(at.cb + 4 * index, value, true)
  view.setUint32(at.wireLength, context.wireLength ?? 0, true)
  view.setUint32(at.gsoSegments, context.gsoSegments ?? 0, true)
  view.setUint32(at.gsoSize, context.gsoSize ?? 0, true)
  return view
}
