// SPDX-License-Identifier: Apache-2.0
import { mkdirSync, renameSync, rmSync, statSync } from 'node:fs'
import type http from 'node:http'
import net from 'node:net'
import { dirname } from 'node:path'

/**
 * Listens on a unix socket only root may open. A file left by a killed process is replaced in one step, so that callers
 * find the old socket or the new one; a socket somebody answers on is an error. The result closes.
 */
export async function listenOnSocket(server: http.Server, path: string): Promise<() => Promise<void>> {
  mkdirSync(dirname(path), { recursive: true, mode: 0o755 })
  if (await answers(path)) throw new Error(`${path}: another process listens here; is an agent running already?`)
  const beside = `${path}.${process.pid}`
  const before = process.umask(0o177)
  try {
    await listening(server, () => server.listen(beside))
  } finally {
    process.umask(before)
  }
  renameSync(beside, path)
  const inode = statSync(path).ino
  return async () => {
    // A successor may have put its own socket here: only ours is taken away.
    if (statSync(path, { throwIfNoEntry: false })?.ino === inode) rmSync(path, { force: true })
    await closed(server)
  }
}

/** Listens on a TCP port of one address, or of all there are. The result closes. */
export async function listenOnPort(
  server: http.Server,
  host: string | undefined,
  port: number,
): Promise<() => Promise<void>> {
  await listening(server, () => server.listen(port, host))
  return () => closed(server)
}

function listening(server: http.Server, start: () => void): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.once('listening', () => {
      server.removeListener('error', reject)
      resolve()
    })
    start()
  })
}

function closed(server: http.Server): Promise<void> {
  return new Promise((resolve) => {
    server.close(() => resolve())
    server.closeAllConnections()
  })
}

function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = net.connect(path)
    socket.once('connect', () => {
      socket.destroy()
      resolve(true)
    })
    socket.once('error', () => resolve(false))
  })
}
