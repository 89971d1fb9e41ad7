// SPDX-License-Identifier: Apache-2.0
/** What curl can not do: one connection that lives on, gRPC, WebSocket; by talker.js where NAMESPACE/POD or a node is. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import type { Lab } from '../../lab.ts'
import { ran } from '../../ran.ts'

const root = join(import.meta.dirname, '../../..')
const talker = (lab: Lab, where: string, args: readonly string[]): readonly string[] => [
  ...lab.inside(where),
  join(root, 'node_modules/.bin/node'),
  join(root, 'test/cluster/l7/talker.js'),
  ...args,
]

/** One kept-alive HTTP/1.1 connection. */
export function http(lab: Lab, where: string, url: string) {
  const [program = '', ...args] = talker(lab, where, ['http', url])
  const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'inherit'] })
  const closed = new Promise<void>((resolve) => child.once('close', () => resolve()))
  const waiting: ((line: string) => void)[] = []
  let rest = ''
  child.stdout.on('data', (chunk) => {
    const lines = (rest + chunk).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) waiting.shift()?.(line)
  })
  const say = (line: string): Promise<string> =>
    new Promise((resolve) => {
      waiting.push(resolve)
      child.stdin.write(`${line}\n`)
    })
  return {
    /** Status, or the error. */
    get: (path: string) => say(path),
    /** How many connections there have been. */
    connections: async () => Number(await say('connections')),
    stop: () => {
      child.stdin.end()
      return closed
    },
  }
}

/** The status of one call. */
export async function grpc(lab: Lab, where: string, url: string, method: string): Promise<number> {
  const [program = '', ...args] = talker(lab, where, ['grpc', url, method])
  return Number((await ran(program, args)).stdout)
}

/** Requests on a new connection each: how many had which status. */
export async function fresh(lab: Lab, where: string, url: string, count: number): Promise<Record<string, number>> {
  const [program = '', ...args] = talker(lab, where, ['fresh', url, String(count)])
  return JSON.parse((await ran(program, args)).stdout)
}

export async function websocket(
  lab: Lab,
  where: string,
  url: string,
): Promise<{ readonly status: number; readonly echo: string }> {
  const [program = '', ...args] = talker(lab, where, ['websocket', url])
  return JSON.parse((await ran(program, args)).stdout)
}
