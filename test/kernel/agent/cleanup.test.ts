// SPDX-License-Identifier: Apache-2.0
// `cilium-dbg post-uninstall-cleanup` in a node of its own: all that is ours goes, tc filters included; the rest stays.
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs'
import { dirname, join } from 'node:path'
import { test } from 'node:test'
import { attachMode } from '../../../src/edge/kernel/features.ts'
import { filters, putFilter } from '../../../src/edge/kernel/filter.ts'
import { attachInterface, pin } from '../../../src/edge/kernel/link.ts'
import { inNamespace, newNamespace } from '../../../src/edge/kernel/namespace.ts'
import * as net from '../../../src/edge/kernel/netlink.ts'
import { loadObject } from '../../../src/edge/kernel/object.ts'
import { close, mount, unmount } from '../../../src/edge/kernel/syscall.ts'
import { PROTOCOL } from '../../../src/protocol/netlink/route.ts'
import { afterwards, compile, fixtureSource, workplace } from '../edge/fixture.ts'

const root = join(import.meta.dirname, '../../..')

test('cleanup takes programs, filters, devices, routes, rules, CNI files and state, and nothing of others', (t) => {
  const { dir } = workplace(t)
  const bpffs = join(dir, 'sys/fs/bpf')
  mkdirSync(bpffs, { recursive: true })
  mount('kt', bpffs, 'bpf')
  afterwards(t, () => unmount(bpffs, 2))
  const put = (path: string): void => {
    mkdirSync(dirname(join(dir, path)), { recursive: true })
    writeFileSync(join(dir, path), '')
  }
  for (const file of ['05-cilium.conflist', '10-other.conflist.cilium_bak', '20-other.conflist'])
    put(`etc/cni/net.d/${file}`)
  for (const file of ['opt/cni/bin/cilium-cni', 'opt/cni/bin/loopback', 'var/run/cilium/state/endpoints/a.json'])
    put(file)

  const namespace = newNamespace()
  const { programs, maps } = loadObject(compile(dir, fixtureSource))
  const [program] = [...programs.values()]
  assert.ok(program !== undefined)
  pin([...maps.values()][0] as number, join(bpffs, 'tc/globals/cilium_owners'))
  pin([...maps.values()][0] as number, join(bpffs, 'tc/globals/of_others'))
  const netlink = inNamespace(namespace, net.openNetlink)
  afterwards(t, () => {
    netlink.close()
    close(namespace)
  })
  const pod = 'c0ffee:eth0 10.0.0.5  10.0.0.1  1500 1450'
  for (const [name, alias] of [
    ['lxc1', pod],
    ['lxcother', 'a container of mine'],
    ['eth0', ''],
    ['cilium_host', ''],
  ] as const)
    net.createLink(netlink, {
      kind: 'veth',
      name,
      alias,
      up: true,
      peer: { name: `${name}-p`.replace('cilium_host-p', 'cilium_net') },
    })
  const index = (name: string): number => net.linkByName(netlink, name)?.index ?? 0
  const wire = index('eth0')
  net.putAddress(netlink, { device: wire, address: '192.0.2.1/24' })
  net.putRoute(netlink, { prefix: '10.1.0.0/24', device: wire, protocol: PROTOCOL.OWN_NODES })
  net.putRoute(netlink, { prefix: '10.2.0.0/24', device: wire, protocol: PROTOCOL.STATIC })
  net.changeLink(netlink, index('lo'), { up: true })
  for (const prefix of ['0.0.0.0/0', '::/0']) {
    net.putRoute(netlink, { prefix, type: 'local', device: index('lo'), table: 2004, scope: 254 })
    net.putRoute(netlink, { prefix, device: wire, table: 2005, mtu: 1400 })
  }
  for (const family of [4, 6] as const)
    net.createRule(netlink, {
      family,
      priority: 10,
      table: 254,
      mark: 0xb00,
      mask: 0xf00,
      suppress: family === 4 ? 31 : 127,
    })
  for (const priority of [9, 500])
    net.createRule(netlink, {
      ...{ family: 4, priority, table: 2004, mark: 0x200, mask: 0xf00 },
      ...(priority === 500 ? { protocol: PROTOCOL.STATIC } : {}),
    })
  inNamespace(namespace, () => {
    putFilter(program, wire, 'ingress', '/sys/fs/bpf/cilium/links/from_wire')
    putFilter(program, wire, 'egress', 'of somebody else')
    if (attachMode() === 'tcx') {
      const link = attachInterface(program, wire, 'ingress')
      pin(link, join(bpffs, `cilium/links/device-${wire}-ingress`))
      close(link)
    }
  })

  const said = inNamespace(namespace, () =>
    execFileSync(
      join(root, 'node_modules/.bin/node'),
      [
        join(root, 'src/apps/dbg/main.ts'),
        ...['-H', join(dir, 'none.sock'), 'post-uninstall-cleanup', '--force', `--root=${dir}`],
      ],
      { encoding: 'utf8', env: { ...process.env, NODE_NO_WARNINGS: '1' } },
    ),
  )
  assert.match(said, /Removed\.\n$/)

  assert.deepEqual(
    inNamespace(namespace, filters).map((f) => f.name),
    ['of somebody else'],
  )
  assert.deepEqual(
    net
      .links(netlink)
      .map((l) => l.name)
      .sort(),
    ['eth0', 'eth0-p', 'lo', 'lxcother', 'lxcother-p'],
  )
  const routes = net.routes(netlink).filter((r) => r.protocol !== PROTOCOL.KERNEL)
  assert.ok(!net.rules(netlink).some((r) => r.protocol === PROTOCOL.OWN))
  assert.deepEqual(
    routes.map((r) => r.prefix),
    ['10.2.0.0/24'],
  )
  assert.deepEqual(
    net
      .rules(netlink)
      .filter((r) => r.table === 2004)
      .map((r) => r.priority),
    [500],
  )
  assert.deepEqual(readdirSync(join(dir, 'etc/cni/net.d')), ['10-other.conflist', '20-other.conflist'])
  assert.deepEqual(readdirSync(join(dir, 'opt/cni/bin')), ['loopback'])
  assert.deepEqual(readdirSync(join(dir, 'var/run/cilium')), [])
  assert.deepEqual(readdirSync(join(bpffs, 'tc/globals')), ['of_others'])
  assert.ok(!existsSync(join(bpffs, 'cilium')))
})
