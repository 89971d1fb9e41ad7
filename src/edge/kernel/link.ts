// SPDX-License-Identifier: Apache-2.0
// Attachments as BPF links: a program stays attached as long as its link is pinned, whoever runs, and is exchanged in
// one step. libbpf of Debian 12 does not know tcx, so links are made by the system call itself. Kernels before 6.6 have
// no tcx: filter.ts is for them.
import { closeSync, mkdirSync, openSync, readdirSync, unlinkSync } from 'node:fs'
import { dirname } from 'node:path'
import { ATTACH, type AttachPoint, COMMAND, LINK_TYPE } from './bpf.ts'
import { Attribute, addressOf, bpf, bpfTry, close, errnoNumber, KernelError } from './syscall.ts'

export type Direction = 'ingress' | 'egress'

/** What a link is, as the kernel says. `interface` 0: the device is gone and the link with it. */
export interface LinkInfo {
  readonly id: number
  readonly program: number
  readonly point: AttachPoint | undefined
  readonly interface: number
  readonly cgroup: bigint
}

/** Attaches (by tcx) to a device of the current network namespace; returns the link's descriptor. */
export function attachInterface(program: number, ifindex: number, direction: Direction): number {
  const point = ATTACH[`tcx_${direction}`]
  const attribute = new Attribute(64).u32(0, program).u32(4, ifindex).u32(8, point)
  return bpf(COMMAND.LINK_CREATE, attribute.bytes, `tcx ${direction} of interface ${ifindex}`)
}

/** Attaches to a cgroup by its directory; returns the link's descriptor. */
export function attachCgroup(program: number, directory: string, point: AttachPoint): number {
  const fd = openSync(directory, 'r')
  try {
    const attribute = new Attribute(64).u32(0, program).u32(4, fd).u32(8, ATTACH[point])
    return bpf(COMMAND.LINK_CREATE, attribute.bytes, `${point} of cgroup ${directory}`)
  } finally {
    closeSync(fd)
  }
}

/** Exchanges the program of a link; no packet meets neither. */
export function replaceProgram(link: number, program: number): void {
  bpf(COMMAND.LINK_UPDATE, new Attribute(16).u32(0, link).u32(4, program).bytes, `update of link fd ${link}`)
}

/** Ends an attachment at once, whoever else holds the link. */
export function detachLink(link: number): void {
  bpf(COMMAND.LINK_DETACH, new Attribute(4).u32(0, link).bytes, `detaching link fd ${link}`)
}

export function linkInfo(link: number): LinkInfo {
  const info = new Uint8Array(new ArrayBuffer(64))
  const attribute = new Attribute(16).u32(0, link).u32(4, info.byteLength).pointer(8, info)
  bpf(COMMAND.INFO_BY_FD, attribute.bytes, `info of link fd ${link}`)
  const view = new DataView(info.buffer)
  const type = view.getUint32(0, true)
  const isTcx = type === LINK_TYPE.TCX
  const isCgroup = type === LINK_TYPE.CGROUP
  const number = isTcx ? view.getUint32(20, true) : isCgroup ? view.getUint32(24, true) : -1
  return {
    id: view.getUint32(4, true),
    program: view.getUint32(8, true),
    point: (Object.keys(ATTACH) as AttachPoint[]).find((name) => ATTACH[name] === number),
    interface: isTcx ? view.getUint32(16, true) : 0,
    cgroup: isCgroup ? view.getBigUint64(16, true) : 0n,
  }
}

export interface ProgramInfo {
  readonly id: number
  readonly name: string
  /** Hash of the instructions: equal for equal code and constants. */
  readonly tag: string
  /** With kernel.bpf_stats_enabled: nanoseconds and runs. */
  readonly runTime: bigint
  readonly runs: bigint
  readonly verified: number
}

export function programInfo(program: number): ProgramInfo {
  const info = new Uint8Array(new ArrayBuffer(232))
  const attribute = new Attribute(16).u32(0, program).u32(4, info.byteLength).pointer(8, info)
  bpf(COMMAND.INFO_BY_FD, attribute.bytes, `info of program fd ${program}`)
  const view = new DataView(info.buffer)
  const name = new TextDecoder().decode(info.subarray(64, 80))
  return {
    id: view.getUint32(4, true),
    name: name.slice(0, name.indexOf('\0')),
    tag: Array.from(info.subarray(8, 16), (byte) => byte.toString(16).padStart(2, '0')).join(''),
    runTime: view.getBigUint64(192, true),
    runs: view.getBigUint64(200, true),
    verified: view.getUint32(216, true),
  }
}

/** Numbers of the maps a program uses. */
export function mapsOfProgram(program: number): readonly number[] {
  const info = new Uint8Array(new ArrayBuffer(232))
  const ids = new Uint32Array(new ArrayBuffer(4 * 64))
  const view = new DataView(info.buffer)
  view.setUint32(52, ids.length, true)
  view.setBigUint64(56, addressOf(ids), true)
  const attribute = new Attribute(16).u32(0, program).u32(4, info.byteLength).pointer(8, info)
  bpf(COMMAND.INFO_BY_FD, attribute.bytes, `maps of program fd ${program}`)
  return [...ids.subarray(0, Math.min(ids.length, view.getUint32(52, true)))]
}

/** Pins a map, program or link at a path of a bpffs; the directory is made. */
export function pin(fd: number, path: string): void {
  mkdirSync(dirname(path), { recursive: true })
  bpf(COMMAND.OBJ_PIN, new Attribute(16).pointer(0, pathBytes(path)).u32(8, fd).bytes, `pin ${path}`)
}

export function unpin(path: string): void {
  unlinkSync(path)
}

/** Descriptor of what is pinned at `path`, or undefined when nothing is. */
export function openPinned(path: string): number | undefined {
  const bytes = pathBytes(path)
  const attribute = new Attribute(16).pointer(0, bytes)
  const result = bpfTry(COMMAND.OBJ_GET, attribute.address, 16)
  if (result === -errnoNumber('ENOENT')) return undefined
  if (result < 0) throw new KernelError(`open ${path}`, -result)
  return result
}

/** The links pinned in a directory, by file name. Those whose device is gone are listed too, with interface 0. */
export function pinnedLinks(directory: string): ReadonlyMap<string, LinkInfo> {
  const found = new Map<string, LinkInfo>()
  for (const entry of readdirSync(directory, { withFileTypes: true })) {
    if (entry.isDirectory()) continue
    const fd = openPinned(`${directory}/${entry.name}`)
    if (fd === undefined) continue
    try {
      found.set(entry.name, linkInfo(fd))
    } finally {
      close(fd)
    }
  }
  return found
}

const pathBytes = (path: string): Uint8Array => {
  const text = new TextEncoder().encode(path)
  const bytes = new Uint8Array(new ArrayBuffer(text.byteLength + 1))
  bytes.set(text)
  return bytes
}
