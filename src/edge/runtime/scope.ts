// SPDX-License-Identifier: Apache-2.0
import { setTimeout as sleep } from 'node:timers/promises'
import { InvariantError } from '../../base/assert.ts'
import type { Scope } from '../../base/scope.ts'

/** How one named piece of background work is doing. */
export interface Health {
  /** Names of the scopes from the root, and of the work: `agent/kube/pods`. */
  readonly name: string
  readonly running: boolean
  /** The last throw, until the work has gone well again. */
  readonly error?: string
  readonly failures: number
}

export interface HealthScope extends Scope {
  readonly signal: AbortSignal
  child(name: string): HealthScope
  /** All work of this scope and of its children that is running or has failed, by name. */
  health(): readonly Health[]
}

export interface ScopeOptions {
  /** Told of every throw of background work; the default says nothing, health keeps the last. */
  readonly onError?: (name: string, error: unknown) => void
  /** Milliseconds before a failed loop starts again: the first time and at most; doubled in between. */
  readonly restart?: { readonly first: number; readonly most: number }
}

export function openScope(name: string, options: ScopeOptions = {}): HealthScope {
  const { onError = () => {}, restart = { first: 100, most: 10_000 } } = options
  const controller = new AbortController()
  const { signal } = controller
  const disposals: (() => void | Promise<void>)[] = []
  const children = new Set<HealthScope>()
  const running = new Set<Promise<void>>()
  const healths = new Map<string, { running: boolean; error?: string; failures: number }>()
  let closing: Promise<void> | undefined

  const healthOf = (work: string) => {
    let health = healths.get(work)
    if (!health) healths.set(work, (health = { running: false, failures: 0 }))
    return health
  }
  const failed = (work: string, error: unknown): void => {
    const health = healthOf(work)
    health.failures++
    health.error = errorText(error)
    onError(`${name}/${work}`, error)
  }
  const start = (run: () => Promise<void>): void => {
    if (signal.aborted) return
    const promise: Promise<void> = run().finally(() => running.delete(promise))
    running.add(promise)
  }
  /** Runs once. A throw is kept as health; but a broken invariant ends the process, as it would anywhere else. */
  const attempt = async (work: string, run: () => void | Promise<void>): Promise<boolean> => {
    const health = healthOf(work)
    health.running = true
    try {
      await run()
      delete health.error
      return true
    } catch (error) {
      if (error instanceof InvariantError) {
        queueMicrotask(() => {
          throw error
        })
      }
      if (!signal.aborted) failed(work, error)
      return false
    } finally {
      health.running = false
    }
  }

  const scope: HealthScope = {
    name,
    signal,
    loop(work, run) {
      start(async () => {
        for (let wait = restart.first; !signal.aborted; wait = Math.min(restart.most, wait * 2)) {
          const began = performance.now()
          if (await attempt(work, () => run(signal))) return
          if (performance.now() - began > restart.most) wait = restart.first
          await sleep(wait, undefined, { signal }).catch(() => {})
        }
      })
    },
    every(work, ms, run) {
      let busy = false
      const timer = setInterval(() => {
        if (busy) return
        busy = true
        start(() =>
          attempt(work, run).then(() => {
            busy = false
          }),
        )
      }, ms)
      scope.onClose(() => clearInterval(timer))
    },
    after(work, ms, run) {
      const cancel = () => {
        clearTimeout(timer)
        const at = disposals.indexOf(cancel)
        if (at >= 0) disposals.splice(at, 1)
      }
      const timer = setTimeout(() => {
        cancel()
        start(async () => {
          await attempt(work, run)
        })
      }, ms)
      scope.onClose(cancel)
      return cancel
    },
    onClose(dispose) {
      disposals.push(dispose)
    },
    child(childName) {
      const child = openScope(`${name}/${childName}`, options)
      children.add(child)
      scope.onClose(async () => {
        children.delete(child)
        await child.close()
      })
      return child
    },
    health() {
      const own = [...healths].map(([work, health]) => ({ name: `${name}/${work}`, ...health }))
      return [...own, ...[...children].flatMap((child) => child.health())].sort((a, b) => (a.name < b.name ? -1 : 1))
    },
    close() {
      closing ??= (async () => {
        controller.abort()
        for (let dispose = disposals.pop(); dispose; dispose = disposals.pop()) await attempt('close', dispose)
        await Promise.all(running)
      })()
      return closing
    },
  }
  return scope
}

/** The message of an error and of its causes. */
export function errorText(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  return error.cause === undefined ? error.message : `${error.message}: ${errorText(error.cause)}`
}
