// SPDX-License-Identifier: Apache-2.0
import { hostAttachment } from '../../derive/endpoints/tables.ts'
import { proxyPorts } from '../../derive/proxy/tables.ts'
import { backendNumbers, heldServices, serviceNumbers, slotRuns } from '../../derive/services/numbers.ts'
import {
  kernelServices,
  kernelPolicies as readKernelPolicies,
  kernelTables as readKernelTables,
} from '../../edge/kernel/contract.ts'
import { mapInfo } from '../../edge/kernel/map.ts'
import type { LoadedObject } from '../../edge/kernel/object.ts'
import * as rows from '../../model/rows.ts'
import type { Database } from '../../table/database.ts'
import { loadedPrograms } from './datapath.ts'
import { ruleFiles } from './imported.ts'
import type { Log } from './log.ts'
import { nodeFacts } from './node-facts.ts'
import { readStoredPorts } from './proxy.ts'
import { readRowFiles } from './row-files.ts'
import type { AgentSettings } from './settings.ts'
import { endpointFiles, optionFiles, readStoredFacts } from './stored.ts'

/**
 * What is known before Kubernetes has spoken: what an agent before this one left in the kernel and on disk. Allocations
 * are seeded with it, so that nothing gets another number than packets under way carry. Returns how many endpoints there
 * are.
 */
export function readKnown(db: Database, maps: LoadedObject, { node, options }: AgentSettings, log: Log): number {
  const stateDir = options['state-dir'] as string
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
  const there = new Set(restored.map(rows.endpointRequests.key))
  const chosen = readRowFiles(optionFiles(stateDir), log)
  db.commit((tx) => {
    tx.put(rows.settings, node)
    tx.replace(rows.kernelPolicies, readKernelPolicies(maps.map))
    tx.replace(rows.kernelTables, readKernelTables(maps.map))
    tx.replace(
      rows.mapSizes,
      [...maps.maps].map(([name, fd]) => ({ name, entries: mapInfo(fd).maxEntries })),
    )
    tx.replace(rows.endpointRequests, restored)
    tx.replace(
      rows.endpointOptions,
      chosen.filter((o) => o.attachment === hostAttachment || there.has(o.attachment)),
    )
    tx.replace(rows.importedRules, readRowFiles(ruleFiles(stateDir), log))
    for (const table of [
      rows.settings,
      rows.kernelPolicies,
      rows.kernelTables,
      rows.mapSizes,
      rows.endpointRequests,
      rows.endpointOptions,
      rows.importedRules,
      loadedPrograms,
    ])
      tx.initialised(table)
  })
  return restored.length
}
