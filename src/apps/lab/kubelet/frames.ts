// SPDX-License-Identifier: Apache-2.0
/** What goes over a node's socket; native/container/frames.h says the same to the other side. */
export const frame = {
  stdin: 0,
  stdout: 1,
  stderr: 2,
  resize: 4,
  signal: 5,
  started: 6,
  failed: 7,
  ended: 8,
} as const

const largest = 65536

/** A request's fields; a list repeats its key, false and undefined are left out. */
export type Request = { readonly [key: string]: string | number | boolean | readonly string[] | undefined }

/** Records "key=value" closed by NUL, the whole closed by an empty record. Throws on a NUL inside. */
export function encodeRequest(request: Request): Buffer {
  let text = ''
  const put = (key: string, value: string) => {
    if (value.includes('\0')) throw new Error(`${key}: a NUL byte is not possible here`)
    text += `${key}=${value}\0`
  }
  for (const [key, value] of Object.entries(request)) {
    if (value === undefined || value === false) continue
    if (value === true) put(key, '1')
    else if (typeof value === 'object') for (const item of value) put(key, item)
    else put(key, String(value))
  }
  return Buffer.from(`${text}\0`)
}

/** Frames for `data`, split where it is longer than a frame may be; one empty frame for no bytes. */
export function encodeFrames(type: number, data: Uint8Array): Buffer {
  const parts: Buffer[] = []
  for (let from = 0; from === 0 || from < data.length; from += largest) {
    const payload = data.subarray(from, from + largest)
    const head = Buffer.alloc(5)
    head.writeUInt8(type, 0)
    head.writeUInt32LE(payload.length, 1)
    parts.push(head, Buffer.from(payload.buffer, payload.byteOffset, payload.length))
  }
  return Buffer.concat(parts)
}

/** Cuts a stream of chunks into frames. */
export function frameReader(take: (type: number, payload: Buffer) => void): (chunk: Buffer) => void {
  let rest: Buffer = Buffer.alloc(0)
  return (chunk) => {
    rest = rest.length ? Buffer.concat([rest, chunk]) : chunk
    let at = 0
    while (rest.length - at >= 5) {
      const length = rest.readUInt32LE(at + 1)
      if (rest.length - at - 5 < length) break
      take(rest.readUInt8(at), rest.subarray(at + 5, at + 5 + length))
      at += 5 + length
    }
    rest = rest.subarray(at)
  }
}
