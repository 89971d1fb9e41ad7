// SPDX-License-Identifier: Apache-2.0
import { writeFileSync } from 'node:fs'
import { uptime } from 'node:os'
import { readIfThere, writeWhole } from '../../edge/disk/files.ts'
import { type AgentLink, openAgentLink } from '../../edge/dns/link.ts'
import { type DnsRecord, type FromAgent, type FromProxy, KEPT_SOCKET, SOCKET } from '../../edge/dns/messages.ts'
import { errorText } from '../../edge/runtime/scope.ts'
import { VERSION } from '../../model/release.ts'
import { openKeptSockets } from './kept.ts'
import { openListeners } from './listeners.ts'
import { openRelease } from './release.ts'
import { openService } from './serve.ts'

const help = `cilium-dns-proxy: answers what pods ask of the DNS where policy has rules for names.
  --run-dir DIR               of the agent (/var/run/cilium)
  --concurrency-limit N       questions under way, in all, unless the agent says (4096) …
  --pod-concurrency-limit N   … and of one pod (1024)
  --health-file FILE          written each second: the time by /proc/uptime, and 'ready' unless a listener could not be opened
  --debug                     a line for each question
`
/** Between attempts to open what could not be opened, and between tellings of numbers, ms. */
const AGAIN_MS = 500
const COUNTS_MS = 1_000
/** What is under way is given this long when we are told to stop, ms: more than a server has. */
const LAST_MS = 6_000
/** So long we wait for somebody who keeps the sockets. */
const ALONE_MS = 2_000

type State = Extract<FromAgent, { readonly kind: 'state' }>

function log(level: 'info' | 'warning' | 'debug', msg: string, fields: object = {}): void {
  process.stdout.write(`${JSON.stringify({ time: new Date().toISOString(), level, msg, ...fields })}\n`)
}

function option(args: readonly string[], name: string, otherwise: string): string {
  const at = args.findIndex((a) => a === name || a.startsWith(`${name}=`))
  if (at < 0) return otherwise
  const [, ...rest] = (args[at] as string).split('=')
  return rest.length > 0 ? rest.join('=') : (args[at + 1] ?? otherwise)
}

async function main(): Promise<void> {
  const args = process.argv.slice(2)
  if (args.includes('--help')) return void process.stdout.write(help)
  if (args[0] === 'version' || args.includes('--version')) return void console.log(`cilium-dns-proxy ${VERSION}`)
  const runDir = option(args, '--run-dir', '/var/run/cilium')
  const most = Number(option(args, '--concurrency-limit', '0')) || 4096
  const limits = {
    get all() {
      return state?.limit || most
    },
    pod: Number(option(args, '--pod-concurrency-limit', '0')) || 1024,
  }
  const debug = args.includes('--debug')
  const file = `${runDir}/dns/listeners.json`

  let told: DnsRecord[] = []
  let wanted = false
  const kept = openKeptSockets(`${runDir}/${KEPT_SOCKET}`, {
    client: (port, socket, rest) => listeners.adopt(port, socket, rest),
    came: () => again && state && apply(state),
  })
  let link: AgentLink | undefined
  const send = (message: FromProxy): boolean => link?.send(message) ?? false
  const release = openRelease(send)
  const service = openService(release, limits, () => listeners.notAsked, {
    get wanted() {
      return wanted || debug
    },
    take(record) {
      if (debug) log('debug', record.kind, record)
      if (wanted && told.push(record) === 1) setImmediate(flush)
    },
  })
  const listeners = openListeners(() => service, kept)
  let state: State | undefined
  let again: NodeJS.Timeout | undefined
  let last = ''

  function flush(): void {
    const records = told
    told = []
    send({ kind: 'records', records })
  }

  function apply(next: State): void {
    clearTimeout(again)
    again = undefined
    state = next
    const problems = listeners.set(next.listeners, { ipv4: next.ipv4, ipv6: next.ipv6 })
    for (const [name, problem] of Object.entries(problems)) log('warning', `listener ${name}: ${problem}`)
    if (Object.keys(problems).length > 0) again = setTimeout(() => state && apply(state), AGAIN_MS)
    send({ kind: 'has', revision: next.revision, problems })
  }

  function take(message: FromAgent): void {
    switch (message.kind) {
      case 'state': {
        const text = JSON.stringify({ ...message, revision: 0 })
        apply(message)
        kept.only(new Set(message.listeners.map((l) => l.port)))
        if (text === last) return
        last = text
        log('info', 'listeners', { count: listeners.count })
        try {
          writeWhole(file, text)
        } catch (e) {
          log('warning', `${file}: ${errorText(e)}`)
        }
        return
      }
      case 'tell':
        wanted = message.records
        return
      case 'done':
        release.done(message.id, message.error)
        return
      case 'forget':
        release.forget()
    }
  }

  function changed(connected: boolean): void {
    log('info', connected ? 'the agent is there' : 'the agent has gone')
    if (connected) release.again()
    else wanted = false
  }

  const ready = (): string => (again === undefined ? 'ready' : 'waiting')
  const health = option(args, '--health-file', '')
  const tell = () => {
    send({ kind: 'counts', counts: service.counts })
    if (health !== '') writeFileSync(health, `${Math.floor(uptime())} ${ready()}\n`)
  }

  // Signals that come before everything is open end us as they would.
  await kept.ready
  const before = readIfThere(file)
  if (before !== undefined)
    try {
      apply(JSON.parse(before) as State)
      last = before
    } catch (e) {
      log('warning', `${file}: ${errorText(e)}`)
    }
  link = openAgentLink(`${runDir}/${SOCKET}`, { take, changed })
  const counts = setInterval(tell, COUNTS_MS)
  tell()
  log('info', 'started', { version: VERSION, listeners: listeners.count })

  const stop = (signal: string) => {
    log('info', 'stopping', { signal, underWay: service.underWay })
    const told = performance.now()
    let left = false
    const end = () => {
      // Where nobody keeps the sockets, what comes is answered as long as we may.
      if (kept.connected && !left) {
        left = true
        clearTimeout(again)
        kept.leave()
        listeners.leave()
      }
      const done = left && service.underWay === 0 && listeners.clients === 0
      if (!done && performance.now() - told < (left ? LAST_MS : ALONE_MS)) return void setTimeout(end, 10)
      clearInterval(counts)
      listeners.close()
      link?.close()
      kept.close()
      process.exit(0)
    }
    end()
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop(signal))
}

void main()
