// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { contains, parseAddress, prefix } from '../../src/base/ip.ts'
import { ipcacheRows } from '../../src/derive/addresses/tables.ts'
import { cidrIdentities } from '../../src/derive/policy/cidrs.ts'
import { decisions } from '../../src/derive/policy/decisions.ts'
import { identityOfRules, nameIdentities } from '../../src/derive/policy/names.ts'
import { subjectPrograms } from '../../src/derive/policy/programs.ts'
import { decide } from '../../src/derive/policy/verdict.ts'
import { dnsListeners, proxyPorts, wantedListeners } from '../../src/derive/proxy/tables.ts'
import { reservedIdentities } from '../../src/model/identity.ts'
import { ruleText } from '../../src/model/names.ts'
import { connection, openWorld, type World, whoIs } from '../scenarios/world.ts'

/** Rules for names, prefixes and the world, and addresses with names, in whatever order; a plain reading decides. */

const runs = Number(process.env['POLICY_RUNS'] ?? 60)
const addresses = ['192.0.2.1', '192.0.2.2', '192.0.2.130', '198.51.100.1', '2001:db8::1'] as const
const ports = [53, 443] as const
const namesAsked = ['a.io', 'b.io', 'x.a.io', 'y.x.a.io', 'ab.io', 'c.org']

type Peer =
  | { readonly kind: 'name'; readonly text: string }
  | { readonly kind: 'cidr'; readonly cidr: string; readonly except: readonly string[] }
  | { readonly kind: 'world' }
  | { readonly kind: 'all' }
interface Rule {
  readonly peer: Peer
  readonly port: number | undefined
  readonly deny: boolean
  /** What may be asked for. */
  readonly dns?: readonly string[]
}

const nameText = fc.constantFrom('a.io', 'b.io', '*.io', '**.io', '*.a.io', 'a*.io', '*', 'c.org')
const peer: fc.Arbitrary<Peer> = fc.oneof(
  { weight: 4, arbitrary: nameText.map((text): Peer => ({ kind: 'name', text })) },
  {
    weight: 2,
    arbitrary: fc
      .constantFrom(
        ['192.0.2.0/24', []],
        ['192.0.2.0/24', ['192.0.2.128/25']],
        ['192.0.2.1/32', []],
        ['0.0.0.0/0', ['192.0.2.0/25']],
        ['::/0', []],
        ['2001:db8::/32', []],
      )
      .map(([cidr, except]): Peer => ({ kind: 'cidr', cidr: cidr as string, except: except as readonly string[] })),
  },
  { weight: 1, arbitrary: fc.constant<Peer>({ kind: 'world' }) },
  { weight: 1, arbitrary: fc.constant<Peer>({ kind: 'all' }) },
)
const rule: fc.Arbitrary<Rule> = fc
  .record({
    peer,
    port: fc.constantFrom(undefined, ...ports),
    deny: fc.constantFrom(false, false, false, true),
    ask: fc.option(fc.array(nameText, { minLength: 1, maxLength: 2 }), { freq: 2, nil: undefined }),
  })
  .map(({ peer, port, deny, ask }): Rule => {
    const mayDeny = deny && peer.kind !== 'name'
    // Names that may be asked for go with one port, in an allowance.
    const of = { peer, port: peer.kind === 'all' && port === undefined ? 443 : port, deny: mayDeny }
    return ask && of.port === 53 && !mayDeny ? { ...of, dns: ask } : of
  })
const step = fc.oneof(
  fc.record({
    kind: fc.constant('policy' as const),
    name: fc.constantFrom('p', 'q'),
    rules: fc.array(rule, { minLength: 1, maxLength: 4 }),
  }),
  fc.record({ kind: fc.constant('delete' as const), name: fc.constantFrom('p', 'q') }),
  fc.record({
    kind: fc.constant('names' as const),
    known: fc.uniqueArray(
      fc.record({
        address: fc.constantFrom(...addresses),
        names: fc.uniqueArray(fc.constantFrom(...namesAsked), { minLength: 1, maxLength: 3 }),
      }),
      { selector: (k) => k.address },
    ),
  }),
)

const dnsRule = (text: string) => (text.includes('*') ? { matchPattern: text } : { matchName: text })

function object(name: string, rules: readonly Rule[]): object {
  const element = (r: Rule) => ({
    ...(r.peer.kind === 'name' ? { toFQDNs: [dnsRule(r.peer.text)] } : {}),
    ...(r.peer.kind === 'cidr' ? { toCIDRSet: [{ cidr: r.peer.cidr, except: r.peer.except }] } : {}),
    ...(r.peer.kind === 'world' ? { toEntities: ['world'] } : {}),
    ...(r.port === undefined
      ? {}
      : {
          toPorts: [
            {
              ports: [{ port: String(r.port), protocol: 'UDP' }],
              ...(r.dns ? { rules: { dns: r.dns.map(dnsRule) } } : {}),
            },
          ],
        }),
  })
  return {
    kind: 'CiliumNetworkPolicy',
    metadata: { name },
    spec: {
      endpointSelector: { matchLabels: { app: 'client' } },
      egress: rules.filter((r) => !r.deny).map(element),
      egressDeny: rules.filter((r) => r.deny).map(element),
      enableDefaultDeny: { egress: true },
    },
  }
}

/** What a name means, said once more and slowly. */
const means = (text: string, name: string): boolean =>
  text === '*' ||
  new RegExp(
    `^${text.startsWith('**.') ? '([-a-z0-9_]+[.])+' : ''}${text
      .replace(/^\*\*\./, '')
      .replaceAll('.', '[.]')
      .replaceAll('*', '[-a-z0-9_]*')}$`,
  ).test(name)

const within = (cidr: string, address: string): boolean => {
  const at = parseAddress(address)
  return at !== undefined && contains(prefix(cidr), at)
}

function reaches(r: Rule, address: string, names: readonly string[], port: number): boolean {
  if (r.port !== undefined && r.port !== port) return false
  switch (r.peer.kind) {
    case 'all':
    case 'world':
      return true
    case 'cidr': {
      const { cidr, except } = r.peer
      return within(cidr, address) && !except.some((e) => within(e, address))
    }
    case 'name': {
      const { text } = r.peer
      return names.some((n) => means(text, n))
    }
  }
}

function reference(
  policies: ReadonlyMap<string, readonly Rule[]>,
  address: string,
  names: readonly string[],
  port: number,
) {
  if (policies.size === 0) return { verdict: 'allow', dns: [] }
  const hit = [...policies.values()].flat().filter((r) => reaches(r, address, names, port))
  if (hit.some((r) => r.deny)) return { verdict: 'deny', dns: [] }
  // What a rule allows by its port alone, names and all, is still learnt from where another speaks of names.
  const dns = hit.flatMap((r) => r.dns ?? (hit.some((h) => h.dns) ? ['*'] : []))
  return { verdict: hit.length === 0 ? 'none' : dns.length > 0 ? 'redirect' : 'allow', dns }
}

/** Names that the listener of a cell lets pass. */
function askable(world: World, address: string, port: number): readonly string[] {
  const { db } = world
  const program = db.get(subjectPrograms, whoIs(world, 'default/client').subject ?? '')?.egress
  const decision = program && db.get(decisions, program.key)
  const cell = decision && decide(decision, whoIs(world, address).identity, 'UDP', port)
  const key = cell?.redirect ?? ''
  const listener = db.by(wantedListeners, 'name', db.get(wantedListeners, key)?.name ?? '')[0]
  const row = db.get(dnsListeners, listener?.name ?? '')
  assert.ok(row && row.port === db.get(proxyPorts, key)?.port)
  return [...new Set(row.rules.flatMap((r) => r.dns.map(ruleText)))].sort()
}

function check(
  world: World,
  policies: ReadonlyMap<string, readonly Rule[]>,
  names: ReadonlyMap<string, readonly string[]>,
): void {
  for (const address of addresses)
    for (const port of ports) {
      const want = reference(policies, address, names.get(address) ?? [], port)
      const got = connection(world, 'default/client', address, 'UDP', port).egress
      assert.equal(got?.verdict, want.verdict, `${address} ${port}: ${got?.verdict} by ${got?.rule}`)
      if (want.verdict === 'redirect') assert.deepEqual(askable(world, address, port), [...new Set(want.dns)].sort())
    }
}

test('names, prefixes and the world decide as a plain reading says, whatever comes in whatever order', () => {
  let redirected = 0
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 8 }), (steps) => {
      const world = openWorld()
      world.apply([{ kind: 'Pod', metadata: { name: 'client', labels: { app: 'client' } } }])
      const policies = new Map<string, readonly Rule[]>()
      let names = new Map<string, readonly string[]>()
      for (const s of steps) {
        if (s.kind === 'policy') {
          policies.set(s.name, s.rules)
          world.apply([object(s.name, s.rules)])
        } else if (s.kind === 'delete') {
          if (policies.delete(s.name)) world.remove('CiliumNetworkPolicy', `CiliumNetworkPolicy/default/${s.name}`)
        } else {
          names = new Map(s.known.map((k) => [k.address, k.names]))
          world.learnt(s.known.map((k) => ({ address: k.address, names: [...k.names].sort() })))
        }
        check(world, policies, names)
      }
      redirected += [...policies.values()].flat().filter((r) => r.dns).length
      const numbers = [...reservedIdentities, ...world.db.all(cidrIdentities), ...world.db.all(nameIdentities)].map(
        (i) => i.number,
      )
      assert.equal(new Set(numbers).size, numbers.length, 'no number means two things')
      // Nothing is left of what is wanted no more.
      const again = openWorld()
      again.apply([
        { kind: 'Pod', metadata: { name: 'client', labels: { app: 'client' } } },
        ...[...policies].map(([name, rules]) => object(name, rules)),
      ])
      again.learnt([...names].map(([address, of]) => ({ address, names: [...of].sort() })))
      const said = (w: World) => w.db.all(ipcacheRows).map((o) => o.address)
      assert.deepEqual(said(world), said(again))
      const sets = (w: World) => w.db.all(nameIdentities).map((i) => i.set)
      assert.deepEqual(sets(world), sets(again))
    }),
    { numRuns: runs },
  )
  assert.ok(redirected > 0)
})

test('the number of identities follows the rules, not the addresses', () => {
  const world = openWorld()
  world.apply([
    { kind: 'Pod', metadata: { name: 'client', labels: { app: 'client' } } },
    object('p', [
      { peer: { kind: 'name', text: '*.io' }, port: 443, deny: false },
      { peer: { kind: 'name', text: 'a.io' }, port: 53, deny: false },
    ]),
  ])
  const before = world.db.all(nameIdentities).length
  const many = Array.from({ length: 250 }, (_, i) => ({ address: `198.51.100.${i}`, names: [`n${i}.io`] }))
  world.learnt([...many, { address: '192.0.2.1', names: ['a.io'] }])
  assert.equal(world.db.all(nameIdentities).length, before + 1)
  assert.deepEqual(identityOfRules(['*.io', 'a.io'], world.db)?.labels, [
    'fqdn:*.io',
    'fqdn:a.io',
    'reserved:world-ipv4',
  ])
})
