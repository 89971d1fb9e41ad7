// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { closeSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import fc from 'fast-check'
import { maps } from '../../../gen/contract.ts'
import { partedClasses, reclassed } from '../../../src/derive/policy/classes.ts'
import { classesTarget, kernelClasses } from '../../../src/edge/kernel/classes.ts'
import * as kernel from '../../../src/edge/kernel/contract.ts'
import { type LinkRow, linkTarget, routeTarget } from '../../../src/edge/kernel/devices.ts'
import { contractMap } from '../../../src/edge/kernel/map.ts'
import { inNamespace, newNamespace } from '../../../src/edge/kernel/namespace.ts'
import * as net from '../../../src/edge/kernel/netlink.ts'
import { type LoadedObject, loadObject } from '../../../src/edge/kernel/object.ts'
import type * as rows from '../../../src/model/datapath.ts'
import { table } from '../../../src/table/definition.ts'
import type { Outcome } from '../../../src/table/target.ts'
import { conforms } from './conformance.ts'
import { afterwards, compile, type Test } from './fixture.ts'

/** Maps whose entries the kernel makes in advance and that these tests leave empty. */
const small = {
  cilium_events: 4096,
  cilium_flows: 64,
  cilium_nat: 64,
  cilium_fragments: 64,
  cilium_reverse_sockets: 64,
  cilium_rule_counters: 64,
  cilium_drop_limits: 64,
}

/** The maps of the contract alone, small, each made by a private object. */
function contractMaps(t: Test, maxEntries: Readonly<Record<string, number>> = {}): ReadonlyMap<string, number> {
  return loaded(t, maxEntries).maps
}

function loaded(t: Test, maxEntries: Readonly<Record<string, number>> = {}): LoadedObject {
  const object = loadObject(contractFile(), {
    maxEntries: { ...small, ...maxEntries },
  })
  afterwards(t, () => object.close())
  return object
}

let compiled: string | undefined
function contractFile(): string {
  if (compiled) return compiled
  const dir = mkdtempSync(join(tmpdir(), 'kt-'))
  process.on('exit', () => rmSync(dir, { recursive: true }))
  const source = join(dir, 'maps.c')
  writeFileSync(
    source,
    `#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "contract/maps.h"
SEC("tc") int nothing(struct __sk_buff *skb) { return 0; }
char _license[] SEC("license") = "GPL";`,
  )
  compiled = compile(dir, source, ['bpf'])
  return compiled
}

const owner = (address: string, identity: number): rows.OwnerRow => ({
  address,
  identity,
  peer: 6,
  interface: 3,
  policy: 4,
  endpoint: 5,
  flags: 1,
  node: '',
})
const owners = table<rows.OwnerRow>('owners', { key: (row) => row.address })

conforms<rows.OwnerRow>('cilium_owners', (t) => {
  const fd = contractMaps(t).get('cilium_owners')!
  return {
    target: kernel.ownersTarget(owners, fd),
    again: () => kernel.ownersTarget(owners, fd),
    rows: [owner('10.0.0.1', 300), { ...owner('fd00::1', 301), node: 'fd00:1::9' }, owner('10.0.0.2', 1 << 24)],
    changed: (row) => ({ ...row, node: '192.168.1.2' }),
  }
})

conforms<rows.OwnerRow>('cilium_ipcache', (t) => {
  const fd = contractMaps(t).get('cilium_ipcache')!
  return {
    target: kernel.ipcacheTarget(owners, fd),
    again: () => kernel.ipcacheTarget(owners, fd),
    rows: [owner('10.0.0.0/8', 300), owner('fd00::/48', 301), owner('0.0.0.0/0', 2), owner('::/0', 2)],
    changed: (row) => ({ ...row, identity: 9 }),
  }
})

conforms<rows.InterfaceRow>('cilium_interfaces', (t) => {
  const fd = contractMaps(t).get('cilium_interfaces')!
  const interfaces = table<rows.InterfaceRow>('interfaces', { key: (row) => String(row.index) })
  const row: rows.InterfaceRow = {
    index: 7,
    ipv4: '10.0.0.1',
    ipv6: '',
    identity: 300,
    policy: 4,
    endpoint: 5,
    flags: 1,
    mac: '02:00:00:00:00:07',
  }
  return {
    target: kernel.interfacesTarget(interfaces, fd),
    again: () => kernel.interfacesTarget(interfaces, fd),
    rows: [row, { ...row, index: 8, ipv6: 'fd00::8', mac: '' }, { ...row, index: 9 }],
    changed: (row) => ({ ...row, policy: 9 }),
  }
})

conforms<rows.PolicyRow>('cilium_policies', (t) => {
  const fd = contractMaps(t).get('cilium_policies')!
  const policies = table<rows.PolicyRow>('policies', { key: (row) => String(row.policy) })
  return {
    target: kernel.policiesTarget(policies, fd),
    again: () => kernel.policiesTarget(policies, fd),
    rows: [
      { policy: 1, ingress: 7, egress: 0 },
      { policy: 2, ingress: 7, egress: 7 },
      { policy: 4095, ingress: 0, egress: 0xffffffff },
    ],
    changed: ({ policy }) => ({ policy, ingress: 8, egress: 9 }),
  }
})

conforms<rows.PolicyTableRow>('cilium_policy_tables', (t) => {
  const fd = contractMaps(t).get('cilium_policy_tables')!
  const tables = table<rows.PolicyTableRow>('policyTables', { key: (row) => String(row.table) })
  const page = Array.from({ length: 5 }, (_, space) => Array.from({ length: 256 }, (_, i) => (space * 256 + i) % 7))
  const row: rows.PolicyTableRow = { table: 1, cells: 100, columns: 3, other: 2, page }
  return {
    target: kernel.policyTablesTarget(tables, fd),
    again: () => kernel.policyTablesTarget(tables, fd),
    rows: [row, { ...row, table: 2 }, { ...row, table: 4095 }],
    changed: (row) => ({ ...row, page: [...page.slice(1), page[0]!] }),
  }
})

const classesTable = table<rows.ClassesRow>('classes', { key: (row) => String(row.table) })

conforms<rows.ClassesRow>('the maps of classes', (t) => {
  const { map } = loaded(t)
  const target = () => classesTarget(classesTable, map)
  const classes = (table: number) =>
    new Map(
      Array.from({ length: 1500 }, (_, i) => [i * table + (i % 2) * 0x01000000, 1 + (i % 9)] as const).filter(
        ([i]) => i,
      ),
    )
  const all = [1, 2, 3].map((table) => ({ table, classes: classes(table) }))
  const changed = (row: rows.ClassesRow) => ({ ...row, classes: new Map([...row.classes].slice(300)).set(9, 77) })
  return { target: target(), again: target, rows: all, changed }
})

test('after any changes of classes, and a new start among them, the kernel holds what was said last, and no page twice', (t) => {
  const { map } = loaded(t, { cilium_class_pages: 12, cilium_policy_classes: 8 })
  const number = fc.integer({ min: 1, max: 5 })
  const identity = fc.oneof(
    fc.integer({ min: 1, max: 3000 }),
    fc.integer({ min: 60_000, max: 70_000 }),
    fc.integer({ min: 0x01000001, max: 0x01000010 }),
  )
  const change = fc.record({
    table: fc.integer({ min: 1, max: 4 }),
    changes: fc.uniqueArray(fc.tuple(identity, fc.option(number, { nil: undefined })), {
      selector: ([i]) => i,
      maxLength: 12,
    }),
    how: fc.constantFrom('parts', 'plain', 'remove'),
    restart: fc.boolean(),
  })
  type Change = typeof change extends fc.Arbitrary<infer C> ? C : never
  /** More of one kind than the maps take. */
  const tooMany = (identityOf: (i: number) => number): [Change[]] => [
    [{ table: 1, changes: Array.from({ length: 16 }, (_, i) => [identityOf(i), 1]), how: 'parts', restart: false }],
  ]
  let target = classesTarget(classesTable, map)
  const refused: string[] = []
  fc.assert(
    fc.property(fc.array(change, { maxLength: 12 }), (steps) => {
      target.remove([...kernelClasses(map)].map(([table, classes]) => ({ table, classes })))
      assert.equal(kernelClasses(map).size, 0)
      const said = new Map<number, Map<number, number>>()
      const rows = new Map([1, 2, 3, 4].map((table) => [table, partedClasses([])]))
      for (const { table, changes, how, restart } of steps) {
        if (restart) {
          target = classesTarget(classesTable, map)
          target.load()
        }
        const wanted = how === 'remove' ? partedClasses([]) : reclassed(rows.get(table) ?? partedClasses([]), changes)
        const classes = how === 'plain' ? new Map(wanted) : wanted
        const [outcome] = (how === 'remove' ? target.remove : target.write)([{ table, classes }]) as readonly Outcome[]
        const there = new Map(kernelClasses(map).get(table))
        if (outcome?.ok) assert.deepEqual(sorted(there), sorted(new Map(wanted)))
        else {
          refused.push(outcome?.ok === false ? outcome.error : '')
          // Of what was said before and what is said now, nothing else.
          for (const [i, n] of there) assert.ok(said.get(table)?.get(i) === n || wanted.get(i) === n, `${i} is ${n}`)
        }
        if (outcome?.ok) rows.set(table, wanted)
        else rows.set(table, partedClasses(there))
        said.set(table, there)
        for (const [other, classes] of said)
          assert.deepEqual(sorted(new Map(kernelClasses(map).get(other))), sorted(classes), `table ${other}`)
      }
    }),
    { numRuns: 50, examples: [tooMany((i) => 256 * (i + 1)), tooMany((i) => 0x01000001 + i)] },
  )
  for (const full of [/cilium_class_pages is full/, /cilium_policy_classes is full/])
    assert.ok(
      refused.some((r) => full.test(r)),
      `never ${full}`,
    )
})

const sorted = (classes: ReadonlyMap<number, number>) => [...classes].sort(([a], [b]) => a - b)

test('of classes in parts only pages that changed are written, and those of one who left go', (t) => {
  const { map } = loaded(t)
  const pages = contractMap(maps.cilium_class_pages, map('cilium_class_pages'))
  const others = contractMap(maps.cilium_policy_classes, map('cilium_policy_classes'))
  const local = 0x01000001
  let changes = 0
  const target = classesTarget(classesTable, map, { changed: () => changes++ })
  const before = partedClasses([
    ...Array.from({ length: 300 }, (_, i) => [256 + i, 1 + (i % 3)] as const),
    [local, 1],
    [local + 64, 2],
  ])
  assert.deepEqual(target.write([{ table: 5, classes: before }]), [{ ok: true }])
  // Somebody else writes too: a write that wrote everything would put it right.
  const [, second] = contractMap(maps.cilium_class_index, map('cilium_class_index'))
    .get(5)!
    .page.filter((page) => page !== 0)
  pages.put(second!, { class: new Array<number>(256).fill(9) })
  assert.ok(others.remove({ table: 5, identity: local + 1 }) === false && others.remove({ table: 5, identity: local }))
  const after = reclassed(before, [
    [257, 7],
    [258, undefined],
    [9000, 1],
    [local + 1, 3],
  ])
  assert.deepEqual(target.write([{ table: 5, classes: after }]), [{ ok: true }])
  const classes = kernelClasses(map).get(5)!
  assert.deepEqual(
    [256, 257, 258, 9000, 512, 555, local, local + 1, local + 64].map((i) => classes.get(i)),
    [1, 7, undefined, 1, 9, 9, undefined, 3, 2],
  )
  assert.equal(changes, 2)
  assert.deepEqual(target.remove([{ table: 5, classes: after }]), [{ ok: true }])
  assert.equal(kernelClasses(map).size, 0)
})

test('a table whose classes do not all fit is an error that names the map; what fitted is known', (t) => {
  for (const [name, first, step] of [
    ['cilium_policy_classes', 0x01000001, 1],
    ['cilium_class_pages', 256, 256],
  ] as const) {
    const { map } = loaded(t, { [name]: 101 })
    const target = classesTarget(classesTable, map)
    const classes = (count: number) => new Map(Array.from({ length: count }, (_, i) => [first + i * step, 1] as const))
    const [small, large] = target.write([
      { table: 1, classes: classes(60) },
      { table: 2, classes: classes(60) },
    ]) as readonly { readonly ok: boolean; readonly error?: string }[]
    assert.equal(small?.ok, true)
    assert.match(large?.error ?? '', new RegExp(`${name} is full`))
    assert.deepEqual(target.remove([{ table: 1, classes: classes(60) }]), [{ ok: true }])
    assert.deepEqual(target.write([{ table: 2, classes: classes(60) }]), [{ ok: true }])
    assert.deepEqual([...kernelClasses(map).keys()], [2])
    assert.equal(kernelClasses(map).get(2)?.size, 60)
  }
})

conforms<rows.ServiceRow>('cilium_services', (t) => {
  const fd = contractMaps(t).get('cilium_services')!
  const services = table<rows.ServiceRow>('services', { key: (row) => `${row.address} ${row.port} ${row.protocol}` })
  const row: rows.ServiceRow = {
    address: '10.96.0.10',
    port: 53,
    protocol: 17,
    scope: 0,
    slots: 10,
    count: 2,
    flags: 1,
    affinity: 0,
    id: 5,
  }
  return {
    target: kernel.servicesTarget(services, fd),
    again: () => kernel.servicesTarget(services, fd),
    rows: [row, { ...row, protocol: 6 }, { ...row, address: 'fd00:10:96::a' }],
    changed: (row) => ({ ...row, count: 3 }),
  }
})

test('target cilium_source_ranges: holds prefixes of both families, each service its own', async (t) => {
  const ranges = table<rows.SourceRangeRow>('ranges', { key: (row) => `${row.id} ${row.prefix}` })
  const target = kernel.sourceRangesTarget(ranges, contractMaps(t).get('cilium_source_ranges')!)
  const wanted = [
    { id: 1, prefix: '192.0.2.0/24' },
    { id: 2, prefix: '192.0.2.0/24' },
    { id: 1, prefix: '0.0.0.0/0' },
    { id: 1, prefix: '2001:db8::/32' },
    { id: 1, prefix: '::/0' },
  ]
  const held = async () => (await target.load()).map(ranges.key).sort()
  await target.write(wanted)
  assert.deepEqual(await held(), wanted.map(ranges.key).sort())
  await target.remove(wanted.slice(1))
  assert.deepEqual(await held(), ['1 192.0.2.0/24'])
})

conforms<rows.BackendRow>('cilium_backends', (t) => {
  const fd = contractMaps(t).get('cilium_backends')!
  const backends = table<rows.BackendRow>('backends', { key: (row) => String(row.backend) })
  const row: rows.BackendRow = { backend: 1, address: '10.244.0.9', port: 8080, protocol: 6, state: 0 }
  return {
    target: kernel.backendsTarget(backends, fd),
    again: () => kernel.backendsTarget(backends, fd),
    rows: [row, { ...row, backend: 2 }, { ...row, backend: 65535, address: 'fd00::9' }],
    changed: (row) => ({ ...row, state: 1 }),
  }
})

test('rows that do not fit into a full map say so for good, the others are written', async (t) => {
  const fd = contractMaps(t, { cilium_owners: 2 }).get('cilium_owners')!
  const target = kernel.ownersTarget(owners, fd)
  const outcomes = await target.write([
    owner('10.0.0.1', 1),
    owner('10.0.0.2', 2),
    owner('10.0.0.3', 3),
    owner('10.0.0.1', 4),
  ])
  const full = { ok: false, error: 'cilium_owners is full: it has room for 2 entries', permanent: true }
  assert.deepEqual(outcomes, [{ ok: true }, { ok: true }, full, { ok: true }])
  const policies = table<rows.PolicyRow>('policies', { key: (row) => String(row.policy) })
  const refused = await kernel
    .policiesTarget(policies, contractMaps(t, { cilium_policies: 8 }).get('cilium_policies')!)
    .write([{ policy: 8, ingress: 1, egress: 1 }])
  assert.deepEqual(refused, [{ ok: false, error: 'cilium_policies has room for 8 policies', permanent: true }])
})

test('cells and slots are written as runs, and a run past the end is refused', async (t) => {
  const fds = contractMaps(t)
  let changes = 0
  const cells = kernel.cellsTarget(
    table<rows.CellsRow>('cells', { key: (row) => String(row.first) }),
    fds.get('cilium_policy_cells')!,
    {
      changed: () => void changes++,
    },
  )
  const cell = (rule: number): rows.Cell => ({ rule, shadowRule: 0, verdict: 1, shadowVerdict: 0, proxyPort: 0 })
  const outcomes = await cells.write([
    { first: 100, cells: [cell(1), cell(2), cell(3)] },
    { first: (1 << 20) - 1, cells: [cell(4), cell(5)] },
    { first: 0, cells: [] },
  ])
  assert.deepEqual(
    outcomes.map((outcome) => outcome.ok),
    [true, false, true],
  )
  const map = contractMap(maps.cilium_policy_cells, fds.get('cilium_policy_cells')!)
  assert.deepEqual(
    [99, 100, 102, 103].map((i) => map.get(i)!.rule),
    [0, 1, 3, 0],
  )
  assert.equal(changes, 1)

  const slots = kernel.slotsTarget(
    table<rows.SlotsRow>('slots', { key: (row) => String(row.first) }),
    fds.get('cilium_backend_slots')!,
  )
  assert.deepEqual(await slots.write([{ first: 7, backends: [3, 1, 2] }]), [{ ok: true }])
  assert.equal(contractMap(maps.cilium_backend_slots, fds.get('cilium_backend_slots')!).get(9), 2)
})

test('what the kernel holds of policy is read back: tables of each number, cells and pages of each table', async (t) => {
  const { maps: fds, map } = loaded(t)
  const policies = table<rows.PolicyRow>('policies', { key: (row) => String(row.policy) })
  await kernel.ownersTarget(owners, fds.get('cilium_owners')!).write([owner('10.0.0.1', 300)])
  // Made anew: what endpoints are known by is given to nobody else.
  assert.deepEqual(kernel.kernelPolicies(map), [{ policy: 4, ingress: 0, egress: 0 }])
  await kernel.policiesTarget(policies, fds.get('cilium_policies')!).write([{ policy: 3, ingress: 5, egress: 6 }])
  assert.deepEqual(kernel.kernelPolicies(map), [{ policy: 3, ingress: 5, egress: 6 }])

  const tables = table<rows.PolicyTableRow>('policyTables', { key: (row) => String(row.table) })
  const page = Array.from({ length: 5 }, (_, space) => Array.from({ length: 256 }, (_, i) => (i < 2 ? 9 : space)))
  await kernel
    .policyTablesTarget(tables, fds.get('cilium_policy_tables')!)
    .write([{ table: 5, cells: 40, columns: 3, other: 0, page }])
  await classesTarget(classesTable, map).write([
    {
      table: 5,
      classes: new Map([
        [300, 1],
        [0x01000001, 2],
      ]),
    },
    { table: 6, classes: new Map([[301, 7]]) },
  ])
  assert.deepEqual(kernel.kernelTables(map), [{ table: 5, cells: 40, count: 9, pages: [0, 1, 2, 3, 4, 9] }])
})

test('the epoch moves on and never becomes what an unjudged flow has', (t) => {
  const fd = contractMaps(t).get('cilium_epoch')!
  const map = contractMap(maps.cilium_epoch, fd)
  const epoch = kernel.openEpoch(fd)
  assert.equal(epoch.read(), 1)
  epoch.bump()
  assert.equal(map.get(0), 2)
  map.put(0, 0xffffffff)
  epoch.bump()
  assert.equal(map.get(0), 1)
})

const routesTable = table<rows.RouteRow>('routes', { key: (row) => row.prefix })
function routePlace(t: Test) {
  const fd = newNamespace()
  const netlink = inNamespace(fd, net.openNetlink)
  afterwards(t, () => {
    netlink.close()
    closeSync(fd)
  })
  return netlink
}

conforms<rows.RouteRow>('routes', (t) => {
  const netlink = routePlace(t)
  net.createLink(netlink, { kind: 'bridge', name: 'kt-a', up: true })
  const device = net.linkByName(netlink, 'kt-a')!.index
  for (const address of ['10.1.2.3/24', 'fd00::5/64']) net.putAddress(netlink, { device, address, noDad: true })
  net.putRoute(netlink, { prefix: '10.99.0.0/16', device, protocol: 4 })
  const target = () => routeTarget(routesTable, netlink)
  return {
    target: target(),
    again: target,
    rows: [
      { prefix: '10.244.1.0/24', via: '10.1.2.9', device: 'kt-a', source: '', mtu: 0 },
      { prefix: '10.244.0.7/32', via: '', device: 'kt-a', source: '', mtu: 0 },
      { prefix: 'fd00:10:244:1::/64', via: 'fd00::9', device: 'kt-a', source: '', mtu: 1430 },
      { prefix: 'fd00:10:244::7/128', via: '', device: 'kt-a', source: '', mtu: 0 },
    ],
    changed: (row) => ({ ...row, mtu: 1300 }),
  }
})

test('routes: the device that is not there fails its row alone, and the routes of others stay', async (t) => {
  const netlink = routePlace(t)
  net.createLink(netlink, { kind: 'bridge', name: 'kt-a', up: true })
  const device = net.linkByName(netlink, 'kt-a')!.index
  net.putRoute(netlink, { prefix: '10.99.0.0/16', device, protocol: 4 })
  const target = routeTarget(routesTable, netlink)
  const row = (prefix: string, name: string) => ({ prefix, via: '', device: name, source: '', mtu: 0 })
  const outcomes = await target.write([row('10.1.0.0/16', 'kt-none'), row('10.2.0.0/16', 'kt-a')])
  assert.deepEqual(outcomes, [{ ok: false, error: 'device kt-none: ENODEV' }, { ok: true }])
  assert.deepEqual(
    (await target.load()).map((r) => r.prefix),
    ['10.2.0.0/16'],
  )
  assert.ok(net.routes(netlink).some((route) => route.prefix === '10.99.0.0/16'))
})

conforms<LinkRow>('devices', (t) => {
  const netlink = routePlace(t)
  net.createLink(netlink, { kind: 'bridge', name: 'kt-other' })
  const devices = table<LinkRow>('devices', { key: (row) => row.name })
  const target = () => linkTarget(devices, netlink, 77)
  const row: LinkRow = {
    name: 'kt-host',
    kind: 'veth',
    peer: 'kt-net',
    mac: '02:00:00:00:00:01',
    mtu: 1450,
    addresses: ['10.0.0.1/32', 'fd00::1/128'],
  }
  return {
    target: target(),
    again: target,
    rows: [
      row,
      { ...row, name: 'kt-vh', peer: 'kt-vn', mac: '', addresses: [] },
      { name: 'kt-br', kind: 'bridge', peer: '', mac: '', mtu: 1500, addresses: [] },
    ],
    changed: (row) => ({ ...row, mtu: 1400, addresses: ['10.0.0.2/32'] }),
  }
})
