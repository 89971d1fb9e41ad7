// SPDX-License-Identifier: Apache-2.0
import { randomInt } from 'node:crypto'
import { createSocket } from 'node:dgram'
import { connect, isIPv6 } from 'node:net'

/** Asks other name servers; undefined when none answered in time. */
export interface Upstream {
  ask(query: Uint8Array, transport: 'udp' | 'tcp'): Promise<Uint8Array | undefined>
}

const timeout = 2000

/** Tries the servers in order, each for two seconds at most. The query's id is replaced on the way out and put back. */
export const createUpstream = (servers: readonly string[]): Upstream => ({
  ask: async (query, transport) => {
    for (const server of servers) {
      const { host, port } = endpoint(server)
      const sent = Uint8Array.from(query)
      const id = randomInt(65536)
      sent[0] = id >> 8
      sent[1] = id & 255
      const got = transport === 'udp' ? await askUdp(sent, host, port) : await askTcp(sent, host, port)
      if (!got) continue
      got[0] = query[0] ?? 0
      got[1] = query[1] ?? 0
      return got
    }
    return undefined
  },
})

const endpoint = (server: string): { readonly host: string; readonly port: number } => {
  const bracketed = /^\[(.+)\]:(\d+)$/.exec(server)
  if (bracketed) return { host: bracketed[1] ?? '', port: Number(bracketed[2]) }
  const plain = /^([^:]+):(\d+)$/.exec(server)
  return plain ? { host: plain[1] ?? '', port: Number(plain[2]) } : { host: server, port: 53 }
}

const sameQuery = (query: Uint8Array, reply: Uint8Array) =>
  reply.length >= 12 && reply[0] === query[0] && reply[1] === query[1] && (reply[2] ?? 0) >= 128

const askUdp = (query: Uint8Array, host: string, port: number): Promise<Uint8Array | undefined> =>
  new Promise((resolve) => {
    const socket = createSocket(isIPv6(host) ? 'udp6' : 'udp4')
    const finish = (reply: Uint8Array | undefined) => {
      clearTimeout(timer)
      socket.close()
      resolve(reply)
    }
    const timer = setTimeout(finish, timeout, undefined)
    socket.once('error', () => finish(undefined))
    // Connected, so that only this server's answers arrive and a closed port is an error at once.
    socket.connect(port, host, () => {
      socket.on('message', (reply) => {
        if (sameQuery(query, reply)) finish(reply)
      })
      socket.send(query)
    })
  })

const askTcp = (query: Uint8Array, host: string, port: number): Promise<Uint8Array | undefined> =>
  new Promise((resolve) => {
    let got = Buffer.alloc(0)
    const socket = connect(port, host, () => socket.write(framed(query)))
    const finish = (reply: Uint8Array | undefined) => {
      clearTimeout(timer)
      socket.destroy()
      resolve(reply)
    }
    const timer = setTimeout(finish, timeout, undefined)
    socket.on('error', () => finish(undefined))
    socket.on('close', () => finish(undefined))
    socket.on('data', (chunk) => {
      got = Buffer.concat([got, chunk])
      const length = got.length >= 2 ? got.readUInt16BE(0) : Number.POSITIVE_INFINITY
      if (got.length < 2 + length) return
      const reply = got.subarray(2, 2 + length)
      finish(sameQuery(query, reply) ? reply : undefined)
    })
  })

/** A message with the two length bytes of DNS over TCP (RFC 1035 4.2.2). */
export const framed = (message: Uint8Array): Uint8Array => {
  const out = Buffer.alloc(2 + message.length)
  out.writeUInt16BE(message.length, 0)
  out.set(message, 2)
  return out
}
