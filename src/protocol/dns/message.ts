// SPDX-License-Identifier: Apache-2.0
import { type Address, addressFrom } from '../../base/ip.ts'
import { fail, ok, type Result } from '../../base/result.ts'
import { readName } from './name.ts'

export const HEADER_BYTES = 12
/** The largest message: what two length octets of a TCP stream can say. */
export const MOST_BYTES = 65535
/** What a UDP client takes that does not say otherwise (RFC 1035 4.2.1). */
export const PLAIN_UDP_BYTES = 512

export const recordType = { A: 1, CNAME: 5, AAAA: 28, OPT: 41, IXFR: 251, AXFR: 252, ANY: 255 } as const
export const CLASS_IN = 1
export const OPCODE_QUERY = 0
export const rcode = { NOERROR: 0, FORMERR: 1, SERVFAIL: 2, NXDOMAIN: 3, NOTIMP: 4, REFUSED: 5 } as const

export interface Header {
  readonly id: number
  readonly response: boolean
  readonly opcode: number
  readonly truncated: boolean
  /** The low four bits; EDNS has the rest. */
  readonly rcode: number
  readonly questions: number
  readonly answers: number
  readonly authorities: number
  readonly additionals: number
}

export interface Question {
  readonly name: string
  readonly type: number
  readonly class: number
}

/** A record of an answer. Of those that lead nowhere only type and owner are known. */
export interface AnswerRecord {
  readonly name: string
  readonly type: number
  readonly class: number
  /** Seconds; a value that would be negative counts as 0 (RFC 2181 8). */
  readonly ttl: number
  /** Of A and AAAA. */
  readonly address?: Address
  /** Of CNAME. */
  readonly target?: string
}

/** EDNS of a message (RFC 6891). */
export interface Edns {
  /** Largest UDP message its sender takes. */
  readonly udpBytes: number
  readonly version: number
  readonly dnssecOk: boolean
}

export interface Message {
  readonly header: Header
  readonly question: Question
  /** Offset of what follows the question. */
  readonly questionEnd: number
  readonly answers: readonly AnswerRecord[]
  readonly edns: Edns | undefined
  /** With the bits of EDNS. */
  readonly rcode: number
}

/** Only the header: enough to answer a message that can not be read further. */
export function readHeader(bytes: Uint8Array): Header | undefined {
  if (bytes.length < HEADER_BYTES) return undefined
  const high = bytes[2] as number
  return {
    id: u16(bytes, 0),
    response: high >= 0x80,
    opcode: (high >> 3) & 15,
    truncated: (high & 2) !== 0,
    rcode: (bytes[3] as number) & 15,
    questions: u16(bytes, 4),
    answers: u16(bytes, 6),
    authorities: u16(bytes, 8),
    additionals: u16(bytes, 10),
  }
}

/** A message with exactly one question, which is the only kind anybody sends (RFC 9619). Nothing may follow its end. */
export function readMessage(bytes: Uint8Array): Result<Message, string> {
  const header = readHeader(bytes)
  if (!header) return fail('shorter than a header')
  if (bytes.length > MOST_BYTES) return fail('longer than a message may be')
  if (header.questions !== 1) return fail(`${header.questions} questions, not one`)
  const name = readName(bytes, HEADER_BYTES)
  if (!name.ok) return name
  let at = name.value.end
  if (at + 4 > bytes.length) return fail('the question runs past the end')
  const question: Question = { name: name.value.text, type: u16(bytes, at), class: u16(bytes, at + 2) }
  at += 4
  const questionEnd = at

  const answers: AnswerRecord[] = []
  let edns: Edns | undefined
  let extended = 0
  const firstAdditional = header.answers + header.authorities
  const records = firstAdditional + header.additionals
  for (let i = 0; i < records; i++) {
    const owner = readName(bytes, at)
    if (!owner.ok) return owner
    at = owner.value.end
    if (at + 10 > bytes.length) return fail('a record runs past the end')
    const type = u16(bytes, at)
    const sort = u16(bytes, at + 2)
    const length = u16(bytes, at + 8)
    const data = at + 10
    if (data + length > bytes.length) return fail('a record runs past the end')
    if (i < header.answers) {
      const record = readRecord(bytes, owner.value.text, type, sort, at, data, length)
      if (!record.ok) return record
      answers.push(record.value)
    } else if (type === recordType.OPT) {
      if (edns || i < firstAdditional) return fail('OPT where it may not be')
      if (owner.value.text !== '') return fail('OPT has a name')
      extended = bytes[at + 4] as number
      edns = {
        udpBytes: Math.max(sort, PLAIN_UDP_BYTES),
        version: bytes[at + 5] as number,
        dnssecOk: ((bytes[at + 6] as number) & 0x80) !== 0,
      }
    }
    at = data + length
  }
  if (at !== bytes.length) return fail('something follows the message')
  return ok({ header, question, questionEnd, answers, edns, rcode: (extended << 4) | header.rcode })
}

function readRecord(
  bytes: Uint8Array,
  name: string,
  type: number,
  sort: number,
  fixed: number,
  data: number,
  length: number,
): Result<AnswerRecord, string> {
  const seconds = u16(bytes, fixed + 4) * 0x10000 + u16(bytes, fixed + 6)
  const base = { name, type, class: sort, ttl: seconds > 0x7fffffff ? 0 : seconds }
  if (sort !== CLASS_IN) return ok(base)
  switch (type) {
    case recordType.A:
    case recordType.AAAA:
      if (length !== (type === recordType.A ? 4 : 16)) return fail('an address of an odd length')
      return ok({ ...base, address: addressFrom(bytes.subarray(data, data + length)) })
    case recordType.CNAME: {
      const target = readName(bytes, data)
      if (!target.ok) return target
      if (target.value.end !== data + length) return fail('an alias of an odd length')
      return ok({ ...base, target: target.value.text })
    }
    default:
      return ok(base)
  }
}

const u16 = (bytes: Uint8Array, at: number): number => ((bytes[at] as number) << 8) | (bytes[at + 1] as number)
