// SPDX-License-Identifier: Apache-2.0
import { existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import type { Result } from '../../base/result.ts'
import { hostAttachment } from '../../derive/endpoints/tables.ts'
import { openNameCache } from '../../derive/names/cache.ts'
import { dnsListeners, proxyPorts } from '../../derive/proxy/tables.ts'
import { backendNumbers, heldServices, serviceNumbers, slotRuns } from '../../derive/services/tables.ts'
import { KEPT_SOCKET } from '../../edge/dns/messages.ts'
import {
  kernelServices,
  kernelPolicies as readKernelPolicies,
  kernelTables as readKernelTables,
} from '../../edge/kernel/contract.ts'
import { markHurry } from '../../edge/kernel/grace.ts'
import { mapInfo } from '../../edge/kernel/map.ts'
import { useProcfs } from '../../edge/kernel/namespace.ts'
import { openNetlink } from '../../edge/kernel/netlink.ts'
import { demand, ensureBpffs, findCgroup2, probe } from '../../edge/kernel/probe.ts'
import { watchDevices } from '../../edge/kernel/watch.ts'
import { findAccess } from '../../edge/kube/access.ts'
import { type Kube, openKube } from '../../edge/kube/client.ts'
import { systemClock } from '../../edge/runtime/clock.ts'
import { reconciliation } from '../../edge/runtime/reconcile.ts'
import { errorText, openScope } from '../../edge/runtime/scope.ts'
import { listenOnPort, listenOnSocket } from '../../edge/sockets/listen.ts'
import { restServer } from '../../edge/sockets/rest.ts'
import { VERSION } from '../../model/release.ts'
import {
  devices,
  endpointOptions,
  endpointRequests,
  importedRules,
  kernelPolicies,
  kernelTables,
  mapSizes,
  settings as settingsTable,
} from '../../model/rows.ts'
import { openDatabase } from '../../table/open.ts'
import { openCni } from './cni.ts'
import { writeCniConf } from './cni_conf.ts'
import { loadedPrograms, openDatapath } from './datapath.ts'
import { drainQueue } from './delete_queue.ts'
import { openDns } from './dns.ts'
import { keepDnsSockets } from './dns_sockets.ts'
import { type Drift, drift, driftText } from './drift.ts'
import { endpointLog } from './endpoint_log.ts'
import { connectedAddresses, flowSweeper, type Sweep } from './flows.ts'
import { ruleFiles } from './imported.ts'
import type { Log } from './log.ts'
import { collectMetrics, metricsText } from './metrics.ts'
import { openMonitor } from './monitor.ts'
import { nameLimits, openNames, restoreNames } from './names.ts'
import { prepareNamespace } from './namespace.ts'
import { nodeFacts } from './node_facts.ts'
import { toldOf } from './policy_events.ts'
import { openMaps } from './programs.ts'
import { envoyTables, openProxy, readStoredPorts, serveProxy } from './proxy.ts'
import { requestLog } from './requests.ts'
import type { Parts } from './rest/parts.ts'
import { healthRoutes, routes } from './rest/routes.ts'
import { countRevisions } from './revisions.ts'
import { readRowFiles } from './row_files.ts'
import type { AgentSettings } from './settings.ts'
import { podFinder, watchKube } from './sources.ts'
import { endpointFiles, optionFiles, readStoredFacts } from './stored.ts'
import { DAEMON_VERSION } from './version.ts'
import { policyTables, tables, wire } from './wire.ts'

/** Between sweeps of the flow table, unless `conntrack-gc-interval` says otherwise. */
const SWEEP_SECONDS = 30

/** Between collections of names that have expired. */
const NAMES_SECONDS = 60

export interface Agent {
  close(): Promise<void>
}

/** How often the configuration is read again, to tell when it has been changed; kubelet takes a minute to bring it. */
const DRIFT_SECONDS = 30

/** Brings the agent up; resolves when its socket answers, which is before everything is known. */
export async function startAgent(
  settings: AgentSettings,
  log: Log,
  reread?: () => Result<AgentSettings>,
): Promise<Agent> {
  const started = performance.now()
  const { node, options } = settings
  const text = (name: string): string => options[name] as string
  const stateDir = text('state-dir')
  const scope = openScope('agent', { onError: (name, error) => log('warning', errorText(error), { work: name }) })
  if (settings.ignored.length > 0) log('debug', 'options without effect here', { options: settings.ignored })

  const cgroup = text('cgroup-root') || findCgroup2() || ''
  ensureBpffs(text('bpf-root'))
  demand(probe({ bpffs: text('bpf-root'), ...(cgroup && existsSync(cgroup) ? { cgroup } : {}) }))
  useProcfs(text('procfs'))
  prepareNamespace({ ipv4: node.enableIpv4, ipv6: node.enableIpv6 })
  mkdirSync(join(stateDir, 'state'), { recursive: true })
  markHurry(join(stateDir, 'state/rcu_expedited'))

  const home = process.env['CILIUM_HOME'] ?? new URL('../../..', import.meta.url).pathname
  const places = {
    objects: text('bpf-objects') || join(home, 'build/bpf'),
    maps: join(text('bpf-root'), 'tc/globals'),
    links: join(text('bpf-root'), 'cilium/links'),
    cgroup: existsSync(cgroup) ? cgroup : '',
  }
  const maps = openMaps(places, options, (name) =>
    log('warning', `map ${name} is of another version and is made anew: new connections wait until it is filled`),
  )
  const db = openDatabase(tables)
  db.seed(nodeFacts, readStoredFacts(`${stateDir}/state/node.json`))
  db.seed(proxyPorts, readStoredPorts(`${stateDir}/state/proxy_ports.json`))
  const inKernel = kernelServices(
    maps.map('cilium_services'),
    maps.map('cilium_backend_slots'),
    maps.map('cilium_backends'),
  )
  const held = heldServices(inKernel.services, inKernel.slots, inKernel.backends)
  db.seed(serviceNumbers, held.services)
  db.seed(slotRuns, held.runs)
  db.seed(backendNumbers, held.backends)
  const restored = options['restore'] === false ? [] : readRowFiles(endpointFiles(stateDir), log)

  const deviceWatch = watchDevices(
    ({ put, removed }) =>
      db.commit((tx) => {
        for (const row of put) tx.put(devices, row)
        for (const index of removed) tx.remove(devices, String(index))
      }),
    { failed: (e) => log('warning', `devices: ${errorText(e)}`) },
  )
  scope.onClose(() => deviceWatch.close())

  db.commit((tx) => {
    tx.put(settingsTable, node)
    tx.replace(kernelPolicies, readKernelPolicies(maps.map('cilium_policies')))
    tx.replace(kernelTables, readKernelTables(maps.map('cilium_policy_tables'), maps.map('cilium_policy_classes')))
    tx.replace(
      mapSizes,
      [...maps.maps].map(([name, fd]) => ({ name, entries: mapInfo(fd).maxEntries })),
    )
    tx.replace(endpointRequests, restored)
    const there = new Set(restored.map(endpointRequests.key))
    const kept = readRowFiles(optionFiles(stateDir), log)
    tx.replace(
      endpointOptions,
      kept.filter((o) => o.attachment === hostAttachment || there.has(o.attachment)),
    )
    tx.replace(importedRules, readRowFiles(ruleFiles(stateDir), log))
    tx.replace(devices, deviceWatch.rows)
    const complete = [
      importedRules,
      settingsTable,
      kernelPolicies,
      kernelTables,
      mapSizes,
      endpointRequests,
      endpointOptions,
      devices,
    ]
    for (const known of [...complete, loadedPrograms]) tx.initialised(known)
  })

  const nameCache = openNameCache(nameLimits(options))
  const nameFile = `${stateDir}/state/names.jsonl`
  restoreNames(nameCache, db, nameFile, text('tofqdns-pre-cache'), log)

  const calls = { ok: 0, failed: 0 }
  let kube: Kube | undefined
  if (options['enable-k8s'] !== false)
    kube = openKube(findAccess({ kubeconfig: text('k8s-kubeconfig-path'), server: text('k8s-api-server') }), {
      userAgent: `cilium-agent/${VERSION}`,
      // To delete what is gone already is no failure.
      observe: (method, code) => (code < 400 || (method === 'DELETE' && code === 404) ? calls.ok++ : calls.failed++),
    })
  const netlink = openNetlink()
  const datapath = openDatapath(db, maps, places, options)
  for (const sentence of datapath.fallbacks) log('info', `kernel ${sentence}`)
  const targets = reconciliation(db, scope, systemClock)
  const requests = requestLog(db)
  const envoy = options['enable-l7-proxy'] === false ? undefined : openProxy(stateDir, node.nodeName, requests)
  const dns =
    options['enable-l7-proxy'] === false
      ? undefined
      : openDns(stateDir, db, requests, (answer) => names.learn(answer), log)
  if (dns) scope.onClose(keepDnsSockets(`${stateDir}/${KEPT_SOCKET}`).close)
  const told = toldOf(node.nodeName)
  wire(targets, { db, scope, maps, datapath, netlink, kube, envoy, dns, stateDir, told, log })
  targets.start()
  dns?.onChange(() => targets.reload(dnsListeners))
  envoy?.onChange(() => {
    for (const table of envoyTables) targets.reload(table)
  })
  const kubeHealth = kube ? watchKube(db, kube, node.nodeName, scope.child('kube'), log, told) : undefined

  const notReady = (withKube = true): string => {
    if (!db.get(nodeFacts, 'node')) return withKube ? 'this node has no address or no pod prefix yet' : ''
    if (!db.get(loadedPrograms, 'programs'))
      return (
        targets
          .statuses()
          .find((s) => s.table === 'datapathConfig')
          ?.waitsFor.join() || 'the programs are not loaded'
      )
    const last = policyTables.find((t) => !db.isInitialised(t))
    return last && withKube ? 'not all objects have been read from Kubernetes yet' : ''
  }
  const findPod = kube && podFinder(kube)
  const cni = openCni(db, targets, { notReady, log, netnsThere: existsSync, ...(findPod ? { findPod } : {}) })
  const sweeps: { runs: number; last: Sweep } = { runs: 0, last: { flows: 0, deleted: 0, ms: 0 } }
  const sweep = flowSweeper(maps, options)
  scope.every('flow sweep', (Number(options['conntrack-gc-interval']) || SWEEP_SECONDS) * 1000, async () => {
    const clock = datapath.program('clock')
    if (clock === undefined) return
    sweeps.last = await sweep(clock)
    sweeps.runs++
  })
  let drifted: Drift = { options: [], problem: '' }
  if (reread && options['enable-drift-checker'] === true)
    scope.every('drift checker', DRIFT_SECONDS * 1000, () => {
      const earlier = driftText(drifted)
      drifted = drift(settings, reread(), options['ignore-flags-drift-checker'] as string[])
      const text = driftText(drifted)
      if (text !== earlier && text !== '') log('warning', text)
    })
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
    ...{
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
      notReady,
      log,
    },
    ...{ started, calls, sweeps, envoy, dns, requests, names, drift: () => drifted },
    monitor: openMonitor(db, maps, scope, requests),
    revisions: countRevisions(db, targets),
    endpointLog: endpointLog(db),
  }

  const server = restServer(routes(parts), {
    onError: (e, method, path) => log('error', `${method} ${path}: ${errorText(e)}`),
  })
  scope.onClose(await listenOnSocket(server, text('socket-path')))
  const healthPort = options['agent-health-port'] as number
  if (healthPort > 0) scope.onClose(await listenOnPort(restServer(healthRoutes(parts)), '127.0.0.1', healthPort))
  const metricsAt = /^(?:\[?(.*?)\]?:)?([0-9]+)$/.exec(text('prometheus-serve-addr'))
  if (metricsAt) {
    const metrics = {
      method: 'GET',
      path: '/metrics',
      handle: () => ({ text: metricsText(collectMetrics(parts)), contentType: 'text/plain; version=0.0.4' }),
    }
    scope.onClose(await listenOnPort(restServer([metrics]), metricsAt[1] || '::', Number(metricsAt[2])))
  }
  // Only now that we answer: whoever found us away has put its request into the queue before.
  await drainQueue(`${stateDir}/deleteQueue`, cni, log)

  whenReady(() => {
    if (envoy) scope.loop('Envoy', () => serveProxy(envoy, log))
    const forNames = {
      ipv4: node.enableIpv4,
      ipv6: node.enableIpv6,
      limit: options['dnsproxy-concurrency-limit'] as number,
    }
    if (dns) scope.loop('DNS proxy', () => dns.serve(forNames))
    log('info', 'ready', { ms: Math.round(performance.now() - started), endpoints: db.count(endpointRequests) })
    const conf = text('write-cni-conf-when-ready')
    if (conf !== '') writeCniConf(conf, options, log)
  })
  log('info', 'started', {
    version: VERSION,
    node: node.nodeName,
    restored: restored.length,
    ms: Math.round(performance.now() - started),
  })

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

  function whenReady(act: () => void): void {
    let done = false
    const look = () => {
      if (done || notReady() !== '') return
      done = true
      stop()
      act()
    }
    const stop = db.listen(look)
    look()
  }
}
