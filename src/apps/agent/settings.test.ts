// SPDX-License-Identifier: Apache-2.0
import assert from 'node:assert/strict'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { optionDirectory } from '../../edge/disk/files.ts'
import { durationSeconds } from '../../model/options.ts'
import { readSettings } from './settings.ts'

const read = (args: string[], env: Record<string, string> = { K8S_NODE_NAME: 'n1' }) =>
  readSettings({ args, env, directory: optionDirectory })
const problem = (args: string[]): string => {
  const result = read(args)
  return result.ok ? '' : result.error.message
}

test('defaults are those of Cilium, and the result can not be changed', () => {
  const result = read([])
  assert.ok(result.ok)
  assert.equal(result.value.node.nodeName, 'n1')
  assert.equal(result.value.node.routingMode, 'tunnel')
  assert.equal(result.value.options['socket-path'], '/var/run/cilium/cilium.sock')
  assert.equal(result.value.options['bpf-ct-timeout-regular-tcp'], 8000)
  assert.throws(() => {
    ;(result.value.node as { mtu: number }).mtu = 1
  }, TypeError)
})

test('flags win over the environment, the environment over the directory', (t) => {
  const dir = mkdtempSync(join(tmpdir(), 'settings-'))
  t.after(() => rmSync(dir, { recursive: true }))
  writeFileSync(join(dir, 'cluster-name'), 'from-dir\n')
  writeFileSync(join(dir, 'enable-ipv6'), 'false')
  writeFileSync(join(dir, 'tunnel-port'), '1')
  writeFileSync(join(dir, 'hubble-metrics'), '')
  writeFileSync(join(dir, 'enable-ipv7'), 'true')
  mkdirSync(join(dir, '..data'))
  const result = read([`--config-dir=${dir}`, '--tunnel-port', '3'], {
    CILIUM_CLUSTER_NAME: 'from-env',
    CILIUM_TUNNEL_PORT: '2',
  })
  assert.ok(result.ok)
  assert.equal(result.value.node.clusterName, 'from-env')
  assert.equal(result.value.node.enableIpv6, false)
  assert.equal(result.value.node.tunnelPort, 3)
  assert.deepEqual(result.value.ignored, ['enable-ipv7 (did you mean enable-ipv4?)'])
})

test('an unknown flag is named together with the nearest one', () => {
  assert.equal(problem(['--routing-mod=native']), '--routing-mod: no such option; did you mean --routing-mode?')
  assert.equal(problem(['--zzzzzzzzzzzzzzzzzzzz']), '--zzzzzzzzzzzzzzzzzzzz: no such option')
  assert.match(problem(['surprise']), /"surprise" is not an option/)
})

test('values that can not be are refused with the option and what is possible, all at once', () => {
  const message = problem([
    '--routing-mode=magic',
    '--tunnel-port=99999',
    '--enable-ipv4=perhaps',
    '--ipv4-native-routing-cidr=10.0.0.0',
  ])
  assert.match(message, /--routing-mode: "magic" is not one of tunnel, native/)
  assert.match(message, /--tunnel-port: "99999" is not a whole number from 1 to 65535/)
  assert.match(message, /--enable-ipv4: "perhaps" is not true or false/)
  assert.match(message, /--ipv4-native-routing-cidr: "10.0.0.0" is not a prefix/)
  assert.match(problem(['--enable-ipv4=false', '--enable-ipv6=false']), /both IPv4 and IPv6 are off/)
  assert.match(problem(['--config-dir=/nowhere']), /ENOENT.*\/nowhere/)
})

test('a feature whose absence would leave something unprotected is refused, others of Cilium are accepted', () => {
  assert.match(problem(['--enable-wireguard=true']), /--enable-wireguard: this version does not have it/)
  assert.equal(problem(['--enable-wireguard=false', '--enable-bbr=true', '--hubble-listen-address', ':4244']), '')
})

test('options of a DNS proxy that waits, has one port, or goes with the agent are refused, the usual ones are not', () => {
  for (const [given, why] of [
    ['dnsproxy-concurrency-processing-grace-period=1s', /SERVFAIL at once/],
    ['tofqdns-proxy-port=10001', /a port of its own/],
    ['dns-policy-unload-on-shutdown=true', /goes on with the rules/],
    ['dnsproxy-concurrency-limit=many', /dnsproxy-concurrency-limit/],
  ] as const)
    assert.match(problem([`--${given}`]), why)
  const usual = ['tofqdns-proxy-port=0', 'tofqdns-proxy-response-max-delay=100ms', 'dnsproxy-lock-count=131']
  assert.equal(problem([...usual, 'dnsproxy-concurrency-limit=100'].map((o) => `--${o}`)), '')
})

test('durations are written as in Go', () => {
  assert.equal(durationSeconds('2h13m20s'), 8000)
  assert.equal(durationSeconds('1.5s'), 1.5)
  assert.equal(durationSeconds('100ms'), 0.1)
  assert.equal(durationSeconds('5'), undefined)
  assert.equal(durationSeconds('s'), undefined)
})
