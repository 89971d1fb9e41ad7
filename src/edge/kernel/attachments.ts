// SPDX-License-Identifier: Apache-2.0
import { existsSync, mkdirSync, readdirSync, statSync } from 'node:fs'
import type { Table } from '../../table/definition.ts'
import type { Outcome, Target } from '../../table/target.ts'
import type { AttachPoint } from './bpf.ts'
import { type AttachMode, attachMode } from './features.ts'
import { filters, putFilter, removeFilter } from './filter.ts'
import {
  attachCgroup,
  attachInterface,
  type Direction,
  linkInfo,
  openPinned,
  pin,
  pinnedLinks,
  programInfo,
  replaceProgram,
  unpin,
} from './link.ts'
import { close } from './syscall.ts'

/** A program that shall be attached to a device, by its index, or to a cgroup. */
export type AttachmentRow =
  | { readonly kind: 'device'; readonly device: number; readonly direction: Direction; readonly program: string }
  | { readonly kind: 'cgroup'; readonly directory: string; readonly point: AttachPoint; readonly program: string }

/** Key of an attachment, and the name of its pin. */
export const attachmentKey = (row: AttachmentRow): string =>
  row.kind === 'device' ? `device-${row.device}-${row.direction}` : `cgroup-${row.point}`

/** What a program that is attached and not among the loaded ones is called. */
const OTHER = ''

/**
 * Attachments that belong to a directory of a bpffs: links pinned there and, on kernels without links on devices, filters
 * that carry its name. They outlive the agent and are found again; a changed program takes the place of the old one,
 * with no packet between. What the other way of attaching left there goes. `programs` are the loaded ones, by name; a
 * program loaded anew under the same name is another program. Call all of it in the namespace the devices are in.
 */
export function attachmentTarget<Row extends AttachmentRow>(
  table: Table<Row>,
  pins: string,
  programs: ReadonlyMap<string, number>,
  mode: AttachMode = attachMode(),
): Target<Row> {
  mkdirSync(pins, { recursive: true })
  const ids = new Map([...programs].map(([name, fd]) => [programInfo(fd).id, name]))
  const foreign = mode === 'tcx' ? new Set(filtersOf(pins).map(attachmentKey)) : pinnedDevices(pins)

  const write = (row: Row): Outcome => {
    const program = programs.get(row.program)
    if (program === undefined) return { ok: false, error: `no program ${row.program} is loaded`, permanent: true }
    return attempt(() => {
      const key = attachmentKey(row)
      if (row.kind === 'cgroup' || mode === 'tcx') putLink(`${pins}/${key}`, row, program)
      else putFilter(program, row.device, row.direction, `${pins}/${row.program}`)
      if (row.kind === 'device' && foreign.delete(key)) removeDevice(other(mode), pins, row)
    })
  }

  const remove = (row: Row): Outcome =>
    attempt(() => {
      if (row.kind === 'cgroup') return unpinIfThere(`${pins}/${attachmentKey(row)}`)
      removeDevice(mode, pins, row)
      if (foreign.delete(attachmentKey(row))) removeDevice(other(mode), pins, row)
    })

  return {
    name: 'attachments',
    key: table.key,
    load() {
      const rows = [...linkRows(pins), ...filtersOf(pins)]
      // Attached both ways or the other way: as if by another program, so that it is written or removed.
      const found = new Map(rows.map((row) => [attachmentKey(row), row]))
      return [...found].map(([key, { id, ...row }]) => ({
        ...row,
        program: foreign.has(key) ? OTHER : (ids.get(id) ?? OTHER),
      })) as AttachmentRow[] as Row[]
    },
    equal: (a, b) =>
      a.program === b.program &&
      (a.kind !== 'cgroup' || b.kind !== 'cgroup' || sameDirectory(a.directory, b.directory)),
    write: (rows) => rows.map(write),
    remove: (rows) => rows.map(remove),
  }
}

/** What is attached, and the number of its program. */
type Found = AttachmentRow & { readonly id: number }
type DevicePlace = { readonly kind: 'device'; readonly device: number; readonly direction: Direction }

const other = (mode: AttachMode): AttachMode => (mode === 'tcx' ? 'tc' : 'tcx')

function linkRows(pins: string): Found[] {
  const rows: Found[] = []
  for (const [name, info] of pinnedLinks(pins)) {
    const [kind, first, second] = name.split('-')
    const { program: id, point } = info
    if (kind === 'cgroup' && point !== undefined && point === first)
      rows.push({ kind: 'cgroup', directory: directoryOf(info.cgroup), point, program: OTHER, id })
    else if (kind === 'device' && info.interface === Number(first) && info.interface !== 0)
      rows.push({ kind: 'device', device: info.interface, direction: second as Direction, program: OTHER, id })
    // The device is gone, or its index belongs to another now: the link does nothing any more.
    else unpin(`${pins}/${name}`)
  }
  return rows
}

const filtersOf = (pins: string): Found[] =>
  filters()
    .filter(({ name }) => name.slice(0, name.lastIndexOf('/')) === pins)
    .map(({ device, direction, program }) => ({ kind: 'device', device, direction, program: OTHER, id: program }))

/** Keys of the links on devices that are pinned. */
const pinnedDevices = (pins: string): Set<string> =>
  new Set(readdirSync(pins).filter((name) => name.startsWith('device-')))

/** Pins a new link, or exchanges the program of the one that is there. */
function putLink(path: string, row: AttachmentRow, program: number): void {
  const held = openPinned(path)
  if (held !== undefined)
    try {
      if (belongs(held, row)) {
        replaceProgram(held, program)
        return
      }
      unpin(path)
    } finally {
      close(held)
    }
  const link =
    row.kind === 'device'
      ? attachInterface(program, row.device, row.direction)
      : attachCgroup(program, row.directory, row.point)
  try {
    pin(link, path)
  } finally {
    close(link)
  }
}

function removeDevice(mode: AttachMode, pins: string, row: DevicePlace): void {
  if (mode === 'tc') removeFilter(row.device, row.direction)
  else unpinIfThere(`${pins}/${attachmentKey({ ...row, program: OTHER })}`)
}

function unpinIfThere(path: string): void {
  try {
    unpin(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}

function attempt(work: () => void): Outcome {
  try {
    work()
    return { ok: true }
  } catch (error) {
    return { ok: false, error: error instanceof Error ? error.message : String(error) }
  }
}

/** The kernel names a cgroup by its inode; so does a row that was read back. */
const directoryOf = (cgroup: bigint): string => `inode ${cgroup}`

function sameDirectory(a: string, b: string): boolean {
  const inode = (directory: string): string => {
    if (directory.startsWith('inode ')) return directory
    try {
      return directoryOf(statSync(directory, { bigint: true }).ino)
    } catch {
      return directory
    }
  }
  return inode(a) === inode(b)
}

function belongs(link: number, row: AttachmentRow): boolean {
  const info = linkInfo(link)
  if (row.kind === 'device') return info.interface === row.device && info.point === `tcx_${row.direction}`
  return info.point === row.point && sameDirectory(directoryOf(info.cgroup), row.directory)
}

/** Attaches a program to a device as this kernel can, for as long as the device is there or until what is returned is called. */
export function attachDevice(program: number, device: number, direction: Direction): () => void {
  if (attachMode() === 'tcx') {
    const link = attachInterface(program, device, direction)
    return () => close(link)
  }
  putFilter(program, device, direction, 'by hand')
  return () => removeFilter(device, direction)
}

/** Ends all attachments of a directory: what uninstalling does. */
export function detachAll(pins: string): void {
  if (existsSync(pins)) for (const name of pinnedLinks(pins).keys()) unpin(`${pins}/${name}`)
  for (const { device, direction } of filters().filter(({ name }) => name.startsWith(`${pins}/`)))
    removeFilter(device, direction)
}
