// SPDX-License-Identifier: Apache-2.0
/** A stock Envoy on the loopback, with the agent's side of it, and no agent. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { AccessEntry } from '../../../src/edge/envoy/access.ts'
import { bootstrap, runtimeResource, sockets } from '../../../src/edge/envoy/bootstrap.ts'
import { type EnvoyControl, openEnvoy } from '../../../src/edge/envoy/control.ts'
import { ran } from '../../ran.ts'

export interface Bench {
  readonly control: EnvoyControl
  readonly told: AccessEntry[]
  /** Path of the administration's socket. */
  readonly admin: string
  /** Where the agent's side listens. */
  readonly xds: string
  start(): Promise<void>
  /** It is there and does nothing. */
  pause(): void
  resume(): void
  stop(): Promise<void>
  close(): Promise<void>
}

export async function openBench(answerMs = 10_000): Promise<Bench> {
  const program = (await ran('tools/envoy.sh', [])).stdout.trim()
  const folder = mkdtempSync(join(tmpdir(), 'cilium-envoy-'))
  mkdirSync(join(folder, 'envoy/sockets'), { recursive: true })
  const { admin, xds } = sockets(folder)
  const told: AccessEntry[] = []
  const access = {
    wanted: true,
    take: (entries: readonly AccessEntry[]) => void told.push(...entries),
    takeConnections: () => {},
  }
  const control = openEnvoy({ path: xds, access, absent: 'no Envoy', answerMs })
  control.give(runtimeResource({}))
  const config = join(folder, 'bootstrap.json')
  writeFileSync(config, JSON.stringify(bootstrap(folder, 'bench')))
  let child: ChildProcess | undefined
  const stop = async (): Promise<void> => {
    const running = child
    child = undefined
    if (!running || running.exitCode !== null) return
    const ended = new Promise((resolve) => running.on('exit', resolve))
    running.kill('SIGKILL')
    await ended
  }
  return {
    control,
    told,
    admin,
    xds,
    start: async () => {
      const args = ['-c', config, '--use-dynamic-base-id', '--concurrency', '2', '-l', 'error']
      child = spawn(program, args, { stdio: 'ignore' })
      for (let i = 0; control.connected === 0; i++) {
        if (i > 600) throw new Error('Envoy does not come')
        await new Promise((resolve) => setTimeout(resolve, 50))
      }
    },
    pause: () => void child?.kill('SIGSTOP'),
    resume: () => void child?.kill('SIGCONT'),
    stop,
    close: async () => {
      await stop()
      await control.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}
