// SPDX-License-Identifier: Apache-2.0
import { readFileSync } from 'node:fs'

/** What this server takes from a CoreDNS configuration file; other plugins are accepted and do nothing. */
export interface DnsSettings {
  readonly port: number
  /** The cluster domain to answer from the Kubernetes API; undefined serves no cluster names. */
  readonly domain?: string
  /** `address` or `address:port` of the servers asked for all other names. */
  readonly upstreams: readonly string[]
  /** Answers `localhost` and its reverse names (RFC 6761). */
  readonly local: boolean
  readonly healthPort?: number
  readonly readyPort?: number
}

/** Reads the first server block; throws an Error that names the line for text that is not a Corefile. */
export const parseCorefile = (text: string, resolvers: () => readonly string[]): DnsSettings => {
  const lines = text.split('\n').map((l) => l.replace(/#.*/, '').trim())
  const start = lines.findIndex((l) => l !== '')
  const head = lines[start]
  if (head === undefined || !head.endsWith('{')) throw new Error(`Corefile line ${start + 1}: expected "ZONE[:PORT] {"`)
  let depth = 1
  let settings: DnsSettings = { port: portOf(head.split(/\s+/)[0] ?? '', 53), upstreams: [], local: false }
  for (const line of lines.slice(start + 1)) {
    if (line === '') continue
    if (line === '}') {
      if (--depth === 0) return settings
      continue
    }
    const words = line.split(/\s+/)
    if (depth === 1) settings = { ...settings, ...plugin(words, resolvers) }
    if (line.endsWith('{')) depth++
  }
  throw new Error('Corefile: a block is not closed, "}" is missing')
}

const plugin = (words: readonly string[], resolvers: () => readonly string[]): Partial<DnsSettings> => {
  const args = words.slice(1).filter((w) => w !== '{')
  switch (words[0]) {
    case 'kubernetes':
      return { domain: (args[0] ?? 'cluster.local').replace(/\.$/, '').toLowerCase() }
    case 'forward':
      return {
        upstreams: args.slice(1).flatMap((to) => (to.startsWith('/') ? resolvers() : [to.replace(/^dns:\/\//, '')])),
      }
    case 'local':
      return { local: true }
    case 'health':
      return { healthPort: portOf(args[0] ?? '', 8080) }
    case 'ready':
      return { readyPort: portOf(args[0] ?? '', 8181) }
    default:
      return {}
  }
}

const portOf = (text: string, otherwise: number): number => {
  const port = /:(\d+)$/.exec(text)?.[1]
  return port === undefined ? otherwise : Number(port)
}

/** The name servers of a resolv.conf; none when the file can not be read. */
export const resolversOf = (path: string): readonly string[] => {
  try {
    return [...readFileSync(path, 'utf8').matchAll(/^nameserver\s+(\S+)/gm)].map((m) => m[1] ?? '')
  } catch {
    return []
  }
}
