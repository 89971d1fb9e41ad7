// SPDX-License-Identifier: Apache-2.0
import { request } from 'node:http'

/** What the agent answered instead of what was asked. */
export class AgentError extends Error {
  readonly status: number
  constructor(status: number, message: string) {
    super(message)
    this.status = status
  }
}

const base = '/v1'

/** The agent's REST API on its unix socket. */
export interface Agent {
  get<T>(path: string): Promise<T>
  text(path: string): Promise<string>
  send<T>(method: 'PUT' | 'PATCH' | 'DELETE' | 'POST', path: string, body?: unknown): Promise<T>
  /** Calls `line` for each line of an endless answer; ends when the agent does or `line` answers false. */
  follow(path: string, line: (text: string) => boolean | undefined): Promise<void>
}

export function agentAt(socketPath: string): Agent {
  const call = (method: string, path: string, body: unknown, onLine?: (text: string) => boolean | undefined) =>
    new Promise<string>((resolve, reject) => {
      const payload = body === undefined ? undefined : JSON.stringify(body)
      const headers = payload === undefined ? {} : { 'content-type': 'application/json' }
      const req = request({ socketPath, path: base + path, method, headers }, (res) => {
        const chunks: string[] = []
        let rest = ''
        res.setEncoding('utf8')
        res.on('data', (chunk: string) => {
          if (onLine === undefined || (res.statusCode ?? 500) >= 400) return void chunks.push(chunk)
          const lines = (rest + chunk).split('\n')
          rest = lines.pop() ?? ''
          for (const l of lines) if (onLine(l) === false) return void req.destroy()
        })
        res.on('error', reject)
        res.on('close', () => resolve(chunks.join('')))
        res.on('end', () => {
          const text = chunks.join('')
          const status = res.statusCode ?? 500
          if (status >= 400) reject(new AgentError(status, messageOf(text) || `${method} ${path}: HTTP ${status}`))
          else resolve(text)
        })
      })
      req.on('error', (e: NodeJS.ErrnoException) => reject(new AgentError(0, unreachable(socketPath, e))))
      req.end(payload)
    })
  const parse = <T>(text: string): T => (text === '' ? undefined : JSON.parse(text)) as T
  return {
    get: async (path) => parse(await call('GET', path, undefined)),
    text: (path) => call('GET', path, undefined),
    send: async (method, path, body) => parse(await call(method, path, body)),
    follow: async (path, line) => void (await call('GET', path, undefined, line)),
  }
}

function messageOf(text: string): string {
  try {
    const parsed: unknown = JSON.parse(text)
    if (typeof parsed === 'string') return parsed
    if (typeof parsed === 'object' && parsed !== null && 'message' in parsed) return String(parsed.message)
  } catch {
    // not JSON: the text is the message
  }
  return text.trim()
}

function unreachable(path: string, e: NodeJS.ErrnoException): string {
  const why = {
    ENOENT: 'there is no such socket',
    ECONNREFUSED: 'nobody listens on it',
    EACCES: 'it belongs to root; run as root',
  }[e.code ?? '']
  return `the agent can not be reached at ${path}: ${why ?? e.message}. Is cilium-agent running on this node?`
}
