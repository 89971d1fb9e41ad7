// SPDX-License-Identifier: Apache-2.0
import { type IncomingMessage, STATUS_CODES } from 'node:http'
import { type Duplex, PassThrough, Writable } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { badRequest, type Status, StatusError } from '../../../protocol/kubeapi/status.ts'
import { forwarder } from './forwarding.ts'
import { statusOf, urlOf } from './message.ts'
import type { ServerOptions } from './options.ts'
import { parseRoute, type Route } from './route.ts'
import { flag, type Running, run } from './running.ts'
import { acceptKey, openSpdy, openWebSocket, type SpdyStream } from './sockets.ts'
import { findTarget } from './target.ts'

export const isStream = (route: Route): boolean =>
  route.group === '' && route.plural === 'pods' && /^(exec|attach|portforward)$/.test(route.subresource)

/** Answers an HTTP/1.1 upgrade: exec, attach and port-forward over WebSocket or SPDY/3.1. */
export async function acceptUpgrade(
  options: ServerOptions,
  incoming: IncomingMessage,
  socket: TLSSocket,
  head: Buffer,
): Promise<void> {
  socket.on('error', () => socket.destroy())
  socket.setNoDelay(true)
  try {
    if (!options.access.userOf(incoming)) throw new StatusError(401, 'Unauthorized', 'Unauthorized')
    const url = urlOf(incoming)
    if (!url) throw badRequest(`not a path: ${incoming.url}`)
    const route = parseRoute(url.pathname)
    if (!route || !isStream(route))
      throw new StatusError(404, 'NotFound', 'the server could not find the requested resource')
    const target = findTarget(options, route, url.searchParams.get('container'), false)
    const upgrade = String(incoming.headers.upgrade ?? '').toLowerCase()
    const session: Session = { target, query: url.searchParams, subresource: route.subresource, socket, head }
    if (upgrade === 'websocket') overWebSocket(session, incoming)
    else if (upgrade === 'spdy/3.1') overSpdy(session, incoming)
    else
      throw badRequest(
        `unable to upgrade: the protocol ${JSON.stringify(upgrade)} is not spoken here; websocket and SPDY/3.1 are`,
      )
  } catch (error) {
    refuse(socket, statusOf(error))
  }
}

interface Session extends Running {
  readonly socket: TLSSocket
  readonly head: Buffer
}

function refuse(socket: Duplex, status: Status): void {
  const body = JSON.stringify(status)
  const code = status.code ?? 500
  socket.end(
    `HTTP/1.1 ${code} ${STATUS_CODES[code]}\r\ncontent-type: application/json\r\ncontent-length: ${Buffer.byteLength(body)}\r\nconnection: close\r\n\r\n${body}`,
  )
}

function switchProtocols(socket: Duplex, headers: Readonly<Record<string, string>>): void {
  const lines = Object.entries({ Connection: 'Upgrade', ...headers }).map(([k, v]) => `${k}: ${v}\r\n`)
  socket.write(`HTTP/1.1 101 Switching Protocols\r\n${lines.join('')}\r\n`)
}

const offers = (header: string | string[] | undefined): readonly string[] =>
  String(header ?? '')
    .split(',')
    .map((p) => p.trim())
    .filter((p) => p !== '')

const tunnel = 'SPDY/3.1+portforward.k8s.io'

function overWebSocket(session: Session, incoming: IncomingMessage): void {
  const forward = session.subresource === 'portforward'
  const spoken = forward ? [tunnel] : ['v5.channel.k8s.io', 'v4.channel.k8s.io']
  const offered = offers(incoming.headers['sec-websocket-protocol'])
  const protocol = spoken.find((p) => offered.includes(p))
  if (!protocol)
    throw badRequest(
      `unable to upgrade: none of the subprotocols ${offered.join(', ')} is spoken here; ${spoken.join(', ')} are`,
    )
  const key = incoming.headers['sec-websocket-key']
  if (!key) throw badRequest('unable to upgrade: Sec-WebSocket-Key is missing')
  switchProtocols(session.socket, {
    Upgrade: 'websocket',
    'Sec-WebSocket-Accept': acceptKey(key),
    'Sec-WebSocket-Protocol': protocol,
  })
  if (forward) forwardInWebSocket(session)
  else execInWebSocket(session)
}

const channels = { stdin: 0, stdout: 1, stderr: 2, error: 3, resize: 4, close: 255 } as const

function execInWebSocket(session: Session): void {
  const { query, socket, head } = session
  const gone = new AbortController()
  const stdin = flag(query, 'stdin') ? new PassThrough() : undefined
  const sizes = new PassThrough()
  const web = openWebSocket(socket, head, receive, () => {
    gone.abort()
    stdin?.end()
    sizes.end()
  })
  function receive(message: Uint8Array): void {
    const rest = message.subarray(1)
    if (message[0] === channels.stdin) stdin?.write(Buffer.from(rest))
    else if (message[0] === channels.resize) sizes.write(Buffer.from(rest))
    else if (message[0] === channels.close && rest[0] === channels.stdin) stdin?.end()
  }
  const output = (channel: number): Writable =>
    new Writable({ write: (chunk: Buffer, _, done) => web.write(Buffer.concat([Buffer.of(channel), chunk]), done) })
  const tty = flag(query, 'tty')
  void run(session, {
    ...(stdin ? { stdin } : {}),
    ...(flag(query, 'stdout') ? { stdout: output(channels.stdout) } : {}),
    ...(flag(query, 'stderr') && !tty ? { stderr: output(channels.stderr) } : {}),
    sizes,
    signal: gone.signal,
  }).then((status) => {
    web.write(Buffer.concat([Buffer.of(channels.error), Buffer.from(JSON.stringify(status))]))
    web.close(1000)
  })
}

function forwardInWebSocket({ target, socket, head }: Session): void {
  const web = openWebSocket(
    socket,
    head,
    (bytes) => spdy.take(bytes),
    () => spdy.close(),
  )
  const spdy = openSpdy(web, forwarder(target), () => web.close(1002))
}

function overSpdy(session: Session, incoming: IncomingMessage): void {
  const forward = session.subresource === 'portforward'
  const spoken = forward ? ['portforward.k8s.io'] : ['v5.channel.k8s.io', 'v4.channel.k8s.io']
  const offered = offers(incoming.headers['x-stream-protocol-version'])
  const protocol = spoken.find((p) => offered.includes(p))
  if (!protocol)
    throw badRequest(
      `unable to upgrade: unable to negotiate protocol: client supports [${offered.join(' ')}], server accepts [${spoken.join(' ')}]`,
    )
  const { socket, head } = session
  switchProtocols(socket, { Upgrade: 'SPDY/3.1', 'X-Stream-Protocol-Version': protocol })
  const wire = {
    write: (bytes: Uint8Array, done?: () => void) =>
      socket.destroyed ? done?.() : socket.write(bytes, () => done?.()),
    end: () => socket.end(),
  }
  const spdy = openSpdy(wire, forward ? forwarder(session.target) : execInSpdy(session), () => socket.destroy())
  socket.on('data', (bytes: Buffer) => spdy.take(bytes))
  socket.on('end', () => socket.end())
  socket.on('close', () => spdy.close())
  if (head.length > 0) spdy.take(head)
}

/** Collects the streams an exec opens and runs it once all that were asked for are there. */
function execInSpdy(session: Session): (opened: SpdyStream) => void {
  const { query, socket } = session
  const tty = flag(query, 'tty')
  const wanted = [
    'error',
    ...['stdin', 'stdout', 'stderr'].filter((name) => flag(query, name) && !(name === 'stderr' && tty)),
    ...(tty ? ['resize'] : []),
  ]
  const held = new Map<string, Duplex>()
  const gone = new AbortController()
  socket.on('close', () => gone.abort())
  let started = false
  return ({ headers, stream }) => {
    held.set(headers['streamtype'] ?? '', stream)
    if (started || !wanted.every((name) => held.has(name))) return
    started = true
    const { stdin, stdout, stderr, resize, error } = Object.fromEntries(held) as Record<string, Duplex>
    void run(session, {
      ...(stdin ? { stdin } : {}),
      ...(stdout ? { stdout } : {}),
      ...(stderr ? { stderr } : {}),
      ...(resize ? { sizes: resize } : {}),
      signal: gone.signal,
    }).then((status) => {
      error!.end(JSON.stringify(status))
      for (const stream of [stdin, stdout, stderr, resize]) stream?.end()
      // The client closes once it has read the status; one that does not is left no longer than this.
      setTimeout(() => socket.end(), 10_000).unref()
    })
  }
}
