// SPDX-License-Identifier: Apache-2.0
import type { Duplex, Writable } from 'node:stream'
import { badRequest, StatusError } from '../../../protocol/kubeapi/status.ts'
import type { KubeletStreams, LogOptions, PodRef, ProcessStreams } from '../api/streams.ts'
import { logDirectory } from './container.ts'
import type { ContainerLife } from './lifecycle.ts'
import { readLog } from './logs.ts'
import type { LabNode, Program } from './node.ts'
import type { PodLife } from './pod.ts'

/** exec, attach, logs and port-forward over the pods of one node. */
export function kubeletStreams(node: LabNode, find: (uid: string) => PodLife | undefined): KubeletStreams {
  const podOf = (ref: PodRef): PodLife => {
    const life = find(ref.uid)
    if (!life) throw new StatusError(404, 'NotFound', `pod ${ref.name} is not on node ${node.name} (yet)`)
    return life
  }
  const containerOf = (ref: PodRef, container: string): ContainerLife | undefined => {
    const life = podOf(ref)
    const { spec } = life.pod()
    const all = [...spec.containers, ...(spec.initContainers ?? []), ...(spec.ephemeralContainers ?? [])]
    if (!all.some((c) => c.name === container)) {
      throw badRequest(`container ${container} is not valid for pod ${ref.name}`)
    }
    return life.container(container)
  }
  const runningOf = (ref: PodRef, container: string) => {
    const running = containerOf(ref, container)?.running()
    if (!running) {
      throw new StatusError(500, 'InternalError', `unable to upgrade connection: container not found ("${container}")`)
    }
    return running
  }

  return {
    async exec(ref, container, command, streams) {
      const { made, program: main } = runningOf(ref, container)
      const env = [...(made.inside['env'] as readonly string[]), ...(streams.tty ? ['TERM=xterm'] : [])]
      const request = {
        ...made.inside,
        env,
        pid: main.pid,
        arg: command,
        tty: streams.tty,
        in: streams.stdin !== undefined,
      }
      const program = await node.exec(request).catch((error: Error) => {
        throw new StatusError(
          500,
          'InternalError',
          `Internal error occurred: error executing command in container: failed to exec in container: ${error.message}`,
        )
      })
      const close = () => program.close()
      streams.signal.addEventListener('abort', close, { once: true })
      if (streams.signal.aborted) close()
      carryOutput(program, streams)
      carryInput(program, streams)
      const { code } = await program.ended
      streams.signal.removeEventListener('abort', close)
      return code
    },

    async attach(ref, container, streams) {
      const { made, program } = runningOf(ref, container)
      const over = new Promise<void>((resolve) => {
        streams.signal.addEventListener('abort', () => resolve(), { once: true })
        if (streams.signal.aborted) resolve()
      })
      if (made.request['tee'] !== true) return followLog(ref, container, streams)
      const stop = carryOutput(program, streams)
      carryInput(program, streams, containerOf(ref, container)?.spec.stdinOnce === true)
      await Promise.race([program.ended, over])
      stop()
    },

    logs(ref, container, options) {
      const life = containerOf(ref, container)
      const { pod } = podOf(ref)
      const status = life?.status()
      const number = (status?.restartCount ?? 0) - (options.previous ? 1 : 0)
      if (options.previous && number < 0) {
        throw badRequest(`previous terminated container "${container}" in pod "${ref.name}" not found`)
      }
      const waiting = status ? status.state.waiting : { reason: 'ContainerCreating' }
      if (waiting && number === 0 && !status?.lastState.terminated && !options.previous) {
        throw badRequest(`container "${container}" in pod "${ref.name}" is waiting to start: ${waiting.reason}`)
      }
      // A container that waits for its next start shows its last run.
      const path = node.path(`${logDirectory(pod(), container)}/${number}.log`)
      const ended = () => options.previous || life?.running() === undefined
      return readLog(path, options, ended)
    },

    async portForward(ref, port): Promise<Duplex> {
      const sandbox = podOf(ref).sandbox()
      if (!sandbox) throw new StatusError(500, 'InternalError', `pod ${ref.name} is not running`)
      const net = sandbox.netns ? { net: sandbox.netns } : {}
      try {
        return await node.dial({ ...net, address: '127.0.0.1', port })
      } catch (error) {
        return await node.dial({ ...net, address: '::1', port }).catch(() => {
          throw new Error(`failed to connect to localhost:${port} inside the pod: ${(error as Error).message}`)
        })
      }
    },
  }

  async function followLog(ref: PodRef, container: string, streams: ProcessStreams): Promise<void> {
    const life = containerOf(ref, container)
    const pod = podOf(ref).pod()
    const path = node.path(`${logDirectory(pod, container)}/${life?.status().restartCount ?? 0}.log`)
    const options: LogOptions = {
      follow: true,
      previous: false,
      timestamps: false,
      tailLines: 0,
      signal: streams.signal,
    }
    for await (const data of readLog(path, options, () => life?.running() === undefined)) streams.stdout?.write(data)
  }
}

/** Slows the program down when the client does not keep up. */
function carryOutput(program: Program, streams: ProcessStreams): () => void {
  return program.onOutput((which, data) => {
    const to: Writable | undefined = which === 'stderr' ? streams.stderr : streams.stdout
    if (!to || to.destroyed || to.write(data)) return
    program.pause()
    const go = () => program.resume()
    to.once('drain', go)
    to.once('close', go)
  })
}

function carryInput(program: Program, streams: ProcessStreams, ends = true): void {
  const { stdin, resize } = streams
  if (stdin) {
    stdin.on('data', (data: Buffer) => {
      if (program.write(data)) return
      stdin.pause()
      void program.drained().then(() => stdin.resume())
    })
    if (ends) stdin.once('end', () => program.endInput())
    stdin.once('error', () => program.close())
  }
  if (resize) {
    void (async () => {
      for await (const { width, height } of resize) program.resize(width, height)
    })().catch(() => {})
  }
}
