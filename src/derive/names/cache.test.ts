// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type NameEntry, type NameLimits, openNameCache } from './cache.ts'

const limits: NameLimits = { minTtl: 0, maxAddresses: 50, maxKept: 10000, idleGrace: 0 }
const uses = (connected: readonly string[], address: string) => connected.includes(address)
const nobody = () => false
const answer = (name: string, ...addresses: readonly (readonly [address: string, ttl: number])[]) => ({
  endpoint: 'e',
  name,
  addresses: addresses.map(([address, ttl]) => ({ address, ttl })),
})

test('an address is known by all names that anybody asked for, and only a change of them is told', () => {
  const cache = openNameCache(limits)
  assert.deepEqual(cache.learn(answer('a.io', ['1.1.1.1', 5], ['1.1.1.2', 5]), 0).changed, ['1.1.1.1', '1.1.1.2'])
  assert.deepEqual(cache.learn(answer('a.io', ['1.1.1.1', 5]), 1).changed, [])
  assert.deepEqual(cache.learn({ ...answer('a.io', ['1.1.1.1', 5]), endpoint: 'f' }, 1).changed, [])
  assert.deepEqual(cache.learn(answer('b.io', ['1.1.1.1', 5]), 1).changed, ['1.1.1.1'])
  assert.deepEqual(cache.row('1.1.1.1'), { address: '1.1.1.1', names: ['a.io', 'b.io'] })
  assert.deepEqual(cache.forget('e'), ['1.1.1.2', '1.1.1.1'])
  assert.deepEqual(cache.row('1.1.1.1'), { address: '1.1.1.1', names: ['a.io'] })
  assert.equal(cache.row('1.1.1.2'), undefined)
})

test('what has expired stays until the collection after next, and as long as a connection uses it', () => {
  const cache = openNameCache(limits)
  cache.learn(answer('a.io', ['1.1.1.1', 5], ['1.1.1.2', 5]), 0)
  assert.deepEqual(cache.collect(4, nobody), { changed: [], deleted: 0 })
  assert.deepEqual(cache.expired(4), [])
  assert.deepEqual(cache.expired(60), ['1.1.1.1', '1.1.1.2'])
  assert.deepEqual(cache.collect(60, nobody), { changed: [], deleted: 0 })
  assert.deepEqual(
    cache.collect(120, (a) => a === '1.1.1.2'),
    { changed: ['1.1.1.1'], deleted: 1 },
  )
  assert.deepEqual(cache.collect(180, nobody), { changed: ['1.1.1.2'], deleted: 1 })
})

test('an answer makes what is kept fresh again', () => {
  const cache = openNameCache(limits)
  cache.learn(answer('a.io', ['1.1.1.1', 5]), 0)
  cache.collect(60, nobody)
  assert.deepEqual(cache.learn(answer('a.io', ['1.1.1.1', 100]), 61), { changed: [], extended: true })
  assert.equal(cache.learn(answer('a.io', ['1.1.1.1', 100]), 61).extended, false)
  cache.collect(120, nobody)
  assert.deepEqual(
    [...cache.entries()],
    [{ endpoint: 'e', name: 'a.io', address: '1.1.1.1', ttl: 100, seen: 61, expires: 161 }],
  )
})

test('a connection that ended keeps its address for the grace period', () => {
  const cache = openNameCache({ ...limits, idleGrace: 100 })
  cache.learn(answer('a.io', ['1.1.1.1', 5]), 0)
  cache.collect(60, nobody)
  cache.collect(120, () => true)
  assert.equal(cache.collect(180, nobody).deleted, 0)
  assert.equal(cache.collect(240, nobody).deleted, 1)
})

test('of too many addresses for a name those that expire first make room', () => {
  const cache = openNameCache({ ...limits, maxAddresses: 2 })
  cache.learn(answer('a.io', ['1.1.1.1', 500], ['1.1.1.2', 400], ['1.1.1.3', 600]), 0)
  assert.deepEqual(cache.expired(1), ['1.1.1.2'])
  cache.collect(60, nobody)
  assert.deepEqual(cache.collect(120, nobody).changed, ['1.1.1.2'])
  assert.equal(cache.size, 2)
})

test('of too many addresses that are kept the oldest go', () => {
  const cache = openNameCache({ ...limits, maxKept: 1 })
  cache.learn(answer('a.io', ['1.1.1.1', 5], ['1.1.1.2', 6]), 0)
  assert.deepEqual(
    cache.collect(60, () => true),
    { changed: ['1.1.1.1'], deleted: 1 },
  )
})

test('no answer is known for less than the least time', () => {
  const cache = openNameCache({ ...limits, minTtl: 3600 })
  cache.learn(answer('a.io', ['1.1.1.1', 0]), 0)
  assert.equal([...cache.entries()][0]?.expires, 3600)
})

test('whatever happens in whatever order, what is known is what a plain list says, and every change is told', () => {
  const address = fc.constantFrom('1.1.1.1', '1.1.1.2', '1.1.1.3', '2001:db8::1')
  const step = fc.oneof(
    fc.record({
      kind: fc.constant('learn' as const),
      endpoint: fc.constantFrom('e', 'f'),
      name: fc.constantFrom('a', 'b', 'c'),
      addresses: fc.uniqueArray(fc.record({ address, ttl: fc.nat(200) }), { maxLength: 4, selector: (a) => a.address }),
    }),
    fc.record({ kind: fc.constant('collect' as const), connected: fc.uniqueArray(address) }),
    fc.record({ kind: fc.constant('forget' as const), endpoint: fc.constantFrom('e', 'f') }),
    fc.record({ kind: fc.constant('clean' as const), name: fc.constantFrom('a', 'b') }),
    fc.record({ kind: fc.constant('restart' as const) }),
  )
  fc.assert(
    fc.property(
      fc.array(fc.tuple(step, fc.nat(90)), { maxLength: 30 }),
      fc.record({
        minTtl: fc.constantFrom(0, 50),
        maxAddresses: fc.constantFrom(2, 50),
        maxKept: fc.constantFrom(1, 100),
        idleGrace: fc.constantFrom(0, 70),
      }),
      (steps, own) => {
        let cache = openNameCache(own)
        let list: NameEntry[] = []
        const told = new Map<string, string>()
        let now = 1000
        for (const [s, later] of steps) {
          now += later
          let changed: readonly string[] = []
          if (s.kind === 'learn') {
            changed = cache.learn(s, now).changed
            for (const { address, ttl } of s.addresses) {
              const same = (e: NameEntry) => e.endpoint === s.endpoint && e.name === s.name && e.address === address
              const before = list.find(same)?.expires ?? 0
              const entry = {
                endpoint: s.endpoint,
                name: s.name,
                address,
                ttl,
                seen: now,
                expires: Math.max(before, now + Math.max(ttl, own.minTtl)),
              }
              const at = list.findIndex(same)
              if (at < 0) list.push(entry)
              else list[at] = entry
            }
            if (s.addresses.length > 0) {
              const fresh = list.filter((e) => e.endpoint === s.endpoint && e.name === s.name && e.expires > now)
              const over = fresh
                .sort((a, b) => a.expires - b.expires)
                .slice(0, Math.max(0, fresh.length - own.maxAddresses))
              list = list.map((e) => (over.includes(e) ? { ...e, expires: now } : e))
            }
          } else if (s.kind === 'collect') {
            changed = cache.collect(now, (a) => uses(s.connected, a)).changed
            const first = (e: NameEntry) => e.idleSince === undefined
            list = list.filter(
              (e) =>
                e.expires > now || first(e) || uses(s.connected, e.address) || now - (e.idleSince ?? 0) < own.idleGrace,
            )
            list = list.map((e) =>
              e.expires <= now && (first(e) || uses(s.connected, e.address)) ? { ...e, idleSince: now } : e,
            )
            for (const endpoint of ['e', 'f']) {
              const kept = list.filter((e) => e.endpoint === endpoint && e.expires <= now).length
              // Which of equally old ones go is nobody's business.
              const there = [...cache.entries()].filter((e) => e.endpoint === endpoint && e.expires <= now)
              assert.equal(there.length, Math.min(kept, own.maxKept))
              if (kept > own.maxKept)
                list = list.filter(
                  (e) =>
                    e.endpoint !== endpoint ||
                    e.expires > now ||
                    there.some((t) => t.name === e.name && t.address === e.address),
                )
            }
          } else if (s.kind === 'forget') {
            changed = cache.forget(s.endpoint)
            list = list.filter((e) => e.endpoint !== s.endpoint)
          } else if (s.kind === 'clean') {
            changed = cache.clean((e) => e.name === s.name).changed
            list = list.filter((e) => e.name !== s.name)
          } else {
            const again = openNameCache(own)
            again.restore(JSON.parse(JSON.stringify([...cache.entries()])) as NameEntry[])
            cache = again
          }
          for (const a of changed) {
            const row = cache.row(a)
            if (row) told.set(a, row.names.join())
            else told.delete(a)
          }
          const key = (e: NameEntry) => `${e.endpoint} ${e.name} ${e.address}`
          const sorted = (all: Iterable<NameEntry>) => [...all].sort((a, b) => (key(a) < key(b) ? -1 : 1))
          assert.deepEqual(sorted(cache.entries()), sorted(list))
          assert.equal(cache.size, list.length)
          assert.equal(cache.countOf('e'), list.filter((e) => e.endpoint === 'e').length)
          const names = new Map<string, Set<string>>()
          for (const e of list) names.set(e.address, (names.get(e.address) ?? new Set()).add(e.name))
          assert.deepEqual([...told].sort(), [...names].map(([a, n]) => [a, [...n].sort().join()]).sort())
        }
      },
    ),
    { numRuns: 1000 },
  )
})
