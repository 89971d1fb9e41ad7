// SPDX-License-Identifier: Apache-2.0
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs'

let place = '/sys/kernel/rcu_expedited'

/** Where the switch is: a container of capabilities has its own /sys read-only, and the node's elsewhere. */
export function useSwitch(path: string): void {
  if (existsSync(path)) place = path
}

/** Who of this process wants it now. */
let holders = 0
let moved = false
let marker: string | undefined

/**
 * Lets the kernel end its grace periods at once (rcu_expedited) instead of when it is convenient: to attach a program
 * to a device then takes 0.1 ms instead of 12, and each of its programs costs a device that goes as much. The switch is
 * the whole machine's, so it is to be put back soon, by the result; where it can not be moved the work is merely slower.
 */
export function hurry(): () => void {
  if (holders++ === 0)
    try {
      moved = readFileSync(place, 'utf8').trim() === '0'
      if (moved) {
        if (marker !== undefined) writeFileSync(marker, '')
        writeFileSync(place, '1')
      }
    } catch {
      if (moved && marker !== undefined) rmSync(marker, { force: true })
      moved = false
    }
  let held = true
  return () => {
    if (!held) return
    held = false
    if (--holders > 0 || !moved) return
    writeFileSync(place, '0')
    if (marker !== undefined) rmSync(marker, { force: true })
  }
}

/**
 * While the switch is moved, `file` says so. One that is there already was left by a process that died in between: its
 * switch is put back; in a container that sees /sys read-only it can not have been moved.
 */
export function markHurry(file: string, at = place): void {
  marker = file
  if (!existsSync(file)) return
  try {
    writeFileSync(at, '0')
  } catch (e) {
    if (!['EROFS', 'EACCES', 'EPERM'].includes((e as NodeJS.ErrnoException).code ?? '')) throw e
  }
  rmSync(file)
}

/** Runs `work` in a hurry. */
export function withoutGrace<T>(work: () => T): T {
  const release = hurry()
  try {
    return work()
  } finally {
    release()
  }
}
