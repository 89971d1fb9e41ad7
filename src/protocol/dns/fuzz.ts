// SPDX-License-Identifier: Apache-2.0
import { assert } from '../../base/assert.ts'
import { printAddress } from '../../base/ip.ts'
import { answers, resolved } from './answer.ts'
import { type Message, MOST_BYTES, rcode, readMessage } from './message.ts'
import { answerWithout, formatError, withId } from './refusal.ts'
import { messageStream } from './stream.ts'

/** Numbers 0 <= n < below, the same for the same seed. */
export type Random = (below: number) => number

export function randomOf(seed: number): Random {
  let state = seed >>> 0
  return (below) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0
    return Math.floor((state / 0x100000000) * below)
  }
}

/** One of the messages with some octets changed, cut, put in or repeated. */
export function mutated(messages: readonly Uint8Array[], random: Random): Uint8Array {
  let bytes: Uint8Array = new Uint8Array(messages[random(messages.length)] as Uint8Array)
  for (let n = 1 + random(4); n > 0; n--) {
    const at = random(bytes.length + 1)
    switch (random(6)) {
      case 0: // an octet
        if (at < bytes.length) bytes[at] = random(256)
        break
      case 1: // a pointer, often to itself or onwards
        if (at + 1 < bytes.length) {
          bytes[at] = 0xc0 | (random(8) === 0 ? random(64) : 0)
          bytes[at + 1] = random(2) === 0 ? at : random(256)
        }
        break
      case 2: // a giant count
        bytes.fill(0xff, Math.min(bytes.length, 4 + 2 * random(2)), Math.min(bytes.length, 8 + 2 * random(3)))
        break
      case 3: // cut
        bytes = bytes.slice(0, at)
        break
      case 4: // something in between
        bytes = joined(
          bytes.subarray(0, at),
          Uint8Array.from({ length: random(20) }, () => random(256)),
          bytes,
          at,
        )
        break
      default: // a part twice
        bytes = joined(bytes.subarray(0, at), bytes.subarray(random(at + 1), at), bytes, at)
    }
    if (bytes.length === 0) break
  }
  return bytes
}

function joined(head: Uint8Array, middle: Uint8Array, all: Uint8Array, at: number): Uint8Array {
  const out = new Uint8Array(head.length + middle.length + all.length - at)
  out.set(head)
  out.set(middle, head.length)
  out.set(all.subarray(at), head.length + middle.length)
  return out
}

/** What holds for every run of octets. Returns the message if it is one. */
export function examine(bytes: Uint8Array): Message | undefined {
  const read = readMessage(bytes)
  const alone = formatError(bytes)
  if (alone) assert(readOfHeader(alone, bytes), () => 'a format error answers its query')
  if (!read.ok) return undefined
  const message = read.value
  const { header, question, questionEnd } = message
  assert(bytes.length <= MOST_BYTES && questionEnd <= bytes.length, () => 'a message within its bytes')
  assert(question.name.length <= 4 * 255, () => 'a name within its bounds')
  assert(message.answers.length === header.answers, () => 'as many answers as were promised')

  const own = answerWithout(bytes, message, rcode.REFUSED)
  const again = readMessage(own)
  assert(again.ok, () => 'our answers can be read')
  assert(answers(again.value, question) || header.opcode !== 0, () => 'our answer answers the question')
  assert(again.value.header.id === header.id && again.value.rcode === rcode.REFUSED, () => 'our answer is a refusal')
  assert((again.value.edns !== undefined) === (message.edns !== undefined), () => 'EDNS as it was asked')
  for (let i = 12; i < questionEnd; i++) assert(own[i] === bytes[i], () => 'the question as it was spelled')
  assert(readMessage(withId(bytes, 7)).ok, () => 'the id is nothing else')

  const { addresses, aliases, ttl } = resolved(message, question)
  assert(aliases.length <= header.answers && addresses.length <= header.answers, () => 'no more than was there')
  assert(addresses.length === 0 || (ttl >= 0 && ttl <= 0x7fffffff), () => 'a time to live')
  for (const a of addresses) assert(printAddress(a) !== '', () => 'addresses are addresses')
  return message
}

function readOfHeader(answer: Uint8Array, query: Uint8Array): boolean {
  return answer.length === 12 && answer[0] === query[0] && answer[1] === query[1] && (answer[2] as number) >= 0x80
}

/** A stream cut anywhere gives the messages that went into it. */
export function examineStream(messages: readonly Uint8Array[], stream: Uint8Array, random: Random): void {
  const taken = messageStream()
  const found: Uint8Array[] = []
  for (let at = 0; at < stream.length; ) {
    const next = Math.min(stream.length, at + 1 + random(40))
    found.push(...taken.take(stream.subarray(at, next)))
    at = next
  }
  assert(taken.pending.length === 0 && found.length === messages.length, () => 'all messages, and nothing else')
  for (const [i, m] of messages.entries())
    assert(m.length === found[i]?.length && m.every((octet, n) => octet === found[i]?.[n]), () => 'the same octets')
}
