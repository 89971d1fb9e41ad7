// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { policyNumbers } from '../../src/derive/policy/decisions.ts'
import { policyOverflows } from '../../src/derive/policy/overflow.ts'
import { verdict } from '../../src/model/datapath.ts'
import { judge } from '../scenarios/machine.ts'
import { openWorld, whoIs } from '../scenarios/world.ts'
import { history } from './policy-objects.ts'
import { play, portOf, questions } from './policy-worlds.ts'

const runs = Number(process.env['POLICY_RUNS'] ?? 60)
const small = fc.record({
  cilium_policy_cells: fc.integer({ min: 4, max: 60 }),
  cilium_class_pages: fc.integer({ min: 1, max: 12 }),
  cilium_policy_classes: fc.integer({ min: 0, max: 6 }),
  cilium_policy_pages: fc.integer({ min: 1, max: 4 }),
  cilium_policy_tables: fc.integer({ min: 2, max: 12 }),
})

test('maps that are too small open nothing, whatever comes in whatever order, and with room all is as if nothing had been', () => {
  let closed = 0
  let told = 0
  fc.assert(
    fc.property(history, small, (steps, sizes) => {
      const world = openWorld()
      world.resize(sizes)
      const now = play(world, steps)
      const said = world.db.all(policyOverflows).length
      told += said
      const ask = (roomy: boolean) => {
        for (const { subject, direction, peer, packet, want, text } of questions(world, now)) {
          const policy = world.db.get(policyNumbers, subject.key)?.policy ?? 0
          const port = portOf(packet)
          const { identity } = whoIs(world, peer)
          const found = judge(world.kernel, policy, direction, identity, packet.protocol, port).verdict
          const passes = found === verdict.allow || found === verdict.audit || found === verdict.redirect
          const may = want === 'allow' || want === 'audit' || want === 'redirect'
          assert.ok(may || !passes, `${text}: open, ${JSON.stringify(sizes)}`)
          if (may && !passes) {
            assert.ok(!roomy, `${text}: closed, though there is room`)
            closed++
          }
        }
      }
      ask(false)
      world.resize({
        cilium_policy_cells: 100_000,
        cilium_class_pages: 65_536,
        cilium_policy_classes: 100_000,
        cilium_policy_pages: 4096,
        cilium_policy_tables: 4096,
      })
      assert.deepEqual(world.db.all(policyOverflows), [])
      ask(true)
    }),
    { numRuns: runs },
  )
  assert.ok(closed > 0 && told > 0, 'the maps were large enough: nothing was tried')
})
