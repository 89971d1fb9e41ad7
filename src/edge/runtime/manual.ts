// SPDX-License-Identifier: Apache-2.0
import type { Scope } from '../../base/scope.ts'
import type { Clock } from '../../base/time.ts'

/** Clock and scope moved by hand, for tests: nothing happens until `advance`. */
export interface ManualRuntime {
  readonly clock: Clock
  readonly scope: Scope
  /** Moves time on, running what falls due in order; promises settle in between. */
  advance(ms: number): Promise<void>
  /** What background work has thrown. */
  readonly errors: readonly unknown[]
}

interface Timer {
  readonly at: number
  readonly run: () => void | Promise<void>
}

export function manualRuntime(name = 'test'): ManualRuntime {
  let time = 0
  const timers = new Set<Timer>()
  const errors: unknown[] = []
  const attempt = async (run: () => void | Promise<void>): Promise<boolean> => {
    try {
      await run()
      return true
    } catch (error) {
      errors.push(error)
      return false
    }
  }
  const later = (ms: number, run: Timer['run']): (() => void) => {
    const timer = { at: time + ms, run }
    timers.add(timer)
    return () => timers.delete(timer)
  }

  const scopeNamed = (name: string): Scope => {
    const controller = new AbortController()
    const { signal } = controller
    const disposals: (() => void | Promise<void>)[] = []
    const scope: Scope = {
      name,
      signal,
      loop(_, run) {
        const round = async (): Promise<void> => {
          if (!signal.aborted && !(await attempt(() => run(signal)))) later(100, round)
        }
        void round()
      },
      every(work, ms, run) {
        const cancel = later(ms, async () => {
          await attempt(run)
          if (!signal.aborted) scope.every(work, ms, run)
        })
        disposals.push(cancel)
      },
      after(_, ms, run) {
        const cancel = later(ms, async () => {
          await attempt(run)
        })
        disposals.push(cancel)
        return cancel
      },
      onClose(dispose) {
        disposals.push(dispose)
      },
      child(childName) {
        const child = scopeNamed(`${name}/${childName}`)
        disposals.push(() => child.close())
        return child
      },
      async close() {
        controller.abort()
        for (let dispose = disposals.pop(); dispose; dispose = disposals.pop()) await dispose()
      },
    }
    return scope
  }

  return {
    clock: { now: () => time, monotonic: () => time },
    scope: scopeNamed(name),
    errors,
    async advance(ms) {
      const end = time + ms
      await settlePromises()
      for (;;) {
        const [next] = [...timers].filter(({ at }) => at <= end).sort((a, b) => a.at - b.at)
        if (!next) break
        timers.delete(next)
        time = Math.max(time, next.at)
        void next.run()
        await settlePromises()
      }
      time = end
    },
  }
}

/** Lets everything run that waits for promises only. */
const settlePromises = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
