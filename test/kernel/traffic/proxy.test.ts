// SPDX-License-Identifier: Apache-2.0
// What policy redirects, through a proxy that lets everything pass: UDP and TCP, both routing modes, both families.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { after, before, describe, test } from 'node:test'
import { Drop, EventKind } from '../../../gen/contract.ts'
import { type Cluster, gateway, nodeAddress, openCluster, outside, pods } from './topology.ts'

const PORT = 12345
const udp = 1
const tcp = 0
/** Of the asker's node. */
const ownAddresses = [...Object.values(nodeAddress[1]), ...Object.values(gateway[1])]

for (const [mode, firewall] of [
  ['native', false],
  ['overlay', false],
  ['overlay', true],
] as const) {
  describe(`${mode}${firewall ? ', with a host firewall' : ''}`, () => {
    let cluster: Cluster
    let proxy: Awaited<ReturnType<Cluster['proxy']>>

    /** All that pod a sends to port 53 and 80 goes to the listener with this port; 0: it goes its way. */
    const redirect = (port: number) => {
      const cell = port === 0 ? (['allow', 30] as const) : (['redirect', 30, 0, port] as const)
      cluster.node(1).table(3 + (port % 7), {
        columns: [
          [udp, 53, 54],
          [tcp, 80, 80],
          [tcp, 54, 54],
        ],
        cells: [[['allow', 10], cell, cell, cell]],
      })
      cluster.node(1).policy(1, 2, 3 + (port % 7))
      cluster.node(1).bumpEpoch()
    }
    const drops = () =>
      cluster
        .node(1)
        .events()
        .filter((event) => event.kind === EventKind.EVENT_DROP)

    before(async () => {
      cluster = openCluster(mode, firewall)
      await Promise.all([
        cluster.serve('b', 53, 80),
        cluster.serve('c', 53, 80),
        cluster.serve('n1', ...ownAddresses.map((address) => `80@${address}`)),
        cluster.serve('n2', `53@${outside.v4}`, `53@${outside.v6}`, `80@${outside.v4}`, `80@${outside.v6}`),
      ])
      cluster.proxyRoutes('n1')
      proxy = await cluster.proxy('n1', PORT)
      for (const number of [1, 2] as const) cluster.node(number).policy(number + 1, 1, 1)
      redirect(PORT)
    })
    after(() => cluster?.close())

    for (const family of ['v4', 'v6'] as const) {
      const own = pods.a[family]
      const vip = family === 'v4' ? '10.96.0.53' : 'fd00:96::53'

      for (const [name, to] of [
        ['of the same node', pods.b[family]],
        ['of another node', pods.c[family]],
      ] as const) {
        test(`${family}: a pod ${name} is asked in the asker’s name, and answers from its own address`, async () => {
          const before = proxy.said.length
          assert.equal(await cluster.ask('a', `udp ${to} 53 ?`), `${own} ${to}`)
          assert.equal(await cluster.ask('a', `connected ${to} 53 1200`), `same ${to}`)
          assert.equal(await cluster.ask('a', `tcp ${to} 80 300000`), `same ${to}`)
          assert.deepEqual(proxy.said.slice(before), [`udp ${own} ${to}`, `udp ${own} ${to}`, `tcp ${own} ${to}`])
        })

        test(`${family}: a long answer of a pod ${name} arrives in fragments`, async () => {
          assert.equal(await cluster.ask('a', `udp ${to} 53 !`), `4000 ${to}`)
        })

        test(`${family}: a service before a pod ${name} is translated first, and answers as itself`, async () => {
          const before = proxy.said.length
          cluster.node(1).service(vip, 53, 17, [[to, 53]])
          for (const inside of [true, false]) {
            assert.equal(await cluster.ask('a', `udp ${vip} 53 100`, inside), `same ${vip}`)
            assert.equal(await cluster.ask('a', `connected ${vip} 53 100`, inside), `same ${vip}`)
          }
          cluster.node(1).service(vip, 80, 6, [[to, 80]])
          for (const inside of [true, false])
            assert.equal(await cluster.ask('a', `tcp ${vip} 80 300000`, inside), `same ${vip}`)
          assert.deepEqual(
            proxy.said.slice(before),
            ['udp', 'udp', 'udp', 'udp', 'tcp', 'tcp'].map((protocol) => `${protocol} ${own} ${to}`),
          )
        })
      }

      test(`${family}: a server outside sees the node, and is answered for`, async () => {
        const to = outside[family]
        assert.equal(await cluster.ask('a', `udp ${to} 53 ?`), `${nodeAddress[1][family]} ${to}`)
        assert.equal(await cluster.ask('a', `udp ${to} 53 !`), `4000 ${to}`)
        assert.equal(await cluster.ask('a', `tcp ${to} 80 300000`), `same ${to}`)
        assert.equal(proxy.said.at(-1), `tcp ${own} ${to}`)
      })

      test(`${family}: a program of the asker’s node is asked in the asker’s name, and answers the proxy`, async () => {
        for (const to of [nodeAddress[1][family], gateway[1][family]]) {
          const before = proxy.said.length
          for (const size of [10, 300000]) assert.equal(await cluster.ask('a', `tcp ${to} 80 ${size}`), `same ${to}`)
          assert.deepEqual(proxy.said.slice(before), [`tcp ${own} ${to}`, `tcp ${own} ${to}`])
        }
        // The proxy ended them first: what the program says last is for a socket that waits out its time.
        const open = () =>
          execFileSync('ip', ['netns', 'exec', cluster.space('n1'), 'ss', '-Htan', 'sport = :80'], { encoding: 'utf8' })
        const isOver = () => !/^(?!LISTEN|TIME-WAIT)/m.test(open().trim())
        for (let tries = 0; !isOver() && tries < 200; tries++) await new Promise((resolve) => setTimeout(resolve, 20))
        assert.ok(isOver(), open())
        assert.deepEqual(drops(), [])
      })

      test(`${family}: where nobody of the asker’s node listens, the proxy hears of it`, async () => {
        const to = nodeAddress[1][family]
        const before = proxy.said.length
        await cluster.ask('a', `tcp ${to} 54 5`)
        const [asked, heard] = proxy.said.slice(before)
        assert.equal(asked, `tcp ${own} ${to}`)
        assert.match(heard ?? '', /^error .*ECONNREFUSED$/)
      })

      test(`${family}: where nobody listens, the proxy hears of it`, async () => {
        for (const to of [pods.b[family], pods.c[family]]) {
          const before = proxy.said.length
          assert.equal(await cluster.askInVain('a', `udp ${to} 54 5`), 'timeout')
          assert.deepEqual(proxy.said.slice(before), [`udp ${own} ${to}`, 'error -111'])
        }
      })

      test(`${family}: policy that changes between question and answer loses neither`, async () => {
        const to = pods.c[family]
        for (const change of [() => cluster.node(1).bumpEpoch(), () => redirect(0), () => redirect(PORT)]) {
          const answer = cluster.ask('a', `connected ${to} 53 100`)
          await new Promise((resolve) => setTimeout(resolve, 20))
          change()
          assert.equal(await answer, `same ${to}`)
        }
      })

      test(`${family}: what is no longer redirected goes straight on`, async () => {
        const before = proxy.said.length
        redirect(0)
        assert.equal(await cluster.ask('a', `udp ${pods.b[family]} 53 100`), `same ${pods.b[family]}`)
        assert.equal(await cluster.ask('a', `tcp ${pods.c[family]} 80 1000`), `same ${pods.c[family]}`)
        assert.equal(proxy.said.length, before)
        redirect(PORT)
      })

      test(`${family}: a socket that stands for other rules is not given to anybody`, async () => {
        await cluster.serve('n1', `${PORT + 1}@${family === 'v4' ? '127.0.0.1' : '::1'}`)
        redirect(PORT + 1)
        drops()
        assert.equal(await cluster.askInVain('a', `udp ${pods.b[family]} 53 100`), 'timeout')
        assert.equal(await cluster.askInVain('a', `tcp ${pods.b[family]} 80 100`), 'timeout')
        assert.ok(drops().every((d) => d.reason === Drop.DROP_SOCKET_LOOKUP_FAILED))
        redirect(PORT)
      })
    }

    test('without a proxy nothing passes', async () => {
      await proxy.stop()
      drops()
      for (const to of [pods.b.v4, pods.c.v6]) {
        assert.equal(await cluster.askInVain('a', `udp ${to} 53 100`), 'timeout')
        assert.equal(await cluster.askInVain('a', `tcp ${to} 80 100`), 'timeout')
      }
      const seen = drops()
      assert.ok(seen.length >= 4)
      assert.ok(seen.every((d) => d.reason === Drop.DROP_SOCKET_LOOKUP_FAILED && d.egressRule === 30))
    })
  })
}
