// SPDX-License-Identifier: Apache-2.0
import net from 'node:net'
import { parseAddress } from '../../base/ip.ts'
import { datagramReader, datagramWriter, type Received, type Sent } from '../../edge/kernel/messages.ts'
import { close, watchReadable } from '../../edge/kernel/syscall.ts'
import { openRawUdp, openTcpListener, openUdpListener } from '../../edge/kernel/transparent.ts'
import { errorText } from '../../edge/runtime/scope.ts'
import type { DnsListenerRow } from '../../model/proxy.ts'
import { nodeAddresses, openUdpServers, type UdpServers } from './ask.ts'
import type { KeptSockets } from './kept.ts'
import { downMark, type Service, upMark } from './serve.ts'
import { openTcpServer, type ServedClient, serveClient } from './stream.ts'

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
  /** A connection to a listener that another proxy had; `rest` is what it had read of the next question. */
  adopt(port: number, file: number, rest: Uint8Array): void
  /** Takes no more questions; clients' connections go to the next proxy once nothing is under way on them. */
  leave(): void
  readonly count: number
  /** Connections of clients. */
  readonly clients: number
  readonly notAsked: number
  close(): void
}

interface Open {
  row: DnsListenerRow
  readonly port: number
  readonly families: string
  readonly served: readonly Served[]
}

/** One socket of a listener. */
interface Served {
  leave(): void
  close(): void
}

interface ServedStream extends Served {
  adopt(client: net.Socket, rest?: Uint8Array): void
}

type Kept = Pick<KeptSockets, 'take' | 'keep' | 'release' | 'pass'>

export function openListeners(service: () => Service, kept: Kept): Listeners {
  const open = new Map<string, Open>()
  const clients = new Map<net.Socket, ServedClient>()
  const udp = openUdpServers()
  const isHere = nodeAddresses()
  const read = datagramReader(BATCH, MOST_QUESTION)
  const write = datagramWriter(BATCH)
  let tcpNotAsked = 0
  /** Clients' connections that came before the listeners; undefined once these are here. */
  let early: Parameters<Listeners['adopt']>[] | undefined = []

  function openOne(row: DnsListenerRow, families: Families): Open {
    const wanted = [...(families.ipv4 ? [4 as const] : []), ...(families.ipv6 ? [6 as const] : [])]
    const { port } = row
    const served: Served[] = []
    const listener: Open = { row, port, families: textOf(families), served }
    const current = () => listener.row
    const files = [...(kept.take(port, listener.families) ?? openFiles(wanted, port))]
    const all = [...files]
    try {
      for (const family of wanted) {
        served.push(serveUdp(files.shift() as number, family, port, current))
        served.push(serveTcp(files.shift() as number, port, current))
      }
    } catch (e) {
      for (const one of served) one.close()
      for (const file of files) close(file)
      throw e
    }
    kept.keep(port, listener.families, all)
    return listener
  }

  function serveUdp(fd: number, family: 4 | 6, port: number, current: () => DnsListenerRow): Served {
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
    let watching = true
    const leave = () => {
      if (watching) watch.close()
      watching = false
    }
    return {
      leave,
      close() {
        open = false
        leave()
        close(fd)
        close(raw)
      },
    }
  }

  function serveTcp(fd: number, port: number, current: () => DnsListenerRow): ServedStream {
    const own = new Set<net.Socket>()
    function adopt(client: net.Socket, rest?: Uint8Array): void {
      const from = parseAddress(client.remoteAddress ?? '')
      const to = parseAddress(client.localAddress ?? '')
      if (!from || !to || !client.remotePort || !client.localPort || own.size >= MOST_CLIENTS)
        return void client.destroy()
      const [asker, asked] = [
        { address: from, port: client.remotePort },
        { address: to, port: client.localPort },
      ]
      const upstream = openTcpServer(from, asked, upMark(port), isHere, () => tcpNotAsked++)
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
        (file, unread) => kept.pass(port, file, unread),
      )
      clients.set(client, served)
      if (rest) served.take(rest)
    }
    const server = net.createServer((client) => adopt(client))
    server.maxConnections = MOST_CLIENTS
    server.on('error', () => {})
    server.listen({ fd })
    return {
      adopt,
      leave: () => void server.close(),
      close() {
        server.close()
        for (const client of own) client.destroy()
      },
    }
  }

  function adopt(port: number, file: number, rest: Uint8Array): void {
    const client = new net.Socket({ fd: file })
    const served = [...open.values()].find((one) => one.port === port)?.served.find(isStream)
    if (served) served.adopt(client, rest)
    else client.destroy()
  }

  function closeOne(one: Open): void {
    for (const served of one.served) served.close()
    kept.release(one.port)
  }

  return {
    set(rows, families) {
      const problems: Record<string, string> = {}
      const wanted = new Map(rows.map((r) => [r.name, r]))
      const sockets = textOf(families)
      for (const [name, one] of open)
        if (wanted.get(name)?.port !== one.port || one.families !== sockets) {
          closeOne(one)
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
      const waited = early ?? []
      early = undefined
      for (const one of waited) adopt(...one)
      return problems
    },
    adopt(...one) {
      if (early) early.push(one)
      else adopt(...one)
    },
    leave() {
      for (const one of open.values()) for (const served of one.served) served.leave()
      for (const client of clients.values()) client.leave()
    },
    get count() {
      return open.size
    },
    get clients() {
      return clients.size
    },
    get notAsked() {
      return (udp satisfies UdpServers).notAsked + tcpNotAsked
    },
    close() {
      for (const one of open.values()) for (const served of one.served) served.close()
      open.clear()
      udp.close()
    },
  }
}

const textOf = ({ ipv4, ipv6 }: Families): string => `${ipv4} ${ipv6}`

const isStream = (served: Served): served is ServedStream => 'adopt' in served

/** A socket for UDP and one for TCP of each family. */
function openFiles(families: readonly (4 | 6)[], port: number): readonly number[] {
  const files: number[] = []
  try {
    for (const family of families) {
      files.push(openUdpListener(family, port, downMark(port)))
      files.push(openTcpListener(family, port, downMark(port)))
    }
    return files
  } catch (e) {
    for (const file of files) close(file)
    throw e
  }
}
