// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { test } from 'node:test'
import { proxyRouteTarget } from '../../../src/apps/agent/proxy.ts'
import { inNamespace, newNamespace } from '../../../src/edge/kernel/namespace.ts'
import * as net from '../../../src/edge/kernel/netlink.ts'
import { close } from '../../../src/edge/kernel/syscall.ts'

test('what the proxy sends to servers and clients goes to this node’s pods, or by cilium_host, whatever routes the node has', (t) => {
  const namespace = newNamespace()
  const netlink = inNamespace(namespace, net.openNetlink)
  t.after(() => {
    netlink.close()
    close(namespace)
  })
  const ip = (...words: readonly string[]) =>
    inNamespace(namespace, () => execFileSync('ip', words, { encoding: 'utf8' }))
  ip('link', 'set', 'lo', 'up')
  const peerOf = (name: string) => (name === 'cilium_host' ? 'cilium_net' : `${name}-p`)
  for (const name of ['eth0', 'cilium_host', 'lxc1']) {
    ip('link', 'add', name, 'type', 'veth', 'peer', 'name', peerOf(name))
    for (const end of [name, peerOf(name)]) ip('link', 'set', end, 'up')
  }
  ip('addr', 'add', '192.0.2.1/24', 'dev', 'eth0')
  for (const [to, device] of [
    ['10.1.0.5/32', 'lxc1'],
    ['203.0.113.5/32', 'eth0'],
    ['10.9.0.7/32', 'eth0'],
  ] as const)
    ip('route', 'add', to, 'dev', device)
  // As an older release had it.
  ip('rule', 'add', 'pref', '10', 'fwmark', '0xb00/0xf00', 'lookup', 'main', 'suppress_prefixlength', '31')

  const write = (...pods: readonly string[]) =>
    inNamespace(namespace, () => proxyRouteTarget(netlink).write([{ family: 4, mtu: 1450, pods }]))
  const deviceTo = (to: string, mark: string): string =>
    / dev (\S+)/.exec(ip('route', 'get', to, 'mark', mark))?.[1] ?? ''
  assert.deepEqual(write('10.1.0.0/24'), [{ ok: true }])
  for (const mark of ['0xb00', '0xc00'])
    assert.deepEqual(
      ['10.1.0.5', '203.0.113.5', '10.9.0.7', '10.2.0.1'].map((to) => deviceTo(to, mark)),
      ['lxc1', 'cilium_host', 'cilium_host', 'cilium_host'],
    )
  // Other prefixes take the place of those before.
  write('10.2.0.0/24', '10.3.0.0/24')
  assert.deepEqual(
    net
      .rules(netlink)
      .filter((r) => r.family === 4 && r.priority === 10)
      .map((r) => r.to),
    ['10.2.0.0/24', '10.3.0.0/24', '10.2.0.0/24', '10.3.0.0/24'],
  )
  write('10.2.0.0/24', '10.3.0.0/24')
  assert.equal(net.rules(netlink).filter((r) => r.family === 4 && r.mark !== 0).length, 7)
})
