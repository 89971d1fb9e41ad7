// SPDX-License-Identifier: Apache-2.0
/**
 * The lines that Cilium's CLI executes in our containers, with what it reads of the answers. A client takes any byte on
 * stderr for a failure, so there is none.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { build } from './build.ts'
import { down, up } from './cluster.ts'
import { items, json, tryKubectl } from './kubectl.ts'
import { agentOn } from './look.ts'
import { helm, install, ready, release } from './product.ts'
import { until } from './run.ts'
import { apply, pod, podsReady, service } from './workloads.ts'

const node = 'node-1'
before(async () => {
  await build()
  await up(1, () => {})
  await install()
  await ready()
  await apply([pod('client', node), pod('near', node), service('near', 'near')])
  await podsReady()
})
after(down)

async function exec(podName: string, container: string, line: readonly string[]): Promise<string> {
  const r = await tryKubectl(['-n', 'kube-system', 'exec', podName, '-c', container, '--', ...line])
  assert.equal(r.code, 0, `${line.join(' ')}: ${r.stderr}`)
  assert.equal(r.stderr, '', line.join(' '))
  return r.stdout
}
const agent = async (...line: string[]): Promise<string> => exec(await agentOn(node), 'cilium-agent', line)
const parsed = async <T>(...line: string[]): Promise<T> => JSON.parse(await agent(...line)) as T

interface State {
  readonly state: string
  readonly msg: string
}

describe('exec lines of clients', { concurrency: 1 }, () => {
  test('cilium status --wait finds no error and no warning', async () => {
    // As a client does that waits.
    await until('all is well', async () => {
      const status = await parsed<{
        cilium: State
        kubernetes: State
        hubble: State
        kvstore: State
        'auth-certificate-provider': State
        cluster: { ciliumHealth: State }
        controllers: { status: { 'consecutive-failure-count': number } }[]
      }>('cilium', 'status', '-o', 'json')
      const { cilium, kubernetes, hubble, kvstore, cluster, controllers } = status
      const auth = status['auth-certificate-provider']
      const ill = [cilium, kubernetes, hubble, kvstore, cluster.ciliumHealth, auth].filter(
        (s) => !['Ok', 'Disabled'].includes(s.state),
      )
      return (
        (ill.length === 0 && controllers.every((c) => c.status['consecutive-failure-count'] === 0)) ||
        JSON.stringify({ ill, controllers })
      )
    })
    await until('endpoints are ready', async () => {
      const endpoints = await parsed<{ status: { state: string; identity: { id: number } } }[]>(
        ...['cilium', 'endpoint', 'list', '-o', 'json'],
      )
      return endpoints.every((e) => e.status.state === 'ready') || JSON.stringify(endpoints.map((e) => e.status.state))
    })
    for (const [kind, name] of [
      ['daemonset', 'cilium'],
      ['deployment', 'cilium-operator'],
    ] as const) {
      const o = await json<{ metadata: { generation: number }; status: Record<string, number> }>([
        ...['-n', 'kube-system', 'get', kind, name],
      ])
      assert.equal(o.status['observedGeneration'], o.metadata.generation)
    }
    // "Cluster Pods": as many CiliumEndpoints as pods that are not in a node's network.
    const pods = await items<{ spec: { hostNetwork?: boolean } }>(['get', 'pods', '-A'])
    const wanted = pods.filter((p) => p.spec.hostNetwork !== true).length
    await until('every pod has its CiliumEndpoint', async () => {
      const { length } = await items(['get', 'ciliumendpoints', '-A'])
      return length === wanted || `${length} of ${wanted}`
    })
  })

  test('versions are read from the release, and from the agent as a semantic version', async () => {
    assert.match(await agent('cilium', 'version', '-o', 'jsonpath={$.Daemon.Version}'), /^\d+\.\d+\.\d+(-|$|\s)/)
    assert.match(await helm(['list', ...release.slice(1), '-o', 'json']), /"status":"deployed"/)
  })

  test('features status gets metrics of agent and operator', async () => {
    type Metrics = readonly { name: string; value: number; labels?: Record<string, string> }[]
    const line = ['metrics', 'list', '-p', 'cilium_.*feature', '-o', 'json']
    const ours = await parsed<Metrics>('cilium', ...line)
    const mode = ours.find((m) => m.name === 'cilium_feature_datapath_network')?.labels?.['mode']
    assert.equal(mode, 'overlay-vxlan')
    const [operator] = await items<{ metadata: { name: string } }>([
      ...['-n', 'kube-system', 'get', 'pods', '-l', 'name=cilium-operator'],
    ])
    const said = await exec(operator?.metadata.name ?? '', 'cilium-operator', ['cilium-operator-generic', ...line])
    assert.ok((JSON.parse(said) as Metrics).length > 0)
  })

  test('policy revisions, services and the configuration are read as the connectivity test does', async () => {
    // The quotes come as they are; who asks strips them.
    assert.match(await agent('cilium', 'policy', 'get', '-o', "jsonpath='{.revision}'"), /^'?\d+'?\s*$/)
    await until('policy is realized', async () => {
      const endpoints = await parsed<{ status: { policy?: { realized?: { 'policy-revision': number } } } }[]>(
        ...['cilium', 'endpoint', 'list', '-o', 'json'],
      )
      return endpoints.every((e) => (e.status.policy?.realized?.['policy-revision'] ?? 0) > 0)
    })
    const near = await json<{ spec: { clusterIP: string } }>(['get', 'service', 'near'])
    await until('the service has its backend', async () => {
      const services = await parsed<
        { spec: { 'frontend-address': { ip: string; port: number }; 'backend-addresses': object[] } }[]
      >('cilium', 'service', 'list', '--output=json')
      const found = services.find((s) => s.spec['frontend-address'].ip === near.spec.clusterIP)
      return found?.spec['backend-addresses'].length === 1
    })
    const cm = await json<{ data: Record<string, string> }>(['-n', 'kube-system', 'get', 'cm', 'cilium-config'])
    assert.equal(cm.data['routing-mode'], 'tunnel')
  })

  test('no packet was dropped without a reason, and logs hold no error', async () => {
    const script = `cilium metrics list -o json | jq '.[] | select(.name == "cilium_drop_count_total" and (.labels.reason | IN("Policy denied", "Unsupported protocol for NAT masquerade", "Stale or unroutable IP") | not))'`
    assert.equal(await agent('/bin/sh', '-c', script), '')
    for (const label of ['k8s-app=cilium', 'name=cilium-operator']) {
      const logs = await tryKubectl(['-n', 'kube-system', 'logs', '-l', label, '--tail=-1', '--all-containers'])
      assert.doesNotMatch(logs.stdout, /level=error|"level":"error"|panic|crash/)
    }
  })

  test('sysdump gets an archive of each node and reads it piece by piece', async () => {
    const said = await agent('cilium-bugtool', '--archiveType=gz', '--exclude-object-files')
    const path = /GZIP at (\S+)\n/.exec(said)?.[1] ?? ''
    assert.notEqual(path, '')
    const size = Number(await agent('stat', '-c', '%s', path))
    assert.ok(size > 1000)
    const names = await agent('tar', '-tzf', path)
    for (const name of ['cilium-dbg-status.md', 'cilium-dbg-bpf-lb-list.md', 'bpftool-link.md'])
      assert.ok(names.includes(name), name)
    assert.equal((await agent('sh', '-c', `tail -c+${size - 9} ${path} | wc -c`)).trim(), '10')
    await agent('rm', path)
    await agent('/usr/bin/ls', '/opt')
    await agent('/usr/bin/cat', '/etc/os-release')
  })
})
