// SPDX-License-Identifier: Apache-2.0
import { closeSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname } from 'node:path'
import { mount, setns, unmount, unshare } from './syscall.ts'

const CLONE_NEWNET = 0x40000000
const MS_BIND = 4096
const MNT_DETACH = 2
const OWN = '/proc/thread-self/ns/net'

/**
 * Runs `work` in a network namespace, given by the path of its file or a descriptor, and comes back: about 10 µs.
 * Sockets and descriptors opened inside keep belonging there. `work` must not be asynchronous: whatever ran between
 * would be in the wrong namespace.
 */
export function inNamespace<T>(namespace: string | number, work: () => T): T {
  const target = typeof namespace === 'string' ? openSync(namespace, 'r') : namespace
  const home = openSync(OWN, 'r')
  try {
    setns(target, CLONE_NEWNET)
    try {
      const result = work()
      if (result instanceof Promise) throw new Error('work in another namespace must not be asynchronous')
      return result
    } finally {
      setns(home, CLONE_NEWNET)
    }
  } finally {
    closeSync(home)
    if (typeof namespace === 'string') closeSync(target)
  }
}

/** A new network namespace, named only by the descriptor: it ends when that and all in it are closed. */
export function newNamespace(): number {
  const home = openSync(OWN, 'r')
  try {
    unshare(CLONE_NEWNET)
    try {
      return openSync(OWN, 'r')
    } finally {
      setns(home, CLONE_NEWNET)
    }
  } finally {
    closeSync(home)
  }
}

/** A new network namespace under a path, as `ip netns add` makes them in /run/netns. */
export function createNamespace(path: string): void {
  mkdirSync(dirname(path), { recursive: true })
  closeSync(openSync(path, 'wx'))
  const fd = newNamespace()
  try {
    mount(`/proc/self/fd/${fd}`, path, 'none', MS_BIND)
  } catch (error) {
    rmSync(path)
    throw error
  } finally {
    closeSync(fd)
  }
}

/** Removes the name; the namespace lives on while something is in it. */
export function deleteNamespace(path: string): void {
  unmount(path, MNT_DETACH)
  rmSync(path)
}

/** Sets a sysctl of the current network namespace by its dotted name; a part in brackets may hold dots (`[eth0.1]`). */
export function writeSysctl(name: string, value: string | number): void {
  const path = sysctlPath(name)
  const there = readFileSync(path, 'utf8').trim()
  if (there === String(value)) return
  try {
    writeFileSync(path, String(value))
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== 'EROFS') throw cause
    throw new Error(
      `sysctl ${name} is ${there} and has to be ${value}, but ${procfs}/sys is read-only here: set it on the node, or name a proc file system that can be written with --procfs`,
      { cause },
    )
  }
}

export const readSysctl = (name: string): string => readFileSync(sysctlPath(name), 'utf8').trim()

let procfs = '/proc'

/** Where sysctls are reached: a container of capabilities has its own /proc/sys read-only, and the node's elsewhere. */
export function useProcfs(path: string): void {
  procfs = path
}

const sysctlPath = (name: string): string => {
  const parts = name.match(/\[[^\]]*\]|[^.]+/g) ?? []
  return `${procfs}/sys/${parts.map((part) => part.replace(/^\[|\]$/g, '')).join('/')}`
}
