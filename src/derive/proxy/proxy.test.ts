// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { HeaderMatch, HttpRule } from '../../model/proxy.ts'
import { listenerRow } from './resources.ts'
import { type Headers, type HttpRequest, normalPath, routerOf } from './router.ts'
import { DENIED, type HttpEntry, routesOf } from './routes.ts'

/** What the rules mean, said once more: may the request pass, and with which headers. */
function reference(rule: HttpRule, asked: HttpRequest): Headers | undefined {
  const whole = (regex: string, text: string) => regex === '' || new RegExp(`^(?:${regex})$`).test(text)
  if (!whole(rule.method, asked.method) || !whole(rule.path, asked.path) || !whole(rule.host, asked.host))
    return undefined
  const out: Record<string, readonly string[]> = { ...asked.headers }
  for (const { name, value, mismatch } of rule.headers) {
    const there = asked.headers[name]
    const holds = value === '' ? there !== undefined : there?.includes(value) === true
    if (mismatch === 'REPLACE' && value !== '') out[name] = [value]
    if (holds) continue
    if (mismatch === '') return undefined
    if (mismatch === 'ADD') out[name] = [...(out[name] ?? []), value]
    if (mismatch === 'REPLACE') out[name] = [value]
    if (mismatch === 'DELETE') delete out[name]
  }
  return out
}

const routed = (routes: Parameters<typeof routerOf>[0], asked: HttpRequest) => routerOf(routes)(asked)

const header: fc.Arbitrary<HeaderMatch> = fc.record({
  name: fc.constantFrom('x-a', 'x-b'),
  value: fc.constantFrom('', '1', '2'),
  mismatch: fc.constantFrom('', 'LOG', 'ADD', 'DELETE', 'REPLACE'),
})
const rule: fc.Arbitrary<HttpRule> = fc.record({
  method: fc.constantFrom('', 'GET', 'GET|PUT'),
  path: fc.constantFrom('', '/a', '/a.*', '/(a|b)'),
  host: fc.constantFrom('', 'h[.]x', 'g'),
  headers: fc.uniqueArray(header, { maxLength: 2, selector: (h) => h.name }),
})
const entry: fc.Arbitrary<HttpEntry> = fc.record({
  rule: fc.constantFrom('r', 's'),
  http: fc.array(rule, { minLength: 1, maxLength: 3 }),
})
const request: fc.Arbitrary<HttpRequest> = fc.record({
  method: fc.constantFrom('GET', 'PUT', 'POST'),
  path: fc.constantFrom('/a', '/ab', '/b', '/c'),
  host: fc.constantFrom('h.x', 'hax', 'g'),
  headers: fc.dictionary(
    fc.constantFrom('x-a', 'x-b'),
    fc.array(fc.constantFrom('1', '2'), { minLength: 1, maxLength: 2 }),
    { noNullPrototype: true },
  ),
})

test('a request passes by any rule and is mended by the first that lets it pass', () => {
  fc.assert(
    fc.property(fc.array(entry, { maxLength: 3 }), request, (entries, asked) => {
      const got = routed(routesOf([entries], 'c'), asked)
      const passing = entries
        .flatMap((e) => e.http)
        .map((h) => reference(h, asked))
        .find((h) => h !== undefined)
      assert.equal(got.name === DENIED, passing === undefined)
      if (passing) assert.deepEqual({ ...got.headers }, { ...passing })
    }),
    { numRuns: 3000 },
  )
})

test('a request between two ends passes when a rule of each lets it pass', () => {
  fc.assert(
    fc.property(
      fc.array(entry, { maxLength: 2 }),
      fc.array(entry, { maxLength: 2 }),
      request,
      (egress, ingress, asked) => {
        const got = routed(routesOf([egress, ingress], 'c'), asked)
        const passes = (entries: readonly HttpEntry[]) =>
          entries.some((e) => e.http.some((h) => reference(h, asked) !== undefined))
        assert.equal(got.name === DENIED, !(passes(egress) && passes(ingress)))
      },
    ),
    { numRuns: 2000 },
  )
})

test('routes are named after the rules they stand for', () => {
  const any: HttpRule = { method: '', path: '', host: '', headers: [] }
  const two = { rule: 'p#spec.ingress[0].toPorts[1]', http: [any, any] }
  const names = routesOf([[two, { rule: 'p#spec.ingress[1]', http: [] }]], 'c').map((r) => r['name'])
  assert.deepEqual(names, [
    'p#spec.ingress[0].toPorts[1].rules.http[0]',
    'p#spec.ingress[0].toPorts[1].rules.http[1]',
    'p#spec.ingress[1]',
    DENIED,
    DENIED,
  ])
})

test('marks of a listener say its role and its port, and what asks both ends is taken for the ingress one', () => {
  const both = { name: 'b', side: 'both', port: 10002, decidedPort: 10001, rules: [[], []] } as const
  const text = JSON.stringify(listenerRow(both, { ipv4: true, ipv6: true }))
  assert.match(text, new RegExp(`"int_value":${10002 * 65536 + 0xc00}\\b`))
  assert.match(text, new RegExp(`"mark":${10001 * 65536 + 0x800}\\b`))
  const six = JSON.stringify(listenerRow(both, { ipv4: false, ipv6: true }))
  assert.ok(six.includes('::1') && !six.includes('127.0.0.1'))
})

test('a path is what it means: dots, doubled slashes and escapes do not get around rules', () => {
  for (const [written, meant] of [
    ['/a/../b', '/b'],
    ['/a//b/./c', '/a/b/c'],
    ['/%61dmin', '/admin'],
    ['/x/%2e%2e/admin', '/admin'],
    ['/x/..%2fadmin', '/admin'],
    ['/x\\admin', '/x/admin'],
    ['/../..', '/'],
    ['/a/', '/a/'],
    ['/a?x=/../b', '/a?x=/../b'],
    ['/a%c3%a4', '/a%C3%A4'],
    ['*', '*'],
  ] as const)
    assert.equal(normalPath(written), meant, written)
})
