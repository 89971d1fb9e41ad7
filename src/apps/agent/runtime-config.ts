// SPDX-License-Identifier: Apache-2.0
import { writeWhole } from '../../edge/disk/files.ts'
import { errorText } from '../../edge/runtime/scope.ts'
import type { Log } from './log.ts'
import type { AgentSettings } from './settings.ts'

/**
 * What clients read of the agent's configuration in a file of its container, under Cilium's field names; the rest of that
 * file is no interface. Health checks between nodes and encryption do not exist here, events are never aggregated.
 */
export const runtimeConfig = ({ node }: AgentSettings): Readonly<Record<string, string | boolean>> => ({
  EnableIPv4: node.enableIpv4,
  EnableIPv6: node.enableIpv6,
  EnableICMPRules: true,
  EnableK8sNetworkPolicy: true,
  EnableK8sClusterNetworkPolicy: true,
  EnableHealthChecking: false,
  EnableEndpointHealthChecking: false,
  EncryptNode: false,
  NodeEncryptionOptOutLabelsString: '',
  MonitorAggregation: 'none',
})

/** Writes it below the state directory; a full disk is told and stops nothing. */
export function writeRuntimeConfig(stateDir: string, settings: AgentSettings, log: Log): void {
  const path = `${stateDir}/state/agent-runtime-config.json`
  try {
    writeWhole(path, `${JSON.stringify(runtimeConfig(settings), undefined, 2)}\n`)
  } catch (e) {
    log('warning', `${path}: ${errorText(e)}`)
  }
}
