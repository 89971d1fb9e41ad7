// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { closeSync } from 'node:fs'
import { test } from 'node:test'
import { inNamespace, newNamespace } from '../../../src/edge/kernel/namespace.ts'
import * as net from '../../../src/edge/kernel/netlink.ts'
import { type DeviceChanges, watchDevices } from '../../../src/edge/kernel/watch.ts'
import { afterwards } from './fixture.ts'

test('devices, their addresses and the default route are followed as they change', async (t) => {
  const fd = newNamespace()
  const netlink = inNamespace(fd, net.openNetlink)
  const seen = new Map<string, string>()
  let wake: () => void = () => {}
  const apply = ({ put, removed }: DeviceChanges): void => {
    for (const row of put) seen.set(String(row.index), `${row.name} ${row.up} ${row.addresses} ${row.wire}`)
    for (const index of removed) seen.delete(String(index))
    wake()
  }
  const until = async (wanted: (rows: readonly string[]) => boolean): Promise<void> => {
    while (!wanted([...seen.values()]))
      await new Promise<void>((resolve) => {
        wake = resolve
      })
  }
  const watch = inNamespace(fd, () => watchDevices(apply, { nodeAddress: '10.1.2.3' }))
  afterwards(t, () => {
    watch.close()
    netlink.close()
    closeSync(fd)
  })
  assert.deepEqual(
    watch.rows.map((row) => row.name),
    ['lo'],
  )

  net.createLink(netlink, { kind: 'veth', name: 'kt-a', up: true, peer: { name: 'kt-b' } })
  const device = net.linkByName(netlink, 'kt-a')!.index
  net.putAddress(netlink, { device, address: '10.1.2.3/24' })
  await until((rows) => rows.includes('kt-a true 10.1.2.3 true') && rows.some((row) => row.startsWith('kt-b')))

  const other = net.linkByName(netlink, 'kt-b')!.index
  net.changeLink(netlink, other, { up: true })
  net.putAddress(netlink, { device: other, address: '10.9.0.1/24' })
  net.putRoute(netlink, { prefix: '0.0.0.0/0', via: '10.9.0.2', device: other })
  await until((rows) => rows.some((row) => /^kt-b true 10\.9\.0\.1(,fe80.*)? true$/.test(row)))
  assert.ok([...seen.values()].some((row) => /^kt-a true 10\.1\.2\.3(,fe80.*)? false$/.test(row)))

  net.deleteLink(netlink, { name: 'kt-a' })
  await until((rows) => rows.every((row) => !row.startsWith('kt-')))
  const fresh = inNamespace(fd, () => watchDevices(() => {}, {}))
  assert.deepEqual(fresh.rows, watch.rows)
  fresh.close()
})

test('when more happens than the queue holds, the rows are still right', async (t) => {
  const fd = newNamespace()
  const netlink = inNamespace(fd, net.openNetlink)
  let calls = 0
  const watch = inNamespace(fd, () => watchDevices(() => void calls++))
  afterwards(t, () => {
    watch.close()
    netlink.close()
    closeSync(fd)
  })
  net.createLink(netlink, { kind: 'bridge', name: 'kt-br', up: true })
  const device = net.linkByName(netlink, 'kt-br')!.index
  for (let i = 0; i < 3000; i++) {
    net.putAddress(netlink, { device, address: `10.1.${i >> 8}.${i & 255}/32` })
    if (i % 2 === 0) net.deleteAddress(netlink, { device, address: `10.1.${i >> 8}.${i & 255}/32` })
  }
  const soon = async (is: () => boolean): Promise<void> => {
    for (let i = 0; i < 1000 && !is(); i++) await new Promise((resolve) => setTimeout(resolve, 10))
  }
  const addresses = () =>
    watch.rows.find((row) => row.name === 'kt-br')?.addresses.filter((a) => a.startsWith('10.1.')).length
  await soon(() => addresses() === 1500)
  assert.equal(addresses(), 1500)
  assert.ok(calls > 0)

  // And what comes after is still heard of; the kernel may have more to say of the first in between.
  net.createLink(netlink, { kind: 'bridge', name: 'kt-later', up: true })
  await soon(() => watch.rows.some((row) => row.name === 'kt-later'))
  assert.ok(watch.rows.some((row) => row.name === 'kt-later'))
})
