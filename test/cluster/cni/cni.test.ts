// SPDX-License-Identifier: Apache-2.0
/** The CNI plugin inside a lab's node, for pods and for containers that are none, by our own caller and by `cnitool`. */
import assert from 'node:assert/strict'
import { accessSync, constants } from 'node:fs'
import { homedir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, it } from 'node:test'
import { Lab } from '../../lab.ts'
import { inside, must, Plugin, places } from './plugin.ts'

const name = 'cni'
const cnitool = [join(homedir(), 'go/bin'), ...(process.env['PATH'] ?? '').split(':')]
  .map((directory) => join(directory, 'cnitool'))
  .find((path) => {
    try {
      accessSync(path, constants.X_OK)
      return true
    } catch {
      return false
    }
  })

interface Endpoint {
  readonly id: number
  readonly status: {
    readonly identity: { readonly id: number; readonly labels: readonly string[] }
    readonly state: string
    readonly networking: { readonly addressing: readonly { readonly ipv4: string; readonly ipv6: string }[] }
    readonly 'external-identifiers': { readonly 'container-id': string }
  }
}

const pod = (name: string, where: string) => `
apiVersion: v1
kind: Pod
metadata: {name: ${name}, labels: {app: ${name}}}
spec: {${where}, containers: [{name: c, image: nginx}]}
`

describe('the CNI plugin', { timeout: 300_000 }, () => {
  let lab: Lab
  let plugin: Plugin
  const node = 'node-1'
  const netns = (container: string) => must(lab, node, ['ip', 'netns', 'add', container])
  const endpoints = async (): Promise<readonly Endpoint[]> =>
    JSON.parse((await lab.cilium(node, ['endpoint', 'list', '-o', 'json'])).stdout) as readonly Endpoint[]
  const endpointOf = async (address: string | undefined) =>
    (await endpoints()).find((e) => `${e.status.networking.addressing[0]?.ipv4}/32` === address)
  /** A connection from a container: 'open', 'refused', or '' for no answer. */
  const connect = async (container: string, address: string, port: number) => {
    const open = ['timeout', '3', 'bash', '-c', `exec 3<>/dev/tcp/${address}/${port}`]
    const r = await inside(lab, node, ['ip', 'netns', 'exec', container, ...open])
    return r.code === 0 ? 'open' : /refused/.test(r.stderr) ? 'refused' : ''
  }
  /** The node's own addresses answer, and a pod of the other node serves. */
  const isConnected = async (container: string) => {
    for (const family of ['-4', '-6']) {
      const text = await must(lab, node, ['ip', 'netns', 'exec', container, 'ip', family, 'route', 'show', 'default'])
      const gateway = /via (\S+)/.exec(text)?.[1] ?? ''
      assert.equal(await connect(container, gateway, 9), 'refused', `${container} to the gateway ${gateway}`)
    }
    for (const { ip } of far) assert.equal(await connect(container, ip, 80), 'open', `${container} to ${ip}`)
  }
  let far: readonly { readonly ip: string }[]

  before(async () => {
    lab = await Lab.up(name, [], 2)
    plugin = await Plugin.of(lab, node)
    await lab.kubectl(['create', '-f', '-'], pod('far', 'nodeName: node-2'))
    await lab.ready('app=far')
    far = (await lab.json<{ status: { podIPs: { ip: string }[] } }>(['get', 'pod', 'far'])).status.podIPs
    assert.equal(far.length, 2)
  })
  after(async () => lab?.down())

  it('gives a container that is no pod an address, a network and the identity of those without labels', async () => {
    await netns('plain')
    const added = await plugin.call('ADD', 'plain')
    assert.equal(added.code, undefined, JSON.stringify(added))
    assert.equal(added.ips?.length, 2)
    const endpoint = await endpointOf(added.ips?.[0]?.address)
    assert.deepEqual(endpoint?.status.identity.labels, ['reserved:init'])
    assert.deepEqual([endpoint?.status.identity.id, endpoint?.status.state], [5, 'ready'])
    await isConnected('plain')
    assert.deepEqual(await plugin.call('CHECK', 'plain', '', { prevResult: added }), {})
    const wrong = await plugin.call('CHECK', 'plain', '', { prevResult: { ips: [{ address: '10.244.9.9/32' }] } })
    assert.equal(wrong.code, 7)
    assert.deepEqual(await plugin.call('DEL', 'plain'), {})
    assert.deepEqual(await plugin.call('DEL', 'plain'), {}, 'again')
    assert.equal(await endpointOf(added.ips?.[0]?.address), undefined)
    assert.equal((await plugin.call('CHECK', 'plain', '', { prevResult: added })).code, 7)
    await must(lab, node, ['ip', 'netns', 'del', 'plain'])
  })

  it('asks for a pod that no watch has told of, and takes its labels', async () => {
    await lab.kubectl(['create', '-f', '-'], pod('early', 'schedulerName: nobody'))
    await netns('early')
    const args = 'IgnoreUnknown=1;K8S_POD_NAMESPACE=default;K8S_POD_NAME=early'
    const added = await plugin.call('ADD', 'early', args)
    assert.equal(added.code, undefined, JSON.stringify(added))
    const endpoint = await endpointOf(added.ips?.[0]?.address)
    assert.ok(endpoint?.status.identity.labels.includes('k8s:app=early'), JSON.stringify(endpoint))
    await isConnected('early')
    assert.deepEqual(await plugin.call('DEL', 'early', args), {})
    await must(lab, node, ['ip', 'netns', 'del', 'early'])
  })

  it('refuses a pod that nobody knows with code 11, and keeps nothing of it', async () => {
    await netns('unknown')
    const args = 'K8S_POD_NAMESPACE=default;K8S_POD_NAME=nobody'
    const refused = await plugin.call('ADD', 'unknown', args)
    assert.deepEqual([refused.code, refused.msg], [11, 'there is no pod default/nobody'])
    assert.equal(
      (await endpoints()).some((e) => e.status['external-identifiers']['container-id'] === 'unknown'),
      false,
    )
    const links = await must(lab, node, ['ip', '-o', '-n', 'unknown', 'link', 'show'])
    assert.doesNotMatch(links, /eth0/)
    await must(lab, node, ['ip', 'netns', 'del', 'unknown'])
  })

  it('collects what the runtime does not name any more, and says that it can be used', async () => {
    assert.deepEqual(await plugin.call('STATUS', ''), {})
    const before = (await endpoints()).map((e) => e.status['external-identifiers']['container-id'])
    await netns('stale')
    const added = await plugin.call('ADD', 'stale')
    const valid = before.map((containerID) => ({ containerID, ifname: 'eth0' }))
    assert.deepEqual(await plugin.call('GC', '', '', { 'cni.dev/valid-attachments': valid }), {})
    assert.equal(await endpointOf(added.ips?.[0]?.address), undefined)
    assert.deepEqual(
      (await endpoints()).map((e) => e.status['external-identifiers']['container-id']).sort(),
      [...before].sort(),
    )
    await must(lab, node, ['ip', 'netns', 'del', 'stale'])
  })

  it('says what is wrong with bad input by the codes of the specification', async () => {
    await netns('bad')
    assert.equal((await plugin.call('ADD', 'bad', 'K8S_POD_NAME=half')).code, 4)
    assert.equal((await plugin.call('ADD', 'bad', 'nonsense')).code, 4)
    assert.equal((await plugin.call('ADD', 'bad', '', { cniVersion: '9.9.9' })).code, 1)
    assert.equal((await plugin.call('ADD', 'bad', '', {}, '')).code, 4)
    const gone = await plugin.call('ADD', 'bad', '', {}, '/var/run/netns/not-there')
    assert.deepEqual([gone.code, gone.details], [4, '/var/run/netns/not-there'])
    await must(lab, node, ['ip', 'netns', 'del', 'bad'])
  })

  const skip = cnitool ? false : 'cnitool (containernetworking/cni) is not installed'
  it('serves cnitool', { skip }, async () => {
    await netns('tool')
    const found = await places(lab, node)
    const tool = async (verb: string, args = '') => {
      const variables = [...Object.entries(found).map(([k, v]) => `${k}=${v}`), `CNI_ARGS=${args}`]
      const r = await inside(lab, node, ['env', ...variables, cnitool ?? '', verb, 'cilium', '/var/run/netns/tool'])
      assert.equal(r.code, 0, `cnitool ${verb}: ${r.stdout}${r.stderr}`)
      return r.stdout
    }
    const added = JSON.parse(await tool('add')) as { readonly ips: readonly { readonly address: string }[] }
    assert.equal((await endpointOf(added.ips[0]?.address))?.status.identity.id, 5)
    await isConnected('tool')
    await tool('check')
    await tool('status')
    await tool('del')
    assert.equal(await endpointOf(added.ips[0]?.address), undefined)
    await must(lab, node, ['ip', 'netns', 'del', 'tool'])
  })
})
