// SPDX-License-Identifier: Apache-2.0
// Service addresses translated packet by packet, for what did not pass the socket programs.
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { EventKind } from '../../../gen/contract.ts'
import { printAddress } from '../../../src/base/ip.ts'
import { devices, enterNamespace, openNode, TC_REDIRECT, TC_SHOT, type TestNode } from './node.ts'
import { ethernet, icmp, icmpv6, ip, join, type Segment, tcp, udp } from './packet.ts'

const A = { v4: '10.0.0.10', v6: 'fd00:10::10', identity: 1001, policy: 1 }
const B = { v4: '10.0.0.20', v6: 'fd00:10::20', identity: 1002, policy: 2 }
const remote = { v4: '10.0.1.30', v6: 'fd00:10:1::30' }
let node: TestNode
before(() => {
  enterNamespace()
  node = openNode()
  node.pod(devices.podA, A)
  node.pod(devices.podB, B)
  for (const address of [remote.v4, remote.v6]) node.owner(address, { identity: 1003 })
  node.table(1, { cells: [[['allow', 10]]] })
  node.table(2, {
    columns: [
      [0, 8080, 8080],
      [1, 8080, 8080],
    ],
    cells: [
      [
        ['none', 20],
        ['allow', 21],
        ['allow', 21],
      ],
    ],
  })
  node.policy(1, 2, 1)
  node.policy(2, 2, 1)
})
beforeEach(() => node.forgetFlows())
after(() => node.close())

for (const v6 of [false, true]) {
  const [a, b, r, vip] = v6 ? [A.v6, B.v6, remote.v6, 'fd00:96::1'] : [A.v4, B.v4, remote.v4, '10.96.0.1']
  const send = (segment: Segment) => node.run('from_pod', ethernet(ip({ from: a, to: vip }, segment)), devices.podA)

  describe(`${v6 ? 'IPv6' : 'IPv4'} service`, () => {
    test('its packets go to the backend, its answers come from the service', () => {
      node.service(vip, 80, 6, [[b, 8080]])
      for (const flags of ['S', 'A']) {
        const out = send(tcp({ from: 4000, to: 80, flags, size: 3 }))
        assert.equal(out.value, TC_REDIRECT)
        assert.deepEqual([out.seen!.from, out.seen!.to, out.seen!.ports], [a, b, [4000, 8080]])
      }
      const answer = ethernet(ip({ from: b, to: a }, tcp({ from: 8080, to: 4000, flags: 'SA', size: 4 })))
      const back = node.run('from_pod', answer, devices.podB)
      assert.equal(back.value, TC_REDIRECT)
      assert.deepEqual([back.seen!.from, back.seen!.to, back.seen!.ports], [vip, a, [80, 4000]])
    })

    test('an address that becomes a service’s is one for what opens from then on', () => {
      node.forgetServices()
      const to = (flags: string) => send(tcp({ from: 4030, to: 80, flags })).seen?.to
      assert.equal(to('S'), vip)
      node.service(vip, 80, 6, [[b, 8080]])
      assert.equal(to('A'), vip)
      assert.equal(to('S'), b)
    })

    test('policy judges the backend and its port', () => {
      node.service(vip, 80, 6, [[b, 9090]])
      const out = send(tcp({ from: 4001, to: 80, flags: 'S' }))
      assert.deepEqual([out.value, out.events[0]!.ingressRule, out.events[0]!.destinationPort], [TC_SHOT, 20, 9090])
    })

    test('a backend of another node is answered from the wire', () => {
      node.service(vip, 53, 17, [[r, 5353]])
      const out = send(udp({ from: 4002, to: 53 }))
      assert.deepEqual([out.value, out.seen!.to, out.seen!.ports], [TC_REDIRECT, r, [4002, 5353]])
      const answer = ethernet(ip({ from: r, to: a }, udp({ from: 5353, to: 4002 })))
      for (let round = 0; round < 2; round++) {
        const back = node.run('from_wire', answer, devices.wire)
        assert.deepEqual([back.value, back.seen!.from, back.seen!.ports], [TC_REDIRECT, vip, [53, 4002]])
      }
    })

    test('a flow keeps its backend when the service gets others', () => {
      node.service(vip, 80, 6, [[b, 8080]])
      send(tcp({ from: 4003, to: 80, flags: 'S' }))
      node.service(vip, 80, 6, [[r, 8081]])
      assert.equal(send(tcp({ from: 4003, to: 80, flags: 'A' })).seen!.to, b)
      assert.equal(send(tcp({ from: 4004, to: 80, flags: 'S' })).seen!.to, r)
    })

    test('all backends get their share', () => {
      node.service(vip, 80, 6, [
        [b, 8080],
        [r, 8080],
      ])
      const chosen = new Set<string>()
      for (let port = 5000; port < 5064; port++) chosen.add(send(tcp({ from: port, to: 80, flags: 'S' })).seen!.to)
      assert.deepEqual([...chosen].sort(), [b, r].sort())
    })

    test('an error from the backend speaks of the service', () => {
      node.service(vip, 53, 17, [[b, 8080]])
      send(udp({ from: 4005, to: 53 }))
      const quote = ip({ from: a, to: b }, udp({ from: 4005, to: 8080 }))
      const error = v6 ? icmpv6(1, 4, 0, quote) : icmp(3, 3, 0, quote)
      const back = node.run('from_pod', ethernet(ip({ from: b, to: a }, error)), devices.podB)
      assert.deepEqual([back.value, back.seen!.from], [TC_REDIRECT, vip])
      const inner = back.seen!.body.slice(8)
      const to = v6 ? inner.slice(24, 40) : join(new Uint8Array(10), [255, 255], inner.slice(16, 20))
      assert.equal(printAddress(to), vip)
      assert.equal((inner[v6 ? 42 : 22]! << 8) | inner[v6 ? 43 : 23]!, 53)
    })

    test('its connection is reported once, at the backend', () => {
      node.service(vip, 80, 6, [[b, 8080]])
      const events = send(tcp({ from: 4006, to: 80, flags: 'S' })).events
      assert.deepEqual(
        events.map((event) => [event.kind, event.destinationPort]),
        [[EventKind.EVENT_NEW, 8080]],
      )
    })

    test('a pod reaches itself through it, whatever policy says, also after policy moved', () => {
      node.service(vip, 80, 6, [[a, 9999]])
      const alias = v6 ? '100::a9fe:2a01' : '169.254.42.1'
      for (let round = 0; round < 3; round++) {
        const out = send(tcp({ from: 4007, to: 80, flags: round ? 'A' : 'S', size: 3 }))
        assert.deepEqual(
          [out.value, out.seen!.from, out.seen!.to, out.seen!.ports],
          [TC_REDIRECT, alias, a, [4007, 9999]],
        )
        const answer = ethernet(ip({ from: a, to: alias }, tcp({ from: 9999, to: 4007, flags: 'A', size: 4 })))
        const back = node.run('from_pod', answer, devices.podA)
        assert.deepEqual(
          [back.value, back.seen!.from, back.seen!.to, back.seen!.ports],
          [TC_REDIRECT, vip, a, [80, 4007]],
        )
        if (round) node.bumpEpoch()
      }
    })

    test('a backend outside the cluster sees the node, the pod sees the service', () => {
      const [outside, own] = v6 ? ['2001:db8::7', 'fd00:1::1'] : ['1.1.1.7', '192.168.1.1']
      node.service(vip, 80, 6, [[outside, 6443]])
      for (const flags of ['S', 'A']) {
        const out = send(tcp({ from: 40700, to: 80, flags }))
        assert.deepEqual(
          [out.value, out.seen!.from, out.seen!.to, out.seen!.ports],
          [TC_REDIRECT, own, outside, [40700, 6443]],
        )
        const answer = ethernet(ip({ from: outside, to: own }, tcp({ from: 6443, to: 40700, flags: 'A', size: 3 })))
        const back = node.run('from_wire', answer, devices.wire)
        assert.deepEqual(
          [back.value, back.seen!.from, back.seen!.to, back.seen!.ports],
          [TC_REDIRECT, vip, a, [80, 40700]],
        )
      }
    })

    test('a spoofed packet makes no entry', () => {
      node.service(vip, 80, 6, [[b, 8080]])
      const out = node.run(
        'from_pod',
        ethernet(ip({ from: r, to: vip }, tcp({ from: 1, to: 80, flags: 'S' }))),
        devices.podA,
      )
      assert.deepEqual([out.value, node.flowList().length], [TC_SHOT, 0])
    })
  })
}
