// SPDX-License-Identifier: Apache-2.0
import { randomInt } from 'node:crypto'
import type { ServerResponse } from 'node:http'
import type { KubeObject } from '../../../protocol/kubeapi/object.ts'
import { resourceName } from '../../../protocol/kubeapi/resources.ts'
import { gone, StatusError } from '../../../protocol/kubeapi/status.ts'
import { statusOf } from './message.ts'
import { filterOf, formOfCall, type ObjectCall } from './objects.ts'
import { type Form, jsonOf, metadataJsonOf, tableJson } from './representation.ts'

/** Bytes a client may lag behind before its watch is ended; it lists again then. */
const lagLimit = 4 * 1024 * 1024
const bookmarkEvery = 60_000

/** Streams changes as lines of JSON until the client leaves, the time asked for is over, or it lags too far. */
export function watchObjects(request: ObjectCall, clock: { now(): number }): void {
  const { call, store, kind } = request
  const { query, outgoing } = call
  const resource = resourceName(kind.resource)
  const asked = query.get('resourceVersion') ?? ''
  const initial = query.get('sendInitialEvents') === 'true'
  const bookmarks = query.get('allowWatchBookmarks') === 'true'
  if (initial && (!bookmarks || query.get('resourceVersionMatch') !== 'NotOlderThan')) {
    throw new StatusError(
      422,
      'Invalid',
      'sendInitialEvents needs allowWatchBookmarks=true and resourceVersionMatch=NotOlderThan',
    )
  }
  const fromStart = initial || asked === '' || asked === '0'
  const form = formOfCall(request)
  const response = outgoing as ServerResponse
  response.writeHead(200, { 'content-type': 'application/json', 'cache-control': 'no-cache, private' })
  response.flushHeaders?.()

  let stop = (): void => {}
  let ended = false
  const end = (): void => {
    if (ended) return
    ended = true
    stop()
    clearTimeout(limit)
    clearInterval(ticker)
    if (waiting !== '' && !response.destroyed) response.write(waiting)
    waiting = ''
    response.end()
  }
  // Lines of one turn go out in one write.
  let waiting = ''
  const flush = (): void => {
    if (waiting !== '' && !response.destroyed) response.write(waiting)
    waiting = ''
    if (response.writableLength > lagLimit) end()
  }
  const send = (line: string): void => {
    if (ended) return
    if (waiting === '') queueMicrotask(flush)
    waiting += line
  }
  const bookmark = (revision: number, annotations?: Record<string, string>): void =>
    send(
      eventLine(
        'BOOKMARK',
        `{"kind":"${kind.resource.kind}","apiVersion":"${kind.apiVersion}","metadata":${JSON.stringify({
          resourceVersion: String(revision),
          creationTimestamp: null,
          ...(annotations ? { annotations } : {}),
        })}}`,
      ),
    )

  const seconds = Number(query.get('timeoutSeconds') ?? 0) || randomInt(1800, 3600)
  const limit = setTimeout(end, seconds * 1000)
  const ticker = setInterval(() => bookmarks && bookmark(store.revision), bookmarkEvery)
  limit.unref()
  ticker.unref()
  response.on('close', end)
  response.on('error', end)

  try {
    const since = fromStart ? undefined : Number(asked)
    if (since !== undefined && !(since <= store.revision))
      throw gone(`too old resource version: ${asked} (${store.revision})`)
    const include = query.get('includeObject') ?? 'Metadata'
    stop = store.watch(
      resource,
      { ...filterOf(request), ...(since === undefined ? {} : { since }), onEnd: end },
      (event) => {
        if (event.type !== 'BOOKMARK')
          return send(lineOf(event.type, kind.out(event.object), form, request, clock.now(), include))
        if (initial) bookmark(event.revision, { 'k8s.io/initial-events-end': 'true' })
      },
    )
  } catch (error) {
    send(eventLine('ERROR', JSON.stringify(statusOf(error))))
    end()
  }
}

const eventLine = (type: string, object: string): string => `{"type":"${type}","object":${object}}\n`

const lines = new WeakMap<KubeObject, Map<string, string>>()

/** The event's line, made once for all watchers that want the same form. */
function lineOf(
  type: string,
  object: KubeObject,
  form: Form,
  { kind }: ObjectCall,
  now: number,
  include: string,
): string {
  if (form === 'table') {
    const metadata = { resourceVersion: object.metadata.resourceVersion }
    return eventLine(type, tableJson([object], metadata, { columns: kind.columns, now, include }))
  }
  const key = `${type} ${form}`
  let held = lines.get(object)
  if (!held) lines.set(object, (held = new Map()))
  let line = held.get(key)
  if (line === undefined)
    held.set(key, (line = eventLine(type, form === 'metadata' ? metadataJsonOf(object) : jsonOf(object))))
  return line
}
