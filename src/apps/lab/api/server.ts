// SPDX-License-Identifier: Apache-2.0
import { randomUUID } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { createSecureServer, type Http2SecureServer } from 'node:http2'
import type { AddressInfo } from 'node:net'
import type { Duplex } from 'node:stream'
import type { TLSSocket } from 'node:tls'
import { badRequest, StatusError } from '../../../protocol/kubeapi/status.ts'
import { sendDiscovery, sendOpenApi } from './documents.ts'
import { findKind } from './kinds.ts'
import { sendLog } from './logs.ts'
import { type Call, type Incoming, type Outgoing, sendJson, sendStatus, sendText, statusOf, urlOf } from './message.ts'
import { createObject, deleteObjects, getObjects, type ObjectCall, patchObject, replaceObject } from './objects.ts'
import type { ServerOptions } from './options.ts'
import { answerReview } from './reviews.ts'
import { parseRoute, type Route } from './route.ts'
import { acceptUpgrade, isStream } from './streaming.ts'
import { subresource } from './subresources.ts'
import { watchObjects } from './watching.ts'

export interface ApiServer {
  readonly port: number
  close(): Promise<void>
}

const version = {
  major: '1',
  minor: '34',
  emulationMajor: '1',
  emulationMinor: '34',
  gitVersion: 'v1.34.0+cilium-lab',
  gitCommit: '',
  gitTreeState: 'clean',
  buildDate: '1970-01-01T00:00:00Z',
  goVersion: '',
  compiler: '',
  platform: 'linux/amd64',
}

/** Serves the store over HTTP/2 and HTTP/1.1 with TLS, until closed. Rejects when the address can not be had. */
export async function openApiServer(options: ServerOptions): Promise<ApiServer> {
  const sockets = new Set<Duplex>()
  const server: Http2SecureServer = createSecureServer({
    allowHTTP1: true,
    cert: options.tls.certificate,
    key: options.tls.key,
    ca: options.authority,
    requestCert: true,
    rejectUnauthorized: false,
    settings: { maxConcurrentStreams: 1000 },
  })
  server.on('request', (incoming, outgoing) => {
    // A client that is gone while it is answered is no reason to end.
    answer(options, incoming as Incoming, outgoing as Outgoing).catch(() => outgoing.destroy())
  })
  server.on(
    'upgrade',
    (incoming: IncomingMessage, socket: TLSSocket, head: Buffer) => void acceptUpgrade(options, incoming, socket, head),
  )
  server.on('secureConnection', (socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    socket.on('error', () => socket.destroy())
  })
  server.on('sessionError', () => {})
  server.setTimeout(0)
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(options.port, options.address, () => resolve())
  })
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve())
        for (const socket of sockets) socket.destroy()
      }),
  }
}

async function answer(options: ServerOptions, incoming: Incoming, outgoing: Outgoing): Promise<void> {
  outgoing.on('error', () => {})
  const url = urlOf(incoming)
  const user = options.access.userOf(incoming)
  const call: Call = {
    method: incoming.method ?? 'GET',
    path: url?.pathname ?? '',
    query: url?.searchParams ?? new URLSearchParams(),
    incoming,
    outgoing,
    user: user ?? { username: 'system:anonymous', groups: ['system:unauthenticated'] },
    warnings: [],
  }
  try {
    outgoing.setHeader('audit-id', randomUUID())
    if (!url) throw badRequest(`not a path: ${incoming.url}`)
    if (isPublic(call.path)) return sendPublic(call)
    if (!user) throw new StatusError(401, 'Unauthorized', 'Unauthorized')
    await dispatch(options, call)
  } catch (error) {
    sendStatus(call, statusOf(error))
  }
}

const isPublic = (path: string): boolean => /^\/(healthz|livez|readyz)(\/|$)/.test(path) || path === '/version'
const sendPublic = (call: Call): void =>
  call.path === '/version' ? sendJson(call, 200, JSON.stringify(version)) : sendText(call, 200, 'ok')

async function dispatch(options: ServerOptions, call: Call): Promise<void> {
  if (call.path.startsWith('/openapi/')) return sendOpenApi(options, call)
  const path = call.path.replace(/\/+$/, '')
  if (/^\/(api|apis)(\/[^/]+){0,2}$/.test(path) && !/^\/api\/v1\/./.test(path) && sendDiscovery(options, call, path))
    return
  const route = parseRoute(path)
  if (!route) throw new StatusError(404, 'NotFound', 'the server could not find the requested resource')
  if (route.group === 'authentication.k8s.io' || route.group === 'authorization.k8s.io')
    return answerReview(options.access, call, route)
  await dispatchObject(options, call, route)
}

async function dispatchObject(options: ServerOptions, call: Call, route: Route): Promise<void> {
  const { store, crds, clock } = options
  const request: ObjectCall = {
    call,
    store,
    route,
    now: clock.now(),
    kind: findKind(store, crds, route.group, route.version, route.plural),
  }
  if (route.subresource === 'log') return sendLog(options, request)
  if (isStream(route)) throw new StatusError(400, 'BadRequest', 'Upgrade request required')
  if (route.subresource !== '' && route.subresource !== 'status') return subresource(options, request)
  const status = route.subresource === 'status' ? 'status' : undefined
  if (status && !request.kind.resource.status)
    throw new StatusError(404, 'NotFound', 'the server could not find the requested resource')
  switch (call.method) {
    case 'GET':
      return /^(true|1)$/.test(call.query.get('watch') ?? '') ? watchObjects(request, clock) : getObjects(request)
    case 'POST':
      return createObject(request)
    case 'PUT':
      return replaceObject(request, status)
    case 'PATCH':
      return patchObject(request, status)
    case 'DELETE':
      return deleteObjects(request)
    default:
      throw new StatusError(405, 'MethodNotAllowed', 'the server does not allow this method on the requested resource')
  }
}
