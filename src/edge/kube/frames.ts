// SPDX-License-Identifier: Apache-2.0

export const MAX_FRAME_BYTES = 64 << 20

/**
 * Cuts a byte stream into newline-separated JSON values. One call returns all values that are complete, so a caller
 * can treat what came in one chunk as one change. Throws on text that is no JSON and on a frame above the limit.
 */
export function frameSplitter(maxBytes = MAX_FRAME_BYTES): (chunk: Buffer) => unknown[] {
  let rest: Buffer[] = []
  let restBytes = 0
  return (chunk) => {
    const values: unknown[] = []
    let from = 0
    for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, from)) {
      const tail = chunk.subarray(from, end)
      const line = restBytes === 0 ? tail : Buffer.concat([...rest, tail])
      rest = []
      restBytes = 0
      from = end + 1
      if (line.length > 0) values.push(JSON.parse(line.toString('utf8')))
    }
    if (from < chunk.length) {
      restBytes += chunk.length - from
      if (restBytes > maxBytes) throw new Error(`a frame above ${maxBytes} bytes`)
      rest.push(chunk.subarray(from))
    }
    return values
  }
}
