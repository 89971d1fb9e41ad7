// SPDX-License-Identifier: Apache-2.0
import { fromBase64 } from '../../base/bytes.ts'
import type { KeptMessage } from '../../edge/dns/messages.ts'
import { connectPassing, MOST_PASSED, type Passing } from '../../edge/kernel/passing.ts'
import { close } from '../../edge/kernel/syscall.ts'

/** Between attempts to reach the agent, and longest wait for what it keeps, ms. */
const AGAIN_MS = 200
const FIRST_MS = 500

/** Sockets that outlive this process, because the agent keeps them open too. */
export interface KeptSockets {
  /** Resolves once what was kept has come, or nobody keeps anything. */
  readonly ready: Promise<void>
  /** Somebody keeps what we give. */
  readonly connected: boolean
  /** The sockets of a listener, if they were kept; they are the caller's now. */
  take(port: number, families: string): readonly number[] | undefined
  /** From now on they are kept, until `release`. */
  keep(port: number, families: string, files: readonly number[]): void
  release(port: number): void
  /** What was kept for listeners of other ports is closed. */
  only(ports: ReadonlySet<number>): void
  /** Gives a client's connection to the next proxy; false: nobody takes it. The file stays the caller's. */
  pass(port: number, file: number, rest: Uint8Array): boolean
  /** Nothing more is wanted. */
  leave(): void
  close(): void
}

export interface KeptEvents {
  /** A connection that another proxy had; the file is the receiver's. */
  client(port: number, file: number, rest: Uint8Array): void
  /** Sockets have come that were not there before. */
  came(): void
}

export function openKeptSockets(path: string, events: KeptEvents): KeptSockets {
  const own = new Map<number, { readonly families: string; readonly files: readonly number[] }>()
  /** Came, and nobody has taken them yet. */
  const waiting = new Map<number, { readonly families: string; readonly files: readonly number[] }>()
  let passing: Passing | undefined
  let timer: NodeJS.Timeout | undefined
  let leaving = false
  let closed = false
  let whole: () => void = () => {}
  const ready = new Promise<void>((resolve) => (whole = resolve))

  const say = (message: KeptMessage, files: readonly number[] = []): boolean =>
    passing?.send(JSON.stringify(message), files) ?? false
  const closeAll = (files: readonly number[]) => {
    for (const file of files) close(file)
  }

  function take(message: KeptMessage, files: readonly number[]): void {
    const [file] = files
    if (message.kind === 'all') whole()
    else if (leaving || (message.kind === 'listener' && own.has(message.port))) closeAll(files)
    else if (message.kind === 'listener') {
      closeAll(waiting.get(message.port)?.files ?? [])
      waiting.set(message.port, { families: message.families, files })
      events.came()
    } else if (message.kind === 'client' && file !== undefined)
      events.client(message.port, file, fromBase64(message.rest) ?? new Uint8Array())
  }

  const dial = () => {
    passing = connectPassing(path, {
      take: (text, files) => take(JSON.parse(text) as KeptMessage, files),
      closed() {
        passing = undefined
        if (!closed) timer = setTimeout(dial, AGAIN_MS)
      },
    })
    if (!passing) {
      whole()
      timer = setTimeout(dial, AGAIN_MS)
      return
    }
    for (const [port, { families, files }] of own) say({ kind: 'listener', port, families }, files)
    if (leaving) say({ kind: 'leaving' })
  }
  dial()
  setTimeout(whole, FIRST_MS)

  return {
    ready,
    get connected() {
      return passing !== undefined
    },
    take(port, families) {
      const found = waiting.get(port)
      if (!found) return undefined
      waiting.delete(port)
      if (found.families === families) return found.files
      closeAll(found.files)
      say({ kind: 'closed', port })
      return undefined
    },
    keep(port, families, files) {
      own.set(port, { families, files })
      say({ kind: 'listener', port, families }, files)
    },
    release(port) {
      own.delete(port)
      if (!leaving) say({ kind: 'closed', port })
    },
    only(ports) {
      for (const [port, { files }] of waiting) {
        if (ports.has(port)) continue
        waiting.delete(port)
        closeAll(files)
        say({ kind: 'closed', port })
      }
    },
    pass: (port, file, rest) =>
      rest.length < MOST_PASSED / 2 &&
      say({ kind: 'client', port, rest: Buffer.from(rest).toString('base64') }, [file]),
    leave() {
      leaving = true
      // Those of TCP are closed here from now on: an agent that starts at this very moment gets them from the next proxy.
      own.clear()
      say({ kind: 'leaving' })
    },
    close() {
      closed = true
      clearTimeout(timer)
      passing?.close()
    },
  }
}
