// SPDX-License-Identifier: Apache-2.0
// Ports of the node and external addresses, as clients beyond the wire see them: a backend here, and one elsewhere.
import assert from 'node:assert/strict'
import { after, before, beforeEach, describe, test } from 'node:test'
import { Drop } from '../../../gen/contract.ts'
import { printAddress } from '../../../src/base/ip.ts'
import {
  A,
  devices,
  enterNamespace,
  node2,
  openBoth,
  remote,
  TC_OK,
  TC_REDIRECT,
  TC_SHOT,
  type TestNode,
} from './node.ts'
import { ethernet, icmp, icmpv6, ip, join, readIp, type Seen, type Segment, tcp, u32, udp } from './packet.ts'

const nodePort = 30080
const external = 1
const twoScopes = 3
const ranges = 4

let native: TestNode
let overlay: TestNode
before(() => {
  enterNamespace()
  ;({ native, overlay } = openBoth())
  for (const node of [native, overlay]) {
    // The world reaches 8080, also by UDP, and nothing else; 8443 would be a proxy's.
    node.table(2, {
      columns: [
        [0, 8080, 8080],
        [1, 8080, 8080],
        [0, 8443, 8443],
      ],
      cells: [
        [
          ['none', 20],
          ['allow', 21],
          ['allow', 21],
          ['redirect', 22, 0, 11000],
        ],
      ],
    })
    node.policy(1, 2, 1)
  }
})
beforeEach(() => {
  for (const node of [native, overlay]) {
    node.forgetFlows()
    node.forgetServices()
    for (const [key] of [...node.nat.entries()]) node.nat.remove(key)
    node.events()
  }
})
after(() => {
  native.close()
  overlay.close()
})

const vxlan = (vni: number, inner: Uint8Array): Uint8Array => join([8, 0, 0, 0], u32(vni << 8), ethernet(inner))

for (const v6 of [false, true]) {
  const [a, r, own, client, vip] = v6
    ? [A.v6, remote.v6, 'fd00:1::1', '2001:db8::c', '2001:db8:5::1']
    : [A.v4, remote.v4, '192.168.1.1', '198.51.100.9', '203.0.113.5']
  const ask = (node: TestNode, segment: Segment, to: string = own) =>
    node.run('from_wire', ethernet(ip({ from: client, to }, segment)), devices.wire)
  const reply = (node: TestNode, segment: Segment) =>
    node.run('from_pod', ethernet(ip({ from: a, to: client }, segment)), devices.podA)
  const opening = (from: number, flags = 'S') => tcp({ from, to: nodePort, flags, size: 3 })

  /** Addresses and ports of what an ICMP error quotes; nobody minds the checksum of its transport any more. */
  const quoted = ({ body }: Seen): readonly (string | number)[] => {
    const of = body.slice(8)
    const print = (at: number): string =>
      printAddress(v6 ? of.slice(at, at + 16) : join(new Uint8Array(10), [255, 255], of.slice(at, at + 4)))
    const word = (at: number): number => (of[at]! << 8) | of[at + 1]!
    return v6 ? [print(8), print(24), word(40), word(42)] : [print(12), print(16), word(20), word(22)]
  }

  describe(`${v6 ? 'IPv6' : 'IPv4'} from beyond the wire`, () => {
    for (const [name, get] of [
      ['native routing', () => native],
      ['the tunnel', () => overlay],
    ] as const)
      for (const [what, to] of [
        ['a port of the node', own],
        ['an external address', vip],
      ] as const)
        test(`${what} leads to a pod here, which sees the client and is answered for from there (${name})`, () => {
          const node = get()
          node.service(to, nodePort, 6, [[a, 8080]], { flags: external })
          for (const flags of ['S', 'A', 'A']) {
            const out = ask(node, opening(4000, flags), to)
            assert.deepEqual(
              [out.value, out.seen?.from, out.seen?.to, out.seen?.ports],
              [TC_REDIRECT, client, a, [4000, 8080]],
            )
            const back = reply(node, tcp({ from: 8080, to: 4000, flags: flags === 'S' ? 'SA' : 'A', size: 4 }))
            assert.deepEqual(
              [back.value, back.seen?.from, back.seen?.to, back.seen?.ports],
              [TC_REDIRECT, to, client, [nodePort, 4000]],
            )
          }
          node.bumpEpoch()
          assert.equal(reply(node, tcp({ from: 8080, to: 4000, flags: 'A' })).seen?.from, to)
          assert.equal(ask(node, opening(4000, 'A'), to).seen?.to, a)
        })

    test('a pod elsewhere is asked as the node, by native routing, and its answers find the client', () => {
      native.service(own, nodePort, 6, [[r, 8080]], { flags: external })
      for (const flags of ['S', 'A', 'A']) {
        const out = ask(native, opening(40123, flags))
        assert.deepEqual(
          [out.value, out.seen?.from, out.seen?.to, out.seen?.ports],
          [TC_REDIRECT, own, r, [40123, 8080]],
        )
        const answer = ethernet(ip({ from: r, to: own }, tcp({ from: 8080, to: 40123, flags: 'A', size: 4 })))
        const back = native.run('from_wire', answer, devices.wire)
        assert.deepEqual(
          [back.value, back.seen?.from, back.seen?.to, back.seen?.ports],
          [TC_REDIRECT, own, client, [nodePort, 40123]],
        )
        if (flags === 'A') native.bumpEpoch()
      }
    })

    test('a pod elsewhere is asked through the tunnel, with the identity of the client', () => {
      overlay.service(own, nodePort, 17, [[r, 8080]], { flags: external })
      for (let round = 0; round < 3; round++) {
        const out = ask(overlay, udp({ from: 40124, to: nodePort, size: 5 }))
        assert.equal(out.value, TC_REDIRECT)
        assert.deepEqual([out.seen?.from, out.seen?.to, out.seen?.ports?.[1]], ['192.168.1.1', node2.v4, 8472])
        const wrapped = out.packet.slice(14 + 20 + 8)
        assert.equal((wrapped[4]! << 16) | (wrapped[5]! << 8) | wrapped[6]!, v6 ? 10 : 9)
        const inner = readIp(wrapped.slice(8 + 14), printAddress)
        assert.deepEqual([inner?.from, inner?.to, inner?.ports], [own, r, [40124, 8080]])
        const answer = ip({ from: r, to: own }, udp({ from: 8080, to: 40124 }))
        const outer = ip(
          { from: node2.v4, to: '192.168.1.1' },
          udp({ from: 50000, to: 8472, data: vxlan(remote.identity, answer) }),
        )
        const back = overlay.run('from_wire', ethernet(outer), devices.wire)
        assert.deepEqual(
          [back.value, back.seen?.from, back.seen?.to, back.seen?.ports],
          [TC_REDIRECT, own, client, [nodePort, 40124]],
        )
        if (round === 1) overlay.bumpEpoch()
      }
    })

    test('an address of the cluster alone is not reached from the wire', () => {
      native.service(vip, 80, 6, [[a, 8080]])
      native.service(own, nodePort, 6, [[a, 8080]])
      for (const to of [vip, own]) assert.equal(ask(native, opening(4001), to).value, TC_OK)
      assert.equal(native.flowList().length, 0)
    })

    test('only those may ask whom the ranges of its sources name', () => {
      const [within, without] = v6 ? ['2001:db8::/64', '2001:db9::/64'] : ['198.51.100.0/28', '198.51.100.128/25']
      const serve = (range: string) =>
        native.service(vip, nodePort, 6, [[a, 8080]], { flags: external | ranges, ranges: ['10.99.0.0/16', range] })
      serve(within)
      assert.equal(ask(native, opening(4020), vip).seen?.to, a)
      serve(without)
      const out = ask(native, opening(4021), vip)
      assert.deepEqual([out.value, out.events[0]?.reason], [TC_SHOT, Drop.DROP_NOT_IN_SOURCE_RANGE])
    })

    test('a client keeps its backend for as long as affinity says, and while it is there', () => {
      const backends = [a, r].map((to) => [to, 8080] as const)
      const serve = (to: readonly (readonly [string, number])[]) =>
        native.service(own, nodePort, 6, to, { flags: external, affinity: 100 })
      serve(backends)
      const chosen = (port: number) => ask(native, opening(port)).seen?.to
      const first = chosen(41000)
      for (let port = 41001; port < 41012; port++) assert.equal(chosen(port), first)
      const other = backends.filter(([to]) => to !== first)
      serve(other)
      const second = chosen(41020)
      assert.equal(second, other[0]?.[0])
      serve(backends)
      for (let port = 41021; port < 41032; port++) assert.equal(chosen(port), second)
    })

    test('other ports of the node are its own', () => {
      native.service(own, nodePort, 6, [[a, 8080]], { flags: external })
      assert.equal(ask(native, tcp({ from: 4002, to: 22, flags: 'S' })).value, TC_OK)
      assert.equal(ask(native, udp({ from: 4002, to: nodePort })).value, TC_OK)
    })

    test('the wire sees the backends of its own scope, where there is one', () => {
      native.service(own, nodePort, 6, [[r, 8080]], { flags: twoScopes })
      native.service(own, nodePort, 6, [[a, 8080]], { flags: external, scope: 1 })
      assert.equal(ask(native, opening(4003)).seen?.to, a)
      native.service(own, nodePort, 6, [], { flags: external, scope: 1 })
      const out = ask(native, opening(4004))
      assert.deepEqual([out.value, out.events[0]?.reason], [TC_SHOT, Drop.DROP_NO_BACKEND])
    })

    test('policy of the pod judges the client and the port of the pod', () => {
      native.service(own, nodePort, 6, [[a, 9090]], { flags: external })
      const [event] = ask(native, opening(4005)).events
      assert.deepEqual(
        [event?.reason, event?.sourceIdentity, event?.destinationPort, event?.ingressRule],
        [Drop.DROP_POLICY_DENIED, v6 ? 10 : 9, 9090, 20],
      )
    })

    test('what is a proxy’s is refused where there is none', () => {
      native.service(own, nodePort, 6, [[a, 8443]], { flags: external })
      assert.equal(ask(native, opening(4006)).events.at(-1)?.reason, Drop.DROP_SOCKET_LOOKUP_FAILED)
    })

    const arrived = (packet: Uint8Array): Seen => readIp(packet.slice(14), printAddress)!
    const leave = (node: TestNode, segment: Segment, from: string = own) =>
      node.run('to_wire', ethernet(ip({ from, to: client }, segment)), devices.wire)

    for (const [name, get] of [
      ['native routing', () => native],
      ['the tunnel', () => overlay],
    ] as const)
      for (const [what, to] of [
        ['a port of the node', own],
        ['an external address', vip],
      ] as const)
        test(`${what} leads datagrams to a socket of the node, which answers from there (${name})`, () => {
          const node = get()
          node.service(to, nodePort, 17, [[own, 8443]], { flags: external })
          for (let round = 0; round < 4; round++) {
            const out = ask(node, udp({ from: 4007, to: nodePort, size: 5 }), to)
            const inside = arrived(out.packet)
            assert.deepEqual([out.value, inside.from, inside.to, inside.ports], [TC_OK, client, own, [4007, 8443]])
            if (round === 1) node.bumpEpoch()
            const back = leave(node, udp({ from: 8443, to: 4007, size: 6 }))
            const gone = arrived(back.packet)
            assert.deepEqual([back.value, gone.from, gone.to, gone.ports], [TC_OK, to, client, [nodePort, 4007]])
            if (round === 2) node.bumpEpoch()
          }
        })

    test('what else the node sends leaves as it is, and is told to nobody', () => {
      native.service(own, nodePort, 17, [[own, 8443]], { flags: external })
      ask(native, udp({ from: 4007, to: nodePort }))
      const flows = native.flowList().length
      const error = ip({ from: client, to: own }, udp({ from: 4013, to: 8443 }))
      for (const segment of [
        udp({ from: 8443, to: 4013 }),
        udp({ from: 53, to: 4007 }),
        tcp({ from: 8443, to: 4007, flags: 'SA' }),
        v6 ? icmpv6(1, 4, 0, error) : icmp(3, 3, 0, error),
        v6 ? icmpv6(128, 0, 7) : icmp(8, 0, 7),
      ]) {
        const packet = ethernet(ip({ from: own, to: client }, segment))
        const out = native.run('to_wire', packet, devices.wire)
        assert.equal(out.value, TC_OK)
        assert.deepEqual(out.packet, packet)
      }
      assert.equal(native.flowList().length, flows)
    })

    test('errors about datagrams to and from a socket of the node speak of what each end knows', () => {
      native.service(vip, nodePort, 17, [[own, 8443]], { flags: external })
      ask(native, udp({ from: 4014, to: nodePort }), vip)
      leave(native, udp({ from: 8443, to: 4014 }))
      const asked = ip({ from: client, to: own }, udp({ from: 4014, to: 8443 }))
      const refused = arrived(leave(native, v6 ? icmpv6(1, 4, 0, asked) : icmp(3, 3, 0, asked)).packet)
      assert.deepEqual([refused.from, refused.to], [vip, client])
      assert.deepEqual(quoted(refused), [client, vip, 4014, nodePort])
      const answer = ip({ from: vip, to: client }, udp({ from: nodePort, to: 4014 }))
      const tooBig = v6 ? icmpv6(2, 0, 1280, answer) : icmp(3, 4, 1280, answer)
      const router = v6 ? '2001:db8::1' : '198.51.100.1'
      const out = native.run('from_wire', ethernet(ip({ from: router, to: vip }, tooBig)), devices.wire)
      const told = arrived(out.packet)
      assert.deepEqual([out.value, told.from, told.to], [TC_OK, router, own])
      assert.deepEqual(quoted(told), [own, client, 8443, 4014])
    })

    test('a socket of this node is given connections under the port that was asked for', () => {
      native.service(own, nodePort, 6, [[own, 8443]], { flags: external })
      for (const flags of ['S', 'A']) {
        const packet = ethernet(ip({ from: client, to: own }, opening(4012, flags)))
        const out = native.run('from_wire', packet, devices.wire)
        assert.equal(out.value, TC_OK)
        assert.deepEqual(out.packet, packet)
      }
    })

    test('a connection keeps its backend, what opens once more or is a datagram goes to one that is there', () => {
      for (const protocol of [6, 17]) native.service(own, nodePort, protocol, [[a, 8080]], { flags: external })
      const datagram = udp({ from: 4008, to: nodePort })
      assert.equal(ask(native, opening(4008)).seen?.to, a)
      assert.equal(ask(native, datagram).seen?.to, a)
      for (const protocol of [6, 17]) native.service(own, nodePort, protocol, [[r, 8080]], { flags: external })
      native.bumpEpoch()
      assert.equal(ask(native, opening(4008, 'A')).seen?.to, a)
      assert.equal(ask(native, datagram).seen?.to, r)
      assert.equal(ask(native, opening(4008)).seen?.to, r)
    })

    test('a connection that is silent for minutes keeps its backend, until its client has said farewell', () => {
      native.service(own, nodePort, 6, [[a, 8080]], { flags: external })
      ask(native, opening(4011))
      reply(native, tcp({ from: 8080, to: 4011, flags: 'SA' }))
      native.service(own, nodePort, 6, [[r, 8080]], { flags: external })
      native.age(600)
      assert.equal(ask(native, opening(4011, 'A')).seen?.to, a)
      assert.equal(ask(native, opening(4011, 'FA')).seen?.to, a)
      assert.equal(ask(native, opening(4011, 'A')).seen?.to, a)
      native.age(600)
      assert.equal(ask(native, opening(4011, 'A')).seen?.to, r)
    })

    test('an error about an answer reaches the pod, one of the pod speaks of what was asked', () => {
      native.service(own, nodePort, 17, [[a, 8080]], { flags: external })
      ask(native, udp({ from: 4009, to: nodePort }))
      reply(native, udp({ from: 8080, to: 4009 }))
      const answer = ip({ from: own, to: client }, udp({ from: nodePort, to: 4009 }))
      const tooBig = v6 ? icmpv6(2, 0, 1280, answer) : icmp(3, 4, 1280, answer)
      const router = v6 ? '2001:db8::1' : '198.51.100.1'
      const out = native.run('from_wire', ethernet(ip({ from: router, to: own }, tooBig)), devices.wire)
      assert.deepEqual([out.value, out.seen?.from, out.seen?.to], [TC_REDIRECT, router, a])
      assert.deepEqual(quoted(out.seen!), [a, client, 8080, 4009])

      const asked = ip({ from: client, to: a }, udp({ from: 4009, to: 8080 }))
      const refused = v6 ? icmpv6(1, 4, 0, asked) : icmp(3, 3, 0, asked)
      const back = native.run('from_pod', ethernet(ip({ from: a, to: client }, refused)), devices.podA)
      assert.deepEqual([back.value, back.seen?.from, back.seen?.to], [TC_REDIRECT, own, client])
      assert.deepEqual(quoted(back.seen!), [client, own, 4009, nodePort])
    })

    test('nobody beyond the wire speaks for a pod or for the node', () => {
      native.service(own, nodePort, 6, [[a, 8080]], { flags: external })
      for (const from of [a, own]) {
        const out = native.run('from_wire', ethernet(ip({ from, to: own }, opening(4010))), devices.wire)
        assert.deepEqual([out.value, out.events[0]?.reason], [TC_SHOT, Drop.DROP_INVALID_SOURCE_IP])
      }
    })
  })
}
