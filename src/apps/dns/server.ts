// SPDX-License-Identifier: Apache-2.0
import { createSocket, type Socket as UdpSocket } from 'node:dgram'
import { createServer, type Server, type Socket } from 'node:net'
import {
  type Answer,
  AUTHORITATIVE_ANSWER,
  type Decoded,
  decode,
  encode,
  type Question,
  RECURSION_AVAILABLE,
  RECURSION_DESIRED,
  TRUNCATED_RESPONSE,
} from 'dns-packet'
import { framed, type Upstream } from './upstream.ts'
import type { Zone } from './zone.ts'

/** Where answers come from; each part may be missing. */
export interface Sources {
  readonly zone?: Zone
  readonly upstream?: Upstream
  /** Answers localhost itself. */
  readonly local: boolean
  /** False while the zone is not complete: its names get SERVFAIL, which clients ask again. */
  readonly known?: () => boolean
}

const rcode = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const
/** A TCP client that says nothing for this long is let go (RFC 7766 6.2.3). */
const idle = 10_000
const maxClients = 256

/** One message in, one message out; undefined for bytes that deserve no answer. Never rejects. */
export const respond = (
  sources: Sources,
  bytes: Uint8Array,
  transport: 'udp' | 'tcp',
): Promise<Uint8Array | undefined> =>
  // What can not be written as a message (an odd external name) must not end the server.
  answer(sources, bytes, transport).catch(() => errorReply(bytes, rcode.SERVFAIL))

const answer = async (
  sources: Sources,
  bytes: Uint8Array,
  transport: 'udp' | 'tcp',
): Promise<Uint8Array | undefined> => {
  if (bytes.length < 12 || (bytes[2] ?? 0) >= 128) return undefined
  let query: Decoded
  try {
    query = decode(bytes)
  } catch {
    return errorReply(bytes, rcode.FORMERR)
  }
  const [question, ...more] = query.questions
  if (!question || more.length > 0) return errorReply(bytes, rcode.FORMERR)
  if (query.opcode !== 'QUERY') return errorReply(bytes, rcode.NOTIMP)
  const limit = transport === 'tcp' ? 65535 : payloadLimit(query)
  const own = (sources.local ? localAnswer(question) : undefined) ?? sources.zone?.answer(question)
  if (own && sources.known?.() === false) return errorReply(bytes, rcode.SERVFAIL)
  if (
    own?.code === 'NOERROR' &&
    own.alias !== undefined &&
    sources.zone?.answer({ ...question, name: own.alias })?.alias
  ) {
    return errorReply(bytes, rcode.SERVFAIL) // An alias of an alias may be a circle.
  }
  if (!own) {
    const reply = await sources.upstream?.ask(bytes, transport)
    if (reply) return reply
    return errorReply(bytes, sources.upstream ? rcode.SERVFAIL : rcode.REFUSED)
  }
  const chased = own.alias === undefined ? [] : await chase(sources, own.alias, question.type, transport)
  const answers = [...own.answers, ...chased]
  return sized(
    query,
    {
      flags: AUTHORITATIVE_ANSWER | rcode[own.code],
      answers,
      authorities: answers.length === 0 && sources.zone ? [sources.zone.authority()] : [],
      additionals: own.additionals,
    },
    limit,
  )
}

interface Body {
  readonly flags: number
  readonly answers: readonly Answer[]
  readonly authorities: readonly Answer[]
  readonly additionals: readonly Answer[]
}

const sized = (query: Decoded, body: Body, limit: number): Uint8Array => {
  const message = (b: Body) =>
    encode({
      type: 'response',
      id: query.id,
      flags: (query.flags & RECURSION_DESIRED) | RECURSION_AVAILABLE | b.flags,
      questions: query.questions,
      answers: b.answers,
      authorities: b.authorities,
      additionals: [...b.additionals, ...edns(query)],
    })
  const whole = message(body)
  if (whole.length <= limit) return whole
  const lean = message({ ...body, additionals: [] })
  if (lean.length <= limit) return lean
  return message({ flags: body.flags | TRUNCATED_RESPONSE, answers: [], authorities: [], additionals: [] })
}

const edns = (query: Decoded): Answer[] =>
  query.additionals.some((a) => a.type === 'OPT') ? [{ type: 'OPT', name: '.', udpPayloadSize: 1232, flags: 0 }] : []

const payloadLimit = (query: Decoded): number => {
  const option = query.additionals.find((a) => a.type === 'OPT')
  return option?.type === 'OPT' ? Math.min(Math.max(option.udpPayloadSize, 512), 1232) : 512
}

const errorReply = (bytes: Uint8Array, code: number): Uint8Array => {
  let questions: readonly Question[] = []
  try {
    questions = decode(bytes).questions
  } catch {
    // A question that can not be read can not be repeated.
  }
  const flags = ((bytes[2] ?? 0) & 1 ? RECURSION_DESIRED : 0) | RECURSION_AVAILABLE | code
  return encode({ type: 'response', id: ((bytes[0] ?? 0) << 8) | (bytes[1] ?? 0), flags, questions })
}

const localAnswer = (question: Question): ReturnType<Zone['answer']> => {
  const name = question.name.toLowerCase().replace(/\.$/, '')
  const reply = (answers: readonly Answer[]) => ({ code: 'NOERROR' as const, answers, additionals: [] })
  // A search list makes localhost.<domain> of it: CoreDNS answers that too.
  if (name === 'localhost' || name.endsWith('.localhost') || name.startsWith('localhost.')) {
    if (question.type === 'A') return reply([{ type: 'A', name, ttl: 86400, data: '127.0.0.1' }])
    if (question.type === 'AAAA') return reply([{ type: 'AAAA', name, ttl: 86400, data: '::1' }])
    return reply([])
  }
  if (name === '1.0.0.127.in-addr.arpa') return reply([{ type: 'PTR', name, ttl: 86400, data: 'localhost' }])
  return undefined
}

const chase = async (
  sources: Sources,
  name: string,
  type: string,
  transport: 'udp' | 'tcp',
): Promise<readonly Answer[]> => {
  const question = { name, type }
  const inZone = sources.zone?.answer(question)
  if (inZone) return inZone.answers
  const reply = await sources.upstream?.ask(
    encode({ type: 'query', id: 0, flags: RECURSION_DESIRED, questions: [question] }),
    transport,
  )
  if (!reply) return []
  try {
    return decode(reply).answers
  } catch {
    return []
  }
}

/** A running server; close ends both sockets and every client. */
export interface DnsServer {
  readonly port: number
  close(): void
}

/** Listens on UDP and TCP for both families; throws when the port is taken or may not be bound. Port 0 picks one. */
export const listenDns = async (sources: Sources, port: number): Promise<DnsServer> => {
  const tcp = createServer((client) => serveStream(sources, client))
  tcp.maxConnections = maxClients
  await listening(tcp, port)
  const address = tcp.address()
  const chosen = typeof address === 'object' && address ? address.port : port
  const udp: UdpSocket = createSocket({ type: 'udp6', recvBufferSize: 1 << 20 })
  await new Promise<void>((resolve, reject) => {
    udp.once('error', reject)
    udp.bind(chosen, '::', resolve)
  })
  udp.on('message', async (bytes, from) => {
    const reply = await respond(sources, bytes, 'udp')
    // The client may be gone or unreachable by now; it asks again.
    if (reply) udp.send(reply, from.port, from.address, () => {})
  })
  return {
    port: chosen,
    close: () => {
      udp.close()
      tcp.close()
    },
  }
}

const listening = (server: Server, port: number) =>
  new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, '::', resolve)
  })

const serveStream = (sources: Sources, client: Socket) => {
  let got = Buffer.alloc(0)
  let busy = false
  client.setTimeout(idle, () => client.destroy())
  client.on('error', () => client.destroy())
  const serve = async () => {
    if (busy) return
    busy = true
    while (got.length >= 2 && got.length >= 2 + got.readUInt16BE(0)) {
      const length = got.readUInt16BE(0)
      const message = got.subarray(2, 2 + length)
      got = got.subarray(2 + length)
      const reply = await respond(sources, message, 'tcp')
      if (!reply) return client.destroy()
      client.write(framed(reply))
    }
    busy = false
    return undefined
  }
  client.on('data', (chunk) => {
    got = Buffer.concat([got, chunk])
    void serve()
  })
}
