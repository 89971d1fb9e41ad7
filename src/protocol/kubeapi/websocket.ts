// SPDX-License-Identifier: Apache-2.0

/** A frame of RFC 6455. */
export interface Frame {
  /** 0 continuation, 1 text, 2 binary, 8 close, 9 ping, 10 pong. */
  readonly opcode: number
  readonly final: boolean
  readonly payload: Uint8Array
}

export const opcodes = { continuation: 0, text: 1, binary: 2, close: 8, ping: 9, pong: 10 } as const

/** What the client's key is joined with before it is hashed, RFC 6455 section 1.3. */
export const acceptSuffix = '258EAFA5-E914-47DA-95CA-C5AB0DC85B11'

/** A server's frame: final, unmasked. */
export function encodeFrame(opcode: number, payload: Uint8Array): Uint8Array {
  const { length } = payload
  const head = length < 126 ? 2 : length < 65_536 ? 4 : 10
  const out = new Uint8Array(head + length)
  out[0] = 0x80 | opcode
  const view = new DataView(out.buffer)
  if (head === 2) out[1] = length
  else if (head === 4) {
    out[1] = 126
    view.setUint16(2, length)
  } else {
    out[1] = 127
    view.setBigUint64(2, BigInt(length))
  }
  out.set(payload, head)
  return out
}

/** A close frame's payload. */
export const closePayload = (code: number): Uint8Array => Uint8Array.of(code >> 8, code & 255)

/** Longest message taken; kubectl sends 32 KiB at a time. */
const messageLimit = 16 * 1024 * 1024

/** Cuts a client's bytes into messages; fragments are joined, control frames come as they are. Throws on a protocol error. */
export function openFrameReader(): (bytes: Uint8Array) => readonly Frame[] {
  let held = new Uint8Array()
  let parts: Uint8Array[] = []
  let kind = 0
  return (bytes) => {
    held = held.length === 0 ? new Uint8Array(bytes) : joined([held, bytes])
    const out: Frame[] = []
    for (;;) {
      const cut = takeFrame(held)
      if (!cut) return out
      held = held.subarray(cut.length)
      const { frame } = cut
      if (frame.opcode >= 8) {
        out.push(frame)
        continue
      }
      if (frame.opcode !== 0) kind = frame.opcode
      parts.push(frame.payload)
      if (parts.reduce((sum, p) => sum + p.length, 0) > messageLimit)
        throw new Error('websocket: the message is too long')
      if (!frame.final) continue
      out.push({ opcode: kind, final: true, payload: joined(parts) })
      parts = []
    }
  }
}

function joined(parts: readonly Uint8Array[]): Uint8Array<ArrayBuffer> {
  if (parts.length === 1) return new Uint8Array(parts[0]!)
  const out = new Uint8Array(parts.reduce((sum, p) => sum + p.length, 0))
  let at = 0
  for (const part of parts) {
    out.set(part, at)
    at += part.length
  }
  return out
}

function takeFrame(bytes: Uint8Array): { readonly frame: Frame; readonly length: number } | undefined {
  if (bytes.length < 2) return undefined
  const [first = 0, second = 0] = bytes
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let length = second & 0x7f
  let at = 2
  if (length === 126) {
    if (bytes.length < 4) return undefined
    length = view.getUint16(2)
    at = 4
  } else if (length === 127) {
    if (bytes.length < 10) return undefined
    const long = view.getBigUint64(2)
    if (long > BigInt(messageLimit)) throw new Error('websocket: the frame is too long')
    length = Number(long)
    at = 10
  }
  if (first & 0x70) throw new Error('websocket: reserved bits are set')
  if (!(second & 0x80)) throw new Error('websocket: a client frame must be masked')
  if (bytes.length < at + 4 + length) return undefined
  const mask = bytes.subarray(at, at + 4)
  const payload = new Uint8Array(length)
  for (let i = 0; i < length; i++) payload[i] = bytes[at + 4 + i]! ^ mask[i & 3]!
  return { frame: { opcode: first & 15, final: (first & 0x80) !== 0, payload }, length: at + 4 + length }
}
