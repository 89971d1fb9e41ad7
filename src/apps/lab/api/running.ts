// SPDX-License-Identifier: Apache-2.0
import type { Duplex, Writable } from 'node:stream'
import { type Status, StatusError } from '../../../protocol/kubeapi/status.ts'
import { statusOf } from './message.ts'
import type { TerminalSize } from './streams.ts'
import type { Target } from './target.ts'

/** The part of an exec or attach request that does not depend on what carries it. */
export interface Running {
  readonly target: Target
  readonly query: URLSearchParams
  /** exec or attach. */
  readonly subresource: string
}

export const flag = (query: URLSearchParams, name: string): boolean => /^(true|1)$/.test(query.get(name) ?? '')

/** The client's ends; absent where not asked for. */
export interface Ends {
  readonly stdin?: Duplex
  readonly stdout?: Writable
  readonly stderr?: Writable
  readonly sizes?: Duplex
  readonly signal: AbortSignal
}

const success: Status = { kind: 'Status', apiVersion: 'v1', metadata: {}, status: 'Success' }

/** Runs or joins the process; the Status is what the client's error stream carries. */
export async function run({ target, query, subresource }: Running, ends: Ends): Promise<Status> {
  const { stdin, stdout, stderr, sizes, signal } = ends
  const tty = flag(query, 'tty')
  const streams = {
    ...(stdin ? { stdin } : {}),
    ...(stdout ? { stdout } : {}),
    ...(stderr ? { stderr } : {}),
    ...(tty && sizes ? { resize: terminalSizes(sizes) } : {}),
    tty,
    signal,
  }
  try {
    if (subresource === 'attach') {
      await target.kubelet.attach(target.pod, target.container, streams)
      await Promise.all([flushed(stdout), flushed(stderr)])
      return success
    }
    const code = await target.kubelet.exec(target.pod, target.container, query.getAll('command'), streams)
    await Promise.all([flushed(stdout), flushed(stderr)])
    if (code === 0) return success
    return new StatusError(500, 'NonZeroExitCode', `command terminated with non-zero exit code: exit code ${code}`, {
      causes: [{ reason: 'ExitCode', message: String(code) }],
    }).status
  } catch (error) {
    return statusOf(error)
  }
}

/** Resolves when everything written has gone out. */
const flushed = (stream: Writable | undefined): Promise<void> =>
  new Promise((resolve) => {
    if (!stream || stream.destroyed || stream.writableFinished) return resolve()
    if (stream.writableEnded) stream.once('close', resolve)
    else stream.write(Buffer.alloc(0), () => resolve())
  })

async function* terminalSizes(stream: Duplex): AsyncGenerator<TerminalSize> {
  for await (const part of stream as AsyncIterable<Buffer>) {
    for (const line of part.toString().split('\n')) {
      if (line.trim() === '') continue
      try {
        const { Width, Height } = JSON.parse(line) as { Width?: number; Height?: number }
        if (Width && Height) yield { width: Width, height: Height }
      } catch {}
    }
  }
}
