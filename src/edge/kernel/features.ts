// SPDX-License-Identifier: Apache-2.0
// What differs between the kernels this datapath runs on. A row claims the version it came with; test/kernel/edge holds
// the claims against the kernel at hand.
import { release } from 'node:os'
import { ATTACH, COMMAND, HELPER, PROGRAM_TYPE } from './bpf.ts'
import { Attribute, bpfTry, close, errnoNumber } from './syscall.ts'

/** The oldest Linux that the datapath is tested on. */
export const OLDEST_KERNEL = '6.1'

export interface Feature {
  readonly name: string
  /** Version of Linux it came with; a distribution may have it earlier. */
  readonly since: string
  readonly present: boolean
  /** What the datapath does without it; '' when it can not do without. */
  readonly instead: string
}

interface Row extends Omit<Feature, 'present'> {
  readonly look: () => boolean
}

const rows: readonly Row[] = [
  {
    name: 'tcx',
    since: '6.6',
    instead: 'programs are attached to devices as filters of traffic control (clsact)',
    look: hasTcx,
  },
  { name: 'bpf_redirect_peer', since: '5.10', instead: '', look: () => hasHelper('SCHED_CLS', HELPER.redirect_peer) },
  { name: 'bpf_loop', since: '5.17', instead: '', look: () => hasHelper('SCHED_CLS', HELPER.loop) },
  {
    name: 'bpf_set_retval',
    since: '5.18',
    instead: '',
    look: () => hasHelper('CGROUP_SOCK_ADDR', HELPER.set_retval, ATTACH.connect4),
  },
  { name: 'programs run by user space', since: '5.14', instead: '', look: () => loads('SYSCALL', [MOVE_0, EXIT]) },
]

/** All rows, looked at now. */
export const features = (): readonly Feature[] => rows.map(({ look, ...row }) => ({ ...row, present: look() }))

/** A sentence for each thing that this kernel lacks and that something stands in for. */
export const fallbacks = (all: readonly Feature[] = features()): readonly string[] =>
  all
    .filter(({ present, instead }) => !present && instead !== '')
    .map(({ name, since, instead }) => `without ${name} (Linux ${since}): ${instead}`)

/** How programs get to devices: links, which came with Linux 6.6, or filters of traffic control. */
export type AttachMode = 'tcx' | 'tc'
let mode: AttachMode | undefined
export const attachMode = (): AttachMode => (mode ??= hasTcx() ? 'tcx' : 'tc')

/** Compares the numbers that a version starts with: '6.1.0-50-amd64' is not older than '6.1'. */
export function isOlder(version: string, than: string): boolean {
  const numbers = (text: string): readonly [number, number] => {
    const found = /^(\d+)\.(\d+)/.exec(text)
    return [Number(found?.[1] ?? 0), Number(found?.[2] ?? 0)]
  }
  const [a, b] = [numbers(version), numbers(than)]
  return a[0] < b[0] || (a[0] === b[0] && a[1] < b[1])
}

/** The running kernel's release. */
export const kernelRelease = (): string => release()

// A query of tcx programs on a device that does not exist: ENODEV where tcx is known, EINVAL where it is not.
function hasTcx(): boolean {
  const attribute = new Attribute(64).u32(0, 0x7fffffff).u32(4, ATTACH.tcx_ingress)
  return bpfTry(COMMAND.PROG_QUERY, attribute.address, 64) !== -errnoNumber('EINVAL')
}

const EXIT = 0x95n
const MOVE_0 = 0xb7n
const call = (helper: number): bigint => 0x85n | (BigInt(helper) << 32n)

// The verifier knows a helper before it looks at its arguments, which are not right here: EACCES says that it does.
function hasHelper(type: keyof typeof PROGRAM_TYPE, helper: number, point = 0): boolean {
  const result = load(type, [call(helper), MOVE_0, EXIT], point)
  return result >= 0 || result === -errnoNumber('EACCES')
}

const loads = (type: keyof typeof PROGRAM_TYPE, instructions: readonly bigint[]): boolean =>
  load(type, instructions, 0) >= 0

/** Loads a program and forgets it; 0 or the negated errno. */
function load(type: keyof typeof PROGRAM_TYPE, instructions: readonly bigint[], point: number): number {
  const SLEEPABLE = 1 << 4 // what programs of the type SYSCALL have to be
  const code = new BigUint64Array(new ArrayBuffer(8 * instructions.length))
  code.set(instructions)
  const license = new TextEncoder().encode('Dual BSD/GPL\0')
  const attribute = new Attribute(120)
    .u32(0, PROGRAM_TYPE[type])
    .u32(4, instructions.length)
    .pointer(8, code)
    .pointer(16, license)
    .u32(44, type === 'SYSCALL' ? SLEEPABLE : 0)
    .u32(68, point)
  const result = bpfTry(COMMAND.PROG_LOAD, attribute.address, 120)
  if (result < 0) return result
  close(result)
  return 0
}
