// SPDX-License-Identifier: Apache-2.0
import type { Agent } from './agent.ts'
import { print, printed } from './output.ts'

/** Cilium's compatibility version first, as clients parse it, then what it is. */
export async function version(agent: Agent, output: string | undefined): Promise<void> {
  const found = await agent.get<{ readonly status?: { readonly daemonConfigurationMap?: Record<string, unknown> } }>(
    '/config',
  )
  const daemon = String(found.status?.daemonConfigurationMap?.['Version'] ?? 'unknown')
  const value = { Client: { Version: daemon }, Daemon: { Version: daemon } }
  if (printed(value, output)) return
  print(`Client: ${value.Client.Version}\nDaemon: ${value.Daemon.Version}`)
}
