// SPDX-License-Identifier: Apache-2.0
/** Questions through the DNS proxy, against asking the same server at another port, slice by slice in turns. */
import { join } from 'node:path'
import { Lab, ran } from '../lab.ts'
import { absolute, type Figure, median, type Section } from './figure.ts'
import { Lines } from './load.ts'

const program = join(import.meta.dirname, '../../build/dnsbench')
/** One port under rules for names, one without. */
const PORTS = { ruled: 53, plain: 5353 } as const
const ROUNDS = 7
const QUESTIONS = 2000
const UNDER_WAY = 64

const pod = (name: string, node: string): string =>
  `{apiVersion: v1, kind: Pod, metadata: {name: ${name}, labels: {bench: ${name}}}, spec: {nodeName: ${node}, terminationGracePeriodSeconds: 0, containers: [{name: main, image: busybox, command: [sleep, infinity]}]}}`

const policy = `{apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy, metadata: {name: names}, spec: {endpointSelector: {matchLabels: {bench: client}}, egress: [{toEndpoints: [{matchLabels: {bench: server}}], toPorts: [{ports: [{port: "${PORTS.ruled}", protocol: UDP}], rules: {dns: [{matchPattern: "*.bench.test"}]}}, {ports: [{port: "${PORTS.plain}", protocol: UDP}]}]}, {toFQDNs: [{matchPattern: "*.bench.test"}]}]}}`

export const dns: Section = {
  name: 'dns',
  run: async (report) => {
    const lab = await Lab.up('dnsbench', [], 1)
    let server: Lines | undefined
    try {
      const [node = ''] = await lab.nodes()
      await lab.kubectl(['apply', '-f', '-'], [pod('server', node), pod('client', node), policy].join('\n---\n'))
      await lab.ready('bench')
      server = new Lines([...lab.inside('default/server'), program, 'serve', String(PORTS.ruled), String(PORTS.plain)])
      await server.next()
      await measure(lab, report)
    } finally {
      try {
        server?.stop()
      } catch {
        // It has ended by itself; what it was needed for has failed with a reason.
      }
      await lab.down()
    }
  },
}

async function measure(lab: Lab, report: (figure: Figure) => void): Promise<void> {
  const server = (await lab.kubectl(['get', 'pod', 'server', '-o', 'jsonpath={.status.podIP}'])).trim()
  const run = async (...words: readonly (string | number)[]): Promise<readonly number[]> => {
    const [command = '', ...args] = [...lab.inside('default/client'), program, ...words.map(String)]
    const { code, stdout, stderr } = await ran(command, args)
    if (code !== 0) throw new Error(`dnsbench: ${stdout}${stderr}`)
    return stdout.trim().split(' ').map(Number)
  }
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
