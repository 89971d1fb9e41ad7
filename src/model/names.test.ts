// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import {
  anchorOf,
  type DnsRule,
  endsOf,
  matchesName,
  nameProblem,
  normalName,
  patternProblem,
  ruleRegex,
} from './names.ts'

const means = (matchPattern: string, name: string) => matchesName({ matchPattern }, normalName(name))

test('a name is compared without case and without the dot of the root', () => {
  assert.equal(normalName('WWW.Cilium.IO.'), 'www.cilium.io')
  assert.ok(matchesName({ matchName: 'www.cilium.io' }, normalName('wwW.cilium.io.')))
  assert.ok(!matchesName({ matchName: 'www.cilium.io' }, 'cilium.io'))
})

test('a star stands for characters of one label', () => {
  for (const [pattern, yes, no] of [
    ['*.cilium.io', ['www.cilium.io', 'a_b-1.cilium.io'], ['cilium.io', 'a.b.cilium.io', 'www.cilium.io.evil.com']],
    ['*cilium.io', ['cilium.io', 'sub-cilium.io'], ['www.cilium.io', 'cilium.iox']],
    ['sub*.cilium.io', ['sub.cilium.io', 'subdomain.cilium.io'], ['cilium.io', 'xsub.cilium.io', 'sub.x.cilium.io']],
    ['a*b*c.io', ['abc.io', 'axbxbxc.io', 'abbc.io'], ['ac.io', 'abcd.io', 'a.b.c.io']],
    ['*.*.svc.cluster.local', ['web.shop.svc.cluster.local'], ['svc.cluster.local', 'web.svc.cluster.local']],
    ['www.*', ['www.io'], ['www', 'www.cilium.io']],
    ['a**.io', ['a.io', 'abc.io'], ['a.b.io']],
  ] as const) {
    for (const name of yes) assert.ok(means(pattern, name), `${pattern} means ${name}`)
    for (const name of no) assert.ok(!means(pattern, name), `${pattern} does not mean ${name}`)
  }
})

test('a leading double star stands for one or more labels', () => {
  for (const name of ['a.cilium.io', 'a.b.cilium.io', 'a.b.c.cilium.io']) assert.ok(means('**.cilium.io', name))
  for (const name of ['cilium.io', 'acilium.io', 'a b.cilium.io']) assert.ok(!means('**.cilium.io', name))
  assert.ok(means('**.*.io', 'a.b.io'))
  assert.ok(!means('**.*.io', 'b.io'))
})

test('a star alone means every name, the root too', () => {
  for (const name of ['', 'com', 'a.b.c', 'odd name\\032.x']) assert.ok(means('*', name))
})

test('a label with characters that no pattern can write is nobody’s wildcard', () => {
  assert.ok(!means('*.io', 'a b.io'))
  assert.ok(!means('*.io', '.io'))
})

test('a hostile name costs no more than its length times the pattern’s', () => {
  const pattern: DnsRule = { matchPattern: `${'*a'.repeat(60)}.io` }
  assert.ok(!matchesName(pattern, `${'a'.repeat(59)}b.io`))
  assert.ok(matchesName(pattern, `${'ba'.repeat(63)}.io`))
})

test('texts that are no names or patterns are told why', () => {
  assert.equal(nameProblem('www.cilium.io.'), undefined)
  assert.equal(patternProblem('**.cilium.io'), undefined)
  assert.match(nameProblem('*.cilium.io') ?? '', /'\*\.cilium\.io' is not a name of the DNS/)
  assert.match(nameProblem('') ?? '', /is not a name/)
  assert.match(nameProblem('a..b') ?? '', /is not a name/)
  assert.match(patternProblem('cilium.io/x') ?? '', /is not a pattern/)
  assert.match(nameProblem('a'.repeat(256)) ?? '', /256 characters of at most 255/)
})

test('rules are found by the ends of the names they mean', () => {
  assert.deepEqual(endsOf('a.b.io'), ['a.b.io', 'b.io', 'io', ''])
  for (const [pattern, anchor] of [
    ['*.cilium.io', 'cilium.io'],
    ['**.cilium.io', 'cilium.io'],
    ['www.*.io', 'io'],
    ['*cilium.io', 'io'],
    ['*', ''],
    ['x.*', ''],
  ] as const)
    assert.equal(anchorOf({ matchPattern: pattern }), anchor)
  assert.equal(anchorOf({ matchName: 'a.b' }), 'a.b')
})

test('the expression that is shown says what the pattern does', () => {
  let seed = 7
  const random = (n: number) => ((seed = (Math.imul(seed, 1103515245) + 12345) >>> 0) >>> 12) % n
  const pick = (from: readonly string[], n: number) =>
    Array.from({ length: n }, () => from[random(from.length)]).join('')
  let matched = 0
  for (let i = 0; i < 20000; i++) {
    const labels = Array.from({ length: 1 + random(3) }, () => pick(['a', 'b', '*'], 1 + random(4)))
    const rule: DnsRule = { matchPattern: `${random(4) === 0 ? '**.' : ''}${labels.join('.')}` }
    const name = Array.from({ length: 1 + random(4) }, () => pick(['a', 'b'], 1 + random(4))).join('.')
    const found = matchesName(rule, name)
    if (found) matched++
    assert.equal(found, new RegExp(ruleRegex(rule)).test(`${name}.`), `${rule.matchPattern} ${name}`)
    if (found) assert.ok(endsOf(name).includes(anchorOf(rule)))
  }
  assert.ok(matched > 1000)
})
