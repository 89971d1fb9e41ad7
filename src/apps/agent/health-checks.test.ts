// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { once } from 'node:events'
import net, { type AddressInfo } from 'node:net'
import { test } from 'node:test'
import { healthChecksTarget } from './health-checks.ts'

async function freePort(): Promise<number> {
  const server = net.createServer().listen(0)
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}
const asked = async (port: number): Promise<readonly [number, unknown, string | null] | 'refused'> => {
  try {
    const r = await fetch(`http://127.0.0.1:${port}/any/path`)
    return [r.status, await r.json(), r.headers.get('x-load-balancing-endpoint-weight')]
  } catch {
    return 'refused'
  }
}

test('a health check port says how many endpoints are here, follows its service, and is closed with it', async () => {
  const target = healthChecksTarget()
  const [first, second] = [await freePort(), await freePort()]
  const service = { namespace: 'shop', name: 'web' }
  try {
    assert.deepEqual(await target.write([{ ...service, port: first, localEndpoints: 2 }]), [{ ok: true }])
    assert.deepEqual(await asked(first), [200, { service, localEndpoints: 2 }, '2'])
    await target.write([{ ...service, port: first, localEndpoints: 0 }])
    assert.deepEqual(await asked(first), [503, { service, localEndpoints: 0 }, '0'])
    await target.write([{ ...service, port: second, localEndpoints: 1 }])
    assert.equal(await asked(first), 'refused')
    assert.deepEqual(await asked(second), [200, { service, localEndpoints: 1 }, '1'])
    assert.deepEqual(await target.load(), [{ ...service, port: second, localEndpoints: 1 }])
    await target.remove([{ ...service, port: second, localEndpoints: 1 }])
    assert.equal(await asked(second), 'refused')
  } finally {
    await target.close()
  }
})

test('a port that somebody else has is an error that names the service, and is taken once it is free', async () => {
  const other = net.createServer().listen(0)
  await once(other, 'listening')
  const { port } = other.address() as AddressInfo
  const target = healthChecksTarget()
  const row = { namespace: 'shop', name: 'web', port, localEndpoints: 1 }
  try {
    const [outcome] = await target.write([row])
    assert(outcome?.ok === false)
    assert.match(outcome.error, new RegExp(`healthCheckNodePort ${port} of service shop/web: .*EADDRINUSE`))
    other.close()
    await once(other, 'close')
    assert.deepEqual(await target.write([row]), [{ ok: true }])
    assert.equal((await asked(port))[0], 200)
  } finally {
    other.close()
    await target.close()
  }
})
