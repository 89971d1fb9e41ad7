// SPDX-License-Identifier: Apache-2.0
import { type Address, isIpv4 } from '../../base/ip.ts'
import { CLASS_IN, type Message, type Question, rcode, recordType } from './message.ts'
import { sameName } from './name.ts'

/** What an answer says about the name that was asked for. */
export interface Resolved {
  readonly addresses: readonly Address[]
  /** Names on the way from the question to the addresses, in order, without the question's own. */
  readonly aliases: readonly string[]
  /** The shortest of all records on the way, seconds. */
  readonly ttl: number
}

/** Does the message answer this very question? Its id and where it came from are the asker's to compare. */
export const answers = (message: Message, question: Question): boolean =>
  message.header.response &&
  message.header.opcode === 0 &&
  message.question.type === question.type &&
  message.question.class === question.class &&
  sameName(message.question.name, question.name)

/**
 * The addresses of the question's name: of records of the type that was asked for whose owner is that name, or an alias
 * that leads from it. Whatever else the answer tells was not asked. What is there of a truncated answer counts: there are
 * clients that are content with it.
 */
export function resolved(message: Message, question: Question): Resolved {
  const nothing: Resolved = { addresses: [], aliases: [], ttl: 0 }
  if (message.rcode !== rcode.NOERROR || question.class !== CLASS_IN) return nothing
  const wantsIpv4 = question.type === recordType.A || question.type === recordType.ANY
  const wantsIpv6 = question.type === recordType.AAAA || question.type === recordType.ANY
  if (!wantsIpv4 && !wantsIpv6) return nothing

  const targets = new Map<string, { readonly target: string; readonly ttl: number }>()
  for (const r of message.answers)
    if (r.target !== undefined && !targets.has(r.name.toLowerCase()))
      targets.set(r.name.toLowerCase(), { target: r.target, ttl: r.ttl })
  const aliases: string[] = []
  const names = new Set([question.name.toLowerCase()])
  let ttl = Number.POSITIVE_INFINITY
  for (let at = targets.get(question.name.toLowerCase()); at; at = targets.get(at.target.toLowerCase())) {
    const name = at.target.toLowerCase()
    if (names.has(name)) break
    names.add(name)
    aliases.push(at.target)
    ttl = Math.min(ttl, at.ttl)
  }
  const addresses: Address[] = []
  for (const r of message.answers) {
    if (!r.address || !names.has(r.name.toLowerCase()) || !(isIpv4(r.address) ? wantsIpv4 : wantsIpv6)) continue
    // An AAAA record with a mapped address would pass for an IPv4 one that nobody gave.
    if ((r.type === recordType.A) !== isIpv4(r.address)) continue
    addresses.push(r.address)
    ttl = Math.min(ttl, r.ttl)
  }
  return addresses.length === 0 ? nothing : { addresses, aliases, ttl }
}
