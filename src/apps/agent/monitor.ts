// SPDX-License-Identifier: Apache-2.0
import { maps as contract, MetricReason } from '../../../gen/contract.ts'
import { ruleNumbers } from '../../derive/policy/programs.ts'
import { contractCounters } from '../../edge/kernel/map.ts'
import type { LoadedObject } from '../../edge/kernel/object.ts'
import type { HealthScope } from '../../edge/runtime/scope.ts'
import type { LineSink } from '../../edge/sockets/answer.ts'
import type { EventCounter } from '../../flow/count.ts'
import { decodeEvent } from '../../flow/decode.ts'
import type { Database } from '../../table/database.ts'
import type { EventReader } from './events.ts'
import type { RequestLog } from './requests.ts'

/** Tells the datapath's events in words to whoever listens. */
export interface Monitor {
  readonly counter: EventCounter
  /** Follows from now on; the result ends it. */
  follow(sink: LineSink): () => void
  readonly followers: number
  /** Bytes that wait in the ring buffer and its size. */
  fill(): { readonly waiting: number; readonly size: number }
  /** Events that found the ring buffer full. */
  lost(): number
}

export function openMonitor(
  db: Database,
  maps: LoadedObject,
  scope: HealthScope,
  events: EventReader,
  requests?: RequestLog,
): Monitor {
  const sinks = new Set<LineSink>()
  let deaf: (() => void) | undefined

  const nameOf = (rule: number): string | undefined =>
    rule === 0 ? undefined : db.by(ruleNumbers, 'number', String(rule))[0]?.key

  const take = (view: DataView, offset: number, length: number) => {
    const event = decodeEvent(view, offset, length)
    if (!event) return
    const [egressBy, ingressBy] = [nameOf(event.egressRule), nameOf(event.ingressRule)]
    const staged = nameOf(event.egressStaged || event.ingressStaged)
    const names = { ...(egressBy ? { egressBy } : {}), ...(ingressBy ? { ingressBy } : {}) }
    const line = JSON.stringify({ ...event, ...names, ...(staged ? { stagedBy: staged } : {}) })
    for (const sink of sinks) sink.line(line)
  }
  scope.onClose(() => {
    for (const sink of sinks) sink.end()
  })

  return {
    counter: events.counter,
    follow(sink) {
      sinks.add(sink)
      deaf ??= requests?.listen((request) => {
        const line = JSON.stringify(request)
        for (const s of sinks) s.line(line)
      })
      events.listen(take)
      return () => {
        if (!sinks.delete(sink) || sinks.size > 0) return
        events.listen(undefined)
        deaf?.()
        deaf = undefined
      }
    },
    get followers() {
      return sinks.size
    },
    fill: events.fill,
    lost: () => eventsLost(maps.map('cilium_metrics')),
  }
}

function eventsLost(metrics: number): number {
  const counters = contractCounters(contract.cilium_metrics, metrics)
  let lost = 0
  for (let direction = 0; direction < 4; direction++)
    for (const c of counters.get((MetricReason.METRIC_EVENTS_LOST << 2) | direction) ?? []) lost += c.packets
  return lost
}
