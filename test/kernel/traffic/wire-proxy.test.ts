// SPDX-License-Identifier: Apache-2.0
// Rules for requests on a pod that is asked from elsewhere: through a proxy that lets everything pass, directly, by ports of
// nodes and by external addresses, on the node that was asked and on another one.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { Drop, EventKind } from '../../../gen/contract.ts'
import { type Cluster, external, nodeAddress, openCluster, outside, pods } from './topology.ts'

const PORT = 12346
const printed = (_key: string, value: unknown) => (typeof value === 'bigint' ? String(value) : value)
const byWire = { flags: 1 } as const
const nodePort = 30080
const remoteNode = 6

for (const mode of ['native', 'overlay'] as const)
  for (const firewall of [false, true])
    describe(`a guarded pod, ${mode}${firewall ? ', with a host firewall' : ''}`, () => {
      let cluster: Cluster
      const proxies: Awaited<ReturnType<Cluster['proxy']>>[] = []
      let next = 3

      /** What pods b and c get on 80 goes to the listener, from whom it is allowed; nobody else gets in. */
      const guard = (of: 1 | 2, from: 'everyone' | 'world' | 'nobody by a proxy') => {
        const number = next++
        const redirect = ['redirect', 30, 0, PORT] as const
        const others = from === 'world' ? (['none', 31] as const) : redirect
        cluster.node(of).table(number, {
          columns: [[0, 80, 80]],
          classes: Object.fromEntries(
            [remoteNode, ...Object.values(pods).map((each) => each.identity)].map((identity) => [identity, 1]),
          ),
          cells:
            from === 'nobody by a proxy'
              ? [
                  [
                    ['allow', 32],
                    ['allow', 32],
                  ],
                  [
                    ['allow', 32],
                    ['allow', 32],
                  ],
                ]
              : [
                  [['none', 31], redirect],
                  [['none', 31], others],
                ],
        })
        cluster.node(of).policy(of === 1 ? 2 : 3, number, 1)
        cluster.node(of).bumpEpoch()
      }
      /** Asks, and says what the proxy of a node told of it meanwhile; its words come by a pipe, so those wanted are waited for. */
      const told = async (of: 1 | 2, wanted: number, ask: () => Promise<void>): Promise<readonly string[]> => {
        const { said } = proxies[of - 1]!
        const before = said.length
        await ask()
        for (let tries = 0; said.length - before < wanted && tries < 500; tries++) await setTimeout(10)
        return said.slice(before)
      }
      const asked = async (from: string, words: string, answer: string) =>
        assert.equal(await cluster.ask(from, words), answer, JSON.stringify([drops(1), drops(2)], printed))
      const drops = (of: 1 | 2) =>
        cluster
          .node(of)
          .events()
          .filter((event) => event.kind === EventKind.EVENT_DROP)

      before(async () => {
        cluster = openCluster(mode, firewall)
        await Promise.all([cluster.serve('b', 80), cluster.serve('c', 80)])
        for (const node of ['n1', 'n2'] as const) {
          cluster.proxyRoutes(node)
          proxies.push(await cluster.proxy(node, PORT, 'ingress'))
        }
      })
      after(() => cluster?.close())

      for (const family of ['v4', 'v6'] as const) {
        const { b, c } = pods
        const service = (address: string, to: string) => {
          cluster.node(1).forgetServices()
          cluster.node(1).service(address, nodePort, 6, [[to, 80]], byWire)
        }

        test(`${family}: asked directly, by a pod of another node and from beyond the cluster`, async () => {
          guard(1, 'everyone')
          const ask =
            (of: string, from = '') =>
            () =>
              asked(of, `tcp ${from}${b[family]} 80 300000`, `same ${b[family]}`)
          assert.deepEqual(await told(1, 1, ask('c')), [`tcp ${c[family]} ${b[family]}`])
          if (mode === 'overlay') return // no other machine knows the way to a pod
          const from = outside[family]
          assert.deepEqual(await told(1, 1, ask('n2', `${from}>`)), [`tcp ${from} ${b[family]}`])
        })

        for (const [what, address] of [
          ['a port of its node', nodeAddress[1][family]],
          ['an external address', external[family]],
        ] as const) {
          test(`${family}: asked by ${what}, it is answered for from there, and the proxy sees who asks`, async () => {
            guard(1, 'world')
            service(address, b[family])
            const from = outside[family]
            for (const size of [10, 300000])
              assert.deepEqual(
                await told(1, 1, () => asked('n2', `tcp ${from}>${address} ${nodePort} ${size}`, `same ${address}`)),
                [`tcp ${from} ${b[family]}`],
              )
            drops(1)
            assert.equal(await cluster.askInVain('n2', `tcp ${address} ${nodePort} 10`), 'timeout')
            assert.ok(drops(1).some((event) => event.ingressRule === 31))
            guard(1, 'everyone')
            const askers = address === external[family] ? ['n2'] : ['n2', 'c']
            for (const asker of askers)
              await told(1, 1, () => asked(asker, `tcp ${address} ${nodePort} 300000`, `same ${address}`))
          })

          test(`${family}: asked by ${what}, its policy changes under its connections`, async () => {
            service(address, b[family])
            const ask = () => asked('n2', `tcp ${address} ${nodePort} 300000`, `same ${address}`)
            for (const from of ['nobody by a proxy', 'everyone', 'nobody by a proxy'] as const) {
              guard(1, from)
              const lines = from === 'everyone' ? [`tcp ${nodeAddress[2][family]} ${b[family]}`] : []
              assert.deepEqual(await told(1, lines.length, ask), lines)
            }
          })
        }

        test(`${family}: asked by a port of another node, its own node asks the proxy`, async () => {
          const own = nodeAddress[1][family]
          // By tunnel the client stays the world, though packets come from the node that was asked.
          guard(2, mode === 'overlay' ? 'world' : 'everyone')
          service(own, c[family])
          for (const size of [10, 300000])
            assert.deepEqual(
              await told(2, 1, () => asked('n2', `tcp ${outside[family]}>${own} ${nodePort} ${size}`, `same ${own}`)),
              [`tcp ${own} ${c[family]}`],
            )
        })

        test(`${family}: without a proxy nothing passes`, async () => {
          const own = nodeAddress[1][family]
          guard(1, 'everyone')
          service(own, b[family])
          cluster.node(1).table(99, { cells: [[['redirect', 30, 0, PORT + 1]]] })
          cluster.node(1).policy(2, 99, 1)
          cluster.node(1).bumpEpoch()
          drops(1)
          assert.equal(await cluster.askInVain('n2', `tcp ${own} ${nodePort} 10`), 'timeout')
          assert.ok(drops(1).some((event) => event.reason === Drop.DROP_SOCKET_LOOKUP_FAILED))
        })
      }
    })
