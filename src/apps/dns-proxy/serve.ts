// SPDX-License-Identifier: Apache-2.0
import { type Address, printAddress } from '../../base/ip.ts'
import type { DnsCounts, DnsRecord } from '../../edge/dns/messages.ts'
import type { Place } from '../../edge/kernel/messages.ts'
import { type DnsListenerRow, proxyRole } from '../../model/proxy.ts'
import { resolved } from '../../protocol/dns/answer.ts'
import type { Message } from '../../protocol/dns/message.ts'
import type { Outcome } from './ask.ts'
import { decide, failure } from './decide.ts'
import type { Release } from './release.ts'

/** How many questions may be under way: in all, and of one pod. */
export interface Limits {
  readonly all: number
  readonly pod: number
}

/** A question as it came. */
export interface Asking {
  readonly listener: DnsListenerRow
  readonly protocol: 'UDP' | 'TCP'
  readonly client: Place
  readonly server: Place
  readonly query: Uint8Array
  /** Asks the server. */
  ask(query: Uint8Array, message: Message): Promise<Outcome>
}

export interface Service {
  /** The answer; undefined where none is due. */
  answer(asking: Asking): Promise<Uint8Array | undefined> | Uint8Array | undefined
  readonly counts: DnsCounts
  /** Questions under way. */
  readonly underWay: number
}

/** Mark of sockets to servers that stand for a listener's rules; of sockets to clients. */
export const upMark = (port: number): number => port * 65536 + proxyRole.upstreamEgress
export const downMark = (port: number): number => port * 65536 + proxyRole.downstreamEgress

/** From question to answer. `record` is called while somebody listens. */
export function openService(
  release: Release,
  limits: Limits,
  notAsked: () => number,
  record: { readonly wanted: boolean; take(record: DnsRecord): void },
): Service {
  const counts = { requests: 0, refused: 0, responses: 0, failed: 0, turnedAway: 0 }
  const ofPod = new Map<string, number>()
  let underWay = 0

  function tell(
    asking: Asking,
    message: Message,
    kind: DnsRecord['kind'],
    more: Partial<DnsRecord> & Pick<DnsRecord, 'verdict'>,
    started: number,
  ): void {
    record.take({
      kind,
      listener: asking.listener.name,
      rules: [],
      protocol: asking.protocol,
      client: party(asking.client),
      server: party(asking.server),
      name: message.question.name,
      type: message.question.type,
      rcode: 0,
      addresses: [],
      aliases: [],
      ttl: 0,
      time: Date.now(),
      latency: Math.round((performance.now() - started) * 1000) / 1000,
      ...more,
    })
  }

  async function forward(
    asking: Asking,
    message: Message,
    name: string,
    rules: readonly string[],
    pod: string,
  ): Promise<Uint8Array | undefined> {
    const started = performance.now()
    underWay++
    ofPod.set(pod, (ofPod.get(pod) ?? 0) + 1)
    try {
      if (record.wanted) tell(asking, message, 'request', { verdict: 'forwarded', rules }, started)
      const outcome = await asking.ask(asking.query, message)
      if (typeof outcome === 'string') {
        counts.failed++
        if (record.wanted) tell(asking, message, 'response', { verdict: 'error', rules, rcode: 2 }, started)
        return outcome === 'refused' ? failure(asking.query, message) : undefined
      }
      const found = outcome.message && resolved(outcome.message, message.question)
      if (found && found.addresses.length > 0) {
        const ttl = found.ttl
        const addresses = found.addresses.map((a) => ({ address: printAddress(a), ttl }))
        const wait = release.learn({ client: pod, server: printAddress(asking.server.address), name, addresses })
        if (wait)
          try {
            await wait
          } catch {
            counts.failed++
            if (record.wanted) tell(asking, message, 'response', { verdict: 'error', rules, rcode: 2 }, started)
            return failure(asking.query, message)
          }
      }
      counts.responses++
      if (record.wanted)
        tell(
          asking,
          message,
          'response',
          {
            verdict: 'forwarded',
            rules,
            rcode: outcome.message?.rcode ?? (outcome.bytes[3] as number) & 15,
            addresses: found?.addresses.map(printAddress) ?? [],
            aliases: found?.aliases ?? [],
            ttl: found?.ttl ?? 0,
          },
          started,
        )
      return outcome.bytes
    } finally {
      underWay--
      const left = (ofPod.get(pod) ?? 1) - 1
      if (left > 0) ofPod.set(pod, left)
      else ofPod.delete(pod)
    }
  }

  return {
    answer(asking) {
      const decided = decide(asking.query, asking.listener)
      if (decided.kind === 'ignore') return undefined
      counts.requests++
      if (decided.kind === 'answer') {
        if (decided.refused) counts.refused++
        if (decided.message && record.wanted)
          tell(
            asking,
            decided.message,
            'request',
            { verdict: decided.refused ? 'denied' : 'error', rcode: (decided.bytes[3] as number) & 15 },
            performance.now(),
          )
        return decided.bytes
      }
      const pod = printAddress(asking.client.address)
      if (underWay >= limits.all || (ofPod.get(pod) ?? 0) >= limits.pod) {
        counts.turnedAway++
        return failure(asking.query, decided.message)
      }
      return forward(asking, decided.message, decided.name, decided.rules, pod)
    },
    get counts() {
      return { ...counts, notAsked: notAsked() }
    },
    get underWay() {
      return underWay
    },
  }
}

const party = ({ address, port }: { readonly address: Address; readonly port: number }) => ({
  address: printAddress(address),
  port,
})
