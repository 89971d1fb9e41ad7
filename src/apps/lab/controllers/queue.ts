// SPDX-License-Identifier: Apache-2.0
import type { KubeObject } from '../../../protocol/kubeapi/object.ts'
import type { Store } from '../api/store.ts'

/**
 * A controller looks at kinds of objects, names the keys of work that a change asks for, and brings one key in line at
 * a time. `sync` reads everything it needs from the store, so it may run at any time and any number of times.
 */
export interface Controller {
  readonly name: string
  readonly watches: readonly Watch[]
  /** Throws to be tried again with back-off; returns the milliseconds after which to look again, if time matters. */
  sync(key: string): number | undefined
  /** For a controller that finds its work by other ways too: called once with the queue's entry; returns the end. */
  feed?(add: (key: string) => void): () => void
}

export interface Watch {
  readonly resource: string
  /** Asked for the object before and after a change. */
  keys(object: KubeObject): readonly string[]
}

/** Controllers at work. */
export interface Controllers {
  /** Resolves when no work is waiting; timers do not count. */
  idle(): Promise<void>
  close(): void
}

export type Report = (controller: string, key: string, error: unknown) => void

const firstRetry = 20
const lastRetry = 30_000
/** Work is done in slices of this many milliseconds, so that requests are answered in between. */
const slice = 10

/** `namespace/name` of an object. */
export const keyOf = (object: KubeObject): string => `${object.metadata.namespace ?? ''}/${object.metadata.name ?? ''}`

/** The two parts of a key. */
export const splitKey = (key: string): readonly [namespace: string, name: string] => {
  const at = key.indexOf('/')
  return [key.slice(0, at), key.slice(at + 1)]
}

/** Starts all controllers on one store; every event of a turn is told before any work of it is done. */
export const runControllers = (store: Store, controllers: readonly Controller[], report: Report): Controllers => {
  const waiting = new Map<Controller, Map<string, number>>()
  const timers = new Map<string, NodeJS.Timeout>()
  const stops: (() => void)[] = []
  const idlers: (() => void)[] = []
  let scheduled: NodeJS.Immediate | undefined
  let started = 0
  let closed = false

  const add = (controller: Controller, key: string, failures = 0) => {
    if (closed) return
    const keys = waiting.get(controller)
    if (keys && !keys.has(key)) keys.set(key, failures)
    scheduled ??= setImmediate(work)
  }

  const later = (controller: Controller, key: string, ms: number, failures: number) => {
    const id = `${controller.name} ${key}`
    clearTimeout(timers.get(id))
    timers.set(
      id,
      setTimeout(() => {
        timers.delete(id)
        add(controller, key, failures)
      }, ms),
    )
  }

  const work = () => {
    scheduled = undefined
    if (closed) return
    const until = performance.now() + slice
    let worked = false
    for (const [controller, keys] of waiting) {
      for (const [key, failures] of keys) {
        keys.delete(key)
        worked = true
        try {
          const again = controller.sync(key)
          if (again !== undefined) later(controller, key, again, 0)
        } catch (error) {
          report(controller.name, key, error)
          later(controller, key, Math.min(lastRetry, firstRetry * 2 ** failures), failures + 1)
        }
        if (performance.now() > until) {
          scheduled ??= setImmediate(work)
          return
        }
      }
    }
    // What this turn wrote is told before the next one, so only a turn without work proves that all is quiet.
    if (idlers.length === 0 || scheduled) return
    if (worked || started > 0) scheduled = setImmediate(work)
    else for (const resolve of idlers.splice(0)) resolve()
  }

  for (const controller of controllers) {
    waiting.set(controller, new Map())
    if (controller.feed) stops.push(controller.feed((key) => add(controller, key)))
    for (const watch of controller.watches) {
      const last = new Map<string, readonly string[]>()
      started++
      const stop = store.watch(watch.resource, {}, (event) => {
        if (event.type === 'BOOKMARK') {
          started--
          scheduled ??= setImmediate(work)
          return
        }
        const at = keyOf(event.object)
        const [before, after] = [last.get(at) ?? [], watch.keys(event.object)]
        if (event.type === 'DELETED') last.delete(at)
        else last.set(at, after)
        for (const key of after) add(controller, key)
        for (const key of before) if (!after.includes(key)) add(controller, key)
      })
      stops.push(stop)
    }
  }

  return {
    idle: () =>
      new Promise((resolve) => {
        idlers.push(resolve)
        scheduled ??= setImmediate(work)
      }),
    close: () => {
      closed = true
      for (const stop of stops) stop()
      for (const timer of timers.values()) clearTimeout(timer)
      if (scheduled) clearImmediate(scheduled)
    },
  }
}
