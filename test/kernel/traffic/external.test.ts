// SPDX-License-Identifier: Apache-2.0
// Ports of a node under real traffic from another machine: backends here, elsewhere and of the node itself.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Cluster, nodeAddress, openCluster, pods } from './topology.ts'

const external = { flags: 1 } as const
const nodePort = 30080

for (const mode of ['native', 'overlay'] as const)
  for (const firewall of [false, true])
    describe(`ports of a node, ${mode}${firewall ? ', with a host firewall' : ''}`, () => {
      let cluster: Cluster
      before(async () => {
        cluster = openCluster(mode, firewall)
        await Promise.all([cluster.serve('n1', 8080), cluster.serve('b', 80, 53), cluster.serve('c', 80, 53)])
      })
      after(() => cluster?.close())

      for (const family of ['v4', 'v6'] as const) {
        const own = nodeAddress[1][family]
        const serve = (protocol: 6 | 17, to: string, port: number) => {
          cluster.node(1).forgetServices()
          cluster.node(1).service(own, nodePort, protocol, [[to, port]], external)
        }
        const asked = async (from: string, words: string) =>
          assert.equal(await cluster.ask(from, words), `same ${own}`, `${from}: ${words}`)

        test(`${family}: lead to a pod of the node, for machines and for pods of other nodes`, async () => {
          serve(6, pods.b[family], 80)
          for (const from of ['n2', 'c']) await asked(from, `tcp ${own} ${nodePort} 300000`)
          serve(17, pods.b[family], 53)
          for (const from of ['n2', 'c'])
            for (const size of [10, 4000]) await asked(from, `udp ${own} ${nodePort} ${size}`)
        })

        test(`${family}: lead to a pod of another node`, async () => {
          serve(6, pods.c[family], 80)
          await asked('n2', `tcp ${own} ${nodePort} 300000`)
          serve(17, pods.c[family], 53)
          await asked('n2', `udp ${own} ${nodePort} 1000`)
        })

        test(`${family}: lead to a socket of the node itself`, async () => {
          serve(6, own, 8080)
          await asked('n2', `tcp ${own} ${nodePort} 300000`)
        })
      }
    })
