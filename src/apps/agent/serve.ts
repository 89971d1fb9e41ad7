// SPDX-License-Identifier: Apache-2.0
import { errorText } from '../../edge/runtime/scope.ts'
import { listenOnPort, listenOnSocket } from '../../edge/sockets/listen.ts'
import { restServer } from '../../edge/sockets/rest.ts'
import { collectMetrics, metricsText } from './metrics.ts'
import type { Parts } from './rest/parts.ts'
import { healthRoutes, routes } from './rest/routes.ts'

/** Answers on the agent's socket, on the port for probes and on the one for metrics, until the scope is closed. */
export async function serve(parts: Parts): Promise<void> {
  const { scope, log } = parts
  const { options } = parts.settings
  const server = restServer(routes(parts), {
    onError: (e, method, path) => log('error', `${method} ${path}: ${errorText(e)}`),
  })
  scope.onClose(await listenOnSocket(server, options['socket-path'] as string))
  const healthPort = options['agent-health-port'] as number
  if (healthPort > 0) scope.onClose(await listenOnPort(restServer(healthRoutes(parts)), '127.0.0.1', healthPort))
  const metricsAt = /^(?:\[?(.*?)\]?:)?([0-9]+)$/.exec(options['prometheus-serve-addr'] as string)
  if (!metricsAt) return
  const metrics = {
    method: 'GET',
    path: '/metrics',
    handle: () => ({ text: metricsText(collectMetrics(parts)), contentType: 'text/plain; version=0.0.4' }),
  }
  scope.onClose(await listenOnPort(restServer([metrics]), metricsAt[1] || '::', Number(metricsAt[2])))
}
