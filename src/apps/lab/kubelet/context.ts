// SPDX-License-Identifier: Apache-2.0
import type { Scope } from '../../../base/scope.ts'
import type { Clock } from '../../../base/time.ts'
import type { Store } from '../api/store.ts'
import type { Record as RecordEvent } from '../controllers/events.ts'
import type { Image, Images } from '../images/images.ts'
import type { Made, Making, Names } from './container.ts'
import type { Container, Pod } from './manifest.ts'
import type { LabNode, Program } from './node.ts'
import type { Reach } from './probes.ts'
import type { NetworkConfig } from './sandbox.ts'

/** What all pods of a node share. */
export interface NodeContext {
  readonly node: LabNode
  readonly store: Store
  readonly images: Images
  readonly scope: Scope
  readonly clock: Clock
  readonly record: RecordEvent
  readonly names: Names
  /** cgroup path of the node below the roots. */
  readonly cgroup: string
  /** The node's addresses, its first family first. */
  readonly hostIPs: readonly string[]
  readonly cores: number
  readonly memory: number
  readonly token: (namespace: string, serviceAccount: string, seconds: number) => string
  readonly ca: string
  /** The network configuration, while there is one. */
  readonly network: () => NetworkConfig | undefined
}

/** What a container's life needs of its pod. */
export interface PodContext extends Pick<NodeContext, 'scope' | 'clock' | 'record' | 'images' | 'node'> {
  readonly pod: () => Pod
  /** The pod's status is to be written anew. */
  readonly changed: () => void
  readonly making: (container: Container, image: Image, restarts: number) => Making
  readonly reach: (current: { readonly program: Program; readonly made: Made } | undefined) => Reach
  readonly lastLines: (log: string, count: number) => string
}
