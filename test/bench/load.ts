// SPDX-License-Identifier: Apache-2.0
/** netbench held open: one server and one client process per target, asked for one slice at a time. */
import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process'
import { existsSync, writeFileSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { ran } from '../ran.ts'

export type Verb = 'rr' | 'crr' | 'urr' | 'blast' | 'denied' | 'flows' | 'last' | 'stream'
const program = 'build/netbench'
const port = 7700

/** What is measured goes before whatever else the machine does: waiting for others is no part of it. */
export const first = ['chrt', '-r', '1'] as const

/** A pod's group may have no part of a CPU in real time: what shall go first leaves it. */
export async function goFirst(pid: number): Promise<void> {
  const group = '/sys/fs/cgroup/cpu/cgroup.procs'
  if (existsSync(group)) writeFileSync(group, String(pid))
  const { code, stderr } = await ran('chrt', ['-a', '-r', '-p', '1', String(pid)])
  if (code !== 0) throw new Error(`chrt: ${stderr}`)
}

/** Starts a program and answers with its output lines, one `next` at a time. */
export class Lines {
  readonly #child: ChildProcessWithoutNullStreams
  readonly #lines: AsyncIterator<string>
  #errors = ''
  constructor(command: readonly string[]) {
    // A group of its own: a launcher between us and the program does not pass a kill on.
    this.#child = spawn(command[0] as string, command.slice(1), { detached: true })
    this.#child.stderr.on('data', (d) => {
      this.#errors += d
    })
    this.#child.stdin.on('error', () => {})
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]()
  }
  async next(): Promise<string> {
    const { value, done } = await this.#lines.next()
    if (done) throw new Error(`${this.#child.spawnargs.join(' ')} ended: ${this.#errors.trim()}`)
    return value
  }
  send(line: string): void {
    this.#child.stdin.write(`${line}\n`)
  }
  stop(): void {
    if (this.#child.pid !== undefined) process.kill(-this.#child.pid, 'SIGKILL')
  }
}

export class Server {
  readonly #lines: Lines
  constructor(prefix: readonly string[], pinned = true) {
    const pin = pinned ? ['--pin', '0'] : []
    this.#lines = new Lines([...prefix, program, ...pin, 'serve', String(port)])
  }
  async ready(): Promise<void> {
    await this.#lines.next()
  }
  stop(): void {
    this.#lines.stop()
  }
}

export class Client {
  readonly #lines: Lines
  constructor(prefix: readonly string[], address: string, pinned = true) {
    const pin = pinned ? ['--pin', '0'] : []
    this.#lines = new Lines([...prefix, program, ...pin, 'client', address, String(port)])
  }
  /** Nanoseconds per operation, or Gbit/s for a stream. */
  async measure(verb: Verb, seconds: number): Promise<number> {
    this.#lines.send(`${verb} ${seconds}`)
    return Number(await this.#lines.next())
  }
  stop(): void {
    this.#lines.stop()
  }
}
