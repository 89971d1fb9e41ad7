// SPDX-License-Identifier: Apache-2.0
/**
 * A world for a cluster: two web servers with names, outside of it, on this machine's end of the cluster's bridge. Nodes
 * reach them by their default route, as they would the internet.
 */
import { execFileSync } from 'node:child_process'
import { createSocket } from 'node:dgram'
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { createServer, type RequestListener, type Server } from 'node:http'
import { createServer as createTlsServer } from 'node:https'
import { join } from 'node:path'
import { decode, encode, RECURSION_AVAILABLE, RECURSION_DESIRED } from 'dns-packet'
import { bridge, hostAddress, prefix4, prefix6, state } from './places.ts'
import { output } from './run.ts'

interface Place {
  /** With the dot at its end. */
  readonly name: string
  readonly ipv4: string
  readonly ipv6: string
}

const inWorld4 = (last: number): string => `${prefix4.replace(/^10\.77/, '198.18')}.${last}`
const inWorld6 = (last: number): string => `${prefix6.replace(/^fd77/, '2001:db8')}:${last}`
export const world = {
  cidr4: `${inWorld4(0)}/24`,
  cidr6: `${inWorld6(0)}/96`,
  web: { name: 'web.outside.example.', ipv4: inWorld4(1), ipv6: inWorld6(1) },
  other: { name: 'elsewhere.test.', ipv4: inWorld4(2), ipv6: inWorld6(2) },
  /** Where its name server answers. */
  dns: `${hostAddress}:53`,
} as const
const places: readonly Place[] = [world.web, world.other]

const dir = join(state, 'world')
/** The authority that signed the certificate of the web servers. */
export const authority = join(dir, 'ca.crt')

/** Makes an authority and a certificate of both places, by their names and addresses. */
function makeCertificate(): void {
  mkdirSync(dir, { recursive: true })
  const openssl = (...args: readonly string[]) => execFileSync('openssl', args, { cwd: dir, stdio: 'pipe' })
  const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  openssl('req', '-x509', ...key, '-days', '30', '-subj', '/CN=world', '-keyout', 'ca.key', '-out', 'ca.crt')
  openssl('req', '-new', ...key, '-subj', '/CN=web', '-keyout', 'web.key', '-out', 'web.csr')
  const names = places.map((p) => `DNS:${p.name.slice(0, -1)},IP:${p.ipv4},IP:${p.ipv6}`)
  writeFileSync(join(dir, 'web.ext'), `subjectAltName=${names.join()}\n`)
  openssl(
    ...['x509', '-req', '-in', 'web.csr', '-CA', 'ca.crt', '-CAkey', 'ca.key', '-CAcreateserial', '-days', '30'],
    ...['-extfile', 'web.ext', '-out', 'web.crt'],
  )
}

/** Brings the world up beside the cluster; returns how to end it. Its addresses go with the cluster's bridge. */
export async function openWorld(): Promise<() => Promise<void>> {
  makeCertificate()
  const text = (name: string): string => readFileSync(join(dir, name), 'utf8')
  const hello: RequestListener = (_, response) => response.end('hello from outside\n')
  const servers: Server[] = []
  for (const { ipv4, ipv6 } of places) {
    await output('ip', ['address', 'replace', `${ipv4}/32`, 'dev', bridge])
    await output('ip', ['-6', 'address', 'replace', `${ipv6}/128`, 'dev', bridge, 'nodad'])
    for (const address of [ipv4, ipv6]) {
      servers.push(await listening(createServer(hello), 80, address))
      const tls = createTlsServer({ key: text('web.key'), cert: text('web.crt') }, hello)
      servers.push(await listening(tls, 443, address))
    }
  }
  const names = await nameServer()
  return async () => {
    names.close()
    for (const server of servers) {
      server.closeAllConnections()
      await new Promise((resolve) => server.close(resolve))
    }
  }
}

function listening(server: Server, port: number, address: string): Promise<Server> {
  return new Promise((resolve, reject) => {
    server.once('error', reject)
    server.listen(port, address, () => resolve(server))
  })
}

/** Knows the two names; all others do not exist. */
function nameServer(): Promise<{ close(): void }> {
  const socket = createSocket('udp4')
  socket.on('message', (bytes, from) => {
    const query = decode(bytes)
    const question = query.questions[0]
    const place = places.find((p) => p.name === `${question?.name.toLowerCase()}.`)
    const data = question?.type === 'A' ? place?.ipv4 : question?.type === 'AAAA' ? place?.ipv6 : undefined
    const answer = encode({
      type: 'response',
      id: query.id,
      flags: (query.flags & RECURSION_DESIRED) | RECURSION_AVAILABLE | (place ? 0 : 3),
      questions: query.questions,
      answers: question && data ? [{ type: question.type as 'A', name: question.name, ttl: 60, data }] : [],
      authorities: [],
      additionals: [],
    })
    socket.send(answer, from.port, from.address)
  })
  const [address, port] = world.dns.split(':') as [string, string]
  return new Promise((resolve, reject) => {
    socket.once('error', reject)
    socket.bind(Number(port), address, () => resolve(socket))
  })
}
