// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { fail, ok, type Result } from '../../base/result.ts'

/** Replaces the file as a whole; makes its directory (0700) if needed. Survives the end of the process, not of the machine. */
export function writeWhole(path: string, text: string, mode = 0o600): void {
  const beside = `${path}.${process.pid}.new`
  try {
    try {
      writeFileSync(beside, text, { mode })
    } catch (e) {
      if ((e as NodeJS.ErrnoException).code !== 'ENOENT') throw e
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
      writeFileSync(beside, text, { mode })
    }
    renameSync(beside, path)
  } catch (e) {
    rmSync(beside, { force: true }) // half a file on a full disk
    throw e
  }
}

/** Text of a file; undefined if there is none. */
export function readIfThere(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8')
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code === 'ENOENT') return undefined
    throw e
  }
}

/** Removes a file or a directory with all in it; nothing there is no error. */
export const removeAll = (path: string): void => rmSync(path, { recursive: true, force: true })

/** Names in a directory, sorted; none if it is not there. */
export function namesIn(path: string): readonly string[] {
  try {
    return readdirSync(path).sort()
  } catch (e) {
    if ((e as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw e
  }
}

/** A directory with one file for each option, as a ConfigMap is mounted: names and trimmed contents. */
export function optionDirectory(path: string): Result<readonly (readonly [name: string, text: string])[]> {
  try {
    const files = readdirSync(path)
      .filter((name) => !name.startsWith('.') && statSync(join(path, name)).isFile())
      .sort()
    return ok(files.map((name) => [name, readFileSync(join(path, name), 'utf8').trim()] as const))
  } catch (e) {
    return fail({ field: path, message: (e as Error).message })
  }
}
