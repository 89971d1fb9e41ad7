// SPDX-License-Identifier: Apache-2.0
import type { Route } from '../../../edge/sockets/rest.ts'
import { RestError } from '../../../edge/sockets/rest.ts'
import type { Parts } from './parts.ts'

/** Everything the socket answers. */
export function routes(parts: Parts): readonly Route[] {
  return [
    {
      method: 'POST',
      path: '/v1/cni',
      async handle({ body }) {
        if (typeof body !== 'object' || body === null) throw new RestError(400, 'the body is no JSON object')
        return { body: await parts.cni.handle(body) }
      },
    },
    ...healthRoutes(parts).map((r) => ({ ...r, path: `/v1${r.path}` })),
  ]
}

export function healthRoutes(parts: Parts): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/healthz',
      handle() {
        const reason = parts.notReady()
        return reason === '' ? { text: 'OK\n' } : { status: 503, text: `${reason}\n` }
      },
    },
  ]
}
