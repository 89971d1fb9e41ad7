// SPDX-License-Identifier: Apache-2.0
import { spawn } from 'node:child_process'
import { mkdirSync, realpathSync, statSync } from 'node:fs'
import { connect, type Socket } from 'node:net'
import { dirname, resolve } from 'node:path'
import { Duplex } from 'node:stream'
import { encodeFrames, encodeRequest, frame, frameReader, type Request } from './frames.ts'

export interface NodeOptions {
  readonly name: string
  /** Path of the native program, build/native/lab-node. */
  readonly program: string
  /** Where the node listens, in the host's file system; at most 107 bytes. */
  readonly socket: string
  /** The node's cgroup directories, absolute; its init joins a directory `init` below each. */
  readonly cgroups: readonly string[]
  /** More host directories that may lie on other file systems than the root, to be seen in the node read-only at the same path. */
  readonly share?: readonly string[]
  /** Files of the node's own, path to text: /etc/hosts, /etc/resolv.conf … */
  readonly files?: Readonly<Record<string, string>>
}

/** How a program ended; `signal` is 0 when it ended by itself, else `code` is 128 + signal. */
export interface End {
  readonly code: number
  readonly signal: number
}

/** A started program. Output events come as they are; input and signals are refused silently once it has ended. */
export interface Program {
  /** Process id as the node sees it. */
  readonly pid: number
  readonly ended: Promise<End>
  onOutput(listener: (which: 'stdout' | 'stderr', data: Buffer) => void): () => void
  /** false: wait for `drained` before writing more. */
  write(data: Uint8Array): boolean
  drained(): Promise<void>
  endInput(): void
  resize(columns: number, rows: number): void
  signal(number: number): void
  /** Stops and goes on reading output. */
  pause(): void
  resume(): void
  /** Kills it at once. */
  close(): void
}

/** A node of the lab: namespaces held by an init process that starts what it is asked to. */
export interface LabNode {
  readonly name: string
  readonly socket: string
  /** The native program, which also enters it: `lab-node enter`. */
  readonly program: string
  /** Its init in the host's pid namespace. */
  readonly pid: number
  /** Resolves when the node is gone. */
  readonly closed: Promise<void>
  /** A path of the node as the host can open it; symbolic links on the way are the caller's care. */
  path(inNode: string): string
  /** Starts a program: with `root` in a container, else among the node's files. Throws what did not work. */
  run(request: Request): Promise<Program>
  exec(request: Request): Promise<Program>
  /** A TCP connection from inside a network namespace (`net`; absent: the node's). Milliseconds. */
  dial(to: { net?: string; address: string; port: number; timeout?: number }): Promise<Duplex>
  /** Makes namespaces /run/netns/NAME and /run/sandbox/NAME.{ipc,uts}; with `net` (any text) no network of their own. */
  sandbox(request: { name: string; hostname?: string; net?: string }): Promise<void>
  unsandbox(name: string): Promise<void>
  close(): Promise<void>
}

/** Starts a node. It ends, with all that runs in it, when closed or when this process dies. */
export async function openNode(options: NodeOptions): Promise<LabNode> {
  // v2 gives limits only to directories without processes of their own.
  const cgroups = options.cgroups.map((directory) => `${directory}/init`)
  for (const directory of cgroups) mkdirSync(directory, { recursive: true })
  const share = outOfSight([
    '/usr',
    dirname(realpathSync(process.execPath)),
    resolve(options.program, '../../..'),
    ...(options.share ?? []),
  ])
  const child = spawn(options.program, [], { stdio: ['pipe', 'pipe', 'pipe'], cwd: '/' })
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()))
  child.stdin.on('error', () => {})
  child.stdin.write(
    encodeRequest({
      name: options.name,
      socket: options.socket,
      cgroup: cgroups,
      share,
      file: Object.entries(options.files ?? {}).map(([path, text]) => `${path}\x1f${text}`),
    }),
  )
  const pid = await new Promise<number>((resolve, reject) => {
    let said = ''
    let wrong = ''
    child.stderr.on('data', (data: Buffer) => (wrong += data))
    child.stdout.on('data', (data: Buffer) => {
      said += data
      const ready = /^ready (\d+)\n/.exec(said)
      if (ready) resolve(Number(ready[1]))
    })
    child.once('error', reject)
    child.once('close', () =>
      reject(new Error(`node ${options.name} did not start: ${wrong.trim() || 'no reason given'}`)),
    )
  })
  return labNode(options, share, pid, closed, async () => {
    child.stdin.end()
    await closed
  })
}

/**
 * An overlay shows one file system, and /tmp and /run are a node's own: what programs need of other places must be bound
 * there.
 */
function outOfSight(directories: readonly string[]): readonly string[] {
  const device = statSync('/').dev
  return [...new Set(directories)].filter(
    (d) => /^\/(tmp|run)\//.test(d) || statSync(d, { throwIfNoEntry: false })?.dev !== device,
  )
}

function labNode(
  options: NodeOptions,
  share: readonly string[],
  pid: number,
  closed: Promise<void>,
  close: () => Promise<void>,
): LabNode {
  const { name, socket, program } = options
  const listOf = (value: Request[string]) => (Array.isArray(value) ? (value as readonly string[]) : [])
  const binds = share.map((path) => [path, path, 'ro'].join('\x1f'))
  return {
    name,
    socket,
    program,
    pid,
    closed,
    path: (inNode) => `/proc/${pid}/root${inNode}`,
    run: (request) => startProgram(socket, { op: 'run', ...request, bind: [...binds, ...listOf(request['bind'])] }),
    exec: (request) => startProgram(socket, { op: 'exec', ...request }),
    dial: (to) => dialThrough(socket, { op: 'dial', ...to }),
    sandbox: (request) => ask(socket, { op: 'sandbox', ...request }),
    unsandbox: (sandbox) => ask(socket, { op: 'unsandbox', name: sandbox }),
    close,
  }
}

/** Sends a request; resolves with the payload of `started`, rejects with the text of `failed`. */
function request(
  socket: string,
  request: Request,
  then: (type: number, payload: Buffer) => void,
): Promise<[Socket, string]> {
  return new Promise((resolve, reject) => {
    const connection = connect(socket)
    let settled = false
    const read = frameReader((type, payload) => {
      if (settled) return then(type, payload)
      settled = true
      if (type === frame.started) return resolve([connection, payload.toString()])
      connection.destroy()
      reject(new Error(payload.toString()))
    })
    connection.on('data', read)
    connection.on('error', (error) => reject(error))
    connection.on('close', () => reject(new Error('the node is gone')))
    connection.write(encodeRequest(request))
  })
}

async function ask(socket: string, what: Request): Promise<void> {
  const [connection] = await request(socket, what, () => {})
  connection.destroy()
}

async function startProgram(socket: string, what: Request): Promise<Program> {
  const listeners = new Set<(which: 'stdout' | 'stderr', data: Buffer) => void>()
  const early: ['stdout' | 'stderr', Buffer][] = []
  let heard = false
  let end: End | undefined
  const [connection, pid] = await request(socket, what, (type, payload) => {
    if (type === frame.ended) {
      end = { code: payload.readInt32LE(0), signal: payload.readInt32LE(4) }
      return
    }
    const which = type === frame.stderr ? 'stderr' : 'stdout'
    if (heard) for (const listener of listeners) listener(which, payload)
    else early.push([which, payload])
  })
  const ended = new Promise<End>((resolve) => {
    connection.once('close', () => resolve(end ?? { code: 137, signal: 9 }))
  })
  const send = (type: number, data: Uint8Array) => connection.destroyed || connection.write(encodeFrames(type, data))
  return {
    pid: Number(pid),
    ended,
    onOutput(listener) {
      listeners.add(listener)
      heard = true
      for (const [which, data] of early.splice(0)) listener(which, data)
      return () => listeners.delete(listener)
    },
    write: (data) => data.length === 0 || send(frame.stdin, data),
    drained: () =>
      connection.destroyed || !connection.writableNeedDrain
        ? Promise.resolve()
        : new Promise((resolve) => {
            connection.once('drain', resolve)
            connection.once('close', resolve)
          }),
    endInput: () => void send(frame.stdin, Buffer.alloc(0)),
    resize(columns, rows) {
      const size = Buffer.alloc(4)
      size.writeUInt16LE(Math.min(columns, 65535), 0)
      size.writeUInt16LE(Math.min(rows, 65535), 2)
      send(frame.resize, size)
    },
    signal: (number) => void send(frame.signal, Buffer.from([number])),
    pause: () => void connection.pause(),
    resume: () => void connection.resume(),
    close: () => void connection.destroy(),
  }
}

async function dialThrough(socket: string, what: Request): Promise<Duplex> {
  let stream: Duplex | undefined
  const early: Buffer[] = []
  const take = (payload: Buffer) => {
    if (!stream) return void early.push(payload)
    if (!stream.push(payload.length ? payload : null)) connection.pause()
  }
  const [connection] = await request(socket, what, (type, payload) => {
    if (type === frame.stdout) take(payload)
  })
  stream = new Duplex({
    read: () => void connection.resume(),
    write: (chunk: Buffer, _encoding, done) => void connection.write(encodeFrames(frame.stdin, chunk), () => done()),
    final(done) {
      connection.write(encodeFrames(frame.stdin, Buffer.alloc(0)))
      done()
    },
    destroy(error, done) {
      connection.destroy()
      done(error)
    },
  })
  connection.once('close', () => stream?.push(null))
  for (const payload of early.splice(0)) take(payload)
  return stream
}

/** Runs a program to its end among the node's files and gathers its output. */
export async function runToEnd(
  node: LabNode,
  what: Request,
  input = '',
): Promise<End & { stdout: string; stderr: string }> {
  const program = await node.run({ ...what, in: true })
  const output = { stdout: '', stderr: '' }
  program.onOutput((which, data) => (output[which] += data))
  if (input) program.write(Buffer.from(input))
  program.endInput()
  return { ...(await program.ended), ...output }
}
