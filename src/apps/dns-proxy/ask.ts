// SPDX-License-Identifier: Apache-2.0
import { randomInt } from 'node:crypto'
import { networkInterfaces } from 'node:os'
import { type Address, printAddress } from '../../base/ip.ts'
import type { Place } from '../../edge/kernel/messages.ts'
import { close, KernelError, receiveTry, sendTry, watchReadable } from '../../edge/kernel/syscall.ts'
import { openUdpClient } from '../../edge/kernel/transparent.ts'
import { answers } from '../../protocol/dns/answer.ts'
import { type Message, MOST_BYTES, type Question, readHeader, readMessage } from '../../protocol/dns/message.ts'
import { withId } from '../../protocol/dns/refusal.ts'

/** An answer with its id put back to the asker's. */
export interface Answered {
  readonly bytes: Uint8Array
  /** Absent where a server only says that it could not read the question. */
  readonly message: Message | undefined
}

/** What becomes of a question: an answer, silence, or a server that does not want to be asked. */
export type Outcome = Answered | 'silence' | 'refused'

/** How long a server may take, ms: as long as resolvers wait. */
export const SERVER_MS = 5_000
/** Sockets are used again, each for one question at a time, and not for long: their ports should not be learnt. */
const IDLE_MS = 2_000
const LIFE_MS = 10_000
const MOST_SOCKETS = 8_192
/** Below those that pods' kernels take, so that a pod and we do not speak from one port. */
const SOURCE_PORTS = [1024, 32767] as const
const MSG_DONTWAIT = 0x40

interface Asked {
  readonly id: number
  readonly ownId: number
  readonly question: Question
  readonly timer: NodeJS.Timeout
  finish(outcome: Outcome): void
}

interface Client {
  readonly key: string
  readonly fd: number
  readonly opened: number
  used: number
  asked: Asked | undefined
  close(): void
}

export interface UdpServers {
  /** Asks a server in a pod's name. */
  ask(pod: Address, server: Place, query: Uint8Array, message: Message, mark: number): Promise<Outcome>
  /** Messages that were no answers to what was asked. */
  readonly notAsked: number
  close(): void
}

/** The answer to a question, or undefined: then it is somebody else's. */
export function answerTo(
  bytes: Uint8Array,
  id: number,
  question: Question,
): { message: Message | undefined } | undefined {
  const header = readHeader(bytes)
  if (!header?.response || header.id !== id) return undefined
  const read = readMessage(bytes)
  if (read.ok) return answers(read.value, question) ? { message: read.value } : undefined
  // Servers that can not read a question, because of EDNS for instance, may answer with a header alone.
  return header.rcode !== 0 && bytes.length === 12 ? { message: undefined } : undefined
}

export function openUdpServers(): UdpServers {
  const buffer = new Uint8Array(new ArrayBuffer(MOST_BYTES))
  const idle = new Map<string, Client[]>()
  const all = new Set<Client>()
  const ownAddresses = nodeAddresses()
  let notAsked = 0

  const sweep = setInterval(() => {
    const now = performance.now()
    for (const c of all) if (!c.asked && (now - c.used > IDLE_MS || now - c.opened > LIFE_MS)) c.close()
  }, 1_000)
  sweep.unref()

  function open(key: string, pod: Address, server: Place, mark: number): Client {
    // A server on this very node would answer the pod, not us: it sees the node.
    const here = ownAddresses(printAddress(server.address))
    let fd = -1
    for (let tries = 0; fd < 0; tries++)
      try {
        const source = { address: pod, port: randomInt(SOURCE_PORTS[0], SOURCE_PORTS[1] + 1) }
        fd = openUdpClient(here ? undefined : source, server, here ? 0 : mark)
      } catch (e) {
        if (!(e instanceof KernelError) || e.code !== 'EADDRINUSE' || tries > 8) throw e
      }
    const watch = watchReadable(fd, () => read(client))
    const client: Client = {
      key,
      fd,
      opened: performance.now(),
      used: performance.now(),
      asked: undefined,
      close() {
        if (!all.delete(client)) return
        const list = idle.get(key)
        if (list) {
          const left = list.filter((c) => c !== client)
          if (left.length > 0) idle.set(key, left)
          else idle.delete(key)
        }
        watch.close()
        close(fd)
      },
    }
    all.add(client)
    return client
  }

  function read(client: Client): void {
    for (;;) {
      const length = receiveTry(client.fd, buffer, MSG_DONTWAIT)
      const asked = client.asked
      if (length < 0) {
        // After an error the event loop looks at the socket no more.
        if (-length !== 11 && asked) end(client, asked, 'refused')
        else if (-length !== 11) client.close()
        return
      }
      const bytes = buffer.subarray(0, length)
      const found = asked && answerTo(bytes, asked.ownId, asked.question)
      if (!asked || !found) {
        notAsked++
        continue
      }
      end(client, asked, { bytes: withId(bytes, asked.id), message: found.message })
      return
    }
  }

  function end(client: Client, asked: Asked, outcome: Outcome): void {
    clearTimeout(asked.timer)
    client.asked = undefined
    client.used = performance.now()
    if (typeof outcome === 'string') client.close()
    else {
      const list = idle.get(client.key)
      if (list) list.push(client)
      else idle.set(client.key, [client])
    }
    asked.finish(outcome)
  }

  return {
    ask: (pod, server, query, message, mark) =>
      new Promise((finish) => {
        const key = `${pod.toString()} ${server.address.toString()} ${server.port} ${mark}`
        let client = idle.get(key)?.pop()
        if (!client) {
          if (all.size >= MOST_SOCKETS) return finish('refused')
          try {
            client = open(key, pod, server, mark)
          } catch {
            return finish('refused')
          }
        }
        const to = client
        const asked: Asked = {
          id: message.header.id,
          ownId: randomInt(65536),
          question: message.question,
          timer: setTimeout(() => end(to, asked, 'silence'), SERVER_MS),
          finish,
        }
        client.asked = asked
        const sent = sendTry(client.fd, withId(query, asked.ownId))
        if (sent < 0 && -sent !== 11) end(client, asked, 'refused')
        return undefined
      }),
    get notAsked() {
      return notAsked
    },
    close() {
      clearInterval(sweep)
      for (const client of [...all]) client.close()
    },
  }
}

/** Is it an address of this node? Asked anew every few seconds. */
export function nodeAddresses(): (address: string) => boolean {
  let known = new Set<string>()
  let read = Number.NEGATIVE_INFINITY
  return (address) => {
    if (performance.now() - read > 5_000) {
      read = performance.now()
      known = new Set(Object.values(networkInterfaces()).flatMap((of) => (of ?? []).map((a) => a.address)))
    }
    return known.has(address)
  }
}
