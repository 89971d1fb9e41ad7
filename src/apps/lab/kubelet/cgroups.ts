// SPDX-License-Identifier: Apache-2.0
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

const mount = '/sys/fs/cgroup'
const limited = ['cpu', 'memory', 'pids'] as const
type Controller = (typeof limited)[number]

/** A directory in every cgroup tree that matters: v2, and the v1 controllers that exist. */
export interface Cgroups {
  /** In the v2 tree; socket programs attach there. */
  readonly unified: string
  /** Directory where a controller's limits are set, v1 or v2, and which of the two it is. */
  readonly controllers: Readonly<Partial<Record<Controller, { readonly path: string; readonly version: 1 | 2 }>>>
  /** Every directory a process must join. */
  readonly all: readonly string[]
}

/** cgroup v2's root: beside v1 controllers, or the whole mount. */
export const unifiedRoot = (): string => (existsSync(join(mount, 'unified')) ? join(mount, 'unified') : mount)

/** Makes the directories below `path`, such as `cilium-lab/default/node1`. */
export function makeCgroups(path: string): Cgroups {
  const unified = join(unifiedRoot(), path)
  mkdirSync(unified, { recursive: true })
  const controllers: Partial<Record<Controller, { path: string; version: 1 | 2 }>> = {}
  for (const controller of limited) {
    const v1 = join(mount, controller)
    if (existsSync(join(v1, 'cgroup.procs')) && v1 !== unifiedRoot()) {
      mkdirSync(join(v1, path), { recursive: true })
      controllers[controller] = { path: join(v1, path), version: 1 }
    } else if (delegate(path, controller)) {
      controllers[controller] = { path: unified, version: 2 }
    }
  }
  const all = [unified, ...Object.values(controllers).flatMap((c) => (c.version === 1 ? [c.path] : []))]
  return { unified, controllers, all }
}

/** v2: hands a controller down to `path`'s parent directories, so that `path` has its files. */
function delegate(path: string, controller: Controller): boolean {
  const root = unifiedRoot()
  const parts = path.split('/')
  try {
    for (let depth = 0; depth < parts.length; depth++) {
      const directory = join(root, ...parts.slice(0, depth))
      if (!readFileSync(join(directory, 'cgroup.controllers'), 'utf8').split(/\s+/).includes(controller)) return false
      writeFileSync(join(directory, 'cgroup.subtree_control'), `+${controller}`)
    }
    return true
  } catch {
    return false
  }
}

/** Kills what still runs in it and removes the directories with all below. Resolves false when something would not go. */
export async function removeCgroups(cgroups: Pick<Cgroups, 'all'>): Promise<boolean> {
  for (const directory of cgroups.all) {
    try {
      writeFileSync(join(directory, 'cgroup.kill'), '1')
    } catch {
      // v1, or already gone
    }
  }
  for (let attempt = 0; attempt < 20; attempt++) {
    if (cgroups.all.map(removeTree).every((gone) => gone)) return true
    await new Promise((resolve) => setTimeout(resolve, 5 << Math.min(attempt, 5)))
  }
  return false
}

function removeTree(directory: string): boolean {
  try {
    for (const entry of readdirSync(directory, { withFileTypes: true })) {
      if (entry.isDirectory()) removeTree(join(directory, entry.name))
    }
    rmdirSync(directory)
    return true
  } catch {
    return !existsSync(directory)
  }
}

export interface Limits {
  /** Cores. */
  readonly cpu?: number
  /** Cores asked for: the weight under contention. */
  readonly cpuRequest?: number
  /** Bytes. */
  readonly memory?: number
  readonly pids?: number
}

/** Writes limits where the host has the controllers; answers the ones it could not set, with the reason. */
export function setLimits(cgroups: Cgroups, limits: Limits): readonly string[] {
  const refused: string[] = []
  const write = (controller: Controller, v1: [string, string] | undefined, v2: [string, string] | undefined) => {
    const where = cgroups.controllers[controller]
    const file = where?.version === 1 ? v1 : v2
    if (!where || !file) return
    try {
      writeFileSync(join(where.path, file[0]), file[1])
    } catch (error) {
      refused.push(`${file[0]}: ${(error as Error).message}`)
    }
  }
  const { cpu, cpuRequest, memory, pids } = limits
  if (cpu) {
    const quota = String(Math.max(1000, Math.round(cpu * 100_000)))
    write('cpu', ['cpu.cfs_quota_us', quota], ['cpu.max', `${quota} 100000`])
  }
  if (cpuRequest !== undefined) {
    const shares = Math.min(262_144, Math.max(2, Math.round(cpuRequest * 1024)))
    const weight = 1 + Math.round(((shares - 2) * 9999) / 262_142)
    write('cpu', ['cpu.shares', String(shares)], ['cpu.weight', String(weight)])
  }
  if (memory) write('memory', ['memory.limit_in_bytes', String(memory)], ['memory.max', String(memory)])
  if (pids) write('pids', ['pids.max', String(pids)], ['pids.max', String(pids)])
  return refused
}

/** Processes the kernel killed for want of memory. */
export function oomKills(cgroups: Cgroups): number {
  const where = cgroups.controllers.memory
  if (!where) return 0
  try {
    const text = readFileSync(join(where.path, where.version === 1 ? 'memory.oom_control' : 'memory.events'), 'utf8')
    return Number(/^oom_kill (\d+)$/m.exec(text)?.[1] ?? 0)
  } catch {
    return 0
  }
}
