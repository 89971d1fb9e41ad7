// SPDX-License-Identifier: Apache-2.0
// What the node's own programs ask of a pod whose policy asks a proxy, and what they answer a proxy that asks them for a pod:
// judged on its way to the pod, and sent round to where it can be given to the proxy's socket.
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Drop, Observation } from '../../../gen/contract.ts'
import { address } from '../../../src/base/ip.ts'
import { close } from '../../../src/edge/kernel/syscall.ts'
import { openTcpClient } from '../../../src/edge/kernel/transparent.ts'
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
  node = openNode({ net: devices.gone })
  alone = openNode({ net: 0 })
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
    const [ask, others] = [
      ['redirect', 40, 0, PORT],
      ['redirect', 41, 0, PORT + 1],
    ] as const
    each.table(3, { columns: [[0, 8080, 8080]], cells: [[['none', 42], ask]] })
    each.table(4, { columns: [[0, 8080, 8080]], cells: [[['none', 42], others]] })
    each.table(5, { cells: [[['none', 43]]] })
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

    describe('what a program of the node answers', () => {
      const [asked, taken, unmarked] = [41001, 41003, 41005]
      const sockets: number[] = []
      const answer = (port: number, flags: string, mark = 0) => to(tcp({ from: 8080, to: port, flags }), mark)
      before(() => {
        for (const [port, mark] of [
          [asked, PORT * 65536 + proxyRole.upstreamEgress],
          [taken, PORT * 65536 + proxyRole.downstreamIngress],
          [unmarked, 0],
        ] as const)
          sockets.push(openTcpClient(address(pod), [port, port], { address: address(host), port: 8080 }, mark))
      })
      after(() => {
        for (const fd of sockets) close(fd)
        node.policy(1, 2, 1)
      })

      test('goes round to the proxy’s socket that asked in the pod’s name, and needs no flow', () => {
        node.policy(1, 2, 3)
        for (const flags of ['SA', 'A', 'FA', 'RA']) {
          const out = answer(asked, flags)
          assert.deepEqual([out.value, out.mark, out.events.length], [TC_REDIRECT, toSocket, 0])
          const given = round(tcp({ from: 8080, to: asked, flags }))
          assert.deepEqual([given.value, given.mark, given.events.length], [TC_OK, toSocket, 0])
        }
        assert.equal(node.flowList().length, 0)
      })

      test('stays there when nobody asks for rules any longer', () => {
        node.policy(1, 2, 1)
        assert.equal(answer(asked, 'A').value, TC_REDIRECT)
      })

      test('is dropped where other rules are to be asked, or none allows it; ends of connections are told', () => {
        for (const [egress, reason, rule] of [
          [4, Drop.DROP_PROXY_UNSUPPORTED, 41],
          [5, Drop.DROP_POLICY_DENIED, 43],
        ] as const) {
          node.policy(1, 2, egress)
          const [event] = answer(asked, 'A').events
          assert.deepEqual([event!.reason, event!.egressRule], [reason, rule])
          assert.deepEqual([event!.sourceIdentity, event!.destinationIdentity], [1, A.identity])
          for (const flags of ['FA', 'RA']) assert.equal(answer(asked, flags).value, TC_REDIRECT)
        }
      })

      test('is the pod’s where no such socket asked', () => {
        node.policy(1, 2, 1)
        for (const port of [taken, unmarked, 41007]) {
          const out = answer(port, 'SA')
          assert.deepEqual([out.value, out.mark], [TC_OK, 0], String(port))
        }
        assert.equal(answer(asked, 'S').value, TC_SHOT, 'a question of its own is judged as one')
        node.forgetFlows()
      })
    })

    test('where there is no such device it is closed', () => {
      const out = to(syn, 0, alone)
      assert.deepEqual([out.value, out.events.at(-1)!.reason], [TC_SHOT, Drop.DROP_PROXY_UNSUPPORTED])
      alone.forgetFlows()
    })
  })
