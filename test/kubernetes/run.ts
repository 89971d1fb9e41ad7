// SPDX-License-Identifier: Apache-2.0
import { spawn } from 'node:child_process'
import { closeSync, mkdirSync, openSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { ran } from '../ran.ts'

/** Output of a program that must succeed. */
export async function output(program: string, args: readonly string[], input = '', env = process.env): Promise<string> {
  const r = await ran(program, args, input, env)
  if (r.code !== 0)
    throw new Error(`${program} ${args.join(' ')}: exit code ${r.code}: ${(r.stderr || r.stdout).trim()}`)
  return r.stdout
}

/** Starts a program that outlives this one, with its output in a log; its process id is kept beside. */
export function started(program: string, args: readonly string[], log: string, pidFile: string): number {
  mkdirSync(dirname(log), { recursive: true })
  mkdirSync(dirname(pidFile), { recursive: true })
  const to = openSync(log, 'a')
  try {
    const child = spawn(program, args, { detached: true, stdio: ['ignore', to, to] })
    if (child.pid === undefined) throw new Error(`${program} can not be started`)
    child.unref()
    writeFileSync(pidFile, String(child.pid))
    return child.pid
  } finally {
    closeSync(to)
  }
}

/** Waits until `ready` answers; throws with what it said last. Long, for slow machines: only a failure takes it all. */
export async function until(
  what: string,
  ready: () => Promise<boolean | string> | boolean | string,
  seconds = 180,
): Promise<void> {
  const end = performance.now() + seconds * 1000
  for (;;) {
    let last: boolean | string
    try {
      last = await ready()
    } catch (e) {
      last = e instanceof Error ? e.message : String(e)
    }
    if (last === true) return
    if (performance.now() > end) throw new Error(`not within ${seconds} s: ${what}${last === false ? '' : `: ${last}`}`)
    await sleep(50)
  }
}

export const alive = (pid: number): boolean => {
  try {
    // A zombie holds nothing any more.
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}

export const childrenOf = (pid: number): readonly number[] => {
  try {
    return readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8')
      .trim()
      .split(' ')
      .filter((p) => p !== '')
      .map(Number)
  } catch {
    return []
  }
}

/** Ends processes; those that do not within `seconds` are killed. */
export async function ended(pids: readonly number[], signal: NodeJS.Signals = 'SIGTERM', seconds = 5): Promise<void> {
  const tell = (pid: number, s: NodeJS.Signals) => {
    try {
      process.kill(pid, s)
    } catch {}
  }
  for (const pid of pids) tell(pid, signal)
  const end = performance.now() + seconds * 1000
  while (pids.some(alive) && performance.now() < end) await sleep(20)
  for (const pid of pids.filter(alive)) tell(pid, 'SIGKILL')
  while (pids.some(alive)) await sleep(20)
}

/** Processes by their arguments: all of `words` in this order, side by side. */
export const processesWith = (words: readonly string[]): readonly number[] =>
  readdirSync('/proc')
    .filter((name) => /^[0-9]+$/.test(name))
    .map(Number)
    .filter((pid) => {
      try {
        return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(`${words.join('\0')}\0`)
      } catch {
        return false
      }
    })
