// SPDX-License-Identifier: Apache-2.0
// The host firewall: what reaches this node and what it sends, on every way in and out of it.
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { Drop, Observation, PacketMark } from '../../../gen/contract.ts'
import { address } from '../../../src/base/ip.ts'
import { devices, enterNamespace, openNode, TC_OK, TC_REDIRECT, TC_SHOT, type TestNode } from './node.ts'
import {
  echo,
  echoReply,
  ethernet,
  fragmentHeader,
  icmp,
  icmpv6,
  ip,
  ipv6,
  join,
  type Segment,
  tcp,
  u32,
  udp,
} from './packet.ts'

const HOST = { v4: '192.168.1.1', v6: 'fd00:1::1' }
const GATEWAY = { v4: '10.0.0.1', v6: 'fd00:10::1' }
const A = { v4: '10.0.0.10', v6: 'fd00:10::10', identity: 1001, policy: 1 }
const remote = { v4: '10.0.1.30', v6: 'fd00:10:1::30', identity: 1003 }
const node2 = { v4: '192.168.1.2', v6: 'fd00:1::2' }
const hostPolicy = 9

let guarded: TestNode
let open: TestNode
before(() => {
  enterNamespace()
  guarded = openNode({ tunnel: 1, hostFirewall: 1 })
  open = openNode({ tunnel: 1 })
  for (const node of [guarded, open]) {
    node.pod(devices.podA, A)
    for (const own of [HOST.v4, HOST.v6]) node.owner(own, { identity: 1, flags: 2, policy: hostPolicy, endpoint: 77 })
    for (const own of [GATEWAY.v4, GATEWAY.v6])
      node.owner(own, { identity: 1, flags: 2 | 8, policy: hostPolicy, endpoint: 77 })
    for (const other of [node2.v4, node2.v6]) node.owner(other, { identity: 6, flags: 4 })
    for (const pod of [remote.v4, remote.v6]) node.owner(pod, { identity: remote.identity, node: address(node2.v4) })
    node.table(1, { cells: [[['allow', 10]]] })
    // In: SSH and echo from everywhere, 9000 from pod A and the remote pod. Out: DNS, and 9001 to the pods.
    const pods = { [A.identity]: 1, [remote.identity]: 1 }
    const denied = ['none', 20] as const
    node.table(2, {
      columns: [
        [0, 22, 22],
        [0, 9000, 9000],
        [3, 8 << 8, 8 << 8],
        [4, 128 << 8, 128 << 8],
      ],
      classes: pods,
      cells: [
        [denied, ['allow', 21], denied, ['allow', 23], ['allow', 23]],
        [denied, ['allow', 21], ['allow', 22], ['allow', 23], ['allow', 23]],
      ],
    })
    node.table(3, {
      columns: [
        [1, 53, 53],
        [0, 9001, 9001],
      ],
      classes: pods,
      cells: [
        [
          ['none', 30],
          ['allow', 31],
          ['none', 30],
        ],
        [
          ['none', 30],
          ['allow', 31],
          ['allow', 32],
        ],
      ],
    })
    node.table(4, { cells: [[['none', 40]]] })
  }
})
beforeEach(() => {
  for (const node of [guarded, open]) {
    node.forgetFlows()
    node.policy(1, 1, 1)
    node.policy(hostPolicy, 2, 3)
    node.events()
  }
})
after(() => {
  guarded.close()
  open.close()
})

const vxlan = (vni: number, inner: Uint8Array): Uint8Array => join([8, 0, 0, 0], u32(vni << 8), ethernet(inner))

const families = [
  { name: 'IPv4', v6: false, host: HOST.v4, gateway: GATEWAY.v4, a: A.v4, r: remote.v4, world: '1.1.1.1' },
  { name: 'IPv6', v6: true, host: HOST.v6, gateway: GATEWAY.v6, a: A.v6, r: remote.v6, world: '2001:db8::1' },
]
for (const { name, v6, host, gateway, a, r, world } of families)
  describe(`host firewall, ${name}`, () => {
    const come = (segment: Segment, from = world, to = host, node = guarded) =>
      node.run('from_wire', ethernet(ip({ from, to }, segment)), devices.wire)
    const go = (segment: Segment, to = world, from = host) =>
      guarded.run('to_wire', ethernet(ip({ from, to }, segment)), devices.wire)

    test('what a rule allows comes in from the wire, and its replies go out whatever egress says', () => {
      const first = come(tcp({ from: 4000, to: 22, flags: 'S' }))
      assert.equal(first.value, TC_OK)
      const [event] = first.events
      assert.deepEqual([event!.ingressRule, event!.destinationIdentity, event!.reason], [21, 1, Observation.AT_TO_HOST])
      assert.equal(event!.destinationEndpoint, 77)
      assert.equal(go(tcp({ from: 22, to: 4000, flags: 'SA' })).value, TC_OK)
      assert.equal(come(tcp({ from: 4000, to: 22, flags: 'A' })).value, TC_OK)
      assert.equal(guarded.flowList().length, 1)
    })

    test('what no rule allows is dropped by name, in and out', () => {
      const entering = come(tcp({ from: 4000, to: 80, flags: 'S' }))
      assert.equal(entering.value, TC_SHOT)
      assert.deepEqual([entering.events[0]!.reason, entering.events[0]!.ingressRule], [Drop.DROP_POLICY_DENIED, 20])
      const leaving = go(tcp({ from: 4000, to: 80, flags: 'S' }))
      assert.equal(leaving.value, TC_SHOT)
      assert.deepEqual([leaving.events[0]!.reason, leaving.events[0]!.egressRule], [Drop.DROP_POLICY_DENIED, 30])
      assert.equal(leaving.events[0]!.sourceIdentity, 1)
    })

    test('what the node asks is answered whatever ingress says', () => {
      assert.equal(come(udp({ from: 53, to: 5000 })).value, TC_SHOT)
      assert.equal(go(udp({ from: 5000, to: 53 })).value, TC_OK)
      assert.equal(come(udp({ from: 53, to: 5000 })).value, TC_OK)
    })

    test('a port of the node is its own while no service has it, and the service’s again when it comes back', () => {
      const serve = () => guarded.service(host, 22, 6, [[a, 8080]], { flags: 1 })
      const lead = (flags: string) => come(tcp({ from: 4040, to: 22, flags }))
      for (let round = 0; round < 2; round++) {
        serve()
        assert.deepEqual([lead('S').seen?.to, lead('A').seen?.to], [a, a])
        guarded.forgetServices()
        guarded.bumpEpoch()
        assert.equal(lead('A').value, TC_OK)
      }
      assert.equal(go(tcp({ from: 22, to: 4040, flags: 'R' })).value, TC_OK)
      serve()
      assert.equal(lead('S').seen?.to, a)
      guarded.forgetServices()
    })

    test('echo requests are judged, and answered', () => {
      assert.equal(come(echo(v6, 7)).value, TC_OK)
      assert.equal(go(echoReply(v6, 7)).value, TC_OK)
      guarded.forgetFlows()
      assert.equal(go(echo(v6, 7)).value, TC_SHOT)
      assert.equal(go(echoReply(v6, 7)).value, TC_SHOT)
    })

    test('an error about what passes passes, another does not', () => {
      go(udp({ from: 5000, to: 53 }))
      const about = (port: number) => {
        const quote = ip({ from: host, to: world }, udp({ from: port, to: 53 }))
        return v6 ? icmpv6(1, 4, 0, quote) : icmp(3, 3, 0, quote)
      }
      assert.equal(come(about(5000), node2[v6 ? 'v6' : 'v4']).value, TC_OK)
      assert.equal(come(about(5001), node2[v6 ? 'v6' : 'v4']).value, TC_SHOT)
    })

    test('an error about the tunnel itself always passes: the kernel learns the MTU from it', () => {
      const other = node2[v6 ? 'v6' : 'v4']
      const quote = ip({ from: host, to: other }, udp({ from: 40000, to: 8472 }))
      assert.equal(come(v6 ? icmpv6(2, 0, 1400, quote) : icmp(3, 4, 1400, quote), other).value, TC_OK)
    })

    test('a change of policy cuts what is open, and a mere restart of the datapath cuts nothing', () => {
      come(tcp({ from: 4000, to: 22, flags: 'S' }))
      go(tcp({ from: 22, to: 4000, flags: 'SA' }))
      guarded.bumpEpoch()
      assert.equal(come(tcp({ from: 4000, to: 22, flags: 'A' })).value, TC_OK)
      guarded.bumpEpoch()
      assert.equal(go(tcp({ from: 22, to: 4000, flags: 'A' })).value, TC_OK, 'judged the way it was opened')
      guarded.forgetFlows()
      assert.equal(go(tcp({ from: 22, to: 4000, flags: 'A' })).value, TC_OK, 'a lost entry costs a judgement')
      guarded.forgetFlows()
      assert.equal(come(tcp({ from: 4000, to: 22, flags: 'A' })).value, TC_OK)
      guarded.policy(hostPolicy, 4, 4)
      guarded.bumpEpoch()
      assert.equal(come(tcp({ from: 4000, to: 22, flags: 'A' })).value, TC_SHOT)
      assert.equal(go(tcp({ from: 22, to: 4000, flags: 'A' })).value, TC_SHOT)
    })

    test('pods of this node reach it by its rules, the gateway included, and the other way round', () => {
      const ask = (port: number, to: string) =>
        guarded.run('from_pod', ethernet(ip({ from: a, to }, tcp({ from: 4000, to: port, flags: 'S' }))), devices.podA)
      for (const to of [host, gateway]) {
        assert.equal(ask(9000, to).value, TC_OK)
        const refused = ask(9001, to)
        assert.deepEqual([refused.value, refused.events[0]!.ingressRule], [TC_SHOT, 20])
      }
      const probe = (port: number) =>
        guarded.run(
          'to_pod',
          ethernet(ip({ from: gateway, to: a }, tcp({ from: 5, to: port, flags: 'S' }))),
          devices.podA,
        )
      assert.equal(probe(9001).value, TC_OK)
      const refused = probe(80)
      assert.deepEqual([refused.value, refused.events[0]!.egressRule], [TC_SHOT, 30])
      const reply = ethernet(ip({ from: a, to: gateway }, tcp({ from: 9001, to: 5, flags: 'SA' })))
      assert.equal(guarded.run('from_pod', reply, devices.podA).value, TC_OK)
    })

    test('pods behind the tunnel are judged by the identity they came with', () => {
      const tunnelled = (inner: Segment, from = r) =>
        guarded.run(
          'from_wire',
          ethernet(
            ip(
              { from: node2.v4, to: HOST.v4 },
              udp({ from: 40000, to: 8472, data: vxlan(remote.identity, ip({ from, to: gateway }, inner)) }),
            ),
          ),
          devices.wire,
        )
      const send = (segment: Segment) =>
        guarded.run('from_host', ethernet(ip({ from: gateway, to: r }, segment)), devices.wire)
      assert.equal(tunnelled(tcp({ from: 4000, to: 9000, flags: 'S' })).value, TC_OK)
      const answer = send(tcp({ from: 9000, to: 4000, flags: 'SA' }))
      assert.equal(answer.value, TC_REDIRECT)
      assert.equal(answer.mark, PacketMark.MARK_JUDGED)
      assert.equal(tunnelled(tcp({ from: 4001, to: 80, flags: 'S' })).value, TC_SHOT)
      assert.equal(send(tcp({ from: 4002, to: 9001, flags: 'S' })).value, TC_REDIRECT)
      assert.equal(tunnelled(tcp({ from: 9001, to: 4002, flags: 'SA' })).value, TC_OK)
      const refused = send(tcp({ from: 4003, to: 80, flags: 'S' }))
      assert.deepEqual([refused.value, refused.events[0]!.egressRule], [TC_SHOT, 30])
    })

    test('what pods send to the wire carries a mark, by which the firewall lets it pass unasked', () => {
      const out = guarded.run(
        'from_pod',
        ethernet(ip({ from: a, to: world }, tcp({ from: 4000, to: 443, flags: 'S' }))),
        devices.podA,
      )
      assert.deepEqual([out.value, out.mark], [TC_REDIRECT, PacketMark.MARK_JUDGED])
      const passing = guarded.run('to_wire', out.packet, devices.wire, { mark: out.mark })
      assert.deepEqual([passing.value, passing.events.length], [TC_OK, 0])
      assert.equal(guarded.run('to_wire', out.packet, devices.wire).value, TC_SHOT, 'as the node it would not')
    })

    test('later fragments follow their first', () => {
      const piece = (fragment: number, more: boolean, port: number, id: number) => {
        const of = { from: host, to: world, id, fragment, more }
        const segment = udp({ from: 5000, to: port })
        const packet = v6 ? ipv6(of, segment, [fragmentHeader(fragment, more, id)]) : ip(of, segment)
        return guarded.run('to_wire', ethernet(packet), devices.wire).value
      }
      assert.deepEqual([piece(0, true, 53, 1), piece(16, false, 53, 1)], [TC_OK, TC_OK])
      assert.deepEqual([piece(0, true, 54, 2), piece(16, false, 54, 2)], [TC_SHOT, TC_SHOT])
      assert.equal(piece(16, false, 53, 3), TC_SHOT)
    })

    test('without a policy number, and without the firewall, the node is asked about nothing', () => {
      for (const own of [HOST.v4, HOST.v6]) guarded.owner(own, { identity: 1, flags: 2 })
      assert.equal(come(tcp({ from: 4000, to: 80, flags: 'S' })).value, TC_OK)
      for (const own of [HOST.v4, HOST.v6])
        guarded.owner(own, { identity: 1, flags: 2, policy: hostPolicy, endpoint: 77 })
      const passed = come(tcp({ from: 4000, to: 80, flags: 'S' }), world, host, open)
      assert.deepEqual([passed.value, passed.events.length, open.flowList().length], [TC_OK, 0, 0])
    })

    test('nobody speaks for the node or its pods from the wire', () => {
      for (const from of [host, a, r]) {
        const lie = come(tcp({ from: 4000, to: 22, flags: 'S' }), from)
        assert.deepEqual([lie.value, lie.events[0]!.reason], [TC_SHOT, Drop.DROP_INVALID_SOURCE_IP])
      }
    })
  })

describe('host firewall, link-local addresses', () => {
  const local = 'fe80::1'
  const neighbour = 'fe80::2'
  const come = (segment: Segment) =>
    guarded.run('from_wire', ethernet(ip({ from: neighbour, to: local }, segment)), devices.wire)
  const go = (segment: Segment) =>
    guarded.run('to_wire', ethernet(ip({ from: local, to: neighbour }, segment)), devices.wire)

  test('they are the node too', () => {
    assert.equal(come(tcp({ from: 4000, to: 80, flags: 'S' })).value, TC_SHOT)
    assert.equal(come(tcp({ from: 4000, to: 22, flags: 'S' })).value, TC_OK)
    assert.equal(go(tcp({ from: 22, to: 4000, flags: 'SA' })).value, TC_OK)
    assert.equal(go(tcp({ from: 4000, to: 80, flags: 'S' })).value, TC_SHOT)
  })

  test('neighbours are found whatever policy says', () => {
    for (const type of [133, 134, 135, 136]) {
      assert.equal(come(icmpv6(type, 0, 0)).value, TC_OK)
      assert.equal(go(icmpv6(type, 0, 0)).value, TC_OK)
    }
  })
})
