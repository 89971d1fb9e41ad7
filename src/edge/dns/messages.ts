// SPDX-License-Identifier: Apache-2.0
import type { DnsListenerRow } from '../../model/proxy.ts'

/** Below the run directory of the agent. */
export const SOCKET = 'dns/agent.sock'
/** Where the agent keeps the proxy's sockets open, for the proxy that comes next. */
export const KEPT_SOCKET = 'dns/sockets.sock'

/** An answer that gives addresses to a name a pod was allowed to ask for. */
export interface Learnt {
  /** Address of the pod that asked, and of the server that answered. */
  readonly client: string
  readonly server: string
  /** Normal: lower case, without the root's dot. */
  readonly name: string
  readonly addresses: readonly { readonly address: string /** Seconds. */; readonly ttl: number }[]
}

interface Party {
  readonly address: string
  readonly port: number
}

/** A question or its answer. */
export interface DnsRecord {
  readonly kind: 'request' | 'response'
  readonly verdict: 'forwarded' | 'denied' | 'error'
  /** Name of the listener, and the rules that allowed the name; of a refused one none. */
  readonly listener: string
  readonly rules: readonly string[]
  readonly protocol: 'UDP' | 'TCP'
  /** The pod that asked, and whom. */
  readonly client: Party
  readonly server: Party
  readonly name: string
  /** As the wire has it: 1 is A. */
  readonly type: number
  /** Of a response, and of what we answered ourselves. */
  readonly rcode: number
  readonly addresses: readonly string[]
  readonly aliases: readonly string[]
  /** Seconds. */
  readonly ttl: number
  /** Milliseconds since the epoch; and between question and answer. */
  readonly time: number
  readonly latency: number
}

/** Numbers since the proxy started. */
export interface DnsCounts {
  readonly requests: number
  readonly refused: number
  readonly responses: number
  readonly failed: number
  /** Questions that found too many others under way. */
  readonly turnedAway: number
  /** Answers that were none to what was asked. */
  readonly notAsked: number
}

/** What the agent says. */
export type FromAgent =
  | {
      readonly kind: 'state'
      readonly revision: number
      readonly listeners: readonly DnsListenerRow[]
      readonly ipv4: boolean
      readonly ipv6: boolean
      /** Questions under way; 0: the proxy's own limit. */
      readonly limit: number
    }
  /** Whether records are of interest. */
  | { readonly kind: 'tell'; readonly records: boolean }
  /** The kernel knows the addresses, or never will. */
  | { readonly kind: 'done'; readonly id: number; readonly error?: string }
  /** Nothing that was confirmed before is to be relied on. */
  | { readonly kind: 'forget' }

/** What the proxy says. */
export type FromProxy =
  /** The state is in place but for these listeners. */
  | { readonly kind: 'has'; readonly revision: number; readonly problems: Readonly<Record<string, string>> }
  | { readonly kind: 'learn'; readonly id: number; readonly answer: Learnt }
  | { readonly kind: 'records'; readonly records: readonly DnsRecord[] }
  | { readonly kind: 'counts'; readonly counts: DnsCounts }

/** What goes with sockets, there and back. */
export type KeptMessage =
  /** A listener's: of each family one for UDP and one for TCP. */
  | { readonly kind: 'listener'; readonly port: number; readonly families: string }
  | { readonly kind: 'closed'; readonly port: number }
  /** A client's connection to a listener, with no question under way; `rest` is what was read of the next one, base64. */
  | { readonly kind: 'client'; readonly port: number; readonly rest: string }
  /** The proxy goes and wants no more of them. */
  | { readonly kind: 'leaving' }
  /** Whatever was kept has been said. */
  | { readonly kind: 'all' }

const longestLine = 16 << 20

/** Takes text as it comes and returns the lines that are whole, parsed. Throws on what is no JSON, and without end. */
export function lineReader<T>(): (chunk: string) => readonly T[] {
  let rest = ''
  return (chunk) => {
    const parts = (rest + chunk).split('\n')
    rest = parts.pop() as string
    if (rest.length > longestLine) throw new Error('a line without end')
    return parts.filter((p) => p !== '').map((p) => JSON.parse(p) as T)
  }
}
