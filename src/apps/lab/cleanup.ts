// SPDX-License-Identifier: Apache-2.0

import { execFileSync } from 'node:child_process'
import { existsSync, readdirSync, readFileSync, rmdirSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { noteSwitch, restoreSwitch } from '../../edge/kernel/grace.ts'
import { removeBridge } from './bridge.ts'
import { removeCgroups, unifiedRoot } from './kubelet/cgroups.ts'
import { existingLabs, labPaths, labsDirectory, withLock } from './state.ts'

/**
 * Removes all that a lab has in the kernel and on disk, whatever state it is in: every process (they are all in the
 * lab's cgroup, and their namespaces and mounts end with them), links, cgroups, files. Answers what would not go.
 * `processes` are waited for, those that have just ended too.
 */
export const removeLab = async (name: string, processes = labProcesses(name)): Promise<readonly string[]> => {
  const left: string[] = []
  const paths = labPaths(name)
  const cgroups = cgroupRoots().map((root) => join(root, paths.cgroup))
  if (!(await removeCgroups({ all: cgroups }))) left.push(...cgroups.filter(existsSync))
  for (const root of cgroupRoots()) removeEmpty(join(root, 'cilium-lab'))
  await untilEnded(processes)
  await removeBridge(name)
  for (const mount of mountsBelow(paths.directory)) execFileSync('umount', ['-l', mount])
  rmSync(paths.directory, { recursive: true, force: true })
  await withLock(switchNote, async () => {
    restoreSwitch(switchNote)
    if (existingLabs().length === 0) rmSync(switchNote, { force: true })
  })
  removeEmpty(labsDirectory)
  return left
}

/**
 * How the switch of grace periods stood before the first lab: agents move it for moments, and one that is killed with its
 * node, and with the node's memory, leaves it to the machine as it is.
 */
const switchNote = join(labsDirectory, '.rcu_expedited')

/** Before the lab, whose directory is there, runs anything. */
export const noteMachine = (): Promise<void> => withLock(switchNote, async () => noteSwitch(switchNote))

/** Process ids in a lab's cgroup tree: all of the lab, agents and pods too. */
export const labProcesses = (name: string): readonly number[] =>
  processesBelow(join(unifiedRoot(), labPaths(name).cgroup))

/** Ending takes a process its time; what is left of it until its parent looks is no longer ours. */
const untilEnded = async (processes: readonly number[]): Promise<void> => {
  for (let i = 0; i < 200 && processes.some(isAlive); i++) await sleep(10)
}

const isAlive = (pid: number): boolean => {
  try {
    return !/^\d+ \(.*\) [ZX]/s.test(readFileSync(`/proc/${pid}/stat`, 'utf8'))
  } catch {
    return false
  }
}

const processesBelow = (directory: string): readonly number[] => {
  try {
    const own = readFileSync(join(directory, 'cgroup.procs'), 'utf8')
      .split('\n')
      .filter((l) => l !== '')
    const below = readdirSync(directory, { withFileTypes: true }).filter((e) => e.isDirectory())
    return [...own.map(Number), ...below.flatMap((e) => processesBelow(join(directory, e.name)))]
  } catch {
    return []
  }
}

/** The v2 tree first: killing there ends the processes of the others. */
const cgroupRoots = (): readonly string[] => {
  const mounts = readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((l) => l.split(' '))
  const v1 = mounts.filter((m) => m[2] === 'cgroup').map((m) => m[1] ?? '')
  return [unifiedRoot(), ...v1]
}

const removeEmpty = (directory: string) => {
  try {
    rmdirSync(directory)
  } catch {
    // Another lab is in it, or it is not there.
  }
}

const mountsBelow = (directory: string): readonly string[] =>
  readFileSync('/proc/mounts', 'utf8')
    .split('\n')
    .map((l) => l.split(' ')[1] ?? '')
    .filter((m) => m.startsWith(`${directory}/`))
    .reverse()
