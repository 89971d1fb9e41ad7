// SPDX-License-Identifier: Apache-2.0
import {
  closeSync,
  existsSync,
  openSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  rmSync,
  writeFileSync,
  writeSync,
} from 'node:fs'
import { basename } from 'node:path'

let place = '/sys/kernel/rcu_expedited'

/** Where the switch is: a container of capabilities has its own /sys read-only, and the node's elsewhere. */
export function useSwitch(path: string): void {
  if (existsSync(path)) place = path
}

/** Who of this process wants it now. */
let holders = 0
/** Open for as long as this process has the switch moved: so others see that somebody has. */
let moved: number | undefined
let marker: string | undefined

/**
 * Lets the kernel end its grace periods at once (rcu_expedited) instead of when it is convenient: to attach a program
 * to a device then takes 0.1 ms instead of 12, and each of its programs costs a device that goes as much. The switch is
 * the whole machine's, so it is to be put back soon, by the result; where it can not be moved the work is merely slower.
 */
export function hurry(): () => void {
  if (holders++ === 0)
    try {
      if (readFileSync(place, 'utf8').trim() === '0') {
        moved = openSync(place, 'r+')
        if (marker !== undefined) writeFileSync(marker, '')
        writeSync(moved, '1', 0)
      }
    } catch {
      if (moved !== undefined) forget(moved)
    }
  let held = true
  return () => {
    if (!held) return
    held = false
    if (--holders > 0 || moved === undefined) return
    writeSync(moved, '0', 0)
    forget(moved)
  }
}

function forget(file: number): void {
  closeSync(file)
  moved = undefined
  if (marker !== undefined) rmSync(marker, { force: true })
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

/**
 * For who outlives agents and their markers, as a lab its nodes: notes in `file`, unless that is noted, how the switch
 * stands when no agent has it moved.
 */
export function noteSwitch(file: string, at = place): void {
  if (existsSync(at) && !existsSync(file)) writeFileSync(file, isHeld(at) ? '0' : readFileSync(at, 'utf8'))
}

/** Puts the switch back to what was noted, where those who moved it have gone without. */
export function restoreSwitch(file: string, at = place): void {
  const now = () => readFileSync(at, 'utf8').trim()
  if (!existsSync(file) || readFileSync(file, 'utf8').trim() !== '0' || now() !== '1') return
  if (!isHeld(at)) writeFileSync(at, '0')
}

/** Has any process of the machine the switch open? Mounts elsewhere show it below another root. */
function isHeld(at: string): boolean {
  const gone = <T>(look: () => T, otherwise: T): T => {
    try {
      return look()
    } catch {
      return otherwise // it has ended meanwhile
    }
  }
  const leadsThere = (link: string) => basename(gone(() => readlinkSync(link), '')) === basename(at)
  return readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name) && Number(name) !== process.pid)
    .some((pid) => gone(() => readdirSync(`/proc/${pid}/fd`), []).some((file) => leadsThere(`/proc/${pid}/fd/${file}`)))
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
