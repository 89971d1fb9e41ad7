// SPDX-License-Identifier: Apache-2.0
// Random policies, derived as an agent derives them, in the kernel's own maps: packets against what the specifications say.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { Drop } from '../../../gen/contract.ts'
import { policyNumbers } from '../../../src/derive/policy/decisions.ts'
import { type Cell, verdict } from '../../../src/model/datapath.ts'
import { history } from '../../model/policy-objects.ts'
import type { RefPacket } from '../../model/policy-reference.ts'
import { play, portOf, questions } from '../../model/policy-worlds.ts'
import { judge, type Machine } from '../../scenarios/machine.ts'
import { openWorld, whoIs } from '../../scenarios/world.ts'
import { devices, enterNamespace, openNode, TC_REDIRECT, TC_SHOT, type TestNode } from './node.ts'
import { ethernet, icmp, icmpv6, ip, type Segment, tcp, udp } from './packet.ts'

const cases = Number(process.env['POLICY_PACKETS'] ?? 10_000)
const A = { v4: '10.0.0.10', v6: 'fd00:10::10' }
const B = { v4: '10.0.0.20', v6: 'fd00:10::20' }
/** A policy and a table that let everything pass, beyond the numbers that are given out here. */
const open = { policy: 4000, table: 4000, page: 4000, cell: 1_000_000 }

let node: TestNode
before(() => {
  enterNamespace()
  // Whether the host may always reach its pods is a rule of the tables here.
  node = openNode()
  const page = Array.from({ length: 5 }, () => new Array<number>(256).fill(open.page))
  node.rows.cells.put(open.cell, { rule: 0, shadowRule: 0, verdict: verdict.allow, shadowVerdict: 0, proxyPort: 0 })
  node.rows.pages.put(open.page, { column: new Array<number>(256).fill(0) })
  node.rows.tables.put(open.table, { cells: open.cell, columns: 1, other: 0, page })
  node.policy(open.policy, open.table, open.table)
})
after(() => node.close())

/** What the world would write, written; of the world before only what this one has not is taken away. */
function load(machine: Machine, tablesBefore: ReadonlySet<number>): ReadonlySet<number> {
  const { cells, pages, classes, tables } = node.rows
  const members = new Map([...tablesBefore].map((table) => [table, new Map<number, number>()]))
  for (const [key, row] of machine.classes) {
    const [table = 0, identity = 0] = key.split(' ').map(Number)
    let of = members.get(table)
    if (!of) members.set(table, (of = new Map()))
    of.set(identity, row)
  }
  cells.putAll(machine.cells.flatMap((cell: Cell | undefined, i) => (cell ? [[i, cell] as const] : [])))
  pages.putAll([...machine.pages].map(([page, column]) => [page, { column }] as const))
  for (const [table, of] of members) classes(table, of)
  for (const [number, { cells, columns, other, page }] of machine.tables)
    tables.put(number, { cells, columns, other, page })
  for (const { policy, ingress, egress } of machine.policies.values()) node.policy(policy, ingress, egress)
  return new Set(members.keys())
}

function segmentOf({ protocol, port }: RefPacket): Segment {
  const source = 5000
  switch (protocol) {
    case 'TCP':
      return tcp({ from: source, to: port, flags: 'S' })
    case 'UDP':
      return udp({ from: source, to: port })
    case 'ICMP':
      return icmp(port, 0, 5)
    case 'ICMPv6':
      return icmpv6(port, 0, 5)
    case 'SCTP':
      return { protocol: 132, bytes: Uint8Array.of(0x13, 0x88, port >> 8, port & 255, 0, 0, 0, 0, 0, 0, 0, 0) }
    default:
      return { protocol: 47, bytes: new Uint8Array(8) }
  }
}

/** There is no proxy here: what is asked beyond ports stays closed. */
const drops = {
  none: Drop.DROP_POLICY_DENIED,
  deny: Drop.DROP_POLICY_DENY,
  redirect: Drop.DROP_PROXY_UNSUPPORTED,
  allow: 0,
  audit: 0,
} as const

test('the kernel decides as the specifications say, whatever objects come in whatever order', () => {
  let asked = 0
  let tables: ReadonlySet<number> = new Set()
  const seen = new Map<string, number>()
  for (let seed = Number(process.env['FUZZ_SEED'] ?? Math.floor(Math.random() * 2 ** 31)); asked < cases; seed++)
    fc.assert(
      fc.property(history, (steps) => {
        const world = openWorld()
        const now = play(world, steps)
        tables = load(world.kernel, tables)
        for (const { subject, direction, peer, packet, want, text } of questions(world, now)) {
          const policy = world.db.get(policyNumbers, subject.key)?.policy ?? 0
          const { identity } = whoIs(world, peer)
          const pods = [
            { ...A, identity: subject.identity, policy },
            { ...B, identity, policy: open.policy },
          ] as const
          node.pod(devices.podA, pods[0])
          node.pod(devices.podB, pods[1])
          node.forgetFlows()
          const v6 = packet.protocol === 'ICMPv6' || (packet.protocol !== 'ICMP' && asked % 2 === 1)
          const [from, to, by] = direction === 'egress' ? [A, B, devices.podA] : [B, A, devices.podB]
          const ends = v6 ? { from: from.v6, to: to.v6 } : { from: from.v4, to: to.v4 }
          const out = node.run('from_pod', ethernet(ip(ends, segmentOf(packet))), by)
          const port = portOf(packet)
          const { rule } = judge(world.kernel, policy, direction, identity, packet.protocol, port)
          const [event] = out.events
          assert.equal(
            out.value,
            drops[want] ? TC_SHOT : TC_REDIRECT,
            `${text}: ${want}, not ${event?.reason} by rule ${event?.egressRule}, ${event?.ingressRule} (${rule}), policy ${policy}, peer ${identity}`,
          )
          assert.equal(event?.[direction === 'egress' ? 'egressRule' : 'ingressRule'], rule, text)
          if (drops[want]) assert.equal(event?.reason, drops[want], text)
          seen.set(want, (seen.get(want) ?? 0) + 1)
          asked++
        }
      }),
      { numRuns: 5, seed },
    )
  // Which verdicts chance brings is chance: audit is rare.
  assert.ok(seen.size >= 3, [...seen.keys()].join())
})
