// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, rmSync } from 'node:fs'
import { dirname } from 'node:path'
import type { KeptMessage } from '../../edge/dns/messages.ts'
import { listenPassing, type Passing } from '../../edge/kernel/passing.ts'
import { close } from '../../edge/kernel/syscall.ts'

/** Without a proxy the sockets stay open so long, ms: as long as resolvers wait. Then the kernel drops what comes. */
const HOLD_MS = 10_000

interface Held {
  readonly message: KeptMessage
  readonly files: readonly number[]
}

interface Peer {
  readonly passing: Passing
  leaving: boolean
}

/**
 * Keeps the sockets of the DNS proxy open beside it. What comes while one proxy has gone and the next is not there waits in
 * them, and two proxies at once answer from the same: a restart of the proxy loses no question, whoever caused it. An agent
 * that has just started gets the sockets from the proxy.
 */
export function keepDnsSockets(path: string, holdMs = HOLD_MS): { close(): void } {
  const listeners = new Map<number, Held>()
  let clients: Held[] = []
  const peers: Peer[] = []
  let timer: NodeJS.Timeout | undefined

  const drop = (held: Held | undefined) => {
    for (const file of held?.files ?? []) close(file)
  }
  const say = (peer: Peer, { message, files }: Held): boolean => peer.passing.send(JSON.stringify(message), files)
  const dropAll = () => {
    for (const held of [...listeners.values(), ...clients]) drop(held)
    listeners.clear()
    clients = []
  }
  const drained = () => {
    clearTimeout(timer)
    if (peers.some((p) => !p.leaving)) return
    timer = setTimeout(dropAll, holdMs)
    timer.unref()
  }

  function take(peer: Peer, message: KeptMessage, files: readonly number[]): void {
    const held = { message, files }
    switch (message.kind) {
      case 'listener':
        drop(listeners.get(message.port))
        listeners.set(message.port, held)
        for (const other of peers) if (other !== peer) say(other, held)
        return
      case 'closed':
        drop(listeners.get(message.port))
        listeners.delete(message.port)
        return
      case 'client': {
        const next = peers.findLast((p) => !p.leaving)
        if (next && say(next, held)) drop(held)
        else clients.push(held)
        return
      }
      case 'leaving':
        peer.leaving = true
        drained()
    }
  }

  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  rmSync(path, { force: true })
  const server = listenPassing(path, (open) => {
    const passing = open({
      take(text, files) {
        try {
          take(peer, JSON.parse(text) as KeptMessage, files)
        } catch {
          passing.close()
        }
      },
      closed() {
        peers.splice(peers.indexOf(peer), 1)
        drained()
      },
    })
    const peer: Peer = { passing, leaving: false }
    peers.push(peer)
    clearTimeout(timer)
    for (const held of listeners.values()) say(peer, held)
    for (const held of clients.splice(0)) {
      say(peer, held)
      drop(held)
    }
    passing.send(JSON.stringify({ kind: 'all' } satisfies KeptMessage))
  })
  return {
    close() {
      server.close()
      clearTimeout(timer)
      for (const peer of [...peers]) peer.passing.close()
      dropAll()
    },
  }
}
