// SPDX-License-Identifier: Apache-2.0
import { accessSync, constants, existsSync, mkdirSync, readFileSync, statfsSync } from 'node:fs'
import { COMMAND, MAP_FLAG, MAP_TYPE } from './bpf.ts'
import { features, isOlder, kernelRelease, OLDEST_KERNEL } from './features.ts'
import { Attribute, bpfTry, close, errnoNumber, KernelError, libbpf, mount } from './syscall.ts'

/** One thing the datapath needs of the kernel; `fix` says how to get it when it is not there. */
export interface Requirement {
  readonly name: string
  readonly present: boolean
  readonly detail: string
  readonly fix: string
}

const BPFFS = 0xcafe4a11
const CGROUP2 = 0x63677270

export interface Places {
  readonly bpffs?: string
  readonly cgroup?: string
  /** The kernel's release, as `uname -r` says it. */
  readonly kernel?: string
}

/** What this kernel and this process offer. Nothing is changed. */
export function probe(places: Places = {}): readonly Requirement[] {
  const bpffs = places.bpffs ?? '/sys/fs/bpf'
  const cgroup = places.cgroup ?? '/sys/fs/cgroup'
  const bpf = bpfAnswer()
  const library = libraryAnswer()
  const kernel = places.kernel ?? kernelRelease()
  return [
    {
      name: 'kernel',
      present: !isOlder(kernel, OLDEST_KERNEL),
      detail: `Linux ${kernel}`,
      fix: `it is too old: this datapath needs Linux ${OLDEST_KERNEL} or newer`,
    },
    {
      name: 'bpf',
      present: bpf === '',
      detail: bpf || 'bpf() answers',
      fix: 'run as root, or give the process CAP_BPF, CAP_NET_ADMIN and CAP_SYS_ADMIN',
    },
    {
      name: 'libbpf',
      present: library === '',
      detail: library || 'libbpf.so.1',
      fix: 'install libbpf1 (Debian: apt-get install libbpf1)',
    },
    {
      name: 'btf',
      present: existsSync('/sys/kernel/btf/vmlinux'),
      detail: '/sys/kernel/btf/vmlinux',
      fix: 'use a kernel built with CONFIG_DEBUG_INFO_BTF=y',
    },
    // Who may not ask can not know.
    ...(bpf === '' ? features() : [])
      .filter(({ instead }) => instead === '')
      .map(({ name, since, present }) => ({
        name,
        present,
        detail: present ? 'the kernel has it' : 'this kernel lacks it',
        fix: `use Linux ${since} or newer, with BPF as Debian configures it`,
      })),
    {
      name: 'bpffs',
      present: isFilesystem(bpffs, BPFFS) && isWritable(bpffs),
      detail: isFilesystem(bpffs, BPFFS) ? `${bpffs}, read-only` : bpffs,
      fix: isFilesystem(bpffs, BPFFS) ? `mount -o remount,rw ${bpffs}` : `mount it: mount -t bpf bpf ${bpffs}`,
    },
    {
      name: 'cgroup2',
      present: isFilesystem(cgroup, CGROUP2),
      detail: cgroup,
      fix: `mount it: mount -t cgroup2 none ${cgroup}; or name another place with --cgroup-root`,
    },
  ]
}

/** Throws one error that lists all that is missing and how to get it. */
export function demand(requirements: readonly Requirement[]): void {
  const missing = requirements.filter((requirement) => !requirement.present)
  if (missing.length === 0) return
  const lines = missing.map(({ name, detail, fix }) => `  ${name} (${detail}): ${fix}`)
  throw new Error(`this machine lacks what the datapath needs:\n${lines.join('\n')}`)
}

/** Mounts a bpffs where there is none yet. Where that can not be done, `probe` says so, with everything else that is missing. */
export function ensureBpffs(path: string): void {
  try {
    mkdirSync(path, { recursive: true })
    if (!isFilesystem(path, BPFFS)) mount('bpf', path, 'bpf')
  } catch {}
}

/** Where the unified cgroup hierarchy is mounted, as /proc says; undefined without one. */
export function findCgroup2(): string | undefined {
  for (const line of readFileSync('/proc/self/mounts', 'utf8').split('\n')) {
    const [, path, type] = line.split(' ')
    if (type === 'cgroup2') return path
  }
  return undefined
}

function isFilesystem(path: string, magic: number): boolean {
  try {
    return statfsSync(path).type === magic
  } catch {
    return false
  }
}

/** Root may write everywhere but to what is mounted read-only. */
function isWritable(path: string): boolean {
  try {
    accessSync(path, constants.W_OK)
    return true
  } catch {
    return false
  }
}

// A trie needs CAP_BPF whatever kernel.unprivileged_bpf_disabled says.
function bpfAnswer(): string {
  const smallest = new Attribute(72)
    .u32(0, MAP_TYPE.LPM_TRIE)
    .u32(4, 8)
    .u32(8, 4)
    .u32(12, 1)
    .u32(16, MAP_FLAG.NO_PREALLOC)
  const result = bpfTry(COMMAND.MAP_CREATE, smallest.address, 72)
  if (result >= 0) close(result)
  if (result === -errnoNumber('EPERM')) return 'bpf() is not permitted'
  if (result === -errnoNumber('ENOSYS')) return 'this kernel has no bpf()'
  return result < 0 ? new KernelError('bpf(MAP_CREATE)', -result).message : ''
}

function libraryAnswer(): string {
  try {
    libbpf()
    return ''
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}
