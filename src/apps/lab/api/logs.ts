// SPDX-License-Identifier: Apache-2.0
import type { ServerResponse } from 'node:http'
import { badRequest } from '../../../protocol/kubeapi/status.ts'
import type { ObjectCall } from './objects.ts'
import type { ServerOptions } from './options.ts'
import type { LogOptions } from './streams.ts'
import { findTarget } from './target.ts'

/** `pods/log`: the container's log as plain text, for as long as the client follows it. */
export async function sendLog(options: ServerOptions, { call, route }: ObjectCall): Promise<void> {
  const { query } = call
  const target = findTarget(options, route, query.get('container'), true)
  const number = (name: string): number | undefined => {
    const text = query.get(name)
    if (text === null) return undefined
    const value = Number(text)
    if (!Number.isInteger(value) || value < 0) throw badRequest(`${name} must be greater than or equal to 0`)
    return value
  }
  const gone = new AbortController()
  const sinceTime = Date.parse(query.get('sinceTime') ?? '')
  const seconds = number('sinceSeconds')
  const since =
    seconds !== undefined ? options.clock.now() - seconds * 1000 : Number.isNaN(sinceTime) ? undefined : sinceTime
  const [tailLines, limitBytes] = [number('tailLines'), number('limitBytes')]
  const how: LogOptions = {
    follow: query.get('follow') === 'true',
    previous: query.get('previous') === 'true',
    timestamps: query.get('timestamps') === 'true',
    ...(tailLines === undefined ? {} : { tailLines }),
    ...(limitBytes === undefined ? {} : { limitBytes }),
    ...(since === undefined ? {} : { since }),
    signal: gone.signal,
  }
  const response = call.outgoing as ServerResponse
  response.on('close', () => gone.abort())
  const lines = target.kubelet.logs(target.pod, target.container, how)[Symbol.asyncIterator]()
  // The first piece is awaited before the answer starts, so that an error can still be answered as such.
  const early = how.follow ? undefined : await lines.next()
  response.writeHead(200, { 'content-type': 'text/plain' })
  response.flushHeaders?.()
  for (let part = early ?? (await lines.next()); !part.done && !gone.signal.aborted; part = await lines.next()) {
    if (!response.write(part.value)) await drained(response)
  }
  response.end()
}

const drained = (response: ServerResponse): Promise<void> =>
  new Promise((resolve) => {
    response.once('drain', resolve)
    response.once('close', resolve)
  })
