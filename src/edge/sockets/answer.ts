// SPDX-License-Identifier: Apache-2.0
import type http from 'node:http'

/** What a route answers: JSON, plain text, nothing, or lines that go on until the reader leaves. */
export interface RestAnswer {
  readonly status?: number
  readonly body?: unknown
  readonly text?: string
  readonly contentType?: string
  /** Called with the sink; returns what to do when the reader has left. */
  readonly stream?: (sink: LineSink) => () => void
}

export interface LineSink {
  /** Writes a line; false if it was lost because the reader is slow. */
  line(text: string): boolean
  /** Lines lost so far. */
  readonly lost: number
  end(): void
}

const MAX_PENDING_BYTES = 4 << 20

export function answerWith(response: http.ServerResponse, answer: RestAnswer): void {
  const status = answer.status ?? 200
  if (answer.stream) {
    response.writeHead(status, { 'content-type': answer.contentType ?? 'application/x-ndjson' })
    response.flushHeaders()
    response.on('error', () => response.destroy())
    response.on('close', answer.stream(sinkOf(response)))
    return
  }
  const text = answer.text ?? (answer.body === undefined ? '' : `${JSON.stringify(answer.body)}\n`)
  const bytes = Buffer.from(text)
  response.writeHead(status, {
    'content-length': bytes.length,
    ...(bytes.length === 0
      ? {}
      : {
          'content-type':
            answer.contentType ?? (answer.text === undefined ? 'application/json' : 'text/plain; charset=utf-8'),
        }),
  })
  response.end(bytes)
}

/** Lines of one turn go out together: events come in hundreds, and each write is a call of the kernel. */
function sinkOf(response: http.ServerResponse): LineSink {
  let lost = 0
  let lines = ''
  const flush = (): void => {
    if (lines !== '' && !response.destroyed) response.write(lines)
    lines = ''
  }
  return {
    line(text) {
      if (response.destroyed || response.writableLength + lines.length > MAX_PENDING_BYTES) {
        lost++
        return false
      }
      if (lines === '') process.nextTick(flush)
      lines += `${text}\n`
      return true
    },
    get lost() {
      return lost
    },
    end() {
      flush()
      response.end()
    },
  }
}
