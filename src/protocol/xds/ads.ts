// SPDX-License-Identifier: Apache-2.0
import { decode } from './decode.ts'
import { encode, type Json } from './encode.ts'

/** One resource as Envoy shall have it. `version` is of its content: equal contents have equal versions. */
export interface Resource {
  /** Full name of the message: `envoy.config.listener.v3.Listener`. */
  readonly type: string
  readonly name: string
  readonly version: string
  /** With its `@type`. */
  readonly body: Json
}

/** What Envoy said of a version of a resource; `error` when it refused it and kept what it had. */
export interface Settled {
  readonly type: string
  readonly name: string
  /** undefined: its removal. */
  readonly version: string | undefined
  readonly error?: string
}

export interface Step {
  /** Messages to send, in order. */
  readonly send: readonly Uint8Array[]
  readonly settled: readonly Settled[]
}

/**
 * The server's side of one stream of delta ADS: which resources are wanted, what Envoy has said it has, what is under
 * way. It sends to Envoy what differs, once Envoy has asked for the type; it knows no sockets and no time.
 */
export interface AdsStream {
  put(resources: readonly Resource[]): Step
  remove(type: string, names: readonly string[]): Step
  /** A DeltaDiscoveryRequest. Throws a DecodeError. */
  receive(bytes: Uint8Array): Step
  /** Whether Envoy has asked for the type, so that an answer can be expected. */
  listens(type: string): boolean
  /** Names and versions Envoy has of a type: what it brought along and what it has acknowledged since. */
  held(type: string): ReadonlyMap<string, string>
}

const REQUEST = 'envoy.service.discovery.v3.DeltaDiscoveryRequest'
const RESPONSE = 'envoy.service.discovery.v3.DeltaDiscoveryResponse'
const ROUTES = 'envoy.config.route.v3.RouteConfiguration'
const PREFIX = 'type.googleapis.com/'

interface Lane {
  /** Names asked for; '*' is all. */
  readonly asked: Set<string>
  /** Versions that are in Envoy, or on their way there. */
  readonly sent: Map<string, string>
  readonly held: Map<string, string>
  readonly flying: Map<string, readonly (readonly [name: string, version: string | undefined])[]>
}

export function openAdsStream(wanted: Map<string, Map<string, Resource>> = new Map()): AdsStream {
  const lanes = new Map<string, Lane>()
  let nonces = 0

  const wantedOf = (type: string): Map<string, Resource> => {
    const there = wanted.get(type)
    if (there) return there
    const made = new Map<string, Resource>()
    wanted.set(type, made)
    return made
  }

  /**
   * Everything of the type that differs from what Envoy has. `again`: names it has asked for once more. Its first question
   * is answered even if there is nothing to say: it waits for that.
   */
  function differences(
    type: string,
    lane: Lane,
    again: ReadonlySet<string> = new Set(),
    first = false,
  ): readonly Uint8Array[] {
    const all = lane.asked.has('*')
    const rows = [...wantedOf(type).values()].filter(
      (r) => (all || lane.asked.has(r.name)) && (lane.sent.get(r.name) !== r.version || again.has(r.name)),
    )
    const gone = [...lane.sent.keys()].filter((name) => !wantedOf(type).has(name))
    // A name that is asked for and does not exist: Envoy shall not wait for it.
    const missing = [...again].filter((name) => name !== '*' && !wantedOf(type).has(name) && !gone.includes(name))
    if (rows.length === 0 && gone.length === 0 && missing.length === 0 && !first) return []
    for (const r of rows) lane.sent.set(r.name, r.version)
    for (const name of gone) lane.sent.delete(name)
    const message = (resources: readonly Resource[], removed: readonly string[]): Uint8Array => {
      const nonce = String(++nonces)
      lane.flying.set(nonce, [
        ...resources.map((r) => [r.name, r.version] as const),
        ...removed.map((name) => [name, undefined] as const),
      ])
      return encode(RESPONSE, {
        type_url: PREFIX + type,
        nonce,
        resources: resources.map((r) => ({ name: r.name, version: r.version, resource: r.body })),
        removed_resources: removed,
      })
    }
    const removed = [...gone, ...missing]
    // Routes come one by one: Envoy does not say which of several it refuses.
    if (type !== ROUTES) return [message(rows, removed)]
    return [
      ...rows.map((r) => message([r], [])),
      ...(removed.length > 0 || rows.length === 0 ? [message([], removed)] : []),
    ]
  }

  const step = (type: string): Step => {
    const lane = lanes.get(type)
    return { send: lane ? differences(type, lane) : [], settled: [] }
  }

  return {
    put(resources) {
      const types = new Set<string>()
      for (const r of resources) {
        wantedOf(r.type).set(r.name, r)
        types.add(r.type)
      }
      return { send: [...types].flatMap((type) => step(type).send), settled: [] }
    },
    remove(type, names) {
      for (const name of names) wantedOf(type).delete(name)
      return step(type)
    },
    receive(bytes) {
      const request = decode(REQUEST, bytes)
      const type = String(request['type_url'] ?? '').replace(/^.*\//, '')
      let lane = lanes.get(type)
      const first = !lane
      if (!lane) {
        lane = { asked: new Set(), sent: new Map(), held: new Map(), flying: new Map() }
        lanes.set(type, lane)
        for (const [name, version] of Object.entries((request['initial_resource_versions'] ?? {}) as Json)) {
          lane.sent.set(name, String(version))
          lane.held.set(name, String(version))
        }
      }
      const subscribed = (request['resource_names_subscribe'] ?? []) as readonly string[]
      for (const name of subscribed) lane.asked.add(name)
      for (const name of (request['resource_names_unsubscribe'] ?? []) as readonly string[]) {
        lane.asked.delete(name)
        lane.sent.delete(name)
        lane.held.delete(name)
      }
      // The first request of a type without names asks for all there are.
      if (first && subscribed.length === 0) lane.asked.add('*')
      const settled = settle(type, lane, request)
      return { send: differences(type, lane, first ? new Set() : new Set(subscribed), first), settled }
    },
    listens: (type) => lanes.has(type),
    held: (type) => lanes.get(type)?.held ?? new Map(),
  }

  function settle(type: string, lane: Lane, request: Json): readonly Settled[] {
    const nonce = String(request['response_nonce'] ?? '')
    const flying = lane.flying.get(nonce)
    if (!flying) return []
    lane.flying.delete(nonce)
    const detail = request['error_detail'] as Json | undefined
    const error = detail ? String(detail['message'] || 'refused') : undefined
    // Envoy takes what is good of a message it refuses, and names what is not.
    const named = error === undefined ? [] : flying.filter(([name]) => error.includes(name))
    const refused = new Set((named.length > 0 ? named : error === undefined ? [] : flying).map(([name]) => name))
    return flying.map(([name, version]) => {
      if (error !== undefined && refused.has(name)) return { type, name, version, error }
      if (version === undefined) lane.held.delete(name)
      else lane.held.set(name, version)
      return { type, name, version }
    })
  }
}
