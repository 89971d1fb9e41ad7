// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Answer, decode, encode } from 'dns-packet'
import { address } from '../../base/ip.ts'
import type { DnsRecord, FromProxy, Learnt } from '../../edge/dns/messages.ts'
import { readMessage } from '../../protocol/dns/message.ts'
import type { Outcome } from './ask.ts'
import { openRelease } from './release.ts'
import { type Asking, openService } from './serve.ts'

const query = (name: string): Uint8Array =>
  encode({ type: 'query', id: 5, flags: 0x100, questions: [{ name, type: 'A' }] })

/** A service with a server that answers when told to, and an agent that is a list. */
function stage(limits = { all: 10, pod: 3 }) {
  let now = 0
  const said: Extract<FromProxy, { kind: 'learn' }>[] = []
  const records: DnsRecord[] = []
  const servers: ((outcome: Outcome) => void)[] = []
  const release = openRelease(
    (message) => {
      if (message.kind === 'learn') said.push(message)
      return true
    },
    () => now,
  )
  const service = openService(release, limits, () => 0, { wanted: true, take: (r) => void records.push(r) })
  const asking = (name: string, client = '10.0.0.9'): Asking => ({
    listener: { name: 'l', port: 1, refuse: 'refused', rules: [{ rule: 'p', dns: [{ matchPattern: '*.test' }] }] },
    protocol: 'UDP',
    client: { address: address(client), port: 1000 },
    server: { address: address('10.96.0.10'), port: 53 },
    query: query(name),
    ask: () => new Promise((resolve) => servers.push(resolve)),
  })
  const answer = (name: string, ...addresses: readonly string[]): Outcome => {
    const answers = addresses.map((data): Answer => ({ type: 'A', name, ttl: 30, data }))
    const bytes = encode({ type: 'response', id: 5, flags: 0x180, questions: [{ name, type: 'A' }], answers })
    const read = readMessage(bytes)
    return { bytes, message: read.ok ? read.value : undefined }
  }
  return { service, release, said, records, servers, asking, answer, later: (s: number) => void (now += s * 1000) }
}
const rcodeOf = async (answered: Promise<Uint8Array | undefined> | Uint8Array | undefined): Promise<string> => {
  const bytes = await answered
  return bytes ? decode(Buffer.from(bytes)).rcode : 'none'
}
const turn = () => new Promise((resolve) => setImmediate(resolve))

test('an answer with addresses waits until the agent says that the kernel knows them', async () => {
  const { service, release, said, servers, asking, answer } = stage()
  let released = false
  const done = Promise.resolve(service.answer(asking('A.test'))).then((bytes) => {
    released = true
    return bytes
  })
  servers[0]?.(answer('A.test', '10.1.0.1'))
  await turn()
  assert.equal(released, false)
  assert.deepEqual(said[0]?.answer satisfies Learnt | undefined, {
    client: '10.0.0.9',
    server: '10.96.0.10',
    name: 'a.test',
    addresses: [{ address: '10.1.0.1', ttl: 30 }],
  })
  release.done(said[0]?.id ?? 0, undefined)
  assert.equal(await rcodeOf(done), 'NOERROR')
  assert.equal(service.underWay, 0)
})

test('what was confirmed goes out at once while its time lasts, and not after it or when it is forgotten', async () => {
  const { service, release, said, servers, asking, answer, later } = stage()
  const round = async (...addresses: readonly string[]): Promise<boolean> => {
    let released = false
    const done = Promise.resolve(service.answer(asking('a.test'))).then(() => (released = true))
    servers.pop()?.(answer('a.test', ...addresses))
    await turn()
    const atOnce = released
    release.done(said.at(-1)?.id ?? 0, undefined)
    await done
    return atOnce
  }
  assert.equal(await round('10.1.0.1'), false)
  assert.equal(await round('10.1.0.1'), true)
  assert.equal(said.length, 1)
  later(6)
  assert.equal(await round('10.1.0.1'), true)
  assert.equal(said.length, 2, 'the agent hears of it now and then')
  later(25)
  assert.equal(await round('10.1.0.1'), true, 'and its time has begun anew')
  assert.equal(await round('10.1.0.1', '10.1.0.2'), false, 'a new address beside')
  later(31)
  assert.equal(await round('10.1.0.1'), false, 'its time is over')
  release.forget()
  assert.equal(await round('10.1.0.1'), false, 'forgotten')
})

test('an agent that comes back is told again what waits', async () => {
  const { service, release, said, servers, asking, answer } = stage()
  const done = service.answer(asking('a.test'))
  servers[0]?.(answer('a.test', '10.1.0.1'))
  await turn()
  release.again()
  assert.equal(said.length, 2)
  assert.equal(said[0]?.id, said[1]?.id)
  release.done(said[1]?.id ?? 0, undefined)
  assert.equal(await rcodeOf(done), 'NOERROR')
  release.done(said[0]?.id ?? 0, undefined)
})

test('addresses that the kernel has no room for are not given out', async () => {
  const { service, release, said, servers, asking, answer, records } = stage()
  const done = service.answer(asking('a.test'))
  servers[0]?.(answer('a.test', '10.1.0.1'))
  await turn()
  release.done(said[0]?.id ?? 0, 'full')
  assert.equal(await rcodeOf(done), 'SERVFAIL')
  assert.equal(records.at(-1)?.verdict, 'error')
})

test('without addresses nobody waits; a silent server is silence, one that refuses a failure', async () => {
  const { service, said, servers, asking, answer } = stage()
  const none = service.answer(asking('a.test'))
  servers[0]?.(answer('a.test'))
  assert.equal(await rcodeOf(none), 'NOERROR')
  const silent = service.answer(asking('a.test'))
  servers[1]?.('silence')
  assert.equal(await rcodeOf(silent), 'none')
  const refusing = service.answer(asking('a.test'))
  servers[2]?.('refused')
  assert.equal(await rcodeOf(refusing), 'SERVFAIL')
  assert.equal(said.length, 0)
})

test('a pod has so many questions under way, and all pods together', async () => {
  const { service, servers, asking, answer } = stage({ all: 5, pod: 3 })
  const three = [0, 1, 2].map(() => service.answer(asking('a.test')))
  assert.equal(await rcodeOf(service.answer(asking('a.test'))), 'SERVFAIL')
  const others = [0, 1].map(() => service.answer(asking('a.test', '10.0.0.8')))
  assert.equal(await rcodeOf(service.answer(asking('a.test', '10.0.0.7'))), 'SERVFAIL')
  assert.equal(service.counts.turnedAway, 2)
  for (const server of servers) server(answer('a.test'))
  await Promise.all([...three, ...others])
  assert.equal(service.underWay, 0)
  const again = service.answer(asking('a.test'))
  servers.at(-1)?.(answer('a.test'))
  assert.equal(await rcodeOf(again), 'NOERROR')
})

test('a refused question is told, with nobody asked', async () => {
  const { service, servers, asking, records } = stage()
  assert.equal(await rcodeOf(service.answer(asking('other.example'))), 'REFUSED')
  assert.equal(servers.length, 0)
  assert.deepEqual(
    records.map((r) => [r.kind, r.verdict, r.name, r.rcode]),
    [['request', 'denied', 'other.example', 5]],
  )
})
