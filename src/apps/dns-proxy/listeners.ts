// SPDX-License-Identifier: Apache-2.0
import net from 'node:net'
import { parseAddress } from '../../base/ip.ts'
import { datagramReader, datagramWriter, type Received, type Sent } from '../../edge/kernel/messages.ts'
import { close, watchReadable } from '../../edge/kernel/syscall.ts'
import { openRawUdp, openTcpListener, openUdpListener } from '../../edge/kernel/transparent.ts'
import { errorText } from '../../edge/runtime/scope.ts'
import type { DnsListenerRow } from '../../model/proxy.ts'
import { nodeAddresses, openUdpServers, type UdpServers } from './ask.ts'
import { downMark, type Service, upMark } from './serve.ts'
import { openTcpServer, serveClient } from './stream.ts'

/** Largest question by UDP; one with a cookie, padding and all has some hundreds of bytes. */
const MOST_QUESTION = 4096
const BATCH = 32
const MOST_CLIENTS = 4096

export interface Families {
  readonly ipv4: boolean
  readonly ipv6: boolean
}

export interface Listeners {
  /** Opens and closes until these are there. Returns what could not be opened, by name. */
  set(rows: readonly DnsListenerRow[], families: Families): Readonly<Record<string, string>>
  readonly count: number
  readonly notAsked: number
  close(): void
}

interface Open {
  row: DnsListenerRow
  readonly port: number
  readonly families: string
  close(): void
}

export function openListeners(service: () => Service): Listeners {
  const open = new Map<string, Open>()
  const udp = openUdpServers()
  const isHere = nodeAddresses()
  const read = datagramReader(BATCH, MOST_QUESTION)
  const write = datagramWriter(BATCH)
  let tcpNotAsked = 0

  function openOne(row: DnsListenerRow, families: Families): Open {
    const closers: (() => void)[] = []
    const listener: Open = {
      row,
      port: row.port,
      families: JSON.stringify(families),
      close() {
        for (const one of closers) one()
      },
    }
    const current = () => listener.row
    try {
      for (const family of [...(families.ipv4 ? [4 as const] : []), ...(families.ipv6 ? [6 as const] : [])]) {
        closers.push(serveUdp(family, row.port, current))
        closers.push(serveTcp(family, row.port, current))
      }
      return listener
    } catch (e) {
      listener.close()
      throw e
    }
  }

  function serveUdp(family: 4 | 6, port: number, current: () => DnsListenerRow): () => void {
    const fd = openUdpListener(family, port, downMark(port))
    let raw: number
    try {
      raw = openRawUdp(family, downMark(port))
    } catch (e) {
      close(fd)
      throw e
    }
    let out: Sent[] = []
    let open = true
    /** Answers that are ready together leave together. */
    const flush = () => {
      const sent = out
      out = []
      if (open) write(raw, sent)
    }
    const answer = (question: Received, bytes: Uint8Array | undefined) => {
      if (!bytes) return
      if (out.push({ from: question.to, to: question.from, bytes }) === 1) queueMicrotask(flush)
    }
    const take = (question: Received) => {
      const answered = service().answer({
        listener: current(),
        protocol: 'UDP',
        client: question.from,
        server: question.to,
        query: question.bytes,
        ask: (query, message) => udp.ask(question.from.address, question.to, query, message, upMark(port)),
      })
      if (answered instanceof Promise) void answered.then((bytes) => answer(question, bytes))
      else answer(question, answered)
    }
    const watch = watchReadable(fd, () => {
      for (const question of read(fd)) take(question)
    })
    return () => {
      open = false
      watch.close()
      close(fd)
      close(raw)
    }
  }

  function serveTcp(family: 4 | 6, port: number, current: () => DnsListenerRow): () => void {
    const clients = new Set<net.Socket>()
    const server = net.createServer((client) => {
      const from = parseAddress(client.remoteAddress ?? '')
      const to = parseAddress(client.localAddress ?? '')
      if (!from || !to || !client.remotePort || !client.localPort) return client.destroy()
      const [asker, asked] = [
        { address: from, port: client.remotePort },
        { address: to, port: client.localPort },
      ]
      const upstream = openTcpServer(from, asked, upMark(port), isHere, () => tcpNotAsked++)
      clients.add(client)
      client.on('close', () => {
        clients.delete(client)
        upstream.close()
      })
      serveClient(client, (query) =>
        service().answer({
          ...{ listener: current(), protocol: 'TCP', client: asker, server: asked, query },
          ask: (bytes, message) => upstream.ask(bytes, message),
        }),
      )
      return undefined
    })
    server.maxConnections = MOST_CLIENTS
    server.on('error', () => {})
    server.listen({ fd: openTcpListener(family, port, downMark(port)) })
    return () => {
      server.close()
      for (const client of clients) client.destroy()
    }
  }

  return {
    set(rows, families) {
      const problems: Record<string, string> = {}
      const wanted = new Map(rows.map((r) => [r.name, r]))
      const sockets = JSON.stringify(families)
      for (const [name, one] of open)
        if (wanted.get(name)?.port !== one.port || one.families !== sockets) {
          one.close()
          open.delete(name)
        }
      for (const [name, row] of wanted) {
        const there = open.get(name)
        // Rules change under the sockets.
        if (there) there.row = row
        else
          try {
            open.set(name, openOne(row, families))
          } catch (e) {
            problems[name] = `port ${row.port}: ${errorText(e)}`
          }
      }
      return problems
    },
    get count() {
      return open.size
    },
    get notAsked() {
      return (udp satisfies UdpServers).notAsked + tcpNotAsked
    },
    close() {
      for (const one of open.values()) one.close()
      open.clear()
      udp.close()
    },
  }
}
