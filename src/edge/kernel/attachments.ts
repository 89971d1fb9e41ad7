// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, statSync } from 'node:fs'
import type { Table } from '../../table/definition.ts'
import type { Outcome, Target } from '../../table/target.ts'
import type { AttachPoint } from './bpf.ts'
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
 * Attachments as pinned links in a directory of a bpffs. They outlive the agent and are found again; a changed program
 * takes the place of the old one in its link, with no packet between. `programs` are the loaded ones, by name; a program
 * loaded anew under the same name is another program. Call it in the namespace the devices are in.
 */
export function attachmentTarget<Row extends AttachmentRow>(
  table: Table<Row>,
  pins: string,
  programs: ReadonlyMap<string, number>,
): Target<Row> {
  mkdirSync(pins, { recursive: true })
  const ids = new Map([...programs].map(([name, fd]) => [programInfo(fd).id, name]))

  const write = (row: Row): Outcome => {
    const program = programs.get(row.program)
    if (program === undefined) return { ok: false, error: `no program ${row.program} is loaded`, permanent: true }
    const path = `${pins}/${attachmentKey(row)}`
    try {
      const held = openPinned(path)
      if (held !== undefined) {
        try {
          if (belongs(held, row)) {
            replaceProgram(held, program)
            return { ok: true }
          }
          unpin(path)
        } finally {
          close(held)
        }
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
      return { ok: true }
    } catch (error) {
      return { ok: false, error: error instanceof Error ? error.message : String(error) }
    }
  }

  const remove = (row: Row): Outcome => {
    try {
      unpin(`${pins}/${attachmentKey(row)}`)
      return { ok: true }
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { ok: true }
      return { ok: false, error: error instanceof Error ? error.message : String(error) }
    }
  }

  return {
    name: 'attachments',
    key: table.key,
    load() {
      const rows: AttachmentRow[] = []
      for (const [name, info] of pinnedLinks(pins)) {
        const program = ids.get(info.program) ?? OTHER
        const [kind, first, second] = name.split('-')
        if (kind === 'cgroup' && info.point !== undefined && info.point === first)
          rows.push({ kind: 'cgroup', directory: directoryOf(info.cgroup), point: info.point, program })
        else if (kind === 'device' && info.interface === Number(first) && info.interface !== 0)
          rows.push({ kind: 'device', device: info.interface, direction: second as Direction, program })
        // The device is gone, or its index belongs to another now: the link does nothing any more.
        else unpin(`${pins}/${name}`)
      }
      return rows as Row[]
    },
    equal: (a, b) =>
      a.program === b.program &&
      (a.kind !== 'cgroup' || b.kind !== 'cgroup' || sameDirectory(a.directory, b.directory)),
    write: (rows) => rows.map(write),
    remove: (rows) => rows.map(remove),
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

/** Ends all attachments of a directory: what uninstalling does. */
export function detachAll(pins: string): void {
  for (const name of pinnedLinks(pins).keys()) unpin(`${pins}/${name}`)
}
