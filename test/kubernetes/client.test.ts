// SPDX-License-Identifier: Apache-2.0
/** Cilium's own client, unchanged: it installs the product, looks at it, plays its connectivity test and takes it away. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { type Ran, ran } from '../ran.ts'
import { build } from './build.ts'
import { down, nodeNames, up } from './cluster.ts'
import { clientEnvironment, connectivityArguments, prepareConnectivity } from './connectivity.ts'
import { items, json } from './kubectl.ts'
import { apiPort, control, root } from './places.ts'
import { installDns } from './product.ts'
import { openWorld, world } from './world.ts'

let program = ''
let endWorld = async () => {}
const scratch = mkdtempSync(join(tmpdir(), 'client-'))
before(async () => {
  await build()
  await up(2, () => {})
  endWorld = await openWorld()
  program = await prepareConnectivity()
})
after(async () => {
  await endWorld()
  await down()
  rmSync(scratch, { recursive: true, force: true })
})

const said = (r: Ran): string => `${r.stdout}${r.stderr}`
/** What the client prints; it must succeed. */
async function cilium(...args: readonly string[]): Promise<string> {
  const r = await ran(program, args, '', clientEnvironment)
  assert.equal(r.code, 0, `cilium ${args.join(' ')}: ${said(r)}`)
  return said(r)
}
const chart = ['--chart-directory', join(root, 'charts/cilium')]

describe("Cilium's client", { concurrency: 1 }, () => {
  test('installs the chart, and waits until all is well', async () => {
    const api = [`k8sServiceHost=${control.ipv4}`, `k8sServicePort=${apiPort}`, 'ipv6.enabled=true']
    await cilium('install', ...chart, ...api.flatMap((value) => ['--set', value]))
    await cilium('status', '--wait')
    const status = await cilium('status')
    assert.doesNotMatch(status, /Errors|Warnings/)
    assert.match(status, /DaemonSet +cilium +Desired: 2, Ready: .*2\/2/)
    await installDns(world.dns)
  })

  test('reads versions, the configuration and features', async () => {
    assert.match(await cilium('version'), /cilium image \(running\): \d+\.\d+\.\d+/)
    assert.match(await cilium('config', 'view'), /^routing-mode +tunnel$/m)
    assert.match(await cilium('features', 'status'), /cilium_feature_datapath_network +mode=overlay-vxlan/)
  })

  test('changes the configuration, and upgrades', async () => {
    await cilium('config', 'set', 'policy-cidr-match-mode', 'nodes')
    await cilium('status', '--wait')
    assert.match(await cilium('config', 'view'), /^policy-cidr-match-mode +nodes$/m)
    await cilium('upgrade', ...chart, '--reuse-values', '--set', 'hostFirewall.enabled=true')
    await cilium('status', '--wait')
    assert.match(await cilium('config', 'view'), /^enable-host-firewall +true$/m)
  })

  test('collects a sysdump with what every agent knows', async () => {
    const to = join(scratch, 'dump')
    await cilium('sysdump', '--output-filename', to, '--profiling=false')
    const names = (await ran('unzip', ['-Z1', `${to}.zip`])).stdout
    const agents = await items<{ metadata: { name: string } }>([
      ...['-n', 'kube-system', 'get', 'pods', '-l', 'k8s-app=cilium'],
    ])
    assert.equal(agents.length, nodeNames().length)
    for (const { metadata } of agents) {
      assert.ok(names.includes(`cilium-bugtool-${metadata.name}`), names)
      assert.ok(names.includes(`logs-${metadata.name}-cilium-agent-`), names)
    }
    for (const kind of ['ciliumnodes', 'ciliumendpoints', 'ciliumidentities', 'cilium-configmap'])
      assert.ok(names.includes(kind), `${kind}: ${names}`)
  })

  test('plays a part of its connectivity test without a failure', async () => {
    const tests = ['no-policies', 'echo-ingress-l7', 'client-egress-l7', 'to-fqdns', 'client-egress-to-cidr-deny']
    const said = await cilium(...connectivityArguments(tests.map((name) => `^${name}(/|$)`)))
    // Each of its namespaces tells how many of them it had; a name that matches nothing would be none.
    const counts = [...said.matchAll(/All (\d+) tests \(\d+ actions\) successful/g)].map((m) => Number(m[1]))
    assert.equal(
      counts.reduce((sum, n) => sum + n, 0),
      tests.length,
      said,
    )
  })

  test('takes it away', async () => {
    await cilium('uninstall', '--wait')
    assert.deepEqual(await items(['-n', 'kube-system', 'get', 'pods', '-l', 'app.kubernetes.io/part-of=cilium']), [])
    assert.equal((await json<{ items: object[] }>(['-n', 'kube-system', 'get', 'ds'])).items.length, 0)
  })
})
