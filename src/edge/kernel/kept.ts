// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync, renameSync, rmdirSync, unlinkSync } from 'node:fs'
import { basename } from 'node:path'
import { mapsOfProgram, openPinned, pin } from './link.ts'
import { mapInfo } from './map.ts'
import { type LoadedObject, loadObject, named, type ObjectSettings } from './object.ts'
import { close } from './syscall.ts'

/**
 * Loads an object, or finds its programs as an earlier process left them: pinned beside the maps, under a name made of
 * the object's bytes, constants and sizes. Verification of the datapath takes half a second, and a program that is
 * found again is the one its links hold already. Only pinned maps are among `maps` when it was found.
 */
export function loadKept(path: string, settings: ObjectSettings & { readonly pins: string }): LoadedObject {
  const { pins } = settings
  const directory = `${pins}/programs`
  // A bpffs takes no dots in names.
  const prefix = `${basename(path, '.o').replaceAll('.', '_')}-`
  const name = prefix + fingerprint(path, settings)
  const found = entriesOf(directory).find((entry) => entry.name.startsWith(`${name}-`))
  if (found) {
    const object = openKept(path, `${directory}/${found.name}`, pins, Number(found.name.slice(name.length + 1)))
    if (object) return object
    removeKept(`${directory}/${found.name}`)
  }

  const object = loadObject(path, settings)
  const maps = openAll(pins)
  const whole = `${name}-${sharedMaps(object.programs, maps)}`
  closeAll(maps)
  // Renamed when whole, so that half a set is never found.
  const unfinished = `${directory}/unfinished-${name}`
  removeKept(unfinished)
  for (const [program, fd] of object.programs) pin(fd, `${unfinished}/${program}`)
  renameSync(unfinished, `${directory}/${whole}`)
  for (const { name: other } of entriesOf(directory))
    if (other.startsWith(prefix) && other !== whole) removeKept(`${directory}/${other}`)
  return object
}

function fingerprint(path: string, settings: ObjectSettings): string {
  const hash = createHash('sha256').update(readFileSync(path))
  for (const [key, bytes] of Object.entries(settings.constants ?? {}).sort()) hash.update(key).update(bytes)
  hash.update(JSON.stringify([Object.entries(settings.maxEntries ?? {}).sort(), settings.only ?? []]))
  return hash.digest('hex').slice(0, 16)
}

function openKept(path: string, directory: string, pins: string, shared: number): LoadedObject | undefined {
  const programs = openAll(directory)
  const maps = openAll(pins)
  const close = (): void => {
    closeAll(programs)
    closeAll(maps)
  }
  // A map that was removed, and perhaps made again, has another number; these programs would still use the old one.
  if (programs.size === 0 || sharedMaps(programs, maps) !== shared) {
    close()
    return undefined
  }
  return {
    maps,
    programs,
    map: (wanted) => named(maps, wanted, path, 'map'),
    program: (wanted) => named(programs, wanted, path, 'program'),
    close,
  }
}

/** How many of the pinned maps the programs use. */
function sharedMaps(programs: ReadonlyMap<string, number>, maps: ReadonlyMap<string, number>): number {
  const pinned = new Set([...maps.values()].map((fd) => mapInfo(fd).id))
  return new Set([...programs.values()].flatMap(mapsOfProgram).filter((id) => pinned.has(id))).size
}

function closeAll(fds: ReadonlyMap<string, number>): void {
  for (const fd of fds.values()) close(fd)
}

/** What is pinned in a directory, without what lies deeper; nothing when there is no such directory. */
function openAll(directory: string): Map<string, number> {
  const fds = new Map<string, number>()
  for (const entry of entriesOf(directory)) {
    if (entry.isDirectory()) continue
    const fd = openPinned(`${directory}/${entry.name}`)
    if (fd !== undefined) fds.set(entry.name, fd)
  }
  return fds
}

function entriesOf(directory: string) {
  try {
    return readdirSync(directory, { withFileTypes: true })
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}

function removeKept(directory: string): void {
  const entries = entriesOf(directory)
  for (const entry of entries) unlinkSync(`${directory}/${entry.name}`)
  try {
    rmdirSync(directory)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error
  }
}
