// SPDX-License-Identifier: Apache-2.0
/** Wrong settings and broken surroundings on a real Kubernetes: each is named, and mended without a reinstall. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { build } from './build.ts'
import { down, inMachine, up } from './cluster.ts'
import { json, kubectl, tryKubectl } from './kubectl.ts'
import { agentJson, inAgent } from './look.ts'
import { apiPort, hostAddress } from './places.ts'
import { install, ready, upgrade } from './product.ts'
import { until } from './run.ts'
import { apply, pod, podsReady } from './workloads.ts'

const node = 'node-1'
/** Kubelet tells of a container some time after it runs. */
const logged = (text: string): Promise<void> =>
  until(`the log says ${text}`, async () => {
    const log = await tryKubectl([
      '-n',
      'kube-system',
      'logs',
      '-l',
      'k8s-app=cilium',
      '-c',
      'cilium-agent',
      '--tail=-1',
    ])
    return log.stdout.replaceAll('\\"', '"').includes(text) || log.stderr
  })
interface Status {
  readonly cilium: { readonly state: string; readonly msg: string }
  readonly kubernetes: { readonly state: string; readonly msg: string }
  readonly conditions: readonly { readonly name: string; readonly message: string }[]
}
const status = (): Promise<Status> => agentJson<Status>(node, ['status'])

before(async () => {
  await build()
  await up(1, () => {})
})
after(down)

describe('faults', { concurrency: 1 }, () => {
  test('a wrong k8sServiceHost is named in status and log, and helm upgrade mends it', async () => {
    await inMachine(node, ['sh', '-c', 'mkdir -p /run/cilium && mount -t tmpfs -o size=2m cilium /run/cilium'])
    await install([`k8sServiceHost=${hostAddress}`])
    const wanted = `${hostAddress}:${apiPort}`
    await until('status names it', async () => {
      const { kubernetes } = await status()
      return (kubernetes.state === 'Warning' && kubernetes.msg.includes(wanted)) || JSON.stringify(kubernetes)
    })
    await logged(wanted)
    assert.notEqual((await tryKubectl(['wait', '--for=condition=Ready', `node/${node}`, '--timeout=1s'])).code, 0)
    await upgrade(['rollOutCiliumPods=true'])
    await ready()
  })

  test('a verb that RBAC does not give is named in status and log', async () => {
    const role = await json<{ rules: { resources: string[]; verbs: string[] }[] }>(['get', 'clusterrole', 'cilium'])
    const without = role.rules.map((r) => ({ ...r, resources: r.resources.filter((x) => x !== 'networkpolicies') }))
    const rules = without.filter((r) => r.resources.length > 0)
    await kubectl(['patch', 'clusterrole', 'cilium', '--type=merge', '-p', JSON.stringify({ rules })])
    await kubectl(['-n', 'kube-system', 'delete', 'pod', '-l', 'k8s-app=cilium'])
    const says = 'cannot list resource "networkpolicies" in API group "networking.k8s.io"'
    await until('status names it', async () => {
      const { kubernetes } = await status()
      return kubernetes.msg.includes(says) || kubernetes.msg
    })
    await logged(says)
    await kubectl(['patch', 'clusterrole', 'cilium', '--type=merge', '-p', JSON.stringify({ rules: role.rules })])
    await ready()
    await until('status is well', async () => (await status()).kubernetes.state === 'Ok')
  })

  test('definitions of an older version are replaced by the operator, those of a newer one are left alone', async () => {
    const label = 'io.cilium.k8s.crd.schema.version'
    const versionOf = async (name: string): Promise<string> => {
      const crd = await json<{ metadata: { labels: Record<string, string> } }>(['get', 'crd', `${name}.cilium.io`])
      return crd.metadata.labels[label] ?? ''
    }
    const current = await versionOf('ciliumendpoints')
    await kubectl(['label', 'crd', 'ciliumnetworkpolicies.cilium.io', `${label}=1.0.0`, '--overwrite'])
    await kubectl(['label', 'crd', 'ciliumidentities.cilium.io', `${label}=99.0.0`, '--overwrite'])
    await kubectl(['-n', 'kube-system', 'delete', 'pod', '-l', 'name=cilium-operator'])
    await until('the older one is replaced', async () => (await versionOf('ciliumnetworkpolicies')) === current)
    await ready()
    assert.equal(await versionOf('ciliumidentities'), '99.0.0')
    await kubectl(['label', 'crd', 'ciliumidentities.cilium.io', `${label}=${current}`, '--overwrite'])
  })

  test('a full disk is named, delays pods, and is over when there is room again', async () => {
    await inMachine(node, [
      'sh',
      '-c',
      'dd if=/dev/zero of=/run/cilium/filler bs=4k 2>/dev/null || true; df /run/cilium',
    ])
    await apply([pod('late', node)])
    await until('status names it', async () => {
      const { cilium, conditions } = await status()
      return (cilium.state === 'Warning' && /ENOSPC|no space left/.test(JSON.stringify(conditions))) || cilium.msg
    })
    await inMachine(node, ['rm', '/run/cilium/filler'])
    await podsReady('late')
    await until('status is well', async () => (await status()).cilium.state === 'Ok')
    assert.doesNotMatch(await inMachine(node, ['find', '/run/cilium']), /\.new$/m)
  })

  test('a configuration that was changed under a running agent is reported until it is restarted', async () => {
    const delta = async (): Promise<number> => {
      const [metric] = JSON.parse(
        await inAgent(node, ['cilium-dbg', 'metrics', 'list', '-p', 'drift_checker_config_delta', '-o', 'json']),
      ) as { value: number }[]
      return metric?.value ?? -1
    }
    await until('nothing is reported', async () => (await delta()) === 0)
    const change = { data: { 'enable-policy': 'always' } }
    await kubectl(['-n', 'kube-system', 'patch', 'cm', 'cilium-config', '--type=merge', '-p', JSON.stringify(change)])
    // Kubelet brings a changed ConfigMap within its sync period.
    await until('it is reported', async () => (await delta()) === 1, 300)
    const says = 'enable-policy is default, configured always'
    assert.ok((await status()).conditions.some((c) => c.name === 'configuration' && c.message.includes(says)))
    await logged(says)
    await kubectl(['-n', 'kube-system', 'delete', 'pod', '-l', 'k8s-app=cilium'])
    await ready()
    await until('it is over', async () => (await delta()) === 0)
  })
})
