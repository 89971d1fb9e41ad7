// SPDX-License-Identifier: Apache-2.0
import { randomInt } from 'node:crypto'
import net from 'node:net'
import { type Address, printAddress } from '../../base/ip.ts'
import type { Place } from '../../edge/kernel/messages.ts'
import { openTcpClient } from '../../edge/kernel/transparent.ts'
import type { Message } from '../../protocol/dns/message.ts'
import { withId } from '../../protocol/dns/refusal.ts'
import { framed, messageStream } from '../../protocol/dns/stream.ts'
import { answerTo, type nodeAddresses, type Outcome, SERVER_MS } from './ask.ts'

/** A connection that says nothing for so long is let go, ms. */
const IDLE_MS = 30_000
/** Questions of one connection under way; more are read when some are answered. */
const MOST_ASKED = 128
const SOURCE_PORTS = [25000, 29999] as const

interface Asked {
  readonly id: number
  readonly query: Uint8Array
  readonly message: Message
  readonly timer: NodeJS.Timeout
  /** Sent on a connection that was there already, which the server may have been about to close. */
  again: boolean
  finish(outcome: Outcome): void
}

/** A connection to a server that carries the questions of one client's connection. */
export interface TcpServer {
  ask(query: Uint8Array, message: Message): Promise<Outcome>
  close(): void
}

export function openTcpServer(
  pod: Address,
  server: Place,
  mark: number,
  isHere: ReturnType<typeof nodeAddresses>,
  unasked: () => void,
): TcpServer {
  const asked = new Map<number, Asked>()
  let socket: net.Socket | undefined

  function dial(): net.Socket {
    const here = isHere(printAddress(server.address))
    const dialled = new net.Socket({ fd: openTcpClient(here ? undefined : pod, SOURCE_PORTS, server, here ? 0 : mark) })
    const stream = messageStream()
    dialled.on('data', (chunk) => {
      for (const bytes of stream.take(chunk)) take(bytes)
    })
    dialled.on('error', () => dialled.destroy())
    dialled.on('end', () => dialled.destroy())
    dialled.on('close', () => {
      if (socket === dialled) socket = undefined
      for (const [own, one] of [...asked])
        if (one.again) put(own, one)
        else end(own, one, 'refused')
    })
    return dialled
  }

  function put(own: number, one: Asked): void {
    one.again = socket !== undefined
    try {
      socket ??= dial()
      socket.write(framed(withId(one.query, own)))
    } catch {
      end(own, one, 'refused')
    }
  }

  function end(own: number, one: Asked, outcome: Outcome): void {
    clearTimeout(one.timer)
    asked.delete(own)
    one.finish(outcome)
  }

  function take(bytes: Uint8Array): void {
    const own = bytes.length >= 2 ? ((bytes[0] as number) << 8) | (bytes[1] as number) : -1
    const one = asked.get(own)
    const found = one && answerTo(bytes, own, one.message.question)
    if (one && found) end(own, one, { bytes: withId(bytes, one.id), message: found.message })
    else unasked()
  }

  return {
    ask: (query, message) =>
      new Promise((finish) => {
        let own = randomInt(65536)
        while (asked.has(own)) own = (own + 1) & 0xffff
        const timer = setTimeout(() => {
          const one = asked.get(own)
          if (one) end(own, one, 'silence')
        }, SERVER_MS)
        const one: Asked = { id: message.header.id, query, message, timer, again: false, finish }
        asked.set(own, one)
        put(own, one)
      }),
    close() {
      for (const [own, one] of [...asked]) end(own, one, 'silence')
      socket?.destroy()
    },
  }
}

export interface ServedClient {
  /** What came from the client before. */
  take(bytes: Uint8Array): void
  /** Reads nothing more, and gives the connection away once no question is under way. */
  leave(): void
}

/**
 * Reads questions from a client and writes what `answer` makes of them, in whatever order they are ready. `pass` takes the
 * connection over, with what was read of a question that is not whole; the file stays ours.
 */
export function serveClient(
  client: net.Socket,
  answer: (query: Uint8Array) => Promise<Uint8Array | undefined> | Uint8Array | undefined,
  pass: (file: number, rest: Uint8Array) => boolean,
): ServedClient {
  const stream = messageStream()
  let underWay = 0
  let leaving = false
  client.setTimeout(IDLE_MS, () => client.destroy())
  client.setNoDelay(true)
  client.on('error', () => client.destroy())

  const passOn = () => {
    if (!leaving || underWay > 0 || client.destroyed || client.writableLength > 0) return
    const handle = handleOf(client)
    // To destroy our end of it is no end of the connection while somebody else has it.
    if (handle && pass(handle.fd, stream.pending)) client.destroy()
  }
  const write = (bytes: Uint8Array | undefined) => {
    underWay--
    if (client.destroyed) return
    if (bytes) client.write(framed(bytes), passOn)
    else passOn()
    if (!leaving && client.isPaused() && underWay < MOST_ASKED) client.resume()
  }
  const take = (bytes: Uint8Array) => {
    for (const query of stream.take(bytes)) {
      underWay++
      const answered = answer(query)
      if (answered instanceof Promise) void answered.then(write)
      else write(answered)
    }
    if (underWay >= MOST_ASKED || client.writableLength > 1 << 20) client.pause()
  }
  client.on('data', take)
  client.on('drain', () => {
    if (!leaving && underWay < MOST_ASKED) client.resume()
  })
  return {
    take,
    leave() {
      leaving = true
      client.pause()
      const rest = client.read() as Uint8Array | null
      handleOf(client)?.readStop()
      if (rest) take(rest)
      passOn()
    },
  }
}

/** What Node keeps to itself: the file of a connection, and that nothing more is read of it. */
const handleOf = (client: net.Socket) =>
  (client as unknown as { readonly _handle: { readonly fd: number; readStop(): void } | null })._handle
