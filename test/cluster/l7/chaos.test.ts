// SPDX-License-Identifier: Apache-2.0
/** What the agent's side of Envoy does when Envoy refuses, is slow, goes, or outlives the agent. */
import assert from 'node:assert/strict'
import http from 'node:http'
import net from 'node:net'
import { afterEach, beforeEach, describe, it } from 'node:test'
import { openEnvoy } from '../../../src/edge/envoy/control.ts'
import type { EnvoyRow } from '../../../src/model/proxy.ts'
import { ran } from '../../ran.ts'
import { type Bench, openBench } from './envoy.ts'

const hasEnvoy = (await ran('tools/envoy.sh', [])).code === 0
const LISTENER = 'envoy.config.listener.v3.Listener'
const ROUTES = 'envoy.config.route.v3.RouteConfiguration'

/** A listener on a port of the loopback that answers `/PATH` with 200, by an expression; its routes come by themselves. */
function row(name: string, port: number, expression: string, status = 200): EnvoyRow {
  const manager = 'envoy.extensions.filters.network.http_connection_manager.v3.HttpConnectionManager'
  const rds = { route_config_name: name, config_source: { ads: {}, resource_api_version: 'V3' } }
  const router = { '@type': 'envoy.extensions.filters.http.router.v3.Router' }
  const config = { '@type': manager, stat_prefix: name, rds, http_filters: [{ name: 'router', typed_config: router }] }
  const route = { match: { safe_regex: { regex: expression } }, direct_response: { status } }
  return {
    key: name,
    resources: [
      {
        type: LISTENER,
        name,
        body: {
          '@type': LISTENER,
          name,
          address: { socket_address: { address: '127.0.0.1', port_value: port } },
          filter_chains: [{ filters: [{ name: 'http', typed_config: config }] }],
        },
      },
      {
        type: ROUTES,
        name,
        body: { '@type': ROUTES, name, virtual_hosts: [{ name, domains: ['*'], routes: [route] }] },
      },
    ],
  }
}

const status = (port: number, path: string): Promise<number> =>
  new Promise((resolve) => {
    const asked = http.get({ host: '127.0.0.1', port, path, agent: false }, (r) => {
      r.resume()
      resolve(r.statusCode ?? 0)
    })
    asked.on('error', () => resolve(0))
  })

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0, '127.0.0.1')
  await new Promise((resolve) => server.once('listening', resolve))
  const { port } = server.address() as net.AddressInfo
  await new Promise((resolve) => server.close(resolve))
  return port
}

describe('the agent beside its Envoy', {
  timeout: 120_000,
  skip: hasEnvoy ? false : 'tools/envoy.sh finds no Envoy',
}, () => {
  let bench: Bench
  beforeEach(async () => {
    bench = await openBench(15_000)
    await bench.control.serve()
  })
  afterEach(() => bench.close())
  const target = () => bench.control.target('listeners', (r: EnvoyRow) => r.key)

  it('says that there is none, and gives it everything when it comes', async () => {
    const port = await freePort()
    const rows = target()
    assert.deepEqual(await rows.write([row('one', port, '/a')]), [{ ok: false, error: 'no Envoy' }])
    await bench.start()
    assert.deepEqual(await rows.write([row('one', port, '/a')]), [{ ok: true }])
    assert.equal(bench.control.problem('one'), '')
    assert.deepEqual([await status(port, '/a'), await status(port, '/b')], [200, 404])
  })

  it('keeps the last good state of what is refused, tells it of that row alone, and takes what is mended', async () => {
    await bench.start()
    const [one, two] = [await freePort(), await freePort()]
    const rows = target()
    assert.deepEqual(await rows.write([row('one', one, '/a')]), [{ ok: true }])
    const [bad, good] = await rows.write([row('one', one, '/(a'), row('two', two, '/b')])
    assert.ok(bad && !bad.ok && /missing \)/.test(bad.error), JSON.stringify(bad))
    assert.deepEqual(good, { ok: true })
    assert.match(bench.control.problem('one') ?? '', /missing \)/)
    assert.deepEqual([await status(one, '/a'), await status(two, '/b')], [200, 200])
    const [clash] = await rows.write([row('three', one, '/c')])
    assert.ok(clash && !clash.ok && /three/.test(clash.error), JSON.stringify(clash))
    assert.equal(await status(one, '/a'), 200)
    assert.deepEqual(await rows.write([row('one', one, '/mended')]), [{ ok: true }])
    assert.deepEqual([await status(one, '/a'), await status(one, '/mended')], [404, 200])
  })

  it('does not wait for ever for one that is slow, and takes its answer when it comes', async () => {
    await bench.close()
    bench = await openBench(3_000)
    await bench.control.serve()
    await bench.start()
    const port = await freePort()
    const rows = target()
    assert.deepEqual(await rows.write([row('one', port, '/a')]), [{ ok: true }])
    bench.pause()
    const [late] = await rows.write([row('one', port, '/b')])
    assert.deepEqual(late, { ok: false, error: 'Envoy has not answered within 3 s' })
    bench.resume()
    assert.deepEqual(await rows.write([row('one', port, '/b')]), [{ ok: true }])
    assert.deepEqual([await status(port, '/a'), await status(port, '/b')], [404, 200])
  })

  it('gives another Envoy the same after one has died', async () => {
    await bench.start()
    const port = await freePort()
    const rows = target()
    assert.deepEqual(await rows.write([row('one', port, '/a')]), [{ ok: true }])
    await bench.stop()
    while (bench.control.connected > 0) await new Promise((resolve) => setTimeout(resolve, 10))
    assert.deepEqual(await rows.write([row('one', port, '/b')]), [{ ok: false, error: 'no Envoy' }])
    await bench.start()
    assert.deepEqual(await rows.write([row('one', port, '/b')]), [{ ok: true }])
    assert.deepEqual([await status(port, '/a'), await status(port, '/b')], [404, 200])
  })

  it('finds an Envoy that outlived it serving, changes what differs, and removes what is wanted no longer', async () => {
    await bench.start()
    const [one, two] = [await freePort(), await freePort()]
    assert.deepEqual(await target().write([row('one', one, '/a'), row('two', two, '/b')]), [{ ok: true }, { ok: true }])
    const connection = new http.Agent({ keepAlive: true, maxSockets: 1 })
    const ask = (path: string) =>
      new Promise<string>((resolve) => {
        const asked = http.get({ host: '127.0.0.1', port: one, path, agent: connection }, (r) => {
          r.resume()
          r.on('end', () => resolve(`${r.statusCode} ${asked.reusedSocket ? 'again' : 'new'}`))
        })
        asked.on('error', (e) => resolve(e.message))
      })
    assert.equal(await ask('/a'), '200 new')
    await bench.control.close()
    assert.equal(await ask('/a'), '200 again')
    const next = openEnvoy({
      path: bench.xds,
      access: { wanted: false, take: () => {}, takeConnections: () => {} },
      absent: 'no Envoy',
      answerMs: 5_000,
    })
    try {
      const rows = next.target('listeners', (r: EnvoyRow) => r.key)
      const first = rows.write([row('one', one, '/a')])
      await next.serve()
      await first
      for (let i = 0; next.connected === 0 && i < 200; i++) await new Promise((resolve) => setTimeout(resolve, 50))
      assert.deepEqual(await rows.write([row('one', one, '/a2?')]), [{ ok: true }])
      assert.deepEqual([await ask('/a'), await ask('/a2')], ['200 again', '200 again'])
      for (let i = 0; (await status(two, '/b')) !== 0 && i < 200; i++)
        await new Promise((resolve) => setTimeout(resolve, 50))
      assert.equal(await status(two, '/b'), 0)
    } finally {
      connection.destroy()
      await next.close()
    }
  })
})
