// SPDX-License-Identifier: Apache-2.0
// Ports of a node under real traffic from another machine: backends here, elsewhere and of the node itself.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { type Cluster, external, nodeAddress, openCluster, outside, pods } from './topology.ts'

const byWire = { flags: 1 } as const
const nodePort = 30080

for (const mode of ['native', 'overlay'] as const)
  for (const firewall of [false, true])
    describe(`ports of a node, ${mode}${firewall ? ', with a host firewall' : ''}`, () => {
      let cluster: Cluster
      before(async () => {
        cluster = openCluster(mode, firewall)
        await Promise.all([
          cluster.serve('n1', 8080),
          cluster.serve('n2', 8081),
          cluster.serve('b', 80, 53),
          cluster.serve('c', 80, 53),
        ])
      })
      after(() => cluster?.close())

      for (const family of ['v4', 'v6'] as const)
        for (const [what, address] of [
          ['a port of the node', nodeAddress[1][family]],
          ['an external address', external[family]],
        ] as const) {
          const serve = (protocol: 6 | 17, to: string, port: number) => {
            cluster.node(1).forgetServices()
            cluster.node(1).service(address, nodePort, protocol, [[to, port]], byWire)
          }
          const asked = async (from: string, words: string) =>
            assert.equal(await cluster.ask(from, words), `same ${address}`, `${from}: ${words}`)
          const askers = address === external[family] ? ['n2'] : ['n2', 'c']

          test(`${family}: ${what} leads to a pod of the node, for machines and for pods of other nodes`, async () => {
            serve(6, pods.b[family], 80)
            for (const from of askers) await asked(from, `tcp ${address} ${nodePort} 300000`)
            serve(17, pods.b[family], 53)
            for (const from of askers)
              for (const size of [10, 4000]) await asked(from, `udp ${address} ${nodePort} ${size}`)
          })

          test(`${family}: ${what} leads to a pod of another node`, async () => {
            serve(6, pods.c[family], 80)
            await asked('n2', `tcp ${address} ${nodePort} 300000`)
            serve(17, pods.c[family], 53)
            await asked('n2', `udp ${address} ${nodePort} 1000`)
          })

          test(`${family}: ${what} leads to a socket of the node itself, which sees who asks`, async () => {
            const own = nodeAddress[1][family]
            serve(6, own, 8080)
            for (const from of askers) await asked(from, `tcp ${address} ${nodePort} 300000`)
            serve(17, own, 8080)
            for (const from of askers)
              for (const size of [10, 4000]) await asked(from, `udp ${address} ${nodePort} ${size}`)
            for (let epoch = 0; epoch < 3; epoch++) {
              await asked('n2', `connected ${address} ${nodePort} 100`)
              cluster.node(1).bumpEpoch()
            }
            const seen = await cluster.ask('n2', `udp ${outside[family]}>${address} ${nodePort} ?`)
            assert.equal(seen, `${outside[family]} ${address}`)
          })

          test(`${family}: ${what} says that nobody listens behind it`, async () => {
            const own = nodeAddress[1][family]
            for (const protocol of [6, 17] as const) {
              serve(protocol, own, 8099)
              const words = `${protocol === 6 ? 'tcp' : 'connected'} ${address} ${nodePort} 10`
              assert.equal(await cluster.ask('n2', words), 'ECONNREFUSED')
            }
          })

          test(`${family}: ${what} leads to a socket of another node`, async () => {
            const other = nodeAddress[2][family]
            serve(6, other, 8081)
            await asked('n2', `tcp ${address} ${nodePort} 300000`)
            serve(17, other, 8081)
            await asked('n2', `udp ${address} ${nodePort} 1000`)
            assert.equal(
              await cluster.ask('n2', `udp ${address} ${nodePort} ?`),
              `${nodeAddress[1][family]} ${address}`,
            )
          })
        }
    })
