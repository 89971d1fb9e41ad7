// SPDX-License-Identifier: Apache-2.0
import { execFile, execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type LabApi, openLabApi } from '../../../src/apps/lab/api/api.ts'
import type { KubeletStreams } from '../../../src/apps/lab/api/streams.ts'

const project = new URL('../../../', import.meta.url).pathname

/** The minor versions of kubectl that are tried. */
export const versions = ['32', '34'] as const

export interface Outcome {
  readonly code: number
  readonly stdout: string
  readonly stderr: string
}

/** An API server on loopback, and the real kubectl pointed at it. */
export interface Bench {
  readonly api: LabApi
  readonly directory: string
  kubectl(
    version: string,
    args: readonly string[],
    input?: string,
    env?: Readonly<Record<string, string>>,
  ): Promise<Outcome>
  /** Starts kubectl and leaves it running; the caller ends it. */
  start(version: string, args: readonly string[], env?: Readonly<Record<string, string>>): ReturnType<typeof execFile>
  /** A file in the bench's directory; returns its path. */
  file(name: string, text: string): string
  close(): Promise<void>
}

/** A kubelet that answers with what it was asked, `cat`s its input and fails on request. */
export const echoKubelet: KubeletStreams = {
  async exec(pod, container, command, { stdin, stdout, stderr }) {
    if (command[0] === 'cat' && stdin && stdout) for await (const part of stdin) stdout.write(part)
    else if (command[0] === 'fail') {
      stderr?.write('it failed\n')
      return Number(command[1])
    } else stdout?.write(`${pod.namespace}/${pod.name}/${container}: ${command.join(' ')}\n`)
    return 0
  },
  async attach(_, __, { stdout }) {
    stdout?.write('joined\n')
  },
  async *logs(pod, container, { tailLines, previous, timestamps }) {
    yield Buffer.from(`log of ${pod.name}/${container} ${JSON.stringify({ tailLines, previous, timestamps })}\n`)
  },
  portForward: (_, port) =>
    new Promise((resolve, reject) => {
      const connection = createConnection(port, '127.0.0.1', () => resolve(connection))
      connection.once('error', reject)
    }),
}

export async function openBench(): Promise<Bench> {
  const directory = mkdtempSync(join(tmpdir(), 'lab-api-'))
  const clock = { now: () => Date.now(), monotonic: () => performance.now() }
  const api = await openLabApi({ clock, address: '127.0.0.1', port: 0, findKubelet: () => echoKubelet })
  const config = join(directory, 'kubeconfig')
  writeFileSync(config, api.kubeconfig('bench'))
  const programs = new Map<string, string>()
  const program = (version: string): string => {
    let path = programs.get(version)
    if (path === undefined) {
      path = execFileSync(join(project, 'tools/kubectl.sh'), [version], { encoding: 'utf8' }).trim()
      programs.set(version, path)
    }
    return path
  }
  const env = { PATH: process.env['PATH'] ?? '', HOME: directory, KUBECONFIG: config }
  return {
    api,
    directory,
    kubectl: (version, args, input, more) =>
      new Promise((resolve) => {
        const child = execFile(
          program(version),
          [...args],
          { env: { ...env, ...more }, maxBuffer: 1 << 26 },
          (error, stdout, stderr) => {
            const code = error ? (typeof error.code === 'number' ? error.code : -1) : 0
            resolve({ code, stdout, stderr })
          },
        )
        child.stdin?.end(input ?? '')
      }),
    start: (version, args, more) => execFile(program(version), [...args], { env: { ...env, ...more } }),
    file(name, text) {
      const path = join(directory, name)
      writeFileSync(path, text)
      return path
    },
    async close() {
      await api.close()
      rmSync(directory, { recursive: true, force: true })
    },
  }
}
