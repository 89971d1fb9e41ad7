// SPDX-License-Identifier: Apache-2.0
import { readIfThere, writeWhole } from '../../edge/disk/files.ts'
import { openAgentLink } from '../../edge/dns/link.ts'
import { type DnsRecord, type FromAgent, SOCKET } from '../../edge/dns/messages.ts'
import { errorText } from '../../edge/runtime/scope.ts'
import { VERSION } from '../../model/release.ts'
import { openListeners } from './listeners.ts'
import { openRelease } from './release.ts'
import { openService } from './serve.ts'

const help = `cilium-dns-proxy: answers what pods ask of the DNS where policy has rules for names.
  --run-dir DIR               of the agent (/var/run/cilium)
  --concurrency-limit N       questions under way, in all (4096) …
  --pod-concurrency-limit N   … and of one pod (512)
  --debug                     a line for each question
`
/** Between attempts to open what could not be opened, and between tellings of numbers, ms. */
const AGAIN_MS = 500
const COUNTS_MS = 1_000
/** Questions under way are given this long when we are told to stop, ms. */
const LAST_MS = 1_000

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

function main(): void {
  const args = process.argv.slice(2)
  if (args.includes('--help')) return void process.stdout.write(help)
  if (args[0] === 'version' || args.includes('--version')) return void console.log(`cilium-dns-proxy ${VERSION}`)
  const runDir = option(args, '--run-dir', '/var/run/cilium')
  const limits = {
    all: Number(option(args, '--concurrency-limit', '0')) || 4096,
    pod: Number(option(args, '--pod-concurrency-limit', '0')) || 512,
  }
  const debug = args.includes('--debug')
  const file = `${runDir}/dns/listeners.json`

  let told: DnsRecord[] = []
  let wanted = false
  const link = openAgentLink(`${runDir}/${SOCKET}`, { take, changed })
  const release = openRelease(link.send)
  const service = openService(release, limits, () => listeners.notAsked, {
    get wanted() {
      return wanted || debug
    },
    take(record) {
      if (debug) log('debug', record.kind, record)
      if (wanted && told.push(record) === 1) setImmediate(flush)
    },
  })
  const listeners = openListeners(() => service)
  let state: State | undefined
  let again: NodeJS.Timeout | undefined
  let last = ''

  function flush(): void {
    const records = told
    told = []
    link.send({ kind: 'records', records })
  }

  function apply(next: State): void {
    clearTimeout(again)
    state = next
    const problems = listeners.set(next.listeners, next)
    for (const [name, problem] of Object.entries(problems)) log('warning', `listener ${name}: ${problem}`)
    if (Object.keys(problems).length > 0) again = setTimeout(() => state && apply(state), AGAIN_MS)
    link.send({ kind: 'has', revision: next.revision, problems })
  }

  function take(message: FromAgent): void {
    switch (message.kind) {
      case 'state': {
        const text = JSON.stringify({ ...message, revision: 0 })
        apply(message)
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

  const before = readIfThere(file)
  if (before !== undefined)
    try {
      apply(JSON.parse(before) as State)
      last = before
    } catch (e) {
      log('warning', `${file}: ${errorText(e)}`)
    }
  const counts = setInterval(() => link.send({ kind: 'counts', counts: service.counts }), COUNTS_MS)
  log('info', 'started', { version: VERSION, listeners: listeners.count })

  const stop = (signal: string) => {
    log('info', 'stopping', { signal, underWay: service.underWay })
    clearInterval(counts)
    clearTimeout(again)
    const deadline = performance.now() + LAST_MS
    const end = () => {
      if (service.underWay > 0 && performance.now() < deadline) return void setTimeout(end, 10)
      listeners.close()
      link.close()
      process.exit(0)
    }
    end()
  }
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.once(signal, () => stop(signal))
}

main()
