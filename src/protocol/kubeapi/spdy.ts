// SPDX-License-Identifier: Apache-2.0
import { utf8, utf8Bytes } from './text.ts'

/** What a client's frames say, as far as exec and port-forward need it. */
export type SpdyEvent =
  | {
      readonly kind: 'open'
      readonly stream: number
      /** Compressed, in one stream with all such blocks of the connection; see `readHeaders`. */
      readonly block: Uint8Array
      readonly final: boolean
    }
  | { readonly kind: 'data'; readonly stream: number; readonly bytes: Uint8Array; readonly final: boolean }
  | { readonly kind: 'reset'; readonly stream: number }
  | { readonly kind: 'ping'; readonly frame: Uint8Array }
  | { readonly kind: 'goaway' }

const types = { open: 1, reply: 2, reset: 3, ping: 6, goaway: 7 } as const
const fin = 1

/** Cuts a client's bytes into SPDY/3.1 events. Frames that need no answer are passed over. Throws on a protocol error. */
export function openSpdyReader(): (bytes: Uint8Array) => readonly SpdyEvent[] {
  let held = new Uint8Array()
  return (bytes) => {
    const whole = new Uint8Array(held.length + bytes.length)
    whole.set(held)
    whole.set(bytes, held.length)
    const view = new DataView(whole.buffer)
    const out: SpdyEvent[] = []
    let at = 0
    while (whole.length - at >= 8) {
      const length = view.getUint32(at + 4) & 0xffffff
      if (whole.length - at < 8 + length) break
      const event = readFrame(whole.subarray(at, at + 8 + length))
      if (event) out.push(event)
      at += 8 + length
    }
    held = whole.subarray(at)
    return out
  }
}

function readFrame(frame: Uint8Array): SpdyEvent | undefined {
  const view = new DataView(frame.buffer, frame.byteOffset, frame.byteLength)
  const final = (frame[4]! & fin) !== 0
  const body = frame.subarray(8)
  if (!(frame[0]! & 0x80)) return { kind: 'data', stream: view.getUint32(0), bytes: body, final }
  if ((view.getUint16(0) & 0x7fff) !== 3) throw new Error('spdy: the version is not 3')
  switch (view.getUint16(2)) {
    case types.open:
      if (body.length < 10) throw new Error('spdy: a SYN_STREAM ends too early')
      return { kind: 'open', stream: view.getUint32(8) & 0x7fffffff, block: body.slice(10), final }
    case types.reset:
      return { kind: 'reset', stream: body.length < 4 ? 0 : view.getUint32(8) & 0x7fffffff }
    case types.ping:
      return { kind: 'ping', frame: frame.slice() }
    case types.goaway:
      return { kind: 'goaway' }
    default:
      return undefined
  }
}

/** The headers of an inflated block, names in lower case. Throws when it ends too early. */
export function readHeaders(block: Uint8Array): Record<string, string> {
  const view = new DataView(block.buffer, block.byteOffset, block.byteLength)
  let at = 4
  const text = (): string => {
    const length = view.getUint32(at)
    const value = utf8(block.subarray(at + 4, at + 4 + length))
    at += 4 + length
    return value
  }
  const out: Record<string, string> = {}
  for (let count = view.getUint32(0); count > 0; count--) {
    const name = text().toLowerCase()
    out[name] = text()
  }
  return out
}

function control(type: number, body: Uint8Array): Uint8Array {
  const out = new Uint8Array(8 + body.length)
  const view = new DataView(out.buffer)
  view.setUint16(0, 0x8003)
  view.setUint16(2, type)
  view.setUint32(4, body.length)
  out.set(body, 8)
  return out
}

/** An empty stored block. Go's reader hands out what it has when it meets one, and looks for another block until then. */
const syncFlush = [0, 0, 0, 0xff, 0xff]

/**
 * The answer that accepts a stream, with no headers. Its block is a stored one, which needs no compressor: the
 * connection's `first` answer opens the zlib stream.
 */
export function replyFrame(stream: number, first: boolean): Uint8Array {
  const block = Uint8Array.of(...(first ? [0x78, 0x01] : []), 0, 4, 0, 0xfb, 0xff, 0, 0, 0, 0, ...syncFlush)
  const body = new Uint8Array(4 + block.length)
  new DataView(body.buffer).setUint32(0, stream)
  body.set(block, 4)
  return control(types.reply, body)
}

/** Bytes on a stream; `final` closes our side of it. */
export function dataFrame(stream: number, bytes: Uint8Array, final = false): Uint8Array {
  const out = new Uint8Array(8 + bytes.length)
  const view = new DataView(out.buffer)
  view.setUint32(0, stream)
  view.setUint32(4, ((final ? fin : 0) << 24) | bytes.length)
  out.set(bytes, 8)
  return out
}

/** Lengths and words that start every SPDY/3 header compression, from the protocol's text. */
const dictionaryWords =
  'options head post put delete trace accept accept-charset accept-encoding accept-language accept-ranges age allow authorization cache-control connection content-base content-encoding content-language content-length content-location content-md5 content-range content-type date etag expect expires from host if-match if-modified-since if-none-match if-range if-unmodified-since last-modified location max-forwards pragma proxy-authenticate proxy-authorization range referer retry-after server te trailer transfer-encoding upgrade user-agent vary via warning www-authenticate method get status 200 OK version HTTP/1.1 url public set-cookie keep-alive origin'

const dictionaryTail =
  '100101201202205206300302303304305306307402405406407408409410411412413414415416417502504505' +
  '203 Non-Authoritative Information204 No Content301 Moved Permanently400 Bad Request401 Unauthorized403 Forbidden404 Not Found500 Internal Server Error501 Not Implemented503 Service Unavailable' +
  'Jan Feb Mar Apr May Jun Jul Aug Sept Oct Nov Dec 00:00:00 Mon, Tue, Wed, Thu, Fri, Sat, Sun, GMT' +
  'chunked,text/html,image/png,image/jpg,image/gif,application/xml,application/xhtml+xml,text/plain,text/javascript,publicprivatemax-age=gzip,deflate,sdchcharset=utf-8charset=iso-8859-1,utf-,*,enq=0.'

/** The preset dictionary of SPDY/3's zlib streams. */
export function spdyDictionary(): Uint8Array {
  const parts: number[] = []
  // One of the words is `200 OK`: the list is cut at spaces but not before OK.
  const names = dictionaryWords.split(/ (?!OK)/)
  for (const name of names) {
    const bytes = utf8Bytes(name)
    parts.push(0, 0, 0, bytes.length, ...bytes)
  }
  parts.push(...utf8Bytes(dictionaryTail))
  return Uint8Array.from(parts)
}
