// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { createSocket } from 'node:dgram'
import { connect } from 'node:net'
import { test } from 'node:test'
import { type Answer, type Decoded, decode, encode, type Question } from 'dns-packet'
import { parseCorefile } from './corefile.ts'
import { listenDns, respond, type Sources } from './server.ts'
import { createUpstream, framed } from './upstream.ts'
import { createZone, reverseName, type Zone } from './zone.ts'

const exampleZone = (): Zone => {
  const zone = createZone('cluster.local')
  zone.setService({
    namespace: 'default',
    name: 'deathstar',
    clusterIPs: ['10.96.1.2', 'fd00:10:96::2'],
    publishNotReady: false,
    ports: [{ name: 'http', protocol: 'TCP', port: 80 }],
  })
  zone.setService({
    namespace: 'default',
    name: 'db',
    clusterIPs: [],
    publishNotReady: false,
    ports: [{ name: 'sql', protocol: 'TCP', port: 5432 }],
  })
  zone.setService({
    namespace: 'default',
    name: 'far',
    clusterIPs: [],
    externalName: 'db.default.svc.cluster.local',
    publishNotReady: false,
    ports: [],
  })
  zone.setSlice({
    namespace: 'default',
    name: 'db-abc',
    service: 'db',
    endpoints: [
      { addresses: ['10.244.0.7'], hostname: 'db-0', ready: true },
      { addresses: ['10.244.1.8'], ready: true },
      { addresses: ['10.244.1.9'], ready: false },
    ],
    ports: [{ name: 'sql', protocol: 'TCP', port: 5432 }],
  })
  return zone
}

const ask = async (sources: Sources, question: Question, transport: 'udp' | 'tcp' = 'udp'): Promise<Decoded> => {
  const reply = await respond(sources, encode({ type: 'query', id: 77, flags: 256, questions: [question] }), transport)
  assert.ok(reply)
  const decoded = decode(reply)
  assert.equal(decoded.id, 77)
  return decoded
}

const text = (answers: readonly Answer[]) =>
  answers.map((a) =>
    'data' in a ? `${a.type} ${a.name} ${typeof a.data === 'string' ? a.data : JSON.stringify(a.data)}` : a.type,
  )

const fromZone = (name: string, type: string) => ask({ zone: exampleZone(), local: false }, { name, type })

test('a service name resolves to its addresses of the family asked for', async () => {
  assert.deepEqual(text((await fromZone('deathstar.default.svc.cluster.local', 'A')).answers), [
    'A deathstar.default.svc.cluster.local 10.96.1.2',
  ])
  assert.deepEqual(text((await fromZone('DeathStar.default.svc.cluster.local', 'AAAA')).answers), [
    'AAAA deathstar.default.svc.cluster.local fd00:10:96::2',
  ])
})

test('a headless service resolves to its ready endpoints, and a named endpoint to its own address', async () => {
  assert.deepEqual(text((await fromZone('db.default.svc.cluster.local', 'A')).answers), [
    'A db.default.svc.cluster.local 10.244.0.7',
    'A db.default.svc.cluster.local 10.244.1.8',
  ])
  assert.deepEqual(text((await fromZone('db-0.db.default.svc.cluster.local', 'A')).answers), [
    'A db-0.db.default.svc.cluster.local 10.244.0.7',
  ])
  assert.equal((await fromZone('10-244-1-9.db.default.svc.cluster.local', 'A')).rcode, 'NXDOMAIN')
})

test('SRV names ports, with the targets as additional records', async () => {
  const one = await fromZone('_http._tcp.deathstar.default.svc.cluster.local', 'SRV')
  assert.deepEqual(
    one.answers.map((a) => (a.type === 'SRV' ? [a.data.target, a.data.port] : a.type)),
    [['deathstar.default.svc.cluster.local', 80]],
  )
  assert.equal(one.additionals.length, 2)
  const two = await fromZone('_sql._tcp.db.default.svc.cluster.local', 'SRV')
  assert.deepEqual(
    two.answers.map((a) => (a.type === 'SRV' ? a.data.target : a.type)),
    ['db-0.db.default.svc.cluster.local', '10-244-1-8.db.default.svc.cluster.local'],
  )
  assert.equal((await fromZone('_none._tcp.db.default.svc.cluster.local', 'SRV')).rcode, 'NXDOMAIN')
})

test('an unknown name under the domain is NXDOMAIN with the SOA, never forwarded', async () => {
  let forwarded = 0
  const sources: Sources = {
    zone: exampleZone(),
    local: false,
    upstream: {
      ask: async () => {
        forwarded++
        return undefined
      },
    },
  }
  const reply = await ask(sources, { name: 'deathstar.default.svc.cluster.local.svc.cluster.local', type: 'A' })
  assert.equal(reply.rcode, 'NXDOMAIN')
  assert.equal(decode(encode({ ...reply })).questions.length, 1)
  assert.equal(forwarded, 0)
})

test('a name that exists without the type asked for is an empty answer, not NXDOMAIN', async () => {
  const reply = await fromZone('default.svc.cluster.local', 'A')
  assert.deepEqual([reply.rcode, reply.answers.length], ['NOERROR', 0])
  assert.deepEqual((await fromZone('deathstar.default.svc.cluster.local', 'TXT')).rcode, 'NOERROR')
})

test('addresses of services and endpoints have reverse names, pod names carry their address', async () => {
  assert.deepEqual(text((await fromZone(reverseName('10.96.1.2'), 'PTR')).answers), [
    'PTR 2.1.96.10.in-addr.arpa deathstar.default.svc.cluster.local',
  ])
  assert.deepEqual(text((await fromZone(reverseName('fd00:10:96::2'), 'PTR')).answers).length, 1)
  assert.deepEqual(text((await fromZone('10-244-0-7.default.pod.cluster.local', 'A')).answers), [
    'A 10-244-0-7.default.pod.cluster.local 10.244.0.7',
  ])
  assert.equal((await fromZone('10-244-0-777.default.pod.cluster.local', 'A')).rcode, 'NXDOMAIN')
})

test('an external name is an alias followed to its addresses', async () => {
  assert.deepEqual(text((await fromZone('far.default.svc.cluster.local', 'A')).answers), [
    'CNAME far.default.svc.cluster.local db.default.svc.cluster.local',
    'A db.default.svc.cluster.local 10.244.0.7',
    'A db.default.svc.cluster.local 10.244.1.8',
  ])
})

test('what does not fit a datagram comes back truncated and whole over TCP', async () => {
  const zone = exampleZone()
  const endpoints = Array.from({ length: 60 }, (_, i) => ({ addresses: [`10.244.3.${i}`], ready: true }))
  zone.setSlice({ namespace: 'default', name: 'db-abc', service: 'db', endpoints, ports: [] })
  const question = { name: 'db.default.svc.cluster.local', type: 'A' }
  const small = await ask({ zone, local: false }, question)
  assert.deepEqual([small.flags & 0x200, small.answers.length], [0x200, 0])
  assert.equal((await ask({ zone, local: false }, question, 'tcp')).answers.length, 60)
})

test('a record that can not be written is a failure of that question alone', async () => {
  const zone = exampleZone()
  zone.answer = () => {
    throw new Error('unwritable')
  }
  assert.equal(
    (await ask({ zone, local: false }, { name: 'x.default.svc.cluster.local', type: 'A' })).rcode,
    'SERVFAIL',
  )
})

test('rubbish is answered with FORMERR or not at all', async () => {
  const sources: Sources = { zone: exampleZone(), local: false }
  assert.equal(await respond(sources, new Uint8Array(5), 'udp'), undefined)
  assert.equal(await respond(sources, Uint8Array.from([0, 1, 0x80, 0, 0, 1, 0, 0, 0, 0, 0, 0]), 'udp'), undefined)
  const loop = Uint8Array.from([0, 1, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0xc0, 0x0c, 0, 1, 0, 1])
  const reply = await respond(sources, loop, 'udp')
  assert.equal(reply && decode(reply).rcode, 'FORMERR')
})

test('other names are forwarded over UDP and TCP, SERVFAIL when no server answers', async () => {
  const far = await listenDns(
    {
      zone: (() => {
        const zone = createZone('example.org')
        return zone
      })(),
      local: true,
    },
    0,
  )
  const near = await listenDns({ local: false, upstream: createUpstream([`[::1]:${far.port}`]) }, 0)
  const dead = createSocket('udp4')
  await new Promise<void>((resolve) => dead.bind(0, '127.0.0.1', resolve))
  const port = dead.address().port
  dead.close()
  try {
    const query = encode({ type: 'query', id: 9, flags: 256, questions: [{ name: 'localhost', type: 'A' }] })
    const udp = createSocket('udp4')
    const got = new Promise<Uint8Array>((resolve) => udp.once('message', resolve))
    udp.send(query, near.port, '127.0.0.1')
    assert.deepEqual(text(decode(await got).answers), ['A localhost 127.0.0.1'])
    udp.close()
    const tcp = connect(near.port, '127.0.0.1', () => tcp.write(framed(query)))
    const reply = await new Promise<Buffer>((resolve) => tcp.once('data', resolve))
    assert.deepEqual(text(decode(reply.subarray(2)).answers), ['A localhost 127.0.0.1'])
    tcp.destroy()
    const failed = await ask(
      { local: false, upstream: createUpstream([`127.0.0.1:${port}`]) },
      { name: 'example.com', type: 'A' },
    )
    assert.equal(failed.rcode, 'SERVFAIL')
  } finally {
    near.close()
    far.close()
  }
})

test('localhost is answered under every search domain too, no other name is', async () => {
  const of = async (name: string) => ask({ local: true }, { name, type: 'A' })
  for (const name of ['localhost', 'a.localhost', 'localhost.shop.svc.cluster.local'])
    assert.deepEqual(text((await of(name)).answers), [`A ${name} 127.0.0.1`])
  assert.equal((await of('localhosts.example.com')).rcode, 'REFUSED')
})

test('a Corefile gives the settings this server has and ignores other plugins', () => {
  const settings = parseCorefile(
    `.:5353 {
      errors
      health { # comment
         lameduck 5s
      }
      ready
      kubernetes cluster.local in-addr.arpa ip6.arpa {
         pods insecure
         ttl 30
      }
      forward . /etc/resolv.conf {
         max_concurrent 1000
      }
      cache 30
    }`,
    () => ['192.0.2.1'],
  )
  assert.deepEqual(settings, {
    port: 5353,
    domain: 'cluster.local',
    upstreams: ['192.0.2.1'],
    local: false,
    healthPort: 8080,
    readyPort: 8181,
  })
  assert.throws(() => parseCorefile('. {\n errors\n', () => []), /not closed/)
})
