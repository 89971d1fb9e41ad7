// SPDX-License-Identifier: Apache-2.0
import type { FlowEvent } from '../../flow/decode.ts'
import type { Agent } from './agent.ts'
import { print } from './output.ts'

/** What the agent adds to an event: the names of the deciding rules. */
type Seen = FlowEvent & { readonly egressBy?: string; readonly ingressBy?: string; readonly stagedBy?: string }

/** A request that the proxy has decided about. */
interface HttpSeen {
  readonly kind: 'request'
  readonly verdict: string
  readonly source: { readonly endpoint: number; readonly identity: number; readonly labels: readonly string[] }
  readonly destination: HttpSeen['source']
  readonly http: { readonly method: string; readonly url: string; readonly code: number }
  readonly rules: readonly string[]
}

/** A connection that was asked for the name of the server it speaks TLS to. */
interface TlsSeen extends Omit<HttpSeen, 'http'> {
  readonly tls: { readonly serverName: string }
}

/** A question to a name server, or an answer. */
interface DnsSeen extends Omit<HttpSeen, 'kind' | 'http'> {
  readonly kind: 'request' | 'response'
  readonly dns: {
    readonly query: string
    readonly qtype: string
    readonly rcode: number
    readonly ips: readonly string[]
    readonly ttl: number
  }
}

interface Options {
  readonly type?: readonly string[]
  readonly json?: boolean
  readonly from?: readonly string[]
  readonly to?: readonly string[]
  readonly relatedTo?: readonly string[]
  readonly timeout?: string
}

/** Cilium's names of event types, and which of ours they mean. */
const types: Readonly<Record<string, readonly (FlowEvent['kind'] | 'request' | 'response')[]>> = {
  drop: ['drop'],
  trace: ['new', 'close'],
  'policy-verdict': ['new', 'drop'],
  'trace-sock': ['socket'],
  capture: [],
  debug: [],
  l7: ['request', 'response'],
  agent: [],
  recorder: [],
}

const end = (e: FlowEvent['source'], protocol: string): string => {
  const address = e.address.includes(':') ? `[${e.address}]` : e.address
  return protocol.startsWith('ICMP') ? e.address : `${address}:${e.port}`
}

/** A request that was refused names all rules that would have let it pass. */
function requestLine(seen: HttpSeen | TlsSeen | DnsSeen): string {
  const { kind, verdict, source, destination, rules } = seen
  const party = (p: HttpSeen['source']) => `${p.endpoint} ([${p.labels.join(' ')}])`
  const large = (word: string) => word.slice(0, 1).toUpperCase() + word.slice(1)
  const by =
    rules.length === 0
      ? ''
      : ` (${verdict === 'denied' || verdict === 'audit' ? 'no match in' : 'by'} ${rules.join(', ')})`
  const head = `-> ${large(kind)} ${'dns' in seen ? 'dns' : 'tls' in seen ? 'tls' : 'http'} from ${party(source)} to ${party(destination)}, identity ${source.identity}->${destination.identity}, verdict ${large(verdict)}`
  if ('http' in seen) return `${head} ${seen.http.method} ${seen.http.url} => ${seen.http.code}${by}`
  if ('tls' in seen)
    return `${head} ${seen.tls.serverName ? `TLS to ${seen.tls.serverName}` : 'no name of a server'}${by}`
  const { query, qtype, rcode, ips, ttl } = seen.dns
  if (kind === 'request') return `${head} DNS Query: ${query} ${qtype}${rcode === 0 ? '' : ` RCode: ${rcode}`}${by}`
  const answer = rcode !== 0 ? `RCode: ${rcode}` : `TTL: ${ttl} Answer: '${ips.join(',')}'`
  return `${head} DNS Proxy: ${query} ${qtype} ${answer}${by}`
}

/** One line, in the words of Cilium's monitor, with the rule that decided behind. */
function line(e: Seen): string {
  const packet = `${end(e.source, e.protocol)} -> ${end(e.destination, e.protocol)} ${e.protocol.toLowerCase()}${e.tcpFlags === '' ? '' : ` ${e.tcpFlags}`}`
  const identity = `identity ${e.source.identity}->${e.destination.identity}`
  const staged = e.stagedBy && `staged policies would decide by ${e.stagedBy}`
  const rules = [e.egressBy && `egress rule ${e.egressBy}`, e.ingressBy && `ingress rule ${e.ingressBy}`, staged]
    .filter(Boolean)
    .join(', ')
  const by = rules === '' ? '' : ` (${rules})`
  switch (e.kind) {
    case 'drop':
      return `xx drop (${e.text}) flow 0x0 to endpoint ${e.destination.endpoint}, ifindex ${e.interface}, ${identity}: ${packet}${by}`
    case 'new':
      return `-> ${where(e)} flow 0x0 , ${identity} state ${e.rejudged ? 'established' : 'new'} ifindex ${e.interface}${e.audit ? ' audited' : ''}: ${packet}${by}`
    case 'close':
      return `-- closed flow , ${identity}: ${packet} packets ${e.packets.join('/')} bytes ${e.bytes.join('/')}${by}`
    case 'socket':
      return `CPU xlate ${identity}: ${packet}`
  }
}
const where = (e: FlowEvent): string =>
  e.destination.endpoint === 0 ? e.text.replace(/^to-/, '') : `endpoint ${e.destination.endpoint}`

/** Prints lines that come together by one write. */
function printer(): (line: string) => void {
  let lines = ''
  return (line) => {
    if (lines === '')
      process.nextTick(() => {
        print(lines)
        lines = ''
      })
    lines += `${line}\n`
  }
}

/** Prints events until the agent ends, the time is up, or nobody reads any more. */
export async function monitor(agent: Agent, options: Options): Promise<void> {
  const wanted = options.type?.flatMap((t) => t.split(','))
  const kinds = wanted?.flatMap((t) => {
    const known = types[t]
    if (known === undefined) throw new Error(`monitor --type ${t}: the types are ${Object.keys(types).join(', ')}`)
    return known
  })
  const number = (list: readonly string[] | undefined): readonly number[] | undefined => list?.map(Number)
  const [from, to, related] = [number(options.from), number(options.to), number(options.relatedTo)]
  process.stdout.on('error', () => process.exit(0))
  if (options.timeout !== undefined) setTimeout(() => process.exit(0), Number(options.timeout) * 1000)
  if (!options.json) print('Listening for events of the datapath. Press Ctrl-C to quit')
  const say = printer()
  await agent.follow('/monitor', (text) => {
    if (text === '') return undefined
    const e = JSON.parse(text) as Seen | HttpSeen | TlsSeen | DnsSeen
    if (kinds !== undefined && !kinds.includes(e.kind)) return undefined
    if (from !== undefined && !from.includes(e.source.endpoint)) return undefined
    if (to !== undefined && !to.includes(e.destination.endpoint)) return undefined
    if (related !== undefined && !related.includes(e.source.endpoint) && !related.includes(e.destination.endpoint))
      return undefined
    say(options.json ? text : 'http' in e || 'tls' in e || 'dns' in e ? requestLine(e) : line(e))
    return undefined
  })
}
