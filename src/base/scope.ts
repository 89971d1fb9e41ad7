// SPDX-License-Identifier: Apache-2.0

/**
 * The owner of background work. Everything that runs later is started through a named scope, reports its health under
 * that name, and ends with it: one AbortSignal, disposal in reverse order.
 */
export interface Scope {
  readonly name: string
  readonly signal: AbortSignalLike
  /** Runs `work` until it returns; a throw is reported under `name` and the work is started again with back-off. */
  loop(name: string, work: (signal: AbortSignalLike) => Promise<void>): void
  /** Runs `work` every `ms` milliseconds, never twice at once. */
  every(name: string, ms: number, work: () => void | Promise<void>): void
  /** Runs `work` once after `ms`; the returned function cancels. */
  after(name: string, ms: number, work: () => void | Promise<void>): () => void
  /** Called on close, in reverse order of registration. */
  onClose(dispose: () => void | Promise<void>): void
  child(name: string): Scope
  close(): Promise<void>
}

/** The part of AbortSignal that pure code may name without the DOM or Node. */
export interface AbortSignalLike {
  readonly aborted: boolean
  addEventListener(type: 'abort', listener: () => void): void
}
