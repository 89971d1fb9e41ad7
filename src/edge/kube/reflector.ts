// SPDX-License-Identifier: Apache-2.0
import type { Kube, Query } from './client.ts'
import { frameSplitter } from './frames.ts'
import { type KubeObject, pathOf, type Resource } from './resource.ts'
import { errorOf, isExpired, isNotFound } from './status.ts'

export type WatchEvent<T> = { readonly type: 'put' | 'remove'; readonly object: T }

/** What is told about one kind of object. Objects are as the server sent them, unless they are read before. */
export interface Listener<T> {
  /** The whole truth at one version: at the start, and after the server forgot our place. */
  replaced(objects: readonly T[]): void
  /** Changes since, in order; all of one network read together. */
  changed(events: readonly WatchEvent<T>[]): void
  /** `error` is absent when the stream is healthy again. */
  health?(error?: Error): void
}

export interface ReflectOptions {
  readonly resource: Resource
  readonly namespace?: string
  readonly fieldSelector?: string
  readonly labelSelector?: string
  /** Ask the watch itself for the initial objects (`sendInitialEvents`); falls back to a list where unsupported. */
  readonly streamList?: boolean
  readonly pageSize?: number
  /** A watch without any byte for so long is taken for dead. */
  readonly idleMs?: number
  /** First and longest wait after a failure. */
  readonly backoffMs?: readonly [first: number, longest: number]
  readonly random?: () => number
}

export interface Reads<T, Item> {
  /** What the listener is told of an object. Asked as objects come: nobody holds all of a long list as the server sent it. */
  readonly read?: (object: T) => Item
}

const WATCH_SECONDS = 300
/** Servers send a bookmark each minute; two may be missed. */
const IDLE_MS = 150_000
const HEALTHY_AFTER_MS = 5_000
/** A kind that is not known yet is about to be, at an installation, and nothing works before: it is waited for closely. */
const ABSENT_GROWTH = 1.3
const INITIAL_EVENTS_END = 'k8s.io/initial-events-end'

interface Frame<T> {
  readonly type: string
  readonly object: T
}

/**
 * Keeps the listener told of all objects of a kind until the signal aborts. Lists once; afterwards every interruption
 * resumes the watch at the last version seen, and only 410 Gone leads to another list.
 */
export async function reflect<T extends KubeObject = KubeObject, Item = T>(
  kube: Kube,
  options: ReflectOptions & Reads<T, Item>,
  listener: Listener<Item>,
  signal: AbortSignal,
): Promise<void> {
  const { read = (object: T) => object as unknown as Item } = options
  const random = options.random ?? Math.random
  const [firstWait, longestWait] = options.backoffMs ?? [200, 30_000]
  const selectors: Query = { fieldSelector: options.fieldSelector, labelSelector: options.labelSelector } as Query
  const path = pathOf(options.resource, options.namespace)
  let version = ''
  let synced = false
  let listFresh = false
  let streamList = options.streamList ?? false
  let wait = firstWait

  while (!signal.aborted) {
    const started = performance.now()
    try {
      if (!synced && !streamList) {
        version = await list()
        synced = true
      }
      await watch()
      wait = firstWait
      // A server that ends every watch at once must not be asked in a tight loop.
      if (performance.now() - started < 1000) await pause(firstWait * (0.5 + random()), signal)
    } catch (e) {
      if (signal.aborted) return
      const error = e instanceof Error ? e : new Error(String(e))
      if (isExpired(error)) {
        synced = false
        listFresh = true
      } else if (streamList && !synced && 'code' in error && (error.code === 422 || error.code === 400)) {
        streamList = false
        continue
      } else listener.health?.(error)
      if (performance.now() - started > HEALTHY_AFTER_MS) wait = firstWait
      const asked = 'retryAfterSeconds' in error ? Number(error.retryAfterSeconds) * 1000 : 0
      await pause(Math.max(asked, wait * (0.5 + random())), signal)
      wait = Math.min(longestWait, wait * (isNotFound(error) ? ABSENT_GROWTH : 2))
    }
  }

  async function list(): Promise<string> {
    // Version 0 is answered from the server's cache. After 410 that cache may be what was too old: then ask for the latest.
    const objects: Item[] = []
    let next = ''
    for (;;) {
      const page = await kube.list<T>(options.resource, options.namespace, {
        ...selectors,
        limit: options.pageSize ?? 500,
        ...(next ? { continue: next } : listFresh ? {} : { resourceVersion: '0' }),
      })
      for (const object of page.items) objects.push(read(object))
      next = page.continue
      if (next === '') {
        listFresh = false
        listener.replaced(objects)
        listener.health?.()
        return page.resourceVersion
      }
    }
  }

  async function watch(): Promise<void> {
    const initial: Item[] | undefined = synced ? undefined : []
    const ending = new AbortController()
    const stop = () => ending.abort()
    signal.addEventListener('abort', stop, { once: true })
    const idleMs = options.idleMs ?? IDLE_MS
    let idle: NodeJS.Timeout | undefined
    try {
      const response = await kube.stream(
        path,
        {
          ...selectors,
          watch: 1,
          allowWatchBookmarks: true,
          timeoutSeconds: Math.round(WATCH_SECONDS * (1 + random())),
          ...(initial
            ? { sendInitialEvents: true, resourceVersionMatch: 'NotOlderThan' }
            : { resourceVersion: version }),
        },
        ending.signal,
      )
      listener.health?.()
      idle = setTimeout(() => response.destroy(new Error(`${path}: the watch was silent for ${idleMs} ms`)), idleMs)
      const split = frameSplitter()
      for await (const chunk of response) {
        idle.refresh()
        take(split(chunk as Buffer) as Frame<T>[], initial)
      }
    } finally {
      clearTimeout(idle)
      signal.removeEventListener('abort', stop)
      ending.abort()
    }
  }

  function take(frames: readonly Frame<T>[], initial: Item[] | undefined): void {
    const events: WatchEvent<Item>[] = []
    let failure: Error | undefined
    for (const { type, object } of frames) {
      if (type === 'ERROR') {
        failure = errorOf(500, object, `watch ${path}`)
        break
      }
      if (typeof object?.metadata?.resourceVersion === 'string') version = object.metadata.resourceVersion
      if (type === 'BOOKMARK') {
        if (initial && !synced && object.metadata.annotations?.[INITIAL_EVENTS_END] === 'true') {
          synced = true
          listener.replaced(initial)
        }
      } else if (type === 'ADDED' || type === 'MODIFIED') {
        if (initial && !synced) initial.push(read(object))
        else events.push({ type: 'put', object: read(object) })
      } else if (type === 'DELETED') events.push({ type: 'remove', object: read(object) })
    }
    if (events.length > 0) listener.changed(events)
    if (failure) throw failure
  }
}

/** Resolves after the time or at once when the signal aborts. */
export function pause(ms: number, signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) return resolve()
    const done = () => {
      clearTimeout(timer)
      signal.removeEventListener('abort', done)
      resolve()
    }
    const timer = setTimeout(done, ms)
    signal.addEventListener('abort', done, { once: true })
  })
}
