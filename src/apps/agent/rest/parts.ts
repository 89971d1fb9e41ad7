// SPDX-License-Identifier: Apache-2.0
import type { DnsControl } from '../../../edge/dns/control.ts'
import type { EnvoyControl } from '../../../edge/envoy/control.ts'
import type { LoadedObject } from '../../../edge/kernel/object.ts'
import type { Kube } from '../../../edge/kube/client.ts'
import type { Reconciliation } from '../../../edge/runtime/reconcile.ts'
import type { HealthScope } from '../../../edge/runtime/scope.ts'
import type { Database } from '../../../table/database.ts'
import type { Cni } from '../cni.ts'
import type { Datapath, DatapathPlaces } from '../datapath.ts'
import type { Drift } from '../drift.ts'
import type { LogEntry } from '../endpoint-log.ts'
import type { Sweeps } from '../flows.ts'
import type { Log } from '../log.ts'
import type { Monitor } from '../monitor.ts'
import type { Names } from '../names.ts'
import type { NotReady } from '../readiness.ts'
import type { RequestLog } from '../requests.ts'
import type { Revisions } from '../revisions.ts'
import type { AgentSettings } from '../settings.ts'
import type { KubeHealth } from '../sources.ts'

/** What the REST API shows: the parts of a running agent. */
export interface Parts {
  readonly version: string
  readonly settings: AgentSettings
  readonly db: Database
  readonly targets: Reconciliation
  readonly scope: HealthScope
  readonly maps: LoadedObject
  readonly datapath: Datapath
  readonly places: DatapathPlaces
  readonly kube: Kube | undefined
  readonly kubeHealth: KubeHealth | undefined
  readonly cni: Cni
  readonly monitor: Monitor
  readonly envoy: EnvoyControl | undefined
  readonly dns: DnsControl | undefined
  readonly requests: RequestLog
  readonly names: Names
  readonly revisions: Revisions
  readonly endpointLog: (attachment: string) => readonly LogEntry[]
  readonly sweeps: Sweeps
  readonly notReady: NotReady
  readonly log: Log
  /** How the configuration was changed since the start. */
  readonly drift: () => Drift
  /** performance.now() at the start. */
  readonly started: number
  /** Requests answered by the API server. */
  readonly calls: { readonly ok: number; readonly failed: number }
}
