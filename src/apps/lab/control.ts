// SPDX-License-Identifier: Apache-2.0
import { chmodSync } from 'node:fs'
import { createServer, request } from 'node:http'

/** What the lab's process tells its command line over a socket that only root can open. */
export interface LabStatus {
  readonly name: string
  readonly url: string
  readonly nodes: readonly { readonly name: string; readonly pid: number; readonly addresses: readonly string[] }[]
  readonly missing: readonly string[]
}

/** Answers of the running lab. `enterPod` throws when there is no such pod. */
export interface Answers {
  status(): LabStatus
  enterPod(namespace: string, name: string): readonly string[]
}

/** Serves the answers until closed. */
export const serveControl = (socket: string, answers: Answers): Promise<{ close(): void }> =>
  new Promise((resolve, reject) => {
    const server = createServer((incoming, outgoing) => {
      try {
        const [, what, namespace = '', name = ''] = (incoming.url ?? '').split('/').map(decodeURIComponent)
        if (what !== 'status' && what !== 'enter') throw new Error(`nothing is known of ${incoming.url}`)
        outgoing.end(JSON.stringify(what === 'status' ? answers.status() : answers.enterPod(namespace, name)))
      } catch (error) {
        outgoing.statusCode = 404
        outgoing.end(error instanceof Error ? error.message : String(error))
      }
    })
    server.once('error', reject)
    server.listen(socket, () => {
      chmodSync(socket, 0o600)
      resolve({ close: () => server.close() })
    })
  })

/** Asks a running lab; undefined when none listens. Throws what the lab answers with. */
export const askLab = <T>(socket: string, path: readonly string[]): Promise<T | undefined> =>
  new Promise((resolve, reject) => {
    const asked = request(
      { socketPath: socket, path: `/${path.map(encodeURIComponent).join('/')}`, timeout: 5000 },
      (reply) => {
        let text = ''
        reply.setEncoding('utf8')
        reply.on('data', (part: string) => (text += part))
        reply.on('end', () => (reply.statusCode === 200 ? resolve(JSON.parse(text) as T) : reject(new Error(text))))
      },
    )
    asked.on('timeout', () => asked.destroy())
    asked.on('error', () => resolve(undefined))
    asked.end()
  })
