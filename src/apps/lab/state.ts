// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { Complaint } from './settings.ts'

/** Where labs keep what they know of themselves; in memory, gone after a reboot as they are. */
export const labsDirectory = '/run/cilium-lab'

/** The paths of one lab. */
export interface LabPaths {
  readonly directory: string
  readonly kubeconfig: string
  readonly log: string
  readonly control: string
  readonly cgroup: string
  node(name: string): string
}

export const labPaths = (name: string): LabPaths => {
  const directory = join(labsDirectory, name)
  return {
    directory,
    kubeconfig: join(directory, 'kubeconfig'),
    log: join(directory, 'lab.log'),
    control: join(directory, 'control.sock'),
    cgroup: `cilium-lab/${name}`,
    node: (node) => join(directory, `${node}.sock`),
  }
}

export const existingLabs = (): readonly string[] => {
  try {
    return readdirSync(labsDirectory).filter((n) => !n.startsWith('.'))
  } catch {
    return []
  }
}

/** Makes the lab's directory, for root only. */
export const makeDirectory = (paths: LabPaths): void => {
  mkdirSync(paths.directory, { recursive: true, mode: 0o700 })
}

/** Writes a file whole or not at all. */
export const writeWhole = (path: string, text: string, mode = 0o600): void => {
  writeFileSync(`${path}.new`, text, { mode })
  renameSync(`${path}.new`, path)
}

/** The end of a text file, for a person to read; empty when there is none. */
export const lastLines = (path: string, count: number): string => {
  try {
    return readFileSync(path, 'utf8').trimEnd().split('\n').slice(-count).join('\n')
  } catch {
    return ''
  }
}

const patience = 60_000

/**
 * Runs `work` while no other process holds the same lock. The lock is an abstract socket: it ends with its holder,
 * however that ends.
 */
export const withLock = async <T>(lock: string, work: () => Promise<T>): Promise<T> => {
  const until = Date.now() + patience
  for (;;) {
    const held = await tryListen(`\0cilium-lab/${lock}`)
    if (held) {
      try {
        return await work()
      } finally {
        held.close()
      }
    }
    if (Date.now() > until) throw new Complaint(`another cilium-lab command has been at work on ${lock} for a minute`)
    await sleep(50)
  }
}

const tryListen = (path: string): Promise<Server | undefined> =>
  new Promise((resolve, reject) => {
    const server = createServer()
    server.once('error', (error: NodeJS.ErrnoException) =>
      error.code === 'EADDRINUSE' ? resolve(undefined) : reject(error),
    )
    server.listen(path, () => resolve(server))
  })
