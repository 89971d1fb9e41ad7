// SPDX-License-Identifier: Apache-2.0
/** Questions through the DNS proxy, against asking the same server at another port, slice by slice in turns. */
import { join } from 'node:path'
import { Cluster } from '../cluster/faults/cluster.ts'
import { Lab } from '../lab.ts'
import { ran } from '../ran.ts'
import { absolute, type Figure, median, type Section } from './figure.ts'
import { first, goFirst, Lines } from './load.ts'

const program = join(import.meta.dirname, '../../build/dnsbench')
/** One port under rules for names, one without. */
const PORTS = { ruled: 53, plain: 5353 } as const
const ROUNDS = 7
const QUESTIONS = 2000
const UNDER_WAY = 64
/** Look-ups of addresses that nobody knows yet, each followed by a datagram; half of them by each of two pods. */
const LOOKS = 100_000
const LOOKING = 16
const ECHO_PORT = 7007
/** Where the names lead: outside of the cluster, this machine's during the bench. */
const WORLD = '198.18.0.0/15'

const pod = (name: string, node: string): string =>
  `{apiVersion: v1, kind: Pod, metadata: {name: ${name}, labels: {bench: ${name}}}, spec: {nodeName: ${node}, terminationGracePeriodSeconds: 0, containers: [{name: main, image: busybox, command: [sleep, infinity]}]}}`

const policy = `{apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy, metadata: {name: names}, spec: {endpointSelector: {matchExpressions: [{key: bench, operator: In, values: [client, other]}]}, egress: [{toEndpoints: [{matchLabels: {bench: server}}], toPorts: [{ports: [{port: "${PORTS.ruled}", protocol: UDP}], rules: {dns: [{matchPattern: "*.bench.test"}]}}, {ports: [{port: "${PORTS.plain}", protocol: UDP}]}]}, {toFQDNs: [{matchPattern: "*.bench.test"}]}]}}`

export const dns: Section = {
  name: 'dns',
  run: async (report) => {
    const lab = await Lab.up('dnsbench', [], 1)
    let server: Lines | undefined
    let echo: Lines | undefined
    try {
      const [node = ''] = await lab.nodes()
      await lab.kubectl(
        ['apply', '-f', '-'],
        [pod('server', node), pod('client', node), pod('other', node), policy].join('\n---\n'),
      )
      await lab.ready('bench')
      server = new Lines([
        ...lab.inside('default/server'),
        ...first,
        program,
        'serve',
        String(PORTS.ruled),
        String(PORTS.plain),
      ])
      await server.next()
      for (const pid of (await Cluster.of(lab)).processes(node, 'build/dns-proxy.js')) await goFirst(pid)
      await ran('ip', ['route', 'replace', 'local', WORLD, 'dev', 'lo'])
      echo = new Lines([...first, program, 'echo', String(ECHO_PORT)])
      await echo.next()
      await measure(lab, report)
      await looks(lab, report)
    } finally {
      for (const one of [server, echo])
        try {
          one?.stop()
        } catch {
          // It has ended by itself; what it was needed for has failed with a reason.
        }
      await ran('ip', ['route', 'del', 'local', WORLD, 'dev', 'lo'])
      await lab.down()
    }
  },
}

const addressOf = async (lab: Lab): Promise<string> =>
  (await lab.kubectl(['get', 'pod', 'server', '-o', 'jsonpath={.status.podIP}'])).trim()

/** Runs the client in a pod; the numbers it prints. */
async function runIn(lab: Lab, pod: string, ...words: readonly (string | number)[]): Promise<readonly number[]> {
  const [command = '', ...args] = [...lab.inside(`default/${pod}`), ...first, program, ...words.map(String)]
  const { code, stdout, stderr } = await ran(command, args)
  if (code !== 0) throw new Error(`dnsbench: ${stdout}${stderr}`)
  return stdout.trim().split(' ').map(Number)
}

/** Each address is new: it has to be in the kernel before the answer that names it. */
async function looks(lab: Lab, report: (figure: Figure) => void): Promise<void> {
  const server = await addressOf(lab)
  const half = LOOKS / 2
  const seen: (readonly number[])[] = []
  for (const [i, pod] of ['client', 'other'].entries())
    seen.push(await runIn(lab, pod, 'look', server, PORTS.ruled, 64 + i * half, half, ECHO_PORT, LOOKING))
  const sum = (at: number) => seen.reduce((total, s) => total + (s[at] ?? 0), 0)
  report(absolute(`first packets lost to addresses of names, of ${LOOKS} look-ups`, sum(3), '', 0))
  report(absolute('these look-ups without an answer', sum(2), '', 0))
  report(absolute(`an answer with a new address, ${LOOKING} under way, p50`, median(seen.map((s) => s[0] ?? 0)), 'µs'))
  report(absolute('the same, p99', median(seen.map((s) => s[1] ?? 0)), 'µs'))
  report(absolute('new addresses learnt', LOOKS / sum(4), '1/s'))
}

async function measure(lab: Lab, report: (figure: Figure) => void): Promise<void> {
  const server = await addressOf(lab)
  const run = (...words: readonly (string | number)[]) => runIn(lab, 'client', ...words)
  const ask = (port: number, count = QUESTIONS) => run('ask', server, port, count)
  // Until the listener is there, and the names are known.
  for (let i = 0; i < 20; i++) if ((await ask(PORTS.ruled, 64))[2] === 0) break

  const slices: { readonly through: readonly number[]; readonly direct: readonly number[] }[] = []
  for (let i = 0; i < ROUNDS; i++) slices.push({ through: await ask(PORTS.ruled), direct: await ask(PORTS.plain) })
  const lost = slices.reduce((sum, s) => sum + (s.through[2] ?? 0), 0)
  for (const [at, name, goal] of [
    [0, 'p50', 150],
    [1, 'p99', 500],
  ] as const) {
    const added = median(slices.map((s) => (s.through[at] ?? 0) - (s.direct[at] ?? 0)))
    report(absolute(`a DNS question through the proxy, added latency, ${name}`, added, 'µs', goal))
    report(
      absolute(`the same question to the server itself, ${name}`, median(slices.map((s) => s.direct[at] ?? 0)), 'µs'),
    )
  }
  report(absolute(`DNS questions without an answer, of ${ROUNDS * QUESTIONS}`, lost, '', 0))

  const rates: number[] = []
  const plain: number[] = []
  for (let i = 0; i < 3; i++) {
    rates.push((await run('flood', server, PORTS.ruled, 3, UNDER_WAY))[0] ?? 0)
    plain.push((await run('flood', server, PORTS.plain, 3, UNDER_WAY))[0] ?? 0)
  }
  report(absolute(`DNS questions through the proxy, ${UNDER_WAY} under way`, median(rates), '1/s', 10_000, true))
  report(absolute('the same to the server itself', median(plain), '1/s'))
}
