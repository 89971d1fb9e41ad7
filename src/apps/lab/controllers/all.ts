// SPDX-License-Identifier: Apache-2.0
import type { Store } from '../api/store.ts'
import { scheduler } from '../scheduler/scheduler.ts'
import { accountsController } from './accounts.ts'
import { cronJobController } from './cronjob.ts'
import { daemonSetController } from './daemonset.ts'
import { deploymentController } from './deployment.ts'
import { endpointsController } from './endpoints.ts'
import { garbageController } from './garbage.ts'
import { jobController } from './job.ts'
import { namespaceController } from './namespaces.ts'
import { nodeController } from './nodes.ts'
import { type PrefixOf, podCidrController } from './podcidrs.ts'
import type { Controller } from './queue.ts'
import { replicaSetController } from './replicaset.ts'
import { statefulSetController } from './statefulset.ts'

/**
 * All controllers of the lab, and its scheduler. `ca` is the PEM of the cluster's certificate authority; nodes get pod
 * prefixes when `podPrefixes` has a family.
 */
export const allControllers = (
  store: Store,
  ca: string,
  podPrefixes: readonly PrefixOf[] = [],
): readonly Controller[] => [
  ...(podPrefixes.length > 0 ? [podCidrController(store, podPrefixes)] : []),
  namespaceController(store),
  accountsController(store, ca),
  deploymentController(store),
  replicaSetController(store),
  daemonSetController(store),
  statefulSetController(store),
  jobController(store),
  cronJobController(store),
  // A new node is tainted before the scheduler sees it, as a real one is registered with its taint.
  nodeController(store),
  scheduler(store),
  endpointsController(store),
  garbageController(store),
]
