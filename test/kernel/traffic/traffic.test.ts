// SPDX-License-Identifier: Apache-2.0
// The programs under real traffic: two nodes, three pods, both routing modes, both families.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Drop, EventKind } from '../../../gen/contract.ts'
import { type Cluster, gateway, nodeAddress, openCluster, outside, pods } from './topology.ts'

for (const mode of ['native', 'overlay'] as const) {
  describe(`${mode}`, () => {
    let cluster: Cluster
    before(async () => {
      cluster = openCluster(mode)
      await Promise.all([
        cluster.serve('b', 80, 81, 53),
        cluster.serve('c', 80, 81, 53),
        cluster.serve('n1', 8080),
        cluster.serve('n2', 8081, `8082@${outside.v4}`, `8082@${outside.v6}`),
      ])
    })
    after(() => cluster?.close())

    for (const family of ['v4', 'v6'] as const) {
      const [b, c] = [pods.b[family], pods.c[family]]

      test(`${family}: pods of one node talk where policy lets them`, async () => {
        assert.equal(await cluster.ask('a', `tcp ${b} 80 300000`), `same ${b}`)
        assert.equal(await cluster.ask('a', `udp ${b} 53 100`), `same ${b}`)
        assert.equal(await cluster.ask('a', `udp ${b} 53 4000`), `same ${b}`, 'in fragments')
        cluster.node(1).events()
        assert.equal(await cluster.askInVain('a', `tcp ${b} 81 5`), 'timeout')
        const drops = cluster
          .node(1)
          .events()
          .filter((event) => event.kind === EventKind.EVENT_DROP)
        assert.ok(drops.length > 0)
        assert.deepEqual(
          [drops[0]!.reason, drops[0]!.ingressRule, drops[0]!.destinationPort],
          [Drop.DROP_POLICY_DENIED, 20, 81],
        )
      })

      test(`${family}: so do pods of two nodes`, async () => {
        assert.equal(await cluster.ask('a', `tcp ${c} 80 3000000`), `same ${c}`)
        assert.equal(await cluster.ask('a', `udp ${c} 53 1200`), `same ${c}`)
        assert.equal(await cluster.ask('a', `udp ${c} 53 4000`), `same ${c}`, 'in fragments')
        assert.equal(await cluster.ask('a', `udp ${c} 53 ?`), `${pods.a[family]} ${c}`, 'by their own addresses')
        cluster.node(2).events()
        assert.equal(await cluster.askInVain('a', `tcp ${c} 81 5`), 'timeout')
        const drop = cluster
          .node(2)
          .events()
          .find((event) => event.kind === EventKind.EVENT_DROP)
        assert.equal(drop?.sourceIdentity, pods.a.identity)
      })

      test(`${family}: a port where nobody listens says so`, async () => {
        cluster.node(1).policy(2, 1, 1)
        cluster.node(1).bumpEpoch()
        assert.equal(await cluster.ask('a', `connected ${b} 9 5`), 'ECONNREFUSED')
        assert.equal(await cluster.ask('a', `tcp ${b} 9 5`), 'ECONNREFUSED')
        cluster.node(1).policy(2, 2, 1)
        cluster.node(1).bumpEpoch()
      })

      test(`${family}: node and pod reach each other, and the pods of the other node`, async () => {
        assert.equal(await cluster.ask('n1', `tcp ${b} 81 100000`), `same ${b}`, 'whatever policy says')
        assert.equal(await cluster.ask('n1', `tcp ${c} 80 100000`), `same ${c}`)
        assert.equal(await cluster.askInVain('n1', `tcp ${c} 81 5`), 'timeout', 'a remote node is judged')
        assert.equal(
          await cluster.ask('a', `tcp ${nodeAddress[1][family]} 8080 5000`),
          `same ${nodeAddress[1][family]}`,
        )
        assert.equal(await cluster.ask('a', `tcp ${gateway[1][family]} 8080 50`), `same ${gateway[1][family]}`)
        assert.equal(
          await cluster.ask('a', `tcp ${nodeAddress[2][family]} 8081 5000`),
          `same ${nodeAddress[2][family]}`,
        )
      })

      test(`${family}: what leaves the cluster wears the node’s address`, async () => {
        const to = outside[family]
        assert.equal(await cluster.ask('a', `udp ${to} 8082 ?`), `${nodeAddress[1][family]} ${to}`)
        assert.equal(await cluster.ask('a', `tcp ${to} 8082 300000`), `same ${to}`)
        assert.equal(await cluster.ask('a', `udp ${to} 8082 4000`), `same ${to}`, 'fragments too')
        assert.equal(await cluster.ask('a', `connected ${to} 9 5`), 'ECONNREFUSED', 'and errors come back')
      })

      test(`${family}: a service is one address, by socket and by packet`, async () => {
        const vip = family === 'v4' ? '10.96.0.10' : 'fd00:96::10'
        cluster.node(1).service(vip, 8000, 6, [[c, 80]])
        for (const inside of [true, false])
          assert.equal(await cluster.ask('a', `tcp ${vip} 8000 300000`, inside), `same ${vip}`)
        cluster.node(1).service(vip, 8000, 17, [[b, 53]])
        for (const inside of [true, false]) {
          assert.equal(await cluster.ask('a', `udp ${vip} 8000 100`, inside), `same ${vip}`)
          assert.equal(await cluster.ask('a', `connected ${vip} 8000 100`, inside), `same ${vip}`)
        }
        cluster.node(1).service(vip, 8002, 6, [[b, 80]])
        assert.equal(await cluster.ask('b', `tcp ${vip} 8002 300000`), `same ${vip}`, 'and a pod reaches itself')
        const loopback = family === 'v4' ? '127.0.0.1' : '::1'
        cluster.node(1).service(loopback, 8004, 6, [[b, 80]])
        assert.equal(await cluster.ask('n1', `tcp ${loopback} 8004 300000`, true), `same ${loopback}`)
        assert.equal(await cluster.ask('a', `tcp ${loopback} 8004 10`, true), 'ECONNREFUSED', 'a pod’s is its own')
        // One of the two answers, and a client keeps the one it met first.
        for (const inside of [true, false]) {
          cluster.node(1).forgetServices()
          cluster.node(1).service(
            vip,
            8003,
            6,
            [
              [b, 80],
              [nodeAddress[1][family], 80],
            ],
            { affinity: 100 },
          )
          const answers = new Set<string>()
          for (let i = 0; i < 12; i++) answers.add(await cluster.ask('a', `tcp ${vip} 8003 10`, inside))
          assert.equal(answers.size, 1, [...answers].join())
        }
        cluster.node(1).service(vip, 8001, 6, [])
        assert.equal(await cluster.ask('a', `tcp ${vip} 8001 5`, true), 'ECONNREFUSED')
        assert.equal(await cluster.askInVain('a', `tcp ${vip} 8001 5`, false), 'timeout')
      })
    }
  })
}
