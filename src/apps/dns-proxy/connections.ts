// SPDX-License-Identifier: Apache-2.0
import net from 'node:net'
import { parseAddress } from '../../base/ip.ts'
import { nodeAddresses } from './ask.ts'
import type { ListenerPart, Served } from './listener.ts'
import { type Service, upMark } from './serve.ts'
import { openTcpServer, type ServedClient, serveClient } from './stream.ts'

/** Clients' connections to one socket. */
const MOST_CLIENTS = 4096

export interface ServedStream extends Served {
  /** A client's connection that another proxy had; `rest` is what it had read of the next question. */
  adopt(file: number, rest: Uint8Array): void
}

/** Questions by TCP. `pass` gives a client's connection to the next proxy. */
export function openConnections(
  service: () => Service,
  pass: (port: number, file: number, rest: Uint8Array) => boolean,
) {
  const clients = new Map<net.Socket, ServedClient>()
  const isHere = nodeAddresses()
  let notAsked = 0

  return {
    /** Answers what comes to a socket that listens, which is ours from now on. */
    serve({ file, port, current }: ListenerPart): ServedStream {
      const own = new Set<net.Socket>()
      const welcome = (client: net.Socket, rest?: Uint8Array): void => {
        const from = parseAddress(client.remoteAddress ?? '')
        const to = parseAddress(client.localAddress ?? '')
        if (!from || !to || !client.remotePort || !client.localPort || own.size >= MOST_CLIENTS)
          return void client.destroy()
        const asker = { address: from, port: client.remotePort }
        const asked = { address: to, port: client.localPort }
        const upstream = openTcpServer(from, asked, upMark(port), isHere, () => notAsked++)
        client.on('close', () => {
          own.delete(client)
          clients.delete(client)
          upstream.close()
        })
        own.add(client)
        const served = serveClient(
          client,
          (query) =>
            service().answer({
              ...{ listener: current(), protocol: 'TCP', client: asker, server: asked, query },
              ask: (bytes, message) => upstream.ask(bytes, message),
            }),
          (socket, unread) => pass(port, socket, unread),
        )
        clients.set(client, served)
        if (rest) served.take(rest)
      }
      const server = net.createServer((client) => welcome(client))
      server.maxConnections = MOST_CLIENTS
      server.on('error', () => {})
      server.listen({ fd: file })
      return {
        adopt: (socket, rest) => welcome(new net.Socket({ fd: socket }), rest),
        leave: () => void server.close(),
        close() {
          server.close()
          for (const client of own) client.destroy()
        },
      }
    },
    /** All connections go to the next proxy, each once nothing is under way on it. */
    leave() {
      for (const client of clients.values()) client.leave()
    },
    get count() {
      return clients.size
    },
    get notAsked() {
      return notAsked
    },
  }
}
