// SPDX-License-Identifier: Apache-2.0
import type { IncomingMessage, ServerResponse } from 'node:http'
import type { Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import { gzipSync } from 'node:zlib'
import { parse as parseYaml } from 'yaml'
import { isMap } from '../../../protocol/kubeapi/object.ts'
import { decodeProtobuf } from '../../../protocol/kubeapi/protobuf.ts'
import { badRequest, type Status, StatusError } from '../../../protocol/kubeapi/status.ts'

export type Incoming = IncomingMessage | Http2ServerRequest
export type Outgoing = ServerResponse | Http2ServerResponse

/** A request that passed authentication. */
export interface Call {
  readonly method: string
  readonly path: string
  readonly query: URLSearchParams
  readonly incoming: Incoming
  readonly outgoing: Outgoing
  readonly user: User
  /** Texts for Warning headers. */
  readonly warnings: string[]
}

export interface User {
  readonly username: string
  readonly groups: readonly string[]
}

/** What was asked for; undefined when it is no path. A second slash begins no host name here. */
export function urlOf(incoming: Incoming): URL | undefined {
  const text = incoming.url ?? '/'
  return URL.parse(text.startsWith('/') ? `https://lab${text}` : text) ?? undefined
}

export const bodyLimit = 3 * 1024 * 1024

/** The body's bytes. Throws RequestEntityTooLarge beyond the limit. */
export async function readBody(incoming: Incoming): Promise<Buffer> {
  const parts: Buffer[] = []
  let length = 0
  for await (const part of incoming as AsyncIterable<Buffer>) {
    length += part.length
    if (length > bodyLimit) {
      throw new StatusError(413, 'RequestEntityTooLarge', `Request entity too large: limit is ${bodyLimit}`)
    }
    parts.push(part)
  }
  return Buffer.concat(parts)
}

/** The media type of the body, lower case, without parameters. */
export const mediaType = (incoming: Incoming): string =>
  String(incoming.headers['content-type'] ?? 'application/json')
    .split(';', 1)[0]!
    .trim()
    .toLowerCase()

/** The body as an object: JSON, YAML or Kubernetes protobuf by its content type. Undefined for an empty body. */
export async function readObject(incoming: Incoming): Promise<Record<string, unknown> | undefined> {
  const bytes = await readBody(incoming)
  if (bytes.length === 0) return undefined
  const type = mediaType(incoming)
  const value = type === 'application/vnd.kubernetes.protobuf' ? decodeProtobuf(bytes) : parseText(bytes, type)
  if (!isMap(value)) throw badRequest('the body must be an object')
  return value
}

/** A JSON or YAML body. Throws BadRequest, or UnsupportedMediaType for other types. */
export function parseText(bytes: Buffer, type: string): unknown {
  const text = bytes.toString('utf8')
  try {
    if (/yaml/.test(type))
      return text.trimStart().startsWith('{') ? JSON.parse(text) : parseYaml(text, { maxAliasCount: 100 })
    if (/json|^text\/plain$|^\*\/\*$|octet-stream/.test(type)) return JSON.parse(text)
  } catch (error) {
    throw badRequest(`the object provided is unrecognized (must be of type ${type}): ${(error as Error).message}`)
  }
  throw new StatusError(
    415,
    'UnsupportedMediaType',
    `the body of the request was in an unknown format - accepted media types include: application/json, application/yaml, application/vnd.kubernetes.protobuf`,
  )
}

const compressFrom = 128 * 1024

/** Answers JSON text. Large answers are compressed when the client can read that. */
export function sendJson(call: Call, code: number, json: string, type = 'application/json'): void {
  const headers: Record<string, string | number | string[]> = {
    'content-type': type,
    'cache-control': 'no-cache, private',
  }
  if (call.warnings.length > 0) headers['warning'] = call.warnings.map((w) => `299 - ${JSON.stringify(w)}`)
  // The rest of a body that is too large is not read, so nothing more can come on this connection.
  if (code === 413 && call.incoming.httpVersionMajor === 1) headers['connection'] = 'close'
  let body = Buffer.from(json)
  if (body.length > compressFrom && /gzip/.test(String(call.incoming.headers['accept-encoding'] ?? ''))) {
    body = gzipSync(body, { level: 1 })
    headers['content-encoding'] = 'gzip'
  }
  headers['content-length'] = body.length
  write(call.outgoing, code, headers, body)
}

export function sendText(call: Call, code: number, text: string): void {
  const body = Buffer.from(text)
  write(call.outgoing, code, { 'content-type': 'text/plain; charset=utf-8', 'content-length': body.length }, body)
}

function write(
  outgoing: Outgoing,
  code: number,
  headers: Record<string, string | number | string[]>,
  body: Buffer,
): void {
  if (outgoing.headersSent)
    return void outgoing.end()
    // The two response types differ in overloads only.
  ;(outgoing as ServerResponse).writeHead(code, headers).end(body)
}

export const sendStatus = (call: Call, status: Status): void =>
  sendJson(call, status.code ?? 200, JSON.stringify(status))

/** The Status of anything thrown: a refusal as it is, else an InternalError. */
export function statusOf(error: unknown): Status {
  if (error instanceof StatusError) return error.status
  const text = error instanceof Error ? error.message : String(error)
  return new StatusError(500, 'InternalError', `Internal error occurred: ${text}`).status
}
