// SPDX-License-Identifier: Apache-2.0
import net from 'node:net'
import { type FromAgent, type FromProxy, lineReader } from './messages.ts'

/** The proxy's side: connected, or on its way to be. */
export interface AgentLink {
  readonly connected: boolean
  /** False when there is nobody to hear it. */
  send(message: FromProxy): boolean
  close(): void
}

/** Between attempts to reach the agent, ms. */
const AGAIN_MS = 100
/** Records are thrown away while the agent is this far behind, bytes. */
const BEHIND = 4 << 20

/** Connects to the agent's socket, again and again. `changed`: the agent has come or gone. */
export function openAgentLink(
  path: string,
  on: { take(message: FromAgent): void; changed(connected: boolean): void },
): AgentLink {
  let socket: net.Socket | undefined
  let timer: NodeJS.Timeout | undefined
  let connected = false
  let closed = false

  const dial = () => {
    const lines = lineReader<FromAgent>()
    const dialled = net.connect(path)
    socket = dialled
    dialled.setEncoding('utf8')
    dialled.on('connect', () => {
      connected = true
      on.changed(true)
    })
    dialled.on('data', (chunk: string) => {
      try {
        for (const message of lines(chunk)) on.take(message)
      } catch {
        dialled.destroy()
      }
    })
    dialled.on('error', () => dialled.destroy())
    dialled.on('close', () => {
      const was = connected
      connected = false
      if (was) on.changed(false)
      if (!closed) timer = setTimeout(dial, AGAIN_MS)
    })
  }
  dial()
  return {
    get connected() {
      return connected
    },
    send(message) {
      if (!connected || !socket || (message.kind === 'records' && socket.writableLength > BEHIND)) return false
      socket.write(`${JSON.stringify(message)}\n`)
      return true
    },
    close() {
      closed = true
      clearTimeout(timer)
      socket?.destroy()
    },
  }
}
