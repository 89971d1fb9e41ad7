// SPDX-License-Identifier: Apache-2.0
import { datagramReader, datagramWriter, type Received, type Sent } from '../../edge/kernel/messages.ts'
import { close, watchReadable } from '../../edge/kernel/syscall.ts'
import { openRawUdp } from '../../edge/kernel/transparent.ts'
import { openUdpServers } from './ask.ts'
import type { ListenerPart, Served } from './listener.ts'
import { downMark, type Service, upMark } from './serve.ts'

/** Largest question by UDP; one with a cookie, padding and all has some hundreds of bytes. */
const MOST_QUESTION = 4096
const BATCH = 32

/** Questions by UDP, and those to servers that follow from them. */
export function openDatagrams(service: () => Service) {
  const servers = openUdpServers()
  const read = datagramReader(BATCH, MOST_QUESTION)
  const write = datagramWriter(BATCH)

  return {
    /** Answers what comes to a socket, which is ours from now on, also if this throws. */
    serve({ file, family, port, current }: ListenerPart): Served {
      let raw: number
      try {
        raw = openRawUdp(family, downMark(port))
      } catch (e) {
        close(file)
        throw e
      }
      let out: Sent[] = []
      let open = true
      let watching = true
      /** Answers that are ready together leave together. */
      const flush = () => {
        const sent = out
        out = []
        if (open) write(raw, sent)
      }
      const answer = (question: Received, bytes: Uint8Array | undefined) => {
        if (!bytes) return
        if (out.push({ from: question.to, to: question.from, bytes }) === 1) queueMicrotask(flush)
      }
      const take = (question: Received) => {
        const answered = service().answer({
          listener: current(),
          protocol: 'UDP',
          client: question.from,
          server: question.to,
          query: question.bytes,
          ask: (query, message) => servers.ask(question.from.address, question.to, query, message, upMark(port)),
        })
        if (answered instanceof Promise) void answered.then((bytes) => answer(question, bytes))
        else answer(question, answered)
      }
      const watch = watchReadable(file, () => {
        for (const question of read(file)) take(question)
      })
      const leave = () => {
        if (watching) watch.close()
        watching = false
      }
      return {
        leave,
        close() {
          open = false
          leave()
          close(file)
          close(raw)
        },
      }
    },
    get notAsked() {
      return servers.notAsked
    },
    close: () => servers.close(),
  }
}
