// SPDX-License-Identifier: Apache-2.0
// What the node answers itself, as the gateway of its pods; and the kernel's own way into a pod.
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { Drop, MetricReason } from '../../../gen/contract.ts'
import { address, ipv4Bytes, printAddress } from '../../../src/base/ip.ts'
import { devices, enterNamespace, openNode, TC_OK, TC_REDIRECT, TC_SHOT, type TestNode } from './node.ts'
import {
  ETH_ARP,
  echo,
  ethernet,
  gatewayMac,
  icmpv6,
  ip,
  ipv6,
  join,
  podMac,
  readIp,
  type Segment,
  tcp,
  u16,
  udp,
} from './packet.ts'

const A = { v4: '10.0.0.10', v6: 'fd00:10::10', identity: 1001, policy: 1 }
const EGRESS = 1
let node: TestNode
before(() => {
  enterNamespace()
  node = openNode()
  node.pod(devices.podA, A)
  for (const own of ['10.0.0.1', 'fd00:10::1']) node.owner(own, { identity: 1, flags: 2 | 8 })
  for (const own of ['192.168.1.1', 'fd00:1::1']) node.owner(own, { identity: 1, flags: 2 })
  node.table(1, { cells: [[['allow', 10]]] })
  node.table(2, { cells: [[['none', 20]]] })
  // As user space has it where the host may always: nobody else.
  node.table(3, { classes: { 1: 1 }, cells: [[['none', 20]], [['allow', 21]]] })
})
beforeEach(() => {
  node.forgetFlows()
  node.policy(1, 1, 1)
})
after(() => node.close())

const arp = (operation: number, sender: string, target: string, mac = podMac): Uint8Array =>
  ethernet(
    join(
      [0, 1, 8, 0, 6, 4],
      u16(operation),
      mac,
      ipv4Bytes(address(sender)),
      new Uint8Array(6),
      ipv4Bytes(address(target)),
    ),
    { type: ETH_ARP },
  )
const fromPod = (packet: Uint8Array) => node.run('from_pod', packet, devices.podA)

describe('ARP', () => {
  test('a request for the gateway is answered with its MAC', () => {
    const out = node.run('from_pod', arp(1, A.v4, '10.0.0.1'), devices.podA)
    assert.equal(out.value, TC_REDIRECT)
    const expected = ethernet(
      join([0, 1, 8, 0, 6, 4, 0, 2], gatewayMac, ipv4Bytes(address('10.0.0.1')), podMac, ipv4Bytes(address(A.v4))),
      { type: ETH_ARP, from: gatewayMac, to: podMac },
    )
    assert.deepEqual(out.packet, expected)
  })

  test('other requests are nobody’s concern, and counted as such', () => {
    const before = node.metric(MetricReason.METRIC_QUIET, EGRESS)
    const out = fromPod(arp(1, A.v4, '10.0.0.99'))
    assert.deepEqual([out.value, out.events.length], [TC_SHOT, 0])
    assert.equal(node.metric(MetricReason.METRIC_QUIET, EGRESS), before + 1)
  })

  test('a reply reaches the node only if it speaks of the pod itself', () => {
    assert.equal(fromPod(arp(2, A.v4, '10.0.0.1')).value, TC_OK)
    assert.equal(fromPod(arp(2, '10.0.0.11', '10.0.0.1')).value, TC_SHOT)
    assert.equal(fromPod(arp(2, A.v4, '10.0.0.1', gatewayMac)).value, TC_SHOT)
  })

  test('a cut one is dropped', () => {
    assert.equal(fromPod(arp(1, A.v4, '10.0.0.1').slice(0, 30)).value, TC_SHOT)
  })
})

describe('neighbour discovery', () => {
  const solicit = (target: string, from = A.v6, to = 'ff02::1:ff00:1', option = true) =>
    ethernet(
      ipv6(
        { from, to, ttl: 255 },
        icmpv6(135, 0, 0, join(address(target), option ? [1, 1] : [], option ? podMac : [])),
      ),
    )
  test('a solicitation for the gateway is answered', () => {
    for (const packet of [solicit('fd00:10::1'), solicit('fd00:10::1', A.v6, 'fd00:10::1', false)]) {
      const out = fromPod(packet)
      assert.equal(out.value, TC_REDIRECT)
      assert.deepEqual([out.seen!.from, out.seen!.to, out.seen!.ttl], ['fd00:10::1', A.v6, 255])
      const expected = join(
        [136, 0, out.seen!.body[2]!, out.seen!.body[3]!, 0xe0, 0, 0, 0],
        address('fd00:10::1'),
        [2, 1],
        gatewayMac,
      )
      assert.deepEqual(out.seen!.body, expected)
    }
  })

  test('checks for duplicates, router solicitations and listener reports are dropped without noise', () => {
    const router = ethernet(ipv6({ from: 'fe80::1', to: 'ff02::2' }, icmpv6(133, 0, 0)))
    const report = ethernet(ipv6({ from: '::', to: 'ff02::16' }, icmpv6(143, 0, 0)))
    for (const packet of [solicit(A.v6, '::', 'ff02::1:ff00:10'), router, report]) {
      const out = fromPod(packet)
      assert.deepEqual([out.value, out.events.length], [TC_SHOT, 0])
    }
  })

  test('a cut solicitation is dropped', () => {
    assert.equal(fromPod(ethernet(ipv6({ from: A.v6, to: 'ff02::1' }, icmpv6(135, 0, 0)))).value, TC_SHOT)
  })
})

for (const v6 of [false, true]) {
  const [a, gateway, host] = v6 ? [A.v6, 'fd00:10::1', 'fd00:1::1'] : [A.v4, '10.0.0.1', '192.168.1.1']
  describe(`${v6 ? 'IPv6' : 'IPv4'} gateway`, () => {
    test('it answers pings', () => {
      for (let round = 0; round < 2; round++) {
        const out = fromPod(ethernet(ip({ from: a, to: gateway }, echo(v6, 5))))
        assert.equal(out.value, TC_REDIRECT)
        assert.deepEqual([out.seen!.from, out.seen!.to, out.seen!.icmp], [gateway, a, v6 ? [129, 0] : [0, 0]])
        assert.deepEqual(out.seen!.body.slice(4), echo(v6, 5).bytes.slice(4))
      }
    })

    test('it does not if the policy of the pod forbids to ask', () => {
      node.policy(1, 1, 2)
      const out = fromPod(ethernet(ip({ from: a, to: gateway }, echo(v6, 5))))
      assert.deepEqual(
        [out.value, out.events[0]!.reason, out.events[0]!.egressRule],
        [TC_SHOT, Drop.DROP_POLICY_DENIED, 20],
      )
    })

    test('anything else for it goes to the node', () => {
      assert.equal(fromPod(ethernet(ip({ from: a, to: gateway }, tcp({ from: 1, to: 80, flags: 'S' })))).value, TC_OK)
    })

    test('the node reaches its pod where nobody else does, and is answered', () => {
      node.policy(1, 3, 2)
      const there = ethernet(ip({ from: host, to: a }, tcp({ from: 7000, to: 80, flags: 'S' })))
      const back = ethernet(ip({ from: a, to: host }, tcp({ from: 80, to: 7000, flags: 'SA' })))
      assert.equal(node.run('to_pod', there, devices.podA).value, TC_OK)
      assert.equal(fromPod(back).value, TC_OK)
      assert.equal(fromPod(ethernet(ip({ from: a, to: host }, tcp({ from: 81, to: 7000, flags: 'S' })))).value, TC_SHOT)
    })

    test('a pod cannot use that door by taking the address of the node', () => {
      const there = ethernet(ip({ from: host, to: a }, tcp({ from: 7001, to: 80, flags: 'S' })))
      node.run('to_pod', there, devices.podA)
      const spoofed = ethernet(ip({ from: host, to: a }, tcp({ from: 7001, to: 80, flags: 'A' })))
      assert.equal(fromPod(spoofed).value, TC_SHOT)
    })

    test('what the kernel brings from elsewhere is judged', () => {
      node.policy(1, 2, 1)
      const from = v6 ? '2001:db8::9' : '9.9.9.9'
      const out = node.run('to_pod', ethernet(ip({ from, to: a }, udp({ from: 1, to: 2 }))), devices.podA)
      assert.deepEqual([out.value, out.events[0]!.ingressRule], [TC_SHOT, 20])
    })

    test('what is not for the pod does not enter it', () => {
      const elsewhere = v6 ? 'fd00:10::77' : '10.0.0.77'
      const out = node.run('to_pod', ethernet(ip({ from: host, to: elsewhere }, udp({ from: 1, to: 2 }))), devices.podA)
      assert.deepEqual([out.value, out.events[0]!.reason], [TC_SHOT, Drop.DROP_STALE_OR_UNROUTABLE])
    })
  })

  describe(`${v6 ? 'IPv6' : 'IPv4'} masquerade`, () => {
    const [outside, own, hop] = v6
      ? ['2001:db8::1', 'fd00:1::1', 'fd00:1::fe']
      : ['1.1.1.1', '192.168.1.1', '192.168.1.254']
    const there = (segment: Segment, more: { ttl?: number; size?: number } = {}) =>
      fromPod(ethernet(ip({ from: a, to: outside, dontFragment: true, ...more }, segment)))
    const back = (segment: Segment, from = outside) =>
      node.run('from_wire', ethernet(ip({ from, to: own }, segment)), devices.wire)

    test('what leaves the cluster leaves as the node, and the reply finds the pod', () => {
      for (const flags of ['S', 'A']) {
        const out = there(tcp({ from: 40100, to: 443, flags, size: 5 }))
        assert.equal(out.value, TC_REDIRECT)
        assert.deepEqual([out.seen!.from, out.seen!.to, out.seen!.ttl], [own, outside, 63])
        assert.deepEqual(out.seen!.ports, [40100, 443], 'a port that is free is kept')
      }
      assert.equal(printAddress(node.flowList()[0]!.nextHop), hop)
      node.policy(1, 2, 1)
      const reply = back(tcp({ from: 443, to: 40100, flags: 'SA', size: 3 }))
      assert.equal(reply.value, TC_REDIRECT)
      assert.deepEqual([reply.seen!.from, reply.seen!.to, reply.seen!.ports], [outside, a, [443, 40100]])
    })

    test('a port outside the range is exchanged for one inside', () => {
      const out = there(udp({ from: 1234, to: 53 }))
      const port = out.seen!.ports![0]
      assert.ok(port >= 40000 && port <= 40999, `${port}`)
      assert.equal(there(udp({ from: 1234, to: 53 })).seen!.ports![0], port, 'and stays')
      const reply = back(udp({ from: 53, to: port }))
      assert.deepEqual([reply.value, reply.seen!.to, reply.seen!.ports], [TC_REDIRECT, a, [53, 1234]])
    })

    test('a lost flow entry does not cost the port', () => {
      const port = there(tcp({ from: 1236, to: 443, flags: 'S' })).seen!.ports![0]
      node.forgetFlows()
      assert.equal(there(tcp({ from: 1236, to: 443, flags: 'A' })).seen!.ports![0], port)
    })

    test('when every port towards one end is taken the packet is refused, others are not', () => {
      const narrow = openNode({ natPortFirst: 40000, natPortLast: 40001 })
      try {
        narrow.pod(devices.podA, A)
        narrow.table(1, { cells: [[['allow', 10]]] })
        narrow.policy(1, 1, 1)
        const one = (from: number, to: string) =>
          narrow.run('from_pod', ethernet(ip({ from: a, to }, udp({ from, to: 53 }))), devices.podA)
        assert.deepEqual([one(1, outside).value, one(2, outside).value], [TC_REDIRECT, TC_REDIRECT])
        const third = one(3, outside)
        assert.deepEqual([third.value, third.events.at(-1)!.reason], [TC_SHOT, Drop.DROP_NAT_NO_MAPPING])
        assert.equal(one(3, hop).value, TC_REDIRECT)
      } finally {
        narrow.close()
      }
    })

    test('two pods with the same port get two', () => {
      const other = { v4: '10.0.0.20', v6: 'fd00:10::20', identity: 1002, policy: 1 }
      node.pod(devices.podB, other)
      const first = there(udp({ from: 40200, to: 53 })).seen!.ports![0]
      const packet = ethernet(ip({ from: v6 ? other.v6 : other.v4, to: outside }, udp({ from: 40200, to: 53 })))
      const second = node.run('from_pod', packet, devices.podB).seen!.ports![0]
      assert.notEqual(first, second)
      const reply = back(udp({ from: 53, to: second }))
      assert.equal(reply.seen!.to, v6 ? other.v6 : other.v4)
    })

    test('pings too, by their identifier', () => {
      const out = there(echo(v6, 7))
      const id = (out.seen!.body[4]! << 8) | out.seen!.body[5]!
      assert.ok(id >= 40000 && id <= 40999)
      const type = v6
        ? icmpv6(129, 0, id << 16)
        : { ...echo(false, id), bytes: join([0], echo(false, id).bytes.slice(1)) }
      const reply = back(type)
      assert.deepEqual([reply.value, reply.seen!.to], [TC_REDIRECT, a])
      assert.deepEqual([...reply.seen!.body.slice(4, 6)], [0, 7])
    })

    test('an error about it is turned back, quotation included', () => {
      const port = there(udp({ from: 1235, to: 53 })).seen!.ports![0]
      const quote = ip({ from: own, to: outside }, udp({ from: port, to: 53 }))
      const error = v6 ? icmpv6(1, 4, 0, quote) : { ...icmpError(quote) }
      const reply = back(error, hop)
      assert.deepEqual([reply.value, reply.seen!.from, reply.seen!.to], [TC_REDIRECT, hop, a])
      const inner = reply.seen!.body.slice(8)
      const at = v6 ? 40 : 20
      assert.deepEqual([...inner.slice(at, at + 4)], [...u16(1235), ...u16(53)])
      assert.equal(printAddress(v6 ? inner.slice(8, 24) : join(new Uint8Array(10), [255, 255], inner.slice(12, 16))), a)
    })

    test('an answer to nothing that was asked stays with the node', () => {
      assert.equal(back(udp({ from: 5399, to: 40999 })).value, TC_OK)
      assert.equal(back(tcp({ from: 1, to: 22, flags: 'S' })).value, TC_OK)
    })

    test('a protocol that has no ports to exchange is refused', () => {
      const out = there({ protocol: 47, bytes: new Uint8Array(8) })
      assert.deepEqual([out.value, out.events.at(-1)!.reason], [TC_SHOT, Drop.DROP_NAT_UNSUPPORTED_PROTOCOL])
    })

    test('the last hop is told so, as by any router', () => {
      const out = there(udp({ from: 40300, to: 53, size: 40 }), { ttl: 1 })
      assert.deepEqual([out.value, out.seen!.from, out.seen!.to], [TC_REDIRECT, gateway, a])
      assert.deepEqual(out.seen!.icmp, v6 ? [3, 0] : [11, 0])
    })

    test('addresses of the cluster and the native prefix are not masqueraded', () => {
      const to = v6 ? 'fd00:10:5::5' : '10.5.5.5'
      const out = fromPod(ethernet(ip({ from: a, to }, udp({ from: 1, to: 53 }))))
      assert.deepEqual([out.value, out.seen!.from, out.seen!.ttl], [TC_REDIRECT, a, 64])
    })
  })
}

function icmpError(quote: Uint8Array): Segment {
  return { protocol: 1, bytes: join([3, 1, 0, 0, 0, 0, 0, 0], quote), checksumAt: 2 }
}

test('a packet that is neither IP nor ARP is refused', () => {
  const out = fromPod(ethernet(new Uint8Array(50), { type: 0x88cc }))
  assert.deepEqual([out.value, out.events[0]!.reason], [TC_SHOT, Drop.DROP_UNSUPPORTED_L2])
})

test('the reader of packets sees a wrong checksum', () => {
  const packet = ip({ from: A.v4, to: '10.0.0.1' }, udp({ from: 1, to: 2 }))
  packet[packet.length - 1]! ^= 1
  assert.throws(() => readIp(packet, printAddress), /checksum/)
})
