// SPDX-License-Identifier: Apache-2.0
import type { Clock } from '../../../base/time.ts'
import type { Access } from './access.ts'
import type { Crds } from './crds.ts'
import type { KeyPair } from './pki.ts'
import type { Store } from './store.ts'
import type { FindKubelet } from './streams.ts'

/** What the API server serves, and where. */
export interface ServerOptions {
  readonly store: Store
  readonly crds: Crds
  readonly clock: Clock
  readonly access: Access
  readonly tls: KeyPair
  /** The authority's certificate, PEM; client certificates of it are accepted. */
  readonly authority: string
  readonly address: string
  /** 0 takes a free one. */
  readonly port: number
  readonly findKubelet: FindKubelet
}
