// SPDX-License-Identifier: Apache-2.0
import { maps as contract, MetricReason } from '../../../gen/contract.ts'
import { ruleNumbers } from '../../derive/policy/programs.ts'
import { contractCounters } from '../../edge/kernel/map.ts'
import type { LoadedObject } from '../../edge/kernel/object.ts'
import { openRingBuffer } from '../../edge/kernel/ringbuf.ts'
import type { HealthScope } from '../../edge/runtime/scope.ts'
import type { LineSink } from '../../edge/sockets/answer.ts'
import { type EventCounter, eventCounter } from '../../flow/count.ts'
import { decodeEvent } from '../../flow/decode.ts'
import type { Database } from '../../table/database.ts'
import type { RequestLog } from './requests.ts'

/** Reads the datapath's events: counts every one, and tells them in words to whoever listens. */
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

/** Between two looks, ms: short while somebody watches or much happens, long when all is quiet. */
const QUICK = 20
const SLOW = 200
/** Records of one look, so that other work is not kept waiting. */
const AT_ONCE = 50_000

export function openMonitor(db: Database, maps: LoadedObject, scope: HealthScope, requests?: RequestLog): Monitor {
  const ring = openRingBuffer(maps.map('cilium_events'))
  const counter = eventCounter()
  const sinks = new Set<LineSink>()
  let timer: NodeJS.Timeout | undefined
  let deaf: (() => void) | undefined

  const nameOf = (rule: number): string | undefined =>
    rule === 0 ? undefined : db.by(ruleNumbers, 'number', String(rule))[0]?.key

  const take = (view: DataView, offset: number, length: number) => {
    counter.count(view, offset, length)
    if (sinks.size === 0) return
    const event = decodeEvent(view, offset, length)
    if (!event) return
    const [egressBy, ingressBy] = [nameOf(event.egressRule), nameOf(event.ingressRule)]
    const staged = nameOf(event.egressStaged || event.ingressStaged)
    const names = { ...(egressBy ? { egressBy } : {}), ...(ingressBy ? { ingressBy } : {}) }
    const line = JSON.stringify({ ...event, ...names, ...(staged ? { stagedBy: staged } : {}) })
    for (const sink of sinks) sink.line(line)
  }
  const look = () => {
    const { waiting, size } = ring.fill()
    const count = waiting === 0 ? 0 : ring.drain(take, AT_ONCE)
    const hurry = sinks.size > 0 || waiting > size / 16
    timer = setTimeout(look, count === AT_ONCE ? 0 : hurry ? QUICK : SLOW)
  }
  look()
  scope.onClose(() => {
    clearTimeout(timer)
    for (const sink of sinks) sink.end()
    ring.close()
  })

  return {
    counter,
    follow(sink) {
      sinks.add(sink)
      deaf ??= requests?.listen((request) => {
        const line = JSON.stringify(request)
        for (const s of sinks) s.line(line)
      })
      clearTimeout(timer)
      look()
      return () => {
        sinks.delete(sink)
        if (sinks.size > 0) return
        deaf?.()
        deaf = undefined
      }
    },
    get followers() {
      return sinks.size
    },
    fill: () => ring.fill(),
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
