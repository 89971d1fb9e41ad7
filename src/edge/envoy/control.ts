// SPDX-License-Identifier: Apache-2.0
import { createHash } from 'node:crypto'
import type { EnvoyResource, EnvoyRow } from '../../model/proxy.ts'
import { type AdsStream, openAdsStream, type Resource, type Settled, type Step } from '../../protocol/xds/ads.ts'
import { resourceBytes } from '../../protocol/xds/encode.ts'
import type { Outcome, Target } from '../../table/target.ts'
import { type AccessSink, accessReceiver } from './access.ts'
import { type Call, type Receiver, serveGrpc } from './grpc.ts'

/** The agent's side of Envoy: what it shall have, what it says it has, and what it tells of requests. */
export interface EnvoyControl {
  /** Envoys that have asked for listeners: two while one takes over from another. */
  readonly connected: number
  /** Why Envoy does not have a row; '' when it has, undefined when it has not answered yet. */
  problem(key: string): string | undefined
  /** Rows of `table` as resources; a row is done when Envoy has acknowledged all of it. */
  target(name: string, key: (row: EnvoyRow) => string): Target<EnvoyRow>
  /** Gives Envoy a resource of which nobody asks whether it has it. */
  give(resource: EnvoyResource): void
  /** Resolves once Envoy has answered for the rows, or nobody should wait any longer: it is slow, or there is none. */
  tried(keys: readonly string[]): Promise<void>
  /** Begins to answer Envoy. Whatever it has that is not wanted by then, it loses. */
  serve(): Promise<void>
  /** Called when an Envoy comes, or goes. */
  onChange(listener: () => void): void
  close(): Promise<void>
}

export interface EnvoyOptions {
  /** Of the socket that Envoy connects to. */
  readonly path: string
  readonly access: AccessSink
  /** What to say while there is no Envoy. */
  readonly absent: string
  /** Longest wait for an answer, and for that of `tried`, ms. */
  readonly answerMs?: number
  readonly tryMs?: number
}

const LISTENER = 'envoy.config.listener.v3.Listener'
const ADS = '/envoy.service.discovery.v3.AggregatedDiscoveryService/DeltaAggregatedResources'
const ACCESS = '/envoy.service.accesslog.v3.AccessLogService/StreamAccessLogs'

interface Stream {
  readonly ads: AdsStream
  readonly call: Call
}

export function openEnvoy(options: EnvoyOptions): EnvoyControl {
  const { answerMs = 5_000, tryMs = 1_000 } = options
  /** Shared by all streams: what is wanted. */
  const wanted = new Map<string, Map<string, Resource>>()
  const streams: Stream[] = []
  const rows = new Map<string, readonly Resource[]>()
  /** By type, name and version. */
  const refused = new Map<string, string>()
  const waiting = new Set<() => boolean>()
  const listeners: (() => void)[] = []
  const id = (type: string, name: string, version: string | undefined) => `${type} ${name} ${version ?? ''}`

  function take({ send, settled }: Step, stream: Stream): void {
    for (const message of send) stream.call.send(message)
    for (const s of settled) noteRefusal(s)
    if (settled.length > 0) look()
  }
  const noteRefusal = (s: Settled) => {
    const key = id(s.type, s.name, s.version)
    if (s.error === undefined) refused.delete(key)
    else refused.set(key, s.error)
  }
  const look = () => {
    for (const done of [...waiting]) if (done()) waiting.delete(done)
  }

  function serveAds(call: Call): Receiver {
    const stream: Stream = { ads: openAdsStream(wanted), call }
    let known = false
    return {
      message(bytes) {
        if (!streams.includes(stream)) streams.push(stream)
        take(stream.ads.receive(bytes), stream)
        if (!known && stream.ads.listens(LISTENER)) {
          known = true
          for (const listener of listeners) listener()
        }
      },
      ended() {
        const at = streams.indexOf(stream)
        if (at >= 0) streams.splice(at, 1)
        look()
        for (const listener of listeners) listener()
      },
    }
  }

  /** The Envoy that counts: the youngest that has asked for listeners. */
  const present = (): Stream | undefined => streams.findLast((s) => s.ads.listens(LISTENER))

  /** '' when Envoy has them all, undefined when it may still answer. */
  function stateOf(resources: readonly Resource[]): string | undefined {
    const stream = present()
    if (!stream) return options.absent
    let all = true
    for (const r of resources) {
      const error = refused.get(id(r.type, r.name, r.version))
      if (error !== undefined) return error
      if (stream.ads.held(r.type).get(r.name) !== r.version) all = false
    }
    return all ? '' : undefined
  }

  const settledState = (resources: readonly Resource[]): Promise<string> =>
    new Promise((resolve) => {
      const timer = setTimeout(() => {
        waiting.delete(done)
        resolve(`Envoy has not answered within ${answerMs / 1000} s`)
      }, answerMs)
      const done = (): boolean => {
        const state = stateOf(resources)
        if (state === undefined) return false
        clearTimeout(timer)
        resolve(state)
        return true
      }
      if (!done()) waiting.add(done)
    })

  function put(resources: readonly Resource[]): void {
    for (const r of resources) {
      const there = wanted.get(r.type) ?? new Map<string, Resource>()
      there.set(r.name, r)
      wanted.set(r.type, there)
    }
    for (const stream of streams) take(stream.ads.put(resources), stream)
  }

  function drop(resources: readonly { readonly type: string; readonly name: string }[]): void {
    for (const { type, name } of resources) {
      wanted.get(type)?.delete(name)
      for (const stream of streams) take(stream.ads.remove(type, [name]), stream)
    }
  }

  const outcome = (state: string): Outcome => (state === '' ? { ok: true } : { ok: false, error: state })

  let close: (() => Promise<void>) | undefined
  let closed = false
  /** Until then an Envoy that has been there before may come back. */
  let hopeUntil = performance.now() + 3 * tryMs

  return {
    get connected() {
      return streams.filter((s) => s.ads.listens(LISTENER)).length
    },
    problem(key) {
      const resources = rows.get(key)
      return resources === undefined ? undefined : stateOf(resources)
    },
    target: (name, key) => ({
      name,
      key,
      // What Envoy has is known when it connects; equal versions are then not sent again.
      load: () => [],
      equal: () => false,
      async write(written) {
        const made = written.map((row) => row.resources.map(versioned))
        for (const [i, row] of written.entries()) {
          const now = made[i] as Resource[]
          const before = rows.get(key(row)) ?? []
          drop(before.filter((b) => !now.some((r) => r.type === b.type && r.name === b.name)))
          rows.set(key(row), now)
        }
        put(made.flat())
        const states = await Promise.all(made.map(settledState))
        return states.map((state, i) => outcome(state || (written[i]?.missing ?? '')))
      },
      remove(removed) {
        for (const row of removed) {
          rows.delete(key(row))
          drop(row.resources)
        }
        return removed.map(() => ({ ok: true }))
      },
    }),
    give: (resource) => put([versioned(resource)]),
    tried: (keys) =>
      new Promise((resolve) => {
        const known = () => {
          if (present()) return keys.every((key) => rows.has(key) && stateOf(rows.get(key) ?? []) !== undefined)
          return performance.now() > hopeUntil
        }
        if (known()) return resolve()
        const timer = setTimeout(() => {
          waiting.delete(done)
          resolve()
        }, tryMs)
        const done = () => {
          if (!known()) return false
          clearTimeout(timer)
          resolve()
          return true
        }
        waiting.add(done)
      }),
    async serve() {
      hopeUntil = performance.now() + 3 * tryMs
      close = await serveGrpc(options.path, {
        [ADS]: serveAds,
        [ACCESS]: () => accessReceiver(options.access),
      })
      if (closed) await close()
    },
    onChange: (listener) => void listeners.push(listener),
    async close() {
      closed = true
      await close?.()
    },
  }
}

const versioned = ({ type, name, body }: EnvoyResource): Resource => ({
  type,
  name,
  body,
  version: createHash('sha256').update(resourceBytes(body)).digest('base64url').slice(0, 16),
})
