// SPDX-License-Identifier: Apache-2.0
import { existsSync } from 'node:fs'
import type { Result } from '../../base/result.ts'
import { openNameCache } from '../../derive/names/cache.ts'
import { dnsListeners } from '../../derive/proxy/tables.ts'
import { KEPT_SOCKET } from '../../edge/dns/messages.ts'
import { openNetlink } from '../../edge/kernel/netlink.ts'
import { findAccess } from '../../edge/kube/access.ts'
import { type Kube, openKube } from '../../edge/kube/client.ts'
import { systemClock } from '../../edge/runtime/clock.ts'
import { reconciliation } from '../../edge/runtime/reconcile.ts'
import { errorText, openScope } from '../../edge/runtime/scope.ts'
import { VERSION } from '../../model/release.ts'
import { endpointRequests } from '../../model/rows.ts'
import { openDatabase } from '../../table/open.ts'
import { openCni } from './cni.ts'
import { writeCniConf } from './cni-conf.ts'
import { openDatapath } from './datapath.ts'
import { drainQueue } from './delete-queue.ts'
import { followDevices } from './devices.ts'
import { openDns } from './dns.ts'
import { keepDnsSockets } from './dns-sockets.ts'
import { followDrift } from './drift.ts'
import { endpointLog } from './endpoint-log.ts'
import { readEvents } from './events.ts'
import { connectedAddresses, judgedAs, keepSweeping } from './flows.ts'
import { readKnown } from './known.ts'
import type { Log } from './log.ts'
import { prepareMachine } from './machine.ts'
import { openMonitor } from './monitor.ts'
import { nameLimits, openNames, restoreNames } from './names.ts'
import { toldOf } from './policy-events.ts'
import { openMaps } from './programs.ts'
import { envoyTables, openProxy, serveProxy } from './proxy.ts'
import { readiness, whenReady } from './readiness.ts'
import { requestLog } from './requests.ts'
import type { Parts } from './rest/parts.ts'
import { countRevisions } from './revisions.ts'
import { writeRuntimeConfig } from './runtime-config.ts'
import { serve } from './serve.ts'
import type { AgentSettings } from './settings.ts'
import { podFinder, watchKube } from './sources.ts'
import { DAEMON_VERSION } from './version.ts'
import { tables, wire } from './wire.ts'

/** Between collections of names that have expired. */
const NAMES_SECONDS = 60

export interface Agent {
  close(): Promise<void>
}

/** Brings the agent up; resolves when its socket answers, which is before everything is known. */
export async function startAgent(
  settings: AgentSettings,
  log: Log,
  reread?: () => Result<AgentSettings>,
): Promise<Agent> {
  const started = performance.now()
  const { node, options } = settings
  const stateDir = options['state-dir'] as string
  const scope = openScope('agent', { onError: (name, error) => log('warning', errorText(error), { work: name }) })
  if (settings.ignored.length > 0) log('debug', 'options without effect here', { options: settings.ignored })

  // What there is: the machine, its maps, and what an agent before this one left.
  const places = prepareMachine(settings)
  const maps = openMaps(places, options, (name) =>
    log('warning', `map ${name} is of another version and is made anew: new connections wait until it is filled`),
  )
  const db = openDatabase(tables)
  const restored = readKnown(db, maps, settings, log)
  scope.onClose(followDevices(db, log))
  const nameCache = openNameCache(nameLimits(options))
  const nameFile = `${stateDir}/state/names.jsonl`
  restoreNames(nameCache, db, nameFile, options['tofqdns-pre-cache'] as string, log)

  // Whom it works with.
  const calls = { ok: 0, failed: 0 }
  const kube = options['enable-k8s'] === false ? undefined : openKubeFor(options, calls)
  const netlink = openNetlink()
  const datapath = openDatapath(db, maps, places, options)
  for (const sentence of datapath.fallbacks) log('info', `kernel ${sentence}`)
  const events = readEvents(maps, scope)
  const requests = requestLog(db, judgedAs(maps, events))
  const proxies = options['enable-l7-proxy'] !== false
  const envoy = proxies ? openProxy(stateDir, node.nodeName, requests) : undefined
  const dns = proxies ? openDns(stateDir, db, requests, (answer) => names.learn(answer), log) : undefined
  if (dns) scope.onClose(keepDnsSockets(`${stateDir}/${KEPT_SOCKET}`).close)

  // What makes it so, then what says what should be.
  const targets = reconciliation(db, scope, systemClock)
  const told = toldOf(node.nodeName)
  wire(targets, { db, scope, maps, datapath, netlink, kube, envoy, dns, stateDir, told, log })
  targets.start()
  dns?.onChange(() => targets.reload(dnsListeners))
  envoy?.onChange(() => {
    for (const table of envoyTables) targets.reload(table)
  })
  const kubeHealth = kube && watchKube(db, kube, node.nodeName, scope.child('kube'), log, told)

  const notReady = readiness(db, targets)
  const findPod = kube && podFinder(kube)
  const cni = openCni(db, targets, { notReady, log, netnsThere: existsSync, ...(findPod ? { findPod } : {}) })
  const names = openNames(nameCache, {
    db,
    targets,
    connected: (addresses) => connectedAddresses(maps, addresses),
    file: nameFile,
    now: () => Math.floor(systemClock.now() / 1000),
    log,
  })
  scope.every('names', NAMES_SECONDS * 1000, names.collect)
  scope.onClose(names.close)

  const parts: Parts = {
    version: DAEMON_VERSION,
    settings,
    db,
    targets,
    scope,
    maps,
    datapath,
    places,
    kube,
    kubeHealth,
    cni,
    monitor: openMonitor(db, maps, scope, events, requests),
    envoy,
    dns,
    requests,
    names,
    revisions: countRevisions(db, targets),
    endpointLog: endpointLog(db),
    sweeps: keepSweeping(scope, maps, options, () => datapath.program('clock')),
    notReady,
    log,
    drift: followDrift(scope, settings, reread, log),
    started,
    calls,
  }
  writeRuntimeConfig(stateDir, settings, log)
  await serve(parts)
  // Only now that we answer: whoever found us away has put its request into the queue before.
  await drainQueue(`${stateDir}/deleteQueue`, cni, log)

  whenReady(db, notReady, () => {
    if (envoy) scope.loop('Envoy', () => serveProxy(envoy, log))
    const limit = options['dnsproxy-concurrency-limit'] as number
    if (dns) scope.loop('DNS proxy', () => dns.serve({ ipv4: node.enableIpv4, ipv6: node.enableIpv6, limit }))
    log('info', 'ready', { ms: Math.round(performance.now() - started), endpoints: db.count(endpointRequests) })
    const conf = options['write-cni-conf-when-ready'] as string
    if (conf !== '') writeCniConf(conf, options, log)
  })
  const ms = Math.round(performance.now() - started)
  log('info', 'started', { version: VERSION, node: node.nodeName, restored, ms })

  return {
    async close() {
      await envoy?.close()
      await dns?.close()
      await scope.close()
      kube?.close()
      netlink.close()
      datapath.close()
      maps.close()
    },
  }
}

/** The API server that the options name, or the one this runs in; `calls` counts its answers. */
function openKubeFor(options: AgentSettings['options'], calls: { ok: number; failed: number }): Kube {
  const kubeconfig = options['k8s-kubeconfig-path'] as string
  return openKube(findAccess({ kubeconfig, server: options['k8s-api-server'] as string }), {
    userAgent: `cilium-agent/${VERSION}`,
    // To delete what is gone already is no failure.
    observe: (method, code) => (code < 400 || (method === 'DELETE' && code === 404) ? calls.ok++ : calls.failed++),
  })
}
