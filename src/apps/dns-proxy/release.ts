// SPDX-License-Identifier: Apache-2.0
import type { FromProxy, Learnt } from '../../edge/dns/messages.ts'

/** Holds answers until the kernel knows their addresses. */
export interface Release {
  /** Undefined: it knows them. Else resolves when it does, and rejects when it never will, or in a reasonable time. */
  learn(answer: Learnt): Promise<void> | undefined
  done(id: number, error: string | undefined): void
  /** The agent is there anew: what waits is told to it again, and what is known with the next question. */
  again(): void
  forget(): void
  /** Answers that wait. */
  readonly waiting: number
}

/** Longest wait for the agent, ms: resolvers have asked three times by then. */
const AGENT_MS = 15_000
/** What was confirmed is asked again after this at the latest, s. */
const MOST_SECONDS = 60
const MOST_CONFIRMED = 65_536
/** What is asked for all the time is told to the agent so often, ms; it forgets nothing within a minute of its time. */
const TELL_MS = 5_000

interface Waiting {
  readonly answer: Learnt
  readonly timer: NodeJS.Timeout
  finish(error: string | undefined): void
}

export function openRelease(
  send: (message: FromProxy) => boolean,
  now: () => number = () => performance.now(),
): Release {
  /** By client, name and address, ms. */
  const confirmed = new Map<string, { readonly until: number; told: number }>()
  const waiting = new Map<number, Waiting>()
  let next = 1
  let forgotten = Number.NEGATIVE_INFINITY
  const keys = (answer: Learnt) => answer.addresses.map((a) => `${answer.client} ${answer.name} ${a.address}`)

  function confirm(answer: Learnt, since: number): void {
    for (const [i, key] of keys(answer).entries()) {
      const seconds = Math.min(answer.addresses[i]?.ttl ?? 0, MOST_SECONDS)
      confirmed.delete(key)
      if (seconds > 0) confirmed.set(key, { until: since + seconds * 1000, told: since })
    }
    for (const key of confirmed.keys()) {
      if (confirmed.size <= MOST_CONFIRMED) break
      confirmed.delete(key)
    }
  }

  function put(id: number, answer: Learnt, at: number, settle: (error: string | undefined) => void): void {
    const finish = (error: string | undefined) => {
      clearTimeout(timer)
      waiting.delete(id)
      // What was forgotten meanwhile has to be told anew.
      if (error === undefined && at > forgotten) confirm(answer, at)
      else for (const key of keys(answer)) confirmed.delete(key)
      settle(error)
    }
    const timer = setTimeout(() => {
      waiting.delete(id)
      settle('the agent has not answered')
    }, AGENT_MS)
    waiting.set(id, { answer, timer, finish })
  }

  return {
    learn(answer) {
      const at = now()
      const known = keys(answer).map((key) => confirmed.get(key))
      const ready = known.every((k) => k !== undefined && k.until > at)
      if (ready && known.every((k) => k !== undefined && at - k.told < TELL_MS)) return undefined
      const id = next++
      // The time of the names begins anew, also of those that are known.
      const told = send({ kind: 'learn', id, answer })
      if (ready) {
        for (const k of known) if (k && told) k.told = at
        if (told) put(id, answer, at, () => {})
        return undefined
      }
      return new Promise((resolve, reject) =>
        put(id, answer, at, (error) => (error === undefined ? resolve() : reject(new Error(error)))),
      )
    },
    done: (id, error) => waiting.get(id)?.finish(error),
    again() {
      for (const known of confirmed.values()) known.told = Number.NEGATIVE_INFINITY
      for (const [id, { answer }] of waiting) send({ kind: 'learn', id, answer })
    },
    forget() {
      forgotten = now()
      confirmed.clear()
    },
    get waiting() {
      return waiting.size
    },
  }
}
