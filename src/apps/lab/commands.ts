// SPDX-License-Identifier: Apache-2.0
import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { existsSync, openSync, readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { labProcesses, noteMachine, removeLab } from './cleanup.ts'
import { askLab, type LabStatus } from './control.ts'
import type { Progress } from './lab.ts'
import { checkMachine, inPath } from './machine.ts'
import { progressDescriptor } from './serve.ts'
import { Complaint, type LabSettings } from './settings.ts'
import { existingLabs, labPaths, lastLines, makeDirectory, withLock } from './state.ts'

/**
 * How long a lab may stand still on its way before its command line gives up and says what is missing, and how long
 * that way may be: a machine with much else to do gets there, a pod that fails again and again does not.
 */
const stillMs = 60_000
const startMs = 240_000
const stopMs = 10_000

/** Starts a lab and waits until it is ready; the last line printed is for the shell. */
export const up = (settings: LabSettings): Promise<void> =>
  withLock(settings.name, async () => {
    checkMachine(settings.bare)
    const paths = labPaths(settings.name)
    if (await askLab(paths.control, ['status']))
      throw new Complaint(
        `the lab ${settings.name} is up already; \`cilium-lab down --name ${settings.name}\` ends it, another --name starts a second one`,
      )
    await removeLab(settings.name)
    makeDirectory(paths)
    await noteMachine()
    const begun = performance.now()
    const log = openSync(paths.log, 'a', 0o600)
    const child = spawn(
      process.execPath,
      [...process.execArgv, process.argv[1] ?? '', 'serve', JSON.stringify(settings)],
      {
        detached: true,
        cwd: '/',
        stdio: ['ignore', log, log, 'pipe'],
      },
    )
    const { trouble, lacking } = await started(child)
    if (trouble !== undefined) {
      const said = lastLines(paths.log, 15)
      await removeLab(settings.name)
      throw new Complaint(
        `the lab ${settings.name} did not start: ${trouble}${said === '' ? '' : `\nIts last words:\n${said}`}`,
      )
    }
    child.unref()
    if (lacking.length === 0) console.log(`ready after ${((performance.now() - begun) / 1000).toFixed(1)} s`)
    else {
      console.log(`not ready after ${((performance.now() - begun) / 1000).toFixed(0)} s; it waits for:`)
      for (const line of lacking) console.log(`  ${line}`)
      process.exitCode = 1
    }
    console.log(`export KUBECONFIG=${paths.kubeconfig}`)
  })

interface Start {
  /** Why there is no lab. */
  readonly trouble?: string
  /** What a lab that is up still waits for: it is left to be looked at. */
  readonly lacking: readonly string[]
}

/** Prints what a starting lab tells, until it is ready, fails, or takes too long. */
const started = (child: ChildProcess): Promise<Start> =>
  new Promise((done) => {
    let lacking: readonly string[] = []
    let works = false
    const stream = child.stdio[progressDescriptor] as Readable
    const finish = (start: Start) => {
      clearTimeout(timer)
      stream.destroy()
      done(start)
    }
    const timer = setTimeout(() => {
      if (works) return finish({ lacking })
      child.kill('SIGKILL')
      finish({ trouble: 'it did not answer in time', lacking })
    }, stillMs)
    const end = performance.now() + startMs
    child.once('error', (error) => finish({ trouble: error.message, lacking }))
    child.once('exit', (code, signal) =>
      finish({ trouble: `its process ended with ${signal ?? `code ${code}`}`, lacking }),
    )
    createInterface({ input: stream }).on('line', (line) => {
      const progress = JSON.parse(line) as Progress
      if (performance.now() + stillMs < end) timer.refresh()
      if ('ready' in progress) finish({ lacking: [] })
      else if ('missing' in progress) lacking = progress.missing
      else {
        works = true
        console.log(progress.step)
      }
    })
  })

/** Ends labs: asks, waits, insists; then removes what is left. */
export const down = async (names: readonly string[]): Promise<void> => {
  for (const name of names) {
    await withLock(name, async () => {
      const paths = labPaths(name)
      const processes = labProcesses(name)
      const pid = processes.find(isLabProcess)
      if (pid !== undefined && existsSync(paths.control)) {
        process.kill(pid, 'SIGTERM')
        const until = Date.now() + stopMs
        while (isLabProcess(pid) && Date.now() < until) await sleep(20)
      }
      const left = await removeLab(name, processes)
      if (left.length > 0) throw new Complaint(`the lab ${name} is down, but could not remove ${left.join(', ')}`)
      console.log(`lab ${name} is down`)
    })
  }
}

const isLabProcess = (pid: number): boolean => {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes('serve')
  } catch {
    return false
  }
}

/** Prints one lab, or all in a line each. */
export const status = async (name: string | undefined): Promise<void> => {
  const names = name === undefined ? existingLabs() : [name]
  if (names.length === 0) console.log('no lab is up')
  for (const lab of names) {
    const found = await askLab<LabStatus>(labPaths(lab).control, ['status'])
    if (!found) {
      console.log(
        `${lab}: ${existingLabs().includes(lab) ? `not running; \`cilium-lab down --name ${lab}\` removes what is left` : 'not up'}`,
      )
      process.exitCode = 1
      continue
    }
    console.log(
      `${lab}: ${found.missing.length === 0 ? 'ready' : 'not ready'}, API ${found.url}, KUBECONFIG ${labPaths(lab).kubeconfig}`,
    )
    for (const node of found.nodes) console.log(`  ${node.name}  ${node.addresses.join('  ')}  pid ${node.pid}`)
    for (const line of found.missing) console.log(`  waits: ${line}`)
  }
}

const running = async (name: string): Promise<LabStatus> => {
  const found = await askLab<LabStatus>(labPaths(name).control, ['status'])
  if (!found) throw new Complaint(`the lab ${name} is not up; \`cilium-lab up --name ${name}\` starts it`)
  return found
}

export const kubeconfig = async (name: string): Promise<void> => {
  await running(name)
  console.log(labPaths(name).kubeconfig)
}

const nodeOf = async (name: string, node: string): Promise<LabStatus['nodes'][number]> => {
  const { nodes } = await running(name)
  const found = nodes.find((n) => n.name === node)
  if (!found) throw new Complaint(`the lab ${name} has no node ${node}; it has ${nodes.map((n) => n.name).join(', ')}`)
  return found
}

/** Prints where the node keeps CNI configuration and plugins, for a CNI client run with `cilium-lab nsenter NODE`. */
export const cni = async (name: string, node: string): Promise<void> => {
  await nodeOf(name, node)
  console.log('NETCONFPATH=/etc/cni/net.d CNI_PATH=/opt/cni/bin')
}

/** Runs a host program in a pod's network namespace, or in a node's namespaces among the node's files. Answers its exit code. */
export const nsenter = async (name: string, where: string, command: readonly string[]): Promise<number> => {
  const argv = command.length > 0 ? command : ['sh']
  const at = where.indexOf('/')
  if (at < 0) return runInNode((await nodeOf(name, where)).pid, argv)
  await running(name)
  const [program = '', ...args] = await askLab<readonly string[]>(labPaths(name).control, [
    'enter',
    where.slice(0, at),
    where.slice(at + 1),
  ]).then(
    (prefix) => [...(prefix ?? []), ...argv],
    (error: Error) => {
      throw new Complaint(error.message)
    },
  )
  return exitCode(spawnSync(program, args, { stdio: 'inherit' }))
}

/** The node does not see all of the host's files (it has its own /tmp and /run): the program itself is handed over open. */
const runInNode = (pid: number, argv: readonly string[]): number => {
  const [program = '', ...args] = argv
  const path = program.includes('/') ? resolve(program) : inPath(program)
  if (path === undefined || !existsSync(path)) {
    console.error(`cilium-lab: ${program}: no such program`)
    return 127
  }
  const enter = ['-t', String(pid), '-m', '-u', '-i', '-n', '-p']
  const seen = existsSync(`/proc/${pid}/root${path}`)
  const stdio = seen ? 'inherit' : (['inherit', 'inherit', 'inherit', openSync(path, 'r')] as const)
  return exitCode(
    spawnSync('nsenter', [...enter, '--', seen ? path : '/proc/self/fd/3', ...args], {
      stdio: typeof stdio === 'string' ? stdio : [...stdio],
    }),
  )
}

const exitCode = (ended: ReturnType<typeof spawnSync>): number => {
  if (ended.error) throw new Complaint(ended.error.message)
  return ended.status ?? 128 + 15
}

/** Prints the log of the lab's own process. */
export const logs = (name: string, follow: boolean): number => {
  const { log } = labPaths(name)
  if (!existsSync(log)) throw new Complaint(`the lab ${name} has no log: it is not up`)
  return exitCode(spawnSync('tail', ['-n', '+1', ...(follow ? ['-F'] : []), log], { stdio: 'inherit' }))
}
