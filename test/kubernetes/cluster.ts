// SPDX-License-Identifier: Apache-2.0
/** The test cluster: a machine for the control plane, machines for nodes, a bridge between them. */
import { existsSync, mkdirSync, readdirSync, readFileSync, rmdirSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { ran } from '../ran.ts'
import { images } from './build.ts'
import { containerdConfig, controlPrograms, kubeletConfig, userConfig, writeCredentials } from './config.ts'
import { tryKubectl } from './kubectl.ts'
import {
  bridge,
  built,
  claim,
  cluster,
  control,
  groups,
  hostAddress,
  type Machine,
  machine,
  portOf,
  prefix6,
  release,
  state,
} from './places.ts'
import { alive, childrenOf, ended, output, processesWith, started, until } from './run.ts'

const script = join(import.meta.dirname, 'node.sh')
/** A machine's name beyond its cluster. */
const full = (name: string): string => `${cluster}/${name}`
const dirOf = (name: string): string => join(state, name)
const pidFile = (name: string, program: string): string => join(dirOf(name), 'pid', program)
export const logFile = (name: string, program: string): string => join(dirOf(name), 'log', `${program}.log`)

/** The process that holds a machine; undefined when there is none. */
export function machinePid(name: string): number | undefined {
  return processesWith([script, 'init', full(name), dirOf(name)]).find((pid) => {
    try {
      return readFileSync(`/proc/${pid}/comm`, 'utf8').trim() === 'node.sh'
    } catch {
      return false
    }
  })
}

/** Command prefix that runs a program in a machine. */
export function inside(name: string): readonly string[] {
  const pid = machinePid(name)
  if (pid === undefined) throw new Error(`there is no machine ${name}`)
  return [script, 'enter', full(name), String(pid)]
}

/** Runs a program in a machine to its end. */
export async function inMachine(name: string, command: readonly string[], input = ''): Promise<string> {
  const [program, ...args] = [...inside(name), ...command] as [string, ...string[]]
  return output(program, args, input)
}

/** Starts a program in a machine that stays until it is stopped or the machine ends. */
export function start(name: string, program: string, command: readonly string[]): void {
  const [first, ...rest] = [...inside(name), ...command] as [string, ...string[]]
  started(first, rest, logFile(name, program), pidFile(name, program))
}

/** Ends a program of a machine. */
export async function stop(name: string, program: string, signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
  const file = pidFile(name, program)
  if (!existsSync(file)) return
  const outer = Number(readFileSync(file, 'utf8'))
  // What was started waits for the program proper, which is in a process namespace of its own.
  await ended(childrenOf(outer), signal)
  await ended([outer], signal)
  rmSync(file)
}

async function makeMachine(m: Machine): Promise<void> {
  const dir = dirOf(m.name)
  mkdirSync(dir, { recursive: true })
  started(script, ['start', full(m.name), dir], logFile(m.name, 'machine'), pidFile(m.name, 'machine'))
  await until(`machine ${m.name}`, () => {
    const pid = machinePid(m.name)
    return pid !== undefined && existsSync(`/proc/${pid}/root/run/node`)
  })
  const port = portOf(m.name)
  await output('ip', ['link', 'add', port, 'type', 'veth', 'peer', 'name', 'eth0', 'netns', String(machinePid(m.name))])
  await output('ip', ['link', 'set', port, 'master', bridge, 'up'])
  await inMachine(m.name, [
    'sh',
    '-c',
    `ip addr add ${m.ipv4}/24 dev eth0; ip -6 addr add ${m.ipv6}/64 dev eth0 nodad; ip link set eth0 up
     ip route add default via ${hostAddress}; ip -6 route add default via ${prefix6}:1
     sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1`,
  ])
}

async function startControl(nodes: number): Promise<void> {
  writeCredentials(nodes)
  await makeMachine(control)
  for (const [name, args] of controlPrograms()) if (name === 'etcd') start(control.name, name, args)
  await startApi()
  for (const [name, args] of controlPrograms())
    if (name !== 'etcd' && name !== 'kube-apiserver') start(control.name, name, args)
}

export async function startApi(): Promise<void> {
  const [name, args] = controlPrograms().find(([n]) => n === 'kube-apiserver') as [string, readonly string[]]
  start(control.name, name, args)
  await until('the API server', async () => (await tryKubectl(['get', '--raw', '/readyz'])).code === 0)
}
/** A request that an agent or the operator made, as the API server's audit log tells it. */
export interface AuditEvent {
  readonly verb: string
  readonly requestURI: string
  readonly user: { readonly username: string; readonly extra?: Readonly<Record<string, readonly string[]>> }
  readonly objectRef?: { readonly resource?: string; readonly subresource?: string; readonly apiGroup?: string }
  readonly responseStatus?: { readonly code: number }
  readonly requestReceivedTimestamp: string
}

/** Requests answered so far, the oldest first; watches when they begin and when they end. */
export const audited = (): readonly AuditEvent[] =>
  readFileSync(logFile(control.name, 'kube-apiserver'), 'utf8')
    .split('\n')
    .filter((l) => l.startsWith('{"kind":"Event"'))
    .map((l) => JSON.parse(l) as AuditEvent)

export const stopApi = (): Promise<void> => stop(control.name, 'kube-apiserver', 'SIGKILL')

export async function startNode(n: number): Promise<void> {
  const m = machine(n)
  const upper = (path: string, text: string): void => {
    const to = join(dirOf(m.name), 'upper', path)
    mkdirSync(join(to, '..'), { recursive: true })
    writeFileSync(to, text)
  }
  upper('etc/containerd/config.toml', containerdConfig(m))
  upper('etc/kubernetes/kubelet.yaml', kubeletConfig(m))
  upper('etc/kubernetes/kubelet.conf', userConfig(`${m.name}-token`))
  upper('etc/hostname', `${m.name}\n`)
  await makeMachine(m)
  start(m.name, 'containerd', ['containerd'])
  await until(`containerd of ${m.name}`, async () => (await ran(...ctr(m.name, ['version']))).code === 0)
  await loadImages(m.name)
  startKubelet(m.name)
}

export const startKubelet = (name: string): void => {
  const m = machine(Number(name.replace('node-', '')))
  start(name, 'kubelet', [
    join(built, 'kubernetes'),
    'kubelet',
    '--config=/etc/kubernetes/kubelet.yaml',
    '--kubeconfig=/etc/kubernetes/kubelet.conf',
    `--node-ip=${m.ipv4},${m.ipv6}`,
  ])
}

const ctr = (name: string, args: readonly string[]): [string, readonly string[]] => {
  const [program, ...rest] = [...inside(name), 'ctr', '-n', 'k8s.io', ...args] as [string, ...string[]]
  return [program, rest]
}

/** Imports images into a node: those of the tests, then those of the product as they are built now. */
export async function loadImages(name: string): Promise<void> {
  const product = join(built, '../../build/images')
  for (const dir of [images, product])
    for (const tar of existsSync(dir) ? readdirSync(dir).filter((f) => f.endsWith('.tar')) : [])
      await importImage(name, join(dir, tar))
}

export const importImage = (name: string, tar: string): Promise<string> =>
  output(...ctr(name, ['images', 'import', tar]))

const expedited = '/sys/kernel/rcu_expedited'

/** Ends a node as if its power were cut. With `forget`, its disk is gone too. */
export async function stopNode(name: string, forget = true): Promise<void> {
  const pid = machinePid(name)
  if (pid !== undefined) await ended([pid], 'SIGKILL')
  await ended(processesWith([script, 'start', full(name), dirOf(name)]), 'SIGKILL')
  await ran('ip', ['link', 'del', portOf(name)])
  // As after a power cut: an agent may have moved the switch, which here outlives its node.
  if (existsSync(expedited)) writeFileSync(expedited, '0')
  removeCgroups(name)
  if (forget) rmSync(dirOf(name), { recursive: true, force: true })
}

function removeCgroups(name: string): void {
  const emptied = (dir: string): void => {
    if (!existsSync(dir)) return
    for (const child of readdirSync(dir, { withFileTypes: true }))
      if (child.isDirectory()) emptied(join(dir, child.name))
    for (let i = 0; i < 50; i++)
      try {
        rmdirSync(dir)
        return
      } catch (e) {
        if ((e as NodeJS.ErrnoException).code !== 'EBUSY') return
        Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 20)
      }
  }
  for (const hierarchy of readdirSync('/sys/fs/cgroup')) emptied(join('/sys/fs/cgroup', hierarchy, groups, name))
}

export async function up(nodes: number, say: (text: string) => void): Promise<void> {
  await down()
  claim()
  mkdirSync(state, { recursive: true })
  await output('ip', ['link', 'add', bridge, 'type', 'bridge'])
  await output('ip', ['addr', 'add', `${hostAddress}/24`, 'dev', bridge])
  await output('ip', ['-6', 'addr', 'add', `${prefix6}:1/64`, 'dev', bridge, 'nodad'])
  await output('ip', ['link', 'set', bridge, 'up'])
  const numbers = Array.from({ length: nodes }, (_, i) => i + 1)
  await startControl(Math.max(nodes, 9))
  say('control plane is up')
  await Promise.all(numbers.map(startNode))
  await until('nodes', async () => {
    const r = await tryKubectl(['get', 'nodes', '-o', 'name'])
    return (
      r.stdout
        .trim()
        .split('\n')
        .filter((l) => l !== '').length >= nodes
    )
  })
  say(`${nodes} nodes are registered`)
}

/** Ends and removes all there is, however much of it there is. */
export async function down(): Promise<void> {
  const names = new Set<string>(
    existsSync(state)
      ? readdirSync(state, { withFileTypes: true })
          .filter((d) => d.isDirectory())
          .map((d) => d.name)
      : [],
  )
  for (const hierarchy of readdirSync('/sys/fs/cgroup')) {
    const dir = join('/sys/fs/cgroup', hierarchy, groups)
    if (existsSync(dir))
      for (const d of readdirSync(dir, { withFileTypes: true })) if (d.isDirectory()) names.add(d.name)
  }
  await Promise.all([...names].map((name) => stopNode(name)))
  for (const hierarchy of readdirSync('/sys/fs/cgroup'))
    for (const dir of [groups, dirname(groups)]) // the second stays while other clusters are there
      try {
        rmdirSync(join('/sys/fs/cgroup', hierarchy, dir))
      } catch {}
  await ran('ip', ['link', 'del', bridge])
  rmSync(state, { recursive: true, force: true })
  release()
}

export const isUp = (): boolean => {
  const pid = machinePid(control.name)
  return pid !== undefined && alive(pid) && existsSync(`${state}/kubeconfig`)
}
export const nodeNames = (): readonly string[] =>
  existsSync(state)
    ? readdirSync(state)
        .filter((d) => /^node-\d+$/.test(d))
        .sort()
    : []
