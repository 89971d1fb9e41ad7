// SPDX-License-Identifier: Apache-2.0
/**
 * Random sets of rules and requests through the real Envoy against a matcher of its own (`random.ts`). Many sets share an
 * update: a header says which is meant. CILIUM_L7_SETS says how many, CILIUM_L7_SEED which.
 */
import assert from 'node:assert/strict'
import http from 'node:http'
import net from 'node:net'
import { it } from 'node:test'
import { listenerRow } from '../../../src/derive/proxy/resources.ts'
import { routesOf } from '../../../src/derive/proxy/routes.ts'
import type { EnvoyRow } from '../../../src/model/proxy.ts'
import { ran } from '../../ran.ts'
import { openBench } from './envoy.ts'
import { type Asked, meant, type Rules, randomAsked, randomFrom, randomRules } from './random.ts'

const hasEnvoy = (await ran('tools/envoy.sh', [])).code === 0
const SETS = Number(process.env['CILIUM_L7_SETS'] ?? 10_000)
const SEED = Number(process.env['CILIUM_L7_SEED'] ?? 1)
/** In one update of Envoy, and requests for each. */
const AT_ONCE = 250
const ASKED = 5

type Json = { readonly [name: string]: unknown }

/** The listener of the product without what needs the datapath, to one server, with one place in the loopback. */
function onLoopback(row: EnvoyRow, port: number, server: number, routes: readonly Json[]): EnvoyRow {
  const cluster = 'envoy.config.cluster.v3.Cluster'
  return {
    key: row.key,
    resources: [
      ...row.resources.map((r) => {
        if (r.type.endsWith('RouteConfiguration'))
          return { ...r, body: { ...r.body, virtual_hosts: [{ name: 'all', domains: ['*'], routes }] } }
        const {
          transparent: _,
          socket_options: __,
          listener_filters: ___,
          additional_addresses: ____,
          ...rest
        } = r.body
        return { ...r, body: { ...rest, address: { socket_address: { address: '127.0.0.1', port_value: port } } } }
      }),
      {
        type: cluster,
        name: 'server',
        body: {
          '@type': cluster,
          name: 'server',
          type: 'STATIC',
          connect_timeout: '5s',
          load_assignment: {
            cluster_name: 'server',
            endpoints: [
              {
                lb_endpoints: [
                  { endpoint: { address: { socket_address: { address: '127.0.0.1', port_value: server } } } },
                ],
              },
            ],
          },
        },
      },
    ],
  }
}

/** Routes of many sets, each for requests that name it. */
const together = (sets: readonly Rules[]): readonly Json[] =>
  sets.flatMap((set, n) =>
    routesOf(
      set.written.map((list, l) => list.map((rule, r) => ({ rule: `${n}.${l}.${r}`, http: [rule] }))),
      'server',
    ).map((route) => {
      const match = route['match'] as Json
      const headers = [{ name: 'x-set', string_match: { exact: String(n) } }, ...((match['headers'] ?? []) as Json[])]
      return { ...route, match: { ...match, headers } }
    }),
  )

/** Asks on one connection, one after the other; answers are status and body. */
async function connect(port: number) {
  const socket = net.connect(port, '127.0.0.1')
  let have = ''
  let told: (() => void) | undefined
  let ended = false
  socket.setEncoding('utf8')
  socket.on('data', (chunk) => {
    have += chunk
    told?.()
  })
  socket.on('error', () => {})
  socket.on('close', () => {
    ended = true
    told?.()
  })
  return {
    async ask(asked: Asked, set: number): Promise<{ readonly status: number; readonly body: string }> {
      const headers = [...asked.headers, ['x-set', String(set)]].map(([n, v]) => `${n}: ${v}\r\n`).join('')
      const length = asked.method === 'GET' ? '' : 'content-length: 0\r\n'
      socket.write(`${asked.method} ${asked.path} HTTP/1.1\r\nhost: ${asked.host}\r\n${length}${headers}\r\n`)
      for (;;) {
        const end = have.indexOf('\r\n\r\n')
        const size = Number(/content-length: (\d+)/i.exec(have)?.[1])
        if (end >= 0 && have.length >= end + 4 + size) {
          const answer = { status: Number(have.slice(9, 12)), body: have.slice(end + 4, end + 4 + size) }
          have = have.slice(end + 4 + size)
          return answer
        }
        if (ended) return { status: 0, body: have }
        await new Promise<void>((resolve) => {
          told = resolve
        })
      }
    },
    close: () => socket.destroy(),
  }
}

it(`random rules decide in Envoy as they are meant (${SETS} sets)`, {
  timeout: 600_000,
  skip: hasEnvoy ? false : 'tools/envoy.sh finds no Envoy',
}, async () => {
  const server = http.createServer((request, response) => {
    request.resume()
    const body = JSON.stringify(request.headers)
    response.writeHead(200, { 'content-length': Buffer.byteLength(body) })
    response.end(body)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const port = (server.address() as net.AddressInfo).port
  // A port that was free a moment ago.
  const free = net.createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => free.once('listening', resolve))
  const own = (free.address() as net.AddressInfo).port
  await new Promise((resolve) => free.close(resolve))
  const bench = await openBench()
  const connections: Awaited<ReturnType<typeof connect>>[] = []
  try {
    const target = bench.control.target('listeners', (row) => row.key)
    await bench.control.serve()
    await bench.start()
    const spec = { name: 'random', side: 'ingress', port: own, decidedPort: own, rules: [[]] } as const
    const row = listenerRow(spec, { ipv4: true, ipv6: false })
    const random = randomFrom(SEED)
    const counts = { passed: 0, refused: 0, mended: 0 }
    for (let done = 0; done < SETS; done += AT_ONCE) {
      const sets = Array.from({ length: Math.min(AT_ONCE, SETS - done) }, () => randomRules(random))
      const [outcome] = await target.write([onLoopback(row, own, port, together(sets))])
      assert.deepEqual(outcome, { ok: true })
      while (connections.length < 8) connections.push(await connect(own))
      const cases = sets.flatMap((set, n) =>
        Array.from({ length: ASKED }, () => ({ n, asked: randomAsked(random, set) })),
      )
      let next = 0
      await Promise.all(
        connections.map(async (connection) => {
          for (let at = next++; at < cases.length; at = next++) {
            const { n, asked } = cases[at] as (typeof cases)[number]
            const set = sets[n] as Rules
            const expected = meant(set, asked)
            const answer = await connection.ask(asked, n)
            const about = `seed ${SEED}: ${JSON.stringify(asked)} by ${JSON.stringify(set.written)}`
            assert.equal(answer.status, expected ? 200 : 403, about)
            if (!expected) {
              counts.refused++
              assert.equal(answer.body, 'Access denied\r\n')
              continue
            }
            counts.passed++
            const seen = JSON.parse(answer.body) as Record<string, string>
            for (const name of ['x-a', 'x-b', 'x-c', 'x-mend0', 'x-mend1']) {
              assert.equal(seen[name]?.replace(/, /g, ','), expected.get(name), `${name}: ${about}`)
              if (name.startsWith('x-mend') && expected.has(name)) counts.mended++
            }
          }
        }),
      )
    }
    const all = counts.passed + counts.refused
    assert.ok(counts.passed > all / 5 && counts.refused > all / 5 && counts.mended > all / 50, JSON.stringify(counts))
  } finally {
    for (const c of connections) c.close()
    await bench.close()
    server.closeAllConnections()
    await new Promise((resolve) => server.close(resolve))
  }
})
