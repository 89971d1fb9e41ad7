// SPDX-License-Identifier: Apache-2.0
import type { IncomingMessage } from 'node:http'
import type { TLSSocket } from 'node:tls'
import { StatusError } from '../../../protocol/kubeapi/status.ts'
import type { ObjectCall } from './objects.ts'
import type { Route } from './route.ts'
import type { ServerOptions } from './server.ts'

export const isStream = (route: Route): boolean =>
  route.group === '' && route.plural === 'pods' && /^(exec|attach|portforward)$/.test(route.subresource)
export async function sendLog(_: ServerOptions, __: ObjectCall): Promise<void> {
  throw new StatusError(501, 'NotImplemented', 'not yet')
}
export async function acceptUpgrade(
  _: ServerOptions,
  __: IncomingMessage,
  socket: TLSSocket,
  ___: Buffer,
): Promise<void> {
  socket.destroy()
}
