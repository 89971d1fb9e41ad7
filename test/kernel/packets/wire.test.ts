// SPDX-License-Identifier: Apache-2.0
// Between nodes: native routing and the tunnel the programs write themselves.
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { Action, Drop, EventFlags, Observation } from '../../../gen/contract.ts'
import { address, printAddress } from '../../../src/base/ip.ts'
import {
  A,
  devices,
  enterNamespace,
  node2,
  openBoth,
  openNode,
  remote,
  TC_OK,
  TC_REDIRECT,
  TC_SHOT,
  type TestNode,
} from './node.ts'
import { ethernet, icmp, icmpv6, ip, join, readIp, type Segment, tcp, u32, udp } from './packet.ts'

const EGRESS = 1

let native: TestNode
let overlay: TestNode
before(() => {
  enterNamespace()
  ;({ native, overlay } = openBoth())
  for (const node of [native, overlay]) {
    node.table(2, {
      columns: [[0, 80, 80]],
      classes: { [remote.identity]: 1, 6: 2 },
      cells: [
        [
          ['none', 20],
          ['none', 20],
        ],
        [
          ['none', 20],
          ['allow', 21],
        ],
        [
          ['allow', 22],
          ['allow', 22],
        ],
      ],
    })
  }
})
beforeEach(() => {
  for (const node of [native, overlay]) {
    node.forgetFlows()
    node.policy(1, 2, 1)
    node.events()
  }
})
after(() => {
  native.close()
  overlay.close()
})

const vxlan = (vni: number, inner: Uint8Array): Uint8Array => join([8, 0, 0, 0], u32(vni << 8), ethernet(inner))
const tunnelled = (vni: number, inner: Uint8Array, from: string = node2.v4): Uint8Array => {
  const to = from.includes(':') ? 'fd00:1::1' : '192.168.1.1'
  return ethernet(ip({ from, to }, udp({ from: 40000, to: 8472, data: vxlan(vni, inner) })))
}

const families = [
  { name: 'IPv4', a: A.v4, r: remote.v4, outside: '1.1.1.1', v6: false, hop: '192.168.1.254' },
  { name: 'IPv6', a: A.v6, r: remote.v6, outside: '2001:db8::1', v6: true, hop: 'fd00:1::fe' },
]
for (const { name, a, r, outside, v6, hop } of families) {
  describe(`${name} by native routing`, () => {
    const out = (segment: Segment) => native.run('from_pod', ethernet(ip({ from: a, to: r }, segment)), devices.podA)
    const come = (segment: Segment, from = r) =>
      native.run('from_wire', ethernet(ip({ from, to: a }, segment)), devices.wire)

    test('a packet leaves untouched by the next hop the kernel knows, which the flow keeps', () => {
      const packet = ethernet(ip({ from: a, to: r }, tcp({ from: 4000, to: 80, flags: 'S' })))
      const result = native.run('from_pod', packet, devices.podA)
      assert.equal(result.value, TC_REDIRECT)
      assert.deepEqual(result.packet, packet)
      assert.equal(result.events[0]!.reason, Observation.AT_TO_NETWORK)
      const [flow] = native.flowList()
      assert.ok([...flow!.action].includes(Action.ACTION_NEIGHBOUR))
      assert.equal(printAddress(flow!.nextHop), hop)
      assert.ok(flow!.out.includes(devices.wire))
      assert.equal(come(tcp({ from: 80, to: 4000, flags: 'SA' })).value, TC_REDIRECT)
    })

    test('what arrives is judged by the identity of its source address', () => {
      const allowed = come(tcp({ from: 5000, to: 80, flags: 'S' }))
      assert.deepEqual([allowed.value, allowed.events[0]!.ingressRule], [TC_REDIRECT, 21])
      assert.equal(allowed.events[0]!.sourceIdentity, remote.identity)
      const denied = come(tcp({ from: 5000, to: 81, flags: 'S' }))
      assert.deepEqual([denied.value, denied.events[0]!.reason], [TC_SHOT, Drop.DROP_POLICY_DENIED])
      const reply = out(tcp({ from: 80, to: 5000, flags: 'SA' }))
      assert.deepEqual([reply.value, reply.events.length], [TC_REDIRECT, 0])
    })

    test('an address nobody owns is the world of its family', () => {
      const event = come(tcp({ from: 5000, to: 80, flags: 'S' }), outside).events[0]!
      assert.equal(event.sourceIdentity, v6 ? 10 : 9)
      native.owner(v6 ? '2001:db8::/32' : '1.0.0.0/8', { identity: 16777217 })
      const known = come(tcp({ from: 5001, to: 80, flags: 'S' }), outside).events[0]!
      assert.equal(known.sourceIdentity, 16777217)
      assert.equal(known.reason, Drop.DROP_POLICY_DENIED)
    })

    test('the wire cannot speak for a pod of this node', () => {
      const result = come(tcp({ from: 5000, to: 80, flags: 'S' }), a)
      assert.deepEqual([result.value, result.events[0]!.reason], [TC_SHOT, Drop.DROP_INVALID_SOURCE_IP])
    })

    test('what is not for a pod is the business of the kernel', () => {
      const own = v6 ? 'fd00:1::1' : '192.168.1.1'
      const other = v6 ? 'fd00:99::1' : '10.99.0.1'
      for (const to of [own, other]) {
        const packet = ethernet(ip({ from: r, to }, tcp({ from: 1, to: 22, flags: 'S' })))
        assert.equal(native.run('from_wire', packet, devices.wire).value, TC_OK)
      }
    })

    test('an error of a router on the way reaches the pod', () => {
      out(udp({ from: 4001, to: 53 }))
      const quote = ip({ from: a, to: r }, udp({ from: 4001, to: 53 }))
      const error = v6 ? icmpv6(2, 0, 1400, quote) : icmp(3, 4, 1400, quote)
      assert.equal(come(error, hop).value, TC_REDIRECT)
      const stray = ip({ from: a, to: r }, udp({ from: 4002, to: 53 }))
      assert.equal(come(v6 ? icmpv6(2, 0, 1400, stray) : icmp(3, 4, 1400, stray), hop).value, TC_SHOT)
    })

    test('a packet over the MTU that must not be cut comes back as an error of the gateway', () => {
      const big = ethernet(ip({ from: a, to: r, dontFragment: true }, udp({ from: 4003, to: 53, size: 1600 })))
      const result = native.run('from_pod', big, devices.podA)
      assert.equal(result.value, TC_REDIRECT)
      assert.deepEqual([result.seen!.from, result.seen!.to], [v6 ? 'fd00:10::1' : '10.0.0.1', a])
      assert.deepEqual(result.seen!.icmp, v6 ? [2, 0] : [3, 4])
      assert.deepEqual([...result.seen!.body.slice(v6 ? 4 : 6, 8)], v6 ? u32(1500) : u32(1500).slice(2))
      const whole = native.run('from_pod', big, devices.podA, { gsoSize: 1400, gsoSegments: 2 })
      assert.deepEqual(whole.packet, big, 'one that the device will segment passes')
    })
  })

  describe(`${name} by tunnel`, () => {
    const out = (segment: Segment) => overlay.run('from_pod', ethernet(ip({ from: a, to: r }, segment)), devices.podA)
    const come = (vni: number, segment: Segment, from = r) =>
      overlay.run('from_wire', tunnelled(vni, ip({ from, to: a }, segment)), devices.wire)

    test('a packet leaves in VXLAN to the node behind which its receiver is, with the sender in the VNI', () => {
      const inner = ip({ from: a, to: r }, tcp({ from: 4000, to: 80, flags: 'S' }))
      for (const flags of ['first', 'established']) {
        const result = overlay.run('from_pod', ethernet(inner), devices.podA)
        assert.equal(result.value, TC_REDIRECT, flags)
        const outer = readIp(result.packet.slice(14), printAddress)
        assert.deepEqual([outer.from, outer.to, outer.protocol], ['192.168.1.1', node2.v4, 17])
        assert.equal(outer.ports![1], 8472)
        assert.ok(outer.ports![0] >= 0x8000)
        assert.deepEqual([...outer.body.slice(8, 16)], [8, 0, 0, 0, ...u32(A.identity << 8)])
        assert.deepEqual(outer.body.slice(30), inner)
        overlay.run('from_pod', ethernet(ip({ from: a, to: r }, tcp({ from: 4000, to: 80, flags: 'A' }))), 2)
      }
    })

    test('what arrives is who the VNI says', () => {
      const allowed = come(remote.identity, tcp({ from: 5000, to: 80, flags: 'S' }))
      assert.deepEqual([allowed.value, allowed.events[0]!.ingressRule], [TC_REDIRECT, 21])
      assert.equal(allowed.events[0]!.flags & EventFlags.EVENT_TUNNEL, EventFlags.EVENT_TUNNEL)
      assert.equal(allowed.packet.length, 14 + (v6 ? 60 : 40), 'and arrives without the tunnel')
      const stranger = come(1099, tcp({ from: 5001, to: 80, flags: 'S' }))
      assert.deepEqual([stranger.value, stranger.events[0]!.sourceIdentity], [TC_SHOT, 1099])
    })

    test('another identity in an established flow is judged anew', () => {
      come(remote.identity, udp({ from: 5002, to: 80 }))
      overlay.policy(1, 1, 1)
      assert.equal(come(remote.identity, udp({ from: 5003, to: 80 })).value, TC_REDIRECT)
      overlay.policy(1, 2, 1)
      assert.equal(come(remote.identity, udp({ from: 5003, to: 80 })).value, TC_REDIRECT)
      assert.equal(come(1099, udp({ from: 5003, to: 80 })).value, TC_SHOT)
    })

    test('the reply goes back through the tunnel', () => {
      come(remote.identity, tcp({ from: 5004, to: 80, flags: 'S' }))
      const reply = out(tcp({ from: 80, to: 5004, flags: 'SA' }))
      assert.deepEqual([reply.value, reply.seen!.to, reply.events.length], [TC_REDIRECT, node2.v4, 0])
    })

    test('the host of another node is a remote node, and is answered through the tunnel it came by', () => {
      const from = v6 ? node2.v6 : node2.v4
      const result = come(1, tcp({ from: 5005, to: 443, flags: 'S' }), from)
      assert.deepEqual(
        [result.value, result.events[0]!.sourceIdentity, result.events[0]!.ingressRule],
        [TC_REDIRECT, 6, 22],
      )
      const reply = overlay.run(
        'from_pod',
        ethernet(ip({ from: a, to: from }, tcp({ from: 443, to: 5005, flags: 'SA' }))),
        2,
      )
      assert.deepEqual([reply.value, reply.seen!.to, reply.seen!.protocol], [TC_REDIRECT, node2.v4, 17])
    })

    test('a tunnel from an address that is no node ends here', () => {
      const inner = ip({ from: r, to: a }, tcp({ from: 5006, to: 80, flags: 'S' }))
      const result = overlay.run('from_wire', tunnelled(remote.identity, inner, '192.168.1.99'), devices.wire)
      assert.deepEqual([result.value, result.events[0]!.reason], [TC_SHOT, Drop.DROP_UNKNOWN_SENDER])
    })

    test('an established packet arrives without the tunnel, from the node of its flow or another one, from nobody else', () => {
      overlay.policy(1, 1, 1)
      const inner = ip({ from: r, to: a }, udp({ from: 5010, to: 80 }))
      const from = (node: string, vni = remote.identity) =>
        overlay.run('from_wire', tunnelled(vni, inner, node), devices.wire)
      const own = v6 ? node2.v6 : node2.v4
      assert.equal(from(own).events.length, 1, 'a new flow')
      for (const node of [own, v6 ? node2.v4 : node2.v6]) {
        const result = from(node)
        assert.deepEqual([result.value, result.events.length], [TC_REDIRECT, 0], node)
        assert.deepEqual(result.packet.slice(14), inner)
      }
      const [flow] = overlay.flowList()
      assert.deepEqual([...flow!.packets].sort(), [0, 3])
      const stranger = from(v6 ? 'fd00:1::99' : '192.168.1.99')
      assert.deepEqual([stranger.value, stranger.events[0]!.reason], [TC_SHOT, Drop.DROP_UNKNOWN_SENDER])
      overlay.forgetFlows()
      const other = v6 ? node2.v4 : node2.v6
      assert.deepEqual([from(other).events.length, from(other).events.length], [1, 0], 'families differ')
      assert.deepEqual(from(other).packet.slice(14), inner)
      overlay.policy(1, 2, 1)
      assert.equal(from(own, 1099).value, TC_SHOT, 'nor by another identity')
      assert.equal(from(own, 0).value, TC_SHOT, 'nor by none')
    })

    test('so does one without identity, with odd flags, or cut short', () => {
      const inner = ip({ from: r, to: a }, tcp({ from: 5007, to: 80, flags: 'S' }))
      assert.equal(
        overlay.run('from_wire', tunnelled(0, inner), devices.wire).events[0]!.reason,
        Drop.DROP_INVALID_IDENTITY,
      )
      const short = ethernet(ip({ from: node2.v4, to: '192.168.1.1' }, udp({ from: 1, to: 8472, size: 12 })))
      assert.equal(overlay.run('from_wire', short, devices.wire).value, TC_SHOT)
      const odd = ethernet(
        ip(
          { from: node2.v4, to: '192.168.1.1' },
          udp({ from: 1, to: 8472, data: join([0, 0, 0, 0], u32(1), ethernet(inner)) }),
        ),
      )
      assert.equal(overlay.run('from_wire', odd, devices.wire).value, TC_SHOT)
    })

    test('a pod behind a tunnel cannot come in beside it', () => {
      const packet = ethernet(ip({ from: r, to: a }, tcp({ from: 5008, to: 80, flags: 'S' })))
      const result = overlay.run('from_wire', packet, devices.wire)
      assert.deepEqual([result.value, result.events[0]!.reason], [TC_SHOT, Drop.DROP_INVALID_SOURCE_IP])
      come(remote.identity, udp({ from: 5009, to: 80 }))
      const beside = ethernet(ip({ from: r, to: a }, udp({ from: 5009, to: 80 })))
      assert.equal(overlay.run('from_wire', beside, devices.wire).value, TC_SHOT, 'nor into a flow')
    })

    test('nor can a pod of this node come back out of the tunnel', () => {
      assert.equal(come(A.identity, udp({ from: 1, to: 80 }), a).events[0]!.reason, Drop.DROP_INVALID_SOURCE_IP)
    })

    test('a packet over the tunnel MTU comes back as an error that says so', () => {
      const big = ethernet(ip({ from: a, to: r, dontFragment: true }, udp({ from: 4003, to: 53, size: 1440 })))
      const result = overlay.run('from_pod', big, devices.podA)
      assert.equal(result.value, TC_REDIRECT)
      assert.deepEqual(result.seen!.icmp, v6 ? [2, 0] : [3, 4])
      assert.deepEqual([...result.seen!.body.slice(v6 ? 4 : 6, 8)], v6 ? u32(1450) : u32(1450).slice(2))
      if (v6) return
      const cut = ethernet(ip({ from: a, to: r }, udp({ from: 4003, to: 53, size: 1440 })))
      assert.equal(overlay.run('from_pod', cut, devices.podA).events[0]!.reason, Drop.DROP_FRAGMENTATION_NEEDED)
    })

    test('the node itself reaches pods behind the tunnel as host', () => {
      const from = v6 ? 'fd00:10::1' : '10.0.0.1'
      const inner = ip({ from, to: r }, tcp({ from: 6000, to: 80, flags: 'S' }))
      const result = overlay.run('from_host', ethernet(inner), devices.gone)
      assert.deepEqual([result.value, result.seen!.to], [TC_REDIRECT, node2.v4])
      assert.deepEqual([...result.seen!.body.slice(12, 16)], u32(1 << 8))
      const near = ethernet(ip({ from, to: v6 ? 'fd00:77::1' : '10.77.0.1' }, tcp({ from: 6000, to: 80, flags: 'S' })))
      const lost = overlay.run('from_host', near, devices.gone)
      assert.deepEqual([lost.value, lost.events[0]!.reason], [TC_SHOT, Drop.DROP_NO_TUNNEL_ENDPOINT])
    })

    test('forwarding is counted once', () => {
      const counted = overlay.metric(0, EGRESS)
      out(tcp({ from: 4010, to: 80, flags: 'S' }))
      assert.equal(overlay.metric(0, EGRESS), counted + 1)
    })
  })
}

describe('a tunnel over IPv6', () => {
  let node: TestNode
  before(() => {
    node = openNode({ tunnel: 1, nodeIpv4: new Uint8Array(16) })
    node.pod(devices.podA, A)
    node.owner(node2.v6, { identity: 6, flags: 4 })
    for (const pod of [remote.v4, remote.v6]) node.owner(pod, { identity: remote.identity, node: address(node2.v6) })
    node.table(1, { cells: [[['allow', 10]]] })
    node.policy(1, 1, 1)
  })
  after(() => node.close())

  for (const { name, a, r } of families) {
    test(`carries ${name} out`, () => {
      const inner = ip({ from: a, to: r }, tcp({ from: 4000, to: 80, flags: 'S' }))
      const result = node.run('from_pod', ethernet(inner), devices.podA)
      assert.equal(result.value, TC_REDIRECT)
      const packet = result.packet
      assert.deepEqual([packet[14]! >> 4, packet[20], packet.length], [6, 17, 14 + 70 + inner.length])
      assert.equal(printAddress(packet.slice(22, 38)), 'fd00:1::1')
      assert.equal(printAddress(packet.slice(38, 54)), node2.v6)
      assert.deepEqual([...packet.slice(18, 20)], [...u32(30 + inner.length).slice(2)])
      assert.deepEqual([...packet.slice(66, 70)], u32(A.identity << 8))
      assert.deepEqual(packet.slice(84), inner)
    })

    test(`carries ${name} in`, () => {
      const inner = ip({ from: r, to: a }, udp({ from: 4001, to: 80 }))
      for (let round = 0; round < 2; round++) {
        const result = node.run('from_wire', tunnelled(remote.identity, inner, node2.v6), devices.wire)
        assert.equal(result.value, TC_REDIRECT)
        assert.deepEqual(result.packet.slice(14), inner)
      }
    })
  }
})
