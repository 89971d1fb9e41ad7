// SPDX-License-Identifier: Apache-2.0
/** Clients and servers of the L7 tests: one of each on both nodes. */
import { spawn } from 'node:child_process'
import { join } from 'node:path'
import type { Lab } from '../../lab.ts'
import { ran } from '../../ran.ts'

const root = join(import.meta.dirname, '../../..')

export interface Pods {
  readonly clients: readonly Pod[]
  readonly servers: readonly Pod[]
}

export interface Pod {
  readonly name: string
  readonly node: string
  /** IPv4 first. */
  readonly addresses: readonly string[]
}

/** `more` are further arguments of the servers. */
export async function startPods(lab: Lab, more: readonly string[] = []): Promise<Pods> {
  const nodes = await lab.nodes()
  const pod = (app: string, node: string, command: readonly string[]) => ({
    apiVersion: 'v1',
    kind: 'Pod',
    metadata: { name: `${app}-${nodes.indexOf(node)}`, labels: { role: app } },
    spec: {
      nodeName: node,
      containers: [{ name: 'c', image: 'debian', command, ports: [{ name: 'web', containerPort: 80 }] }],
    },
  })
  const server = [join(root, 'node_modules/.bin/node'), join(root, 'test/cluster/l7/server.js'), '80', '50051', ...more]
  const items = nodes.flatMap((n) => [pod('server', n, server), pod('client', n, ['sleep', 'infinity'])])
  await lab.kubectl(['apply', '-f', '-'], JSON.stringify({ apiVersion: 'v1', kind: 'List', items }))
  await lab.ready('role in (client,server)')
  const found = await lab.json<{
    items: { metadata: { name: string }; spec: { nodeName: string }; status: { podIPs: { ip: string }[] } }[]
  }>(['get', 'pods', '-l', 'role in (client,server)'])
  const all = found.items.map((p) => ({
    name: p.metadata.name,
    node: p.spec.nodeName,
    addresses: p.status.podIPs.map((a) => a.ip),
  }))
  const of = (app: string) => all.filter((p) => p.name.startsWith(app)).sort((a, b) => (a.name < b.name ? -1 : 1))
  return { clients: of('client'), servers: of('server') }
}

export interface Answer {
  /** 0: none. */
  readonly status: number
  readonly body: string
}

export const hostOf = (address: string): string => (address.includes(':') ? `[${address}]` : address)

/**
 * One request by curl from inside the client's namespace. A SYN that was dropped comes again after a second; who has
 * taken the connection may take its time to answer.
 */
export async function ask(lab: Lab, client: string, url: string, args: readonly string[] = []): Promise<Answer> {
  const [program = '', ...prefix] = await lab.within(`default/${client}`)
  const curl = ['curl', '-g', '-s', '--connect-timeout', '2', '-m', '10', '-w', '\n%{http_code}']
  const r = await ran(program, [...prefix, ...curl, ...args, url])
  const [, body = '', status = '0'] = /^([\s\S]*)\n([0-9]+)$/.exec(r.stdout) ?? []
  return { status: Number(status), body }
}

/** A program of ours inside a pod's namespace, by Node; its input stays open until `finish`, which answers its first line. */
export function inPod(lab: Lab, pod: string, script: string, args: readonly string[]) {
  const [program = '', ...prefix] = lab.inside(`default/${pod}`)
  const child = spawn(program, [...prefix, join(root, 'node_modules/.bin/node'), join(root, script), ...args], {
    stdio: ['pipe', 'pipe', 'inherit'],
    env: { ...process.env, NODE_NO_WARNINGS: '1' },
  })
  let output = ''
  child.stdout.on('data', (chunk) => {
    output += chunk
  })
  const ended = new Promise<void>((resolve) => child.on('close', () => resolve()))
  return {
    async finish(): Promise<string> {
      child.stdin.end()
      await ended
      return output.split('\n')[0] ?? ''
    },
  }
}

type Http = { readonly [field: string]: unknown }

/** A policy for the pods with some labels, with its rules as they are written. */
export const policyFor = (
  name: string,
  labels: { readonly [key: string]: string },
  rules: { readonly [direction in 'ingress' | 'egress']?: readonly object[] },
) => ({
  apiVersion: 'cilium.io/v2',
  kind: 'CiliumNetworkPolicy',
  metadata: { name },
  spec: { endpointSelector: { matchLabels: labels }, ...rules },
})

/** `toPorts` of a rule that lets some paths be read. */
export const getsOf = (paths: readonly string[], port = '80') => [
  { ports: [{ port, protocol: 'TCP' }], rules: { http: paths.map((path) => ({ method: 'GET', path })) } },
]

/** A policy with HTTP rules for port 80, `ingress` of servers or `egress` of clients. */
export const httpPolicy = (name: string, direction: 'ingress' | 'egress', http: readonly Http[], port = '80') => {
  const [own, other] = direction === 'ingress' ? ['server', 'client'] : ['client', 'server']
  const rule = {
    [direction === 'ingress' ? 'fromEndpoints' : 'toEndpoints']: [{ matchLabels: { role: other } }],
    toPorts: [{ ports: [{ port, protocol: 'TCP' }], ...(http.length > 0 ? { rules: { http } } : {}) }],
  }
  return JSON.stringify(policyFor(name, { role: own }, { [direction]: [rule] }))
}

/** A policy that asks something of one port, `ingress` of servers or `egress` of clients. */
export const layer7Policy = (name: string, direction: 'ingress' | 'egress', port: string, asks: Http) => {
  const policy = JSON.parse(httpPolicy(name, direction, [], port))
  Object.assign(policy.spec[direction][0].toPorts[0], asks)
  return JSON.stringify(policy)
}

/** Waits until `holds`, asked again and again; throws what it was at last. */
export async function until(what: string, holds: () => Promise<boolean>, ms = 15_000): Promise<void> {
  const end = Date.now() + ms
  while (!(await holds())) {
    if (Date.now() > end) throw new Error(`not within ${ms} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 50))
  }
}
