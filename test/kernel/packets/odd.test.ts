// SPDX-License-Identifier: Apache-2.0
// Packets that are cut, split, wrapped or wrong; and maps and buffers that are full.
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { Drop, EventFlags, EventKind, MetricReason } from '../../../gen/contract.ts'
import { devices, enterNamespace, openNode, TC_REDIRECT, TC_SHOT, type TestNode } from './node.ts'
import {
  destinationOptions,
  type Extension,
  ethernet,
  fragmentHeader,
  hopByHop,
  type Ip,
  icmp,
  icmpv6,
  ipv4,
  ipv6,
  join,
  tcp,
  udp,
} from './packet.ts'

const A = { v4: '10.0.0.10', v6: 'fd00:10::10', identity: 1001, policy: 1 }
const B = { v4: '10.0.0.20', v6: 'fd00:10::20', identity: 1002, policy: 2 }
const v4: Ip = { from: A.v4, to: B.v4 }
const v6: Ip = { from: A.v6, to: B.v6 }
const INGRESS = 0
const EGRESS = 1

let node: TestNode
const fill = (one: TestNode) => {
  one.pod(devices.podA, A)
  one.pod(devices.podB, B)
  one.table(1, { cells: [[['allow', 10]]] })
  one.table(2, {
    columns: [
      [0, 80, 80],
      [1, 80, 80],
    ],
    cells: [
      [
        ['none', 20],
        ['allow', 21],
        ['allow', 21],
      ],
    ],
  })
  one.policy(1, 1, 1)
  one.policy(2, 2, 1)
}
before(() => {
  enterNamespace()
  node = openNode()
  fill(node)
})
beforeEach(() => node.forgetFlows())
after(() => node.close())
const send = (packet: Uint8Array) => node.run('from_pod', ethernet(packet), devices.podA)

describe('headers', () => {
  test('IPv4 options are stepped over', () => {
    const options = Uint8Array.of(1, 1, 1, 1, 0x94, 4, 0, 0)
    assert.equal(send(ipv4({ ...v4, options }, tcp({ from: 1, to: 80, flags: 'S' }))).value, TC_REDIRECT)
    assert.equal(send(ipv4({ ...v4, options }, tcp({ from: 1, to: 81, flags: 'S' }))).value, TC_SHOT)
  })

  test('so are IPv6 extension headers', () => {
    const chain = [hopByHop, destinationOptions]
    assert.equal(send(ipv6(v6, tcp({ from: 1, to: 80, flags: 'S' }), chain)).value, TC_REDIRECT)
    assert.equal(send(ipv6(v6, tcp({ from: 1, to: 81, flags: 'S' }), chain)).value, TC_SHOT)
  })

  test('a chain of them without end is refused', () => {
    const chain = new Array<Extension>(40).fill(destinationOptions)
    const out = send(ipv6(v6, tcp({ from: 1, to: 80, flags: 'S' }), chain))
    assert.deepEqual([out.value, out.events[0]!.reason], [TC_SHOT, Drop.DROP_INVALID_EXTENSION_HEADER])
  })

  test('one that is longer than the packet leads nowhere', () => {
    const long: Extension = [60, [255, 1, 4, 0, 0, 0, 0]]
    const out = send(ipv6(v6, tcp({ from: 1, to: 80, flags: 'S' }), [long]))
    assert.deepEqual([out.value, out.events[0]!.kind], [TC_SHOT, EventKind.EVENT_DROP])
  })

  test('no next header is a protocol like any other', () => {
    assert.equal(send(ipv6(v6, { protocol: 59, bytes: new Uint8Array(0) })).value, TC_SHOT)
  })

  test('every cut of a packet is dropped or judged, never passed unseen', () => {
    for (const whole of [
      ethernet(ipv4(v4, tcp({ from: 1, to: 81, flags: 'S', size: 20 }))),
      ethernet(ipv6(v6, tcp({ from: 1, to: 81, flags: 'S', size: 20 }), [hopByHop])),
      ethernet(ipv4(v4, udp({ from: 1, to: 81 }))),
    ])
      for (let length = 14 + (whole[12] === 8 ? 20 : 40); length < whole.length; length++)
        assert.equal(node.run('from_pod', whole.slice(0, length), devices.podA).value, TC_SHOT, `${length} bytes`)
  })

  test('lengths that lie are refused', () => {
    for (const length of [0, 19, 5000]) {
      const out = send(ipv4({ ...v4, length }, tcp({ from: 1, to: 80, flags: 'S' })))
      assert.deepEqual([out.value, out.events[0]!.reason], [TC_SHOT, Drop.DROP_INVALID_PACKET])
    }
    const wrongVersion = ipv4(v4, tcp({ from: 1, to: 80, flags: 'S' }))
    wrongVersion[0] = 0x55
    assert.equal(node.run('from_pod', ethernet(wrongVersion, { type: 0x0800 }), devices.podA).value, TC_SHOT)
    const shortHeader = ipv4(v4, tcp({ from: 1, to: 80, flags: 'S' }))
    shortHeader[0] = 0x44
    assert.equal(node.run('from_pod', ethernet(shortHeader, { type: 0x0800 }), devices.podA).value, TC_SHOT)
  })
})

describe('anything at all', () => {
  const shapes = [
    ethernet(ipv4(v4, tcp({ from: 1, to: 80, flags: 'S', size: 40 }))),
    ethernet(ipv4({ ...v4, options: Uint8Array.of(1, 1, 1, 1) }, udp({ from: 1, to: 80, size: 40 }))),
    ethernet(ipv4(v4, icmp(3, 4, 1400, ipv4({ from: B.v4, to: A.v4 }, udp({ from: 80, to: 1 }))))),
    ethernet(ipv6(v6, tcp({ from: 1, to: 80, flags: 'A', size: 40 }), [hopByHop, destinationOptions])),
    ethernet(ipv6(v6, udp({ from: 1, to: 80, size: 40 }), [fragmentHeader(0, true, 1)])),
    ethernet(ipv6(v6, icmpv6(2, 0, 1400, ipv6({ from: B.v6, to: A.v6 }, tcp({ from: 80, to: 1, flags: 'A' }))))),
  ]
  /** Packets near to real ones, always the same: xorshift32. */
  function* broken(count: number): Generator<Uint8Array> {
    let state = 2463534242
    const next = (below: number): number => {
      state ^= state << 13
      state ^= state >>> 17
      state ^= state << 5
      return (state >>> 0) % below
    }
    for (let i = 0; i < count; i++) {
      const packet = shapes[next(shapes.length)]!.slice()
      for (let changes = next(6); changes > 0; changes--) packet[14 + next(packet.length - 14)] = next(256)
      yield packet.slice(0, next(4) ? packet.length : 54 + next(packet.length - 54))
    }
  }

  test('passes no policy that lets nothing pass, from a pod or from the wire, nor through a tunnel', () => {
    const closed = openNode({ tunnel: 1 })
    try {
      closed.pod(devices.podA, A)
      closed.pod(devices.podB, B)
      closed.owner('192.168.1.2', { identity: 6, flags: 4 })
      closed.table(1, { cells: [[['none', 20]]] })
      closed.policy(1, 1, 1)
      closed.policy(2, 1, 1)
      for (const packet of broken(5000)) {
        const text = Buffer.from(packet).toString('hex')
        assert.equal(closed.run('from_pod', packet, devices.podA).value, TC_SHOT, text)
        assert.notEqual(closed.run('from_wire', packet, devices.wire).value, TC_REDIRECT, text)
        const data = join([8, 0, 0, 0, 0, 3, 233, 0], packet)
        const outer = ethernet(ipv4({ from: '192.168.1.2', to: '192.168.1.1' }, udp({ from: 40000, to: 8472, data })))
        assert.equal(closed.run('from_wire', outer, devices.wire).value, TC_SHOT, text)
      }
      assert.equal(closed.flowList().length, 0)
    } finally {
      closed.close()
    }
  })
})

describe('fragments', () => {
  const data = udp({ from: 4000, to: 80, size: 64 })
  const later = { protocol: 17, bytes: new Uint8Array(32) }
  const cases = [
    {
      name: 'IPv4',
      first: (id: number, to = 80) =>
        ipv4({ ...v4, id, more: true }, { ...data, bytes: udp({ from: 4000, to, size: 64 }).bytes }),
      next: (id: number) => ipv4({ ...v4, id, fragment: 72 }, later),
    },
    {
      name: 'IPv6',
      first: (id: number, to = 80) => ipv6(v6, udp({ from: 4000, to, size: 64 }), [fragmentHeader(0, true, id)]),
      next: (id: number) => ipv6(v6, later, [fragmentHeader(72, false, id)]),
    },
  ]
  for (const { name, first, next } of cases) {
    test(`${name}: later ones follow the first`, () => {
      const head = send(first(7))
      assert.equal(head.value, TC_REDIRECT)
      assert.equal(head.events[0]!.flags & EventFlags.EVENT_FRAGMENT, EventFlags.EVENT_FRAGMENT)
      assert.deepEqual([send(next(7)).value, send(next(7)).events.length], [TC_REDIRECT, 0])
    })
    test(`${name}: of a datagram that was denied they are denied`, () => {
      assert.equal(send(first(8, 81)).value, TC_SHOT)
      assert.equal(send(next(8)).value, TC_SHOT)
    })
    test(`${name}: without their first they go nowhere`, () => {
      const out = send(next(9))
      assert.deepEqual([out.value, out.events[0]!.reason], [TC_SHOT, Drop.DROP_FRAGMENT_NOT_FOUND])
    })
  }
})

describe('fullness', () => {
  test('a flow table too small for all flows costs judgements, no packets', () => {
    const small = openNode({}, { cilium_flows: 16 })
    try {
      fill(small)
      const one = (port: number, flags: string) =>
        small.run('from_pod', ethernet(ipv4(v4, tcp({ from: port, to: 80, flags }))), devices.podA)
      for (let port = 1000; port < 1200; port++) assert.equal(one(port, 'S').value, TC_REDIRECT)
      assert.ok(small.flowList().length <= 16)
      for (let port = 1000; port < 1200; port++) assert.equal(one(port, 'A').value, TC_REDIRECT)
      assert.equal(small.run('from_pod', ethernet(ipv4(v4, tcp({ from: 1000, to: 81, flags: 'S' }))), 2).value, TC_SHOT)
    } finally {
      small.close()
    }
  })

  test('what the ring buffer cannot hold is counted', () => {
    const small = openNode({}, { cilium_events: 4096 })
    try {
      fill(small)
      const denied = ethernet(ipv4(v4, tcp({ from: 1, to: 81, flags: 'S' })))
      const out = small.run('from_pod', denied, devices.podA, {}, 100)
      const lost = small.metric(MetricReason.METRIC_EVENTS_LOST, INGRESS)
      assert.equal(out.value, TC_SHOT)
      assert.ok(lost > 0)
      assert.equal(out.events.length + lost, 100)
      assert.equal(small.metric(Drop.DROP_POLICY_DENIED, INGRESS), 100)
    } finally {
      small.close()
    }
  })

  test('a flood of drops of one rule is reported so many times a second, and no more', () => {
    const limited = openNode({ dropEventsPerSecond: 10 })
    try {
      fill(limited)
      const denied = ethernet(ipv4(v4, tcp({ from: 1, to: 81, flags: 'S' })))
      const flood = limited.run('from_pod', denied, devices.podA, {}, 100)
      const quiet = limited.metric(MetricReason.METRIC_EVENTS_LIMITED, INGRESS)
      assert.equal(flood.events.length + quiet, 100)
      assert.ok(flood.events.length <= 20, 'two seconds may be touched')
      const other = limited.run(
        'from_pod',
        ethernet(ipv4({ from: B.v4, to: B.v4 }, udp({ from: 1, to: 1 }))),
        devices.podA,
      )
      assert.equal(other.events.length, 1, 'another reason has a budget of its own')
      assert.equal(limited.metric(Drop.DROP_INVALID_SOURCE_IP, EGRESS), 1)
    } finally {
      limited.close()
    }
  })

  test('a denied flood into a service without backends is named', () => {
    node.service('10.96.0.9', 80, 6, [])
    const out = send(ipv4({ from: A.v4, to: '10.96.0.9' }, tcp({ from: 1, to: 80, flags: 'S' })))
    assert.deepEqual([out.value, out.events[0]!.reason], [TC_SHOT, Drop.DROP_NO_BACKEND])
  })
})
