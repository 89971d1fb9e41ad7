// SPDX-License-Identifier: Apache-2.0
import { hostname } from 'node:os'
import { optionDirectory } from '../../edge/disk/files.ts'
import { findAccess } from '../../edge/kube/access.ts'
import { openKube } from '../../edge/kube/client.ts'
import { errorText, openScope } from '../../edge/runtime/scope.ts'
import { listenOnPort } from '../../edge/sockets/listen.ts'
import { type Route, restServer } from '../../edge/sockets/rest.ts'
import { VERSION } from '../../model/release.ts'
import { holdLease } from './lead.ts'
import { runLeader } from './run.ts'
import { operatorHelp, readSettings } from './settings.ts'

function log(message: string, fields: object = {}): void {
  process.stdout.write(
    `${JSON.stringify({ time: new Date().toISOString(), level: 'info', subsys: 'operator', msg: message, ...fields })}\n`,
  )
}

async function main(): Promise<void> {
  const args = process.argv.slice(2)
  if (args.includes('--help')) return void process.stdout.write(operatorHelp())
  if (args[0] === 'version' || args.includes('--version')) return void console.log(`cilium-operator ${VERSION}`)
  if (args[0] === 'metrics' && args[1] === 'list') return printMetrics(args.slice(2))
  const read = readSettings({ args, env: process.env, directory: optionDirectory })
  if (!read.ok) {
    console.error(`cilium-operator: ${read.error.message}`)
    process.exit(1)
  }
  const home = process.env['CILIUM_HOME'] ?? new URL('../../..', import.meta.url).pathname
  const settings = { ...read.value, crdsDir: read.value.crdsDir || `${home}/crds` }
  if (settings.ignored.length > 0) log('options without effect here', { options: settings.ignored })

  const scope = openScope('operator', { onError: (name, error) => log(errorText(error), { level: 'warning', name }) })
  const kube = openKube(findAccess({ kubeconfig: settings.kubeconfig, server: settings.apiServer }), {
    userAgent: `cilium-operator/${VERSION}`,
  })
  let leading = false
  const healthy: Route['handle'] = () => ({ text: 'ok' })
  const routes: Route[] = [
    { method: 'GET', path: '/healthz', handle: healthy },
    { method: 'GET', path: '/v1/healthz', handle: healthy },
    {
      method: 'GET',
      path: '/v1/status',
      handle: () => ({ body: { leading, health: scope.health() } }),
    },
  ]
  const [host, port] = splitAddress(settings.apiAddress)
  scope.onClose(await listenOnPort(restServer(routes), host, port))

  for (const name of ['SIGTERM', 'SIGINT'] as const)
    process.once(name, () => void scope.close().then(() => process.exit(0)))
  log('started', { version: VERSION, server: kube.server })
  const holder = `${hostname()}-${process.pid}`
  await holdLease(
    kube,
    {
      namespace: settings.namespace,
      name: 'cilium-operator-resource-lock',
      holder,
      durationSeconds: settings.leaseDuration,
      retrySeconds: settings.leaseRetry,
    },
    scope.signal,
    (signal) => {
      log('leading', { holder })
      leading = true
      const work = scope.child('leader')
      runLeader(kube, settings, work, log)
      signal.addEventListener('abort', () => void work.close())
    },
  )
  if (scope.signal.aborted) return
  // Another one leads now; a fresh process waits for its turn without anything left over.
  log('lost the lease')
  process.exit(1)
}

/** `metrics list [-p PATTERN] [-o json]`: what of Cilium's operator features is on; clients ask by exec. */
function printMetrics(args: readonly string[]): void {
  const after = (...flags: string[]): string => args[args.findIndex((a) => flags.includes(a)) + 1] ?? ''
  const given = (...flags: string[]): boolean => args.some((a) => flags.includes(a))
  const pattern = given('-p', '--match-pattern') ? new RegExp(after('-p', '--match-pattern')) : /./
  const found = [{ name: 'cilium_operator_feature_adv_connect_and_lb_gateway_api_enabled', value: 0 }].filter((m) =>
    pattern.test(m.name),
  )
  console.log(
    after('-o', '--output') === 'json' ? JSON.stringify(found) : found.map((m) => `${m.name} ${m.value}`).join('\n'),
  )
}

function splitAddress(text: string): [host: string, port: number] {
  const at = text.lastIndexOf(':')
  const host = text.slice(0, at).replace(/^\[|\]$/g, '')
  return [host === 'localhost' || host === '' ? '127.0.0.1' : host, Number(text.slice(at + 1))]
}

main().catch((e: unknown) => {
  console.error(`cilium-operator: ${errorText(e)}`)
  process.exit(1)
})
