// SPDX-License-Identifier: Apache-2.0
// Open files from process to process: a unix socket of messages, each with some files beside it (SCM_RIGHTS, unix(7)).
import { CONTROL, MSG_DONTWAIT, openBatch } from './messages.ts'
import {
  acceptTry,
  bind,
  close,
  connectTry,
  errnoNumber,
  listen,
  receiveMessages,
  sendMessages,
  setSocketOption,
  socket,
  watchReadable,
} from './syscall.ts'

const AF_UNIX = 1
const SOCK = { SEQPACKET: 5, NONBLOCK: 0x800, CLOEXEC: 0x80000 } as const
const SOL_SOCKET = 1
const SO_SNDBUFFORCE = 32
const SCM_RIGHTS = 1
const MSG_CMSG_CLOEXEC = 0x40000000
const MSG_NOSIGNAL = 0x4000
const CONTROL_HEADER = 16
const EAGAIN = errnoNumber('EAGAIN')

/** Longest message, bytes. */
export const MOST_PASSED = 96 << 10

export interface PassingEvents {
  /** The files belong to whoever is called. */
  take(text: string, files: readonly number[]): void
  closed(): void
}

export interface Passing {
  /**
   * Afterwards the message is the kernel's, and the files may be closed: the other side has them even if this process
   * ends. False: it has not gone, and the connection is over.
   */
  send(text: string, files?: readonly number[]): boolean
  close(): void
}

/** Connects; undefined when nobody listens there. */
export function connectPassing(path: string, events: PassingEvents): Passing | undefined {
  const fd = unixSocket()
  if (connectTry(fd, unixAddress(path)) < 0) {
    close(fd)
    return undefined
  }
  return passing(fd, events)
}

/** Listens at a path where nothing is yet. */
export function listenPassing(path: string, welcome: (open: (events: PassingEvents) => Passing) => void) {
  const fd = unixSocket()
  try {
    bind(fd, unixAddress(path))
    listen(fd, 16)
  } catch (error) {
    close(fd)
    throw error
  }
  const watch = watchReadable(fd, () => {
    for (let got = accept(fd); got >= 0; got = accept(fd)) {
      const accepted = got
      welcome((events) => passing(accepted, events))
    }
  })
  return {
    close(): void {
      watch.close()
      close(fd)
    },
  }
}

const accept = (fd: number): number => acceptTry(fd, SOCK.NONBLOCK | SOCK.CLOEXEC)

const unixSocket = (): number => socket(AF_UNIX, SOCK.SEQPACKET | SOCK.NONBLOCK | SOCK.CLOEXEC, 0)

function unixAddress(path: string): Uint8Array {
  const text = new TextEncoder().encode(path)
  if (text.length > 107) throw new Error(`${path}: a socket's path has 107 bytes at most`)
  const bytes = new Uint8Array(new ArrayBuffer(text.length + 3))
  bytes[0] = AF_UNIX
  bytes.set(text, 2)
  return bytes
}

function passing(fd: number, events: PassingEvents): Passing {
  const batch = openBatch(1, MOST_PASSED)
  const { bytes, view } = batch
  let open = true
  // Nobody has to wait for the other side: there is room for thousands of messages.
  setSocketOption(fd, SOL_SOCKET, SO_SNDBUFFORCE, new Uint8Array(new Uint32Array([16 << 20]).buffer))

  const end = () => {
    if (!open) return
    open = false
    watch.close()
    close(fd)
    events.closed()
  }

  function send(text: Uint8Array, files: readonly number[]): boolean {
    if (!open) return false
    bytes.set(text, batch.data(0))
    const at = batch.control(0)
    const length = CONTROL_HEADER + 4 * files.length
    view.setBigUint64(at, BigInt(length), true)
    view.setInt32(at + 8, SOL_SOCKET, true)
    view.setInt32(at + 12, SCM_RIGHTS, true)
    for (const [i, file] of files.entries()) view.setInt32(at + CONTROL_HEADER + 4 * i, file, true)
    batch.lengths(0, 0, text.length, files.length === 0 ? 0 : (length + 7) & ~7)
    if (sendMessages(fd, bytes, 1, MSG_DONTWAIT | MSG_NOSIGNAL) === 1) return true
    end()
    return false
  }

  function receive(): readonly [string, readonly number[]] | 'nothing' | 'end' {
    batch.lengths(0, 0, MOST_PASSED, CONTROL)
    const got = receiveMessages(fd, bytes, 1, MSG_DONTWAIT | MSG_CMSG_CLOEXEC)
    if (got < 0) return -got === EAGAIN ? 'nothing' : 'end'
    const { length, control } = batch.received(0)
    const files: number[] = []
    const at = batch.control(0)
    if (control >= CONTROL_HEADER && view.getInt32(at + 12, true) === SCM_RIGHTS)
      for (let i = CONTROL_HEADER; i + 4 <= Number(view.getBigUint64(at, true)); i += 4)
        files.push(view.getInt32(at + i, true))
    if (length === 0) return 'end'
    return [new TextDecoder().decode(bytes.subarray(batch.data(0), batch.data(0) + length)), files]
  }

  const watch = watchReadable(fd, () => {
    while (open) {
      const got = receive()
      if (got === 'nothing') return
      if (got === 'end') return end()
      events.take(...got)
    }
  })
  return { send: (text, files = []) => send(new TextEncoder().encode(text), files), close: end }
}
