// SPDX-License-Identifier: Apache-2.0
import { close } from '../../edge/kernel/syscall.ts'
import { openTcpListener, openUdpListener } from '../../edge/kernel/transparent.ts'
import { errorText } from '../../edge/runtime/scope.ts'
import type { DnsListenerRow } from '../../model/proxy.ts'
import { openConnections, type ServedStream } from './connections.ts'
import { openDatagrams } from './datagrams.ts'
import type { KeptSockets } from './kept.ts'
import type { ListenerPart, Served } from './listener.ts'
import { downMark, type Service } from './serve.ts'

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

type Kept = Pick<KeptSockets, 'take' | 'keep' | 'release' | 'pass'>

export function openListeners(service: () => Service, kept: Kept): Listeners {
  const open = new Map<string, Open>()
  const datagrams = openDatagrams(service)
  const connections = openConnections(service, kept.pass)
  /** Clients' connections that came before the listeners; undefined once these are here. */
  let early: Parameters<Listeners['adopt']>[] | undefined = []

  function openOne(row: DnsListenerRow, families: Families): Open {
    const { port } = row
    const served: Served[] = []
    const listener: Open = { row, port, families: textOf(families), served }
    const current = () => listener.row
    const wanted = [...(families.ipv4 ? [4 as const] : []), ...(families.ipv6 ? [6 as const] : [])]
    const files = kept.take(port, listener.families) ?? openFiles(wanted, port)
    const left = [...files]
    const part = (family: 4 | 6): ListenerPart => ({ file: left.shift() as number, family, port, current })
    try {
      for (const family of wanted) {
        served.push(datagrams.serve(part(family)))
        served.push(connections.serve(part(family)))
      }
    } catch (e) {
      for (const one of served) one.close()
      for (const file of left) close(file)
      throw e
    }
    kept.keep(port, listener.families, files)
    return listener
  }

  function closeOne(one: Open): void {
    for (const served of one.served) served.close()
    kept.release(one.port)
  }

  function adopt(port: number, file: number, rest: Uint8Array): void {
    const served = [...open.values()].find((one) => one.port === port)?.served.find(isStream)
    if (served) served.adopt(file, rest)
    else close(file)
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
      connections.leave()
    },
    get count() {
      return open.size
    },
    get clients() {
      return connections.count
    },
    get notAsked() {
      return datagrams.notAsked + connections.notAsked
    },
    close() {
      for (const one of open.values()) for (const served of one.served) served.close()
      open.clear()
      datagrams.close()
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
