// SPDX-License-Identifier: Apache-2.0
import http from 'node:http'
import { type HealthCheck, healthChecks } from '../../derive/services/health.ts'
import { errorText } from '../../edge/runtime/scope.ts'
import { listenOnPort } from '../../edge/sockets/listen.ts'
import type { Outcome, Target } from '../../table/target.ts'

interface Listening {
  row: HealthCheck
  readonly close: () => Promise<void>
}

/**
 * Ports on which load balancers ask whether a service has endpoints on this node: 200 if it has, 503 if not, as kube-proxy
 * answers, whatever the path. Also the number of endpoints, in the body and as a weight in a header.
 */
export function healthChecksTarget(): Target<HealthCheck> & { close(): Promise<void> } {
  const open = new Map<string, Listening>()
  const closed = async (key: string): Promise<void> => {
    const there = open.get(key)
    open.delete(key)
    await there?.close()
  }
  const attempt = async (work: () => Promise<void>): Promise<Outcome> => {
    try {
      await work()
      return { ok: true }
    } catch (e) {
      return { ok: false, error: errorText(e) }
    }
  }
  const write = async (row: HealthCheck): Promise<void> => {
    const key = healthChecks.key(row)
    const there = open.get(key)
    if (there?.row.port === row.port) {
      there.row = row
      return
    }
    await closed(key)
    const listening = { row, close: async (): Promise<void> => {} }
    const server = http.createServer((_, response) => answer(response, listening.row))
    // Whoever reaches the node may ask: a few at a time, and none slowly.
    Object.assign(server, { maxConnections: 100, headersTimeout: 5_000, requestTimeout: 5_000 })
    try {
      listening.close = await listenOnPort(server, undefined, row.port)
    } catch (cause) {
      throw new Error(`healthCheckNodePort ${row.port} of service ${key}: ${errorText(cause)}`, { cause })
    }
    open.set(key, listening)
  }
  return {
    name: 'health check ports',
    key: healthChecks.key,
    load: () => [...open.values()].map((l) => l.row),
    equal: (a, b) => a.port === b.port && a.localEndpoints === b.localEndpoints,
    // One after another: a port may have moved from one service to the next.
    write: (rows) => inTurn(rows, (row) => attempt(() => write(row))),
    remove: (rows) => inTurn(rows, (row) => attempt(() => closed(healthChecks.key(row)))),
    close: async () => void (await Promise.all([...open.keys()].map(closed))),
  }
}

function answer(response: http.ServerResponse, { namespace, name, localEndpoints }: HealthCheck): void {
  response.writeHead(localEndpoints > 0 ? 200 : 503, {
    'content-type': 'application/json',
    'x-content-type-options': 'nosniff',
    'x-load-balancing-endpoint-weight': String(localEndpoints),
    // Who keeps a connection would hold one of the few.
    connection: 'close',
  })
  response.end(`${JSON.stringify({ service: { namespace, name }, localEndpoints })}\n`)
}

async function inTurn<Row>(rows: readonly Row[], work: (row: Row) => Promise<Outcome>): Promise<readonly Outcome[]> {
  const out: Outcome[] = []
  for (const row of rows) out.push(await work(row))
  return out
}
