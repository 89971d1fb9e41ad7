// SPDX-License-Identifier: Apache-2.0
// The kernel's look-up against the model of it that the scenarios trust (test/scenarios/machine.ts): the same random
// rows in both, the same questions to both.
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { Drop } from '../../../gen/contract.ts'
import { type PortSpace, verdict } from '../../../src/model/datapath.ts'
import { judge, openMachine, putCells, putClasses, putPage, putPolicy, putTable } from '../../scenarios/machine.ts'
import { devices, enterNamespace, openNode, TC_REDIRECT, TC_SHOT, type TestNode } from './node.ts'
import { ethernet, icmp, icmpv6, ip, type Segment, tcp, udp } from './packet.ts'

const TABLES = 8
const PAGES = 12
const WIDTH = 6
/** At both ends of what pages hold, of another cluster, and such as only this node knows. */
const identities = [
  3, 4, 255, 256, 1000, 1001, 1023, 1024, 65_534, 65_535, 65_536, 131_073, 0x01000001, 0x01000002, 0x02000001,
]
const A = { v4: '10.0.0.10', v6: 'fd00:10::10' }
const B = { v4: '10.0.0.20', v6: 'fd00:10::20' }

let node: TestNode
before(() => {
  enterNamespace()
  node = openNode()
})
after(() => node.close())

/** xorshift32: always the same rows and questions. */
function numbers(seed: number): (below: number) => number {
  let state = seed
  return (below) => {
    state ^= state << 13
    state ^= state >>> 17
    state ^= state << 5
    return (state >>> 0) % below
  }
}

const reasons = {
  [verdict.none]: Drop.DROP_POLICY_DENIED,
  [verdict.allow]: 0,
  [verdict.deny]: Drop.DROP_POLICY_DENY,
  [verdict.redirect]: Drop.DROP_PROXY_UNSUPPORTED,
  [verdict.audit]: 0,
} as const

const questions: readonly (readonly [PortSpace | 'other', (port: number, v6: boolean) => Segment])[] = [
  ['TCP', (port) => tcp({ from: 5000, to: port, flags: 'S' })],
  ['UDP', (port) => udp({ from: 5000, to: port })],
  [
    'SCTP',
    (port) => ({ protocol: 132, bytes: Uint8Array.of(0x13, 0x88, port >> 8, port & 255, 0, 0, 0, 0, 0, 0, 0, 0) }),
  ],
  ['ICMP', (port, v6) => (v6 ? icmpv6(port >> 8, port & 255, 5) : icmp(port >> 8, port & 255, 5))],
  ['other', () => ({ protocol: 47, bytes: new Uint8Array(8) })],
]

test('the kernel decides as the model does, with the same rules', () => {
  const machine = openMachine()
  const next = numbers(20240607)
  for (let page = 1; page < PAGES; page++) {
    const column = Array.from({ length: 256 }, () => next(WIDTH))
    putPage(machine, { page, column })
    node.rows.pages.put(page, { column })
  }
  let rule = 0
  for (let table = 1; table < TABLES; table++) {
    const classes = 1 + next(4)
    const first = table * 100
    const page = Array.from({ length: 5 }, () => Array.from({ length: 256 }, () => 1 + next(PAGES - 1)))
    const row = { table, cells: first, columns: WIDTH, other: next(WIDTH), page }
    const cells = Array.from({ length: classes * WIDTH }, () => ({
      rule: ++rule,
      shadowRule: 0,
      verdict: [
        verdict.none,
        verdict.allow,
        verdict.allow,
        verdict.allow,
        verdict.deny,
        verdict.redirect,
        verdict.audit,
      ][next(7)]!,
      shadowVerdict: 0,
      proxyPort: 0,
    }))
    putCells(machine, { first, cells } as Parameters<typeof putCells>[1], () => {})
    for (const [index, cell] of cells.entries()) node.rows.cells.put(first + index, cell)
    const members = new Map<number, number>()
    for (const identity of identities) {
      if (next(3) === 0) continue // of no class: class 0
      members.set(identity, next(classes))
    }
    node.rows.classes(table, members)
    putClasses(machine, { table, classes: members }, () => {})
    putTable(machine, row)
    node.rows.tables.put(table, { cells: first, columns: WIDTH, other: row.other, page })
  }

  const seen = new Map<number, number>()
  for (let question = 0; question < 4000; question++) {
    const policies = [1, 2].map((policy) => ({ policy, ingress: 1 + next(TABLES - 1), egress: 1 + next(TABLES - 1) }))
    for (const row of policies) {
      putPolicy(machine, row)
      node.policy(row.policy, row.ingress, row.egress)
    }
    const [a, b] = [identities[next(identities.length)]!, identities[next(identities.length)]!]
    node.pod(devices.podA, { ...A, identity: a, policy: 1 })
    node.pod(devices.podB, { ...B, identity: b, policy: 2 })
    node.forgetFlows()
    const v6 = next(2) === 1
    const [kind, segment] = questions[next(questions.length)]!
    const space = kind === 'ICMP' && v6 ? 'ICMPv6' : kind
    // ICMP types that are neither errors nor neighbour discovery, which have ways of their own.
    const port = kind === 'ICMP' ? ([8, 13, 128, 139][next(4)]! << 8) | next(3) : next(65536)
    if (kind === 'ICMP' && (port >> 8 === 8 || port >> 8 === 128) && (port & 255) !== 0) continue

    const egress = judge(machine, 1, 'egress', b, space, port)
    const ingress = judge(machine, 2, 'ingress', a, space, port)
    const expected = reasons[egress.verdict as 0] || reasons[ingress.verdict as 0]
    const [from, to] = v6 ? [A.v6, B.v6] : [A.v4, B.v4]
    const out = node.run('from_pod', ethernet(ip({ from, to }, segment(port, v6))), devices.podA)
    const [event] = out.events
    const what = `${space} ${port} from ${a} to ${b} by tables ${JSON.stringify(policies)}`
    assert.equal(out.value, expected ? TC_SHOT : TC_REDIRECT, what)
    assert.deepEqual([event!.egressRule, event!.ingressRule], [egress.rule, ingress.rule], what)
    if (expected) assert.equal(event!.reason, expected, what)
    seen.set(expected, (seen.get(expected) ?? 0) + 1)
  }
  assert.deepEqual(
    [...seen.keys()].sort((x, y) => x - y),
    [0, Drop.DROP_POLICY_DENIED, Drop.DROP_PROXY_UNSUPPORTED, Drop.DROP_POLICY_DENY],
  )
})
