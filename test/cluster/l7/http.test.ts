// SPDX-License-Identifier: Apache-2.0
/** HTTP rules through a stock Envoy, as users see them: who gets what, whose address the server sees, what is told. */
import assert from 'node:assert/strict'
import { after, before, describe, it } from 'node:test'
import { Lab } from '../../lab.ts'
import { ran } from '../../ran.ts'
import { ask, hostOf, httpPolicy, type Pods, startPods, until } from './pods.ts'
import { fresh, grpc, http, websocket } from './talk.ts'

const hasEnvoy = (await ran('tools/envoy.sh', [])).code === 0

describe('HTTP rules', { timeout: 400_000, skip: hasEnvoy ? false : 'tools/envoy.sh finds no Envoy' }, () => {
  let lab: Lab
  let pods: Pods
  before(async () => {
    lab = await Lab.up('l7http', [], 2)
    pods = await startPods(lab)
  })
  after(() => ran('bin/cilium-lab', ['down', '--name', 'l7http']))

  const apply = (policy: string) => lab.kubectl(['apply', '-f', '-'], policy)
  const drop = (...names: readonly string[]) => lab.kubectl(['delete', 'cnp', ...names])
  /** Every client asks every server at each of its addresses; answers `status` by path. */
  async function eachPair(check: (get: (path: string) => ReturnType<typeof ask>, from: string) => Promise<void>) {
    const pairs = pods.clients.flatMap((client) => pods.servers.map((server) => [client, server] as const))
    await Promise.all(
      pairs.map(async ([client, server]) => {
        for (const [family, address] of server.addresses.entries()) {
          const get = (path: string) => ask(lab, client.name, `http://${hostOf(address)}${path}`)
          await check(get, client.addresses[family] ?? '')
        }
      }),
    )
  }
  const settled = (path: string, status: number) =>
    until(`${path} gives ${status} everywhere`, async () => {
      let all = true
      await eachPair(async (get) => {
        all &&= (await get(path)).status === status
      })
      return all
    })

  for (const direction of ['ingress', 'egress'] as const)
    it(`of ${direction} decide by path and method, in both families, on one node and across, and the server sees the client`, async () => {
      await apply(httpPolicy('one', direction, [{ method: 'GET', path: '/public(/.*)?' }]))
      await settled('/secret', 403)
      await eachPair(async (get, from) => {
        const passed = await get('/public/a')
        assert.equal(passed.status, 200)
        assert.equal(JSON.parse(passed.body).address, from)
        const refused = await get('/publicity')
        assert.deepEqual(refused, { status: 403, body: 'Access denied\r\n' })
      })
      await drop('one')
      await settled('/secret', 200)
    })

  it('of both ends must both hold', async () => {
    await apply(httpPolicy('in', 'ingress', [{ path: '/(both|in)' }]))
    await apply(httpPolicy('out', 'egress', [{ path: '/(both|out)' }]))
    await settled('/nothing', 403)
    await eachPair(async (get) => {
      assert.deepEqual(
        [(await get('/both')).status, (await get('/in')).status, (await get('/out')).status],
        [200, 403, 403],
      )
    })
    await drop('in', 'out')
    await settled('/nothing', 200)
  })

  it('that change are obeyed by the next request of a connection that lives on', async () => {
    await apply(httpPolicy('one', 'ingress', [{ path: '/a' }]))
    await settled('/b', 403)
    const url = `http://${pods.servers[1]?.addresses[0]}`
    const talk = http(lab, `default/${pods.clients[0]?.name}`, url)
    assert.deepEqual([await talk.get('/a'), await talk.get('/b')], ['200', '403'])
    await apply(httpPolicy('one', 'ingress', [{ path: '/b' }]))
    await settled('/a', 403)
    assert.deepEqual([await talk.get('/a'), await talk.get('/b')], ['403', '200'])
    assert.equal(await talk.connections(), 1)
    await talk.stop()
    await drop('one')
  })

  it('that move a connection to another listener end it for both ends, and the next one is decided by them', async () => {
    for (const [n, server] of pods.servers.entries()) {
      const url = `http://${hostOf(server.addresses[n % 2] ?? '')}`
      const talk = http(lab, `default/${pods.clients[0]?.name}`, url)
      /** Asked on the connection there is: it ends, at once or by a new one being decided on. */
      const moved = async (path: string, before: number) => {
        const answer = await talk.get(path)
        assert.match(answer, /^(ECONNRESET|socket hang up|403)$/)
        assert.deepEqual([await talk.get(path), await talk.connections()], ['403', before + 1])
      }
      // Without rules it went straight to the server.
      assert.equal(await talk.get('/b'), '200')
      await apply(httpPolicy('one', 'ingress', [{ path: '/a' }]))
      await settled('/b', 403)
      await moved('/b', 1)
      assert.equal(await talk.get('/a'), '200')
      // Another policy beside the first makes another listener.
      await apply(httpPolicy('two', 'ingress', [{ path: '/b' }]))
      await settled('/b', 200)
      await moved('/c', 2)
      assert.equal(await talk.get('/b'), '200')
      await talk.stop()
      await drop('one', 'two')
      await settled('/c', 200)
    }
  })

  it('of several policies add up; a rule for the port alone lets everything pass, and a denial nothing', async () => {
    const client = pods.clients[0]?.name ?? ''
    const url = `http://${pods.servers[1]?.addresses[0]}`
    const status = async (path: string) => (await ask(lab, client, url + path)).status
    await apply(httpPolicy('a', 'ingress', [{ path: '/a' }]))
    await apply(httpPolicy('b', 'ingress', [{ path: '/b' }]))
    await settled('/b', 200)
    await settled('/c', 403)
    assert.equal(await status('/a'), 200)
    await apply(httpPolicy('all', 'ingress', []))
    await settled('/c', 200)
    await drop('all')
    await settled('/c', 403)
    await apply(httpPolicy('no', 'ingress', []).replace('"ingress":', '"ingressDeny":'))
    await until('nothing passes', async () => (await status('/a')) === 0)
    await drop('a', 'b', 'no')
  })

  it('ask for hosts, headers and methods, and mend headers where they say so', async () => {
    const client = pods.clients[1]?.name ?? ''
    const url = `http://${pods.servers[0]?.addresses[0]}`
    const get = (path: string, ...args: string[]) => ask(lab, client, url + path, args)
    await apply(
      httpPolicy('h', 'ingress', [
        { path: '/token', headers: ['X-Token: open'] },
        { path: '/any', headers: ['X-Token'] },
        { path: '/host', host: 'good[.]example' },
        { path: '/replace', headerMatches: [{ name: 'X-Who', value: 'me', mismatch: 'REPLACE' }] },
        { path: '/delete', headerMatches: [{ name: 'X-Who', value: 'me', mismatch: 'DELETE' }] },
        { path: '/add', headerMatches: [{ name: 'X-Who', value: 'me', mismatch: 'ADD' }] },
        { path: '/log', headerMatches: [{ name: 'X-Who', value: 'me', mismatch: 'LOG' }] },
      ]),
    )
    await settled('/nothing', 403)
    const statuses = await Promise.all([
      get('/token'),
      get('/token', '-H', 'X-Token: shut'),
      get('/token', '-H', 'X-Token: open'),
      get('/any', '-H', 'X-Token: x'),
      get('/host'),
      get('/host', '-H', 'Host: good.example'),
    ])
    assert.deepEqual(
      statuses.map((s) => s.status),
      [403, 403, 200, 200, 403, 200],
    )
    const who = async (path: string) =>
      JSON.parse((await get(path, '-H', 'X-Who: you')).body).headers['x-who'] as string | undefined
    assert.deepEqual(
      [await who('/replace'), await who('/delete'), await who('/add'), await who('/log')],
      ['me', undefined, 'you, me', 'you'],
    )
    await drop('h')
  })

  it('refuse gRPC calls with PERMISSION_DENIED, and pass HTTP/2 and WebSockets', async () => {
    const client = `default/${pods.clients[0]?.name}`
    const server = pods.servers[1]?.addresses[0] ?? ''
    await apply(httpPolicy('g', 'ingress', [{ method: 'POST', path: '/demo.Demo/Say' }], '50051'))
    await apply(httpPolicy('w', 'ingress', [{ path: '/chat' }]))
    await settled('/nothing', 403)
    assert.equal(await grpc(lab, client, `http://${server}:50051`, '/demo.Demo/Say'), 0)
    assert.equal(await grpc(lab, client, `http://${server}:50051`, '/demo.Demo/Hear'), 7)
    assert.deepEqual(await websocket(lab, client, `http://${server}/chat`), { status: 101, echo: 'hello' })
    assert.equal((await websocket(lab, client, `http://${server}/other`)).status, 403)
    await drop('g', 'w')
  })

  it('let a client come anew more often than there are ports for the proxy to go on with', async () => {
    await apply(httpPolicy('one', 'ingress', [{ path: '/a' }]))
    await settled('/b', 403)
    const url = `http://${pods.servers[0]?.addresses[0]}`
    assert.deepEqual(await fresh(lab, 'default/client-0', url, 6_000), { 200: 6_000 })
    await drop('one')
  })

  it('tell of each request who asked for what, and of a refused one whose rules it did not meet', async () => {
    await apply(httpPolicy('one', 'ingress', [{ path: '/a' }]))
    await settled('/b', 403)
    const server = pods.servers[0]
    const url = `http://${server?.addresses[0]}`
    const both = [
      /-> Request http from .*k8s:role=client.* to .*k8s:role=server.*, identity \d+->\d+, verdict Forwarded GET http:\/\/\S+\/a => 200 \(by CiliumNetworkPolicy\/default\/one#spec.ingress\[0\].toPorts\[0\].rules.http\[0\]\)/,
      /verdict Denied GET http:\/\/\S+\/b => 403 \(no match in CiliumNetworkPolicy\/default\/one#spec.ingress\[0\].toPorts\[0\]\)/,
    ]
    const asked = async () => {
      await ask(lab, 'client-1', `${url}/a`)
      await ask(lab, 'client-1', `${url}/b`)
    }
    await lab.monitor(server?.node ?? '', 'l7', asked, (told) => both.every((line) => line.test(told)))
    const { stdout: status } = await lab.cilium(server?.node ?? '', ['status'])
    assert.match(status, /Proxy Status: +OK, .* 1 redirects active on ports 10000-19999, Envoy: external/)
    await drop('one')
  })

  it('of an audited policy ask nothing, and the connection is told as one that they would ask', async () => {
    await apply(httpPolicy('one', 'ingress', [{ path: '/a' }]))
    await settled('/b', 403)
    const server = pods.servers[0]
    await lab.kubectl(['annotate', 'cnp', 'one', 'cilium-ts.io/policy-mode=audit'])
    await settled('/b', 200)
    await lab.monitor(
      server?.node ?? '',
      'policy-verdict',
      () => ask(lab, 'client-1', `http://${server?.addresses[0]}/b`),
      (told) =>
        /state new .* audited: .*:80 tcp SYN .*ingress rule CiliumNetworkPolicy\/default\/one#spec.ingress\[0\].toPorts\[0\]/.test(
          told,
        ),
    )
    await drop('one')
  })

  it('show in the administration of Envoy, which no port leads to', async () => {
    await apply(httpPolicy('one', 'ingress', [{ path: '/a' }]))
    await settled('/b', 403)
    const node = pods.servers[0]?.node ?? ''
    const admin = async (...args: string[]) => (await lab.cilium(node, ['envoy', 'admin', ...args])).stdout
    const [name = ''] = /ingress-[0-9a-f]{16}/.exec(await admin('listeners')) ?? []
    assert.match(name, /^ingress-/)
    assert.match(await admin('config', 'routes', '-n', name), /CiliumNetworkPolicy\/default\/one#spec.ingress\[0\]/)
    assert.match(await admin('clusters'), /^ingress::/m)
    assert.match(
      await admin('metrics', '-f', 'http.ingress.downstream_rq_4xx'),
      /^http.ingress.downstream_rq_4xx: [1-9]/m,
    )
    assert.match(await admin('serverinfo'), /"state": "LIVE"/)
    const listening = await ran('bin/cilium-lab', ['nsenter', '--name', 'l7http', node, '--', 'ss', '-Hltn'])
    for (const place of listening.stdout.matchAll(/(\S+):(1\d{4}) /g))
      assert.match(place[1] ?? '', /^(127\.0\.0\.1|\[::1\])$/, listening.stdout)
    await drop('one')
  })

  it('that ask for nothing let everything pass, and every request is told', async () => {
    await apply(httpPolicy('all', 'ingress', [{}]))
    await until('a redirection', async () =>
      (await lab.cilium(pods.servers[0]?.node ?? '', ['status'])).stdout.includes(' 1 redirects active'),
    )
    const url = `http://${pods.servers[0]?.addresses[0]}`
    const asked = async () => {
      assert.equal((await ask(lab, 'client-1', `${url}/any`)).status, 200)
      assert.equal((await ask(lab, 'client-1', `${url}/x`, ['-X', 'PUT'])).status, 200)
    }
    const both = [/verdict Forwarded GET http:\/\/\S+\/any => 200/, /verdict Forwarded PUT http:\/\/\S+\/x => 200/]
    await lab.monitor(pods.servers[0]?.node ?? '', 'l7', asked, (told) => both.every((line) => line.test(told)))
    await drop('all')
  })

  it('that Envoy could not use are told by the policy, and the version before holds', async () => {
    await apply(httpPolicy('one', 'ingress', [{ path: '/a' }]))
    await settled('/b', 403)
    await apply(httpPolicy('one', 'ingress', [{ path: '/(a' }]))
    await until('the policy is not valid', async () =>
      (await lab.kubectl(['get', 'cnp', 'one', '-o', 'jsonpath={.status.conditions}'])).includes(
        'not a regular expression',
      ),
    )
    await settled('/a', 200)
    await settled('/b', 403)
    await drop('one')
  })
})
