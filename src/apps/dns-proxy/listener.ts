// SPDX-License-Identifier: Apache-2.0
import type { DnsListenerRow } from '../../model/proxy.ts'

/** One socket of a listener. */
export interface ListenerPart {
  readonly file: number
  readonly family: 4 | 6
  readonly port: number
  /** The rules of now. */
  current(): DnsListenerRow
}

/** A socket whose questions are answered. */
export interface Served {
  /** Takes no more of them. */
  leave(): void
  close(): void
}
