// SPDX-License-Identifier: Apache-2.0
import { chmodSync, mkdirSync, renameSync, rmSync, statSync } from 'node:fs'
import net from 'node:net'
import { dirname } from 'node:path'
import type { DnsListenerRow } from '../../model/proxy.ts'
import type { Outcome, Target } from '../../table/target.ts'
import { type DnsCounts, type DnsRecord, type FromAgent, type FromProxy, type Learnt, lineReader } from './messages.ts'

/** Who hears of answers and questions. */
export interface DnsSink {
  /** Resolves once the kernel knows the addresses; rejects when it can not. Only then the answer is released. */
  learn(answer: Learnt): Promise<void>
  /** Whether records are looked at; if not, the proxy is not asked for them. */
  readonly wanted: boolean
  take(records: readonly DnsRecord[]): void
}

/** The agent's side of the DNS proxy. */
export interface DnsControl {
  /** Proxies that are there: two while one takes over from another. */
  readonly connected: number
  /** Of the proxy that came last. */
  readonly counts: DnsCounts | undefined
  /** Why the proxy does not have a listener; '' when it has, undefined when it has not answered yet. */
  problem(name: string): string | undefined
  target(name: string, key: (row: DnsListenerRow) => string): Target<DnsListenerRow>
  /** Resolves once the proxy has answered for the listeners, or nobody should wait any longer. */
  tried(names: readonly string[]): Promise<void>
  /** Begins to answer. Listeners that a proxy has and that are not wanted by then, it loses. */
  serve(settings: DnsProxySettings): Promise<void>
  /** Addresses that were learnt are known no longer: the proxy asks again before it releases an answer with them. */
  forget(): void
  /** `sink.wanted` is another. */
  wantedChanged(): void
  onChange(listener: () => void): void
  close(): Promise<void>
}

/** What a proxy is told beside listeners. */
export type DnsProxySettings = Pick<Extract<FromAgent, { readonly kind: 'state' }>, 'ipv4' | 'ipv6' | 'limit'>

export interface DnsOptions {
  readonly path: string
  readonly sink: DnsSink
  /** What to say while there is no proxy. */
  readonly absent: string
  /** Longest wait for an answer, and for that of `tried`, ms. */
  readonly answerMs?: number
  readonly tryMs?: number
}

interface Peer {
  readonly socket: net.Socket
  /** Revision of what it has, and what of it it has not. */
  revision: number
  problems: Readonly<Record<string, string>>
}

export function openDnsControl({ path, sink, absent, answerMs = 5_000, tryMs = 1_000 }: DnsOptions): DnsControl {
  const wanted = new Map<string, DnsListenerRow>()
  /** Revision that brought a listener as it is wanted now. */
  const since = new Map<string, number>()
  const peers: Peer[] = []
  const waiting = new Set<() => boolean>()
  const listeners: (() => void)[] = []
  let settings: DnsProxySettings = { ipv4: true, ipv6: true, limit: 0 }
  let revision = 0
  let counts: DnsCounts | undefined
  let server: net.Server | undefined
  let announcing = false
  let inode = 0
  let hopeUntil = performance.now() + 3 * tryMs

  const send = (peer: Peer, message: FromAgent): void => void peer.socket.write(`${JSON.stringify(message)}\n`)
  const state = (): FromAgent => ({ kind: 'state', revision, listeners: [...wanted.values()], ...settings })
  const look = () => {
    for (const done of [...waiting]) if (done()) waiting.delete(done)
  }
  /** What changes in one turn is told at once. */
  const announce = () => {
    if (announcing) return
    announcing = true
    queueMicrotask(() => {
      announcing = false
      const message = state()
      for (const peer of peers) send(peer, message)
    })
  }

  function stateOf(name: string): string | undefined {
    if (peers.length === 0) return absent
    // Two share the sockets of listeners: rules count when both have them, and it is enough if one could open it.
    if (peers.some((p) => p.revision < (since.get(name) ?? 0))) return undefined
    return peers.every((p) => p.problems[name] !== undefined) ? peers.at(-1)?.problems[name] : ''
  }

  function take(peer: Peer, message: FromProxy): void {
    switch (message.kind) {
      case 'has': {
        const first = peer.revision < 0
        peer.revision = message.revision
        peer.problems = message.problems
        look()
        if (first) for (const listener of listeners) listener()
        return
      }
      case 'learn':
        sink.learn(message.answer).then(
          () => send(peer, { kind: 'done', id: message.id }),
          (e: unknown) =>
            send(peer, { kind: 'done', id: message.id, error: e instanceof Error ? e.message : String(e) }),
        )
        return
      case 'records':
        sink.take(message.records)
        return
      case 'counts':
        // One that is about to go still counts; the numbers of two must not alternate.
        if (peer === peers.at(-1)) counts = message.counts
    }
  }

  function welcome(socket: net.Socket): void {
    const peer: Peer = { socket, revision: -1, problems: {} }
    const lines = lineReader<FromProxy>()
    socket.setEncoding('utf8')
    socket.on('data', (chunk: string) => {
      try {
        for (const message of lines(chunk)) take(peer, message)
      } catch {
        socket.destroy()
      }
    })
    socket.on('error', () => socket.destroy())
    socket.on('close', () => {
      const at = peers.indexOf(peer)
      if (at >= 0) peers.splice(at, 1)
      look()
      for (const listener of listeners) listener()
    })
    peers.push(peer)
    send(peer, { kind: 'tell', records: sink.wanted })
    send(peer, state())
  }

  const waitFor = <T>(ms: number, late: T, look: () => T | undefined): Promise<T> =>
    new Promise((resolve) => {
      const finish = (value: T) => {
        clearTimeout(timer)
        waiting.delete(done)
        resolve(value)
      }
      const done = (): boolean => {
        const value = look()
        if (value !== undefined) finish(value)
        return value !== undefined
      }
      const timer = setTimeout(() => finish(late), ms)
      waiting.add(done)
      done()
    })

  return {
    get connected() {
      return peers.length
    },
    get counts() {
      return counts
    },
    problem: (name) => (wanted.has(name) ? stateOf(name) : undefined),
    target: (name, key) => ({
      name,
      key,
      // What a proxy has is told to it anew when it comes; it leaves alone what has not changed.
      load: () => [],
      equal: () => false,
      async write(rows) {
        revision++
        for (const row of rows) {
          wanted.set(row.name, row)
          since.set(row.name, revision)
        }
        announce()
        return Promise.all(
          rows.map(async (row): Promise<Outcome> => {
            const late = `the DNS proxy has not answered within ${answerMs / 1000} s`
            const problem = await waitFor(answerMs, late, () => stateOf(row.name))
            return problem === '' ? { ok: true } : { ok: false, error: problem }
          }),
        )
      },
      remove(rows) {
        revision++
        for (const row of rows) {
          wanted.delete(row.name)
          since.delete(row.name)
        }
        announce()
        return rows.map(() => ({ ok: true }))
      },
    }),
    tried: (names) =>
      waitFor(tryMs, undefined as unknown, () => {
        if (peers.length === 0) return performance.now() > hopeUntil || undefined
        return names.every((name) => wanted.has(name) && stateOf(name) !== undefined) || undefined
      }).then(() => {}),
    async serve(of) {
      settings = of
      hopeUntil = performance.now() + 3 * tryMs
      mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
      const opened = net.createServer(welcome)
      server = opened
      const beside = `${path}.${process.pid}`
      rmSync(beside, { force: true })
      await new Promise<void>((resolve, reject) => opened.once('error', reject).listen(beside, () => resolve()))
      chmodSync(beside, 0o600)
      renameSync(beside, path)
      inode = statSync(path).ino
    },
    forget() {
      for (const peer of peers) send(peer, { kind: 'forget' })
    },
    wantedChanged() {
      for (const peer of peers) send(peer, { kind: 'tell', records: sink.wanted })
    },
    onChange: (listener) => void listeners.push(listener),
    async close() {
      if (!server) return
      // A successor may have put its own socket here.
      if (statSync(path, { throwIfNoEntry: false })?.ino === inode) rmSync(path, { force: true })
      for (const peer of [...peers]) peer.socket.destroy()
      await new Promise<void>((resolve) => server?.close(() => resolve()))
    },
  }
}
