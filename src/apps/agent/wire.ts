// SPDX-License-Identifier: Apache-2.0
/*
 * The table of contents. What comes in, what is derived from it, what is made so:
 *
 *   Kubernetes ──► pods namespaces services … identities ──┐
 *   CNI, disk  ──► endpointRequests ───────────────────────┼─► derive/tables.ts ─► the tables below ─► kernel, disk, Kubernetes
 *   kernel     ──► devices kernelPolicies kernelTables ────┘
 *
 * Order is in `after`: policy reaches the kernel before any packet may carry an identity it decides about, and an
 * address is announced last. A table without `after` waits for nobody.
 */
import { ipcacheRows, ownerRows } from '../../derive/addresses/tables.ts'
import { identityClaims } from '../../derive/identity/tables.ts'
import { interfaceRows } from '../../derive/interfaces/tables.ts'
import { policyClassRows, policyPageRows, policyRows, policyTableRows } from '../../derive/policy/decisions.ts'
import { policyOverflows } from '../../derive/policy/overflow.ts'
import {
  cellRows,
  dnsListeners,
  envoyClusters,
  envoyListeners,
  proxyPairRows,
  proxyPorts,
} from '../../derive/proxy/tables.ts'
import { endpointRoutes, nodeRoutes } from '../../derive/routing/tables.ts'
import { healthChecks } from '../../derive/services/health.ts'
import { backendRows, serviceRows, slotRows, sourceRangeRows } from '../../derive/services/tables.ts'
import { ciliumEndpointObjects } from '../../derive/status/tables.ts'
import { tables as derivedTables } from '../../derive/tables.ts'
import type { DnsControl } from '../../edge/dns/control.ts'
import type { EnvoyControl } from '../../edge/envoy/control.ts'
import { classesTarget } from '../../edge/kernel/classes.ts'
import * as kernel from '../../edge/kernel/contract.ts'
import { linkTarget, routeTarget } from '../../edge/kernel/devices.ts'
import type { Netlink } from '../../edge/kernel/netlink.ts'
import type { LoadedObject } from '../../edge/kernel/object.ts'
import type { Kube } from '../../edge/kube/client.ts'
import type { Reconciliation } from '../../edge/runtime/reconcile.ts'
import type { HealthScope } from '../../edge/runtime/scope.ts'
import { endpointOptions, importedRules, settings } from '../../model/rows.ts'
import { PROTOCOL } from '../../protocol/netlink/route.ts'
import type { Database } from '../../table/database.ts'
import {
  answeringSockets,
  type Datapath,
  datapathConfig,
  HOST_GROUP,
  hostDevices,
  loadedPrograms,
  nodeAttachments,
  podAttachments,
} from './datapath.ts'
import { dnsGate, dnsGateTarget } from './dns.ts'
import { healthChecksTarget } from './health-checks.ts'
import { ruleFiles } from './imported.ts'
import { trackedPolicies } from './kernel-policies.ts'
import { ciliumEndpointTarget, ciliumNodeTarget, identityTarget, nodeDeeds } from './kube-objects.ts'
import type { Log } from './log.ts'
import { nodeFacts, saidNodeFacts } from './node-facts.ts'
import { goneFrom, podDevices, podDevicesTarget } from './pod-devices.ts'
import { overflowTarget, type Told } from './policy-events.ts'
import { gateTarget, portsTarget, proxyGate, proxyRoutes, proxyRouteTarget } from './proxy.ts'
import { rowFilesTarget } from './row-files.ts'
import { endpointFiles, factsTarget, optionFiles, storedEndpoints } from './stored.ts'

/** Tables of the agent itself, beside those of derive. */
const own = [
  saidNodeFacts,
  nodeFacts,
  datapathConfig,
  loadedPrograms,
  hostDevices,
  podDevices,
  podAttachments,
  answeringSockets,
  nodeAttachments,
  storedEndpoints,
  nodeDeeds,
  proxyGate,
  dnsGate,
  proxyRoutes,
] as const
export const tables = [...derivedTables, ...own]

/** Policy as the kernel has it: a revision is enforced once these are caught up. */
export const policyTables = [cellRows, policyPageRows, policyClassRows, policyTableRows, policyRows] as const

/** The kernel's tables of which nothing is written before all sources have spoken: half of the facts may open too much. */
const complete = { waitInitialised: true } as const

export interface Hands {
  readonly db: Database
  readonly scope: HealthScope
  readonly maps: LoadedObject
  readonly datapath: Datapath
  readonly netlink: Netlink
  readonly kube: Kube | undefined
  /** None: connections with L7 rules are dropped. */
  readonly envoy: EnvoyControl | undefined
  /** None: questions with rules for names are dropped. */
  readonly dns: DnsControl | undefined
  readonly stateDir: string
  readonly told: Told
  readonly log: Log
}

export function wire(
  targets: Reconciliation,
  { db, scope, maps, datapath, netlink, kube, envoy, dns, stateDir, told, log }: Hands,
): void {
  const epoch = kernel.openEpoch(maps.map('cilium_epoch'))
  const judgeAnew = { changed: () => epoch.bump() }
  const policies = trackedPolicies(kernel.policiesTarget(policyRows, maps.map('cilium_policies'), judgeAnew), db, scope)

  // The node itself.
  targets.add(nodeFacts, factsTarget(`${stateDir}/state/node.json`))
  targets.add(datapathConfig, datapath.configTarget)
  targets.add(hostDevices, linkTarget(hostDevices, netlink, HOST_GROUP))
  targets.add(nodeAttachments, datapath.nodeTarget, { after: [datapathConfig, hostDevices] })
  targets.add(nodeRoutes, routeTarget(nodeRoutes, netlink, PROTOCOL.OWN_NODES), { after: [hostDevices] })

  // Policy: what others refer to comes first, then one store that makes it count.
  targets.add(cellRows, kernel.cellsTarget(cellRows, maps.map('cilium_policy_cells')), complete)
  targets.add(policyPageRows, kernel.policyPagesTarget(policyPageRows, maps.map('cilium_policy_pages')), complete)
  targets.add(policyClassRows, classesTarget(policyClassRows, maps.map, judgeAnew), complete)
  targets.add(policyTableRows, kernel.policyTablesTarget(policyTableRows, maps.map('cilium_policy_tables')), {
    ...complete,
    after: [cellRows, policyPageRows, policyClassRows],
  })
  targets.add(proxyPorts, portsTarget(`${stateDir}/state/proxy_ports.json`), complete)
  targets.add(proxyPairRows, kernel.proxyPairsTarget(proxyPairRows, maps.map('cilium_proxy_pairs')), complete)
  if (envoy || dns) targets.add(proxyRoutes, proxyRouteTarget(netlink), { after: [hostDevices] })
  if (envoy) {
    targets.add(envoyClusters, envoy.target('envoy clusters', envoyClusters.key), complete)
    targets.add(envoyListeners, envoy.target('envoy listeners', envoyListeners.key), complete)
    targets.add(proxyGate, gateTarget(envoy), complete)
  }
  if (dns) {
    targets.add(dnsListeners, dns.target('DNS listeners', dnsListeners.key), complete)
    targets.add(dnsGate, dnsGateTarget(dns), complete)
  }
  targets.add(policyRows, policies, {
    ...complete,
    after: [policyTableRows, proxyPairRows, ...(envoy ? [proxyGate] : []), ...(dns ? [dnsGate] : [])],
  })

  // Who is who: only identities that policy has heard of.
  const ofPolicy = { table: policyRows, needs: (row: { readonly policy: number }) => [String(row.policy)] }
  targets.add(ipcacheRows, kernel.ipcacheTarget(ipcacheRows, maps.map('cilium_ipcache'), judgeAnew), {
    ...complete,
    // Also the tables that have a class for a new identity, while they wait for a proxy.
    after: [policyClassRows, policyRows],
  })
  targets.add(ownerRows, kernel.ownersTarget(ownerRows, maps.map('cilium_owners'), judgeAnew), {
    ...complete,
    after: [policyClassRows, ofPolicy],
  })
  targets.add(interfaceRows, kernel.interfacesTarget(interfaceRows, maps.map('cilium_interfaces'), judgeAnew), {
    ...complete,
    after: [policyClassRows, ofPolicy],
  })

  // Services: backends, then the slots that name them, then the address that leads to the slots.
  targets.add(backendRows, kernel.backendsTarget(backendRows, maps.map('cilium_backends')), complete)
  targets.add(slotRows, kernel.slotsTarget(slotRows, maps.map('cilium_backend_slots')), {
    ...complete,
    after: [backendRows],
  })
  targets.add(sourceRangeRows, kernel.sourceRangesTarget(sourceRangeRows, maps.map('cilium_source_ranges')), complete)
  targets.add(serviceRows, kernel.servicesTarget(serviceRows, maps.map('cilium_services')), {
    ...complete,
    after: [slotRows, sourceRangeRows],
  })
  const ports = healthChecksTarget()
  scope.onClose(ports.close)
  targets.add(healthChecks, ports, complete)

  // Endpoints: the pair of devices with its programs, the route to it, its file, its object.
  targets.add(podDevices, podDevicesTarget(netlink, datapath.attachPod, goneFrom(db)), { after: [datapathConfig] })
  targets.add(podAttachments, datapath.podTarget, { after: [datapathConfig] })
  targets.add(endpointRoutes, routeTarget(endpointRoutes, netlink, PROTOCOL.OWN_PODS))
  targets.add(storedEndpoints, rowFilesTarget(endpointFiles(stateDir), log))
  targets.add(endpointOptions, rowFilesTarget(optionFiles(stateDir), log))
  targets.add(importedRules, rowFilesTarget(ruleFiles(stateDir), log))
  if (!kube) return
  targets.add(policyOverflows, overflowTarget(kube, db, db.get(settings, 'settings')?.nodeName ?? '', told))
  targets.add(identityClaims, identityTarget(kube, db), complete)
  targets.add(ciliumEndpointObjects, ciliumEndpointTarget(kube, db), complete)
  targets.add(nodeDeeds, ciliumNodeTarget(kube), complete)
}
