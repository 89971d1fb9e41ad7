// SPDX-License-Identifier: Apache-2.0
// The host firewall under real traffic: what nodes and pods get of a node and it of them, both routing modes and families.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Cluster, gateway, hostPolicy, nodeAddress, openCluster, pods } from './topology.ts'

for (const mode of ['native', 'overlay'] as const) {
  describe(`host firewall, ${mode}`, () => {
    let cluster: Cluster
    before(async () => {
      cluster = openCluster(mode, true)
      await Promise.all([
        cluster.serve('n1', 8080, 8083),
        cluster.serve('n2', 8081, 8084),
        cluster.serve('b', 80, 81, 53),
        cluster.serve('c', 80, 81, 53),
      ])
      const one = cluster.node(1)
      const [none, allow] = [['none', 30] as const, ['allow', 31] as const]
      // In: 8080 of both protocols, and 9000 where nobody listens.
      one.table(7, {
        columns: [
          [0, 8080, 8080],
          [1, 8080, 8080],
          [1, 9000, 9000],
        ],
        cells: [[none, allow, allow, allow]],
      })
      // Out: 80 and 8081, and 9001 where nobody listens.
      one.table(8, {
        columns: [
          [0, 80, 80],
          [0, 8081, 8081],
          [1, 53, 53],
          [1, 8081, 8081],
          [1, 9001, 9001],
        ],
        cells: [[none, allow, allow, allow, allow, allow]],
      })
      one.policy(hostPolicy, 7, 8)
    })
    after(() => cluster?.close())

    for (const family of ['v4', 'v6'] as const) {
      const [n1, n2] = [nodeAddress[1][family], nodeAddress[2][family]]
      const inside = gateway[1][family]

      test(`${family}: other nodes reach what is allowed, large datagrams too, and nothing else`, async () => {
        assert.equal(await cluster.ask('n2', `tcp ${n1} 8080 300000`), `same ${n1}`)
        assert.equal(await cluster.ask('n2', `udp ${n1} 8080 4000`), `same ${n1}`, 'in fragments')
        assert.equal(await cluster.askInVain('n2', `tcp ${n1} 8083 5`), 'timeout')
        assert.equal(await cluster.askInVain('n2', `udp ${n1} 8083 4000`), 'timeout')
      })

      test(`${family}: the node reaches what is allowed, and nothing else`, async () => {
        assert.equal(await cluster.ask('n1', `tcp ${n2} 8081 300000`), `same ${n2}`)
        assert.equal(await cluster.ask('n1', `udp ${n2} 8081 4000`), `same ${n2}`, 'in fragments')
        assert.equal(await cluster.askInVain('n1', `tcp ${n2} 8084 5`), 'timeout')
      })

      test(`${family}: a port where nobody listens says so, either way`, async () => {
        assert.equal(await cluster.ask('n2', `connected ${n1} 9000 5`), 'ECONNREFUSED')
        assert.equal(await cluster.ask('n1', `connected ${n2} 9001 5`), 'ECONNREFUSED')
      })

      test(`${family}: pods near and far and the node meet by its rules`, async () => {
        const [b, c] = [pods.b[family], pods.c[family]]
        for (const own of [n1, inside]) {
          assert.equal(await cluster.ask('a', `tcp ${own} 8080 5000`), `same ${own}`)
          assert.equal(await cluster.askInVain('a', `tcp ${own} 8083 5`), 'timeout')
        }
        assert.equal(await cluster.ask('c', `tcp ${inside} 8080 5000`), `same ${inside}`)
        assert.equal(await cluster.askInVain('c', `tcp ${inside} 8083 5`), 'timeout')
        for (const pod of [b, c]) {
          assert.equal(await cluster.ask('n1', `tcp ${pod} 80 100000`), `same ${pod}`)
          assert.equal(await cluster.ask('n1', `udp ${pod} 53 100`), `same ${pod}`)
          assert.equal(await cluster.askInVain('n1', `tcp ${pod} 81 5`), 'timeout')
        }
      })

      test(`${family}: what pods send is nothing of it`, async () => {
        const [c, to] = [pods.c[family], n2]
        assert.equal(await cluster.ask('a', `tcp ${c} 80 300000`), `same ${c}`)
        assert.equal(await cluster.ask('a', `tcp ${to} 8084 5000`), `same ${to}`)
      })
    }
  })
}
