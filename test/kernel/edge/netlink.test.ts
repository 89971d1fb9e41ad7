// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { closeSync, existsSync } from 'node:fs'
import { test } from 'node:test'
import {
  createNamespace,
  deleteNamespace,
  inNamespace,
  newNamespace,
  readSysctl,
  writeSysctl,
} from '../../../src/edge/kernel/namespace.ts'
import * as net from '../../../src/edge/kernel/netlink.ts'
import { interfaceIndex, isUp, KernelError } from '../../../src/edge/kernel/syscall.ts'
import { PROTOCOL } from '../../../src/protocol/netlink/route.ts'
import { afterwards, type Test } from './fixture.ts'

/** A private network namespace and a netlink socket in it. */
function place(t: Test) {
  const fd = newNamespace()
  const netlink = inNamespace(fd, net.openNetlink)
  afterwards(t, () => {
    netlink.close()
    closeSync(fd)
  })
  const ip = (...args: string[]): unknown =>
    JSON.parse(inNamespace(fd, () => execFileSync('ip', ['-json', '-d', ...args], { encoding: 'utf8' })) || '[]')
  return { fd, netlink, ip }
}

test('a veth is made with its peer in another namespace, both up, named, sized and with their addresses', (t) => {
  const [a, b] = [place(t), place(t)]
  net.createLink(a.netlink, {
    kind: 'veth',
    name: 'kt-a',
    mac: '02:00:00:00:00:01',
    mtu: 1400,
    up: true,
    alias: 'default/xwing',
    group: 7,
    peer: { name: 'eth0', mac: '02:00:00:00:00:02', mtu: 1400, namespace: b.fd },
  })
  net.changeLink(b.netlink, net.linkByName(b.netlink, 'eth0')!.index, { up: true })
  const host = net.linkByName(a.netlink, 'kt-a')!
  const pod = net.linkByName(b.netlink, 'eth0')!
  assert.deepEqual(
    { ...host, index: 0, peer: 0 },
    {
      index: 0,
      name: 'kt-a',
      kind: 'veth',
      mac: '02:00:00:00:00:01',
      mtu: 1400,
      up: true,
      running: true,
      loopback: false,
      peer: 0,
      master: 0,
      group: 7,
      alias: 'default/xwing',
      noArp: false,
    },
  )
  assert.equal(host.peer, pod.index)
  assert.equal(pod.mac, '02:00:00:00:00:02')
  assert.equal(pod.up, true)
  assert.deepEqual(
    net.links(b.netlink).map((l) => l.name),
    ['lo', 'eth0'],
  )

  net.changeLink(a.netlink, host.index, { up: false, mtu: 1300, name: 'kt-b' })
  assert.deepEqual(
    [net.linkByIndex(a.netlink, host.index)!].map((l) => [l.name, l.mtu, l.up]),
    [['kt-b', 1300, false]],
  )
  net.deleteLink(a.netlink, { name: 'kt-b' })
  net.deleteLink(a.netlink, { name: 'kt-b' })
  assert.equal(net.linkByName(b.netlink, 'eth0'), undefined)
})

test('what the kernel refuses comes back with its words', (t) => {
  const { netlink } = place(t)
  net.createLink(netlink, { kind: 'bridge', name: 'kt-d' })
  assert.throws(
    () => net.createLink(netlink, { kind: 'bridge', name: 'kt-d' }),
    (error: unknown) => error instanceof KernelError && error.code === 'EEXIST' && net.isPresent(error),
  )
  assert.throws(
    () => net.putRoute(netlink, { prefix: '10.0.0.0/8', via: '10.9.9.9' }),
    /route to 10.0.0.0\/8: .*: .*gateway/,
  )
  assert.throws(() => net.putAddress(netlink, { device: 1, address: 'nonsense' }), /no address with a prefix length/)
})

test('addresses of both families are put twice, listed and removed', (t) => {
  const { netlink, ip } = place(t)
  net.createLink(netlink, { kind: 'bridge', name: 'kt-d', up: true })
  const device = net.linkByName(netlink, 'kt-d')!.index
  for (const address of ['10.1.2.3/24', '10.1.2.3/24', 'fd00::5/64'])
    net.putAddress(netlink, { device, address, noDad: true })
  const mine = () =>
    net
      .addresses(netlink)
      .filter((a) => a.device === device && a.scope === 0)
      .map((a) => a.address)
  assert.deepEqual(mine(), ['10.1.2.3/24', 'fd00::5/64'])
  assert.match(JSON.stringify(ip('addr', 'show', 'dev', 'kt-d')), /"local":"10\.1\.2\.3","prefixlen":24/)
  net.deleteAddress(netlink, { device, address: '10.1.2.3/24' })
  net.deleteAddress(netlink, { device, address: '10.1.2.3/24' })
  assert.deepEqual(mine(), ['fd00::5/64'])
})

test('routes with gateway, source, MTU, table and onlink are replaced, listed by who made them, and removed', (t) => {
  const { netlink, ip } = place(t)
  net.createLink(netlink, { kind: 'bridge', name: 'kt-d', up: true })
  const device = net.linkByName(netlink, 'kt-d')!.index
  for (const address of ['10.1.2.3/24', 'fd00::5/64']) net.putAddress(netlink, { device, address, noDad: true })
  const wanted = [
    { prefix: '10.244.1.0/24', via: '10.1.2.9', device, source: '10.1.2.3', mtu: 1450 },
    { prefix: '10.244.2.7/32', device },
    { prefix: '0.0.0.0/0', via: '169.254.1.1', device, onlink: true, table: 300 },
    { prefix: 'fd00:10::/64', via: 'fd00::9', device, mtu: 1430 },
    { prefix: 'fd00:11::1/128', device },
  ]
  for (const route of wanted) net.putRoute(netlink, route)
  net.putRoute(netlink, { prefix: '10.244.1.0/24', via: '10.1.2.8', device, mtu: 1400 })

  const own = net.routes(netlink, { protocol: PROTOCOL.OWN })
  const short = own.map((r) => `${r.prefix} ${r.via} ${r.mtu} ${r.table} ${r.onlink}`)
  assert.deepEqual(short.sort(), [
    '0.0.0.0/0 169.254.1.1 0 300 true',
    '10.244.1.0/24 10.1.2.8 1400 254 false',
    '10.244.2.7/32  0 254 false',
    'fd00:10::/64 fd00::9 1430 254 false',
    'fd00:11::1/128  0 254 false',
  ])
  assert.equal(net.routes(netlink, { table: 300 }).length, 1)
  assert.equal(net.routes(netlink, { table: 301 }).length, 0)
  assert.match(JSON.stringify(ip('route', 'show', '10.244.1.0/24')), /"gateway":"10\.1\.2\.8".*"mtu":1400/)
  for (const route of own) net.deleteRoute(netlink, route)
  for (const route of own) net.deleteRoute(netlink, route)
  assert.deepEqual(net.routes(netlink, { protocol: PROTOCOL.OWN }), [])
})

test('rules, neighbours, a bridge with a member and a vxlan device', (t) => {
  const { netlink, ip } = place(t)
  net.createRule(netlink, { family: 4, priority: 9, table: 300, mark: 0x200, mask: 0xf00 })
  net.createRule(netlink, { family: 6, priority: 9, table: 300, from: 'fd00::/64' })
  assert.deepEqual(
    net.rules(netlink).filter((r) => r.table === 300),
    [
      { family: 4, priority: 9, table: 300, mark: 0x200, mask: 0xf00, from: '', to: '', protocol: 201 },
      { family: 6, priority: 9, table: 300, mark: 0, mask: 0, from: 'fd00::/64', to: '', protocol: 201 },
    ],
  )
  for (const rule of net.rules(netlink).filter((r) => r.table === 300)) net.deleteRule(netlink, rule)
  assert.equal(net.rules(netlink).filter((r) => r.table === 300).length, 0)

  net.createLink(netlink, { kind: 'bridge', name: 'kt-br', up: true, forwardDelay: 0 })
  const bridge = net.linkByName(netlink, 'kt-br')!.index
  net.createLink(netlink, { kind: 'vxlan', name: 'kt-vx', external: true, port: 8472, master: bridge })
  net.createLink(netlink, { kind: 'veth', name: 'kt-d', up: true, peer: { name: 'kt-e' } })
  const member = net.linkByName(netlink, 'kt-d')!.index
  net.changeLink(netlink, member, { master: bridge })
  assert.equal(net.linkByIndex(netlink, member)!.master, bridge)
  net.changeLink(netlink, member, { master: 0 })
  assert.equal(net.linkByIndex(netlink, member)!.master, 0)
  assert.match(JSON.stringify(ip('link', 'show', 'kt-vx')), /"info_kind":"vxlan".*"external":true.*"port":8472/)

  net.putNeighbour(netlink, { device: member, address: '10.0.0.9', mac: '02:00:00:00:00:09' })
  net.putNeighbour(netlink, { device: member, address: 'fd00::9', mac: '02:00:00:00:00:08' })
  const own = net.neighbours(netlink).filter((n) => n.state === 0x80)
  assert.deepEqual(
    own.map((n) => `${n.address} ${n.mac}`),
    ['10.0.0.9 02:00:00:00:00:09', 'fd00::9 02:00:00:00:00:08'],
  )
  for (const neighbour of own) net.deleteNeighbour(netlink, neighbour)
  assert.equal(net.neighbours(netlink).filter((n) => n.state === 0x80).length, 0)
})

test('a group of devices goes at once', async (t) => {
  const { fd, netlink } = place(t)
  for (let i = 0; i < 5; i++) net.createLink(netlink, { kind: 'bridge', name: `kt-${i}`, group: 42 })
  await inNamespace(fd, () => [net.deleteAside({ group: 42 })])[0]
  assert.deepEqual(
    net.links(netlink).map((l) => l.name),
    ['lo'],
  )
})

test('hundreds of devices are listed whole', (t) => {
  const { netlink } = place(t)
  for (let i = 0; i < 300; i++) net.createLink(netlink, { kind: 'bridge', name: `kt-${i}`, alias: 'a'.repeat(200) })
  assert.equal(net.links(netlink).length, 301)
})

test('a named namespace is entered by its path, has its own sysctls, and is removed', () => {
  const path = `/run/netns/kt-${process.pid}`
  createNamespace(path)
  try {
    const before = readSysctl('net.ipv4.ip_forward')
    inNamespace(path, () => {
      writeSysctl('net.ipv4.ip_forward', before === '1' ? 0 : 1)
      assert.notEqual(readSysctl('net.ipv4.ip_forward'), before)
      writeSysctl('net.ipv4.conf.[lo].rp_filter', 0)
      const inner = net.openNetlink()
      assert.equal(net.links(inner).length, 1)
      inner.close()
    })
    assert.equal(readSysctl('net.ipv4.ip_forward'), before)
    assert.throws(() => inNamespace(path, async () => 1), /must not be asynchronous/)
    assert.throws(() => inNamespace('/run/netns/kt-none', () => 1), /ENOENT/)
  } finally {
    deleteNamespace(path)
  }
  assert.equal(existsSync(path), false)
})

test('changes asked for together are made in their order, and the first that fails keeps none of the others', (t) => {
  const { netlink } = place(t)
  net.createLink(netlink, { kind: 'bridge', name: 'kt-a', up: true })
  const index = interfaceIndex(netlink.fd, 'kt-a')
  assert.deepEqual([isUp(netlink.fd, 'kt-a'), isUp(netlink.fd, 'lo'), isUp(netlink.fd, 'kt-b')], [true, false, false])
  assert.equal(index, net.linkByName(netlink, 'kt-a')?.index)
  assert.equal(interfaceIndex(netlink.fd, 'kt-b'), 0)
  netlink.together(() => {
    net.putAddress(netlink, { device: index, address: '10.1.0.1/24' })
    net.putRoute(netlink, { prefix: '10.2.0.0/24', via: '10.1.0.9', device: index }) // only after the address
  })
  assert.throws(
    () =>
      netlink.together(() => {
        net.putRoute(netlink, { prefix: '10.3.0.0/24', via: '10.99.0.1', device: index })
        net.changeLink(netlink, index + 100, { mtu: 1300 })
        net.putAddress(netlink, { device: index, address: '10.1.0.2/24' })
      }),
    /route to 10\.3\.0\.0\/24: ENETUNREACH/,
  )
  const there = net.addresses(netlink).map((a) => a.address)
  assert.ok(there.includes('10.1.0.1/24') && there.includes('10.1.0.2/24'), there.join())
  assert.ok(net.routes(netlink).some((route) => route.prefix === '10.2.0.0/24'))
  net.changeLink(netlink, index, { mtu: 1300 })
  assert.equal(net.linkByName(netlink, 'kt-a')?.mtu, 1300, 'alone again')
})
