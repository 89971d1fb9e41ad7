// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto'
import { Duplex } from 'node:stream'
import { constants, createInflate } from 'node:zlib'
import {
  dataFrame,
  openSpdyReader,
  readHeaders,
  replyFrame,
  type SpdyEvent,
  spdyDictionary,
} from '../../../protocol/kubeapi/spdy.ts'
import {
  acceptSuffix,
  closePayload,
  encodeFrame,
  opcodes,
  openFrameReader,
} from '../../../protocol/kubeapi/websocket.ts'

/** A client's end of an upgraded connection, whatever carries it. */
export interface Wire {
  write(bytes: Uint8Array, done?: () => void): void
  end(): void
}

/** A WebSocket after its handshake. */
export interface WebSocket extends Wire {
  /** Ends it with a close code, 1000 for a good end. */
  close(code: number): void
}

/** The Sec-WebSocket-Accept value for a client's key. */
export const acceptKey = (key: string): string =>
  createHash('sha1')
    .update(key + acceptSuffix)
    .digest('base64')

/** Reads binary messages from an upgraded socket; `onClose` comes once, however it ends. */
export function openWebSocket(
  socket: Duplex,
  head: Buffer,
  onMessage: (bytes: Uint8Array) => void,
  onClose: () => void,
): WebSocket {
  const read = openFrameReader()
  let closed = false
  const send = (opcode: number, payload: Uint8Array, done?: () => void): void => {
    if (closed || socket.destroyed) done?.()
    else socket.write(encodeFrame(opcode, payload), () => done?.())
  }
  const finish = (): void => {
    if (closed) return
    closed = true
    onClose()
  }
  const close = (code: number): void => {
    send(opcodes.close, closePayload(code))
    finish()
    socket.end()
  }
  const take = (bytes: Uint8Array): void => {
    try {
      for (const frame of read(bytes)) {
        if (closed) return
        if (frame.opcode === opcodes.ping) send(opcodes.pong, frame.payload)
        else if (frame.opcode === opcodes.close) close(1000)
        else if (frame.opcode === opcodes.binary || frame.opcode === opcodes.text) onMessage(frame.payload)
      }
    } catch {
      close(1002)
    }
  }
  socket.on('data', take)
  socket.on('end', () => {
    socket.end()
    finish()
  })
  socket.on('close', finish)
  socket.on('error', () => socket.destroy())
  if (head.length > 0) take(head)
  return { write: (bytes, done) => send(opcodes.binary, bytes, done), close, end: () => close(1000) }
}

/** One SPDY stream: reads what the client sends; writing answers it; ending closes our side. */
export interface SpdyStream {
  readonly headers: Readonly<Record<string, string>>
  readonly stream: Duplex
}

export interface SpdyConnection {
  /** Bytes from the client. */
  take(bytes: Uint8Array): void
  /** Ends all streams. */
  close(): void
}

/** Speaks SPDY/3.1 as a server over `wire`. Each stream a client opens is accepted and told. */
export function openSpdy(wire: Wire, onStream: (opened: SpdyStream) => void, onError: () => void): SpdyConnection {
  const read = openSpdyReader()
  const inflate = createInflate({ dictionary: spdyDictionary(), finishFlush: constants.Z_SYNC_FLUSH })
  const streams = new Map<number, Duplex>()
  let replied = false
  let inflated: Buffer[] = []
  inflate.on('data', (part: Buffer) => inflated.push(part))
  inflate.on('error', onError)

  const headersOf = (block: Uint8Array): Promise<Record<string, string>> =>
    new Promise((resolve, reject) => {
      inflated = []
      inflate.write(block)
      inflate.flush(constants.Z_SYNC_FLUSH, () => {
        try {
          resolve(readHeaders(Buffer.concat(inflated)))
        } catch (error) {
          reject(error)
        }
      })
    })

  const open = (id: number): Duplex => {
    const stream = new Duplex({
      read() {},
      write: (chunk: Buffer, _, done) => wire.write(dataFrame(id, chunk), done),
      final: (done) => wire.write(dataFrame(id, new Uint8Array(), true), done),
    })
    stream.on('error', () => {})
    stream.on('close', () => streams.delete(id))
    streams.set(id, stream)
    return stream
  }

  const handle = async (event: SpdyEvent): Promise<void> => {
    if (event.kind === 'ping') wire.write(event.frame)
    else if (event.kind === 'open') {
      const headers = await headersOf(event.block)
      const stream = open(event.stream)
      wire.write(replyFrame(event.stream, !replied))
      replied = true
      if (event.final) stream.push(null)
      onStream({ headers, stream })
    } else if (event.kind === 'data') {
      const stream = streams.get(event.stream)
      if (event.bytes.length > 0) stream?.push(event.bytes)
      if (event.final) stream?.push(null)
    } else if (event.kind === 'reset') streams.get(event.stream)?.destroy()
  }

  // Header blocks inflate asynchronously, so events wait for each other.
  let turn: Promise<void> = Promise.resolve()
  return {
    take(bytes) {
      const copy = Uint8Array.from(bytes)
      turn = turn.then(async () => {
        for (const event of read(copy)) await handle(event)
      })
      turn = turn.catch(onError)
    },
    close() {
      for (const stream of [...streams.values()]) stream.destroy()
      inflate.close()
    },
  }
}
