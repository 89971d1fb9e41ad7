// SPDX-License-Identifier: Apache-2.0
/** HTTP through an enforced L7 rule, against the same Envoy as a plain proxy on the same node, slice by slice in turns. */
import { join } from 'node:path'
import {
  classIndexLayout,
  classPageLayout,
  policyCellLayout,
  policyPageLayout,
  policyTableLayout,
} from '../../gen/contract.ts'
import { policyPageRows, policyTableRows } from '../../src/derive/policy/decisions.ts'
import { cellRows } from '../../src/derive/proxy/tables.ts'
import { kubeconfigAccess } from '../../src/edge/kube/access.ts'
import { openKube } from '../../src/edge/kube/client.ts'
import { CILIUM_NETWORK_POLICIES } from '../../src/edge/kube/resource.ts'
import type { CellsRow } from '../../src/model/datapath.ts'
import { Cluster } from '../cluster/faults/cluster.ts'
import { Lab } from '../lab.ts'
import { ran } from '../ran.ts'
import { absolute, type Figure, median, relative, type Section } from './figure.ts'
import { first, goFirst, Lines } from './load.ts'
import { plainProxy } from './plain-proxy.ts'

const program = join(import.meta.dirname, '../../build/httpbench')
/** One port under rules, one without for the plain proxy, and the plain proxy's own. */
const PORTS = { ruled: 8080, plain: 8081, proxy: 9900 } as const
const ROUNDS = 12
const SECONDS = 0.7

interface Slice {
  readonly rate: number
  readonly p50: number
  readonly p99: number
}

const pod = (name: string, node: string): string =>
  `{apiVersion: v1, kind: Pod, metadata: {name: ${name}, labels: {bench: ${name}}}, spec: {nodeName: ${node}, terminationGracePeriodSeconds: 0, containers: [{name: main, image: busybox, command: [sleep, infinity]}]}}`

const policy = (name: string, own: string, other: string, egress: boolean, port: number, path: string): string =>
  `{apiVersion: cilium.io/v2, kind: CiliumNetworkPolicy, metadata: {name: ${name}}, spec: {endpointSelector: {matchLabels: {bench: ${own}}}, ${egress ? 'egress: [{toEndpoints' : 'ingress: [{fromEndpoints'}: [{matchLabels: {bench: ${other}}}], toPorts: [{ports: [{port: "${port}", protocol: TCP}], rules: {http: [{method: GET, path: "${path}"}]}}]}]}}`

export const l7: Section = {
  name: 'l7',
  run: async (report) => {
    const envoy = (await ran('tools/envoy.sh', ['--cached'])).stdout.trim()
    if (envoy === '') throw new Error('tools/envoy.sh finds no Envoy')
    const running: Lines[] = []
    const lab = await Lab.up('l7bench', [], 1)
    try {
      await measure(lab, envoy, running, report)
    } finally {
      for (const r of running) {
        try {
          r.stop()
        } catch {
          // It has ended by itself; what it was needed for has failed with a reason.
        }
      }
      await lab.down()
    }
  },
}

const rule = (other: string, port: number, path: string): object => ({
  fromEndpoints: [{ matchLabels: { bench: other } }],
  toPorts: [{ ports: [{ port: String(port), protocol: 'TCP' }], rules: { http: [{ method: 'GET', path }] } }],
})

const inAgent = ['-n', 'kube-system', 'exec', 'ds/cilium', '-c', 'cilium-agent', '--', 'sh', '-c']

/** Bytes of the kernel's policy maps that stand for something. The maps are arrays: what they take is taken from the start. */
async function policyBytes(lab: Lab, node: string): Promise<number> {
  const rows = async <Row>(table: string): Promise<readonly Row[]> => {
    const url = `http://agent/v1/statedb/${table}`
    const [program = '', ...args] = [
      ...lab.inside(node),
      'curl',
      '-sf',
      '--unix-socket',
      '/run/cilium/cilium.sock',
      url,
    ]
    const { code, stdout, stderr } = await ran(program, args)
    if (code !== 0) throw new Error(`${url}: ${stderr}`)
    return JSON.parse(stdout) as Row[]
  }
  const cells = await rows<CellsRow>(cellRows.name)
  const pages = await rows(policyPageRows.name)
  const tables = await rows(policyTableRows.name)
  return (
    cells.reduce((sum, run) => sum + run.cells.length * policyCellLayout.size, 0) +
    pages.length * policyPageLayout.size +
    // Each has an index of its classes, and a page of them.
    tables.length * (policyTableLayout.size + classIndexLayout.size + classPageLayout.size)
  )
}

async function measure(lab: Lab, envoy: string, running: Lines[], report: (figure: Figure) => void): Promise<void> {
  const kube = openKube(kubeconfigAccess(lab.kubeconfig))
  const [node = ''] = await lab.nodes()
  const apply = (...texts: readonly string[]) => lab.kubectl(['apply', '-f', '-'], texts.join('\n---\n'))
  await apply(pod('server', node), pod('client', node))
  await lab.ready('bench')
  const addressOf = async (name: string) =>
    (await lab.kubectl(['get', 'pod', name, '-o', 'jsonpath={.status.podIP}'])).trim()
  const server = await addressOf('server')
  const gateway = (await addressOf('client')).replace(/\d+$/, '1')
  for (const port of [PORTS.ruled, PORTS.plain])
    running.push(new Lines([...first, ...lab.inside('default/server'), program, 'serve', String(port)]))
  // Beside the other in its pod: the same namespaces, and the same share of the machine.
  running.push(
    new Lines([
      ...lab.command,
      ...['-n', 'kube-system', 'exec', 'ds/cilium-envoy', '--'],
      envoy,
      '--config-yaml',
      JSON.stringify(plainProxy(PORTS.proxy, server, PORTS.plain)),
      '--concurrency',
      '2',
      '--use-dynamic-base-id',
      '-l',
      'critical',
    ]),
  )

  const ask = async (address: string, port: number, connections: number, seconds = SECONDS): Promise<Slice> => {
    const [command = '', ...args] = [
      ...first,
      ...lab.inside('default/client'),
      program,
      'ask',
      address,
      String(port),
      '/bench',
      String(connections),
      String(seconds),
    ]
    const { code, stdout, stderr } = await ran(command, args)
    const [rate = 0, p50 = 0, p99 = 0, refused = 0] = stdout.trim().split(' ').map(Number)
    if (code !== 0 || rate === 0 || refused > 0) throw new Error(`httpbench: ${stdout}${stderr}`)
    return { rate, p50, p99 }
  }
  const ruled = (connections: number) => ask(server, PORTS.ruled, connections)
  const plain = (connections: number) => ask(gateway, PORTS.proxy, connections)
  const ready = async (what: () => Promise<Slice>): Promise<void> => {
    for (let i = 0; ; i++) {
      try {
        await what()
        return
      } catch (e) {
        if (i === 40) throw e
        await new Promise((resolve) => setTimeout(resolve, 250))
      }
    }
  }

  await apply(policy('in', 'server', 'client', false, PORTS.ruled, '/bench'))
  await ready(() => ask(gateway, PORTS.proxy, 1, 0.1))
  await ready(() => ask(server, PORTS.ruled, 1, 0.1))
  const cluster = await Cluster.of(lab)
  for (const name of ['/envoy', 'build/agent.js']) for (const pid of cluster.processes(node, name)) await goFirst(pid)
  const oneEnd = new Map<number, number>()
  for (const connections of [1, 16]) {
    const through: Slice[] = []
    const beside: Slice[] = []
    for (let i = 0; i < ROUNDS; i++) {
      // Who goes first has another machine before it than who goes second.
      if (i % 2 === 0) through.push(await ruled(connections))
      beside.push(await plain(connections))
      if (i % 2 === 1) through.push(await ruled(connections))
    }
    const rates = through.map((s) => s.rate)
    oneEnd.set(connections, median(rates))
    const pairs = (of: (s: Slice) => number) => median(through.map((s, i) => of(s) / of(beside[i] as Slice)))
    const name = `HTTP through a rule, ${connections === 1 ? 'one connection' : `${connections} connections`}`
    report(
      relative(
        `${name}, requests`,
        median(rates),
        '1/s',
        median(beside.map((s) => s.rate)),
        pairs((s) => s.rate),
        0.95,
        true,
      ),
    )
    report(
      relative(
        `${name}, p99`,
        median(through.map((s) => s.p99)),
        'µs',
        median(beside.map((s) => s.p99)),
        pairs((s) => s.p99),
        1.1,
      ),
    )
  }

  const quiet: number[] = []
  const watched: number[] = []
  for (let i = 0; i < ROUNDS / 2; i++) quiet.push((await ruled(16)).rate)
  const watching = ran('timeout', [
    '60',
    ...lab.command,
    ...inAgent,
    'cilium monitor --type l7 --timeout 15 >/dev/null',
  ])
  await new Promise((resolve) => setTimeout(resolve, 2500))
  for (const pid of cluster.processes(node, 'build/dbg.js')) await goFirst(pid)
  for (let i = 0; i < ROUNDS / 2; i++) watched.push((await ruled(16)).rate)
  const [rate, alone] = [median(watched), median(quiet)]
  report(
    relative('HTTP through a rule, 16 connections, every request shown by a monitor', rate, '1/s', alone, rate / alone),
  )
  await watching

  const changed: number[] = []
  for (let i = 0; i < 20; i++) {
    const opens = i % 2 === 0
    const place = [server, String(PORTS.ruled), '/turn', opens ? '200' : '403']
    const [command = '', ...args] = [...lab.inside('default/client'), program, 'until', ...place]
    const first = ran(command, args)
    await new Promise((resolve) => setTimeout(resolve, 400))
    const written = performance.timeOrigin + performance.now()
    await kube.patch(CILIUM_NETWORK_POLICIES, 'default', 'in', {
      spec: { ingress: [rule('client', PORTS.ruled, opens ? '/(bench|turn)' : '/bench')] },
    })
    changed.push(Number((await first).stdout) / 1000 - written)
  }
  report(absolute('L7 rule written to first request decided by it, p50', median(changed), 'ms', 20))
  report(absolute('L7 rule written to first request decided by it, max', Math.max(...changed), 'ms'))

  await apply(
    policy('out', 'client', 'server', true, PORTS.ruled, '/bench'),
    policy('gate', 'client', 'server', true, PORTS.proxy, '/'),
  )
  await new Promise((resolve) => setTimeout(resolve, 1500))
  await ready(() => ask(server, PORTS.ruled, 1, 0.1))
  for (const connections of [1, 16]) {
    const both: number[] = []
    for (let i = 0; i < ROUNDS; i++) both.push((await ruled(connections)).rate)
    const one = oneEnd.get(connections) ?? 0
    report(
      relative(
        `both ends enforcing on one node, ${connections} connections, requests`,
        median(both),
        '1/s',
        one,
        median(both) / one,
        0.9,
        true,
      ),
    )
  }

  const before = await policyBytes(lab, node)
  await apply(
    ...Array.from({ length: 50 }, (_, i) => policy(`set-${i}`, 'server', 'client', false, 10_000 + i, `/set-${i}`)),
  )
  for (let i = 0; i < 100; i++) {
    const listeners = (await lab.cilium(node, ['envoy', 'admin', 'listeners'])).stdout
    if (listeners.split('\n').filter((line) => line.includes('ingress-')).length >= 50) break
  }
  const status = 'cat /proc/$(cat /var/run/cilium/envoy/pid)/status'
  const memory = await lab.kubectl(['-n', 'kube-system', 'exec', 'ds/cilium-envoy', '--', 'sh', '-c', status])
  const megabytes = (field: string) => Number(new RegExp(`${field}:\\s+(\\d+)`).exec(memory)?.[1]) / 1024
  report(
    absolute(
      'policy maps fill for each set of rules by',
      ((await policyBytes(lab, node)) - before) / 50,
      'bytes',
      2048,
    ),
  )
  report(absolute('memory of Envoy with 50 sets of rules', megabytes('VmRSS'), 'MB'))
  report(absolute('of that its own, the rest is its program', megabytes('RssAnon'), 'MB'))
  kube.close()
}
