// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { endpoints } from '../../src/derive/endpoints/tables.ts'
import { policyNumbers } from '../../src/derive/policy/decisions.ts'
import { ruleNumbers, subjectPrograms } from '../../src/derive/policy/programs.ts'
import { subjectKey } from '../../src/derive/policy/subject.ts'
import { type PortSpace, verdict } from '../../src/model/datapath.ts'
import * as rows from '../../src/model/rows.ts'
import { judge } from '../scenarios/machine.ts'
import { type Answer, connection, openWorld, type World } from '../scenarios/world.ts'
import { type Any, churn, history } from './policy-objects.ts'
import { play, portOf, questions } from './policy-worlds.ts'

const runs = Number(process.env['POLICY_RUNS'] ?? 60)

function compare(world: World, now: ReadonlyMap<string, Any>): number {
  let asked = 0
  for (const { subject, direction, peer, packet, want, staged, text } of questions(world, now)) {
    const { name } = subject
    const [from, to] = direction === 'ingress' ? [peer, name] : [name, peer]
    const got: Answer | undefined = connection(world, from, to, packet.protocol, portOf(packet))[direction]
    asked++
    assert.equal(got?.shadow ?? got?.verdict, staged, `${text}, staged`)
    assert.equal(got?.verdict, want, `${text}: ${got?.verdict} by ${got?.rule}`)
  }
  return asked
}

test('derivation and reference give one verdict, whatever objects come in whatever order', () => {
  let asked = 0
  fc.assert(
    fc.property(history, (steps) => {
      const world = openWorld()
      const now = play(world, steps)
      asked += compare(world, now)
    }),
    { numRuns: runs },
  )
  assert.ok(asked > 1000, `only ${asked} questions were asked`)
})

test('the order in which objects come does not change a verdict', () => {
  fc.assert(
    fc.property(history, fc.infiniteStream(fc.double({ min: 0, max: 1, noNaN: true })), (steps, random) => {
      const world = openWorld()
      const now = play(world, steps)
      const shuffled = [...now.values()]
        .map((put) => ({ put, at: random.next().value as number }))
        .sort((a, b) => a.at - b.at)
      const other = openWorld()
      compare(other, play(other, shuffled))
    }),
    { numRuns: Math.ceil(runs / 4) },
  )
})

// --- on the way from one state to the next -------------------------------------------------------------------------

/** Every answer the kernel gives for the policies it holds: true is open. */
function openness(
  world: World,
  questions: readonly (readonly [number, number, PortSpace | 'other', number])[],
): readonly boolean[] {
  return questions.flatMap(([policy, identity, space, port]) =>
    (['ingress', 'egress'] as const).map((direction) => {
      const v = judge(world.kernel, policy, direction, identity, space, port).verdict
      return v === verdict.allow || v === verdict.audit
    }),
  )
}

test('between two states the kernel is never more open than in both of them', () => {
  let writes = 0
  fc.assert(
    fc.property(fc.oneof(history, churn), (steps) => {
      const world = openWorld()
      // Every state passed through is kept; those before and after a settling are compared with the ones between.
      let before: {
        world: readonly (readonly [number, number, PortSpace | 'other', number])[]
        open: readonly boolean[]
      }
      const between: (readonly boolean[])[] = []
      const questions = () => {
        const policies = world.db.all(policyNumbers).filter((p) => p.subject !== 'cursor')
        const identities = [0, 1, 2, 6, 9, 99999, ...world.db.all(rows.ciliumIdentities).map((i) => i.number)]
        return policies.flatMap((p) =>
          identities.flatMap((i) =>
            [80, 81, 8080]
              .map((port) => [p.policy, i, 'TCP' as const, port] as const)
              .concat([[p.policy, i, 'other' as never, 0]]),
          ),
        )
      }
      before = { world: [], open: [] }
      world.onWrite = () => {
        writes++
        if (before.world.length > 0) between.push(openness(world, before.world))
      }
      play(world, steps, () => {
        const after = openness(world, before.world)
        for (const state of between)
          for (const [i, open] of state.entries())
            assert.ok(!open || before.open[i] || after[i], `open in between: ${before.world[i >> 1]}`)
        between.length = 0
        const next = questions()
        before = { world: next, open: openness(world, next) }
      })
    }),
    { numRuns: runs * 3 },
  )
  assert.ok(writes > 100, `only ${writes} writes were looked at`)
})

test('an identity of the cluster that the kernel has not heard of is never better off than any other', () => {
  fc.assert(
    fc.property(history, (steps) => {
      const world = openWorld()
      play(world, steps)
      const entries = world.db
        .all(subjectPrograms)
        .flatMap((s) => [s.ingress, s.egress].flatMap((p) => p?.entries ?? []))
      const asking = new Set(entries.filter((e) => e.action === 'redirect').map((e) => e.rule))
      const ruleOf = (number: number): string => world.db.by(ruleNumbers, 'number', String(number))[0]?.key ?? ''
      for (const e of world.db.all(endpoints)) {
        const policy = world.db.get(policyNumbers, subjectKey(e.identity, e.namedPorts))?.policy ?? 0
        for (const direction of ['ingress', 'egress'] as const)
          for (const identity of world.db.all(rows.ciliumIdentities).map((i) => i.number))
            for (const port of [80, 8080]) {
              const stranger = judge(world.kernel, policy, direction, 0xabcdef, 'TCP', port)
              const known = judge(world.kernel, policy, direction, identity, 'TCP', port)
              // What is audited passes too, and so does what an allowance lets pass before a proxy's eyes.
              const seen = known.verdict === verdict.redirect && !asking.has(ruleOf(known.rule))
              const passes = known.verdict === verdict.allow || known.verdict === verdict.audit || seen
              assert.ok(stranger.verdict !== verdict.allow || passes)
            }
      }
    }),
    { numRuns: Math.ceil(runs / 4) },
  )
})
