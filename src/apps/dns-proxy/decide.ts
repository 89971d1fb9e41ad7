// SPDX-License-Identifier: Apache-2.0
import { matchesName, normalName } from '../../model/names.ts'
import type { DnsListenerRow } from '../../model/proxy.ts'
import { type Message, OPCODE_QUERY, rcode, readMessage, recordType } from '../../protocol/dns/message.ts'
import { answerWithout, formatError } from '../../protocol/dns/refusal.ts'

export type Decision =
  /** Nothing that deserves an answer. */
  | { readonly kind: 'ignore' }
  /** Answered here; refused by policy if `refused`. */
  | { readonly kind: 'answer'; readonly bytes: Uint8Array; readonly message?: Message; readonly refused: boolean }
  | { readonly kind: 'ask'; readonly message: Message; readonly name: string; readonly rules: readonly string[] }

/** What becomes of a question on a listener. */
export function decide(bytes: Uint8Array, listener: DnsListenerRow): Decision {
  const read = readMessage(bytes)
  if (!read.ok) {
    const error = formatError(bytes)
    return error ? { kind: 'answer', bytes: error, refused: false } : { kind: 'ignore' }
  }
  const message = read.value
  const { header, question } = message
  if (header.response) return { kind: 'ignore' }
  const answer = (code: number, refused = false): Decision => ({
    kind: 'answer',
    bytes: answerWithout(bytes, message, code),
    message,
    refused,
  })
  // Updates and notifications are no questions: no rule speaks of them.
  if (header.opcode !== OPCODE_QUERY) return answer(rcode.NOTIMP)
  if (header.answers > 0 || header.authorities > 0) return answer(rcode.FORMERR)
  if (question.type === recordType.AXFR || question.type === recordType.IXFR) return answer(rcode.REFUSED, true)
  const name = normalName(question.name)
  const rules = listener.rules.filter((r) => r.dns.some((d) => matchesName(d, name))).map((r) => r.rule)
  if (rules.length === 0) return answer(listener.refuse === 'nameError' ? rcode.NXDOMAIN : rcode.REFUSED, true)
  return { kind: 'ask', message, name, rules }
}

/** SERVFAIL for a question. */
export const failure = (bytes: Uint8Array, message: Message): Uint8Array =>
  answerWithout(bytes, message, rcode.SERVFAIL)
