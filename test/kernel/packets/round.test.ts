// SPDX-License-Identifier: Apache-2.0
// What the node's own programs ask of a pod whose policy asks a proxy: judged on its way to the pod, and sent round to where
// it can be given to the proxy's socket.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Drop, Observation } from '../../../gen/contract.ts'
import { proxyRole } from '../../../src/model/proxy.ts'
import { A, devices, enterNamespace, openNode, TC_OK, TC_REDIRECT, TC_SHOT, type TestNode } from './node.ts'
import { ethernet, icmp, icmpv6, ip, type Segment, tcp } from './packet.ts'

const PORT = 12345
const upstream = PORT * 65536 + proxyRole.upstreamIngress
/** PROXY_TO_SOCKET of bpf/contract. */
const toSocket = 0x200
let node: TestNode
let alone: TestNode
before(() => {
  enterNamespace()
  node = openNode({ hostAlwaysAllowed: 0, net: devices.gone })
  alone = openNode({ hostAlwaysAllowed: 0, net: 0 })
  for (const each of [node, alone]) {
    each.pod(devices.podA, A)
    for (const own of ['192.168.1.1', 'fd00:1::1']) each.owner(own, { identity: 1, flags: 2 })
    each.table(1, { cells: [[['allow', 10]]] })
    each.table(2, {
      columns: [[0, 80, 80]],
      cells: [
        [
          ['none', 20],
          ['redirect', 30, 0, PORT],
        ],
      ],
    })
    each.policy(1, 2, 1)
  }
})
after(() => {
  for (const each of [node, alone]) each?.close()
})

for (const [name, host, pod, v6] of [
  ['IPv4', '192.168.1.1', A.v4, false],
  ['IPv6', 'fd00:1::1', A.v6, true],
] as const)
  describe(name, () => {
    const to = (segment: Segment, mark = 0, at = node) =>
      at.run('to_pod', ethernet(ip({ from: host, to: pod }, segment)), devices.podA, { mark })
    const round = (segment: Segment, mark: number = toSocket) =>
      node.run('from_net', ethernet(ip({ from: host, to: pod }, segment)), devices.gone, { mark })
    const syn = tcp({ from: 4000, to: 80, flags: 'S' })

    test('a question is sent round, and so is all that follows it', () => {
      const asked = to(syn)
      assert.deepEqual([asked.value, asked.mark], [TC_REDIRECT, toSocket])
      const [event] = asked.events
      assert.deepEqual([event!.reason, event!.ingressRule, event!.proxyPort], [Observation.AT_TO_PROXY, 30, PORT])
      const more = to(tcp({ from: 4000, to: 80, flags: 'A' }))
      assert.deepEqual([more.value, more.mark, more.events.length], [TC_REDIRECT, toSocket, 0])
      node.forgetFlows()
    })

    test('what the proxy asks for it reaches the pod', () => {
      assert.equal(to(tcp({ from: 20001, to: 80, flags: 'S' }), upstream).value, TC_OK)
      assert.equal(to(tcp({ from: 20002, to: 80, flags: 'S' }), upstream + 65536).value, TC_SHOT, 'by other rules')
      node.forgetFlows()
    })

    test('without a proxy’s socket it is dropped where it comes round, under the rule that asks', () => {
      to(syn)
      const dropped = round(syn)
      assert.equal(dropped.value, TC_SHOT)
      const [event] = dropped.events
      assert.deepEqual([event!.reason, event!.ingressRule], [Drop.DROP_SOCKET_LOOKUP_FAILED, 30])
      assert.deepEqual([event!.sourceIdentity, event!.destinationIdentity], [1, A.identity])
      node.forgetFlows()
    })

    test('an error about it goes where its packets go', () => {
      to(syn)
      const quote = ip({ from: pod, to: host }, tcp({ from: 80, to: 4000, flags: 'A' }))
      const error = v6 ? icmpv6(1, 4, 0, quote) : icmp(3, 3, 0, quote)
      assert.equal(to(error).value, TC_REDIRECT)
      const out = round(error)
      assert.deepEqual([out.value, out.mark], [TC_OK, toSocket])
      node.forgetFlows()
    })

    test('what nobody judged does not come in there, and what is not marked is let alone', () => {
      assert.equal(round(syn).value, TC_SHOT)
      assert.equal(round(syn, 0).value, TC_OK)
    })

    test('where there is no such device it is closed', () => {
      const out = to(syn, 0, alone)
      assert.deepEqual([out.value, out.events.at(-1)!.reason], [TC_SHOT, Drop.DROP_PROXY_UNSUPPORTED])
      alone.forgetFlows()
    })
  })
