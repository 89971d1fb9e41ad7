// SPDX-License-Identifier: Apache-2.0
// As much of gRPC (over HTTP/2, without TLS, on a unix socket) as Envoy needs: calls on which both sides stream.
import { chmodSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs'
import http2 from 'node:http2'
import { dirname } from 'node:path'

/** One call under way. */
export interface Call {
  send(message: Uint8Array): void
  end(): void
}

/** What happens to one call; made when it begins. A throw ends it with an error. */
export interface Receiver {
  message(bytes: Uint8Array): void
  ended(): void
}

export type Services = { readonly [path: string]: (call: Call) => Receiver }

/** A message longer than this is nobody's: descriptions of an Envoy's extensions have some 60 kB. */
const LONGEST = 16 << 20
const UNIMPLEMENTED = 12
const INVALID = 3

/** Serves calls on a unix socket only root may open; another process's socket file is replaced in one step. */
export async function serveGrpc(path: string, services: Services): Promise<() => Promise<void>> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 })
  const server = http2.createServer()
  const sessions = new Set<http2.ServerHttp2Session>()
  server.on('session', (session) => {
    sessions.add(session)
    session.on('error', () => session.destroy())
    session.on('close', () => sessions.delete(session))
  })
  server.on('stream', (stream, headers) => {
    stream.on('error', () => {})
    const service = services[String(headers[':path'])]
    if (!service) {
      stream.respond(
        { ':status': 200, 'content-type': 'application/grpc', 'grpc-status': UNIMPLEMENTED },
        { endStream: true },
      )
      return
    }
    handle(stream, service)
  })
  const beside = `${path}.${process.pid}`
  rmSync(beside, { force: true })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(beside, () => resolve())
  })
  chmodSync(beside, 0o600)
  renameSync(beside, path)
  const inode = statSync(path).ino
  return async () => {
    if (statSync(path, { throwIfNoEntry: false })?.ino === inode) rmSync(path, { force: true })
    for (const session of sessions) session.destroy()
    await new Promise<void>((resolve) => server.close(() => resolve()))
  }
}

function handle(stream: http2.ServerHttp2Stream, service: (call: Call) => Receiver): void {
  let status = 0
  let over = false
  stream.respond({ ':status': 200, 'content-type': 'application/grpc' }, { waitForTrailers: true })
  stream.on('wantTrailers', () => stream.sendTrailers({ 'grpc-status': String(status) }))
  const receiver = service({
    send(message) {
      if (over || stream.destroyed) return
      const frame = Buffer.allocUnsafe(5 + message.length)
      frame[0] = 0
      frame.writeUInt32BE(message.length, 1)
      frame.set(message, 5)
      stream.write(frame)
    },
    end: () => stream.end(),
  })
  const finish = () => {
    if (over) return
    over = true
    receiver.ended()
  }
  let waiting: Buffer = Buffer.alloc(0)
  stream.on('data', (chunk: Buffer) => {
    waiting = waiting.length === 0 ? chunk : Buffer.concat([waiting, chunk])
    while (waiting.length >= 5) {
      const length = waiting.readUInt32BE(1)
      if (waiting[0] !== 0 || length > LONGEST) return fail()
      if (waiting.length < 5 + length) return
      const message = waiting.subarray(5, 5 + length)
      waiting = waiting.subarray(5 + length)
      try {
        receiver.message(message)
      } catch {
        return fail()
      }
    }
  })
  stream.on('end', () => {
    finish()
    stream.end()
  })
  stream.on('close', finish)

  function fail(): void {
    status = INVALID
    finish()
    stream.end()
  }
}
