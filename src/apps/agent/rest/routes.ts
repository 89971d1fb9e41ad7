// SPDX-License-Identifier: Apache-2.0
import { loadavg } from 'node:os'
import { RestError, type Route } from '../../../edge/sockets/rest.ts'
import { endpointRoutes } from './endpoints.ts'
import { identityRoutes } from './identities.ts'
import { listRoutes } from './lists.ts'
import { nameRoutes } from './names.ts'
import type { Parts } from './parts.ts'
import { policyRoutes } from './policy.ts'
import { statusRoutes } from './status.ts'

/** Everything the socket answers, in the forms of Cilium's API v1 where that has one. */
export function routes(parts: Parts): readonly Route[] {
  const shown: readonly Route[] = [
    ...statusRoutes(parts),
    ...endpointRoutes(parts),
    ...identityRoutes(parts),
    ...policyRoutes(parts),
    ...nameRoutes(parts),
    ...listRoutes(parts),
  ]
  return [
    {
      method: 'POST',
      path: '/v1/cni',
      async handle({ body }) {
        if (typeof body !== 'object' || body === null || Array.isArray(body))
          throw new RestError(400, 'the body is no JSON object')
        return { body: await parts.cni.handle(body) }
      },
    },
    { method: 'GET', path: '/v1/monitor', handle: () => ({ stream: (sink) => parts.monitor.follow(sink) }) },
    { method: 'GET', path: '/v1/debuginfo', handle: async () => ({ body: await debuginfo(parts, shown) }) },
    ...shown,
  ]
}

/** What a report needs: every list there is, by its path. */
async function debuginfo(parts: Parts, shown: readonly Route[]): Promise<object> {
  const lists = shown.filter((r) => r.method === 'GET' && !r.path.includes('{'))
  const answers = await Promise.all(
    lists.map(async (r) => {
      const answer = await r.handle({ params: {}, query: new URLSearchParams(), headers: {}, body: undefined })
      return [r.path.slice(4), answer.body] as const
    }),
  )
  return {
    'cilium-version': parts.version,
    uptimeSeconds: Math.round((performance.now() - parts.started) / 1000),
    memory: process.memoryUsage(),
    load: loadavg(),
    ...Object.fromEntries(answers),
  }
}

/**
 * For kubelets: ready or not, and why. With the header `require-k8s-connectivity: false` only the agent itself counts:
 * to kill it because the API server is away would not bring that back.
 */
export function healthRoutes(parts: Parts): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/healthz',
      handle({ headers }) {
        const reason = parts.notReady(headers['require-k8s-connectivity'] !== 'false')
        return reason === '' ? { text: 'OK\n' } : { status: 503, text: `${reason}\n` }
      },
    },
  ]
}
