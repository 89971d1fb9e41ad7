// SPDX-License-Identifier: Apache-2.0
// What a pod sends: from_pod, with both ends on this node unless said otherwise.
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { Action, Drop, EventFlags, EventKind, Observation } from '../../../gen/contract.ts'
import { printAddress } from '../../../src/base/ip.ts'
import { devices, enterNamespace, openNode, TC_OK, TC_REDIRECT, TC_SHOT, type TestNode } from './node.ts'
import { echo, echoReply, ethernet, icmp, icmpv6, ip, tcp, udp } from './packet.ts'

const A = { v4: '10.0.0.10', v6: 'fd00:10::10', identity: 1001, policy: 1 }
const B = { v4: '10.0.0.20', v6: 'fd00:10::20', identity: 1002, policy: 2 }
const INGRESS = 0
const EGRESS = 1
const [TCP, UDP, ICMP, ICMPV6] = [0, 1, 3, 4]

let node: TestNode
before(() => {
  enterNamespace()
  node = openNode()
  node.pod(devices.podA, A)
  node.pod(devices.podB, B)
  node.owner('192.168.1.1', { identity: 1, flags: 2 })
  node.owner('fd00:1::1', { identity: 1, flags: 2 })
  // 1: all may; 2: A may reach TCP 80, UDP 8000-8999 and ping, TCP 81 is denied by name.
  node.table(1, { cells: [[['allow', 10]]] })
  node.table(2, {
    columns: [
      [TCP, 80, 80],
      [TCP, 81, 81],
      [UDP, 8000, 8999],
      [ICMP, 8 << 8, 8 << 8],
      [ICMPV6, 128 << 8, 128 << 8],
    ],
    classes: { [A.identity]: 1 },
    cells: [
      [
        ['none', 20],
        ['none', 20],
        ['none', 20],
        ['none', 20],
        ['none', 20],
        ['none', 20],
      ],
      [
        ['none', 20],
        ['allow', 21],
        ['deny', 22],
        ['allow', 23],
        ['allow', 24],
        ['allow', 24],
      ],
    ],
  })
})
beforeEach(() => {
  node.forgetFlows()
  node.policy(1, 1, 1)
  node.policy(2, 2, 1)
  node.events()
})
after(() => node.close())

const families = [
  { name: 'IPv4', a: A.v4, b: B.v4, v6: false },
  { name: 'IPv6', a: A.v6, b: B.v6, v6: true },
]
for (const { name, a, b, v6 } of families) {
  const there = (segment: Parameters<typeof ip>[1]) =>
    node.run('from_pod', ethernet(ip({ from: a, to: b }, segment)), devices.podA)
  const back = (segment: Parameters<typeof ip>[1]) =>
    node.run('from_pod', ethernet(ip({ from: b, to: a }, segment)), devices.podB)

  describe(`${name} between pods of one node`, () => {
    test('an allowed connection goes straight into the other pod, untouched', () => {
      const packet = ethernet(ip({ from: a, to: b }, tcp({ from: 4000, to: 80, flags: 'S' })))
      const out = node.run('from_pod', packet, devices.podA, { mark: 7, priority: 3 })
      assert.equal(out.value, TC_REDIRECT)
      assert.deepEqual(out.packet, packet)
      assert.equal(out.mark, 0)
      const [flow] = node.flowList()
      assert.deepEqual([...flow!.action], [Action.ACTION_PEER, Action.ACTION_PEER])
      assert.deepEqual([...flow!.out].sort(), [devices.podA, devices.podB])
      assert.deepEqual([...flow!.rule], [21, 10])
    })

    test('the first packet is reported with both rules, the second is not', () => {
      const first = there(tcp({ from: 4000, to: 80, flags: 'S' }))
      assert.equal(first.events.length, 1)
      const event = first.events[0]!
      assert.equal(event.kind, EventKind.EVENT_NEW)
      assert.equal(event.reason, Observation.AT_TO_ENDPOINT)
      assert.equal(event.flags, v6 ? EventFlags.EVENT_IPV6 : 0)
      assert.deepEqual([event.sourceIdentity, event.destinationIdentity], [A.identity, B.identity])
      assert.deepEqual([event.sourceEndpoint, event.destinationEndpoint], [200, 300])
      assert.deepEqual([event.egressRule, event.ingressRule], [10, 21])
      assert.deepEqual([event.sourcePort, event.destinationPort], [4000, 80])
      assert.deepEqual([event.protocol, event.tcpFlags], [6, 2])
      assert.deepEqual([printAddress(event.source), printAddress(event.destination)], [a, b])
      assert.equal(event.length, v6 ? 60 : 40)
      assert.equal(there(tcp({ from: 4000, to: 80, flags: 'A' })).events.length, 0)
      assert.equal(there(tcp({ from: 4000, to: 80, flags: 'S' })).events.length, 0)
    })

    test('the reply passes although nothing allows it, and opens nothing', () => {
      node.policy(1, 2, 1) // A accepts nothing from B
      there(tcp({ from: 4001, to: 80, flags: 'S' }))
      assert.equal(back(tcp({ from: 80, to: 4001, flags: 'SA' })).value, TC_REDIRECT)
      assert.equal(back(tcp({ from: 80, to: 4001, flags: 'A' })).value, TC_REDIRECT)
      assert.equal(back(tcp({ from: 80, to: 4001, flags: 'S' })).value, TC_SHOT)
      assert.equal(back(tcp({ from: 81, to: 4001, flags: 'S' })).value, TC_SHOT)
      assert.equal(there(tcp({ from: 4001, to: 80, flags: 'A' })).value, TC_REDIRECT)
    })

    test('what no rule allows is dropped, and the default deny is named', () => {
      const out = there(tcp({ from: 4000, to: 443, flags: 'S' }))
      assert.equal(out.value, TC_SHOT)
      const [event] = out.events
      assert.equal(event!.kind, EventKind.EVENT_DROP)
      assert.equal(event!.reason, Drop.DROP_POLICY_DENIED)
      assert.equal(event!.direction, INGRESS)
      assert.deepEqual([event!.egressRule, event!.ingressRule], [10, 20])
      assert.equal(node.flowList().length, 0)
    })

    test('what staged policies would decide is told of a new flow, and passes', () => {
      node.table(7, { cells: [[['allow', 10, 77]]] })
      node.policy(1, 2, 7)
      node.bumpEpoch()
      const [event] = there(tcp({ from: 4100, to: 80, flags: 'S' })).events
      assert.deepEqual([event!.kind, event!.egressRule, event!.egressStaged], [EventKind.EVENT_NEW, 10, 77])
      assert.equal(event!.ingressStaged, 0)
    })

    test('what a rule denies is dropped as denied by it', () => {
      const [event] = there(tcp({ from: 4000, to: 81, flags: 'S' })).events
      assert.equal(event!.reason, Drop.DROP_POLICY_DENY)
      assert.equal(event!.ingressRule, 22)
    })

    test('a range of ports ends where it says', () => {
      const verdict = (port: number) => there(udp({ from: 5000, to: port })).value
      assert.deepEqual([7999, 8000, 8255, 8256, 8999, 9000].map(verdict), [
        TC_SHOT,
        TC_REDIRECT,
        TC_REDIRECT,
        TC_REDIRECT,
        TC_REDIRECT,
        TC_SHOT,
      ])
    })

    test('a ping is answered, but does not let the other side ping back', () => {
      node.policy(1, 2, 1)
      assert.equal(there(echo(v6, 77)).value, TC_REDIRECT)
      assert.equal(back(echoReply(v6, 77)).value, TC_REDIRECT)
      assert.equal(back(echoReply(v6, 78)).value, TC_SHOT)
      const denied = back(echo(v6, 77))
      assert.equal(denied.value, TC_SHOT)
      assert.equal(denied.events[0]!.destinationPort, v6 ? 128 << 8 : 8 << 8)
    })

    test('another ICMP type is not covered by the rule for pings', () => {
      assert.equal(there(v6 ? icmpv6(139, 0, 0) : icmp(13, 0, 0)).value, TC_SHOT)
    })

    test('a protocol without ports is judged by its own column', () => {
      assert.equal(there({ protocol: 47, bytes: new Uint8Array(8) }).value, TC_SHOT)
      node.policy(2, 1, 1)
      assert.equal(there({ protocol: 47, bytes: new Uint8Array(8) }).value, TC_REDIRECT)
    })

    test('a pod cannot send with the address of another', () => {
      const out = node.run('from_pod', ethernet(ip({ from: b, to: a }, udp({ from: 1, to: 2 }))), devices.podA)
      assert.equal(out.value, TC_SHOT)
      const [event] = out.events
      assert.deepEqual(
        [event!.reason, event!.interface, event!.sourceEndpoint],
        [Drop.DROP_INVALID_SOURCE_IP, devices.podA, 200],
      )
    })

    test('nor into a connection that is established', () => {
      there(tcp({ from: 4002, to: 80, flags: 'S' }))
      const spoofed = ethernet(ip({ from: b, to: a }, tcp({ from: 80, to: 4002, flags: 'A' })))
      assert.equal(node.run('from_pod', spoofed, devices.podA).value, TC_SHOT)
    })

    test('an interface nobody knows sends nothing', () => {
      const packet = ethernet(ip({ from: a, to: b }, udp({ from: 1, to: 8000 })))
      const out = node.run('from_pod', packet, devices.gone)
      assert.deepEqual([out.value, out.events[0]!.reason], [TC_SHOT, Drop.DROP_UNKNOWN_SENDER])
    })

    test('before an endpoint has its policy nothing passes', () => {
      node.policy(2, 0, 0)
      const out = there(udp({ from: 1, to: 8000 }))
      assert.deepEqual([out.value, out.events[0]!.reason], [TC_SHOT, Drop.DROP_ENDPOINT_NOT_READY])
      node.policy(2, 99, 99) // a table that is not there
      assert.equal(there(udp({ from: 1, to: 8000 })).events[0]!.reason, Drop.DROP_ENDPOINT_NOT_READY)
    })

    test('a change of policy cuts a connection it no longer allows, whoever speaks first', () => {
      there(tcp({ from: 4003, to: 80, flags: 'S' }))
      back(tcp({ from: 80, to: 4003, flags: 'SA' }))
      node.table(3, { cells: [[['none', 30]]] })
      node.policy(2, 3, 1)
      assert.equal(there(tcp({ from: 4003, to: 80, flags: 'A' })).value, TC_REDIRECT, 'not before the epoch moves')
      node.bumpEpoch()
      const cut = back(tcp({ from: 80, to: 4003, flags: 'A' }))
      assert.equal(cut.value, TC_SHOT)
      assert.deepEqual([cut.events[0]!.reason, cut.events[0]!.ingressRule], [Drop.DROP_POLICY_DENIED, 30])
      assert.equal(cut.events[0]!.flags & EventFlags.EVENT_REJUDGED, EventFlags.EVENT_REJUDGED)
      assert.equal(there(tcp({ from: 4003, to: 80, flags: 'A' })).value, TC_SHOT)
    })

    test('a change of policy that still allows it is not noticed', () => {
      there(tcp({ from: 4004, to: 80, flags: 'S' }))
      node.bumpEpoch()
      const reply = back(tcp({ from: 80, to: 4004, flags: 'SA' }))
      assert.deepEqual([reply.value, reply.events.length], [TC_REDIRECT, 0])
      const [flow] = node.flowList()
      assert.deepEqual([...flow!.packets].sort(), [1, 1])
    })

    test('a reply whose entry was lost finds its connection again', () => {
      node.policy(1, 2, 1)
      there(tcp({ from: 4005, to: 80, flags: 'S' }))
      node.forgetFlows()
      const reply = back(tcp({ from: 80, to: 4005, flags: 'A' }))
      assert.equal(reply.value, TC_REDIRECT)
      assert.deepEqual([reply.events[0]!.flags & EventFlags.EVENT_REPLY, reply.events[0]!.ingressRule], [2, 21])
      assert.equal(there(tcp({ from: 4005, to: 80, flags: 'A' })).value, TC_REDIRECT)
    })

    test('an unsolicited reply is dropped', () => {
      node.policy(1, 2, 1)
      assert.equal(back(tcp({ from: 443, to: 4006, flags: 'A' })).value, TC_SHOT)
      assert.equal(back(udp({ from: 8000, to: 4006 })).value, TC_SHOT)
    })

    test('closing both ways reports the counts and forgets the connection', () => {
      there(tcp({ from: 4007, to: 80, flags: 'S' }))
      back(tcp({ from: 80, to: 4007, flags: 'SA' }))
      there(tcp({ from: 4007, to: 80, flags: 'FA' }))
      back(tcp({ from: 80, to: 4007, flags: 'FA' }))
      const last = there(tcp({ from: 4007, to: 80, flags: 'A' }))
      assert.equal(last.value, TC_REDIRECT)
      assert.equal(last.events[0]!.kind, EventKind.EVENT_CLOSE)
      assert.deepEqual([...last.events[0]!.packets], [3, 2])
      assert.equal(node.flowList().length, 0)
    })

    test('a reset passes and forgets the connection; a late one is not remembered', () => {
      there(tcp({ from: 4008, to: 80, flags: 'S' }))
      const reset = back(tcp({ from: 80, to: 4008, flags: 'RA' }))
      assert.deepEqual([reset.value, reset.events[0]!.kind], [TC_REDIRECT, EventKind.EVENT_CLOSE])
      const late = there(tcp({ from: 4008, to: 80, flags: 'R' }))
      assert.deepEqual([late.value, late.events.length, node.flowList().length], [TC_REDIRECT, 0, 0])
    })

    test('to an address of its own node a packet goes up the stack', () => {
      const host = v6 ? 'fd00:1::1' : '192.168.1.1'
      const out = node.run('from_pod', ethernet(ip({ from: a, to: host }, tcp({ from: 1, to: 22, flags: 'S' }))), 2)
      assert.equal(out.value, TC_OK)
      const reply = ethernet(ip({ from: host, to: a }, tcp({ from: 22, to: 1, flags: 'SA' })))
      node.policy(1, 2, 1)
      assert.equal(node.run('to_pod', reply, devices.podA).value, TC_OK)
    })

    test('an ICMP error about a connection passes, one about none is judged', () => {
      node.policy(1, 2, 1)
      there(udp({ from: 4009, to: 8000 }))
      const quote = (port: number) => ip({ from: a, to: b }, udp({ from: 4009, to: port }))
      const error = (port: number) => (v6 ? icmpv6(1, 4, 0, quote(port)) : icmp(3, 3, 0, quote(port)))
      assert.equal(back(error(8000)).value, TC_REDIRECT)
      assert.equal(back(error(8001)).value, TC_SHOT)
    })

    test('a new SYN after the end of a connection is a new connection', () => {
      there(tcp({ from: 4011, to: 80, flags: 'S' }))
      back(tcp({ from: 80, to: 4011, flags: 'SA' }))
      there(tcp({ from: 4011, to: 80, flags: 'FA' }))
      back(tcp({ from: 80, to: 4011, flags: 'FA' }))
      const again = there(tcp({ from: 4011, to: 80, flags: 'S' }))
      assert.deepEqual([again.value, again.events.map((event) => event.kind)], [TC_REDIRECT, [EventKind.EVENT_NEW]])
      assert.deepEqual([...node.flowList()[0]!.packets].sort(), [0, 1])
    })

    test('a flow that was silent too long is forgotten', () => {
      node.policy(1, 2, 1)
      there(udp({ from: 4012, to: 8000 }))
      assert.equal(back(udp({ from: 8000, to: 4012 })).value, TC_REDIRECT)
      node.age(70)
      assert.equal(back(udp({ from: 8000, to: 4012 })).value, TC_SHOT)
      const again = there(udp({ from: 4012, to: 8000 }))
      assert.equal(again.events[0]!.kind, EventKind.EVENT_NEW)
    })

    test('a connection nobody answered is forgotten sooner than one that was', () => {
      node.policy(1, 2, 1)
      there(tcp({ from: 4013, to: 80, flags: 'S' }))
      there(tcp({ from: 4014, to: 80, flags: 'S' }))
      back(tcp({ from: 80, to: 4014, flags: 'SA' }))
      node.age(70)
      assert.equal(there(tcp({ from: 4013, to: 80, flags: 'A' })).events.length, 1)
      assert.equal(there(tcp({ from: 4014, to: 80, flags: 'A' })).events.length, 0)
    })

    test('an audited denial passes and says so', () => {
      node.table(4, { cells: [[['audit', 40]]] })
      node.policy(2, 4, 1)
      const out = there(tcp({ from: 4015, to: 443, flags: 'S' }))
      const [event] = out.events
      assert.deepEqual([out.value, event!.kind, event!.ingressRule], [TC_REDIRECT, EventKind.EVENT_NEW, 40])
      assert.equal(event!.flags & EventFlags.EVENT_AUDIT, EventFlags.EVENT_AUDIT)
    })

    test('what should go through a proxy is not let past it', () => {
      node.table(5, { cells: [[['redirect', 50]]] })
      node.policy(2, 5, 1)
      const out = there(tcp({ from: 4016, to: 80, flags: 'S' }))
      assert.deepEqual([out.value, out.events[0]!.reason], [TC_SHOT, Drop.DROP_PROXY_UNSUPPORTED])
    })

    test('a pod without an address of this family sends nothing in it', () => {
      const bare = { v4: '0.0.0.0', v6: '::', identity: 1009, policy: 1 }
      node.pod(devices.gone, bare)
      node.interfaces.put(devices.gone, { ...node.interfaces.get(devices.gone)!, ipv4: new Uint8Array(16) })
      for (const from of [v6 ? '::' : '0.0.0.0', a]) {
        const out = node.run('from_pod', ethernet(ip({ from, to: b }, udp({ from: 1, to: 8000 }))), devices.gone)
        assert.deepEqual([out.value, out.events[0]!.reason], [TC_SHOT, Drop.DROP_INVALID_SOURCE_IP])
      }
      node.interfaces.remove(devices.gone)
    })

    test('packets and rules are counted', () => {
      const before = [node.metric(0, EGRESS), node.metric(0, INGRESS), node.rulePackets(21), node.rulePackets(10)]
      there(tcp({ from: 4010, to: 80, flags: 'S' }))
      there(tcp({ from: 4010, to: 80, flags: 'A' }))
      const now = [node.metric(0, EGRESS), node.metric(0, INGRESS), node.rulePackets(21), node.rulePackets(10)]
      assert.deepEqual(
        now,
        before.map((count) => count + 2),
      )
      const drops = node.metric(Drop.DROP_POLICY_DENIED, INGRESS)
      const denials = node.rulePackets(20)
      there(tcp({ from: 4010, to: 82, flags: 'S' }))
      assert.equal(node.metric(Drop.DROP_POLICY_DENIED, INGRESS), drops + 1)
      assert.equal(node.rulePackets(20), denials + 1)
    })
  })
}
