// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { allocatePodCidrs, type Pool, type PoolNode, parsePool } from './pools.ts'

const pool = (cidr: string, mask: number): Pool => {
  const parsed = parsePool(cidr, mask)
  if (typeof parsed === 'string') assert.fail(parsed)
  return parsed
}
const node = (name: string, podCIDRs: string[] = [], created = '2026-01-01'): PoolNode => ({ name, podCIDRs, created })
const families = [[pool('10.244.0.0/16', 24)], [pool('fd00:10:244::/56', 64)]]

test('each node gets one piece of each family, the first ones free', () => {
  const { podCIDRs, problems } = allocatePodCidrs(families, [node('b'), node('a')])
  assert.deepEqual(podCIDRs.get('a'), ['10.244.0.0/24', 'fd00:10:244::/64'])
  assert.deepEqual(podCIDRs.get('b'), ['10.244.1.0/24', 'fd00:10:244:1::/64'])
  assert.equal(problems.size, 0)
})

test('a node keeps what it has, and a piece two claim stays with the older', () => {
  const { podCIDRs } = allocatePodCidrs(families, [
    node('young', ['10.244.5.0/24'], '2026-02-01'),
    node('old', ['10.244.5.0/24', 'fd00:10:244:7::/64'], '2026-01-01'),
  ])
  assert.deepEqual(podCIDRs.get('old'), ['10.244.5.0/24', 'fd00:10:244:7::/64'])
  assert.deepEqual(podCIDRs.get('young'), ['10.244.0.0/24', 'fd00:10:244::/64'])
})

test('a piece of another size or another pool is given back', () => {
  const { podCIDRs } = allocatePodCidrs(families, [node('a', ['10.244.4.0/25', '192.168.0.0/24'])])
  assert.deepEqual(podCIDRs.get('a'), ['10.244.0.0/24', 'fd00:10:244::/64'])
})

test('an exhausted pool goes on in the next one, and then is told for the nodes without', () => {
  const small = [[pool('10.0.0.0/31', 32), pool('10.1.0.0/32', 32)]]
  const { podCIDRs, problems } = allocatePodCidrs(
    small,
    ['a', 'b', 'c', 'd'].map((n) => node(n)),
  )
  assert.deepEqual([...podCIDRs.values()].flat(), ['10.0.0.0/32', '10.0.0.1/32', '10.1.0.0/32'])
  assert.deepEqual([...problems], [['d', 'no piece left of 10.0.0.0/31, 10.1.0.0/32']])
})

test('impossible pools are refused with a sentence', () => {
  assert.match(String(parsePool('10.0.0.0/24', 16)), /mask size 16 does not fit into 10.0.0.0\/24/)
  assert.match(String(parsePool('here', 16)), /not a prefix/)
})

test('no two nodes ever share a piece, whatever they claim, and asking again changes nothing', () => {
  const claims = fc.array(fc.constantFrom('10.244.0.0/24', '10.244.1.0/24', '10.244.2.0/24', '9.9.9.0/24', 'x'), {
    maxLength: 3,
  })
  fc.assert(
    fc.property(fc.array(claims, { maxLength: 12 }), (all) => {
      const nodes = all.map((podCIDRs, i) => node(`n${i}`, podCIDRs, `2026-01-${String(i % 3)}`))
      const { podCIDRs } = allocatePodCidrs(families, nodes)
      const given = [...podCIDRs.values()].flat()
      assert.equal(new Set(given).size, given.length)
      assert.equal(given.length, nodes.length * 2)
      const again = allocatePodCidrs(
        families,
        nodes.map((n) => ({ ...n, podCIDRs: podCIDRs.get(n.name) ?? [] })),
      )
      assert.deepEqual(again.podCIDRs, podCIDRs)
    }),
  )
})
